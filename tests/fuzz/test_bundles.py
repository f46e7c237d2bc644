# SPDX-License-Identifier: Apache-2.0
"""Bundles as strangers may write them: each is refused in one sentence, or says of a copy what the genuine one says."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from samplebundle import Sample, sample

from chaincode.domain.provenance import LeafSchema
from gateway.services.ports import Reading
from pedigree import InvalidBundle, verify_copy
from pedigree.comparisons import CopyComparison
from pedigree.recordfiles import UnreadableRecords
from pedigree.tables import CSV

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

ROWS = [(f"r{number}", b"r%d,benign" % number) for number in range(30)]
COPY = b"\n".join([b"id,finding", *(content for _, content in ROWS[:20]), b"new,benign"])
_TABLE = Reading(CSV, "id", ",", ("id", "finding"))
GENUINE = {schema: sample(ROWS, _TABLE, schema, {"training": range(18)}) for schema in LeafSchema}
_ODD: tuple[Any, ...] = (None, True, 0, -1, 2**70, "", "x" * 3_000, "\u202e", [], {}, [[]], {"kind": "x"})


def _altered(chance: random.Random, content: bytes) -> bytes:
    """A bundle with another head, or with a few bytes lost, doubled or replaced; sealed again, more often than not."""
    start = 14 + int.from_bytes(content[10:14])
    if chance.random() < 0.4:
        head = json.loads(content[14:start])
        inner = chance.choice([head, *(each for each in head.values() if isinstance(each, dict))])
        inner[chance.choice([*inner, "colour"])] = chance.choice(_ODD)
        text = json.dumps(head).encode()
        body = bytearray(content[:10] + len(text).to_bytes(4) + text + content[start:-32])
    else:
        body = bytearray(content[:-32])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            put = chance.choice((b"", b"\x00", b"\xff\xff\xff\xff", chance.randbytes(5), body[at : at + 90]))
            body[at : at + chance.choice((0, 1, 4, 57))] = put
    seal = hashlib.sha256(body).digest() if chance.random() < 0.8 else content[-32:]
    return bytes(body + seal)


def _report(path: Path, genuine: Sample, selection: Any) -> CopyComparison | None:
    """What the bundle says of the copy; None where it is refused."""
    try:
        return verify_copy(COPY, path, version=genuine.version, selection=selection, media_type=CSV)
    except InvalidBundle as exc:
        refusal = str(exc)
    except UnreadableRecords:
        return None  # how the file was read is what only the bundle says
    assert len(refusal) < 1_000
    assert refusal.isprintable()
    return None


@pytest.mark.timeout(3_600)
def test_a_bundle_is_refused_or_says_what_the_genuine_one_says(fuzzing: Fuzzing, tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    for chance in fuzzing.rounds("bundles"):
        genuine = GENUINE[chance.choice(list(LeafSchema))]
        alone = chance.random() < 0.3
        path.write_bytes(_altered(chance, genuine.parts["training"] if alone else genuine.content))
        selection = genuine.selections["training"] if alone or chance.random() < 0.5 else None
        report = _report(path, genuine, selection)
        if report is None:
            continue
        assert report["verified"] is False
        if alone:
            if report["counts"]["removed"] == 0:  # the ids were taken from their column, or from their order
                assert report["changed"] == []
                assert report["added"] in (["r18", "r19", "new"], ["row 19", "row 20", "row 21"])
            continue
        if selection is not None:
            assert report.get("outside") in (None, ["r18", "r19"], [])  # unknown, as it is, or read by other ids
            continue
        if report["counts"]["removed"] == 10:  # the ids were taken from their column
            assert (report["changed"], report["added"]) == ([], ["new"])
            assert report["removed"] == [record_id for record_id, _ in ROWS[20:]]


def test_the_genuine_one_is_read(tmp_path: Path) -> None:
    for genuine in GENUINE.values():
        report = verify_copy(COPY, genuine.write(tmp_path / "a.bundle"), version=genuine.version)
        part = verify_copy(
            COPY, tmp_path / "a.bundle", version=genuine.version, selection=genuine.selections["training"]
        )
        assert (part["outside"], part["removed"], part["added"]) == (["r18", "r19"], [], ["new"])
        assert (report["added"], report["counts"]["removed"]) == (["new"], 10)
        (path := tmp_path / "part.bundle").write_bytes(genuine.parts["training"])
        alone = verify_copy(COPY, path, version=genuine.version, selection=genuine.selections["training"])
        assert (alone.get("outside"), alone["removed"], alone["added"]) == (None, [], ["r18", "r19", "new"])
