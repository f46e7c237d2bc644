# SPDX-License-Identifier: Apache-2.0
"""What a training reads is compared, and the run says what was found."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from samplebundle import Sample, sample

from chaincode.domain import codec, merkle
from gateway.services.ports import Reading
from pedigree import Disagreement, InvalidBundle, InvalidInput, Pedigree, Unmet
from pedigree.bundles import Bundle
from pedigree.tables import CSV

VERSION, SELECTION = "dataset-version:wdbc:3", "selection:wdbc:3:training"
PATH = "/v1/datasets/wdbc/versions/3"
ROWS = [(f"p{number}", b"p%d,%d" % (number, number)) for number in range(10)]
CODE = "cd" * 32


def csv(rows: list[tuple[str, bytes]], header: bytes = b"id,age") -> bytes:
    return b"\n".join([header, *(content for _, content in rows)])


class Gateway:
    """Knows a version and a selection of its first four records; compares copies if it is their owner's."""

    def __init__(self, made: Sample, part: str) -> None:
        self.made = made
        self.part = part
        self.basis = "public-task"
        self.asked: Any = None
        self.report: Any = None
        self.runs: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path:
            case "GET", "/v1/datasets/wdbc":
                return httpx.Response(200, json={"record": {"basis": self.basis}, "transaction": {}})
            case "GET", path if path == PATH:
                return httpx.Response(200, json=self.made.version)
            case "GET", path if path == f"{PATH}/selections/training":
                return httpx.Response(200, json={"record": self.selected, "transaction": {}})
            case "POST", path if path == f"{PATH}/verify":
                self.asked = dict(request.url.params)
                return self.compared()
            case "POST", "/v1/runs":
                fields = json.loads(request.content)
                codec.from_plain({"kind": "record-run", "schema": 1, **fields})  # the law takes it
                self.runs.append(fields)
                done = {"record": fields, "event": {}, "transaction": {"id": "ab" * 32, "block": 6}}
                return httpx.Response(201, json=done)
        return httpx.Response(404, json={"code": "not-found", "detail": "None.", "retryable": False})

    @property
    def selected(self) -> Any:
        return {"kind": "selection", "dataset": "wdbc", "number": 3, "selection": "training", "root": self.part}

    def compared(self) -> httpx.Response:
        if self.report is None:
            problem = {"code": "records-not-held", "detail": "Its owner does.", "retryable": False}
            return httpx.Response(404, json=problem)
        clean = {kind: [] for kind in ("columns", "changed", "added", "removed", "moved")}
        return httpx.Response(200, json={"verified": True, **clean, **self.report})


@pytest.fixture
def made() -> Sample:
    return sample(ROWS, Reading(CSV, "id", ",", ("id", "age")))


@pytest.fixture
def bundle(made: Sample, tmp_path: Path) -> Path:
    return made.write(tmp_path / "a.bundle")


@pytest.fixture
def gateway(made: Sample, bundle: Path) -> Gateway:
    with Bundle(bundle) as opened:
        leaves = [record.leaf for record in opened.check(made.version).all()]
    return Gateway(made, merkle.root_of_hashes(b"".join(leaves[:4])).hex())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (path := tmp_path / "copy.csv").write_bytes(csv(ROWS))
    return path


@pytest.fixture
def train(gateway: Gateway) -> Callable[..., Any]:
    """Runs something in a run and answers its inputs as they were recorded."""

    def run(reading: Callable[[Any], Any]) -> Any:
        with (
            Pedigree("http://gateway", "id.secret", transport=httpx.MockTransport(gateway)) as pedigree,
            pedigree.run(model="net", parents=(), code=CODE) as run,
        ):
            reading(run)
        return gateway.runs[-1]["inputs"]

    return run


def test_a_bundle_verifies_what_training_reads(train: Any, gateway: Gateway, bundle: Path, copy: Path) -> None:
    root = gateway.made.version["record"]["root"]

    def read(run: Any) -> None:
        used = run.use(VERSION, copy, role="test", bundle=bundle)
        assert (used.found, used.root, used.recorded, used.path) == ("verified", root, root, copy)
        assert used.report["verified"] is True

    assert train(read) == [{"version": VERSION, "root": root, "role": "test", "found": "verified"}]


def test_data_that_its_subjects_gave_is_not_compared_without_a_selection(
    train: Any, gateway: Gateway, bundle: Path, copy: Path
) -> None:
    gateway.basis = "consent"
    with pytest.raises(Unmet, match="selection-missing"):
        train(lambda run: run.use(VERSION, copy, bundle=bundle))
    assert gateway.runs == []


