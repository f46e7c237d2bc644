# SPDX-License-Identifier: Apache-2.0
"""Evidence files, checked with no network: each check by the law's own code, and a verdict in plain words."""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from chaincode.domain import codec
from chaincode.domain.errors import InclusionProofFails, InvalidField, Malformed
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.records import Consent, RecordProof, verify_record, verify_revealed
from chaincode.domain.values import Answer, Record

KIND, SCHEMA = "record-evidence", 1

_MEMBERS: Final[Mapping[str, type]] = {
    "kind": str,
    "schema": int,
    "channel": str,
    "version": dict,
    "transaction": dict,
    "proof": dict,
    "record": dict,
}
_TRANSACTION: Final[Mapping[str, type]] = {"id": str, "block": int, "at": str}
_RECORD: Final[Mapping[str, type]] = {"id": str, "content": str}
_NAMES: Final = {str: "text", int: "a whole number", dict: "an object"}
_D = TypeVar("_D", bound=Record | Answer)


class EvidenceRejected(ValueError):
    """The file does not prove what it says; the text names the field or the check that failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file proves, what it merely says and on whose word, and what it does not prove."""

    anchored: bool
    """Whether the root was given by the caller rather than taken from the file."""
    proven: tuple[str, ...]
    said: tuple[str, ...]
    not_proven: tuple[str, ...]

    def text(self) -> str:
        """The verdict for people."""
        head = (
            "The evidence holds." if self.anchored else "The file agrees with itself; no ledger stands behind it yet."
        )
        parts = (
            ("Proven by SHA-256, on nobody's word:", self.proven),
            ("Said, and only as good as who says it:", self.said),
            ("Not proven:", self.not_proven),
        )
        return "\n".join(
            [head, *(line for title, items in parts for line in (title, *(f"  - {item}" for item in items)))]
        )

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs; `anchored` says whether the root came from the caller."""
        return {
            "verified": True,
            "anchored": self.anchored,
            "proven": list(self.proven),
            "said": list(self.said),
            "not_proven": list(self.not_proven),
        }


def _bits(purposes: int) -> list[str]:
    return [f"bit-{bit}" for bit in range(64) if purposes >> bit & 1]


def verify_evidence(
    evidence: dict[str, Any], *, root: str | None = None, purpose_names: Callable[[int], Iterable[str]] = _bits
) -> Verdict:
    """Check a file of evidence; raises `EvidenceRejected`.

    Args:
        root: the version's root in hex, read from a ledger that the caller trusts; without it the file's own copy
            of the version is taken, and the verdict says so.
        purpose_names: what the purposes of a set are called; the law knows them as bits only.
    """
    if evidence.get("kind") != KIND or evidence.get("schema") != SCHEMA:
        raise EvidenceRejected(f"it is no {KIND} of schema {SCHEMA} (fields /kind and /schema)")
    _check_members(evidence, _MEMBERS, "")
    _check_members(evidence["transaction"], _TRANSACTION, "/transaction")
    _check_members(evidence["record"], _RECORD, "/record")
    version = _document(evidence["version"], DatasetVersion, "dataset-version", "/version")
    proof = _document(evidence["proof"], RecordProof, "record-proof", "/proof")
    try:
        verify_revealed(proof, *_revealed(evidence["record"]))
        verify_record(proof, version)
    except (InclusionProofFails, InvalidField) as exc:
        raise EvidenceRejected(str(exc)) from None
    if root is not None and root != str(version.root):
        raise EvidenceRejected(f"its version has the root {version.root}, and the root that you gave is {root}")
    return _verdict(evidence, version, proof, purpose_names(proof.purposes), anchored=root is not None)


def _check_members(value: Mapping[str, Any], expected: Mapping[str, type], place: str) -> None:
    for name in value:
        if name not in expected:
            raise EvidenceRejected(f"the field {place}/{name[:60]} is not one of a {KIND}")
    for name, kind in expected.items():
        if name not in value:
            raise EvidenceRejected(f"the field {place}/{name} is missing")
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise EvidenceRejected(f"the field {place}/{name} must be {_NAMES[kind]}")


def _document(value: dict[str, Any], expected: type[_D], kind: str, place: str) -> _D:
    try:
        document = codec.from_plain(value)
    except Malformed as exc:
        raise EvidenceRejected(f"in {place}: {exc}") from None
    if not isinstance(document, expected):
        raise EvidenceRejected(f"the field {place} must hold a {kind}")
    return document


def _revealed(record: Mapping[str, str]) -> tuple[bytes, bytes]:
    try:
        identifier = record["id"].encode()
    except UnicodeEncodeError:
        raise EvidenceRejected("the field /record/id is no text that UTF-8 can carry") from None
    try:
        return identifier, b64decode(record["content"], validate=True)
    except ValueError:
        raise EvidenceRejected("the field /record/content is not base64") from None


def _verdict(
    evidence: dict[str, Any], version: DatasetVersion, proof: RecordProof, purposes: Iterable[str], *, anchored: bool
) -> Verdict:
    transaction = evidence["transaction"]
    named = f"version {version.number} of the data set {version.dataset}"
    place = f"number {proof.index + 1} of the {proof.size} records under the root {version.root}"
    consent = Consent(proof.consent).name.lower()
    proven = [
        f"The record {evidence['record']['id']!r}, with exactly the content in this file, is {place}.",
        f"It stands there with the consent state {consent!r} for {', '.join(purposes) or 'no purpose'}.",
    ]
    elsewhere = f"channel {evidence['channel']}, block {transaction['block']}, {transaction['at']}, {transaction['id']}"
    said = [
        f"By {version.owner}, the owner: that this was the consent as it was collected.",
        f"By whoever wrote the file: {named}, licence {version.licence}; {elsewhere}.",
    ]
    missing = [
        "That a person gave this consent, and has not withdrawn it since.",
        "That what the record says is true: only that it is what the owner committed to.",
    ]
    if anchored:
        proven.append("That root is the one that you gave.")
        said.insert(0, f"By the ledger on which you read that root as {named}: that its organisations endorsed it.")
    else:
        missing.insert(
            0,
            f"That this root stands on any ledger as {named}. Read it with `pedigree dataset show {version.dataset}"
            f" {version.number}` from a gateway that you trust, and give it with --root.",
        )
    return Verdict(anchored, tuple(proven), tuple(said), tuple(missing))
