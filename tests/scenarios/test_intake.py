# SPDX-License-Identifier: Apache-2.0
"""Data sets as they come: with a card, in every form of file, in any number, with whose they are and what was agreed.

`PEDIGREE_RECORDS` says how many records are committed at once, 20,000 where it says nothing; a million for acceptance.
"""

from __future__ import annotations

import io
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.demo.founding import ORIGIN
from pedigree import verify_record
from pedigree.croissant import read_card
from pedigree.evidence import Evidence

if TYPE_CHECKING:
    from scenarios.conftest import World

pytestmark = [pytest.mark.timeout(900)]

RECORDS = int(os.environ.get("PEDIGREE_RECORDS", "20000"))


@pytest.mark.story("F1", "A data set is registered from its Croissant card")
def test_a_data_set_is_registered_from_its_card(world: World, tmp_path: Path) -> None:
    file = f"id,age\na,{world.number}\n".encode()
    written = {
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": f"Passengers {world.number}",
        "description": "Who was on board.",
        "license": "https://choosealicense.com/licenses/cc-by-sa-4.0/",
        "creator": {"@type": "Person", "name": "Ada"},
        "url": "https://example.org/passengers",
        "temporalCoverage": "1912-04-10/1912-04-15",
        "distribution": [{"@type": "cr:FileObject", "name": "p.csv", "sha256": sha256(file).hexdigest()}],
    }
    (tmp_path / "card.json").write_text(json.dumps(written), encoding="utf-8")
    card = read_card(tmp_path / "card.json")
    fields = {**card.fields, "origin": {**ORIGIN, **card.fields["origin"]}, "sensitivity": "public"}
    record = world.as_("hospital").register_dataset(world.dataset, **fields).record
    assert (record["title"], record["creator"]) == (written["name"], "Ada")
    assert record["licence"].upper() == "CC-BY-SA-4.0"
    assert record["origin"]["source"] == "https://example.org/passengers"
    assert record["origin"]["collected_from"] < record["origin"]["collected_until"]
    assert record["card"] == sha256((tmp_path / "card.json").read_bytes()).hexdigest()
    # Anyone who has the card, or the file that it lists, finds the data set.
    for digest in (record["card"], sha256(file).hexdigest()):
        found = world.as_("regulator").datasets(digest=digest)["items"]
        assert [entry["record"]["dataset"] for entry in found] == [world.dataset]


def csv_of(values: dict[str, str]) -> bytes:
    return "".join(["id,value\n", *(f"{name},{value}\n" for name, value in values.items())]).encode()


def json_lines_of(values: dict[str, str]) -> bytes:
    return "".join(json.dumps({"id": name, "value": value}) + "\n" for name, value in values.items()).encode()


def parquet_of(values: dict[str, str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": list(values), "value": list(values.values())}), sink)
    return sink.getvalue()


def written(folder: Path, form: str, values: dict[str, str]) -> Path:
    """The values as a file of that form, or as a folder."""
    folder.mkdir()
    if form == "folder":
        for name, value in values.items():
            (folder / name).write_text(value, encoding="utf-8")
        return folder
    file = folder / f"records.{form}"
    file.write_bytes({"csv": csv_of, "jsonl": json_lines_of, "parquet": parquet_of}[form](values))
    return file


@pytest.mark.story("F1", "CSV, JSON Lines, Parquet and a folder of files are each committed and verified")
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "folder"])
def test_every_form_of_records_is_committed_and_verified(world: World, tmp_path: Path, form: str) -> None:
    world.register("hospital")
    hospital = world.as_("hospital")
    values = {name: f"{name} of {world.number}" for name in "abcd"}
    id_field = None if form == "folder" else "id"
    source = written(tmp_path / "committed", form, values)
    committed = hospital.commit_records(world.dataset, source, id_field=id_field).record
    assert (committed["number"], committed["size"]) == (1, 4)
    assert hospital.verify_dataset(world.dataset, 1, source)["verified"]
    other = {**{name: value for name, value in values.items() if name != "d"}, "b": "altered", "e": "new"}
    report = hospital.verify_dataset(world.dataset, 1, written(tmp_path / "other", form, other))
    assert (report["changed"], report["removed"], report["added"]) == (["b"], ["d"], ["e"])
    evidence = hospital.record_proof(world.dataset, 1, "c")
    verdict = verify_record(evidence, version=world.as_("regulator").dataset_version(world.dataset, 1))
    assert (verdict.verified, verdict.id) == (True, "c")