def test_a_copy_that_differs_is_recorded_as_that(train: Any, gateway: Gateway, bundle: Path, copy: Path) -> None:
    copy.write_bytes(csv(ROWS).replace(b"p7,7", b"p7,8"))
    (entry,) = train(lambda run: run.use(VERSION, copy, bundle=bundle))
    assert (entry["found"], entry["role"]) == ("differs", "train")
    assert entry["root"] != gateway.made.version["record"]["root"]
    copy.write_bytes(csv(ROWS, b"id,weight"))
    used = []
    (entry,) = train(lambda run: used.append(run.use(VERSION, copy, bundle=bundle)))
    assert (entry["found"], entry["root"]) == ("differs", gateway.made.version["record"]["root"])
    assert used[0].columns == ["column 2 is 'weight' where the version has 'age'"]
    copy.write_bytes(b"patient\n1\n")
    with pytest.raises(Disagreement, match="cannot be compared: line 1"):
        train(lambda run: run.use(VERSION, copy, bundle=bundle))


def test_a_selection_is_compared_by_the_bundle_of_its_version(
    train: Any, gateway: Gateway, bundle: Path, copy: Path
) -> None:
    copy.write_bytes(csv(ROWS[:4]))
    (entry,) = train(lambda run: run.use(SELECTION, copy, bundle=bundle))
    assert entry == {
        "version": VERSION, "selection": SELECTION, "root": gateway.part, "role": "train", "found": "verified",
    }  # fmt: skip
    for rows in (ROWS[:5], ROWS[:3], [ROWS[1], ROWS[0], *ROWS[2:4]], [*ROWS[:3], ("p3", b"p3,4")]):
        copy.write_bytes(csv(rows))
        (entry,) = train(lambda run: run.use(SELECTION, copy, bundle=bundle))
        assert entry["found"] == "differs"
        assert entry["root"] != gateway.part


