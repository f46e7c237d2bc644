# SPDX-License-Identifier: Apache-2.0
"""Models, runs and evaluations through the contracts: what is written, and every refusal with its code."""

from dataclasses import replace

import pytest

from chaincode.domain import errors, model
from chaincode.domain.claims import DigestClaim
from chaincode.domain.evaluation import RecordEvaluation
from chaincode.domain.float64 import Float64
from chaincode.domain.lineage import Edge
from chaincode.domain.model import (
    DeclareParent,
    FileEntry,
    LaterParents,
    ModelParent,
    RegisterModel,
    Relation,
    manifest_digest,
)
from chaincode.domain.policy import Member
from chaincode.domain.spdx import Licence
from chaincode.domain.training import Code, Environment, Parameter, RecordRun
from chaincode.domain.usage import InputRole, Metric, RunInput
from chaincode.domain.values import (
    CommitId,
    Count,
    Digest,
    FilePath,
    Instant,
    Name,
    Number,
    OrgId,
    Ref,
    Setting,
    Text,
)

HOSPITAL, LAB = "HospitalMSP", "LabMSP"
DATA = Ref("dataset-version:wdbc:1")
NET = Ref("model-version:net:1")
ZERO = Digest(bytes(32))


@pytest.fixture
def lab(world):
    """A world in which hospital has committed a data set."""
    world.dataset(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc")
    return world


def run(world, name="r-1", **changes):
    values = {
        "code": Code(ZERO, Text("https://git.example/lab"), CommitId("0" * 40)),
        "environment": Environment(ZERO),
        "started": Instant(world.at - 1000),
        "finished": world.at,
        "inputs": (RunInput(DATA, world.digest_of("wdbc:1")),),
        "parameters": (Parameter(Text("C"), Text("1.0")),),
        "metrics": (Metric(Text("accuracy"), Float64("0.97")),),
    }
    return RecordRun(run=Name(name), **(values | changes))


def evaluation(world, **changes):
    values = {
        "subject": NET,
        "digest": world.record_model_version("net").digest,
        "data": RunInput(DATA, world.digest_of("wdbc:1"), InputRole.TEST),
        "metrics": (Metric(Text("auc"), Float64("0.99")),),
        "evaluated_at": world.at,
    }
    return RecordEvaluation(evaluation=Name("e-1"), **(values | changes))


# --- Models -----------------------------------------------------------------------------------------------------


def test_a_model_and_a_version_are_recorded(lab):
    lab.submit(LAB, run(lab))
    lab.submit(LAB, RegisterModel(Name("net"), Text("A net"), card=lab.digest_of("card")))
    event = lab.submit(LAB, lab.record_model_version("net", run=Name("r-1")))
    assert (event["name"], event["version"], event["owner"]) == ("ModelVersionRecorded", NET, LAB)
    assert lab.shown("model", "net")["title"] == "A net"
    assert lab.shown("model-version", "net", 1)["run"] == "r-1"
    assert Edge(Ref("run:r-1"), NET, Text("trained")) in lab.records()


def test_a_version_names_the_versions_that_it_came_from(lab):
    lab.model_version(LAB, "net")
    lab.model_version(LAB, "small", parents=(ModelParent(NET, Relation.DISTILLED),))
    assert Edge(NET, Ref("model-version:small:1"), Text("distilled")) in lab.records()


def test_versions_of_a_model_are_numbered_without_a_gap(lab):
    lab.model_version(LAB, "net")
    lab.model_version(LAB, "net", 2)
    refusal = lab.refused(LAB, lab.record_model_version("net", 4))
    assert refusal == errors.VersionOutOfOrder("model:net", 4, 3)
    assert lab.refused(LAB, lab.record_model_version("net", 2)) == errors.AlreadyExists("model-version:net:2")


def test_a_model_is_registered_once_and_belongs_to_its_owner(lab):
    lab.model_version(LAB, "net")
    assert lab.refused(HOSPITAL, RegisterModel(Name("net"), Text("n"))) == errors.AlreadyExists("model:net")
    refusal = lab.refused(HOSPITAL, lab.record_model_version("net", 2))
    assert refusal == errors.NotTheOwner("model:net", LAB, HOSPITAL)
    assert lab.refused(LAB, lab.record_model_version("other")) == errors.RecordNotFound("model:other")


def test_the_same_weights_are_recorded_again_and_say_who_was_first(lab):
    weights = lab.model_version(LAB, "net").files
    first = lab.read(DigestClaim, manifest_digest(weights))
    assert (first.owner, first.reference) == (LAB, NET)
    lab.submit(HOSPITAL, RegisterModel(Name("mine"), Text("m"), card=manifest_digest(weights)))
    lab.submit(HOSPITAL, lab.record_model_version("mine", files=weights))
    assert lab.shown("model-version", "mine", 1)["earlier_claims"][0]["reference"] == NET
    assert lab.shown("model", "mine")["earlier_claims"][0]["owner"] == LAB
    assert lab.shown("model-version", "net", 1)["earlier_claims"] == []


def test_an_altered_artifact_is_refused(lab):
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    command = lab.record_model_version("net", digest=ZERO)
    refusal = lab.refused(LAB, command)
    assert refusal == errors.ArtifactAltered(NET, str(manifest_digest(command.files)), str(ZERO))


@pytest.mark.parametrize(
    ("paths", "refusal"),
    [
        ([], errors.InvalidField("/files", "a model has at least one file")),
        (["a", "a"], errors.RepeatedEntry("/files", "a")),
        (["b", "a"], errors.InvalidField("/files/1/path", "files must be in the order of their paths")),
    ],
)
def test_a_manifest_lists_every_file_once_in_order(lab, paths, refusal):
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    files = tuple(FileEntry(FilePath(path), ZERO, Count(1)) for path in paths)
    assert lab.refused(LAB, lab.record_model_version("net", files=files)) == refusal


def test_what_was_ignored_is_part_of_the_record(lab):
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    paths = (FilePath(".git"), FilePath("cache/old"))
    lab.submit(LAB, lab.record_model_version("net", ignore_paths=paths))
    assert lab.shown("model-version", "net", 1)["ignore_paths"] == [".git", "cache/old"]
    files = tuple(FileEntry(FilePath(path), ZERO, Count(1)) for path in ("cache/older", "sub/.git"))
    lab.submit(LAB, lab.record_model_version("net", 2, files=files, ignore_paths=paths))
    assert len(lab.shown("model-version", "net", 2)["files"]) == 2


@pytest.mark.parametrize(
    ("ignored", "pointer"),
    [
        (["*.pyc"], "/ignore_paths/0"),
        (["a?"], "/ignore_paths/0"),
        (["a", "b["], "/ignore_paths/1"),
        (["b", "a"], "/ignore_paths/1"),
        (["a", "a"], "/ignore_paths/1"),
        (["model.bin"], "/files/0/path"),
        (["a", "sub"], "/files/1/path"),
        (["sub/deep/w"], "/files/1/path"),
    ],
)
def test_ignored_paths_are_exact_and_hold_no_file_of_the_model(lab, ignored, pointer):
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    files = tuple(FileEntry(FilePath(path), ZERO, Count(1)) for path in ("model.bin", "sub/deep/w"))
    paths = tuple(FilePath(path) for path in ignored)
    refusal = lab.refused(LAB, lab.record_model_version("net", files=files, ignore_paths=paths))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == pointer


def test_a_model_may_have_many_files(lab):
    files = tuple(FileEntry(FilePath(path), lab.digest_of(path), Count(1)) for path in ("a", "b/c", "b/d"))
    assert lab.model_version(LAB, "net", files=files).files == files


def test_a_missing_parent_is_refused(lab):
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    parents = (ModelParent(Ref("model-version:gone:1"), Relation.MERGED),)
    refusal = lab.refused(LAB, lab.record_model_version("net", parents=parents))
    assert refusal == errors.ParentMissing(NET, "model-version:gone:1")
    refusal = lab.refused(LAB, lab.record_model_version("net", run=Name("gone")))
    assert refusal == errors.ParentMissing(NET, "run:gone")


def test_a_self_parent_is_refused(lab):
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    refusal = lab.refused(LAB, lab.record_model_version("net", parents=(ModelParent(NET, Relation.MERGED),)))
    assert refusal == errors.SelfParent(NET)


def test_a_parent_stands_there_once(lab):
    lab.model_version(LAB, "net")
    lab.submit(LAB, RegisterModel(Name("two"), Text("n")))
    parents = (ModelParent(NET, Relation.MERGED), ModelParent(NET, Relation.ADAPTER))
    assert lab.refused(LAB, lab.record_model_version("two", parents=parents)) == errors.RepeatedEntry("/parents", NET)


def test_a_run_of_another_organisation_cannot_be_claimed(lab):
    lab.submit(HOSPITAL, run(lab))
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    refusal = lab.refused(LAB, lab.record_model_version("net", run=Name("r-1")))
    assert refusal == errors.NotTheOwner("run:r-1", HOSPITAL, LAB)


# --- Licences ---------------------------------------------------------------------------------------------------


def test_a_licence_wider_than_that_of_the_training_data_is_refused_with_the_path(lab):
    lab.submit(LAB, run(lab))
    lab.submit(LAB, RegisterModel(Name("net"), Text("n")))
    command = lab.record_model_version("net", run=Name("r-1"), licence=Licence("CC0-1.0"))
    assert lab.refused(LAB, command) == errors.LicenceTooWide(
        "CC0-1.0", "CC-BY-4.0", "attribution", (NET, "run:r-1", DATA)
    )


def test_a_licence_wider_than_that_of_a_parent_is_refused(lab):
    lab.model_version(LAB, "net", licence=Licence("CC-BY-NC-4.0"))
    lab.submit(LAB, RegisterModel(Name("free"), Text("n")))
    parents = (ModelParent(NET, Relation.FINE_TUNED),)
    refusal = lab.refused(LAB, lab.record_model_version("free", parents=parents))
    assert refusal == errors.LicenceTooWide(
        "Apache-2.0", "CC-BY-NC-4.0", "non-commercial use", ("model-version:free:1", NET)
    )


def test_a_licence_wider_than_that_of_a_model_that_the_run_began_from_is_refused(lab):
    lab.model_version(LAB, "net", licence=Licence("CC-BY-NC-4.0"))
    lab.submit(LAB, run(lab, parents=(NET,)))
    lab.submit(LAB, RegisterModel(Name("tuned"), Text("n")))
    refusal = lab.refused(LAB, lab.record_model_version("tuned", run=Name("r-1")))
    assert refusal == errors.LicenceTooWide(
        "Apache-2.0", "CC-BY-NC-4.0", "non-commercial use", ("model-version:tuned:1", "run:r-1", NET)
    )


def test_data_that_only_tested_a_model_does_not_bind_its_licence(lab):
    inputs = (RunInput(DATA, lab.digest_of("wdbc:1"), InputRole.TEST),)
    lab.submit(LAB, run(lab, inputs=inputs))
    lab.model_version(LAB, "net", run=Name("r-1"), licence=Licence("CC0-1.0"))


# --- Parents that become known later ----------------------------------------------------------------------------


@pytest.fixture
def family(lab):
    """Three models of the lab, of which nothing is known to come from another."""
    for name in ("a", "b", "c"):
        lab.model_version(LAB, name)
    return lab


def declare(child, parent):
    return DeclareParent(Ref(f"model-version:{child}:1"), Ref(f"model-version:{parent}:1"), Relation.FINE_TUNED)


def test_a_parent_can_be_declared_later(family):
    event = family.submit(LAB, declare("a", "b"))
    assert (event["name"], event["parent"]) == ("ParentDeclared", "model-version:b:1")
    family.submit(LAB, declare("a", "c"))
    assert len(family.read(LaterParents, Ref("model-version:a:1")).parents) == 2


def test_a_cycle_is_refused_with_its_path(family):
    family.submit(LAB, declare("a", "b"))
    family.submit(LAB, declare("b", "c"))
    refusal = family.refused(LAB, declare("c", "a"))
    assert isinstance(refusal, errors.LineageCycle)
    assert refusal.path == tuple(f"model-version:{name}:1" for name in ("c", "a", "b", "c"))


def test_two_declarations_that_close_a_cycle_together_are_not_both_valid(family):
    one, other = family.simulate(LAB, declare("a", "b")), family.simulate(LAB, declare("b", "a"))
    assert (family.commit(one), family.commit(other)) == (True, False)


@pytest.mark.parametrize(
    ("organisation", "child", "parent", "refusal"),
    [
        (LAB, "a", "a", errors.SelfParent("model-version:a:1")),
        (LAB, "a", "gone", errors.ParentMissing("model-version:a:1", "model-version:gone:1")),
        (LAB, "gone", "a", errors.RecordNotFound("model-version:gone:1")),
        (HOSPITAL, "a", "b", errors.NotTheOwner("model-version:a:1", LAB, HOSPITAL)),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(family, organisation, child, parent, refusal):
    assert family.refused(organisation, declare(child, parent)) == refusal


def test_a_parent_is_declared_once(family):
    family.submit(LAB, declare("a", "b"))
    refusal = family.refused(LAB, declare("a", "b"))
    assert refusal == errors.AlreadyExists("model-version:b:1 → model-version:a:1")


def test_declared_parents_are_bounded_so_that_what_was_written_can_be_read(family, monkeypatch):
    monkeypatch.setattr(model, "_MOST_LATER", 1)
    family.submit(LAB, declare("a", "b"))
    assert family.refused(LAB, declare("a", "c")) == errors.TooLarge("/parent", 1)


def test_declared_parents_can_be_changed_with_the_owner_only(family):
    family.submit(LAB, declare("a", "b"))
    expected = "OutOf(2,'LabMSP.peer',OR('HospitalMSP.peer','RegulatorMSP.peer'))"
    assert family.policies["\x00later-parents\x00model-version:a:1\x00"] == expected


def test_an_owner_that_is_a_member_no_more_declares_nothing(family):
    members = (Member(OrgId("HospitalMSP")), Member(OrgId("RegulatorMSP")))
    amended = family.founding_policy(number=Number(2), members=members, rules=())
    for org in ("HospitalMSP", "RegulatorMSP"):
        family.submit(org, amended)
    assert family.refused(LAB, declare("a", "b")) == errors.NotAMember(LAB)


def test_a_declared_parent_binds_the_licence(family):
    family.model_version(LAB, "private", licence=Licence("LicenseRef-private"))
    refusal = family.refused(LAB, declare("a", "private"))
    assert isinstance(refusal, errors.LicenceUnclassified)
    family.model_version(LAB, "closed", licence=Licence("CC-BY-ND-4.0"))
    assert isinstance(family.refused(LAB, declare("a", "closed")), errors.DerivativesForbidden)


# --- Runs -------------------------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_all_that_it_used(lab):
    lab.model_version(LAB, "net")
    root = lab.digest_of("wdbc:1")
    inputs = (RunInput(DATA, root), RunInput(DATA, root, InputRole.TEST))
    assert lab.submit(LAB, run(lab, inputs=inputs, parents=(NET,)))["name"] == "RunRecorded"
    stored = lab.shown("training-run", "r-1")
    assert stored["metrics"] == [{"name": "accuracy", "value": "0.97"}]
    assert Edge(DATA, Ref("run:r-1"), Text("input:train+test")) in lab.records()
    assert Edge(NET, Ref("run:r-1"), Text("initialised")) in lab.records()


def test_a_run_keeps_every_step_of_a_metric_and_long_settings(lab):
    columns = Setting(", ".join(f"column_{index}" for index in range(800)))
    history = tuple(Metric(Text("loss"), Float64(repr(1 / step)), Count(step)) for step in range(1, 1_201))
    metrics = (*history, Metric(Text("loss"), Float64("2.220446049250313e-16")), Metric(Text("drift"), Float64("nan")))
    lab.submit(LAB, run(lab, parameters=(Parameter(Text("columns"), columns),), metrics=metrics))
    stored = lab.shown("training-run", "r-1")
    assert stored["parameters"] == [{"name": "columns", "value": columns}]
    assert stored["metrics"][2] == {"name": "loss", "value": "0.3333333333333333", "step": 3}
    assert stored["metrics"][-2:] == [
        {"name": "loss", "value": "2.220446049250313e-16"},
        {"name": "drift", "value": "nan"},
    ]


def test_a_metric_has_one_value_at_a_step(lab):
    metrics = (Metric(Text("loss"), Float64("1"), Count(0)), Metric(Text("loss"), Float64("2"), Count(0)))
    assert lab.refused(LAB, run(lab, metrics=metrics)) == errors.RepeatedEntry("/metrics", "loss at step 0")


def test_a_run_is_recorded_once(lab):
    lab.submit(LAB, run(lab))
    assert lab.refused(HOSPITAL, run(lab)) == errors.AlreadyExists("run:r-1")


def test_a_run_that_ends_before_it_starts_is_refused(lab):
    command = run(lab, started=Instant(2), finished=Instant(1))
    assert lab.refused(LAB, command) == errors.RunEndsBeforeItStarts(2, 1)


def test_a_run_from_the_future_is_refused(lab):
    later = Instant(lab.at + 120_001)
    assert lab.refused(LAB, run(lab, finished=later)) == errors.DatedInTheFuture("/finished", later, lab.at)


def test_a_run_over_an_altered_copy_is_refused(lab):
    refusal = lab.refused(LAB, run(lab, inputs=(RunInput(DATA, ZERO),)))
    assert refusal == errors.ArtifactAltered(DATA, str(lab.digest_of("wdbc:1")), str(ZERO))


@pytest.mark.parametrize("gone", ["dataset-version:gone:1", "model-version:gone:1"])
def test_a_run_over_what_is_not_there_is_refused(lab, gone):
    refusal = lab.refused(LAB, run(lab, inputs=(RunInput(Ref(gone), ZERO),)))
    assert refusal == errors.ParentMissing("run:r-1", gone)
    refusal = lab.refused(LAB, run(lab, parents=(Ref(gone),)))
    assert refusal == errors.ParentMissing("run:r-1", gone)


def test_a_run_without_input_is_refused(lab):
    assert lab.refused(LAB, run(lab, inputs=())) == errors.RunWithoutInput("run:r-1")


@pytest.mark.parametrize("field", ["inputs", "parents", "parameters", "metrics"])
def test_a_run_names_nothing_twice(lab, field):
    lab.model_version(LAB, "net")
    command = run(lab, parents=(NET,))
    refusal = lab.refused(LAB, replace(command, **{field: getattr(command, field) * 2}))
    assert isinstance(refusal, errors.RepeatedEntry)
    assert refusal.pointer == f"/{field}"


# --- Evaluations ------------------------------------------------------------------------------------------------


def test_an_evaluation_is_the_word_of_whoever_evaluated(lab):
    lab.model_version(LAB, "net")
    event = lab.submit(HOSPITAL, evaluation(lab))
    assert (event["name"], event["owner"], event["subject"]) == ("EvaluationRecorded", HOSPITAL, NET)
    assert lab.shown("evaluation", "e-1")["owner"] == HOSPITAL
    assert lab.refused(LAB, evaluation(lab)) == errors.AlreadyExists("evaluation:e-1")


def test_an_evaluation_of_nothing_or_of_other_weights_is_refused(lab):
    assert lab.refused(LAB, evaluation(lab)) == errors.ParentMissing("evaluation:e-1", NET)
    version = lab.model_version(LAB, "net")
    refusal = lab.refused(LAB, evaluation(lab, digest=ZERO))
    assert refusal == errors.ArtifactAltered(NET, str(version.digest), str(ZERO))


def test_an_evaluation_needs_a_metric_a_time_and_true_data(lab):
    lab.model_version(LAB, "net")
    assert isinstance(lab.refused(LAB, evaluation(lab, metrics=())), errors.InvalidField)
    twice = evaluation(lab).metrics * 2
    assert lab.refused(LAB, evaluation(lab, metrics=twice)) == errors.RepeatedEntry("/metrics", "auc")
    assert isinstance(lab.refused(LAB, evaluation(lab, data=RunInput(DATA, ZERO))), errors.ArtifactAltered)
    later = Instant(lab.at + 120_001)
    assert isinstance(lab.refused(LAB, evaluation(lab, evaluated_at=later)), errors.DatedInTheFuture)
