# SPDX-License-Identifier: Apache-2.0
"""The records that a transaction wrote, read as the law reads them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chaincode.domain import codec
from chaincode.domain.errors import LedgerError
from chaincode.domain.idempotency import Idempotency
from chaincode.domain.keys import key_of
from chaincode.domain.register import KIND_OF, reference_to
from chaincode.domain.values import Record
from gateway.fabric.blocks import Transaction
from gateway.fabric.rwset import Write
from gateway.fabric.texts import said

__all__ = ["WrittenRecord", "written_by"]

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class WrittenRecord:
    """One write to the chaincode's own namespace."""

    key: str
    deleted: bool
    record: Record | None
    """`None` where it was deleted, and where it is not a record that the law knows, under that record's key."""
    value: bytes

    @property
    def reference(self) -> str | None:
        """How the record is cited, if it is of a kind that is."""
        cited = self.record is not None and KIND_OF[type(self.record)].reference
        return str(reference_to(self.record)) if cited and self.record is not None else None

    @property
    def of_request(self) -> bool:
        """Whether it is the chaincode's note of which request this was, which says nothing to people."""
        return isinstance(self.record, Idempotency)

    @property
    def name(self) -> str:
        """The parts of its key, as people are shown them."""
        return said(":".join(self.key.strip("\x00").split("\x00")))

    def __str__(self) -> str:
        if self.deleted:
            return f"{self.name}: deleted."
        if self.record is None:
            return f"{self.name}: {len(self.value)} bytes that cannot be read as the record of this key."
        return f"{self.name}: {said(codec.to_json(self.record).decode(), _LONGEST)}"

    def as_json(self) -> dict[str, Any]:
        """For programs; `record` is null where it is none that is known here."""
        record = None if self.record is None else codec.to_plain(self.record)
        return {"key": self.name, "reference": self.reference, "deleted": self.deleted, "record": record}


def written_by(transaction: Transaction, chaincode: str) -> Iterator[WrittenRecord]:
    """What a transaction wrote in public, in its order."""
    for namespace in transaction.namespaces:
        if namespace.namespace == chaincode:
            for write in namespace.writes:
                yield _read(write)


def _read(write: Write) -> WrittenRecord:
    if write.is_delete:
        return WrittenRecord(write.key, True, None, b"")
    try:
        found = codec.from_json(write.value)
    except LedgerError:
        found = None
    record = found if isinstance(found, Record) and key_of(found) == write.key else None
    return WrittenRecord(write.key, False, record, write.value)
