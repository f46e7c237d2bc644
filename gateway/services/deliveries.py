# SPDX-License-Identifier: Apache-2.0
"""The data gateway: gives what was published to whom the ledger allowed it, once, while that is fresh.

The order of what is checked: (1) the statement is one, for this organisation and channel, and fresh; (2) the ledger of
this organisation has the attempt, as valid; (3) its grantee signed, by a certificate of the organisation or by the
recipient's key. From then on it is known who asks, and what becomes of it is kept: (4) the attempt is allowed, under a
grant of ours that is still in force, to download; (5) it is fresh and not used up; (6) the key is the one that the
grant names; (7) the statement was not taken before. A transaction's time says when the attempt was decided; one that
was held back and ordered later is as stale as one that is fetched later.

Before bytes leave, the log has that they are about to; what a crash leaves is therefore a log that says at least what
was given. Until everything was given the attempt may be begun again, which ends what was begun before.

What is given out is the very data that the attempt names, which is what the grant is of: a selection under a grant of
that selection, and nothing else of its version. Who has a grant of the version has all of it, and makes an attempt for
that.

Under a grant that is batched an attempt is read on for longer, and every read of it is decided anew and kept in another
log; see `reads`.
"""

import logging
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from chaincode.domain.reads import ReadPart
from chaincode.domain.values import Ref
from gateway.sealing import release
from gateway.sealing.blobs import BLOB_ID, Header, derived_key
from gateway.sealing.errors import SealError
from gateway.sealing.fetching import LARGEST as LARGEST
from gateway.sealing.fetching import Claim, check, key_digest
from gateway.sealing.streams import seal
from gateway.services.blobstores import BlobMissing, Opened, Publication
from gateway.services.catalogue import Catalogue
from gateway.services.deliverylog import MOST_BEGUN, REPLACED, Asked, Begun, Delivery, DeliveryLog, shown
from gateway.services.ports import Clock, Entry, Json
from gateway.services.publications import Vault
from gateway.services.reads import Reads, is_batched, until_of
from gateway.services.undelivered import (
    AttemptBegunTooOften,
    AttemptDenied,
    AttemptElsewhere,
    AttemptForProcessing,
    AttemptStale,
    AttemptUnknown,
    AttemptUsed,
    DataStopped,
    DeliveryReplaced,
    DeliveryUnknown,
    GrantStopped,
    KeyDiffers,
    NotPublished,
    NotTheGrantee,
    StatementElsewhere,
    StatementInvalid,
    StatementRepeated,
    StatementStale,
    Undelivered,
)

FRESH: Final = 120.0
"""Seconds within which an attempt may be fetched, and a statement is taken."""
_LOG = logging.getLogger(__name__)
_TOKEN: Final = 32
_PIECE: Final = 256 << 10
_STRETCH: Final = 1 << 20
"""Bytes that are noted first before they are sent; then twice as many each time."""
_LONGEST_STRETCH: Final = 16 << 20


class Refuted(Exception):
    """A certificate is not one of the organisation's, or did not sign; the text says why."""


class Members(Protocol):
    """Who belongs to which organisation of the channel."""

    def check(self, organisation: str, certificate: bytes, message: bytes, signature: bytes) -> str:
        """The SHA-256 of the certificate in DER, in hex, where it is the organisation's and signed the message.

        Raises `Refuted` otherwise.

        Args:
            certificate: PEM.
        """
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a delivery that are about to be sent."""

    start: int
    stop: int
    total: int
    pieces: Iterator[bytes]
    """Closing it notes what was sent."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose data gateway this is, and on which channel."""

    organisation: str
    channel: str


