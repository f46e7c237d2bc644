# SPDX-License-Identifier: Apache-2.0
"""Many small reads of data under one attempt, and the lists of them that its owner commits to, checked by anyone.

`cryptography` has to be installed beside the SDK to read; it is imported by the call that needs it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from pedigree import merkle
from pedigree.deliveries import DeliveryCalls, data_key_of, named_holder, statement_of
from pedigree.errors import Disagreement, InvalidInput, NotFound, Refused
from pedigree.owners import Offer, OwnerGateway

if TYPE_CHECKING:
    import httpx

    from pedigree.documents import AccessBatch, AccessRead


class Reading:
    """Data under a batched grant, read in parts; each part is opened here, and kept as a read by its owner."""

    def __init__(self, owner: OwnerGateway, offer: Offer, key: bytes) -> None:
        from pedigree.sealing.errors import SealError
        from pedigree.sealing.streams import Blob

        self._owner = owner
        try:
            self._blob = Blob(key, _Remote(owner, offer))
        except SealError as exc:
            raise Disagreement(f"what came is not what the owner sealed: {exc}") from None
        self.size: int = self._blob.size
        """Bytes of the data."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection to the owner's gateway."""
        self._owner.close()

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """These bytes of the data, once they came and opened.

        Raises `Refused` with the code `read-denied` where the owner's gateway denies the read, which it keeps, and
        `Disagreement` for what is not what the owner sealed.
        """
        from pedigree.sealing.errors import SealError, WrongLength

        try:
            return b"".join(self._blob.read(start, length))
        except WrongLength as exc:
            raise InvalidInput(str(exc), field="start") from None
        except SealError as exc:
            raise Disagreement(f"what came is not what the owner sealed: {exc}") from None


class _Remote:
    """A sealed blob at its owner's gateway."""

    def __init__(self, owner: OwnerGateway, offer: Offer) -> None:
        self.size = offer.sealed_size
        self._owner = owner
        self._offer = offer

    def read(self, start: int, length: int) -> bytes:
        return self._owner.part(self._offer, start, min(start + length, self.size))


@dataclass(frozen=True, slots=True)
class AuditedRead:
    """A read in a list that its owner committed to, as somebody else found it."""

    batch: int
    """The list, by its number on the ledger."""
    index: int
    """Its place there."""
    read: "AccessRead | None"
    """What it says; None where nothing of it came, or it is none."""
    problem: str | None
    """What is wrong with it; None where its leaf leads to the root that this gateway's ledger has."""


class ReadCalls(DeliveryCalls):
    """Calls about reads that have no transaction each."""

    def open_reading(
        self, grant: str, source: str, *, key: Path | None = None, transport: "httpx.BaseTransport | None" = None
    ) -> Reading:
        """Make an attempt under a batched grant, and read what it allows from the owner's gateway part by part.

        Raises `Refused` with the code `access-denied` where the ledger denies the attempt, and `InvalidInput` for a
        grant that is not batched: that is for `fetch`.

        Args:
            source: the address of the owner's gateway.
            key: a file with the private key that the grant names, in PEM; without one your gateway signs.
            transport: of the connection to the owner, for tests.
        """
        terms: Any = self.access_grant(grant)["record"]
        if terms.get("batched") is not True:
            raise InvalidInput(f"the grant {grant} is not batched; fetch gives all of its data", field="grant")
        from pedigree.sealing.fetching import new_holder

        own = named_holder(terms, key)
        holder = own or new_holder()
        attempt: Any = self.attempt_access(
            grant=grant, artifact=terms["artifact"], action="download", purpose=terms["purpose"]
        ).record
        if attempt["decision"] != "allowed":
            raise Refused(
                f"the ledger denies the attempt {attempt['attempt']}: {attempt.get('reason')}",
                code="access-denied", facts={"reason": attempt.get("reason", "")},
            )  # fmt: skip
        owner = OwnerGateway(source, transport, security=self._transport.security)
        try:
            offer = owner.begin(statement_of(self, attempt, holder, signs=own is not None), attempt)
            return Reading(owner, offer, data_key_of(offer, attempt, holder))
        except BaseException:
            owner.close()
            raise

    def audit_reads(
        self, owner: str, source: str, *, transport: "httpx.BaseTransport | None" = None
    ) -> Iterator[AuditedRead]:
        """Every read in the lists that an owner committed to, from its gateway, each compared with your ledger.

        What was altered, left out or added since is among them, with what is wrong.

        Args:
            owner: the MSP id of the organisation whose data was read.
            source: the address of its gateway.
            transport: of the connection to it, for tests.
        """
        there = OwnerGateway(source, transport, security=self._transport.security)
        try:
            for entry in self.iterate_access_batches(owner=owner):
                yield from self._audited(there, entry["record"])
        finally:
            there.close()

    def _audited(self, there: OwnerGateway, batch: "AccessBatch") -> Iterator[AuditedRead]:
        number, size, index = int(batch["number"]), int(batch["size"]), 0
        asked: int | None = 0
        while asked is not None:
            envelope = dict(self.sign_read_list(batch["owner"], number))
            try:
                said = there.list_reads(envelope, asked)
                items, asked = list(said["items"]), said["next"]
                if asked is not None and (type(asked) is not int or asked != index + len(items) or not items):
                    raise ValueError("its pages do not follow on each other")
            except NotFound:
                items, asked = [], None
            except (KeyError, TypeError, ValueError) as exc:
                raise Disagreement(f"the gateway of {batch['owner']} answers no list of reads: {exc}") from None
            for item in items:
                yield _judged(item, index, batch)
                index += 1
        if index < size:
            yield AuditedRead(number, index, None, f"{size - index} of the {size} reads of list {number} are missing")


def _judged(item: Any, index: int, batch: "AccessBatch") -> AuditedRead:
    number, size = int(batch["number"]), int(batch["size"])
    try:
        leaf, path = str(item["leaf"]).encode(), [bytes.fromhex(each) for each in item["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), index, size, path, bytes.fromhex(batch["root"]))
        read = json.loads(leaf)
        if not isinstance(read, dict):
            raise ValueError("it says nothing")
    except (merkle.ProofError, KeyError, TypeError, ValueError, RecursionError) as exc:
        return AuditedRead(number, index, None, f"it is not in list {number} as the ledger has it: {exc}")
    return AuditedRead(number, index, cast("AccessRead", read), None)
