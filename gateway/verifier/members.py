# SPDX-License-Identifier: Apache-2.0
"""Members of a signed statement, each of the type that it must have; otherwise `RefutedStatement` names it."""

from collections.abc import Mapping, Sequence

from chaincode.domain.canonical import Json
from gateway.verifier.envelopes import RefutedStatement

__all__ = ["number_in", "object_in", "objects_in", "text_in"]


def objects_in(value: Mapping[str, Json], name: str) -> Sequence[Mapping[str, Json]]:
    """A list of objects."""
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise RefutedStatement(f"its '{name}' must be a list of objects")
    return [each for each in found if isinstance(each, dict)]


def object_in(value: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """An object."""
    found = value.get(name)
    if not isinstance(found, dict):
        raise RefutedStatement(f"its '{name}' must be an object")
    return found


def text_in(value: Mapping[str, Json], name: str) -> str:
    """A text."""
    found = value.get(name)
    if not isinstance(found, str):
        raise RefutedStatement(f"its '{name}' must be a text")
    return found


def number_in(value: Mapping[str, Json], name: str) -> int:
    """A whole number."""
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise RefutedStatement(f"its '{name}' must be a whole number")
    return found
