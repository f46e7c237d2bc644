# SPDX-License-Identifier: Apache-2.0
"""Deployments: who uses a model records where, ends that once, and hears of what the model was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pedigree import PedigreeError

if TYPE_CHECKING:
    from scenarios.conftest import World

RESEARCH = "https://w3id.org/dpv#ScientificResearch"


@pytest.fixture
def trained(world: World) -> World:
    """The lab has a model, trained on the hospital's data."""
    world.register("hospital")
    world.commit("a,b,c")
    lab = world.as_("lab")
    lab.register_model(world.model, title="A model")
    lab.record_run(f"run-{world.number}", **world.run_fields())
    lab.record_model_version(world.model, world.files("first"), licence="CC-BY-4.0", run=f"run-{world.number}")
    return world


def ward_of(world: World) -> str:
    return f"ward-{world.number}"


@pytest.mark.story("F4", "Who uses a model records where and from when to when, and it is in the model's lineage")
def test_a_deployment_of_anothers_model_is_recorded_and_ended(trained: World) -> None:
    world, ward = trained, ward_of(trained)
    digest = world.as_("hospital").model_version(world.model, 1)["record"]["digest"]
    began = world.as_("hospital").record_deployment(
        ward, world.model_version, location="triage in ward 3", territories=["DE"], digest=digest
    )
    assert began.record["owner"] == "HospitalMSP"
    assert began.reference == f"deployment:{ward}"
    for organisation in world.clients:
        client = world.as_(organisation)
        below = [each["reference"] for each in client.impact(world.data_version)["items"]]
        assert below[-1] == f"deployment:{ward}"
        (listed,) = client.deployments(version=world.model_version)["items"]
        assert listed["record"] == began.record
        assert client.deployment(ward)["end"] is None
    over = world.as_("hospital").end_deployment(ward, reason="another took its place")
    assert over.reference == began.reference
    shown = world.as_("lab").deployment(ward, source="ledger")
    assert shown["record"] == began.record
    end = shown["end"]
    assert end is not None
    assert (end["reason"], end["ended"] >= began.record["started"]) == ("another took its place", True)
    assert end in [each["record"] for each in world.as_("regulator").iterate_deployment_ends(owner="HospitalMSP")]


@pytest.mark.story("F4", "A withdrawal names the deployments of what was trained, and what each deployer has to do")
def test_a_withdrawal_reaches_deployments(world: World) -> None:
    hospital = world.as_("hospital")
    world.register("hospital", sensitivity="personal", basis="consent")
    rows = b"id,value,patient\na,1,ann\nb,1,bob\n"
    said = {"consent": "ConsentGiven", "purposes": ("research",), "subject_field": "patient"}
    hospital.commit_records(world.dataset, rows, id_field="id", **said)
    hospital.open_consent(world.dataset)
    chosen = hospital.select_records(world.dataset, 1, "train", ["a", "b"], purpose="research", role="train")
    grant = world.let_in(chosen.reference)
    lab = world.as_("lab")
    used = {"version": world.data_version, "root": chosen.record["root"], "selection": chosen.reference, "grant": grant}
    with lab.run(f"run-{world.number}", datasets=[used], code="ab" * 32, purpose=RESEARCH) as run:
        run.log_metric("accuracy", 0.97)
    lab.register_model(world.model, title="A model")
    lab.record_model_version(world.model, world.files("first"), licence="CC-BY-4.0", run=run.name)
    lab.record_deployment(f"lab-{world.number}", world.model_version, location="the lab's own service")
    lab.end_deployment(f"lab-{world.number}")
    world.as_("regulator").record_deployment(ward_of(world), world.model_version, location="inspections")
    impact = world.as_("hospital").withdraw_consent(world.dataset, "ann").impact
    assert impact is not None
    found = {each["reference"]: (each["owner"], each["role"], each["duty"]) for each in impact["items"]}
    assert found[f"deployment:{ward_of(world)}"] == ("RegulatorMSP", "train", "replace-or-stop")
    assert found[f"deployment:lab-{world.number}"] == ("LabMSP", "train", None)
    duties = {(each["organisation"], each["duty"]): each["first"] for each in impact["duties"]}
    assert duties["RegulatorMSP", "replace-or-stop"] == f"deployment:{ward_of(world)}"
    assert "deployment" in impact["covered"]
    assert "deployment" not in impact["not_covered"]
    with pytest.raises(PedigreeError) as refusal:
        world.as_("lab").record_deployment(f"again-{world.number}", world.model_version, location="the same service")
    assert refusal.value.code == "tainted"


@pytest.mark.story("F4", "A quarantined model is not deployed, and what runs can be ended", refused="tainted")
def test_what_is_stopped_is_not_deployed(trained: World) -> None:
    world, ward = trained, ward_of(trained)
    world.as_("hospital").record_deployment(ward, world.model_version, location="ward 3")
    world.as_("regulator").quarantine(world.model_version, "a complaint")
    with pytest.raises(PedigreeError) as refusal:
        world.as_("lab").record_deployment(f"lab-{world.number}", world.model_version, location="a service")
    assert refusal.value.code == "tainted"
    assert refusal.value.facts["path"] == [f"deployment:lab-{world.number}", world.model_version]
    (item,) = world.as_("lab").impact(world.model_version)["items"]
    assert item["review_path"] == [f"deployment:{ward}", world.model_version]
    world.as_("hospital").end_deployment(ward, reason="stopped")


@pytest.mark.story("F4", "Altered files are not deployed", refused="artifact-altered")
def test_altered_files_are_not_deployed(trained: World) -> None:
    with pytest.raises(PedigreeError) as refusal:
        trained.as_("hospital").record_deployment(
            ward_of(trained), trained.model_version, location="ward 3", digest="00" * 32
        )
    assert refusal.value.code == "artifact-altered"


@pytest.mark.story("F4", "Only who deploys ends a deployment", refused="not-the-owner")
def test_another_does_not_end_a_deployment(trained: World) -> None:
    trained.as_("hospital").record_deployment(ward_of(trained), trained.model_version, location="ward 3")
    with pytest.raises(PedigreeError) as refusal:
        trained.as_("lab").end_deployment(ward_of(trained))
    assert refusal.value.code == "not-the-owner"


@pytest.mark.story("F4", "A deployment ends once", refused="already-ended")
def test_a_deployment_ends_once(trained: World) -> None:
    hospital, ward = trained.as_("hospital"), ward_of(trained)
    began = hospital.record_deployment(ward, trained.model_version, location="ward 3").record["started"]
    with pytest.raises(PedigreeError) as refusal:
        hospital.end_deployment(ward, ended=began - 1)
    assert refusal.value.code == "deployment-ends-before-it-starts"
    hospital.end_deployment(ward)
    with pytest.raises(PedigreeError) as refusal:
        hospital.end_deployment(ward)
    assert refusal.value.code == "already-ended"
