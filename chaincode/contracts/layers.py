# SPDX-License-Identifier: Apache-2.0
"""A transaction in which commands see what those before them wrote, which the peer's own reads do not show.

What the peer is asked is answered as of the transaction's start, and a key at most once; what was written since lies
above that. All of it is written at the end, and one event with the events of all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Final

from chaincode.contracts.state import Client, Entry, Stub
from chaincode.domain import codec
from chaincode.domain.canonical import Json, encode, parse
from chaincode.domain.keys import key_of
from chaincode.domain.values import Record

_ROUNDS: Final = 8
"""How often all keys that commands ask for next are read together; what is asked for later is read when it is."""


class _Unread(Exception):
    """A rehearsal needs a key that was not read yet."""


class Step:
    """What one command wrote so far."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.policies: dict[str, bytes | str] = {}
        self.events: list[bytes] = []
        self.kept = False

    def keep(self) -> None:
        """Say that the command was not refused."""
        self.kept = True


class Layered:
    """Implements `Stub` for several commands, one after another."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._read: dict[str, bytes | None] = {}
        self._written = Step()
        self._step = Step()
        self._unread: dict[str, None] | None = None
        """Keys that a rehearsal asked for; None where reads go to the peer at once."""

    @cached_property
    def client(self) -> Client:
        return self._stub.client

    @property
    def channel_id(self) -> str:
        return self._stub.channel_id

    @property
    def transaction_id(self) -> str:
        return self._stub.transaction_id

    @cached_property
    def timestamp(self) -> datetime:
        return self._stub.timestamp

    def get_states(self, keys: Sequence[str]) -> list[bytes | None]:
        lacking = [key for key in dict.fromkeys(keys) if key not in self._written.values and key not in self._read]
        if lacking and self._unread is not None:
            self._unread.update(dict.fromkeys(lacking))
            raise _Unread
        if lacking:
            self._read.update(zip(lacking, self._stub.get_states(lacking), strict=True))
        return [found if (found := self._written.values.get(key)) is not None else self._read[key] for key in keys]

    def put_state(self, key: str, value: bytes) -> None:
        self._step.values[key] = value

    def set_state_validation_parameter(self, key: str, policy: bytes | str) -> None:
        self._step.policies[key] = policy

    def set_event(self, name: str, payload: bytes) -> None:
        self._step.events.append(payload)

    def get_state_by_partial_composite_key(
        self, object_type: str, parts: Sequence[str]
    ) -> AbstractContextManager[Iterable[Entry]]:
        return self._stub.get_state_by_partial_composite_key(object_type, parts)

    def start_write_batch(self) -> None:
        self._stub.start_write_batch()

    @contextmanager
    def step(self) -> Iterator[Step]:
        """One command: what it writes is shown to those after it where it was kept, and dropped where not."""
        made = self._step = Step()
        yield made
        if made.kept and self._unread is None:
            self._written.values.update(made.values)
            self._written.policies.update(made.policies)
            self._written.events += made.events

    def rehearse(self, commands: Iterable[Callable[[], object]]) -> None:
        """Read what commands will ask for, for all of them together; nothing that they do counts."""
        left = list(commands)
        for _ in range(_ROUNDS):
            self._unread = {}
            left = [command for command in left if not _comes_to_its_end(command)]
            wanted, self._unread = list(self._unread), None
            if not wanted:
                return
            self._read.update(zip(wanted, self._stub.get_states(wanted), strict=True))

    def write(self, event: str, rows: Iterable[Record]) -> None:
        """Write what the commands did, and the rows that go with it, and announce all of it by one event."""
        written = self._written
        if not written.values:
            return
        self._stub.start_write_batch()
        for key, value in written.values.items():
            self._stub.put_state(key, value)
        for row in rows:
            self._stub.put_state(key_of(row), codec.to_json(row))
        for key, policy in written.policies.items():
            self._stub.set_state_validation_parameter(key, policy)
        events: list[Json] = [parse(payload) for payload in written.events]
        self._stub.set_event(event, encode({"name": event, "schema": codec.SCHEMA, "events": events}))


def _comes_to_its_end(command: Callable[[], object]) -> bool:
    try:
        command()
    except _Unread:
        return False
    return True
