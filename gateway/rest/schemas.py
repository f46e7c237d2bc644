# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas out of the law's own classes, so that the document cannot say anything else than the code."""

import dataclasses
import re
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from chaincode.domain import codec, float64, text, values
from chaincode.domain.canonical import MAX_DEPTH
from chaincode.domain.register import COMMANDS

Schema = dict[str, Any]

# What the scalar types look like in JSON; a type that is not here is described by its base alone.
_FORMS: Mapping[str, Schema] = {
    "Digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "Blob": {"type": "string", "contentEncoding": "base64"},
    "Purposes": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    "Number": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    "Count": {"type": "integer", "minimum": 0, "maximum": values.MAX_INTEGER},
    "Instant": {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970-01-01T00:00:00Z."},
    "SignedInstant": {"type": "integer", "description": "Milliseconds since 1970-01-01T00:00:00Z, negative before."},
    "Seconds": {"type": "integer", "minimum": 1, "maximum": 3_155_760_000},
    "Text": {"type": "string", "minLength": 1, "maxLength": text.MAX_TEXT},
    "Setting": {"type": "string", "maxLength": text.MAX_SETTING},
    "Float64": {
        "type": "string",
        "maxLength": float64.MAX_LENGTH,
        "description": "A float64 as text: 0.97, 1e-16, nan, inf or -inf; answered in the spelling of RFC 8785.",
    },
}
_EXAMPLES: Mapping[str, Any] = {
    "Digest": "5f" * 32,
    "Blob": "gQ==",
    "Purposes": "0000000000000003",
    "Number": 1,
    "Seconds": 31_557_600,
    "SignedInstant": -1_000,
    "Instant": 1_767_225_600_000,
    "Count": 569,
    "Text": "Breast cancer features",
    "Setting": "0.001",
    "FilePath": "weights/model.onnx",
    "Float64": "0.9736",
    "Licence": "CC-BY-4.0",
    "Ref": "model-version:net:1",
    "OrgId": "LabMSP",
    "Name": "wdbc",
    "Role": "auditor",
    "Territory": "US-WI",
    "CommitId": "5f" * 20,
}

TRANSACTION: Schema = {
    "type": "object",
    "required": ["id", "block"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "block": {"type": "integer", "minimum": 0},
        "at": {"type": "string"},
    },
}
ANY_OBJECT: Schema = {"type": "object"}
COUNT: Schema = {
    "count": {"type": "integer", "minimum": 0, "description": "How many the whole list holds."},
    "count_exact": {"type": "boolean", "description": "False where there are more than `count`, or may be."},
}
PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "retryable", "facts"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "retryable": {"type": "boolean"},
        "facts": ANY_OBJECT,
    },
}


def command(function: str, *bound: str, optional: tuple[str, ...] = ()) -> Schema:
    """What a request body looks like for a function.

    `bound` fields come from the path; `optional` ones are filled in where they are missing.
    """
    schema = _object(COMMANDS[function], omit=bound)
    return {**schema, "required": [name for name in schema["required"] if name not in optional]}


def record(kind: str) -> Schema:
    """A record as the ledger holds it."""
    schema = _object(codec.KINDS[kind])
    schema["properties"] = {"kind": {"const": kind}, "schema": {"type": "integer"}, **schema["properties"]}
    schema["required"] = ["kind", "schema", *schema["required"]]
    return schema


def shown(kind: str) -> Schema:
    """A record with the transaction that wrote it."""
    return {
        "type": "object",
        "required": ["record", "transaction"],
        "properties": {"record": record(kind), "transaction": TRANSACTION},
    }


def page(kind: str) -> Schema:
    """A page of records."""
    return {
        "type": "object",
        "required": ["items", "next", *COUNT],
        "properties": {
            "items": {"type": "array", "items": shown(kind)},
            "next": {"type": ["string", "null"]},
            **COUNT,
        },
    }


def committed(*kinds: str) -> Schema:
    """The answer to a recorded command: the record, the event, and where they stand."""
    schema = record(kinds[0]) if len(kinds) == 1 else {"anyOf": [record(kind) for kind in kinds]}
    return {
        "type": "object",
        "required": ["record", "event", "transaction"],
        "properties": {"record": schema, "event": ANY_OBJECT, "transaction": TRANSACTION},
    }


def example(schema: Mapping[str, Any]) -> Any:
    """A value that a schema of ours admits: of an object its required fields, of an array one item."""
    if "enum" in schema:
        return schema["enum"][0]
    if "examples" in schema:
        return schema["examples"][0]
    if schema["type"] == "object":
        return {name: example(schema["properties"][name]) for name in schema["required"]}
    if schema["type"] == "array":
        return [example(schema["items"])]
    return {"boolean": True, "integer": 1}.get(schema["type"], "text")


def _object(thing: type, omit: tuple[str, ...] = (), depth: int = 0) -> Schema:
    if depth > MAX_DEPTH:
        raise RecursionError(f"{thing.__name__} contains itself")
    hints = get_type_hints(thing)
    properties: Schema = {}
    required: list[str] = []
    for definition in dataclasses.fields(thing):
        name = definition.metadata.get("name", definition.name)
        if name in omit:
            continue
        properties[name] = _schema(hints[definition.name], depth)
        optional = type(None) in get_args(hints[definition.name])
        if definition.default is dataclasses.MISSING and not optional:
            required.append(name)
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _schema(hint: Any, depth: int) -> Schema:
    if get_origin(hint) in {Union, types.UnionType}:
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(get_args(hint)[0], depth)}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object(hint, depth=depth + 1)
    return _scalar(hint)


def _scalar(hint: type) -> Schema:
    if issubclass(hint, Enum):
        return {"enum": [choice.value for choice in hint]}
    bases = [base.__name__ for base in hint.__mro__]
    schema = next((dict(_FORMS[name]) for name in bases if name in _FORMS), None)
    if schema is None:
        whole = "integer" if issubclass(hint, int) else "string"
        schema = {"type": "boolean" if issubclass(hint, bool) else whole}
    form: re.Pattern[str] | None = getattr(hint, "_form", None)
    if form is not None:
        schema["pattern"] = f"^(?:{form.pattern})$"
    shown = next((_EXAMPLES[name] for name in bases if name in _EXAMPLES), None)
    return schema if shown is None else {**schema, "examples": [shown]}
