# SPDX-License-Identifier: Apache-2.0
"""Evidence of one subject's consent, checked with nothing but SHA-256: a path in a compact sparse Merkle tree.

A file is a JSON object of `kind`, `schema`, `channel`, `version` (the ledger's record of the version of the consent
map), `transaction`, `subject` (the reference, 32 random bytes), `status` and `proof`. A value in the map is
``status (1) ‖ purposes (8, big-endian) ‖ indicated at (8, big-endian, signed, milliseconds since 1970)``; how the tree
is hashed, and why no root has a proof of both a value and its absence, is in docs/guide/evidence.md.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Self

from pedigree.errors import InvalidEvidence, InvalidInput
from pedigree.fields import Fields, is_schema
from pedigree.given import compare, given_record, given_root, quoted, same_transaction
from pedigree.proofs import PURPOSES
from pedigree.registered import Named, Registered, given_purposes, named, registered_in
from pedigree.verdicts import lists_of, text_of

CONSENT_KIND: Final = "consent-evidence"
STATUSES: Final = (
    "ConsentUnknown", "ConsentRequested", "ConsentGiven", "RenewedConsentGiven", "ConsentRefused", "ConsentWithdrawn",
    "ConsentExpired", "ConsentInvalidated", "ConsentTerminated",
)  # fmt: skip
"""The states of consent by their byte (DPV profile of ISO/IEC TS 27560)."""
PERMITTING: Final = ("ConsentGiven", "RenewedConsentGiven")
"""The states under which the purposes are permitted."""
_HASH: Final = 32
_VALUE: Final = 17
_DEEPEST: Final = 256
_EMPTY: Final = bytes(_HASH)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = -62_135_596_800_000
_LATEST: Final = 253_402_300_799_999
"""Milliseconds since 1970 of the first instant of the year 1, and of the last one of the year 9999."""


class Indicated(NamedTuple):
    """What a subject indicated."""

    status: str
    purposes: int
    """Set of bits."""
    at: int
    """Milliseconds since 1970."""

    @property
    def value(self) -> bytes:
        """The 17 bytes in the map."""
        return bytes([STATUSES.index(self.status)]) + self.purposes.to_bytes(8) + self.at.to_bytes(8, signed=True)

    @property
    def permits(self) -> bool:
        """Whether anything is permitted."""
        return self.status in PERMITTING and self.purposes != 0


@dataclass(frozen=True, slots=True)
class ConsentEvidence:
    """What a file says, of the right form and not yet checked."""

    channel: str
    version: dict[str, Any]
    """The ledger's record of the map's version, as the file has it."""
    dataset: str
    number: int
    owner: str
    at: int
    root: bytes
    transaction: str
    block: int
    recorded_at: str
    subject: bytes
    indicated: Indicated | None
    """None: the file says that the subject is absent."""
    siblings: tuple[bytes, ...]
    """From the root downwards."""
    leaf: bytes
    registered: tuple[Registered, ...] = ()
    """What the file says of purposes that the controller registered."""

    @classmethod
    def of(cls, value: Any) -> Self:
        """Take a document apart; raises `InvalidEvidence` that names the field."""
        if not isinstance(value, dict) or value.get("kind") != CONSENT_KIND or not is_schema(value.get("schema")):
            raise InvalidEvidence(f"it is not a {CONSENT_KIND} of schema 1 (fields /kind and /schema)")
        members = "kind schema channel version transaction subject status proof"
        whole = Fields(value, "", members, optional="purposes", kind=CONSENT_KIND)
        version = whole.inner("version")
        version.expect("kind", "consent-map-version")
        transaction = whole.inner("transaction", "id block at")
        proof = whole.inner("proof", "siblings leaf")
        siblings = proof.blob("siblings")
        if len(siblings) % _HASH or len(siblings) > _DEEPEST * _HASH:
            raise InvalidEvidence(f"the field /proof/siblings must be base64 of at most {_DEEPEST} hashes of 32 bytes")
        leaf = proof.blob("leaf")
        if len(leaf) not in (0, _HASH + _VALUE):
            raise InvalidEvidence(f"the field /proof/leaf must be base64 of {_HASH + _VALUE} bytes, or empty")
        indicated = _indicated(whole.inner("status", "status purposes indicated_at")) if whole.has("status") else None
        return cls(
            channel=whole.text("channel"),
            version=version.value,
            dataset=version.text("dataset"),
            number=version.number("number", least=1),
            owner=version.text("owner"),
            at=version.number("at", most=_LATEST),
            root=version.digest("root"),
            transaction=transaction.text("id"),
            block=transaction.number("block"),
            recorded_at=transaction.text("at"),
            subject=whole.digest("subject"),
            indicated=indicated,
            siblings=tuple(siblings[at : at + _HASH] for at in range(0, len(siblings), _HASH)),
            leaf=leaf,
            registered=registered_in(whole, version.text("owner"), 0 if indicated is None else indicated.purposes),
        )


@dataclass(frozen=True, slots=True)
class ConsentVerdict:
    """What evidence of consent proves, what the ledger's answer adds, what the file says, and what nobody has shown."""

    verified: bool
    """Whether the root came from the caller; if not, the file agrees with itself only, which anyone can arrange."""
    subject: str
    """The subject's reference, in hex."""
    indicated: Indicated | None
    """None where the subject is shown to be absent from the map."""
    proven: tuple[str, ...]
    recorded: tuple[str, ...]
    said: tuple[str, ...]
    not_proven: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if not self.verified:
            return "The file agrees with itself only: no ledger confirms it yet."
        return f"Verified, under the root that you gave: {_state(self.indicated)}."

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        shown = "Shown by SHA-256" + ("" if self.verified else ", for the root in this file only")
        return text_of(self.summary, self, f"{shown}:")

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        said = self.indicated
        return {
            "verified": self.verified,
            "verdict": "verified" if self.verified else "agrees-with-itself-only",
            "subject": self.subject,
            "status": None
            if said is None
            else {"status": said.status, "purposes": f"{said.purposes:016x}", "indicated_at": said.at},
            **lists_of(self),
        }


