# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of bodies and answers, each with a name, out of the law's own classes.

A generator of clients makes one type for each name, so nothing that has members is described without one.
"""

import dataclasses
import json
import re
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from chaincode.domain import codec, exactdecimal, float64, text, values
from chaincode.domain.register import COMMANDS
from gateway.api.rows import Answer, Operation
from gateway.rest.reports import BESIDE, COUNT, HEIGHT, OUTCOMES, REPORTS, Schema, outcome_of, reference
from gateway.services.recording import names_purpose

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
    "ExactDecimal": {
        "type": "string",
        "maxLength": exactdecimal.LONGEST,
        "description": "A decimal number as text, kept to the last digit: 0.95, 1e-7.",
    },
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
    "ExactDecimal": "0.95",
    "Float64": "0.9736",
    "Licence": "CC-BY-4.0",
    "Ref": "model-version:net:1",
    "OrgId": "LabMSP",
    "Name": "wdbc",
    "Role": "auditor",
    "Territory": "US-WI",
    "Iri": "https://w3id.org/dpv#ScientificResearch",
    "CommitId": "5f" * 20,
    "ClientId": "u-7f3a",
}

_DIGEST: Schema = {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "The digest that was examined; the recorded one by default.",
}
_PURPOSE: Schema = {
    "type": "string",
    "description": "The purpose's IRI, or its name: `research`, or the title that it was registered with.",
    "examples": ["https://w3id.org/dpv#ScientificResearch"],
}


class Components:
    """The named schemas of one document; each is made when it is first referred to."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def body(self, operation: Operation) -> Schema:
        """The JSON body of an operation: its command's fields, without those that the path decides."""
        body = operation.body
        if body is None:
            raise TypeError(f"{operation.name} takes no JSON")
        schema = self._members(COMMANDS[body.command])
        if names_purpose(body.command):
            schema["properties"]["purpose"] = _PURPOSE
        if body.examined:
            schema["properties"]["digest"] = _DIGEST
        schema["properties"] = {name: each for name, each in schema["properties"].items() if name not in body.bound}
        schema["required"] = [name for name in schema["required"] if name not in (*body.bound, *body.filled)]
        return self._named(operation.name[0].upper() + operation.name[1:], schema)

    def answer(self, answer: Answer) -> Schema:
        """What is answered."""
        match answer.form:
            case "outcome":
                return self._outcome(answer.kinds)
            case "entry":
                return self._entry(answer.kinds[0])
            case "page":
                return self._page(answer.kinds[0])
            case "document":
                return self.record(answer.kinds[0])
            case "report":
                return self.report(answer.kinds[0])
            case "file":
                return {}

    def record(self, kind: str) -> Schema:
        """A document of the ledger as it is: its kind, its schema's version, and its fields."""
        thing = codec.KINDS[kind]
        schema = self._members(thing)
        schema["properties"] = {"kind": {"const": kind}, "schema": {"type": "integer"}, **schema["properties"]}
        schema["required"] = ["kind", "schema", *schema["required"]]
        return self._named(thing.__name__, schema)

    def report(self, name: str) -> Schema:
        """A component of the gateway's own, and those that it refers to."""
        if name not in self.schemas:
            self.schemas[name] = REPORTS[name]
            self._follow(REPORTS[name])
        return reference(name)

    def choice(self, name: str, choices: tuple[str, ...]) -> Schema:
        """One of a few words, as a component of that name."""
        return self._named("".join(map(str.capitalize, name.split("_"))), {"type": "string", "enum": list(choices)})

    def _follow(self, schema: Schema) -> None:
        """Make what a report refers to; parts of records come with them."""
        for name in _REFERENCE.findall(json.dumps(schema)):
            kind = _KIND_OF.get(name.removesuffix("Entry"))
            if name in REPORTS:
                self.report(name)
            elif name in OUTCOMES:
                self._outcome(OUTCOMES[name])
            elif kind is not None and name.endswith("Entry"):
                self._entry(kind)
            elif kind is not None:
                self.record(kind)

    def _entry(self, kind: str) -> Schema:
        return self._named(
            f"{codec.KINDS[kind].__name__}Entry",
            {**_object({"record": self.record(kind), **self._whence()}), "required": ["record"]},
        )

    def _whence(self) -> Schema:
        return {"transaction": self.report("Transaction"), "source": self.report("Source"), "height": HEIGHT}

    def _page(self, kind: str) -> Schema:
        items = {"type": "array", "items": self._entry(kind)}
        page = _object({"items": items, "next": {"type": ["string", "null"]}, **COUNT})
        return self._named(f"{codec.KINDS[kind].__name__}Page", page)

    def _outcome(self, kinds: tuple[str, ...]) -> Schema:
        records = [self.record(kind) for kind in kinds]
        outcome = _object(
            {
                "record": records[0] if len(records) == 1 else {"anyOf": records},
                "event": self.report("Event"),
                "transaction": self.report("Transaction"),
            }
        )
        beside = BESIDE.get(kinds, {})
        self._follow(beside)
        outcome["properties"] |= beside
        return self._named(outcome_of(kinds), outcome)

    def _named(self, name: str, schema: Schema) -> Schema:
        if self.schemas.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are called {name}")
        return reference(name)

    def _members(self, thing: type) -> Schema:
        hints = get_type_hints(thing)
        properties: Schema = {}
        required: list[str] = []
        for definition in dataclasses.fields(thing):
            name = definition.metadata.get("name", definition.name)
            properties[name] = self._value(hints[definition.name])
            optional = type(None) in get_args(hints[definition.name])
            if definition.default is dataclasses.MISSING and not optional:
                required.append(name)
        return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}

    def _value(self, hint: Any) -> Schema:
        if get_origin(hint) in {Union, types.UnionType}:
            hint = next(arm for arm in get_args(hint) if arm is not type(None))
        if get_origin(hint) is tuple:
            return {"type": "array", "items": self._value(get_args(hint)[0])}
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            # A record inside another one does not say its kind again.
            name = f"{hint.__name__}Fields" if issubclass(hint, values.Record) else hint.__name__
            return self._named(name, self._members(hint))
        return self._scalar(hint)

    def _scalar(self, hint: type) -> Schema:
        if issubclass(hint, Enum):
            words = [choice.value for choice in hint]
            return self._named(hint.__name__, {"type": "string", "enum": words})
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

    def example(self, schema: Mapping[str, Any]) -> Any:
        """A value that a schema of ours admits: of an object its required fields, of an array one item."""
        if "$ref" in schema:
            return self.example(self.schemas[schema["$ref"].rpartition("/")[2]])
        if "enum" in schema:
            return schema["enum"][0]
        if "examples" in schema:
            return schema["examples"][0]
        if schema["type"] == "object":
            return {name: self.example(schema["properties"][name]) for name in schema["required"]}
        if schema["type"] == "array":
            return [self.example(schema["items"])]
        return {"boolean": True, "integer": 1}.get(schema["type"], "text")


_REFERENCE = re.compile(r'"#/components/schemas/(\w+)"')
_KIND_OF = {thing.__name__: kind for kind, thing in codec.KINDS.items()}


def _object(properties: Schema) -> Schema:
    """An object all of whose members are there."""
    return {"type": "object", "required": list(properties), "properties": properties}
