# SPDX-License-Identifier: Apache-2.0
"""Copies of data set versions at those who train and audit: checked against the ledger, without the owner."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from letting import let_in

from gateway.demo.founding import ORIGIN
from pedigree import InvalidBundle, NotFound, Pedigree, merkle
from pedigree.bundles import Bundle

_names = itertools.count(1)
ROWS = [f"p{number},{number % 90}" for number in range(6_000)]


def csv(rows: list[str]) -> bytes:
    return "\n".join(["id,age", *rows]).encode()


@pytest.fixture
def dataset(clients: dict[str, Pedigree]) -> str:
    """A data set that the hospital registered."""
    name = f"copied-{next(_names)}"
    clients["hospital"].register_dataset(
        name, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="special-category", basis="public-task"
    )
    return name


def handed_over(clients: dict[str, Pedigree], dataset: str, source: Any, folder: Path) -> tuple[Pedigree, Path]:
    """The lab's client, and the bundle that the hospital gave it of a version that it commits."""
    recorded = clients["hospital"].commit_records(dataset, source, id_field=None if _is_folder(source) else "id")
    bundle = clients["hospital"].save_bundle(dataset, recorded.record["number"], folder / "version.bundle")
    clients["lab"].at_least(recorded.height)
    return clients["lab"], bundle


def _is_folder(source: Any) -> bool:
    return isinstance(source, Path) and source.is_dir()


@pytest.mark.story("F1", "A trainer checks its copy by a bundle, and without the owner")
def test_a_trainer_names_every_difference(clients: dict[str, Pedigree], dataset: str, tmp_path: Path) -> None:
    lab, bundle = handed_over(clients, dataset, csv(ROWS), tmp_path)
    with pytest.raises(NotFound):
        lab.verify_dataset(dataset, 1, csv(ROWS))
    with pytest.raises(NotFound):
        lab.save_bundle(dataset, 1, tmp_path / "own.bundle")
    assert lab.verify_copy(csv(ROWS), bundle)["verified"] is True
    altered = [*ROWS[:70], "p70,1", *ROWS[71:5_000], "new,1", *ROWS[5_001:]]
    report = lab.verify_copy(csv(altered), bundle)
    assert report["verified"] is False
    assert (report["changed"], report["added"], report["removed"]) == (["p70"], ["new"], ["p5000"])
    owner = clients["hospital"].verify_dataset(dataset, 1, csv(altered))
    assert report == {name: owner[name] for name in report}


@pytest.mark.story("F1", "A trainer checks its copy by a bundle, and without the owner")
def test_a_bundle_of_another_version_is_refused(clients: dict[str, Pedigree], dataset: str, tmp_path: Path) -> None:
    lab, bundle = handed_over(clients, dataset, csv(ROWS[:10]), tmp_path)
    whole = bundle.read_bytes()
    (other := tmp_path / "other.bundle").write_bytes(whole.replace(b"p9", b"q9"))
    with pytest.raises(InvalidBundle, match="is damaged"):
        lab.verify_copy(csv(ROWS[:10]), other)
    second = clients["hospital"].commit_records(dataset, csv(ROWS[:11]), id_field="id")
    lab.at_least(second.height)
    assert lab.verify_copy(csv(ROWS[:11]), bundle)["added"] == ["p10"]
    assert lab.verify_copy(csv(ROWS[:10]), bundle)["verified"] is True


@pytest.mark.story("F1", "A trainer checks its copy by a bundle, and without the owner")
@pytest.mark.parametrize("form", ["jsonl", "parquet", "folder"])
def test_every_form_of_records_is_checked(
    clients: dict[str, Pedigree], dataset: str, tmp_path: Path, form: str
) -> None:
    source = _written(tmp_path / f"records.{form}", form, last=b"two")
    copy = _written(tmp_path / f"copy.{form}", form, last=b"2")
    lab, bundle = handed_over(clients, dataset, source, tmp_path)
    assert lab.verify_copy(source, bundle)["verified"] is True
    assert lab.verify_copy(copy, bundle)["changed"] == ["b"]