def verify_consent(
    evidence: Any,
    *,
    root: str | None = None,
    version: Mapping[str, Any] | None = None,
    purposes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
) -> ConsentVerdict:
    """Check evidence of a subject's consent offline; raises `InvalidEvidence` where it is refuted or malformed.

    Args:
        evidence: the document, as `consent_proof` gives it or `read_evidence` reads it.
        root: the root of the map's version in hex, read from a ledger that the caller trusts.
        version: instead, the ledger's answer for the version (`Pedigree.consent_version`). Every field of the file's
            version must be as it says.
        purposes: the ledger's answer for purposes that organisations registered (`Pedigree.purposes`), or several; what
            the bits 32 to 63 mean is then said by the ledger, and else by the file.

    Without either the verdict is not `verified`. Raises `InvalidInput` where what the caller gave is malformed.
    """
    record = None if version is None else given_record(version, "consent-map-version", "version of a consent map")
    if record is not None and root is not None:
        raise InvalidInput("give the version, or its root, and not both", field="version")
    anchor = given_root(root if record is None else record.get("root"))
    found = ConsentEvidence.of(evidence)
    check_consent(found)
    if anchor is not None and anchor != found.root.hex():
        raise InvalidEvidence(f"its version has the root {found.root.hex()}, and the root that you gave is {anchor}")
    if record is not None:
        compare(found.version, record)
    said = {"id": found.transaction, "block": found.block, "at": found.recorded_at}
    placed = same_transaction(said, version)
    bits = 0 if found.indicated is None else found.indicated.purposes
    names = named(bits, found.owner, found.registered, given_purposes(purposes))
    return _verdict(found, names, anchored=anchor is not None, whole=record is not None, placed=placed)


def check_consent(found: ConsentEvidence) -> None:
    """Whether the path shows, under the root of the file's version, what the file says; raises `InvalidEvidence`."""
    key, value = found.leaf[:_HASH], found.leaf[_HASH:]
    own = value if key == found.subject else None
    if found.indicated is None and own is not None:
        raise InvalidEvidence("it says that the subject is absent, and its path ends at the subject's own leaf")
    if found.indicated is not None and own is None:
        raise InvalidEvidence("it says what the subject indicated, and its path does not end at the subject's leaf")
    if found.indicated is not None and found.indicated.value != own:
        raise InvalidEvidence("it says something else of the subject than the leaf at the end of its path")
    if key and _shared_bits(key, found.subject) < len(found.siblings):
        raise InvalidEvidence("the leaf at the end of its path does not belong on that path")
    if found.siblings and found.siblings[-1] == _EMPTY:
        raise InvalidEvidence("its path ends deeper than a compact tree reaches")
    end = hashlib.sha256(b"\x00" + found.leaf).digest() if found.leaf else _EMPTY
    if _fold(found.subject, found.siblings, end) != found.root:
        raise InvalidEvidence("its path leads to another root than the version's")


