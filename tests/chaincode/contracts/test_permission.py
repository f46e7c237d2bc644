# SPDX-License-Identifier: Apache-2.0
"""What runs and evaluations may use through the contracts: selections, what was found in a copy, and purposes."""

from dataclasses import replace

import pytest

from chaincode.domain import errors, sparsemerkle
from chaincode.domain.consent import ChangeConsent, ConsentMap, ConsentStatus, Indication, OpenConsent, SubjectChange
from chaincode.domain.evaluation import RecordEvaluation
from chaincode.domain.float64 import Float64
from chaincode.domain.lineage import Ancestry, Edge, Impact
from chaincode.domain.provenance import LawfulBasis
from chaincode.domain.selection import CommitSelection, LeftOut, MapState
from chaincode.domain.training import Code, Environment, RecordRun
from chaincode.domain.usage import Found, InputRole, Metric, RunInput
from chaincode.domain.values import Blob, Count, Digest, Instant, Iri, Name, Number, Purposes, Ref, SignedInstant, Text

HOSPITAL, LAB = "HospitalMSP", "LabMSP"
WDBC, OTHER = Ref("dataset-version:wdbc:1"), Ref("dataset-version:other:1")
PERMITTED, TRAINING = Ref("selection:wdbc:1:permitted"), Ref("selection:wdbc:1:training")
RUN, JUDGED = Ref("run:r-1"), Ref("evaluation:e-1")
RESEARCH, CARE = Iri("https://w3id.org/dpv#ScientificResearch"), Iri("https://w3id.org/dpv#ServiceProvision")
ZERO = Digest(bytes(32))
PATIENT = Digest(b"\x07" * 32)
GIVEN = Indication(ConsentStatus.GIVEN, Purposes(1), SignedInstant(0))
WITHDRAWN = Indication(ConsentStatus.WITHDRAWN, Purposes(0), SignedInstant(1))
MAP = Ref("consent-map:wdbc")


@pytest.fixture
def clinic(world):
    """A world in which the hospital has selected from ten records, and the lab has a model."""
    return furnish(world)


@pytest.fixture(params=[LawfulBasis.CONSENT, LawfulBasis.HIPAA_AUTHORISATION])
def asked(world, request):
    """The same where patients gave the records."""
    return furnish(world, basis=request.param)


def furnish(world, **more):
    world.dataset(HOSPITAL, "wdbc", **more)
    world.dataset_version(HOSPITAL, "wdbc")
    if more:
        world.submit(HOSPITAL, OpenConsent(Name("wdbc"), root_of(GIVEN), Count(1)))
    return world


def root_of(said):
    """The root of the map of one patient, which is that patient's leaf."""
    return Digest(sparsemerkle.leaf_hash(PATIENT, said.value()))


def withdrawal():
    """The change with which the one patient withdraws; the proof of a single leaf has no siblings."""
    change = SubjectChange(PATIENT, WITHDRAWN, Blob(b""), GIVEN)
    return ChangeConsent(Name("wdbc"), Number(2), root_of(GIVEN), (change,))


def state(world):
    """The consent map as it is now."""
    head = world.read(ConsentMap, "wdbc")
    return MapState(head.number, head.root)


def selection(world, name="permitted", **changes):
    values = {
        "version": WDBC,
        "root": world.digest_of(name),
        "size": Count(8),
        "left_out": (LeftOut(Text("no consent"), Count(2)),),
    }
    return CommitSelection(selection=Name(name), **(values | changes))


def select(world, name="permitted", **changes):
    world.submit(HOSPITAL, selection(world, name, **changes))


def refused_selection(world, name="permitted", **changes):
    return world.refused(HOSPITAL, selection(world, name, **changes))


def used(world, name="permitted", **changes):
    values = {"root": world.digest_of(name), "selection": Ref(f"selection:wdbc:1:{name}")}
    return RunInput(WDBC, **(values | changes))


