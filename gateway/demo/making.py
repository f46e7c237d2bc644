# SPDX-License-Identifier: Apache-2.0
"""Steps 1 to 4: records become a data set, the data set a model, the model is approved, and its origin is shown."""

from __future__ import annotations

import json
import time
from typing import Final

from gateway.demo import science
from gateway.demo.drawing import references, tree
from gateway.demo.founding import FOUNDING_POLICY, ORIGIN
from gateway.demo.judging import TRAINING
from gateway.demo.persons import endorse_as_person
from gateway.demo.stage import RECORD, Stage
from gateway.demo.telling import expect
from pedigree import Refused
from pedigree.documents import RunInput

_MONTH: Final = 30 * 86_400_000
"""Thirty days, in milliseconds."""


def supply(stage: Stage) -> None:
    """Found the consortium's policy, register the data set and commit to its records."""
    hospital = stage.clients["hospital"]
    if stage.consortium.shared and _founded(stage):
        stage.telling.note("the consortium has its policy already")
    else:
        stage.telling.say("hospital votes for the founding policy", hospital.set_policy(**FOUNDING_POLICY))
        stage.telling.say("regulator's vote makes it the law", stage.clients["regulator"].set_policy(**FOUNDING_POLICY))
    count = science.write_records(stage.records)
    expect(count == 569, f"expected 569 records, found {count}")
    registered = hospital.register_dataset(
        stage.names.dataset,
        title="Breast cancer Wisconsin (diagnostic)",
        licence="CC-BY-4.0",
        origin=ORIGIN,
        sensitivity="special-category",
        basis="public-task",
        jurisdictions=["US"],
        creator="W. H. Wolberg, W. N. Street, O. L. Mangasarian",
    )
    stage.telling.say("data set registered with origin, licence and owner", registered)
    committed = hospital.commit_records(
        stage.names.dataset,
        stage.records,
        id_field="id",
        consent="ConsentGiven",
        purposes=("research", "model-training"),
    )
    stage.telling.say(f"569 records under one root {committed.record['root'][:16]}…", committed)
    expect(committed.record["size"] == 569, f"the root covers {committed.record['size']} records, not 569")
    stage.answers["root"] = committed.record["root"]


def _founded(stage: Stage) -> bool:
    try:
        stage.clients["hospital"].policy()
    except Refused:
        return False
    return True


def train(stage: Stage) -> None:
    """Ask for access, train on the hospital's file, and record the run and the model version."""
    lab = stage.clients["lab"]
    lab.at_least(stage.clients["hospital"].height)
    _be_let_in(stage)
    stage.telling.say(
        "model registered", lab.register_model(stage.names.model, title="Tumour classifier", task="classification")
    )
    with lab.run(
        model=stage.names.model,
        name=stage.names.run,
        datasets=[{"version": stage.names.dataset_version, "grant": f"access-grant:{stage.names.access}"}],
        purpose=TRAINING,
        code={"digest": science.code_digest()},
        environment={"digest": science.environment_digest()},
        parameters=science.PARAMETERS,
    ) as run:
        trained = science.train(stage.records, stage.files / "lab" / "model")
        for name, value in trained.metrics.items():
            run.log_metric(name, value)
    expect(run.recorded is not None, "the run was not recorded")
    assert run.recorded is not None
    stage.telling.say(f"run recorded; accuracy {trained.metrics['accuracy']} on unseen patients", run.recorded)
    version = lab.record_model_version(stage.names.model, trained.folder, licence="CC-BY-4.0", run=stage.names.run)
    stage.telling.say(f"model version recorded, digest {version.record['digest'][:16]}…", version)
    expect(len(version.record["files"]) == 2, "the manifest does not name the model's two files")
    stage.answers["digest"] = version.record["digest"]