def time_of(milliseconds: int) -> str:
    """An instant of the years 1 to 9999 (milliseconds since 1970) in RFC 3339, to the millisecond."""
    at = _EPOCH + timedelta(milliseconds=milliseconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _indicated(fields: Fields) -> Indicated:
    fields.expect("status", *STATUSES)
    purposes = int(fields.matching("purposes", "[0-9a-f]{16}", "16 lower-case hexadecimal digits"), 16)
    at = fields.number("indicated_at", least=_EARLIEST, most=_LATEST)
    return Indicated(fields.text("status"), purposes, at)


def _shared_bits(one: bytes, other: bytes) -> int:
    """How many turns two references have in common from the root on."""
    return 8 * _HASH - (int.from_bytes(one) ^ int.from_bytes(other)).bit_length()


def _fold(reference: bytes, siblings: Sequence[bytes], end: bytes) -> bytes:
    """The root that the hash at the end of a reference's path leads to; 0 in the reference is left, 1 is right."""
    result = end
    for depth in range(len(siblings) - 1, -1, -1):
        turned = reference[depth >> 3] >> (7 - (depth & 7)) & 1
        pair = siblings[depth] + result if turned else result + siblings[depth]
        result = hashlib.sha256(b"\x01" + pair).digest()
    return result


def _state(indicated: Indicated | None) -> str:
    if indicated is None:
        return "the subject is not in the map, and nothing is permitted"
    if indicated.permits:
        return f"{indicated.status} for {named_purposes(indicated.purposes)}"
    return f"{indicated.status}, and nothing is permitted"


def _verdict(found: ConsentEvidence, names: Named, *, anchored: bool, whole: bool, placed: bool) -> ConsentVerdict:
    where = f"under the root {found.root.hex()}"
    indicated = found.indicated
    proven = [f"Of the subject with the reference {found.subject.hex()}, {where}: {_state(indicated)}."]
    if indicated is not None:
        proven.append(f"The map says that the subject indicated it at {time_of(indicated.at)}.")
    if anchored:
        proven.append("That root is the one that you gave.")
    named = (
        f"The root is that of version {found.number} of the consent map of the data set {quoted(found.dataset)}, kept"
        f" by {quoted(found.owner)}, which held from {time_of(found.at)} until the next version."
    )
    place = (
        f"The transaction {quoted(found.transaction)} in block {found.block} recorded it, {quoted(found.recorded_at)}."
    )
    said: list[str] = []
    recorded: list[str] = []
    (recorded if whole else said).append(named)
    (recorded if placed else said).append(place)
    said.append(f"The channel is {quoted(found.channel)}.")
    recorded += names.recorded
    said += names.said
    return ConsentVerdict(
        verified=anchored,
        subject=found.subject.hex(),
        indicated=indicated,
        proven=tuple(proven),
        recorded=tuple(recorded),
        said=tuple(said),
        not_proven=tuple(_missing(anchored=anchored, whole=whole)),
    )


def _missing(*, anchored: bool, whole: bool) -> Iterable[str]:
    asked = "Read it from a gateway that you trust with `pedigree consent version NAME NUMBER --json`"
    if not anchored:
        yield f"That this root is on any ledger. {asked}, and give the answer with --ledger."
    elif not whole:
        yield f"Which version of which data set's map has this root. {asked}, and give the whole answer with --ledger."
    yield "That no later version of the map says something else: ask for the last one."
    yield "Which person has this reference: only the controller knows."
    yield "That the person said so: only that the controller recorded it."


def named_purposes(purposes: int) -> str:
    """The purposes of a set of bits in words."""
    bits = [bit for bit in range(64) if purposes >> bit & 1]
    return ", ".join(PURPOSES[bit] if bit < len(PURPOSES) else f"bit-{bit}" for bit in bits) or "no purpose"