def run(world, *inputs, **changes):
    values = {"started": Instant(world.at - 1_000), "finished": world.at, "inputs": inputs}
    return RecordRun(run=Name("r-1"), code=Code(ZERO), environment=Environment(ZERO), **(values | changes))


def judge(world, data, **changes):
    world.model_version(LAB, "net")
    return RecordEvaluation(
        evaluation=Name("e-1"),
        subject=Ref("model-version:net:1"),
        digest=world.record_model_version("net").digest,
        data=data,
        metrics=(Metric(Text("auc"), Float64("0.99")),),
        evaluated_at=world.at,
        **changes,
    )


# --- Selections -------------------------------------------------------------------------------------------------


def test_lineage_leads_from_a_run_through_its_selection_to_the_version(clinic):
    select(clinic)
    clinic.submit(LAB, run(clinic, used(clinic)))
    assert Edge(PERMITTED, RUN, Text("input:train")) in clinic.records()
    assert Edge(WDBC, RUN, Text("input:train")) in clinic.records()
    assert {node["reference"] for node in clinic.ask(Ancestry(RUN))["nodes"]} == {RUN, PERMITTED, WDBC}
    assert {node["reference"] for node in clinic.ask(Impact(PERMITTED))["nodes"]} == {PERMITTED, RUN}
    assert clinic.shown("training-run", "r-1")["inputs"][0]["selection"] == PERMITTED


def test_several_selections_of_one_version_have_one_edge_to_it(clinic):
    select(clinic)
    select(clinic, "training")
    clinic.submit(LAB, run(clinic, used(clinic), used(clinic, "training"), used(clinic, role=InputRole.TEST)))
    assert Edge(WDBC, RUN, Text("input:train+test")) in clinic.records()
    assert Edge(TRAINING, RUN, Text("input:train")) in clinic.records()


def test_a_selection_is_read_once_in_each_role(clinic):
    select(clinic)
    refusal = clinic.refused(LAB, run(clinic, used(clinic), used(clinic)))
    assert refusal == errors.RepeatedEntry("/inputs", f"{PERMITTED} (train)")


def test_a_selection_is_there_and_from_the_version(clinic):
    refusal = clinic.refused(LAB, run(clinic, used(clinic)))
    assert refusal == errors.ParentMissing(RUN, PERMITTED)
    select(clinic)
    clinic.dataset(HOSPITAL, "other")
    clinic.dataset_version(HOSPITAL, "other")
    refusal = clinic.refused(LAB, run(clinic, replace(used(clinic), version=OTHER)))
    assert refusal == errors.InvalidField("/inputs/0/selection", f"it is not a selection from '{OTHER}'")


def test_what_is_held_out_trains_nothing(clinic):
    select(clinic, role=InputRole.TEST)
    assert clinic.refused(LAB, run(clinic, used(clinic))) == errors.RoleDiffers(PERMITTED, "test", "train")
    clinic.submit(LAB, judge(clinic, used(clinic, role=InputRole.TEST)))
    assert Edge(PERMITTED, JUDGED, Text("input:test")) in clinic.records()


@pytest.mark.parametrize("purpose", [None, CARE])
def test_a_selection_is_used_for_its_purpose_alone(clinic, purpose):
    select(clinic, purpose=RESEARCH)
    expected = errors.PurposeDiffers(PERMITTED, RESEARCH, purpose or "none")
    assert clinic.refused(LAB, run(clinic, used(clinic), purpose=purpose)) == expected
    assert clinic.refused(LAB, judge(clinic, used(clinic), purpose=purpose)) == expected


# --- What was found ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [None, Found.VERIFIED, Found.UNVERIFIED])
def test_a_root_is_the_recorded_one_unless_it_is_said_to_differ(clinic, found):
    whole = RunInput(WDBC, ZERO, found=found)
    root = clinic.digest_of("wdbc:1")
    assert clinic.refused(LAB, run(clinic, whole)) == errors.ArtifactAltered(WDBC, str(root), str(ZERO))
    select(clinic)
    refusal = clinic.refused(LAB, run(clinic, used(clinic, root=root, found=found)))
    assert refusal == errors.ArtifactAltered(PERMITTED, str(clinic.digest_of("permitted")), str(root))
    clinic.submit(LAB, run(clinic, used(clinic, found=found)))
    assert clinic.shown("training-run", "r-1")["inputs"][0].get("found") == found