def _written(path: Path, form: str, last: bytes) -> Path:
    """Two records, `a` and `b`, of which the last says this."""
    if form == "folder":
        path.mkdir()
        (path / "a").write_bytes(b"one")
        (path / "b").write_bytes(last)
    elif form == "parquet":
        pq.write_table(pa.table({"id": ["a", "b"], "said": ["one", last.decode()]}), path)
    else:
        path.write_bytes(b'{"id":"a","said":"one"}\n{"id":"b","said":"%b"}\n' % last)
    return path


@pytest.mark.story("F2", "What training reads is compared with its selection, and a difference is recorded")
def test_training_reads_what_was_selected_or_says_that_it_did_not(
    clients: dict[str, Pedigree], dataset: str, tmp_path: Path
) -> None:
    lab, bundle = handed_over(clients, dataset, csv(ROWS), tmp_path)
    version, selection = f"dataset-version:{dataset}:1", f"selection:{dataset}:1:training"
    with Bundle(bundle) as opened:
        leaves = [record.leaf for record in opened.check(lab.dataset_version(dataset, 1)).all()]
    chosen = merkle.root_of_hashes(b"".join(leaves[:4_000])).hex()
    left_out = [{"reason": "held out", "count": 2_000}]
    selected = clients["hospital"].commit_selection(
        version, "training", root=chosen, size=4_000, role="train", left_out=left_out
    )
    lab.at_least(selected.height)
    (copy := tmp_path / "training.csv").write_bytes(csv(ROWS[:4_000]))
    assert _used(clients, selection, copy, bundle) == {"root": chosen, "found": "verified"}
    copy.write_bytes(csv(ROWS[:4_001]))
    differing = _used(clients, selection, copy, bundle)
    assert differing["found"] == "differs"
    assert differing["root"] != chosen
    assert _used(clients, selection, copy, None) == {"root": chosen, "found": "unverified"}
    assert _used(clients, version, copy, bundle)["found"] == "differs"


@pytest.mark.story("F1", "A trainer names what it read outside of a selection, without the owner")
def test_what_lies_outside_a_selection_is_named(clients: dict[str, Pedigree], dataset: str, tmp_path: Path) -> None:
    hospital, lab = clients["hospital"], clients["lab"]
    hospital.commit_records(dataset, csv(ROWS), id_field="id")
    chosen = hospital.select_records(dataset, 1, "training", [f"p{number}" for number in range(0, 6_000, 2)])
    bundle = hospital.save_bundle(dataset, 1, tmp_path / "version.bundle", selections=["training"])
    lab.at_least(chosen.height)
    (copy := tmp_path / "training.csv").write_bytes(csv(ROWS[::2]))
    selection = f"selection:{dataset}:1:training"
    assert lab.verify_copy(copy, bundle, selection="training")["verified"] is True
    assert _used(clients, selection, copy, bundle) == {"root": chosen.record["root"], "found": "verified"}
    copy.write_bytes(csv([*ROWS[:2], *ROWS[4::2]]))
    report = lab.verify_copy(copy, bundle, selection="training")
    assert (report["verified"], report["outside"], report["removed"]) == (False, ["p1"], ["p2"])
    owner = hospital.verify_dataset(dataset, 1, copy, selection="training")
    assert report == {name: owner[name] for name in report}
    assert _used(clients, selection, copy, bundle)["found"] == "differs"


def _used(clients: dict[str, Pedigree], reference: str, copy: Path, bundle: Path | None) -> dict[str, Any]:
    """What a run of the lab's, under a grant of the hospital's, says that it found, on the ledger."""
    hospital, lab = clients["hospital"], clients["lab"]
    grant = let_in(hospital, reference)
    lab.at_least(hospital.height)
    with lab.run(model="screening", code="5f" * 32) as run:
        used = run.use(reference, copy, bundle=bundle, grant=grant)
    (entry,) = lab.get_run(run.name)["record"]["inputs"]
    assert (entry.get("selection", entry["version"]), entry["root"]) == (reference, used.root)
    return {"root": entry["root"], "found": entry["found"]}