class Deliveries:
    """Checks who comes, and gives out."""

    def __init__(
        self,
        catalogue: Catalogue,
        vault: Vault,
        log: DeliveryLog,
        reads: Reads,
        members: Members,
        bundles: Callable[[Publication], Iterator[bytes]],
        place: Place,
        clock: Clock,
    ) -> None:
        """Assign.

        Args:
            bundles: what a copy of what was published is compared by.
        """
        self._catalogue = catalogue
        self._vault = vault
        self._log = log
        self._reads = reads
        self._members = members
        self._bundles = bundles
        self._place = place
        self._clock = clock

    def begin(self, content: bytes) -> Json:
        """Take a statement, and say what there is to read, with the released key; raises `Undelivered`."""
        now = self._clock()
        try:
            claim = self._claim(content, now)
            attempt = self._attempt(claim)
            grant = self._catalogue.find("access-grant", grant=attempt.value["grant"])
            asked = self._asked(claim, attempt.value, grant, now)
        except Undelivered as exc:
            _LOG.warning("nothing was given out: %s", exc.message)
            raise
        try:
            return self._begun(claim, asked, attempt.value, grant, now)
        except Undelivered as exc:
            _LOG.warning("nothing was given out to %s for %s: %s", asked.organisation, asked.attempt, exc.message)
            self._log.refused(asked, exc.code)
            raise

    def recipient(self, token: str) -> str:
        """The MSP id of who may read a delivery; raises `DeliveryUnknown`."""
        return self._known(token).asked.organisation

    def read(self, token: str, start: int | None, stop: int | None) -> Part:
        """Bytes of a delivery; a `start` of None counts `stop` from the end.

        Raises `DeliveryUnknown`, `DeliveryReplaced`, `ReadDenied`, `AttemptStale` or `GrantStopped`.
        """
        delivery = self._known(token)
        first, end = _range(start, stop, delivery.total)
        batched = self._may_read(delivery, ReadPart.CONTENT, first, end)
        source = Opened(self._vault.blobs, delivery.blob_id.hex())
        pieces = _read(delivery, source, first, end) if batched else self._sent(delivery, source, first, end)
        return Part(first, end, delivery.total, pieces)

    def bundle(self, token: str) -> Iterator[bytes]:
        """What the bytes are compared with the ledger by, sealed under a key that follows from the data key."""
        delivery = self._known(token)
        self._may_read(delivery, ReadPart.BUNDLE, 0, 0)
        publication = self._vault.publications.find(delivery.blob_id)
        if publication is None:
            raise NotPublished("what is being delivered was removed meanwhile; make another attempt")
        blob_id = secrets.token_bytes(BLOB_ID)
        key = derived_key(self._vault.key_of(publication), blob_id)
        return seal(key, Header.new(key, blob_id=blob_id), self._bundles(publication))

    def _known(self, token: str) -> Delivery:
        delivery = self._log.find(_hashed(token))
        if delivery is None:
            raise DeliveryUnknown("there is no such delivery")
        return delivery

    def _may_read(self, delivery: Delivery, part: ReadPart, start: int, stop: int) -> bool:
        """Refuse a delivery that may not be read now; whether it is read part by part, under a batched grant."""
        attempt = delivery.asked.attempt
        if delivery.outcome == REPLACED:
            raise DeliveryReplaced(f"another delivery was begun under the attempt {attempt}, in the place of this one")
        batched = self._reads.decide(delivery.asked, part, start, stop)
        now = self._clock()
        if now > delivery.until and batched:
            raise AttemptStale(f"the time to read on under the attempt {attempt} is over; make another one")
        if now > delivery.until:
            raise _stale(attempt, now - delivery.until + FRESH)
        made = self._catalogue.find("access-attempt", attempt=attempt)
        grant = None if made is None else self._catalogue.find("access-grant", grant=made.value["grant"])
        if made is None or grant is None:
            raise AttemptUnknown(f"this organisation's ledger has no valid attempt {attempt}")
        _refuse_stopped(grant)
        self._refuse_unfit(made.value)
        return batched

    def listed(self, *, before: int | None, limit: int) -> Json:
        """What was given out and refused, the last first; `next` continues."""
        found = self._log.list(before=before, limit=limit)
        return {"items": [shown(each) for each in found], "next": found[-1].key if len(found) == limit else None}

    def _claim(self, content: bytes, now: float) -> Claim:
        try:
            claim = Claim.parse(content)
        except SealError as exc:
            raise StatementInvalid(str(exc)) from None
        said = claim.statement
        place = self._place
        if (said.audience, said.channel) != (place.organisation, place.channel):
            raise StatementElsewhere(
                f"the statement is for {said.audience[:64]!r} on the channel {said.channel[:64]!r}, and this is "
                f"{place.organisation} on {place.channel}"
            )
        if abs(now - said.at / 1_000) > FRESH:
            raise StatementStale(
                f"the statement is {abs(now - said.at / 1_000):.0f} s from this gateway's clock, and is taken within "
                f"{FRESH:.0f}"
            )
        return claim

    def _attempt(self, claim: Claim) -> Entry:
        found = self._catalogue.find("access-attempt", attempt=claim.statement.attempt)
        if found is None:
            raise AttemptUnknown(f"this organisation's ledger has no valid attempt {claim.statement.attempt}")
        return found

    def _asked(self, claim: Claim, attempt: Json, grant: Entry | None, now: float) -> Asked:
        """Who asks, once that is proven."""
        by, said = str(attempt["by"]), claim.statement
        if claim.organisation:
            if claim.organisation != by:
                raise NotTheGrantee(f"{claim.organisation} asks, and {by} made the attempt")
            try:
                signer = self._members.check(by, claim.certificate, claim.message, claim.signature)
            except Refuted as exc:
                raise StatementInvalid(f"the statement is not signed by {by}: {exc}") from None
            return Asked(said.attempt, by, signer, said.nonce, now)
        named = None if grant is None else grant.value.get("recipient_key_digest")
        if named is None or key_digest(said.key) != named:
            raise NotTheGrantee("the statement is signed by a key that the grant does not name")
        try:
            check(claim, said.key)
        except SealError as exc:
            raise StatementInvalid(str(exc)) from None
        return Asked(said.attempt, by, named, said.nonce, now)

    def _begun(self, claim: Claim, asked: Asked, attempt: Json, grant: Entry | None, now: float) -> Json:
        self._allowed(asked, attempt, grant, now)
        if self._log.is_used(asked.attempt):
            raise _used(asked.attempt)
        publication = self._published(attempt)
        released = self._released(claim, attempt, publication)
        source = Opened(self._vault.blobs, publication.name)
        token = secrets.token_urlsafe(_TOKEN)
        batched = grant is not None and is_batched(grant)
        until = until_of(attempt, grant) if grant is not None and batched else attempt["at"] / 1_000 + FRESH
        match self._log.begin(asked, _hashed(token), publication.blob_id, source.size, until):
            case Begun.REPEATED:
                raise StatementRepeated("the statement was taken before; a new one has another nonce")
            case Begun.USED:
                raise _used(asked.attempt)
            case Begun.TOO_OFTEN:
                raise AttemptBegunTooOften(
                    f"{MOST_BEGUN} deliveries were begun under the attempt {asked.attempt}; make another attempt"
                )
            case Begun.BEGUN:
                pass
        return {
            "delivery": token,
            "attempt": asked.attempt,
            "grant": attempt["grant"],
            "artifact": attempt["artifact"],
            "channel": self._place.channel,
            "root": publication.root,
            "media_type": publication.media_type,
            "size": publication.size,
            "digest": publication.digest,
            "blob": publication.name,
            "sealed_size": source.size,
            "key": b64encode(released).decode(),
            "until": int(until * 1_000),
            "batched": batched,
        }

    def _allowed(self, asked: Asked, attempt: Json, grant: Entry | None, now: float) -> None:
        """Refuse what the ledger does not allow, or no longer does."""
        if attempt["decision"] != "allowed":
            raise AttemptDenied(f"the ledger has the attempt {asked.attempt} as denied: {attempt.get('reason')}")
        if attempt.get("owner") != self._place.organisation or grant is None:
            raise AttemptElsewhere(f"the data of the attempt {asked.attempt} is {attempt.get('owner', 'nobody')}'s")
        if attempt["action"] != "download":
            raise AttemptForProcessing(f"the attempt {asked.attempt} is to {attempt['action']}, not to download")
        age = now - attempt["at"] / 1_000
        if abs(age) > FRESH:
            raise _stale(asked.attempt, age)
        _refuse_stopped(grant)
        self._refuse_unfit(attempt)

    def _refuse_unfit(self, attempt: Json) -> None:
        """Refuse data that the ledger would not allow any more, for what became of it; asked before each read."""
        found = self._reads.condition(Ref(attempt["artifact"]))
        if found.withdrawn:
            raise DataStopped(f"subjects of {attempt['artifact']} took back their consent after the attempt")
        if found.quarantined:
            raise DataStopped(f"{attempt['artifact']} was quarantined after the attempt")

    def _published(self, attempt: Json) -> Publication:
        artifact = Ref(attempt["artifact"])
        key = dict(zip(("dataset", "number", "selection"), artifact.parts, strict=False))
        entry = self._catalogue.find(artifact.kind, **key)
        found = None if entry is None else self._vault.publications.of(artifact, entry.value["root"])
        if found is None:
            raise NotPublished(f"the bytes of {artifact} are not published; ask {self._place.organisation} for it")
        return found

    def _released(self, claim: Claim, attempt: Json, publication: Publication) -> bytes:
        named = attempt.get("recipient_key_digest")
        if named is not None and key_digest(claim.statement.key) != named:
            raise KeyDiffers("the grant names another key than the one that the data key is to be released to")
        purpose = release.Purpose(
            self._place.channel, attempt["grant"], claim.statement.attempt, publication.root, publication.blob_id
        )
        try:
            recipient = release.parse_public_key(claim.statement.key)
        except SealError as exc:
            raise KeyDiffers(str(exc)) from None
        return release.release(self._vault.key_of(publication), recipient, purpose)

    def _sent(self, delivery: Delivery, source: Opened, start: int, stop: int) -> Iterator[bytes]:
        """The bytes, each noted before it leaves; how far it came is noted too, however it ends."""
        part, at, leaving, noted, stretch = None, start, start, start, _STRETCH
        try:
            while at < stop:
                if at == noted:
                    noted = min(stop, at + stretch)
                    stretch = min(2 * stretch, _LONGEST_STRETCH)
                    part = self._log.promise(delivery.key, part, start, noted)
                    if part is None:
                        raise ConnectionAbortedError("the delivery was begun again in the place of this one")
                piece = source.read(at, min(_PIECE, noted - at))
                if not piece:
                    raise BlobMissing(f"the blob {delivery.blob_id.hex()} ends at byte {at} of {delivery.total}")
                leaving = at + len(piece)
                yield piece
                at = leaving
        finally:
            if part is not None:
                self._log.sent(delivery.key, part, at, leaving)


def _read(delivery: Delivery, source: Opened, start: int, stop: int) -> Iterator[bytes]:
    """The bytes of a read that was kept."""
    at = start
    while at < stop:
        piece = source.read(at, min(_PIECE, stop - at))
        if not piece:
            raise BlobMissing(f"the blob {delivery.blob_id.hex()} ends at byte {at} of {delivery.total}")
        yield piece
        at += len(piece)


def _hashed(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _stale(attempt: str, age: float) -> AttemptStale:
    return AttemptStale(
        f"the attempt {attempt} was decided {age:.0f} seconds ago, and is fetched within {FRESH:.0f}; make another one"
    )


def _used(attempt: str) -> AttemptUsed:
    return AttemptUsed(f"all that the attempt {attempt} allows was given out; make another attempt")


def _refuse_stopped(grant: Entry) -> None:
    if grant.value["status"] != "active":
        raise GrantStopped(f"the grant {grant.value['grant']} was {grant.value['status']} after the attempt")


def _range(start: int | None, stop: int | None, total: int) -> tuple[int, int]:
    if start is None:
        return max(0, total - (stop or 0)), total
    return min(start, total), total if stop is None else min(max(stop, start), total)
