# SPDX-License-Identifier: Apache-2.0
"""Step 5: what an intruder, a forger and one organisation alone can do."""

from __future__ import annotations

import shutil
from pathlib import Path

from gateway.demo import science
from gateway.demo.forging import forged
from gateway.demo.stage import RECORD, Stage
from gateway.demo.telling import expect


def attack(stage: Stage) -> None:
    """Alter a record, forge an endorsement, write with one organisation only: each is found or refused."""
    hospital, lab = stage.clients["hospital"], stage.clients["lab"]
    copy = stage.files / "hospital" / "altered.csv"
    shutil.copy(stage.records, copy)
    science.alter_one_record(copy, RECORD)
    intact = hospital.verify_dataset(stage.names.dataset, 1, stage.records, id_field="id")
    expect(intact["verified"], f"the untouched copy does not verify: {intact}")
    found = hospital.verify_dataset(stage.names.dataset, 1, copy, id_field="id")
    expect(
        not found["verified"] and found["changed"] == [RECORD] and not found["added"] and not found["removed"],
        f"verify should name {RECORD} and nothing else, it says {found}",
    )
    stage.telling.note(f"one digit changed in the hospital's copy: verify names {', '.join(found['changed'])}")
    second = lab.record_model_version(stage.names.model, _retouched(stage), licence="CC-BY-4.0", run=stage.names.run)
    lab.submit(stage.names.second)
    hospital.at_least(lab.height)
    given = [one["record"] for one in hospital.artifact(stage.names.version)["endorsements"]]
    genuine = next(record for record in given if record["by"] == "HospitalMSP")
    envelope = forged(
        genuine["envelope"],
        {stage.answers["digest"]: second.record["digest"], stage.names.version: stage.names.second},
    )
    stage.telling.refused(
        "an endorsement of version 2 that carries the signature of version 1",
        lambda: hospital.endorse(stage.names.second, envelope=envelope),
    )
    stage.telling.refused(
        "a write that only the lab's own peer endorsed",
        lambda: lab.register_model(stage.names.smuggled, title="Smuggled", endorsing_organisations=["LabMSP"]),
    )
    lab.at_least(lab.ledger()["height"])
    expect(
        all(one["record"]["model"] != stage.names.smuggled for one in lab.models()["items"]),
        "the smuggled model is there",
    )


def _retouched(stage: Stage) -> Path:
    """The model's folder with another setting in it: what version 2 is made of."""
    folder = stage.files / "lab" / "model-2"
    shutil.copytree(stage.files / "lab" / "model", folder)
    (folder / "config.json").write_text('{"retouched": true}', encoding="utf-8")
    return folder