def test_a_copy_that_differs_is_recorded_as_it_was_found(clinic):
    clinic.submit(LAB, run(clinic, RunInput(WDBC, ZERO, found=Found.DIFFERS)))
    (shown,) = clinic.shown("training-run", "r-1")["inputs"]
    assert (shown["root"], shown["found"]) == (str(ZERO), "differs")


def test_what_is_said_to_differ_does(clinic):
    same = RunInput(WDBC, clinic.digest_of("wdbc:1"), found=Found.DIFFERS)
    for command, pointer in ((run(clinic, same), "/inputs/0/found"), (judge(clinic, same), "/data/found")):
        refusal = clinic.refused(LAB, command)
        assert isinstance(refusal, errors.InvalidField)
        assert refusal.pointer == pointer


def test_a_copy_under_other_columns_differs_over_the_same_records(clinic):
    clinic.dataset(HOSPITAL, "table")
    clinic.submit(HOSPITAL, clinic.commit_version("table", header=ZERO))
    version = Ref("dataset-version:table:1")
    clinic.submit(LAB, run(clinic, RunInput(version, clinic.digest_of("table:1"), found=Found.DIFFERS)))
    assert clinic.shown("training-run", "r-1")["inputs"][0]["found"] == "differs"


# --- What its subjects gave -------------------------------------------------------------------------------------


def test_what_was_given_for_purposes_is_used_for_one_through_a_selection(asked):
    basis = asked.shown("dataset", "wdbc")["basis"]
    select(asked)
    whole = RunInput(WDBC, asked.digest_of("wdbc:1"))
    for data in (whole, used(asked)):
        assert asked.refused(LAB, run(asked, data)) == errors.PurposeMissing(RUN, WDBC, basis)
        refusal = asked.refused(LAB, run(asked, data, purpose=RESEARCH))
        assert refusal == errors.SelectionMissing(RUN, WDBC, basis, RESEARCH)
    refusal = asked.refused(LAB, judge(asked, whole))
    assert refusal == errors.PurposeMissing(JUDGED, WDBC, basis)


def test_a_selection_from_the_map_in_force_is_used(asked):
    select(asked, purpose=RESEARCH, consent_map=state(asked))
    asked.submit(LAB, run(asked, used(asked), purpose=RESEARCH))
    asked.submit(LAB, judge(asked, used(asked), purpose=RESEARCH))
    assert asked.shown("training-run", "r-1")["purpose"] == RESEARCH
    assert asked.shown("evaluation", "e-1")["purpose"] == RESEARCH
    shown = asked.shown("selection", "wdbc", 1, "permitted")
    assert shown["consent_map"] == {"number": 1, "root": str(root_of(GIVEN))}


def test_a_part_of_a_selection_has_its_map_even_when_that_has_moved(asked):
    select(asked, purpose=RESEARCH, consent_map=state(asked))
    asked.wait(seconds=1)
    asked.submit(HOSPITAL, withdrawal())
    part = {"size": Count(6), "parent": PERMITTED, "role": InputRole.TRAIN}
    refusal = refused_selection(asked, "training", consent_map=state(asked), **part)
    assert refusal == errors.InvalidField("/consent_map", "a part of a selection has that of the whole")
    select(asked, "training", **part)
    assert asked.shown("selection", "wdbc", 1, "training")["consent_map"]["number"] == 1
    # What began before the withdrawal may use it, and what began after it may not.
    asked.submit(LAB, run(asked, used(asked, "training"), purpose=RESEARCH, started=Instant(asked.at - 1)))
    refusal = asked.refused(LAB, judge(asked, used(asked, "training"), purpose=RESEARCH))
    assert refusal == errors.SelectionOutdated(TRAINING, 1, asked.at, JUDGED, asked.at)


