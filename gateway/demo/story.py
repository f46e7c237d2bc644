# SPDX-License-Identifier: Apache-2.0
"""The steps of the main job. Each does real work through the organisations' gateways and checks what comes back.

A step that finds anything else than it should raises `Disagreement`; nothing is printed as done that was not checked.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from gateway.demo import offline, science
from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from gateway.demo.drawing import references, tree
from gateway.demo.forging import forged
from gateway.demo.judging import BAR, TRAINING, evaluate, set_bar
from gateway.demo.names import Names
from gateway.demo.telling import Telling, expect
from pedigree import Pedigree, Refused, Run
from pedigree.documents import Origin

RECORD = "patient-017"

ORIGIN: Origin = {
    "source": "University of Wisconsin Hospitals, Madison; as distributed with scikit-learn",
    "method": "features computed from digitised images of fine needle aspirates",
    "geography": ["US-WI"],
}
FOUNDING_POLICY: dict[str, Any] = {
    "number": 1,
    "members": [
        {"organisation": "HospitalMSP", "roles": ["supplier"]},
        {"organisation": "LabMSP", "roles": ["trainer"]},
        {"organisation": "RegulatorMSP", "roles": ["auditor"]},
    ],
    "rules": [{"artifact_kind": "model-version", "threshold": 2, "required_roles": ["auditor"]}],
    "amendment_threshold": 2,
}


def found(consortium: Consortium) -> None:
    """Have the members whose votes it takes make the founding policy the law; nothing is recorded before."""
    for name in ("hospital", "regulator"):
        with consortium.client(name) as member:
            member.set_policy(**FOUNDING_POLICY)


class Story:
    """The main job on a running consortium; what the steps share is kept here."""

    def __init__(self, consortium: Consortium | Containers, console: Console) -> None:
        self._consortium = consortium
        self._console = console
        self._telling = Telling(console)
        self._files = consortium.directory / "files"
        self._records = self._files / "hospital" / "records.csv"
        self._clients: dict[str, Pedigree] = {}
        self._answers: dict[str, Any] = {}
        self._names = Names()

    def connect(self) -> None:
        """Make one client for each organisation's gateway."""
        self._clients = {name: self._consortium.client(name) for name in ("hospital", "lab", "regulator")}

    def choose_names(self) -> None:
        """On a ledger that others use too, take names that are still free there."""
        number = 1
        while self._consortium.shared and self._exists(Names(number).dataset):
            number += 1
        self._names = Names(number)

    def _exists(self, dataset: str) -> bool:
        try:
            self._clients["hospital"].dataset(dataset)
        except Refused:
            return False
        return True

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    @property
    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """The steps, in order, each with the sentence that announces it."""
        return [
            ("The hospital registers 569 real patient records and commits to every one of them", self.supply),
            ("The lab trains a model on them and records the run and every file", self.train),
            ("The lab submits the model; regulator and hospital endorse it", self.endorse),
            ("Anyone asks where the model came from; the regulator checks a record and the files", self.trace),
            ("A record is altered, an endorsement forged, a write made by one organisation alone", self.attack),
            ("The regulator sets a bar before a training, which is judged by it; a later bar is refused", self.judge),
            ("One patient withdraws: what was made with the record, and who has to do what", self.withdraw),
            ("Everything is killed with kill -9 and started again", self.survive),
        ]

    # 1

    def supply(self) -> None:
        """Found the consortium's policy, register the data set and commit to its records."""
        hospital = self._clients["hospital"]
        if self._consortium.shared and self._founded():
            self._telling.note("the consortium has its policy already")
        else:
            self._telling.say("hospital votes for the founding policy", hospital.set_policy(**FOUNDING_POLICY))
            self._telling.say(
                "regulator's vote makes it the law", self._clients["regulator"].set_policy(**FOUNDING_POLICY)
            )
        count = science.write_records(self._records)
        expect(count == 569, f"expected 569 records, found {count}")
        registered = hospital.register_dataset(
            self._names.dataset,
            title="Breast cancer Wisconsin (diagnostic)",
            licence="CC-BY-4.0",
            origin=ORIGIN,
            sensitivity="special-category",
            basis="public-task",
            jurisdictions=["US"],
            creator="W. H. Wolberg, W. N. Street, O. L. Mangasarian",
        )
        self._telling.say("data set registered with origin, licence and owner", registered)
        committed = hospital.commit_records(
            self._names.dataset,
            self._records,
            id_field="id",
            consent="ConsentGiven",
            purposes=("research", "model-training"),
        )
        self._telling.say(f"569 records under one root {committed.record['root'][:16]}…", committed)
        expect(committed.record["size"] == 569, f"the root covers {committed.record['size']} records, not 569")
        self._answers["root"] = committed.record["root"]

    def _founded(self) -> bool:
        try:
            self._clients["hospital"].policy()
        except Refused:
            return False
        return True

    # 2

    def train(self) -> None:
        """Train on the hospital's file and record the run and the model version."""
        lab = self._clients["lab"]
        lab.at_least(self._clients["hospital"].height)
        self._telling.say(
            "model registered", lab.register_model(self._names.model, title="Tumour classifier", task="classification")
        )
        with lab.run(
            model=self._names.model,
            name=self._names.run,
            datasets=[self._names.dataset_version],
            code={"digest": science.code_digest()},
            environment={"digest": science.environment_digest()},
            parameters=science.PARAMETERS,
        ) as run:
            trained = science.train(self._records, self._files / "lab" / "model")
            for name, value in trained.metrics.items():
                run.log_metric(name, value)
        expect(run.recorded is not None, "the run was not recorded")
        assert run.recorded is not None
        self._telling.say(f"run recorded; accuracy {trained.metrics['accuracy']} on unseen patients", run.recorded)
        version = lab.record_model_version(self._names.model, trained.folder, licence="CC-BY-4.0", run=self._names.run)
        self._telling.say(f"model version recorded, digest {version.record['digest'][:16]}…", version)
        expect(len(version.record["files"]) == 2, "the manifest does not name the model's two files")
        self._answers["digest"] = version.record["digest"]

    # 3

    def endorse(self) -> None:
        """Take the model version through its quorum; the owner's own endorsement is refused."""
        lab, regulator, hospital = (self._clients[name] for name in ("lab", "regulator", "hospital"))
        self._telling.say("lab submits the model for endorsement", lab.submit(self._names.version))
        self._telling.refused("lab's endorsement of its own model", lambda: lab.endorse(self._names.version))
        for client in (regulator, hospital):
            client.at_least(lab.height)
        first = regulator.endorse(self._names.version)
        self._telling.say("regulator endorses", first)
        expect(first.event["stage"] == "endorsed", f"after one endorsement the stage is {first.event['stage']}")
        second = hospital.endorse(self._names.version)
        self._telling.say("hospital endorses: the quorum is complete", second)
        expect(second.event["stage"] == "approved", f"after two endorsements the stage is {second.event['stage']}")
        self._answers["approval"] = second.transaction_id

    # 4

    def trace(self) -> None:
        """Ask for the lineage both ways, check a record's inclusion and the model's files."""
        regulator, hospital = self._clients["regulator"], self._clients["hospital"]
        regulator.at_least(hospital.height)
        upstream = regulator.lineage(self._names.version, direction="up")
        downstream = regulator.lineage(f"dataset:{self._names.dataset}", direction="down")
        self._console.print(tree("upstream of the model", upstream, up=True))
        self._console.print(tree("downstream of the data set", downstream, up=False))
        expect(
            f"dataset:{self._names.dataset}" in references(upstream), "the data set is missing upstream of the model"
        )
        expect(self._names.version in references(downstream), "the model is missing downstream of the data set")
        proof = hospital.record_proof(self._names.dataset, 1, RECORD)
        receipt = self._files / "regulator" / f"{RECORD}.proof.json"
        receipt.parent.mkdir(parents=True, exist_ok=True)
        receipt.write_text(json.dumps(proof), encoding="utf-8")
        verdict = regulator.verify_record(proof)
        expect(verdict.verified, f"the proof of {RECORD} does not hold: {verdict.text()}")
        self._telling.note(f"{RECORD} was in version 1. {verdict.proven[0]}")
        checked = regulator.verify_model(self._names.model, 1, self._files / "lab" / "model")
        expect(checked["verified"], f"the model's files differ: {checked}")
        self._telling.note("both files of the model have the digests that the ledger names")
        self._answers["upstream"], self._answers["downstream"] = upstream, downstream

    # 5

    def attack(self) -> None:
        """Alter a record, forge an endorsement, write with one organisation only: each is found or refused."""
        hospital, lab = self._clients["hospital"], self._clients["lab"]
        copy = self._files / "hospital" / "altered.csv"
        shutil.copy(self._records, copy)
        science.alter_one_record(copy, RECORD)
        intact = hospital.verify_dataset(self._names.dataset, 1, self._records, id_field="id")
        expect(intact["verified"], f"the untouched copy does not verify: {intact}")
        found = hospital.verify_dataset(self._names.dataset, 1, copy, id_field="id")
        expect(
            not found["verified"] and found["changed"] == [RECORD] and not found["added"] and not found["removed"],
            f"verify should name {RECORD} and nothing else, it says {found}",
        )
        self._telling.note(f"one digit changed in the hospital's copy: verify names {', '.join(found['changed'])}")
        second = lab.record_model_version(
            self._names.model, self._retouched(), licence="CC-BY-4.0", run=self._names.run
        )
        lab.submit(self._names.second)
        hospital.at_least(lab.height)
        given = [one["record"] for one in hospital.artifact(self._names.version)["endorsements"]]
        genuine = next(record for record in given if record["by"] == "HospitalMSP")
        envelope = forged(
            genuine["envelope"],
            {self._answers["digest"]: second.record["digest"], self._names.version: self._names.second},
        )
        self._telling.refused(
            "an endorsement of version 2 that carries the signature of version 1",
            lambda: hospital.endorse(self._names.second, envelope=envelope),
        )
        self._telling.refused(
            "a write that only the lab's own peer endorsed",
            lambda: lab.register_model(self._names.smuggled, title="Smuggled", endorsing_organisations=["LabMSP"]),
        )
        lab.at_least(lab.ledger()["height"])
        expect(
            all(one["record"]["model"] != self._names.smuggled for one in lab.models()["items"]),
            "the smuggled model is there",
        )

    # 6

    def judge(self) -> None:
        """Train on what patients consented to, under a bar that was set before; one that came later judges nothing."""
        lab, regulator, names = self._clients["lab"], self._clients["regulator"], self._names
        self._select()
        lab.at_least(self._clients["hospital"].height)
        lab.register_model(names.consented_model, title="Classifier, on consent", task="classification")
        regulator.at_least(lab.height)
        early = set_bar(regulator, names, "early")
        self._telling.say(
            f"the regulator sets a bar: {' and '.join(BAR)} on the {early.record['size']} held out", early
        )
        lab.at_least(regulator.height)
        trained = science.train(self._records, self._files / "lab" / "consented", names.selection("train"))
        with self._run(names.consented_run) as run:
            run.log_metrics(trained.metrics)
        version = lab.record_model_version(names.consented_model, trained.folder, licence="CC-BY-4.0", run=run.name)
        self._telling.say("the lab trains a model on the selection", version)
        self._answers["consented"] = version.reference
        regulator.at_least(lab.height)
        late = set_bar(regulator, names, "late")
        judged_by = partial(
            evaluate, regulator, names, subject=version.reference, digest=version.record["digest"],
            records=self._records, folder=trained.folder,
        )  # fmt: skip
        judged = judged_by("early")
        self._telling.say(f"the regulator measures it; the ledger says: {judged.record.get('verdict')}", judged)
        expect(judged.record.get("verdict") == "pass", f"the bar that was set first is not met: {judged.record}")
        ran = lab.get_run(run.name)
        expect(
            early.block < ran["transaction"]["block"] < judged.block
            and early.record["registered_at"] < ran["record"]["started"] < late.record["registered_at"],
            "bar, run and evaluation are not in this order on the ledger",
        )
        self._telling.note(f"the bar is in block {early.block}, the run in {ran['transaction']['block']}")
        code = self._telling.refused(
            "the same by a bar that was set after the run started",
            lambda: judged_by("late"),
        )
        expect(code == "criteria-too-late", f"it should be refused as criteria-too-late, not {code}")

    # 7

    def withdraw(self) -> None:
        """Let a patient withdraw from data on consent that a model was trained on; the answer says what that means."""
        hospital, lab = self._clients["hospital"], self._clients["lab"]
        hospital.at_least(self._clients["regulator"].height)
        hospital.at_least(lab.height)
        withdrawn = hospital.withdraw_consent(self._names.consented, RECORD)
        self._telling.say(f"{RECORD} withdraws", withdrawn)
        found = [] if withdrawn.impact is None else withdrawn.impact["items"]
        item = next((each for each in found if each["reference"] == self._answers["consented"]), None)
        expect(item is not None, f"the impact does not name {self._answers['consented']}: {found}")
        assert item is not None
        expect(item["role"] == "train" and item["certain"], f"the record was in the training split, and not: {item}")
        self._telling.note(f"the impact names {item['reference']}: the record was in its training split")
        self._telling.note(f"{item['owner']} has to do this: {item['duty']}")
        lab.at_least(hospital.height)
        self._telling.refused("a new run over the old selection", self._run_again)

    def _select(self) -> None:
        """Register the same records on consent, open the map of it, and select what trains and what tests."""
        hospital, name = self._clients["hospital"], self._names.consented
        hospital.register_dataset(
            name, title="Biopsies, on consent", licence="CC-BY-4.0", origin=ORIGIN,
            sensitivity="special-category", basis="consent", jurisdictions=["US"],
        )  # fmt: skip
        hospital.commit_records(
            name, self._records, id_field="id", subject_field="id", consent="ConsentGiven", purposes=("model-training",)
        )
        opened = hospital.open_consent(name)
        self._telling.say(f"the hospital keeps what {opened.record['size']} patients consented to", opened)
        for role, ids in science.split(self._records).items():
            chosen = hospital.select_records(name, 1, role, ids, purpose="model-training", role=role)
            self._telling.say(f"{chosen.record['size']} records to {role}, as consent permits", chosen)

    def _run(self, name: str) -> Run:
        """A run of the lab's over the selections."""
        version = f"dataset-version:{self._names.consented}:1"
        return self._clients["lab"].run(
            name=name,
            datasets=[
                {"version": version, "selection": self._names.selection(role), "role": role}
                for role in ("train", "test")
            ],
            code={"digest": science.code_digest()},
            environment={"digest": science.environment_digest()},
            purpose=TRAINING,
            save_in=self._files,
        )

    def _run_again(self) -> None:
        with self._run(f"{self._names.consented_run}-again"):
            pass

    # 8

    def survive(self) -> None:
        """Kill every process without warning, start again, and ask the same questions."""
        self._clients["regulator"].at_least(self._clients["lab"].ledger()["height"])
        before = self._questions()
        evidence = self._clients["regulator"].transaction_evidence(self._answers["approval"])
        genesis_hash = self._clients["regulator"].ledger()["genesis_hash"]
        self.close()
        self._consortium.kill()
        self._telling.note("every process of the three organisations has been killed")
        for found in offline.check(evidence, genesis_hash, self._names.version):
            self._telling.note(found)
        started = time.monotonic()
        self._consortium.start()
        self._telling.note(f"the consortium is up again after {time.monotonic() - started:.1f} s")
        self.connect()
        for client in self._clients.values():
            client.at_least(before["height"])
        after = self._questions()
        expect(after["answers"] == before["answers"], "the answers differ after the restart")
        expect(after["height"] >= before["height"], "the ledger is shorter after the restart")
        if self._consortium.ledger == "embedded":
            self._telling.note(self._consortium.fsck().strip().splitlines()[-1])
        self._telling.note("the same questions are answered in the same words")

    def _questions(self) -> dict[str, Any]:
        """What is asked before the crash and after it; where others write too, the height of an answer may grow."""
        regulator = self._clients["regulator"]
        answers = {
            "stage": regulator.artifact(self._names.version),
            "upstream": regulator.lineage(self._names.version, direction="up"),
            "downstream": regulator.lineage(f"dataset:{self._names.dataset}", direction="down"),
            "version": {**regulator.dataset_version(self._names.dataset, 1), "height": None},
            "model": {**regulator.model_version(self._names.model, 1), "height": None},
        }
        return {"answers": json.loads(json.dumps(answers)), "height": regulator.ledger()["height"]}

    def _retouched(self) -> Path:
        """The model's folder with another setting in it: what version 2 is made of."""
        folder = self._files / "lab" / "model-2"
        shutil.copytree(self._files / "lab" / "model", folder)
        (folder / "config.json").write_text('{"retouched": true}', encoding="utf-8")
        return folder
