# SPDX-License-Identifier: Apache-2.0
"""A copy of a selection's records, checked with a bundle that says which records the selection has."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samplebundle import Sample, sample

from chaincode.domain.errors import InvalidField
from gateway.services import bundles
from gateway.services.members import Members
from gateway.services.ports import Reading
from pedigree import Disagreement, InvalidBundle, InvalidInput, verify_copy
from pedigree.tables import CSV

ROWS = [(f"p{number}", b"p%d,%d" % (number, number)) for number in range(10)]
TABLE = Reading(CSV, "id", ",", ("id", "age"))
CHOSEN = (0, 1, 4, 8)
SELECTED = [ROWS[position] for position in CHOSEN]


def csv(rows: list[tuple[str, bytes]], header: bytes = b"id,age") -> bytes:
    return b"\n".join([header, *(content for _, content in rows)])


@pytest.fixture
def made() -> Sample:
    return sample(ROWS, TABLE, selected={"training": CHOSEN, "all": range(10)})


@pytest.fixture
def compare(made: Sample, tmp_path: Path) -> Callable[..., Any]:
    """The report on a copy beside a selection, by a bundle as it is or altered."""

    def run(
        copy: bytes, content: bytes = made.content, selection: Any = made.selections["training"], **more: Any
    ) -> Any:
        (path := tmp_path / "a.bundle").write_bytes(content)
        return verify_copy(copy, path, version=made.version, selection=selection, media_type=CSV, **more)

    return run


def altered(content: bytes, **members: Any) -> bytes:
    """The bundle with other members in its head, sealed again; what is None is left out."""
    start = 14 + int.from_bytes(content[10:14])
    head = {**json.loads(content[14:start]), **members}
    text = json.dumps({name: value for name, value in head.items() if value is not None}).encode()
    body = content[:10] + len(text).to_bytes(4) + text + content[start:-32]
    return body + hashlib.sha256(body).digest()


def test_its_records_agree_and_no_others(compare: Any, made: Sample) -> None:
    root = made.selections["training"]["record"]["root"]
    report = compare(csv(SELECTED))
    assert report == {
        "dataset": "wdbc", "number": 3, "root": made.version["record"]["root"], "size": 10, "verified": True,
        "selection": "selection:wdbc:3:training", "selection_root": root, "copy_root": root,
        "columns": [], "changed": [], "added": [], "removed": [], "moved": [], "outside": [],
        "counts": {"changed": 0, "added": 0, "removed": 0, "moved": 0, "outside": 0},
    }  # fmt: skip
    assert compare(csv(ROWS), selection=made.selections["all"])["verified"] is True
    assert compare(csv(SELECTED, b"id,weight"))["verified"] is False


def test_what_lies_outside_and_what_is_missing_is_named(compare: Any) -> None:
    report = compare(csv([*SELECTED[:3], ROWS[5], ROWS[9], ("new", b"new,1")]))
    assert report["verified"] is False
    assert (report["outside"], report["removed"], report["added"]) == (["p5", "p9"], ["p8"], ["new"])
    assert report["counts"]["outside"] == 2
    report = compare(csv([ROWS[1], ROWS[0], *SELECTED[2:]]))
    assert (report["verified"], report["moved"], report["outside"]) == (False, ["p0", "p1"], [])
    report = compare(csv([("p5", b"p5,6"), *SELECTED]))
    assert (report["changed"], report["outside"]) == (["p5"], ["p5"])
    with pytest.raises(Disagreement, match="selection:wdbc:3:training differs"):
        compare(csv(ROWS), check=True)


def test_a_bundle_that_does_not_say_who_is_in_compares_roots(compare: Any, made: Sample) -> None:
    without = altered(made.content, selections=None)
    assert compare(csv(SELECTED), without)["verified"] is True
    report = compare(csv(ROWS[:5]), without)
    assert (report["verified"], report["removed"], report.get("outside")) == (False, [], None)
    assert report["remark"].startswith("it is not known here which records selection:wdbc:3:training has")
    assert "remark" not in compare(csv(SELECTED), without)


def test_who_is_in_has_to_lead_to_the_root_on_the_ledger(compare: Any, made: Sample) -> None:
    for positions, size in (
        (CHOSEN[:3], 10),
        ((0, 1, 4, 9), 10),
        ((), 10),
        ((*CHOSEN, 12), 16),
        (CHOSEN, 24),
        ((0,), 8),
    ):
        bits = Members.of(positions, size).bits
        lied = altered(made.content, selections={"training": base64.b64encode(bits).decode()})
        with pytest.raises(InvalidBundle, match="do not lead to that one's root"):
            compare(csv(SELECTED), lied)
    for odd in (None, 7, [], "!", {}, "\udc00"):
        with pytest.raises(InvalidBundle, match="/selections/training must be"):
            compare(csv(SELECTED), altered(made.content, selections={"training": odd}))
    with pytest.raises(InvalidBundle, match="/selections must be an object"):
        compare(csv(SELECTED), altered(made.content, selections=["training"]))


def test_the_ledgers_answer_is_one_for_a_selection_from_that_version(compare: Any, made: Sample) -> None:
    record = made.selections["training"]["record"]
    for member, value in (("number", 4), ("dataset", "other")):
        with pytest.raises(InvalidBundle, match="is of dataset-version:wdbc:3, which selection:"):
            compare(csv(SELECTED), selection={"record": {**record, member: value}})
    with pytest.raises(InvalidInput, match="is not about a selection"):
        compare(csv(SELECTED), selection=made.version)
    assert compare(csv(SELECTED), selection=record)["verified"] is True
    assert "outside" not in compare(csv(SELECTED), selection={**record, "selection": "a:b"})


def test_a_gateway_writes_no_head_that_no_reader_takes() -> None:
    many = {f"part-{number}": Members(bytes(3 << 20)) for number in range(3)}
    with pytest.raises(InvalidField, match="at most 8 MiB"):
        bundles.head_of("pedigree", sample(ROWS).version, None, many)