def _be_let_in(stage: Stage) -> None:
    """Without a grant the lab's run is refused; the lab asks for one, and the hospital grants what was asked for."""
    hospital, lab, names = stage.clients["hospital"], stage.clients["lab"], stage.names
    now = time.time_ns() // 1_000_000
    used: RunInput = {"version": names.dataset_version, "root": stage.answers["root"], "role": "train"}
    code = stage.telling.refused(
        "a run of the lab's over the hospital's data, without a grant",
        lambda: lab.record_run(
            names.run,
            code={"digest": science.code_digest()},
            environment={"digest": science.environment_digest()},
            started=now,
            finished=now,
            inputs=[used],
        ),
    )
    expect(code == "data-withheld", f"it should be refused as data-withheld, not {code}")
    asked = lab.request_access(
        names.request, artifact=names.dataset_version, purpose=TRAINING, actions=["process"], expires=now + _MONTH,
        justification="to train a classifier of tumours",
    )  # fmt: skip
    stage.telling.say("the lab asks for thirty days of access, to train a model", asked)
    hospital.at_least(lab.height)
    given = hospital.grant_access(names.access, request=names.request)
    stage.telling.say("the hospital grants them", given)
    lab.at_least(given.height)


def endorse(stage: Stage) -> None:
    """Take the model version through its quorum; the owner's word is refused, and any while the data is stopped."""
    lab, regulator, hospital = (stage.clients[name] for name in ("lab", "regulator", "hospital"))
    stage.telling.say("lab submits the model for endorsement", lab.submit(stage.names.version))
    stage.telling.refused("lab's endorsement of its own model", lambda: lab.endorse(stage.names.version))
    for client in (regulator, hospital):
        client.at_least(lab.height)
    first = endorse_as_person(stage, "regulator", stage.names.version)
    stage.telling.say("a person of the regulator's endorses, with a key that no gateway has", first)
    expect(first.event["stage"] == "endorsed", f"after one endorsement the stage is {first.event['stage']}")
    _stop_and_release(stage)
    second = hospital.endorse(stage.names.version)
    stage.telling.say("hospital endorses: the quorum is complete", second)
    expect(second.event["stage"] == "approved", f"after two endorsements the stage is {second.event['stage']}")
    stage.answers["approval"] = second.transaction_id


def _stop_and_release(stage: Stage) -> None:
    """While what a model was made from is quarantined, the next endorsement is refused, and the path is named."""
    hospital, data = stage.clients["hospital"], stage.names.dataset_version
    hospital.at_least(stage.clients["regulator"].height)
    stopped = hospital.quarantine(data, "a batch of slides is looked at again")
    stage.telling.say("the hospital puts its data into quarantine", stopped)
    code = stage.telling.refused(
        "the hospital's endorsement of a model made from it", lambda: hospital.endorse(stage.names.version)
    )
    expect(code == "tainted", f"it should be refused as tainted, not {code}")
    stage.telling.say("the slides are in order, and the data is released", hospital.release(data, "nothing was found"))


def trace(stage: Stage) -> None:
    """Ask for the lineage both ways, check a record's inclusion and the model's files."""
    regulator, hospital = stage.clients["regulator"], stage.clients["hospital"]
    regulator.at_least(hospital.height)
    upstream = regulator.lineage(stage.names.version, direction="up")
    downstream = regulator.lineage(f"dataset:{stage.names.dataset}", direction="down")
    stage.console.print(tree("upstream of the model", upstream, up=True))
    stage.console.print(tree("downstream of the data set", downstream, up=False))
    expect(f"dataset:{stage.names.dataset}" in references(upstream), "the data set is missing upstream of the model")
    expect(stage.names.version in references(downstream), "the model is missing downstream of the data set")
    proof = hospital.record_proof(stage.names.dataset, 1, RECORD)
    receipt = stage.files / "regulator" / f"{RECORD}.proof.json"
    receipt.parent.mkdir(parents=True, exist_ok=True)
    receipt.write_text(json.dumps(proof), encoding="utf-8")
    verdict = regulator.verify_record(proof)
    expect(verdict.verified, f"the proof of {RECORD} does not hold: {verdict.text()}")
    stage.telling.note(f"{RECORD} was in version 1. {verdict.proven[0]}")
    checked = regulator.verify_model(stage.names.model, 1, stage.files / "lab" / "model")
    expect(checked["verified"], f"the model's files differ: {checked}")
    stage.telling.note("both files of the model have the digests that the ledger names")
    stage.answers["upstream"], stage.answers["downstream"] = upstream, downstream
