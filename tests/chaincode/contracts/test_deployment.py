# SPDX-License-Identifier: Apache-2.0
"""Deployments through the contracts: who records and ends them, and every refusal with its code."""

import pytest

from chaincode.domain import errors
from chaincode.domain.deployment import Deployment, DeploymentEnd, EndDeployment, RecordDeployment
from chaincode.domain.lifecycle import Quarantine
from chaincode.domain.lineage import Ancestry, Edge, Impact
from chaincode.domain.policy import Member, Step, TaintRules
from chaincode.domain.taint import Cause, Taint
from chaincode.domain.values import SKEW, Digest, Instant, Name, OrgId, Ref, Territory, Text

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"
NET, WARD = Ref("model-version:net:1"), Ref("deployment:ward-3")
STOP = Quarantine(NET, Text("wrong labels"))


def deploy(**changes):
    values = {"deployment": Name("ward-3"), "version": NET, "location": Text("triage in ward 3")}
    return RecordDeployment(**(values | changes))


@pytest.fixture
def lab(world):
    """A world in which the lab has a model."""
    world.net = world.model_version(LAB, "net")
    return world


def test_who_uses_a_model_of_another_records_where_and_ends_it(lab):
    event = lab.submit(HOSPITAL, deploy(digest=lab.net.digest, territories=(Territory("DE"),)))
    assert (event["name"], event["owner"], event["version"]) == ("DeploymentRecorded", HOSPITAL, NET)
    assert Edge(NET, WARD, Text("deployed")) in lab.records()
    began = lab.read(Deployment, "ward-3")
    assert (began.owner, began.started, began.digest, began.tainted_by) == (HOSPITAL, lab.at, lab.net.digest, None)
    lab.wait(days=3)
    event = lab.submit(HOSPITAL, EndDeployment(Name("ward-3"), reason=Text("a better one")))
    assert (event["name"], event["deployment"]) == ("DeploymentEnded", "ward-3")
    assert lab.read(DeploymentEnd, "ward-3") == DeploymentEnd(
        Name("ward-3"), OrgId(HOSPITAL), lab.at, lab.at, Text("a better one")
    )
    assert lab.read(Deployment, "ward-3") == began


def test_a_deployment_may_have_begun_and_ended_before_it_is_recorded(lab):
    began, over = Instant(lab.at - 9_000), Instant(lab.at - 1_000)
    lab.submit(LAB, deploy(started=began))
    lab.submit(LAB, EndDeployment(Name("ward-3"), ended=over))
    assert (lab.read(Deployment, "ward-3").started, lab.read(DeploymentEnd, "ward-3").ended) == (began, over)


def test_a_deployment_is_in_the_lineage_of_its_model(lab):
    lab.submit(HOSPITAL, deploy())
    assert [each["reference"] for each in lab.ask(Impact(NET))["nodes"]] == [NET, WARD]
    assert [each["reference"] for each in lab.ask(Ancestry(WARD))["nodes"]] == [WARD, NET]
    lab.submit(REGULATOR, STOP)
    assert lab.ask(Ancestry(WARD))["nodes"][0]["review_path"] == [WARD, NET]


@pytest.mark.parametrize("version", ["model-version:net:2", "model:net", "run:r-1"])
def test_what_is_no_model_version_is_not_deployed(lab, version):
    assert lab.refused(HOSPITAL, deploy(version=Ref(version))) == errors.ParentMissing(WARD, version)


def test_altered_files_are_not_deployed(lab):
    refusal = lab.refused(HOSPITAL, deploy(digest=Digest(bytes(32))))
    assert refusal == errors.ArtifactAltered(NET, str(lab.net.digest), "00" * 32)


def test_a_deployment_has_begun_and_names_each_territory_once(lab):
    late = Instant(lab.at + SKEW + 1)
    assert lab.refused(HOSPITAL, deploy(started=late)) == errors.DatedInTheFuture("/started", late, lab.at)
    twice = (Territory("DE"), Territory("DE"))
    assert lab.refused(HOSPITAL, deploy(territories=twice)) == errors.RepeatedEntry("/territories", "DE")


def test_a_deployment_is_recorded_once(lab):
    lab.submit(HOSPITAL, deploy())
    assert lab.refused(LAB, deploy()) == errors.AlreadyExists(WARD)


def test_only_who_deploys_ends_it_and_once(lab):
    assert lab.refused(HOSPITAL, EndDeployment(Name("ward-3"))) == errors.RecordNotFound(WARD)
    lab.submit(HOSPITAL, deploy())
    assert lab.refused(LAB, EndDeployment(Name("ward-3"))) == errors.NotTheOwner(WARD, HOSPITAL, LAB)
    over = lab.at
    lab.submit(HOSPITAL, EndDeployment(Name("ward-3")))
    lab.wait(days=1)
    assert lab.refused(HOSPITAL, EndDeployment(Name("ward-3"))) == errors.AlreadyEnded(WARD, over)


def test_a_deployment_ends_after_it_began_and_not_in_the_future(lab):
    began = lab.at
    lab.submit(HOSPITAL, deploy())
    refusal = lab.refused(HOSPITAL, EndDeployment(Name("ward-3"), Instant(began - 1)))
    assert refusal == errors.DeploymentEndsBeforeItStarts(WARD, began, began - 1)
    late = Instant(began + SKEW + 1)
    refusal = lab.refused(HOSPITAL, EndDeployment(Name("ward-3"), late))
    assert refusal == errors.DatedInTheFuture("/ended", late, began)


def test_what_is_stopped_is_not_deployed_and_what_runs_can_still_be_ended(lab):
    lab.submit(HOSPITAL, deploy())
    lab.submit(REGULATOR, STOP)
    refusal = lab.refused(LAB, deploy(deployment=Name("ward-4")))
    path = (Ref("deployment:ward-4"), NET)
    assert refusal == errors.Tainted("deployment:ward-4", "deploy", NET, "quarantined", path)
    lab.submit(HOSPITAL, EndDeployment(Name("ward-3")))


def test_a_quarantine_that_is_ordered_first_makes_a_deployment_void(lab):
    deployment = lab.simulate(HOSPITAL, deploy())
    lab.submit(REGULATOR, STOP)
    assert not lab.commit(deployment)


def test_a_policy_may_let_what_is_stopped_be_deployed_and_then_it_is_marked(empty_world):
    empty_world.found(taint=TaintRules(quarantined=(Step.SUBMIT, Step.RECORD), withdrawn=()))
    empty_world.model_version(LAB, "net")
    empty_world.submit(REGULATOR, STOP)
    empty_world.submit(HOSPITAL, deploy())
    assert empty_world.read(Deployment, "ward-3").tainted_by == (Taint(Cause.QUARANTINED, (WARD, NET)),)


def test_only_members_deploy(empty_world):
    empty_world.found(members=(Member(OrgId(LAB)), Member(OrgId(REGULATOR))), rules=())
    empty_world.model_version(LAB, "net")
    assert empty_world.refused(HOSPITAL, deploy()) == errors.NotAMember(HOSPITAL)
