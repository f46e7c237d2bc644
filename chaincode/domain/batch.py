# SPDX-License-Identifier: Apache-2.0
"""Batches: several commands of one organisation in one transaction, each with a token of its own and its own outcome.

A batch is not a record and has no rule. What each of its commands may do is decided by that command's own rule, on what
the commands before it wrote.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from chaincode.domain.canonical import Json, encode, parse
from chaincode.domain.errors import InvalidField, UnknownKind, UnknownSchema
from chaincode.domain.values import Digest

FUNCTION: Final = "batch:record"
"""The function of the chaincode that takes one."""
EVENT: Final = "BatchRecorded"
"""What a transaction announces that records one; its `events` are those of the commands."""
OUTCOMES: Final = "outcomes"
"""What the function answers: a list with, for each command, its `token`, and `record` and `event` or a `refusal`."""
MOST: Final = 1_000
"""Commands in one batch."""
KIND: Final = "batch"
SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of a batch, not read yet: what is wrong with it is its own outcome."""

    token: Digest
    """What names the request that it came with."""
    command: Json


def document_of(entries: Iterable[Entry]) -> bytes:
    """The canonical JSON of a batch."""
    commands: list[Json] = [{"token": str(entry.token), "command": entry.command} for entry in entries]
    return encode({"kind": KIND, "schema": SCHEMA, "commands": commands})


def parse_batch(data: bytes) -> tuple[Entry, ...]:
    """The commands of a batch; refuses what is not a batch, names no token, or has more commands than there may be."""
    value = parse(data)
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise UnknownKind("something else than a batch")
    if set(value) != {"kind", "schema", "commands"}:
        raise InvalidField("", "a batch has a kind, a schema and commands, and nothing else")
    schema, commands = value["schema"], value["commands"]
    if schema != SCHEMA or isinstance(schema, bool):
        raise UnknownSchema(KIND, schema if isinstance(schema, int) else -1)
    if not isinstance(commands, list) or not 1 <= len(commands) <= MOST:
        raise InvalidField("/commands", f"it must be a list of 1 to {MOST}")
    return tuple(_entry(f"/commands/{place}", each) for place, each in enumerate(commands))


def _entry(pointer: str, value: Json) -> Entry:
    if not isinstance(value, dict) or set(value) != {"token", "command"}:
        raise InvalidField(pointer, "it must be an object with a token and a command")
    token = value["token"]
    try:
        return Entry(Digest.parse(token if isinstance(token, str) else ""), value["command"])
    except InvalidField as refusal:
        raise InvalidField(f"{pointer}/token", refusal.reason) from None
