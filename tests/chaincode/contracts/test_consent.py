# SPDX-License-Identifier: Apache-2.0
"""Consent through the contracts: the map follows what subjects say, step by proven step, and nothing else."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaincode.domain import errors, sparsemerkle
from chaincode.domain.consent import (
    FOLLOWS,
    MOST_CHANGES,
    PERMITTING,
    STATUSES,
    ChangeConsent,
    ConsentMap,
    ConsentMapVersion,
    ConsentStatus,
    Indication,
    MarkSelections,
    OpenConsent,
    SelectionMark,
    SubjectChange,
    mark_selections,
)
from chaincode.domain.lineage import Ancestry, Impact
from chaincode.domain.marking import Chosen, Known
from chaincode.domain.provenance import Dataset, DatasetVersion, LawfulBasis
from chaincode.domain.purposes import PURPOSES, Purpose, RegisterPurpose
from chaincode.domain.records import Consent
from chaincode.domain.selection import CommitSelection, MapState, Selection
from chaincode.domain.taint import Cause, Taint
from chaincode.domain.values import (
    SKEW,
    Blob,
    Count,
    Digest,
    Instant,
    Iri,
    Name,
    Number,
    OrgId,
    Purposes,
    Ref,
    SignedInstant,
    Text,
    dataset_version_ref,
)
from tests.harness.sparsemap import proof_of, root_of

HOSPITAL, LAB = "HospitalMSP", "LabMSP"
GIVEN, WITHDRAWN = ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN


def subject(number: int) -> Digest:
    return Digest(sha256(b"subject %d" % number).digest())


def said(status: ConsentStatus, at: int, purposes: int = 3) -> Indication:
    return Indication(status, Purposes(purposes), SignedInstant(at))


class Controller:
    """Keeps the map of one data set, as its owner does, and asks the ledger to follow it."""

    def __init__(self, world, subjects: int = 3) -> None:
        self.world = world
        world.dataset(HOSPITAL, "ward", basis=LawfulBasis.CONSENT)
        self.held = {subject(number): said(GIVEN, 1_000) for number in range(subjects)}
        world.submit(HOSPITAL, OpenConsent(Name("ward"), self.root, Count(subjects)))

    @property
    def values(self) -> dict[bytes, bytes]:
        return {bytes(key): held.value() for key, held in self.held.items()}

    @property
    def root(self) -> Digest:
        return Digest(root_of(self.values))

    @property
    def head(self) -> ConsentMap:
        return self.world.read(ConsentMap, "ward")

    def change(self, *changes: tuple[Digest, Indication]) -> ChangeConsent:
        """The command for these changes, one after the other, with the proof of each."""
        made, values = [], self.values
        for key, new in changes:
            proof = proof_of(values, key)
            old = self.held.get(key)
            other = Blob(proof.leaf) if old is None and proof.leaf else None
            made.append(SubjectChange(key, new, Blob(proof.siblings), old, other))
            values[bytes(key)] = new.value()
        head = self.head
        return ChangeConsent(Name("ward"), Number(head.number + 1), head.root, tuple(made))

    def submit(self, *changes: tuple[Digest, Indication]) -> dict:
        event = self.world.submit(HOSPITAL, self.change(*changes))
        self.held.update(dict(changes))
        return event

    def refused(self, *changes: tuple[Digest, Indication]) -> errors.LedgerError:
        return self.world.refused(HOSPITAL, self.change(*changes))


@pytest.fixture
def ward(world):
    return Controller(world)


# --- The map ----------------------------------------------------------------------------------------------------


def test_a_map_is_opened_with_the_root_over_its_subjects(ward, world):
    assert world.shown("consent-map", "ward") == {
        "kind": "consent-map", "schema": 1, "dataset": "ward", "owner": HOSPITAL, "number": 1, "root": str(ward.root),
        "size": 3, "changed_at": world.at,
    }  # fmt: skip
    assert world.shown("consent-map-version", "ward", 1) == {
        "kind": "consent-map-version", "schema": 1, "dataset": "ward", "number": 1, "owner": HOSPITAL,
        "root": str(ward.root), "size": 3, "at": world.at, "changed": 0, "counts": [],
    }  # fmt: skip


def test_a_map_is_opened_once_by_its_owner_and_where_consent_is_the_basis(ward, world):
    again = OpenConsent(Name("ward"), ward.root, Count(3))
    assert world.refused(HOSPITAL, again).code == "already-exists"
    assert world.refused(LAB, again).code == "not-the-owner"
    assert world.refused(HOSPITAL, replace(again, dataset=Name("none"))).code == "not-found"
    world.dataset(HOSPITAL, "task", basis=LawfulBasis.PUBLIC_TASK)
    assert world.refused(HOSPITAL, replace(again, dataset=Name("task"))) == errors.NotOnConsent(
        "dataset:task", "public-task"
    )
    world.dataset(HOSPITAL, "hipaa", basis=LawfulBasis.HIPAA_AUTHORISATION)
    world.submit(HOSPITAL, replace(again, dataset=Name("hipaa")))


@pytest.mark.parametrize(("root", "size"), [(bytes(32), 1), (b"\x01" * 32, 0)])
def test_a_root_without_subjects_is_zero_and_no_other_is(world, root, size):
    world.dataset(HOSPITAL, "ward", basis=LawfulBasis.CONSENT)
    refusal = world.refused(HOSPITAL, OpenConsent(Name("ward"), Digest(root), Count(size)))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/root")


def test_a_withdrawal_makes_a_version_whose_root_the_law_computes(ward, world):
    before = ward.root
    event = ward.submit((subject(1), said(WITHDRAWN, 2_000)))
    assert event == {
        "name": "ConsentChanged", "schema": 1, "dataset": "ward", "owner": HOSPITAL, "number": 2,
        "root": str(ward.root), "changed": 1,
    }  # fmt: skip
    version = world.read(ConsentMapVersion, "ward", 2)
    assert (version.previous_root, version.root, version.size) == (before, ward.root, 3)
    assert [(found.status, found.count) for found in version.counts] == [(WITHDRAWN, 1)]
    assert world.read(ConsentMapVersion, "ward", 1).root == before


def test_new_subjects_join_beside_nothing_and_beside_others(world):
    ward = Controller(world, subjects=0)
    for number in range(6):
        ward.submit((subject(number), said(GIVEN, 1_000)))
    assert (ward.head.size, ward.head.root) == (6, ward.root)


def test_many_subjects_are_changed_at_once_and_501_are_not(world):
    ward = Controller(world, subjects=0)
    joined = [(subject(number), said(GIVEN, 1_000)) for number in range(100)]
    ward.submit(*joined)
    assert (ward.head.size, ward.head.root) == (100, ward.root)
    command = ward.change((subject(0), said(WITHDRAWN, 2_000)))
    refusal = world.refused(HOSPITAL, replace(command, changes=command.changes * (MOST_CHANGES + 1)))
    assert (refusal.code, refusal.pointer) == ("too-large", "/changes")


STATUS = st.sampled_from(STATUSES)
BATCH = st.lists(st.tuples(st.integers(0, 7), STATUS, st.integers(-2, 5)), min_size=1, max_size=4)


@given(batches=st.lists(BATCH, max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_the_map_is_what_was_granted(make_world, batches):
    world = make_world()
    world.found()
    ward = Controller(world, subjects=4)
    for batch in batches:
        changes = [(subject(number), said(status, 1_000 + at)) for number, status, at in batch]
        before = ward.root
        fine = len({key for key, _ in changes}) == len(changes) and all(
            new != (old := ward.held.get(key))
            and new.status in FOLLOWS[None if old is None else old.status]
            and (old is None or new.indicated_at >= old.indicated_at)
            for key, new in changes
        )
        if fine:
            ward.submit(*changes)
        else:
            ward.refused(*changes)
        assert ward.head.root == (ward.root if fine else before)
        assert ward.head.size == len(ward.held)


# --- Refusals ---------------------------------------------------------------------------------------------------


def test_of_two_changes_at_once_one_wins_and_the_other_is_given_the_root_to_build_on(ward, world):
    first, second = (ward.change((subject(number), said(WITHDRAWN, 2_000))) for number in (0, 1))
    one, other = world.simulate(HOSPITAL, first), world.simulate(HOSPITAL, second)
    assert world.commit(one)
    assert not world.commit(other)
    ward.held[subject(0)] = said(WITHDRAWN, 2_000)
    assert world.refused(HOSPITAL, second) == errors.MapMoved("consent-map:ward", 2, str(ward.root))
    ward.submit((subject(1), said(WITHDRAWN, 2_000)))
    assert ward.head.number == 3


@pytest.mark.parametrize("change", [{"number": Number(3)}, {"number": Number(1)}, {"previous_root": Digest(bytes(32))}])
def test_a_change_follows_the_version_that_is_the_last(ward, world, change):
    command = replace(ward.change((subject(0), said(WITHDRAWN, 2_000))), **change)
    assert world.refused(HOSPITAL, command) == errors.MapMoved("consent-map:ward", 1, str(ward.root))


def test_only_the_owner_changes_a_map_that_is_there(ward, world):
    command = ward.change((subject(0), said(WITHDRAWN, 2_000)))
    assert world.refused(LAB, command).code == "not-the-owner"
    world.dataset(HOSPITAL, "new", basis=LawfulBasis.CONSENT)
    assert world.refused(HOSPITAL, replace(command, dataset=Name("new"))).reference == "consent-map:new"
    assert world.refused(HOSPITAL, replace(command, dataset=Name("none"))).reference == "dataset:none"


def test_a_change_changes_something_and_each_subject_once(ward, world):
    command = ward.change((subject(0), said(WITHDRAWN, 2_000)))
    assert world.refused(HOSPITAL, replace(command, changes=())).pointer == "/changes"
    assert world.refused(HOSPITAL, replace(command, changes=command.changes * 2)).code == "repeated-entry"
    assert ward.refused((subject(0), said(GIVEN, 1_000))).pointer == "/changes/0/new"
    assert ward.refused((subject(9), said(GIVEN, 1)), (subject(0), said(GIVEN, 1_000))).pointer == "/changes/1/new"


def test_what_a_subject_had_is_proven(ward, world):
    command = ward.change((subject(0), said(WITHDRAWN, 2_000)))
    (change,) = command.changes
    lied = replace(change, old=said(GIVEN, 1_000, purposes=7))
    assert world.refused(HOSPITAL, replace(command, changes=(lied,))) == errors.ConsentProofFails(
        0, "the path leads to another root"
    )
    absent = replace(change, old=None)
    assert world.refused(HOSPITAL, replace(command, changes=(absent,))).code == "consent-proof-fails"
    both = replace(change, other=Blob(b"x" * 49))
    assert world.refused(HOSPITAL, replace(command, changes=(both,))).pointer == "/changes/0/other"
    wide = replace(change, siblings=Blob(bytes(sparsemerkle.DEPTH * 32 + 1)))
    assert world.refused(HOSPITAL, replace(command, changes=(wide,))).pointer == "/changes/0/siblings"


def test_a_withdrawal_is_not_older_than_the_consent_nor_in_the_future(ward, world):
    assert ward.refused((subject(0), said(WITHDRAWN, 999))) == errors.ConsentBackdated(0, 999, 1_000)
    late = ward.refused((subject(0), said(WITHDRAWN, world.at + SKEW + 1)))
    assert (late.code, late.pointer) == ("dated-in-the-future", "/changes/0/new/indicated_at")
    ward.submit((subject(0), said(WITHDRAWN, world.at + SKEW)), (subject(9), said(GIVEN, -1)))


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_one_status_follows_another_as_the_table_says(world, before, after):
    ward = Controller(world, subjects=0)
    ward.submit((subject(0), said(before, 1_000)))
    if after in FOLLOWS[before]:
        ward.submit((subject(0), said(after, 2_000, purposes=1)))
    else:
        refusal = ward.refused((subject(0), said(after, 2_000, purposes=1)))
        assert refusal == errors.ConsentStatusCannotFollow(0, after, before)


def test_statuses_have_the_bytes_of_the_leaves_and_two_permit():
    assert [STATUSES.index(status) for status in STATUSES] == [Consent[status.name] for status in STATUSES]
    assert {GIVEN, ConsentStatus.RENEWED} == PERMITTING
    assert Counter(WITHDRAWN in after for after in FOLLOWS.values())[True] == 4
    assert not {status for status in STATUSES if status not in FOLLOWS}


# --- Selections -------------------------------------------------------------------------------------------------


def test_a_change_marks_the_selections_that_hold_its_subjects_once(ward, world):
    version = world.dataset_version(HOSPITAL, "ward")
    chosen = CommitSelection(dataset_version_ref("ward", 1), Name("train"), version.root, version.size)
    world.submit(HOSPITAL, chosen)
    train = Ref("selection:ward:1:train")
    for number, key in ((2, 0), (3, 1)):
        changed = subject(key), said(WITHDRAWN, 2_000)
        world.submit(HOSPITAL, replace(ward.change(changed), affects=(train,)))
        ward.held.update([changed])
        assert ward.head.number == number
    assert world.read(SelectionMark, train).number == 2
    part = replace(chosen, selection=Name("part"), parent=train)
    world.submit(HOSPITAL, part)
    path = (Ref("selection:ward:1:part"), train)
    assert world.read(Selection, "ward", 1, "part").tainted_by == (Taint(Cause.WITHDRAWN, path),)
    for question in (Ancestry(path[0]), Impact(train)):
        nodes = {node["reference"]: node for node in world.ask(question)["nodes"]}
        assert nodes[path[0]]["review_path"] == list(path)
        assert [(node["quarantined"], node.get("withdrawn")) for node in (nodes[train], nodes[path[0]])] == [
            (False, True), (False, None),
        ]  # fmt: skip
    command = ward.change((subject(2), said(WITHDRAWN, 2_000)))
    assert world.refused(HOSPITAL, replace(command, affects=(train, train))).code == "repeated-entry"
    absent = Ref("selection:ward:1:test")
    assert world.refused(HOSPITAL, replace(command, affects=(absent,))).reference == absent
    for other in ("dataset-version:ward:1", "selection:other:1:train"):
        assert world.refused(HOSPITAL, replace(command, affects=(Ref(other),))).pointer == "/affects/0"


CARE = PURPOSES[3][1]
OWN_IRI = Iri("https://hospital.example/purposes#Cohort7")
ELSEWHERE = Iri("https://lab.example/purposes#Nobodys")


def chosen_for(ward: Controller, world, name: str, purpose: Iri | None) -> Ref:
    """A selection of the whole version for a purpose, made from the map as it is."""
    head, version = ward.head, world.read(DatasetVersion, "ward", 1)
    state = None if purpose is None else MapState(head.number, head.root)
    whole = dataset_version_ref("ward", 1)
    world.submit(
        HOSPITAL,
        CommitSelection(whole, Name(name), version.root, version.size, purpose=purpose, consent_map=state),
    )
    return Ref(f"selection:ward:1:{name}")


def marked(world) -> set[Ref]:
    return {record.selection for record in world.records() if isinstance(record, SelectionMark)}


@pytest.fixture
def chosen(ward, world):
    """A selection for each kind of purpose, after the organisation's own was registered."""
    world.dataset_version(HOSPITAL, "ward")
    world.submit(HOSPITAL, RegisterPurpose(Number(32), OWN_IRI))
    purposes = {"research": PURPOSES[0][1], "care": CARE, "own": OWN_IRI, "elsewhere": ELSEWHERE, "none": None}
    return {name: chosen_for(ward, world, name, purpose) for name, purpose in purposes.items()}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (said(GIVEN, 1_000, 1 | 1 << 32), said(GIVEN, 2_000, 1), {"own", "elsewhere", "none"}),
        (said(GIVEN, 1_000, 1 | 1 << 32), said(GIVEN, 2_000, 1 << 32), {"research", "elsewhere", "none"}),
        (said(GIVEN, 1_000, 1 | 1 << 32), said(ConsentStatus.RENEWED, 2_000, 1 | 1 << 32), {"elsewhere", "none"}),
        (said(GIVEN, 1_000, 1), said(WITHDRAWN, 2_000, 0), {"research", "care", "own", "elsewhere", "none"}),
        (said(WITHDRAWN, 1_000, 0), said(GIVEN, 2_000, 1), {"elsewhere", "none"}),
        (None, said(ConsentStatus.EXPIRED, 2_000, 0), {"research", "care", "own", "elsewhere", "none"}),
        (None, said(GIVEN, 2_000, 1), {"elsewhere", "none"}),
    ],
)
def test_only_selections_for_what_is_no_longer_permitted_are_marked(ward, world, chosen, before, after, expected):
    number = 2
    if before is not None:
        ward.submit((subject(7), before))
        number = 3
    command = ward.change((subject(7), after))
    world.submit(HOSPITAL, replace(command, affects=tuple(chosen.values())))
    assert {name for name, each in chosen.items() if each in marked(world)} == expected
    ended = world.read(ConsentMapVersion, "ward", number).ended
    assert {name for name in ("research", "care", "own") if ended >> {"care": 3, "own": 32}.get(name, 0) & 1} == {
        *expected
    } - {"elsewhere", "none"}


