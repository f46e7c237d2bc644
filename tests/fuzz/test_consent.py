# SPDX-License-Identifier: Apache-2.0
"""Evidence of consent and receipts as strangers may write them: what is shown of a subject is what the map has."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from altering import altered, cut_up
from sampleconsent import MAP as SUBJECTS
from sampleconsent import evidence_of_consent, reference_of
from samplereceipt import MAP as GIVERS
from samplereceipt import receipt_of

from pedigree import InvalidEvidence, verify_consent, verify_receipt
from pedigree.consentproofs import ConsentVerdict
from pedigree.evidence import parse_evidence
from pedigree.receipts import PURPOSE_IRIS

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

    from chaincode.domain.consent import Indication

_MOST = 32 << 20
"""Bytes that judging one file, which is a small one, may take at most."""


def _drawn(chance: random.Random, genuine: dict[str, Any]) -> Any:
    """An altered copy, which may have come as bytes; None where no reader takes these."""
    document: Any = altered(chance, genuine)
    if chance.random() < 0.3:
        try:
            document = parse_evidence(cut_up(chance, json.dumps(document).encode()))
        except InvalidEvidence:
            return None
    return document


def _verdict(check: Callable[..., ConsentVerdict], document: Any, **given: Any) -> ConsentVerdict | None:
    try:
        return check(document, **given)
    except InvalidEvidence as exc:
        refusal = str(exc)
    assert len(refusal) < 1_000
    assert refusal.isprintable()
    return None


def _nothing_false(verdict: ConsentVerdict, indications: dict[str, Indication]) -> None:
    """Whatever the file says: of this subject, the map under the true root has just that."""
    assert verdict.verified
    found = {reference_of(subject).hex(): each for subject, each in indications.items()}.get(verdict.subject)
    shown = verdict.indicated
    assert (None if shown is None else shown.value) == (None if found is None else found.value())
    lines = verdict.text().split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith("Verified")] == [verdict.summary]


def _judged(
    fuzzing: Fuzzing,
    name: str,
    check: Callable[..., ConsentVerdict],
    genuine: Callable[[random.Random], dict[str, Any]],
    version: dict[str, Any],
    indications: dict[str, Indication],
) -> None:
    tracemalloc.start()
    try:
        for chance in fuzzing.rounds(name):
            document = _drawn(chance, genuine(chance))
            tracemalloc.reset_peak()
            alone = _verdict(check, document)
            assert alone is None or not alone.verified
            for given in ({"root": version["root"]}, {"version": version}):
                if (verdict := _verdict(check, document, **given)) is not None:
                    _nothing_false(verdict, indications)
                    if "version" in given:
                        assert "version 2 of the consent map of the data set 'visits'" in verdict.recorded[0]
                    if check is verify_receipt:
                        _words_agree(document, verdict)
            assert tracemalloc.get_traced_memory()[1] < _MOST
    finally:
        tracemalloc.stop()


def _words_agree(receipt: Any, verdict: ConsentVerdict) -> None:
    """What the words of a receipt say of the consent is what was shown."""
    (genuine,) = (each for each in map(receipt_of, GIVERS) if verdict.subject in each["@id"])
    said, shown = (_without_what_is_said_only(each["dct:hasPart"]) for each in (receipt, genuine))
    assert said == shown


def _without_what_is_said_only(record: dict[str, Any]) -> Any:
    """The record of consent, but for its basis, and for what the controller calls its own purposes."""
    kept = {name: each for name, each in record.items() if name not in ("dpv:hasLegalBasis", "dpv:hasJurisdiction")}
    purposes = kept["dpv:hasProcess"]["dpv:hasPurpose"]
    named = [each if each["@id"] in PURPOSE_IRIS else {"@id": "own"} for each in purposes]
    return {**kept, "dpv:hasProcess": {**kept["dpv:hasProcess"], "dpv:hasPurpose": named}}


@pytest.mark.timeout(3_600)
def test_evidence_of_consent_has_a_verdict_or_one_refusal(fuzzing: Fuzzing) -> None:
    version = evidence_of_consent("s1")["version"]
    whose = (*SUBJECTS, "absent")
    _judged(
        fuzzing, "consent", verify_consent, lambda chance: evidence_of_consent(chance.choice(whose)), version, SUBJECTS
    )


@pytest.mark.timeout(3_600)
def test_a_consent_receipt_has_a_verdict_or_one_refusal(fuzzing: Fuzzing) -> None:
    version = receipt_of("ann")["pedigree:evidence"]["version"]
    _judged(fuzzing, "receipts", verify_receipt, lambda chance: receipt_of(chance.choice([*GIVERS])), version, GIVERS)


@pytest.mark.parametrize("subject", [*SUBJECTS, "absent"])
def test_the_genuine_evidence_is_proven(subject: str) -> None:
    evidence = evidence_of_consent(subject)
    _nothing_false(verify_consent(evidence, version=evidence["version"]), SUBJECTS)


@pytest.mark.parametrize("subject", GIVERS)
def test_the_genuine_receipt_is_proven(subject: str) -> None:
    receipt = receipt_of(subject)
    verdict = verify_receipt(receipt, version=receipt["pedigree:evidence"]["version"])
    _nothing_false(verdict, GIVERS)
    _words_agree(receipt, verdict)