def test_a_selection_is_made_from_the_map_as_it_is(asked):
    before = state(asked)
    asked.wait(seconds=1)
    asked.submit(HOSPITAL, withdrawal())
    now = state(asked)
    for given in (before, MapState(now.number, before.root), MapState(before.number, now.root)):
        refusal = refused_selection(asked, purpose=RESEARCH, consent_map=given)
        assert refusal == errors.MapMoved(MAP, 2, str(root_of(WITHDRAWN)))
    select(asked, purpose=RESEARCH, consent_map=now)


def test_a_map_is_named_with_a_purpose_and_where_subjects_gave_the_data(asked):
    for changes in ({"purpose": RESEARCH}, {"consent_map": state(asked)}):
        refusal = refused_selection(asked, **changes)
        assert (refusal.code, refusal.pointer) == ("invalid-field", "/consent_map")


def test_other_data_has_no_map(clinic):
    refusal = refused_selection(clinic, purpose=RESEARCH, consent_map=MapState(Number(1), ZERO))
    assert (refusal.code, refusal.pointer) == ("invalid-field", "/consent_map")


def test_there_is_no_selection_for_a_purpose_before_there_is_a_map(world):
    world.dataset(HOSPITAL, "wdbc", basis=LawfulBasis.CONSENT)
    world.dataset_version(HOSPITAL, "wdbc")
    refusal = refused_selection(world, purpose=RESEARCH, consent_map=MapState(Number(1), ZERO))
    assert refusal == errors.RecordNotFound(MAP)


def test_the_map_was_in_force_when_the_run_started(asked):
    select(asked, purpose=RESEARCH, consent_map=state(asked))
    opened = asked.at
    early = {"started": Instant(opened - 120_001), "purpose": RESEARCH}
    refusal = asked.refused(LAB, run(asked, used(asked), **early))
    assert refusal == errors.SelectionTooLate(PERMITTED, 1, opened, RUN, opened - 120_001)
    asked.wait(hours=1)
    asked.submit(HOSPITAL, withdrawal())
    moved = asked.at
    asked.wait(hours=1)
    refusal = asked.refused(LAB, run(asked, used(asked), started=moved, purpose=RESEARCH))
    assert refusal == errors.SelectionOutdated(PERMITTED, 1, moved, RUN, moved)
    asked.submit(LAB, run(asked, used(asked), started=Instant(opened - 120_000), purpose=RESEARCH))
    last = run(asked, used(asked), started=Instant(moved - 1), purpose=RESEARCH)
    asked.submit(LAB, replace(last, run=Name("r-2")))


@pytest.mark.parametrize("first", ["run", "change"])
def test_of_a_run_and_a_withdrawal_at_once_exactly_one_order_holds(asked, first):
    select(asked, purpose=RESEARCH, consent_map=state(asked))
    asked.wait(seconds=1)
    recording = run(asked, used(asked), started=asked.at, purpose=RESEARCH)
    # Both are executed on the same state: neither has seen the other.
    ran, changed = asked.simulate(LAB, recording), asked.simulate(HOSPITAL, withdrawal())
    if first == "run":
        assert asked.commit(ran)
        assert asked.commit(changed), "a run holds up no withdrawal"
    else:
        assert asked.commit(changed)
        assert not asked.commit(ran), "the run had seen that there is no second version"
        refusal = asked.refused(LAB, recording)
        assert refusal == errors.SelectionOutdated(PERMITTED, 1, asked.at, RUN, asked.at)


def test_of_a_selection_and_a_withdrawal_at_once_the_selection_loses(asked):
    wanted = selection(asked, purpose=RESEARCH, consent_map=state(asked))
    selected, changed = asked.simulate(HOSPITAL, wanted), asked.simulate(HOSPITAL, withdrawal())
    assert asked.commit(changed)
    assert not asked.commit(selected)
