# SPDX-License-Identifier: Apache-2.0
"""Files of evidence as strangers may write them: each has a verdict or one refusal, and nothing false is proven."""

from __future__ import annotations

import copy
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from sampleevidence import evidence_of

from pedigree import InvalidEvidence, Verdict, verify_record
from pedigree.evidence import parse_evidence

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

SIZE, CHOSEN = 11, 6
COLUMNS = ["id", "finding"]


RECORDS = [(f"r{number}", b"r%d,benign" % number) for number in range(SIZE)]


def genuine() -> dict[str, Any]:
    """Evidence of one record of eleven."""
    return evidence_of(RECORDS, CHOSEN, purposes=3, columns=COLUMNS)


ROOT = genuine()["version"]["root"]

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, SIZE, 2**53, 2**200, 1.5, float("nan"), "", "0", "\ud800", "\u202e", "\x00",
    "\x1b[2J", "a\nb", "x" * 5_000, [], {}, [[]], {"kind": "record-proof"}, ["00" * 32] * 65, "00" * 32, "=", ",",
)  # fmt: skip


def _containers(value: Any) -> list[Any]:
    found = [value]
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            found += _containers(item)
    return found


def _altered(chance: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one to three places changed: another value, a lost, moved, doubled or new member."""
    for _ in range(chance.randint(1, 3)):
        inner = chance.choice([each for each in _containers(document) if each])
        places = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        place = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del inner[place]
            case 1:
                inner[place] = copy.deepcopy(inner[chance.choice(places)])
            case 2 if isinstance(inner[place], str) and inner[place]:
                text, at = inner[place], chance.randrange(len(inner[place]))
                inner[place] = text[:at] + chance.choice("0aF_:\u202e") + text[at + 1 :]
            case 3 if isinstance(inner[place], int):
                inner[place] += chance.choice((-1, 1, 2**32))
            case 4 if isinstance(inner, dict):
                inner[chance.choice(("colour", "schema", "kind", "index", "header"))] = copy.deepcopy(
                    chance.choice(ODD)
                )
            case _:
                inner[place] = copy.deepcopy(chance.choice(ODD))
    return document


def _cut_up(chance: random.Random, content: bytes) -> bytes:
    """The bytes with a few of them lost, doubled or replaced."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        put = chance.choice((b"", b"\xff", b'"', b"{", b"9", changed[at : at + 50]))
        changed[at : at + chance.choice((0, 1, 1, 30))] = put
    return bytes(changed)


def _verdict(document: Any, **given: Any) -> Verdict | None:
    try:
        return verify_record(document, **given)
    except InvalidEvidence as exc:
        refusal = str(exc)
    assert len(refusal) < 1_000
    assert refusal.isprintable()
    return None


def _parsed(content: bytes) -> Any:
    """The document, or nothing where it is refused."""
    try:
        return parse_evidence(content)
    except InvalidEvidence:
        return None


def _nothing_false(verdict: Verdict) -> None:
    """Whatever the file says elsewhere: what is proven under the true root is true."""
    assert verdict.verified
    assert (verdict.id, verdict.content) == RECORDS[CHOSEN]
    assert "'given' for research, model-training" in verdict.proven[1]
    lines = verdict.text().split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith("Verified")] == [verdict.summary]


@pytest.mark.timeout(3_600)
def test_a_file_of_evidence_has_a_verdict_or_one_refusal(fuzzing: Fuzzing) -> None:
    version = genuine()["version"]
    for chance in fuzzing.rounds("evidence"):
        document: Any = _altered(chance, genuine())
        if chance.random() < 0.3:
            document = _parsed(_cut_up(chance, json.dumps(document).encode()))
        alone = _verdict(document)
        assert alone is None or not alone.verified
        if (rooted := _verdict(document, root=ROOT)) is not None:
            _nothing_false(rooted)
            assert "number" not in rooted.proven[0]
        if (sized := _verdict(document, root=ROOT, size=SIZE)) is not None:
            _nothing_false(sized)
            assert f"number {CHOSEN + 1} of the {SIZE} records" in sized.proven[0]
        if (whole := _verdict(document, version=version)) is not None:
            _nothing_false(whole)
            assert "number 3 of the data set 'visits', owned by 'HospitalMSP'" in whole.recorded[0]


def test_the_genuine_file_is_proven() -> None:
    verdict = verify_record(genuine(), version=genuine()["version"])
    _nothing_false(verdict)
    assert verdict.fields == {"id": "r6", "finding": "benign"}
