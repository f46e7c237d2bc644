# SPDX-License-Identifier: Apache-2.0
"""Records, commands, queries, answers and events as canonical JSON, and back.

Every document says what it is: ``kind`` (the class name in kebab case; ``name``, in CamelCase, for an event) and
``schema``. ``from_json(to_json(x)) == x`` for everything in `KINDS`. What is not known is refused with
the place where it stands, never guessed and never skipped. A field that is None is left out; digests are hexadecimal,
bytes are base64, instants are milliseconds since 1970.
"""

import dataclasses
import re
import types
from collections.abc import Hashable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from chaincode.domain.canonical import Json, encode, escape, parse
from chaincode.domain.errors import (
    InvalidField,
    LicenceMalformed,
    LicenceUnknown,
    MissingField,
    NotNormalised,
    TooLarge,
    UnknownField,
    UnknownKind,
    UnknownSchema,
)
from chaincode.domain.register import COMMANDS, KIND_OF, QUESTIONS, RECORDS, SENT_OFF_CHAIN, locate
from chaincode.domain.values import Answer, Blob, Command, Event, Query, Record, Ref

SCHEMA: Final = 1
"""The schema version of everything but records, whose rows in the register name theirs."""
MAX_ITEMS: Final = 1_024
"""The longest list, and the most bytes in base64, where a field does not say otherwise."""

Document = Record | Command | Query | Answer | Event
D = TypeVar("D", bound=Document)


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def _documents() -> dict[str, type[Document]]:
    actions = [action for kind in RECORDS for action in kind.actions]
    answers = [question.answers for question in QUESTIONS if issubclass(question.answers, Answer)]
    others = (*COMMANDS.values(), *(question.takes for question in QUESTIONS), *answers, *SENT_OFF_CHAIN)
    return {
        **{kind.name: kind.record for kind in RECORDS},
        **{_kebab(thing.__name__): thing for thing in others},
        **{event.__name__: event for action in actions for event in action.events},
    }


KINDS: Final[Mapping[str, type[Document]]] = types.MappingProxyType(_documents())
"""Every kind of document by its `kind`, or by its `name` for an event."""

_NAME_OF: Final = {thing: kind for kind, thing in KINDS.items()}


def kind_of(document: Document | type[Document]) -> str:
    """What `document` (or its class) calls itself in JSON."""
    return _NAME_OF[document if isinstance(document, type) else type(document)]


def _schema_of(thing: type[Document]) -> int:
    return KIND_OF[thing].schema if issubclass(thing, Record) else SCHEMA


def to_json(document: Document) -> bytes:
    """The canonical bytes of a document."""
    return encode(to_plain(document))


def from_json(data: bytes) -> Document:
    """Read any document; a `Malformed` refusal names the field that is wrong."""
    return from_plain(parse(data))


def read(expected: type[D], data: bytes) -> D:
    """Read a document of one class; `UnknownKind` for any other."""
    document = from_json(data)
    if not isinstance(document, expected):
        raise UnknownKind(kind_of(document))
    return document


def to_plain(document: Document) -> dict[str, Json]:
    """A document as plain JSON values, with its ``kind`` or ``name``, and its ``schema``."""
    label = "name" if isinstance(document, Event) else "kind"
    return {label: kind_of(document), "schema": _schema_of(type(document)), **_members(document)}


def from_plain(value: Json) -> Document:
    """Read a document from plain JSON values."""
    if not isinstance(value, dict):
        raise InvalidField("", "it must be an object")
    members = dict(value)
    label = "kind" if "kind" in members else "name"
    kind, schema = members.pop(label, None), members.pop("schema", None)
    if kind is None:
        raise MissingField("/kind")
    if schema is None:
        raise MissingField("/schema")
    if not isinstance(kind, str):
        raise UnknownKind("what is not text")
    thing = KINDS.get(kind)
    if thing is None or issubclass(thing, Event) is not (label == "name"):
        raise UnknownKind(escape(kind))
    if schema != _schema_of(thing) or isinstance(schema, bool):
        raise UnknownSchema(kind, schema if isinstance(schema, int) else -1)
    return cast("Document", _build(thing, members, ""))


# --- Out --------------------------------------------------------------------------------------------------------


def _members(thing: Any) -> dict[str, Json]:
    return {
        name: _plain(value)
        for name, attribute, _, _ in _fields(thing.__class__)
        if (value := getattr(thing, attribute)) is not None
    }


def _plain(value: object) -> Json:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return cast("Json", value.value)
    if hasattr(type(value), "parse"):
        return str(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    return dict(_members(value))


# --- In ---------------------------------------------------------------------------------------------------------


@cache
def _fields(thing: Hashable) -> tuple[tuple[str, str, Any, dataclasses.Field[Any]], ...]:
    """The JSON name, the attribute, the type and the definition of every field."""
    hints = get_type_hints(cast("type", thing))
    return tuple(
        (field.metadata.get("name", field.name), field.name, hints[field.name], field)
        for field in dataclasses.fields(cast("type[Any]", thing))
    )


def _build(thing: type, members: dict[str, Json], pointer: str) -> object:
    values: dict[str, object] = {}
    missing: list[str] = []
    for name, attribute, hint, definition in _fields(thing):
        where = f"{pointer}/{escape(name)}"
        if name in members:
            try:
                values[attribute] = _value(hint, members.pop(name), where, definition.metadata.get("max", MAX_ITEMS))
            except MissingField as exc:
                missing += exc.pointers
        elif type(None) in get_args(hint):
            values[attribute] = None
        elif definition.default is dataclasses.MISSING:
            missing.append(where)
    if missing:
        raise MissingField(missing[0], tuple(missing))
    for name in sorted(members):
        raise UnknownField(f"{pointer}/{escape(name)}")
    return thing(**values)


def _value(hint: Any, value: Json, pointer: str, most: int) -> object:
    if get_origin(hint) in {Union, types.UnionType}:
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint)[0], value, pointer, most)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InvalidField(pointer, "it must be an object")
        return _build(cast("type", hint), dict(value), pointer)
    made = _scalar(hint, value, pointer)
    if isinstance(made, Blob) and len(made) > most:
        raise TooLarge(pointer, most)
    return made


def _tuple(hint: Any, value: Json, pointer: str, most: int) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise InvalidField(pointer, "it must be an array")
    if len(value) > most:
        raise TooLarge(pointer, most)
    return tuple(_value(hint, item, f"{pointer}/{index}", MAX_ITEMS) for index, item in enumerate(value))


def _scalar(hint: Any, value: Json, pointer: str) -> object:
    if hint is bool:
        if not isinstance(value, bool):
            raise InvalidField(pointer, "it must be true or false")
        return value
    make = getattr(hint, "parse", hint)
    textual = make is not hint or issubclass(hint, str)
    if isinstance(value, bool) or not isinstance(value, str if textual else int):
        raise InvalidField(pointer, "it must be a string" if textual else "it must be an integer")
    try:
        made: object = make(value)
        if isinstance(made, Ref):
            locate(made)
        return made
    except InvalidField as refusal:
        raise InvalidField(pointer, refusal.reason) from None
    except NotNormalised:
        raise NotNormalised(pointer) from None
    except (LicenceMalformed, LicenceUnknown):
        raise
    except ValueError:
        raise InvalidField(pointer, "it must be " + _choices(hint)) from None


def _choices(hint: type[Enum]) -> str:
    return "one of " + ", ".join(str(choice.value) for choice in hint)
