# SPDX-License-Identifier: Apache-2.0
"""Selections through the contracts: what is written, every refusal with its code, and lineage that leads through."""

import pytest

from chaincode.domain import errors
from chaincode.domain.lineage import Ancestry, Edge, Impact
from chaincode.domain.selection import CommitSelection, LeftOut
from chaincode.domain.usage import InputRole
from chaincode.domain.values import Count, Digest, Iri, Name, Ref, Text

HOSPITAL, LAB = "HospitalMSP", "LabMSP"
WDBC = Ref("dataset-version:wdbc:1")
PERMITTED, TRAINING = Ref("selection:wdbc:1:permitted"), Ref("selection:wdbc:1:training")
RESEARCH, CARE = Iri("https://w3id.org/dpv#ScientificResearch"), Iri("https://w3id.org/dpv#ServiceProvision")
ZERO = Digest(bytes(32))


@pytest.fixture
def clinic(world):
    """A world in which the hospital has committed ten records."""
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    return world


def some(world, name="permitted", size=8, left=None, **changes):
    """Some of the ten records; those that are missing were left out for one reason."""
    values = {
        "version": WDBC,
        "root": world.digest_of(f"{name}'s root"),
        "size": Count(size),
        "left_out": left_out(10 - size if left is None else left),
    }
    return CommitSelection(selection=Name(name), **(values | changes))


def left_out(count, reason="no consent for this purpose"):
    return (LeftOut(Text(reason), Count(count)),) if count else ()


def part(world, name="training", size=6, **changes):
    """A part of the eight records that are permitted."""
    return some(world, name, size, max(0, 8 - size), **({"parent": PERMITTED, "role": InputRole.TRAIN} | changes))


def test_a_selection_is_committed_and_a_part_of_it_is_for_the_same_purpose(clinic):
    event = clinic.submit(HOSPITAL, some(clinic, purpose=RESEARCH))
    assert (event["name"], event["selection"], event["size"]) == ("SelectionCommitted", PERMITTED, 8)
    clinic.submit(HOSPITAL, part(clinic))
    clinic.submit(HOSPITAL, part(clinic, "test", 2, role=InputRole.TEST, purpose=RESEARCH))
    shown = clinic.shown("selection", "wdbc", 1, "training")
    assert (shown["purpose"], shown["role"]) == (RESEARCH, "train")
    assert (shown["parent"], shown["owner"]) == (PERMITTED, HOSPITAL)
    assert shown["left_out"] == [{"reason": "no consent for this purpose", "count": 2}]
    assert clinic.shown("selection", "wdbc", 1, "test")["purpose"] == RESEARCH


def test_a_part_may_have_a_purpose_where_the_whole_has_none(clinic):
    clinic.submit(HOSPITAL, some(clinic, role=InputRole.TRAIN))
    clinic.submit(HOSPITAL, part(clinic, role=None, purpose=RESEARCH))
    assert clinic.shown("selection", "wdbc", 1, "training")["role"] == "train"
    assert "purpose" not in clinic.shown("selection", "wdbc", 1, "permitted")


def test_a_selection_may_hold_every_record(clinic):
    clinic.submit(HOSPITAL, some(clinic, size=10, root=clinic.digest_of("wdbc:1")))
    assert clinic.shown("selection", "wdbc", 1, "permitted")["left_out"] == []


def test_lineage_leads_through_selections_both_ways(clinic):
    clinic.submit(HOSPITAL, some(clinic))
    clinic.submit(HOSPITAL, part(clinic))
    assert Edge(WDBC, PERMITTED, Text("selected")) in clinic.records()
    up = clinic.ask(Ancestry(TRAINING))
    assert {node["reference"] for node in up["nodes"]} == {TRAINING, PERMITTED, WDBC}
    assert {node["reference"] for node in clinic.ask(Impact(WDBC))["nodes"]} == {TRAINING, PERMITTED, WDBC}