def test_a_selection_is_compared_by_a_bundle_of_its_own(
    train: Any, gateway: Gateway, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sample(ROWS, Reading(CSV, "id", ",", ("id", "age")), selected={"training": range(4)})
    monkeypatch.setattr(Gateway, "selected", own.selections["training"]["record"])
    (bundle := tmp_path / "part.bundle").write_bytes(own.parts["training"])
    copy.write_bytes(csv(ROWS[:4]))
    (entry,) = train(lambda run: run.use(SELECTION, copy, bundle=bundle))
    assert (entry["selection"], entry["root"], entry["found"]) == (SELECTION, gateway.part, "verified")
    used: list[Any] = []
    copy.write_bytes(csv([*ROWS[:3], ROWS[6]]))
    (entry,) = train(lambda run: used.append(run.use(SELECTION, copy, bundle=bundle)))
    assert entry["found"] == "differs"
    assert (used[0].report["removed"], used[0].report["added"], used[0].count_outside) == (["p3"], ["p6"], None)
    with pytest.raises(InvalidInput, match="is checked with that selection"):
        train(lambda run: run.use(VERSION, copy, bundle=bundle))


def test_what_was_read_outside_of_a_selection_is_named(
    train: Any, gateway: Gateway, copy: Path, bundle: Path, tmp_path: Path
) -> None:
    used: list[Any] = []

    def read(bundle: Path | None) -> Any:
        (entry,) = train(lambda run: used.append(run.use(SELECTION, copy, bundle=bundle)))
        return entry["found"]

    copy.write_bytes(csv([*ROWS[:3], *ROWS[6:8]]))
    assert read(bundle) == "differs"
    assert (used[-1].outside, used[-1].count_outside) == ([], None)
    assert used[-1].report["remark"].startswith("it is not known here")
    knowing = sample(ROWS, Reading(CSV, "id", ",", ("id", "age")), selected={"training": range(4)})
    assert knowing.selections["training"]["record"]["root"] == gateway.part
    assert read(knowing.write(tmp_path / "b.bundle")) == "differs"
    assert (used[-1].outside, used[-1].count_outside, used[-1].report["removed"]) == (["p6", "p7"], 2, ["p3"])
    gateway.report = {
        "outside": ["p6"], "counts": {"outside": 12_000}, "verified": False, "copy_root": "5f" * 32,
    }  # fmt: skip
    assert read(None) == "differs"
    assert (used[-1].outside, used[-1].count_outside) == (["p6"], 12_000)
    gateway.report = None
    assert read(None) == "unverified"
    assert (used[-1].outside, used[-1].count_outside) == ([], None)


@pytest.mark.parametrize(
    ("reference", "report", "found"),
    [
        (VERSION, {}, "verified"),
        (VERSION, {"changed": ["p1"], "verified": False, "copy_root": "5f" * 32}, "differs"),
        (VERSION, {"verified": False, "store_complete": False}, "unverified"),
        (SELECTION, {"outside": []}, "verified"),
        (SELECTION, {"outside": ["p9"], "verified": False, "copy_root": "5f" * 32}, "differs"),
        (SELECTION, {"remark": "None knows.", "verified": False, "copy_root": "5f" * 32}, "differs"),
        (SELECTION, {"verified": False, "altered_in_store": ["p0"]}, "unverified"),
        (VERSION, None, "unverified"),
        (SELECTION, None, "unverified"),
    ],
)
def test_without_a_bundle_the_owners_gateway_compares(
    train: Any, gateway: Gateway, copy: Path, reference: str, report: Any, found: str
) -> None:
    recorded = gateway.part if reference == SELECTION else gateway.made.version["record"]["root"]
    gateway.report = None if report is None else {"copy_root": recorded, **report}
    (entry,) = train(lambda run: run.use(reference, copy))
    assert (entry["found"], entry["root"]) == (found, "5f" * 32 if found == "differs" else recorded)
    assert gateway.asked == ({"selection": "training"} if reference == SELECTION else {})


def test_a_gateway_that_says_no_root_of_the_copy_shows_nothing(train: Any, gateway: Gateway, copy: Path) -> None:
    gateway.report = {}
    with pytest.raises(Disagreement, match="does not say which root it has"):
        train(lambda run: run.use(VERSION, copy))


def test_a_file_that_changes_before_the_run_is_over_is_noticed(train: Any, bundle: Path, copy: Path) -> None:
    def write(run: Any) -> None:
        run.use(VERSION, copy, bundle=bundle)
        os.utime(copy, ns=(1, 1))

    with pytest.warns(UserWarning, match=r"copy\.csv was changed after it was compared"):
        (entry,) = train(write)
    assert entry["found"] == "unverified"

    def remove(run: Any) -> None:
        run.use(VERSION, copy, bundle=bundle)
        copy.unlink()

    with pytest.warns(UserWarning, match="was changed"):
        (entry,) = train(remove)
    assert entry["found"] == "unverified"


def test_a_folder_is_used_as_a_file_is(train: Any, gateway: Gateway, tmp_path: Path) -> None:
    (folder := tmp_path / "images").mkdir()
    (folder / "a.png").write_bytes(b"a")
    line = b'{"path":"a.png","sha256":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}'
    gateway.made = sample([("a.png", line)], Reading("application/jsonl", "path"))
    bundle = gateway.made.write(tmp_path / "folder.bundle")
    (entry,) = train(lambda run: run.use(VERSION, folder, bundle=bundle))
    assert entry["found"] == "verified"

    def add(run: Any) -> None:
        run.use(VERSION, folder, bundle=bundle)
        (folder / "b.png").write_bytes(b"b")

    with pytest.warns(UserWarning, match="images was changed"):
        (entry,) = train(add)
    assert entry["found"] == "unverified"


def test_what_is_no_input_is_said_before_anything_is_read(train: Any, bundle: Path, copy: Path, tmp_path: Path) -> None:
    def twice(run: Any) -> None:
        run.use(VERSION, copy, bundle=bundle)
        run.use(VERSION, tmp_path / "none.csv", bundle=bundle)

    with pytest.raises(InvalidInput, match="is an input for train already"):
        train(twice)
    for reference in ("model-version:net:1", "selection:wdbc:3", "wdbc", "dataset-version:wdbc:0"):
        with pytest.raises(InvalidInput):
            train(lambda run, reference=reference: run.use(reference, copy, bundle=bundle))
    with pytest.raises(InvalidInput, match="role"):
        train(lambda run: run.use(VERSION, copy, role="practice", bundle=bundle))
    with pytest.raises(FileNotFoundError):
        train(lambda run: run.use(VERSION, tmp_path / "none.csv", bundle=bundle))


def test_a_bundle_of_another_version_is_refused(train: Any, copy: Path, tmp_path: Path) -> None:
    other = sample(ROWS, Reading(CSV, "id", ",", ("id", "age")), number=4).write(tmp_path / "other.bundle")
    with pytest.raises(InvalidBundle, match="is of dataset-version:wdbc:4, and not of dataset-version:wdbc:3"):
        train(lambda run: run.use(VERSION, copy, bundle=other))
