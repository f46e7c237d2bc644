# SPDX-License-Identifier: Apache-2.0
"""Records as ledger entries, on what a contract uses of the chaincode stub.

A transaction does not see its own writes, a range read in a transaction that writes can be invalidated by a phantom,
and one event is carried: therefore everything is read by key first, and `Ledger.apply` comes last and once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar, cast

from chaincode.domain import codec
from chaincode.domain.errors import InvalidField, Malformed
from chaincode.domain.keypolicy import key_policy
from chaincode.domain.keys import key, key_of, written
from chaincode.domain.policy import Policy
from chaincode.domain.register import KIND_OF, Part, locate
from chaincode.domain.speakers import Tracing
from chaincode.domain.values import Digest, Instant, OrgId, Outcome, Record, Ref

R = TypeVar("R", bound=Record)

KeyCheck = Callable[[object, bytes, bytes], None]
"""Checks with a public key that a message bears a signature: (key, message, signature); raises `BadSignature`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Certificate(Protocol):
    """The certificate of the transaction's creator."""

    def public_key(self) -> object:
        """Its public key, opaque to contracts."""
        ...


class Client(Protocol):
    """Who signed the proposal; the peer has verified the signature and the certificate."""

    @property
    def msp_id(self) -> str:
        """The organisation."""
        ...

    @property
    def certificate(self) -> Certificate:
        """The certificate."""
        ...


class Entry(Protocol):
    """One ledger entry of a query."""

    @property
    def value(self) -> bytes:
        """The bytes of the value."""
        ...


class Stub(Protocol):
    """What contracts use of the chaincode stub: one transaction, its reads as of its start, its writes at its end."""

    @property
    def client(self) -> Client:
        """Who asks."""
        ...

    @property
    def channel_id(self) -> str:
        """The channel on which the transaction runs."""
        ...

    @property
    def transaction_id(self) -> str:
        """The transaction's id, 64 hexadecimal digits."""
        ...

    @property
    def timestamp(self) -> datetime:
        """When, as the client claims and this organisation's process has checked against its clock."""
        ...

    def get_states(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values under several keys, in their order, without this transaction's own writes; None for absence."""
        ...

    def start_write_batch(self) -> None:
        """Send later writes together, where the peer takes that."""
        ...

    def put_state(self, key: str, value: bytes) -> None:
        """Write a value when the transaction commits."""
        ...

    def set_state_validation_parameter(self, key: str, policy: bytes | str) -> None:
        """Give a key an endorsement policy of its own."""
        ...

    def set_event(self, name: str, payload: bytes) -> None:
        """Announce the transaction; the last call wins."""
        ...

    def get_state_by_partial_composite_key(
        self, object_type: str, parts: Sequence[str]
    ) -> AbstractContextManager[Iterable[Entry]]:
        """The entries under keys that begin so; only for queries."""
        ...


class CorruptEntryError(RuntimeError):
    """The ledger holds an entry that this program did not write; a fault to be looked into, never a refusal."""


@dataclass(frozen=True, slots=True)
class Site:
    """What one organisation's process was given beside the ledger."""

    check: KeyCheck
    trace: Tracing
    founders: frozenset[OrgId] | None
    """The members that it agreed to found the consortium with; None leaves that to the votes alone."""


class Ledger:
    """Reads records by key and writes an outcome; one for each call."""

    def __init__(self, stub: Stub, site: Site) -> None:
        self._stub = stub
        self.site = site

    @property
    def by(self) -> OrgId:
        """The organisation that asks."""
        return OrgId(self._stub.client.msp_id)

    @property
    def at(self) -> Instant:
        """When it asks; a proposal dated before 1970 is refused."""
        try:
            return Instant((self._stub.timestamp - _EPOCH) // timedelta(milliseconds=1))
        except InvalidField as refusal:
            raise InvalidField("/timestamp", refusal.reason) from None

    @property
    def channel(self) -> str:
        """The channel of this ledger."""
        return self._stub.channel_id

    @property
    def transaction(self) -> Digest:
        """The id of the transaction."""
        return Digest.parse(self._stub.transaction_id)

    @property
    def creator_key(self) -> object:
        """The public key of the transaction's creator."""
        return self._stub.client.certificate.public_key()

    def get(self, kind: type[R], *parts: Part) -> R | None:
        """The record of `kind` under these parts; None where there is none."""
        return self.get_each(kind, [parts])[0]

    def get_all(self, names: Iterable[tuple[type[Record], tuple[Part, ...]]]) -> list[Record | None]:
        """The records of several kinds under their parts, in their order, by one call of the peer."""
        wanted = list(names)
        values = self._stub.get_states([key(kind, *parts) for kind, parts in wanted]) if wanted else []
        return [None if value is None else _read(kind, value) for (kind, _), value in zip(wanted, values, strict=True)]

    def get_each(self, kind: type[R], names: Iterable[tuple[Part, ...]]) -> list[R | None]:
        """The records under several lists of parts, in their order."""
        return cast("list[R | None]", self.get_all((kind, parts) for parts in names))

    def cited(self, kind: type[R], references: Iterable[Ref]) -> dict[Ref, R]:
        """Those of the references that cite a record of `kind` and exist; `Record` for a record of whatever kind."""
        located = {reference: locate(reference) for reference in references}
        wanted = {ref: (row.record, parts) for ref, (row, parts) in located.items() if issubclass(row.record, kind)}
        found = zip(wanted, self.get_all(wanted.values()), strict=True)
        return {reference: cast("R", record) for reference, record in found if record is not None}

    def beginning(self, kind: type[R], *parts: Part) -> Iterable[R]:
        """Every record whose key begins with these parts; a range read, so for queries only."""
        with self._stub.get_state_by_partial_composite_key(codec.kind_of(kind), written(parts)) as entries:
            for entry in entries:
                yield _read(kind, entry.value)

    def apply(self, outcome: Outcome, *rows: Record) -> None:
        """Write what a rule decided, and the rows that go with it, and announce it.

        What an organisation guards gets its key's policy with each of its values. Reading the policy in force here is
        still a read of the state before this transaction, so it belongs to the loads although it comes after the rule.
        """
        guarded = [(key_of(record), org) for record in outcome.writes if (org := _guard(record)) is not None]
        in_force = self.get(Policy) if guarded else None
        policies = {org: key_policy(in_force, org) for org in dict.fromkeys(org for _, org in guarded)}
        for record in (*outcome.writes, *rows):
            self._stub.put_state(key_of(record), codec.to_json(record))
        for place, org in guarded:
            self._stub.set_state_validation_parameter(place, policies[org])
        self._stub.set_event(type(outcome.event).__name__, codec.to_json(outcome.event))


Load = Callable[[Ledger, Any], Mapping[str, object]]
"""What a rule needs beside the command, the caller and the time, by the names of its arguments."""


def _guard(record: Record) -> OrgId | None:
    """The organisation without whose peers a record cannot be changed."""
    field = KIND_OF[type(record)].guard
    return OrgId(getattr(record, field)) if field else None


def _read(kind: type[R], value: bytes) -> R:
    try:
        return codec.read(kind, value)
    except Malformed as exc:
        raise CorruptEntryError(f"an entry of kind {codec.kind_of(kind)} cannot be read: {exc.code}") from exc