def test_only_the_owner_selects_and_each_name_once(clinic):
    refusal = clinic.refused(LAB, some(clinic))
    assert refusal == errors.NotTheOwner(WDBC, HOSPITAL, LAB)
    clinic.submit(HOSPITAL, some(clinic))
    assert clinic.refused(HOSPITAL, some(clinic, size=7)) == errors.AlreadyExists(PERMITTED)


@pytest.mark.parametrize("version", ["dataset-version:wdbc:2", "dataset:wdbc", "model-version:net:1"])
def test_a_selection_is_from_a_version_that_exists(clinic, version):
    assert clinic.refused(HOSPITAL, some(clinic, version=Ref(version))) == errors.RecordNotFound(version)


@pytest.mark.parametrize("parent", ["selection:wdbc:1:other", "dataset-version:wdbc:1"])
def test_a_part_is_of_a_selection_that_exists(clinic, parent):
    refusal = clinic.refused(HOSPITAL, part(clinic, parent=Ref(parent)))
    assert refusal == errors.ParentMissing(TRAINING, parent)


def test_a_part_is_of_a_selection_from_the_same_version(clinic):
    clinic.submit(HOSPITAL, some(clinic))
    clinic.dataset(HOSPITAL, "other")
    clinic.dataset_version(HOSPITAL, "other")
    refusal = clinic.refused(HOSPITAL, part(clinic, version=Ref("dataset-version:other:1")))
    assert refusal == errors.InvalidField("/parent", "it is not a selection from 'dataset-version:other:1'")


def test_a_part_contradicts_the_whole_in_nothing(clinic):
    clinic.submit(HOSPITAL, some(clinic, purpose=RESEARCH, role=InputRole.TRAIN))
    for changes, pointer in (({"purpose": CARE}, "/purpose"), ({"role": InputRole.TEST}, "/role")):
        refusal = clinic.refused(HOSPITAL, part(clinic, **changes))
        assert isinstance(refusal, errors.InvalidField)
        assert refusal.pointer == pointer


def test_a_selection_holds_no_more_than_there_is(clinic):
    assert clinic.refused(HOSPITAL, some(clinic, size=11, left=0)) == errors.SelectionOutOfRange(WDBC, 10)
    clinic.submit(HOSPITAL, some(clinic))
    assert clinic.refused(HOSPITAL, part(clinic, size=9, left_out=())) == errors.SelectionOutOfRange(PERMITTED, 8)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"size": 0}, "/size"),
        ({"size": 10}, "/root"),
        ({"root": "wdbc:1"}, "/root"),
        ({"left": 1}, "/left_out"),
        ({"left": 3}, "/left_out"),
        ({"left_out": ()}, "/left_out"),
        ({"left_out": (LeftOut(Text("a"), Count(2)), LeftOut(Text("b"), Count(0)))}, "/left_out/1/count"),
    ],
)
def test_root_size_and_reasons_go_together(clinic, changes, pointer):
    if "root" in changes:
        changes = {"root": clinic.digest_of(changes["root"])}
    refusal = clinic.refused(HOSPITAL, some(clinic, **changes))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == pointer


def test_each_reason_stands_once(clinic):
    twice = (LeftOut(Text("a"), Count(1)), LeftOut(Text("a"), Count(1)))
    assert clinic.refused(HOSPITAL, some(clinic, left_out=twice)) == errors.RepeatedEntry("/left_out", "a")


@pytest.mark.parametrize("text", ["", "dpv:Research", "https://", "https://w3id.org/dpv R", "https://a" + "x" * 240])
def test_a_purpose_is_a_term_by_its_iri(text):
    with pytest.raises(errors.InvalidField):
        Iri(text)


def test_two_selections_of_one_name_do_not_both_stand(clinic):
    first, second = (clinic.simulate(HOSPITAL, some(clinic, size=size)) for size in (8, 7))
    assert clinic.commit(first)
    assert not clinic.commit(second)