@pytest.mark.story("F1", "A million records are committed in one transaction")
def test_very_many_records_are_committed_in_one_transaction(world: World, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    with file.open("w", encoding="ascii") as sink:
        sink.write("id,age\n")
        sink.writelines(f"r{number},{number % 90}\n" for number in range(RECORDS))
    world.register("hospital")
    recorded = world.as_("hospital").commit_records(world.dataset, file, id_field="id")
    assert (recorded.record["number"], recorded.record["size"]) == (1, RECORDS)
    answer = world.as_("regulator").dataset_version(world.dataset, 1)
    assert answer["transaction"]["id"] == recorded.transaction_id
    for number in (0, RECORDS // 2, RECORDS - 1):
        verdict = verify_record(world.as_("hospital").record_proof(world.dataset, 1, f"r{number}"), version=answer)
        assert f"number {number + 1} of the {RECORDS} records" in verdict.proven[0]


AGREED = b"""id,patient,agreed,uses
a,ann,ConsentGiven,research model-training
b,bob,ConsentRefused,
c,ann,ConsentGiven,research model-training
"""


@pytest.mark.story("F1", "A record is proven with its consent and licence as they were collected")
def test_a_record_is_proven_with_consent_and_licence_as_they_were(world: World) -> None:
    world.register("hospital", licence="CC-BY-NC-4.0", sensitivity="personal", basis="consent")
    hospital = world.as_("hospital")
    columns: dict[str, Any] = {"subject_field": "patient", "consent_field": "agreed", "purposes_field": "uses"}
    committed = hospital.commit_records(world.dataset, AGREED, id_field="id", **columns).record
    assert committed["leaf_schema"] == "pedigree-record/v2"
    hospital.open_consent(world.dataset)
    hospital.withdraw_consent(world.dataset, "ann")
    answer = world.as_("regulator").dataset_version(world.dataset, 1)
    evidence = world.as_("hospital").record_proof(world.dataset, 1, "c")
    verdict = verify_record(evidence, version=answer)
    assert "with the consent state 'given' for research, model-training" in verdict.proven[1]
    assert "under the licence 'CC-BY-NC-4.0'" in verdict.recorded[0]
    assert answer["transaction"]["id"] in verdict.recorded[-1]
    refused = verify_record(world.as_("hospital").record_proof(world.dataset, 1, "b"), version=answer)
    assert "'refused' for no purpose" in refused.proven[1]
    # What holds now is in the map, under the reference to which the record's leaf commits.
    now = world.as_("hospital").consent_proof(world.dataset, "ann")
    assert now["status"]["status"] == "ConsentWithdrawn"
    assert Evidence.of(evidence).is_about(bytes.fromhex(now["subject"]))


@pytest.mark.story("F1", "A file that was made from a version names it and the activity")
def test_a_derived_file_names_its_parents_and_the_activity(world: World) -> None:
    world.register("hospital")
    world.commit("a,b,c,d")
    world.register("lab", name=f"filtered-{world.number}")
    lab = world.as_("lab")
    record = lab.commit_records(
        f"filtered-{world.number}", b"id,value\na,97\n", parents=[world.data_version], activity="filter"
    ).record
    assert record["derivation"] == {"activity": "filter", "parents": [world.data_version]}
    edges = world.as_("regulator").edges(f"dataset-version:filtered-{world.number}:1")["items"]
    assert (world.data_version, "filter") in {(each["record"]["parent"], each["record"]["relation"]) for each in edges}
