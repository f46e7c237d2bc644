# SPDX-License-Identifier: Apache-2.0
"""Files beside their Croissant card: what is the same, what differs, and what nobody can prove."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from pedigree import InvalidInput
from pedigree.cardfiles import check_card
from pedigree.comparisons import CardComparison
from pedigree.croissant import read_card

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "data"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="needs published cards and their files in ../shared/data, beside the repository"
)
FILES = {"people.csv": b"id,age\n1,61\n", "ports.tsv": b"key\tlabel\nC\tCherbourg\n"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def listed(name: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"@type": "cr:FileObject", "@id": name, "name": name, "sha256": sha256(content), **more}


def reads(record_set: str, file: str, *columns: str) -> dict[str, Any]:
    fields = [{"source": {"fileObject": {"@id": file}, "extract": {"column": column}}} for column in columns]
    return {"@type": "cr:RecordSet", "name": record_set, "field": fields}


def card(*files: dict[str, Any], records: tuple[dict[str, Any], ...] = ()) -> bytes:
    return json.dumps({"name": "d", "distribution": list(files), "recordSet": list(records)}).encode()


CARD = card(
    listed("people.csv", FILES["people.csv"], contentSize="12 B", encodingFormat="text/csv"),
    listed("ports.tsv", FILES["ports.tsv"], encodingFormat="text/tab-separated-values"),
    records=(reads("people", "people.csv", "id", "age"), reads("ports", "ports.tsv", "key")),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "data", FILES)


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def found(report: CardComparison) -> dict[str, str]:
    return {each["name"]: each["found"] for each in report["files"]}


def test_files_that_are_those_on_the_card_are_verified(folder: Path) -> None:
    (folder / "card.json").write_bytes(CARD)
    for files in ([folder], [folder / "people.csv", folder / "ports.tsv"]):
        report = check_card(folder / "card.json", files)
        assert report == {
            "card": sha256(CARD),
            "verified": True,
            "files": [
                {"name": name, "file": str(folder / name), "found": "same", "reason": ""} for name in sorted(FILES)
            ],
            "added": [],
            "columns": [],
            "remarks": [],
        }


def test_what_differs_is_missing_or_is_not_on_the_card_is_named(folder: Path) -> None:
    (folder / "people.csv").write_bytes(b"id,age\n1,62\n")
    (folder / "ports.tsv").rename(folder / "notes.txt")
    (folder / "notes.txt").write_bytes(b"x")
    report = check_card(CARD, [folder])
    assert not report["verified"]
    assert found(report) == {"people.csv": "differs", "ports.tsv": "missing"}
    assert report["added"] == [str(folder / "notes.txt")]
    assert sha256(FILES["people.csv"]) in report["files"][0]["reason"]
    (folder / "notes.txt").unlink()
    (folder / "people.csv").write_bytes(FILES["people.csv"])
    assert check_card(CARD, [folder], partial=True)["verified"]
    assert not check_card(CARD, [folder])["verified"]


def test_a_file_is_found_by_its_place_or_its_digest_where_its_name_is_another(folder: Path) -> None:
    said = card(
        listed("passengers", FILES["people.csv"], contentUrl="https://example.org/a/people.csv?raw=1"),
        listed("harbours", FILES["ports.tsv"], contentUrl="./far/away.tsv"),
    )
    assert found(check_card(said, [folder])) == {"passengers": "same", "harbours": "same"}


def test_of_two_files_with_one_name_the_one_with_the_digest_counts(tmp_path: Path) -> None:
    folder = written(tmp_path, {"a/people.csv": b"other", "b/people.csv": FILES["people.csv"]})
    said = card(listed("people.csv", FILES["people.csv"]))
    report = check_card(said, [folder])
    assert report["files"][0]["file"] == str(folder / "b" / "people.csv")
    assert (found(report), report["added"]) == ({"people.csv": "same"}, [str(folder / "a" / "people.csv")])


def test_what_the_card_has_no_sha256_of_is_contradicted_or_unproven(folder: Path) -> None:
    md5 = hashlib.md5(FILES["people.csv"], usedforsecurity=False).hexdigest()
    for said, expected in (
        ({"md5": md5}, "unproven"),
        ({"md5": "0" * 32}, "differs"),
        ({"md5": md5, "contentSize": "13 B"}, "differs"),
        ({"contentSize": 12}, "unproven"),
        ({"contentSize": "11"}, "differs"),
        ({"contentSize": "4.7 MB"}, "unproven"),
        ({"sha256": "https://example.org/issues/80"}, "unproven"),
    ):
        one = card({"@type": "sc:FileObject", "name": "people.csv", **said})
        report = check_card(one, [folder / "people.csv"])
        assert (found(report), report["verified"]) == ({"people.csv": expected}, False)
        assert report["files"][0]["reason"]


def test_a_size_that_contradicts_the_digest_is_the_cards_mistake(folder: Path) -> None:
    report = check_card(card(listed("people.csv", FILES["people.csv"], contentSize="99 B")), [folder / "people.csv"])
    assert report["verified"]
    assert report["remarks"] == [
        "people.csv: it has 12 bytes; the card says 99, and has the digest of these bytes"
    ]  # fmt: skip


def test_files_of_a_set_are_on_the_card_and_nothing_proves_them(tmp_path: Path) -> None:
    folder = written(tmp_path, {"data/a.csv": b"id\n1\n", "data/b.csv": b"no\n1\n"})
    shards = {"@type": "cr:FileSet", "@id": "shards", "containedIn": {"@id": "repo"}, "includes": "data/*.csv"}
    said = card({"@type": "cr:FileObject", "@id": "repo"}, shards, records=(reads("rows", "shards", "id"),))
    said = said.replace(b"fileObject", b"fileSet")
    report = check_card(said, [folder])
    assert [(each["name"], each["found"]) for each in report["files"]] == [("shards", "unproven")] * 2
    assert report["columns"] == [f"{folder / 'data' / 'b.csv'}: there is no column 'id', which 'rows' reads"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xef\xbb\xbfid,age\n", None),
        (b'"id","age"\r\n1,2\r\n', None),
        (b"id;age\n1;2\n", "there is no column 'age'"),
        (b"id\n1\n", "there is no column 'age'"),
        (b"", "it has no header"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b'"id,age\n1,2\n', "its header is not CSV"),
        (b"a" * (1 << 21), "its header is not CSV"),
    ],
)
def test_the_columns_that_record_sets_read_are_in_the_header(tmp_path: Path, content: bytes, says: str | None) -> None:
    folder = written(tmp_path, {"people.csv": content})
    said = card(listed("people.csv", content), records=(reads("people", "people.csv", "age"),))
    report = check_card(said, [folder])
    told = " ".join([*report["columns"], *report["remarks"]])
    assert report["verified"] is (not report["columns"])
    assert told == "" if says is None else says in told


def test_what_is_not_a_table_of_text_is_not_compared_and_that_is_said(tmp_path: Path) -> None:
    folder = written(tmp_path, {"people.parquet": b"PAR1"})
    said = card(listed("people.parquet", b"PAR1"), records=(reads("people", "people.parquet", "age"),))
    report = check_card(said, [folder])
    assert report["verified"]
    assert "was not compared, because it is not CSV" in report["remarks"][0]


TEXT = st.sampled_from(["", "x", "a.csv", "data/a.csv", "*", "[", "http://[", "cr:FileObject", "cr:FileSet", "f" * 64])
NAMES = st.sampled_from(
    [
        "@id", "@type", "name", "contentUrl", "sha256", "md5", "contentSize", "includes", "containedIn", "field",
        "subField", "source", "fileObject", "fileSet", "extract", "column", "encodingFormat",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(distribution=JSON, records=JSON)
def test_any_card_gets_an_answer_and_never_verifies_what_it_has_no_digest_of(distribution: Any, records: Any) -> None:
    content = json.dumps({"distribution": distribution, "recordSet": records}).encode()
    with tempfile.TemporaryDirectory() as name:
        report = check_card(content, [written(Path(name), {"data/a.csv": b"x\n1\n"})])
    assert not report["verified"]
    assert len(report["files"]) + len(report["added"]) >= 1


def test_what_is_no_card_or_no_plain_file_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="card"):
        check_card(b"[]", [folder])
    (folder / "link").symlink_to("people.csv")
    with pytest.raises(ValueError, match="symbolic link"):
        check_card(CARD, [folder])
    with pytest.raises(FileNotFoundError):
        check_card(CARD, [folder / "absent"])


def test_a_file_that_changes_while_it_is_compared_is_refused(folder: Path) -> None:
    def write_more(_: int) -> None:
        with (folder / "people.csv").open("ab") as content:
            content.write(b"2,44\n")

    with pytest.raises(ValueError, match=r"people\.csv was changed while it was read"):
        check_card(CARD, [folder / "people.csv"], progress=write_more)


class TestCommand:
    """`pedigree dataset check`."""

    def run(self, *arguments: str | Path) -> Any:
        return CliRunner().invoke(main, ["dataset", "check", *map(str, arguments)])

    def test_its_exit_code_says_what_the_comparison_came_to(self, folder: Path, tmp_path: Path) -> None:
        file = tmp_path / "card.json"
        file.write_bytes(CARD)
        done = self.run(folder, "--card", file)
        assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "verified"), done.output
        assert f"card {sha256(CARD)}" in done.stdout
        assert json.loads(self.run(folder, "--card", file, "--json").stdout)["verified"] is True
        (folder / "people.csv").write_bytes(b"id\n")
        done = self.run(folder, "--card", file)
        assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "NOT verified")
        assert f"differs: {folder / 'people.csv'} (people.csv): its SHA-256 is" in done.stdout
        file.write_bytes(card({"@type": "cr:FileObject", "name": "people.csv"}))
        assert self.run(folder / "people.csv", "--card", file).exit_code == 3
        file.write_bytes(b"{")
        refused = self.run(folder, "--card", file)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert self.run("--card", file).exit_code == 2


@needs_published
@pytest.mark.parametrize("place", ["titanic", "titanic/titanic.csv"])
def test_the_titanic_files_are_those_on_their_published_card(place: str) -> None:
    report = check_card(PUBLISHED / "croissant" / "1.0_titanic.json", [PUBLISHED / place], partial="/" in place)
    assert report["verified"], report
    assert all("the card says 117743" in remark for remark in report["remarks"])
    assert len(report["files"]) == (1 if "/" in place else 3)


@needs_published
def test_every_published_card_is_read_and_lists_its_files(tmp_path: Path) -> None:
    cards = sorted((PUBLISHED / "croissant").glob("*.json"))
    assert cards
    for file in cards:
        assert read_card(file).fields["title"], file.name
        (tmp_path / "no-such-name").write_bytes(b"x")
        report = check_card(file, [tmp_path])
        assert not report["verified"]
        assert report["files"] or report["remarks"], file.name
