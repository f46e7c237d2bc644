# SPDX-License-Identifier: Apache-2.0
"""Taint through the contracts: refused with the path where the policy says so, and otherwise marked."""

import pytest

from chaincode.domain import errors
from chaincode.domain.endorsement import Endorse
from chaincode.domain.lifecycle import Advance, Quarantine
from chaincode.domain.model import DeclareParent, LaterParents, ModelParent, Relation
from chaincode.domain.policy import DEFAULT_LAPSE, Stage, Step, TaintRules
from chaincode.domain.provenance import Change
from chaincode.domain.submission import Submit
from chaincode.domain.taint import Cause, Taint
from chaincode.domain.training import Code, Environment, RecordRun, TrainingRun
from chaincode.domain.usage import RunInput
from chaincode.domain.values import Digest, Name, Ref, Text

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"
DATA, RUN, NET = Ref("dataset-version:wdbc:1"), Ref("run:r-1"), Ref("model-version:net:1")
PATH = (NET, RUN, DATA)
ZERO = Digest(bytes(32))
STOP = Quarantine(DATA, Text("wrong consent"))


def chain(world):
    """wdbc → r-1 → net."""
    world.dataset(HOSPITAL, "wdbc")
    data = world.dataset_version(HOSPITAL, "wdbc")
    world.used = RunInput(DATA, data.root)
    world.submit(LAB, run(world, "r-1"))
    world.net = world.model_version(LAB, "net", run=Name("r-1"))
    return world


def run(world, name):
    return RecordRun(Name(name), Code(ZERO), Environment(ZERO), world.at, world.at, (world.used,))


@pytest.fixture
def made(world):
    return chain(world)


def endorse(world, org, stage=Stage.APPROVED):
    return Endorse(NET, world.envelope(org, NET, world.net.digest, stage=stage), stage)


def test_a_descendant_of_what_is_stopped_is_not_submitted_endorsed_or_deployed(made):
    submit = Submit(NET, made.net.digest)
    made.submit(HOSPITAL, STOP)
    assert made.refused(LAB, submit) == errors.Tainted(NET, "submit", DATA, "quarantined", PATH)
    made.wait(seconds=DEFAULT_LAPSE)
    made.submit(LAB, submit)
    made.submit(REGULATOR, STOP)
    assert made.refused(HOSPITAL, endorse(made, HOSPITAL)) == errors.Tainted(NET, "endorse", DATA, "quarantined", PATH)
    made.wait(seconds=DEFAULT_LAPSE)
    made.submit(HOSPITAL, endorse(made, HOSPITAL))
    made.submit(REGULATOR, endorse(made, REGULATOR))
    made.submit(HOSPITAL, STOP)
    refusal = made.refused(LAB, Advance(NET, Stage.DEPLOYED))
    assert refusal == errors.Tainted(NET, "advance", DATA, "quarantined", PATH)
    made.wait(seconds=DEFAULT_LAPSE)
    made.submit(LAB, Advance(NET, Stage.DEPLOYED))
    made.submit(REGULATOR, STOP)
    made.submit(LAB, Advance(NET, Stage.DEPRECATED))


def test_a_quarantine_that_is_ordered_first_makes_a_submission_void(made):
    submission = made.simulate(LAB, Submit(NET, made.net.digest))
    made.submit(HOSPITAL, STOP)
    assert not made.commit(submission)


def test_what_is_recorded_over_something_stopped_bears_the_mark(made):
    made.submit(HOSPITAL, STOP)
    made.submit(LAB, run(made, "r-2"))
    again = Ref("run:r-2")
    assert made.read(TrainingRun, "r-2").tainted_by == (Taint(Cause.QUARANTINED, (again, DATA)),)
    second = made.model_version(LAB, "net", 2, parents=(ModelParent(NET, Relation.FINE_TUNED),))
    newer = Ref("model-version:net:2")
    assert second.tainted_by == (Taint(Cause.QUARANTINED, (newer, *PATH)),)
    assert made.read(TrainingRun, "r-1").tainted_by is None


def test_parents_declared_later_taint_too(made):
    small = made.model_version(LAB, "small")
    reference = Ref("model-version:small:1")
    assert small.tainted_by is None
    made.submit(HOSPITAL, STOP)
    made.submit(LAB, DeclareParent(reference, NET, Relation.DISTILLED))
    marked = made.read(LaterParents, reference)
    assert marked.tainted_by == (Taint(Cause.QUARANTINED, (reference, *PATH)),)
    refusal = made.refused(LAB, Submit(reference, small.digest))
    assert refusal == errors.Tainted(reference, "submit", DATA, "quarantined", (reference, *PATH))


def test_what_replaces_a_stopped_version_is_clean(made):
    made.submit(HOSPITAL, STOP)
    second = made.dataset_version(HOSPITAL, "wdbc", 2, change=Change.REPLACES, parent_root=made.used.root)
    assert second.tainted_by is None


@pytest.mark.parametrize("steps", [(), tuple(Step)])
def test_the_policy_decides_what_is_refused(empty_world, steps):
    empty_world.found(taint=TaintRules(quarantined=steps, withdrawn=()))
    world = chain(empty_world)
    world.submit(HOSPITAL, STOP)
    if not steps:
        world.submit(LAB, Submit(NET, world.net.digest))
        return
    path = (Ref("run:r-2"), DATA)
    assert world.refused(LAB, run(world, "r-2")) == errors.Tainted("run:r-2", "record", DATA, "quarantined", path)
