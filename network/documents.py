# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON that people wrote by hand, read so that nothing they wrote is silently forgotten."""

import json
from collections.abc import Hashable, Sequence
from typing import Any

import yaml


def read_document(text: str) -> Any:
    """The document in YAML or JSON text; raises `ValueError`, `yaml.YAMLError` or `RecursionError`.

    A key that is there twice is refused; both formats' usual readers would keep the last one.
    """
    # YAML's reader understands JSON too, but JSON's own says better what is wrong with it.
    if text.lstrip().startswith("{"):
        return json.loads(text, object_pairs_hook=_mapping)
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader, only stricter


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with our mappings."""


def _construct(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return _mapping([(loader.construct_object(key), loader.construct_object(value, True)) for key, value in node.value])


def _mapping(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    mapping: dict[Any, Any] = {}
    for key, value in pairs:
        if not isinstance(key, Hashable):
            raise ValueError("a list or mapping cannot be a key")
        if key in mapping:
            raise ValueError(f"{key!r} is there twice")
        mapping[key] = value
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _construct)
