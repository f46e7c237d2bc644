# SPDX-License-Identifier: Apache-2.0
"""Records: whoever holds one and its path proves that it was there, with this consent, and nothing else."""

from dataclasses import replace
from hashlib import sha256

import pytest

from chaincode.domain import merkle
from chaincode.domain.errors import InclusionProofFails
from chaincode.domain.provenance import Change, DatasetVersion, LeafSchema
from chaincode.domain.records import Consent, RecordProof, SelectionProof, verify_record, verify_selected
from chaincode.domain.selection import LeftOut, Selection
from chaincode.domain.spdx import Licence
from chaincode.domain.values import Blob, Count, Digest, Instant, Name, Number, OrgId, Purposes, Ref, Text

RECORDS = [(sha256(b"salt %d" % index).digest()[:16], b"id-%d" % index, b"row %d" % index) for index in range(5)]
TREE = merkle.Tree(merkle.record_hashes((*record, merkle.record_tail(Consent.GIVEN, 3)) for record in RECORDS))
VERSION = DatasetVersion(
    dataset=Name("wdbc"),
    number=Number(1),
    owner=OrgId("HospitalMSP"),
    committed_at=Instant(0),
    licence=Licence("CC-BY-4.0"),
    root=Digest(TREE.root()),
    size=Count(5),
    leaf_schema=LeafSchema.RECORD_V1,
    change=Change.FIRST,
    parent_root=None,
    card=None,
    derivation=None,
    note=None,
)


def proof(index):
    salt, identifier, content = RECORDS[index]
    return RecordProof(
        version=Ref("dataset-version:wdbc:1"),
        index=Count(index),
        size=Count(5),
        salt=Blob(salt),
        id_digest=Digest(sha256(salt + b"\x00" + identifier).digest()),
        content_digest=Digest(sha256(salt + b"\x01" + content).digest()),
        consent=Count(Consent.GIVEN),
        purposes=Purposes(3),
        path=tuple(map(Digest, TREE.inclusion(index))),
    )


@pytest.mark.parametrize("index", range(5))
def test_every_record_is_proven(index):
    verify_record(proof(index), VERSION)


@pytest.mark.parametrize(
    "change",
    [
        {"version": Ref("dataset-version:wdbc:2")},
        {"size": Count(4)},
        {"index": Count(2)},
        {"index": Count(5)},
        {"salt": Blob(bytes(16))},
        {"salt": Blob(bytes(15))},
        {"id_digest": Digest(bytes(32))},
        {"content_digest": Digest(bytes(32))},
        {"consent": Count(Consent.WITHDRAWN)},
        {"consent": Count(9)},
        {"purposes": Purposes(7)},
        {"path": ()},
    ],
)
def test_nothing_in_a_proof_can_be_changed(change):
    with pytest.raises(InclusionProofFails):
        verify_record(replace(proof(1), **change), VERSION)


SUBJECT = sha256(b"subject").digest()
ABOUT = merkle.Tree(
    merkle.subject_record_hashes((*record, SUBJECT, merkle.record_tail(Consent.GIVEN, 3)) for record in RECORDS)
)
VERSION_2 = replace(VERSION, leaf_schema=LeafSchema.RECORD_V2, root=Digest(ABOUT.root()))


def proof_about(index):
    return replace(
        proof(index),
        subject_digest=Digest(sha256(RECORDS[index][0] + b"\x02" + SUBJECT).digest()),
        path=tuple(map(Digest, ABOUT.inclusion(index))),
    )


@pytest.mark.parametrize("index", range(5))
def test_a_record_is_proven_with_the_subject_that_it_is_about(index):
    verify_record(proof_about(index), VERSION_2)
    with pytest.raises(InclusionProofFails, match="another root"):
        verify_record(replace(proof_about(index), subject_digest=Digest(bytes(32))), VERSION_2)


def test_a_leaf_of_one_schema_is_not_taken_for_one_of_the_other():
    with pytest.raises(InclusionProofFails, match="pedigree-record/v2"):
        verify_record(proof(0), VERSION_2)
    with pytest.raises(InclusionProofFails, match="pedigree-record/v1"):
        verify_record(proof_about(0), VERSION)


# --- Selections -------------------------------------------------------------------------------------------------

CHOSEN = (0, 1, 3)
PART = merkle.Tree(b"".join(ABOUT.leaf(index) for index in CHOSEN))
SELECTION = Selection(
    dataset=Name("wdbc"),
    number=Number(1),
    selection=Name("training"),
    owner=OrgId("HospitalMSP"),
    committed_at=Instant(0),
    root=Digest(PART.root()),
    size=Count(3),
    parent=None,
    purpose=None,
    role=None,
    left_out=(LeftOut(Text("held out"), Count(2)),),
    note=None,
)


def selected(place):
    path = tuple(map(Digest, PART.inclusion(place)))
    return SelectionProof(Ref("selection:wdbc:1:training"), Count(place), Count(3), path)


@pytest.mark.parametrize("place", range(3))
def test_a_record_is_proven_in_a_selection_by_the_leaf_that_it_has_in_the_version(place):
    verify_selected(selected(place), SELECTION, proof_about(CHOSEN[place]), VERSION_2)


@pytest.mark.parametrize("index", [2, 4])
def test_a_record_that_was_left_out_is_in_no_place_of_a_selection(index):
    for place in range(3):
        with pytest.raises(InclusionProofFails, match="another root"):
            verify_selected(selected(place), SELECTION, proof_about(index), VERSION_2)


@pytest.mark.parametrize(
    "change",
    [
        {"selection": Ref("selection:wdbc:1:test")},
        {"selection": Ref("selection:wdbc:2:training")},
        {"index": Count(0)},
        {"index": Count(3)},
        {"size": Count(5)},
        {"path": ()},
    ],
)
def test_nothing_in_a_proof_of_selection_can_be_changed(change):
    with pytest.raises(InclusionProofFails):
        verify_selected(replace(selected(1), **change), SELECTION, proof_about(1), VERSION_2)


def test_a_record_is_in_the_version_that_the_selection_is_from():
    other = replace(SELECTION, number=Number(2))
    with pytest.raises(InclusionProofFails, match="another version"):
        verify_selected(
            replace(selected(1), selection=Ref("selection:wdbc:2:training")), other, proof_about(1), VERSION_2
        )
    with pytest.raises(InclusionProofFails, match="another root"):
        verify_selected(selected(1), SELECTION, replace(proof_about(1), content_digest=Digest(bytes(32))), VERSION_2)
