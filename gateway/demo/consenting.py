# SPDX-License-Identifier: Apache-2.0
"""Steps 7 and 8: a model that was trained on what patients consented to, and one of them withdraws."""

from __future__ import annotations

import time
from functools import partial

from gateway.demo import science
from gateway.demo.founding import ORIGIN
from gateway.demo.judging import BAR, TRAINING, evaluate, set_bar
from gateway.demo.stage import RECORD, Stage
from gateway.demo.telling import expect
from pedigree import Run


def judge(stage: Stage) -> None:
    """Train on what patients consented to, under a bar that was set before; one that came later judges nothing."""
    lab, regulator, names = stage.clients["lab"], stage.clients["regulator"], stage.names
    _select(stage)
    lab.at_least(stage.clients["hospital"].height)
    lab.register_model(names.consented_model, title="Classifier, on consent", task="classification")
    regulator.at_least(lab.height)
    early = set_bar(regulator, names, "early")
    stage.telling.say(f"the regulator sets a bar: {' and '.join(BAR)} on the {early.record['size']} held out", early)
    lab.at_least(regulator.height)
    trained = science.train(stage.records, stage.files / "lab" / "consented", names.selection("train"))
    with _run(stage, names.consented_run) as run:
        run.log_metrics(trained.metrics)
    version = lab.record_model_version(names.consented_model, trained.folder, licence="CC-BY-4.0", run=run.name)
    stage.telling.say("the lab trains a model on the selection", version)
    stage.answers["consented"] = version.reference
    regulator.at_least(lab.height)
    late = set_bar(regulator, names, "late")
    judged_by = partial(
        evaluate, regulator, names, subject=version.reference, digest=version.record["digest"],
        records=stage.records, folder=trained.folder,
    )  # fmt: skip
    judged = judged_by("early")
    stage.telling.say(f"the regulator measures it; the ledger says: {judged.record.get('verdict')}", judged)
    expect(judged.record.get("verdict") == "pass", f"the bar that was set first is not met: {judged.record}")
    ran = lab.get_run(run.name)
    expect(
        early.block < ran["transaction"]["block"] < judged.block
        and early.record["registered_at"] < ran["record"]["started"] < late.record["registered_at"],
        "bar, run and evaluation are not in this order on the ledger",
    )
    stage.telling.note(f"the bar is in block {early.block}, the run in {ran['transaction']['block']}")
    code = stage.telling.refused(
        "the same by a bar that was set after the run started",
        lambda: judged_by("late"),
    )
    expect(code == "criteria-too-late", f"it should be refused as criteria-too-late, not {code}")


def withdraw(stage: Stage) -> None:
    """Let a patient withdraw from data on consent that a model was trained on; the answer says what that means."""
    hospital, lab = stage.clients["hospital"], stage.clients["lab"]
    hospital.at_least(stage.clients["regulator"].height)
    hospital.at_least(lab.height)
    withdrawn = hospital.withdraw_consent(stage.names.consented, RECORD)
    stage.telling.say(f"{RECORD} withdraws", withdrawn)
    found = [] if withdrawn.impact is None else withdrawn.impact["items"]
    item = next((each for each in found if each["reference"] == stage.answers["consented"]), None)
    expect(item is not None, f"the impact does not name {stage.answers['consented']}: {found}")
    assert item is not None
    expect(item["role"] == "train" and item["certain"], f"the record was in the training split, and not: {item}")
    stage.telling.note(f"the impact names {item['reference']}: the record was in its training split")
    stage.telling.note(f"{item['owner']} has to do this: {item['duty']}")
    lab.at_least(hospital.height)
    stage.telling.refused("a new run over the old selection", partial(_run_again, stage))


def _select(stage: Stage) -> None:
    """Register the same records on consent, open the map of it, and select what trains and what tests."""
    hospital, name = stage.clients["hospital"], stage.names.consented
    hospital.register_dataset(
        name, title="Biopsies, on consent", licence="CC-BY-4.0", origin=ORIGIN,
        sensitivity="special-category", basis="consent", jurisdictions=["US"],
    )  # fmt: skip
    hospital.commit_records(
        name, stage.records, id_field="id", subject_field="id", consent="ConsentGiven", purposes=("model-training",)
    )
    opened = hospital.open_consent(name)
    stage.telling.say(f"the hospital keeps what {opened.record['size']} patients consented to", opened)
    for role, ids in science.split(stage.records).items():
        chosen = hospital.select_records(name, 1, role, ids, purpose="model-training", role=role)
        stage.telling.say(f"{chosen.record['size']} records to {role}, as consent permits", chosen)
    for role, organisation in (("train", "lab"), ("test", "lab"), ("test", "regulator")):
        given = hospital.grant_access(
            stage.names.part(role, organisation), grantee=f"{organisation.capitalize()}MSP",
            artifact=stage.names.selection(role), purpose=TRAINING, actions=["process"],
            expires=time.time_ns() // 1_000_000 + 86_400_000,
        )  # fmt: skip
        part = "training records" if role == "train" else "records held out"
        stage.telling.say(f"the hospital grants the {organisation} a day with the {part}", given)


def _run(stage: Stage, name: str) -> Run:
    """A run of the lab's over the selections."""
    version = f"dataset-version:{stage.names.consented}:1"
    return stage.clients["lab"].run(
        name=name,
        datasets=[
            {
                "version": version,
                "selection": stage.names.selection(role),
                "role": role,
                "grant": f"access-grant:{stage.names.part(role, 'lab')}",
            }
            for role in ("train", "test")
        ],
        code={"digest": science.code_digest()},
        environment={"digest": science.environment_digest()},
        purpose=TRAINING,
        save_in=stage.files,
    )


def _run_again(stage: Stage) -> None:
    with _run(stage, f"{stage.names.consented_run}-again"):
        pass
