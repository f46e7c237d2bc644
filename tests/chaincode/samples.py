# SPDX-License-Identifier: Apache-2.0
"""One document of every kind, always the same, with every field that it can have.

`python tests/chaincode/samples.py` prints them with the keys of records and whether an organisation guards them: the
vectors of a release (`tests/vectors/<version>/documents.json`), which later releases keep as they are.
"""

import dataclasses
import json
import types
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from chaincode.domain import codec
from chaincode.domain.keys import key_of
from chaincode.domain.register import KIND_OF
from chaincode.domain.values import Event, Record

_SCALARS = {
    "Digest": "5f" * 32, "Blob": "gQ==", "Purposes": "0000000000000003", "Text": "Brustkrebs: Größe",
    "Setting": "0.001", "ExactDecimal": "0.95",
    "FilePath": "weights/model.onnx", "Float64": "0.9736", "Licence": "CC-BY-4.0", "Ref": "model-version:net:1",
    "OrgId": "LabMSP", "Name": "wdbc", "Role": "auditor", "Territory": "US-WI", "CommitId": "5f" * 20,
    "Iri": "https://w3id.org/dpv#ScientificResearch", "ClientId": "u-7f3a",
    "Number": 12, "Seconds": 31_557_600, "SignedInstant": -1_000, "Instant": 1_767_225_600_000, "Count": 569,
}  # fmt: skip


def sample(kind: str) -> codec.Document:
    """The document of a kind."""
    thing = codec.KINDS[kind]
    label = "name" if issubclass(thing, Event) else "kind"
    schema = KIND_OF[thing].schema if issubclass(thing, Record) else codec.SCHEMA
    return codec.from_plain({label: kind, "schema": schema, **_members(thing)})


def _members(thing: Any) -> dict[str, Any]:
    hints = get_type_hints(thing)
    return {field.metadata.get("name", field.name): _value(hints[field.name]) for field in dataclasses.fields(thing)}


def _value(hint: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
    if get_origin(hint) is tuple:
        return [_value(get_args(hint)[0])]
    if dataclasses.is_dataclass(hint):
        return _members(hint)
    if hint is bool:
        return True
    if issubclass(hint, Enum):
        return next(iter(hint)).value
    return next(_SCALARS[base.__name__] for base in hint.__mro__ if base.__name__ in _SCALARS)


def vector(kind: str) -> dict[str, Any]:
    """A document as it is written, and of a record its key and whether an organisation guards it."""
    document = sample(kind)
    row: dict[str, Any] = {"kind": kind, "json": codec.to_json(document).decode()}
    if isinstance(document, Record):
        row |= {"key": key_of(document), "guarded": bool(KIND_OF[type(document)].guard)}
    return row


if __name__ == "__main__":
    print(json.dumps([vector(kind) for kind in sorted(codec.KINDS)], indent=1, ensure_ascii=False))
