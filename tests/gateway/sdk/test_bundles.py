# SPDX-License-Identifier: Apache-2.0
"""Bundles: every difference of a copy is named, and a bundle that is not the version's says nothing about any copy."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samplebundle import Sample, sample

from chaincode.domain.provenance import LeafSchema
from gateway.services.bundles import MOST_COLUMNS
from gateway.services.ports import Reading
from pedigree import (
    Disagreement,
    InvalidBundle,
    InvalidInput,
    NotFound,
    Pedigree,
    Unreachable,
    bundled,
    recordfiles,
    verify_copy,
)
from pedigree.bundles import Bundle
from pedigree.copies import Comparison
from pedigree.recordfiles import UnreadableRecords
from pedigree.tables import CSV, JSON_LINES, Row

VECTORS = Path(__file__).parents[2] / "vectors"
LAST = max(VECTORS.glob("[0-9]*/formats.json"))
LINES = Reading(JSON_LINES, "id")
TABLE = Reading(CSV, "id", ",", ("id", "age"))
ROWS = [(f"p{number}", b"p%d,%d" % (number, number)) for number in range(10)]


def csv(rows: Sequence[tuple[str, bytes]], header: bytes = b"id,age") -> bytes:
    return b"\n".join([header, *(content for _, content in rows)])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.services.bundles.BLOCK", 4)
    monkeypatch.setattr(bundled, "BLOCK", 4)


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., Any]:
    def run(made: Sample, source: Any, **options: Any) -> Any:
        return verify_copy(source, made.write(tmp_path / "a.bundle"), version=made.version, **options)

    return run


@pytest.mark.parametrize("vector", json.loads(LAST.read_text(encoding="utf-8"))["bundles"])
def test_bundles_of_releases_are_read_for_ever(vector: Any, tmp_path: Path) -> None:
    (path := tmp_path / "a.bundle").write_bytes(bytes.fromhex(vector["bundle"]))
    contents = [bytes.fromhex(each) for each in vector["contents"]]
    with Bundle(path) as bundle:
        records = bundle.check({"record": vector["version"]})
        committed = list(records.all())
        rows = [Row(record.id, content) for record, content in zip(committed, contents, strict=True)]
        found = Comparison(records).run(rows)
    assert found["copy_root"] == vector["version"]["root"] == records.root
    assert not any(found["counts"].values())


def plainly(before: dict[str, bytes], after: dict[str, bytes]) -> Any:
    """What differs, by dictionaries of everything."""
    kept, present = [i for i in before if i in after], [i for i in after if i in before]
    return {
        "changed": [i for i, content in after.items() if i in before and before[i] != content],
        "added": [i for i in after if i not in before],
        "removed": [i for i in before if i not in after],
        "moved": [a for a, b in zip(kept, present, strict=True) if a != b],
    }


SOME = st.lists(st.integers(0, 30), unique=True, min_size=1, max_size=25)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("schema", LeafSchema)
def test_every_difference_is_named(schema: LeafSchema, tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(committed=SOME, copied=SOME, altered=st.sets(st.integers(0, 30), max_size=3))
    def holds(committed: list[int], copied: list[int], altered: set[int]) -> None:
        before = {f"é{n}": b"%d" % n for n in committed}
        after = {f"é{n}": b"!" if n in altered else b"%d" % n for n in copied}
        made = sample(list(before.items()), LINES, schema)
        path = made.write(tmp_path_factory.getbasetemp() / "some.bundle")
        with Bundle(path) as bundle:
            records = bundle.check(made.version)
            assert [each.id for each in records.all()] == list(before)
            found = Comparison(records).run(Row(*each) for each in after.items())
        expected = plainly(before, after)
        assert {kind: found[kind] for kind in expected} == expected
        assert (found["copy_root"] == made.version["record"]["root"]) is not any(expected.values())

    holds()


@pytest.mark.usefixtures("small_blocks")
def test_records_without_ids_of_their_own_are_named_by_their_numbers(compare: Any) -> None:
    reading = Reading(CSV, None, ",", ("id", "age"))
    made = sample([(str(number), content) for number, (_, content) in enumerate(ROWS, start=1)], reading)
    assert compare(made, csv(ROWS))["verified"] is True
    found = compare(made, csv([*ROWS[:4], ("x", b"x,1"), *ROWS[5:9]]))
    assert (found["verified"], found["changed"], found["removed"], found["added"]) == (False, ["5"], ["10"], [])
    assert compare(made, csv([*ROWS, ("x", b"x,1"), ("y", b"y,1")]))["added"] == ["11", "12"]


def test_a_copy_is_read_as_the_committed_file_was(compare: Any) -> None:
    made = sample(ROWS, TABLE)
    report = compare(made, csv(ROWS))
    assert report == {
        "dataset": "wdbc", "number": 3, "root": made.version["record"]["root"], "size": 10, "verified": True,
        "columns": [], "changed": [], "added": [], "removed": [], "moved": [], "copy_root": report["root"],
        "counts": {"changed": 0, "added": 0, "removed": 0, "moved": 0},
    }  # fmt: skip
    swapped = compare(made, csv(ROWS, b"id,weight"))
    assert (swapped["verified"], swapped["columns"]) == (False, ["column 2 is 'weight' where the version has 'age'"])
    assert (swapped["copy_root"], swapped["changed"]) == (report["root"], [])
    other = compare(made, b"patient\n1\n2\n")
    assert other["unreadable"].startswith("line 1: there is no column 'id'")
    with pytest.raises(Disagreement, match="dataset-version:wdbc:3 differs") as caught:
        compare(made, csv(ROWS[1:]), check=True)
    assert caught.value.report["removed"] == ["p0"]
    with pytest.raises(UnreadableRecords, match="line 2: it has 1 fields"):
        compare(made, b"id,age\np1\n")
    with pytest.raises(InvalidInput, match="delimiter"):
        compare(made, csv(ROWS), delimiter="ab")


def test_a_bundle_may_leave_out_names_and_how_the_file_was_read(compare: Any) -> None:
    fields = ("id", *(f"c{number}" for number in range(MOST_COLUMNS)))
    many = sample([("p", b"p" + b"," * MOST_COLUMNS)], Reading(CSV, "id", ",", fields))
    row = b"\np" + b"," * MOST_COLUMNS
    assert compare(many, ",".join(fields).encode() + row)["verified"] is True
    assert compare(many, ",".join([*fields[:-1], "x"]).encode() + row)["columns"] == [
        "they are not those that the version commits to"
    ]
    unknown = sample(ROWS)
    assert compare(unknown, csv(ROWS), id_field="id")["verified"] is True
    assert compare(unknown, csv(ROWS))["counts"] == {"changed": 0, "added": 10, "removed": 10, "moved": 0}


def test_parquet_and_folders_are_compared_too(compare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "age": [1, 2]}), sink)
    made = sample(
        [("a", b'{"age":1,"id":"a"}'), ("b", b'{"age":3,"id":"b"}')], Reading("application/vnd.apache.parquet", "id")
    )
    assert compare(made, sink)["changed"] == ["b"]
    monkeypatch.setattr("pedigree.verifying.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="pyarrow"):
        compare(made, sink)
    (folder := tmp_path / "images").mkdir()
    lines = []
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(name.encode())
        line = json.dumps({"path": name, "sha256": hashlib.sha256(name.encode()).hexdigest()}, separators=(",", ":"))
        lines.append((name, line.encode()))
    made = sample(lines, Reading(JSON_LINES, "path"))
    assert compare(made, folder)["verified"] is True
    (folder / "b.png").write_bytes(b"!")
    (folder / "c.png").write_bytes(b"")
    found = compare(made, folder)
    assert (found["changed"], found["added"]) == (["b.png"], ["c.png"])


def test_progress_is_said_of_the_bundle_and_of_the_copy(compare: Any) -> None:
    said: list[Any] = []
    compare(sample(ROWS, TABLE), csv(ROWS), progress=said.append)
    assert [(each.stage, each.records) for each in said] == [("checking", 10), ("comparing", 10)]
    assert all(0 < each.done <= each.total for each in said)


def test_a_file_that_changes_while_it_is_read_is_noticed(compare: Any, tmp_path: Path) -> None:
    made = sample(ROWS, TABLE)
    (path := tmp_path / "a.csv").write_bytes(csv(ROWS))
    assert compare(made, path)["verified"] is True

    def write(progress: Any) -> None:
        if progress.stage == "comparing":
            path.write_bytes(csv(ROWS))
            os.utime(path, ns=(1, 1))

    with pytest.raises(ValueError, match=r"a\.csv was changed while it was read"):
        compare(made, path, progress=write)

    def alter(progress: Any) -> None:
        if progress.stage == "comparing":
            os.truncate(tmp_path / "a.bundle", 100)

    with pytest.raises(InvalidBundle, match=r"a\.bundle was changed while it was read"):
        compare(made, path, progress=alter)


# -- bundles that cannot be used -----------------------------------------------------------------------------------


def sealed(content: bytes) -> bytes:
    """The bytes with the digest that they should end with."""
    return content + hashlib.sha256(content).digest()


def test_a_bundle_that_is_cut_off_or_altered_anywhere_is_refused(compare: Any) -> None:
    made = sample(ROWS[:3], TABLE)
    for size in range(len(made.content)):
        with pytest.raises(InvalidBundle):
            compare(Sample(made.version, made.content[:size]), csv(ROWS[:3]))
        altered = bytearray(made.content)
        altered[size] ^= 1 << size % 8
        with pytest.raises(InvalidBundle):
            compare(Sample(made.version, bytes(altered)), csv(ROWS[:3]))


def test_what_a_liar_seals_again_does_not_lead_to_the_root(compare: Any) -> None:
    made = sample(ROWS[:3], TABLE)
    start = made.content.index(b"p0p1p2")
    for at in range(start, len(made.content) - 36):
        altered = bytearray(made.content[:-32])
        altered[at] ^= 1
        with pytest.raises(InvalidBundle, match="lead to the root"):
            compare(Sample(made.version, sealed(bytes(altered))), csv(ROWS[:3]))


def test_a_refusal_says_what_is_wrong(compare: Any) -> None:
    made = sample(ROWS, TABLE)
    body = made.content[:-32]
    start = 14 + int.from_bytes(body[10:14])
    blocks = body[start:]
    ids = int.from_bytes(blocks[4:8])

    def head(**members: Any) -> bytes:
        said = json.loads(body[14:start])
        text = json.dumps({**said, **members}).encode()
        return body[:10] + len(text).to_bytes(4) + text

    cases = {
        b"": "is not a bundle",
        b"PK\x03\x04": "is not a bundle",
        body[:8] + b"\x00\x02" + body[10:]: "of format 2; this program reads format 1",
        body[:10] + b"\xff\xff\xff\xff": "its head is larger than 16 MiB",
        body[:200]: "is cut off: it ends in its head",
        body[: start + 200]: "is cut off: it ends in a block",
        body[:-4]: "is cut off: it ends between two blocks",
        body: "is cut off: it ends before its digest",
        made.content + b"\n": "something follows its end",
        body + bytes(32): "is damaged: its bytes do not lead to the digest",
        sealed(head(kind="record-evidence") + blocks): "in its head, the field /kind must be 'version-bundle'",
        sealed(head(numbered=1) + blocks): "the field /numbered must be true or false",
        sealed(head(reading=[1]) + blocks): "the field /reading must be an object",
        sealed(head(reading={"media_type": CSV, "delimiter": "x"}) + blocks): "/reading/delimiter must be one of",
        sealed(head(version={**made.version["record"], "number": 4}) + blocks): "is of dataset-version:wdbc:4, and not",
        sealed(head(version={**made.version["record"], "owner": "B"}) + blocks): "something else of 'owner'",
        sealed(head(reading={"media_type": CSV, "id_field": "id", "delimiter": ",", "fields": ["id", "x"]}) + blocks):
            "names other columns than the version commits to",
        sealed(head(numbered=True) + blocks): f"the ids of a block have {ids} bytes",
        sealed(body[:start] + blocks[:8] + b"\xff" + blocks[9:]): "have other lengths than they say",
        sealed(body[:start] + b"\x00\x00\x10\x01" + blocks[4:]): "a block is not of 4096 records, after 0 records",
        sealed(body[:-4] + blocks): "a block is not of 4096 records, after 10 records",
        sealed(body[:start] + bytes(4)): "holds 0 records, and the version on the ledger 10",
    }  # fmt: skip
    for content, reason in cases.items():
        with pytest.raises(InvalidBundle) as caught:
            compare(Sample(made.version, content), csv(ROWS))
        assert reason in str(caught.value)
        assert "a.bundle" in str(caught.value)
    fewer = {"record": {**made.version["record"], "size": 9}}
    with pytest.raises(InvalidBundle, match="something else of 'size'"):
        compare(Sample(fewer, made.content), csv(ROWS))
    nine = sealed(head(version=fewer["record"]) + blocks)
    with pytest.raises(InvalidBundle, match="holds more records than the 9 of the version"):
        compare(Sample(fewer, nine), csv(ROWS))


def test_leaves_of_a_later_schema_are_not_guessed_at(compare: Any) -> None:
    made = sample(ROWS, TABLE, leaf_schema="pedigree-record/v9")
    with pytest.raises(InvalidBundle, match="leaves of the schema pedigree-record/v9 are new"):
        compare(made, csv(ROWS))


def test_much_nonsense_costs_little(tmp_path: Path) -> None:
    with (path := tmp_path / "a.bundle").open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(InvalidBundle, match="is not a bundle"):
        Bundle(path)
    made = sample(ROWS, TABLE)
    path.write_bytes(made.content[:-36] + os.urandom(1 << 20))
    with Bundle(path) as bundle, pytest.raises(InvalidBundle):
        bundle.check(made.version)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_not_a_plain_file_is_no_bundle(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.bundle")
    with pytest.raises(InvalidBundle, match="is not a plain file"):
        Bundle(tmp_path / "a.bundle")


def test_one_id_of_many_with_one_digest_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = sample(ROWS, TABLE)
    monkeypatch.setattr(bundled.BundledRecords, "_digest", lambda self, record_id: len(record_id))
    with Bundle(made.write(tmp_path / "a.bundle")) as bundle:
        records = bundle.check(made.version)
        assert [records.find(record_id) for record_id, _ in ROWS] == list(enumerate(records.all()))
        assert records.find("qq") is None
        assert records.find("longer") is None


def test_the_head_is_read_before_any_ledger_is_asked(tmp_path: Path) -> None:
    with Bundle(sample(ROWS, TABLE).write(tmp_path / "a.bundle")) as bundle:
        assert (bundle.head.reference, bundle.head.channel) == ("dataset-version:wdbc:3", "pedigree")
        assert bundle.head.reading == recordfiles.Reading(CSV, "id", ",", ("id", "age"))
        with pytest.raises(InvalidInput, match="not about a data set version"):
            bundle.check({"record": {"kind": "model"}})


# -- fetching ------------------------------------------------------------------------------------------------------


class Lost(httpx.SyncByteStream):
    """An answer whose connection breaks."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("reset")


