# SPDX-License-Identifier: Apache-2.0
"""Evidence files, checked with no network: each check by the law's own code, and a verdict in plain words."""

from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from chaincode.domain import codec
from chaincode.domain.errors import InclusionProofFails, InvalidField, Malformed
from chaincode.domain.provenance import DatasetVersion
from chaincode.domain.records import RecordProof, verify_record

KIND, SCHEMA = "record-evidence", 1


class EvidenceRejected(ValueError):
    """The file does not prove what it says; the text says which check failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file proves and what it does not."""

    proven: tuple[str, ...]
    not_proven: tuple[str, ...]

    def text(self) -> str:
        """The verdict for people."""
        return "\n".join(
            [*(f"proven: {what}" for what in self.proven), *(f"not proven: {what}" for what in self.not_proven)]
        )

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return {"verified": True, "proven": list(self.proven), "not_proven": list(self.not_proven)}


def verify_evidence(evidence: dict[str, Any], *, root: str | None = None) -> Verdict:
    """Check a file of evidence; raises `EvidenceRejected`.

    Args:
        root: the version's root in hex, read from a ledger that the caller trusts; without it the file's own copy
            of the version is taken, and the verdict says so.
    """
    if evidence.get("kind") != KIND or evidence.get("schema") != SCHEMA:
        raise EvidenceRejected(f"this is no {KIND} of schema {SCHEMA}")
    try:
        version, proof = codec.from_plain(evidence.get("version")), codec.from_plain(evidence.get("proof"))
        record = evidence["record"]
        identifier, content = record["id"].encode(), b64decode(record["content"], validate=True)
    except (Malformed, KeyError, TypeError, AttributeError, ValueError) as exc:
        raise EvidenceRejected(f"the file is incomplete or malformed: {exc}") from None
    if not isinstance(version, DatasetVersion) or not isinstance(proof, RecordProof):
        raise EvidenceRejected("the file must hold a data set version and a record proof")
    _check_record(proof, identifier, content)
    try:
        verify_record(proof, version)
    except (InclusionProofFails, InvalidField) as exc:
        raise EvidenceRejected(str(exc)) from None
    if root is not None and root != str(version.root):
        raise EvidenceRejected(f"the version in this file has the root {version.root}, the ledger's is {root}")
    return _verdict(evidence, version, proof, record["id"], trusted=root is not None)


def _check_record(proof: RecordProof, identifier: bytes, content: bytes) -> None:
    if sha256(proof.salt + b"\x00" + identifier).digest() != proof.id_digest:
        raise EvidenceRejected("the record's id is not the one that the proof is about")
    if sha256(proof.salt + b"\x01" + content).digest() != proof.content_digest:
        raise EvidenceRejected("the record's content is not the one that the proof is about")


def _verdict(
    evidence: dict[str, Any], version: DatasetVersion, proof: RecordProof, record_id: str, *, trusted: bool
) -> Verdict:
    place = f"number {proof.index + 1} of {proof.size} under the root {version.root}"
    proven = [
        f"record {record_id!r}, with this content, is {place}",
        f"it was committed with consent state {int(proof.consent)} and purposes {proof.purposes}",
    ]
    missing = ["that a person gave this consent: only that the owner committed to it"]
    if trusted:
        proven.append(f"that root is version {version.number} of {version.dataset}, as the ledger that you read says")
    else:
        block = evidence.get("transaction", {}).get("block", "?")
        missing.insert(
            0,
            f"that this root stands on the ledger as version {version.number} of {version.dataset} (the file says:"
            f" block {block}); read it from a gateway that you trust and give it with --root",
        )
    return Verdict(tuple(proven), tuple(missing))
