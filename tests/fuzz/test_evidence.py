# SPDX-License-Identifier: Apache-2.0
"""Files of evidence as strangers may write them: each has a verdict or one refusal, and nothing false is proven."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from altering import altered, cut_up
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
        document: Any = altered(chance, genuine())
        if chance.random() < 0.3:
            document = _parsed(cut_up(chance, json.dumps(document).encode()))
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
