# SPDX-License-Identifier: Apache-2.0
"""Exported audit logs against their anchors: whatever is done to a log, the first entry that is wrong is named."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode.domain import canonical, merkle
from pedigree import InvalidEvidence, verify_audit_log

ANCHORED = (4, 7)
ENTRIES = 10


def chain(entries: list[Any]) -> list[bytes]:
    """The lines of a log with these entries, numbered and chained."""
    lines: list[bytes] = []
    for number, entry in enumerate(entries, 1):
        previous = {"previous": merkle.leaf_hash(lines[-1]).hex()} if lines else {}
        lines.append(canonical.encode({**entry, "number": number, **previous}))
    return lines


def genuine(count: int = ENTRIES) -> list[Any]:
    return [
        {"organisation": "LabMSP", "at": "2026-01-01T00:00:00.000Z", "code": f"code-{number}", "count": number + 1,
         "outcome": "refused"} for number in range(count)
    ]  # fmt: skip


LINES = chain(genuine())


def anchor(size: int, number: int = 1, lines: list[bytes] = LINES, **said: Any) -> Any:
    log, root = merkle.leaf_hash(lines[0]).hex(), merkle.root(lines[:size]).hex()
    return {"record": {"owner": "LabMSP", "log": log, "number": number, "size": size, "root": root, **said}}


ANCHORS = [anchor(size, number) for number, size in enumerate(ANCHORED, 1)]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[list[bytes]], Path]:
    def write(lines: list[bytes]) -> Path:
        path = tmp_path / "audit.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write


def refuted(path: Path, anchors: list[Any] = ANCHORS) -> str:
    with pytest.raises(InvalidEvidence) as caught:
        verify_audit_log(path, anchors)
    return caught.value.detail


def changed(line: bytes, **said: Any) -> bytes:
    return canonical.encode({**json.loads(line), **said})


def test_a_log_that_agrees_is_verified(written: Any) -> None:
    verdict = verify_audit_log(written(LINES), [*reversed(ANCHORS), anchor(2, owner="HospitalMSP")])
    assert verdict.verified
    assert (verdict.entries, verdict.attempts, verdict.anchors, verdict.anchored, verdict.others) == (10, 55, 2, 7, 0)
    assert "3 entries were written after the last anchor" in verdict.text()
    assert verdict.as_json()["log"] == sha256(b"\x00" + LINES[0]).hexdigest()


def test_a_log_without_an_anchor_proves_nothing(written: Any) -> None:
    verdict = verify_audit_log(written(LINES), [anchor(4, log="00" * 32)])
    assert not verdict.verified
    assert (verdict.anchors, verdict.others) == (0, 1)
    assert "another log" in verdict.text()


@pytest.mark.parametrize("number", range(1, ENTRIES))
def test_an_altered_entry_is_named(written: Any, number: int) -> None:
    lines = list(LINES)
    lines[number - 1] = changed(lines[number - 1], code="nothing-at-all")
    assert refuted(written(lines)).startswith(f"entry {number} was altered")


def test_the_last_entry_is_shown_by_an_anchor(written: Any) -> None:
    lines = LINES[:7]
    lines[6] = changed(lines[6], code="nothing-at-all")
    assert refuted(written(lines)).startswith("one of the entries 5 to 7 was altered")


def test_a_link_that_was_altered_is_named(written: Any) -> None:
    lines = list(LINES)
    lines[4] = changed(lines[4], previous="00" * 32)
    assert refuted(written(lines)).startswith("entry 4 or 5 was altered")
    lines = list(LINES)
    lines[0] = changed(lines[0], previous="00" * 32)
    assert refuted(written(lines)).startswith("entry 1 was altered")


@pytest.mark.parametrize("number", range(1, 8))
def test_a_chain_that_was_written_again_is_found_between_two_anchors(written: Any, number: int) -> None:
    entries = genuine()
    entries[number - 1]["code"] = "nothing-at-all"
    lines = chain(entries)
    if number == 1:
        assert not verify_audit_log(written(lines), ANCHORS).verified
        return
    where = "1 to 4" if number <= 4 else "5 to 7"
    assert refuted(written(lines)).startswith(f"one of the entries {where} was altered")


@pytest.mark.parametrize("number", range(1, ENTRIES))
def test_an_entry_that_was_taken_out_is_named(written: Any, number: int) -> None:
    lines = [line for at, line in enumerate(LINES, 1) if at != number]
    assert refuted(written(lines)).startswith(f"entry {number} is missing")


def test_a_log_that_was_cut_is_found(written: Any) -> None:
    assert refuted(written(LINES[:5])).startswith("entry 6 is missing: anchor 2 on the ledger is over 7 entries")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "altered"), (b"[]", "altered"), (b"\xff", "altered"), (b'{"number":3}', "no organisation"),
        (changed(LINES[2], count="x"), "not a whole number"), (changed(LINES[2], count=0), "not a whole number"),
        (changed(LINES[2], organisation="HospitalMSP"), "another organisation"), (b"{" + b" " * 70_000, "longer than"),
    ],
)  # fmt: skip
def test_what_is_no_entry_is_refused(written: Any, line: bytes, why: str) -> None:
    said = refuted(written([*LINES[:2], line, *LINES[3:]]))
    assert "entry 3 " in said
    assert why in said


def test_a_file_that_is_cut_off_or_empty_is_refused(written: Any, tmp_path: Path) -> None:
    path = written(LINES)
    path.write_bytes(path.read_bytes()[:-1])
    assert refuted(path).startswith("entry 10 is cut off")
    (tmp_path / "empty").touch()
    assert "no entry" in refuted(tmp_path / "empty")


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(b"\n".join(LINES)) - 1), flipped=st.integers(1, 255))
def test_no_byte_can_be_changed_up_to_the_last_anchor(tmp_path_factory: Any, at: int, flipped: int) -> None:
    content = bytearray(b"\n".join(LINES[:7]) + b"\n")
    at %= len(content)
    content[at] ^= flipped
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    path.write_bytes(bytes(content))
    try:
        verdict = verify_audit_log(path, ANCHORS)
    except InvalidEvidence:
        return
    assert not verdict.verified
