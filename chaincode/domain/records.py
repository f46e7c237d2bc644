# SPDX-License-Identifier: Apache-2.0
"""Single records of a data set version: their consent, and the proof that one was there."""

from dataclasses import dataclass, field
from enum import IntEnum

from chaincode.domain import merkle
from chaincode.domain.errors import InclusionProofFails
from chaincode.domain.provenance import DatasetVersion, LeafSchema
from chaincode.domain.selection import Selection, version_of
from chaincode.domain.values import Answer, Blob, Count, Digest, Purposes, Ref, dataset_version_ref, selection_ref


class Consent(IntEnum):
    """The consent states of the DPV profile of ISO/IEC TS 27560, by the byte that stands for each in a leaf."""

    UNKNOWN = 0
    REQUESTED = 1
    GIVEN = 2
    RENEWED = 3
    REFUSED = 4
    WITHDRAWN = 5
    EXPIRED = 6
    INVALIDATED = 7
    TERMINATED = 8


@dataclass(frozen=True, slots=True)
class RecordProof(Answer):
    """That a record is in a version: its leaf, its position and the path to the root; kept and sent off chain."""

    version: Ref
    index: Count
    size: Count
    salt: Blob
    id_digest: Digest
    """``SHA-256(salt ‖ 00 ‖ id)``."""
    content_digest: Digest
    """``SHA-256(salt ‖ 01 ‖ content)``."""
    consent: Count
    """The byte of a `Consent`."""
    purposes: Purposes
    path: tuple[Digest, ...] = field(metadata={"max": 64})
    subject_digest: Digest | None = None
    """``SHA-256(salt ‖ 02 ‖ subject reference)``; only under `LeafSchema.RECORD_V2`."""


@dataclass(frozen=True, slots=True)
class SelectionProof(Answer):
    """That a record is in a selection: the place of its leaf there and the path to the root; kept and sent off chain.

    The leaf is that of a `RecordProof`, which shows that the record is in the version.
    """

    selection: Ref
    index: Count
    """Its place among the records of the selection, which are in the order of the version."""
    size: Count
    path: tuple[Digest, ...] = field(metadata={"max": 64})


def verify_record(proof: RecordProof, version: DatasetVersion) -> None:
    """Show that the record of `proof` is in `version`, with that consent and those purposes; `InclusionProofFails`."""
    if proof.version != dataset_version_ref(version.dataset, version.number) or proof.size != version.size:
        raise InclusionProofFails("it speaks of another version or size")
    if len(proof.salt) != merkle.SALT or proof.consent > max(Consent):
        raise InclusionProofFails("its leaf is not of the version's schema")
    if (proof.subject_digest is None) is not (version.leaf_schema is LeafSchema.RECORD_V1):
        raise InclusionProofFails(f"leaves of {version.leaf_schema} have another form")
    _verify_leaf(_leaf_hash(proof), proof.index, version.size, proof.path, version.root)


def verify_selected(proof: SelectionProof, selection: Selection, record: RecordProof, version: DatasetVersion) -> None:
    """Show that the record of `record` is in `version` and, by the same leaf, in `selection`; `InclusionProofFails`."""
    verify_record(record, version)
    reference = selection_ref(selection.dataset, selection.number, selection.selection)
    if proof.selection != reference or proof.size != selection.size:
        raise InclusionProofFails("it speaks of another selection or size")
    if version_of(reference) != record.version:
        raise InclusionProofFails("the selection is from another version")
    _verify_leaf(_leaf_hash(record), proof.index, selection.size, proof.path, selection.root)


def _leaf_hash(proof: RecordProof) -> bytes:
    leaf = b"".join(
        (
            b"\x01" if proof.subject_digest is None else b"\x02",
            proof.salt,
            proof.id_digest,
            proof.content_digest,
            proof.subject_digest or b"",
            merkle.record_tail(proof.consent, proof.purposes),
        )
    )
    return merkle.leaf_hash(leaf)


def _verify_leaf(hashed: bytes, index: int, size: int, path: tuple[Digest, ...], root: bytes) -> None:
    try:
        merkle.verify_inclusion(hashed, index, size, path, root)
    except merkle.ProofError as exc:
        raise InclusionProofFails(str(exc)) from None