def client(*answers: httpx.Response, timeout: float = 10.0) -> Pedigree:
    waiting = list(answers)
    transport = httpx.MockTransport(lambda _: waiting.pop(0))
    return Pedigree("http://gateway", "id.secret", transport=transport, timeout=timeout)


def test_a_bundle_is_fetched_again_after_a_lost_connection(tmp_path: Path) -> None:
    made, said = sample(ROWS, TABLE), []
    answers = (
        httpx.Response(200, json=made.version),
        httpx.Response(200, stream=Lost()),
        httpx.Response(200, content=made.content),
    )
    path = client(*answers).save_bundle("wdbc", 3, tmp_path / "a.bundle", progress=said.append)
    assert path.read_bytes() == made.content
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.bundle"]
    assert [(each.stage, each.done) for each in said] == [
        ("receiving", 4), ("receiving", len(made.content)), ("checking", len(made.content) - 36),
    ]  # fmt: skip


def test_what_is_refused_or_not_the_versions_leaves_what_was_there(tmp_path: Path) -> None:
    made = sample(ROWS, TABLE)
    (path := tmp_path / "a.bundle").write_bytes(b"before")
    version = httpx.Response(200, json=made.version)
    refused = httpx.Response(404, json={"code": "records-not-held", "detail": "Its owner does.", "retryable": False})
    with pytest.raises(NotFound, match="Its owner does"):
        client(version, refused).save_bundle("wdbc", 3, path)
    other = httpx.Response(200, content=sample(ROWS[:4], TABLE).content)
    with pytest.raises(InvalidBundle, match="says something else"):
        client(version, other).save_bundle("wdbc", 3, path)
    lost = (httpx.Response(200, stream=Lost()) for _ in range(100))
    with pytest.raises(Unreachable):
        client(version, *lost, timeout=0.5).save_bundle("wdbc", 3, path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        client(version).save_bundle("wdbc", 3, tmp_path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.bundle", b"before")]


def test_a_gateway_says_what_the_ledger_has_of_the_version_that_a_bundle_names(tmp_path: Path) -> None:
    made = sample(ROWS, TABLE)
    path = made.write(tmp_path / "a.bundle")
    report = client(httpx.Response(200, json=made.version)).verify_copy(csv(ROWS), path)
    assert report["verified"] is True
    moved = {"record": {**made.version["record"], "root": "5f" * 32}}
    with pytest.raises(InvalidBundle, match="something else of 'root'"):
        client(httpx.Response(200, json=moved)).verify_copy(csv(ROWS), path)


def test_the_bundle_of_a_selection_is_that_of_no_other_and_of_no_version(tmp_path: Path) -> None:
    made = sample(ROWS, TABLE, selected={"training": range(4), "test": range(4, 6)})
    (path := tmp_path / "a.bundle").write_bytes(b"before")
    asked = [httpx.Response(200, json=each) for each in (made.version, made.selections["training"])]

    def saved(content: bytes) -> Path:
        return client(*asked, httpx.Response(200, content=content)).save_selection_bundle("wdbc", 3, "training", path)

    for content, of in ((made.content, "dataset-version:wdbc:3"), (made.parts["test"], "selection:wdbc:3:test")):
        with pytest.raises(InvalidBundle, match=f"what came is the bundle of {of}"):
            saved(content)
    with pytest.raises(InvalidBundle, match="is damaged"):
        saved(made.parts["training"].replace(b"p3", b"q3"))
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.bundle", b"before")]
    assert saved(made.parts["training"]).read_bytes() == made.parts["training"]
    assert path.stat().st_mode & 0o777 == 0o600