def test_what_a_change_did_not_name_is_marked_afterwards(ward, world, chosen):
    ward.submit((subject(7), said(GIVEN, 1_000, 1 | 1 << 32)), (subject(8), said(GIVEN, 1_000, 1)))
    ward.submit((subject(7), said(GIVEN, 2_000, 1)))
    marking = MarkSelections(Name("ward"), Number(3), (chosen["research"], chosen["own"]))
    assert world.submit(HOSPITAL, marking)["marked"] == 1
    assert marked(world) == {chosen["own"]}
    assert world.read(SelectionMark, chosen["own"]).number == 3
    assert world.refused(HOSPITAL, marking).pointer == "/selections"
    assert world.refused(LAB, marking).code == "not-the-owner"
    assert world.refused(HOSPITAL, replace(marking, number=Number(9))).reference == "consent-map-version:ward:9"
    assert world.refused(HOSPITAL, replace(marking, number=Number(1))).pointer == "/number"
    assert world.refused(HOSPITAL, replace(marking, selections=())).pointer == "/selections"
    assert world.refused(HOSPITAL, replace(marking, dataset=Name("other"))).reference == "dataset:other"
    later = chosen_for(ward, world, "later", OWN_IRI)
    assert world.refused(HOSPITAL, replace(marking, selections=(later,))).pointer == "/selections/0"


def test_a_version_that_does_not_say_what_ended_may_have_ended_anything():
    owner, when = OrgId(HOSPITAL), Instant(5)
    version = ConsentMapVersion(
        Name("ward"), Number(2), owner, when, Digest(bytes(32)), Count(0), Count(1), (), Digest(bytes(32))
    )
    dataset = Dataset.__new__(Dataset)
    object.__setattr__(dataset, "owner", owner)
    object.__setattr__(dataset, "basis", LawfulBasis.CONSENT)
    named = Ref("selection:ward:1:care")
    outcome = mark_selections(
        MarkSelections(Name("ward"), Number(2), (named,)),
        by=owner, at=when, dataset=dataset, version=version,
        known=Known({named: Chosen(CARE, Number(1))}, set(), ()),
    )  # fmt: skip
    assert outcome.writes == (SelectionMark(named, owner, Number(2), when),)


# --- Purposes ---------------------------------------------------------------------------------------------------

OWN = RegisterPurpose(Number(32), Iri("https://hospital.example/purposes#Cohort7"), Text("Cohort 7"))


def test_each_organisation_gives_its_own_bits_a_meaning(world):
    assert world.submit(HOSPITAL, OWN)["bit"] == 32
    assert world.submit(LAB, OWN)["owner"] == LAB
    assert world.read(Purpose, HOSPITAL, 32).title == "Cohort 7"
    world.submit(HOSPITAL, RegisterPurpose(Number(63), Iri("https://hospital.example/purposes#Cohort8")))


@pytest.mark.parametrize("change", [{"bit": Number(33)}, {"iri": Iri("https://hospital.example/purposes#Other")}])
def test_a_meaning_is_given_once(world, change):
    world.submit(HOSPITAL, OWN)
    refusal = world.refused(HOSPITAL, replace(OWN, **change))
    assert refusal.code == "already-exists"
    assert "#Cohort7" in refusal.reference


@pytest.mark.parametrize("bit", [1, 31, 64])
def test_bits_that_are_everybodys_are_not_an_organisations(world, bit):
    assert world.refused(HOSPITAL, replace(OWN, bit=Number(bit))).pointer == "/bit"


def test_everybodys_purposes_are_not_registered_again(world):
    refusal = world.refused(HOSPITAL, replace(OWN, iri=PURPOSES[1][1]))
    assert (refusal.pointer, refusal.reason) == ("/iri", "everybody has this purpose as bit 1")
    assert len({iri for _, iri in PURPOSES}) == len({name for name, _ in PURPOSES}) == len(PURPOSES) <= 32
