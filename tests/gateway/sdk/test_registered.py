# SPDX-License-Identifier: Apache-2.0
"""Registered purposes in evidence: named by the file, or by the ledger, and never by both in two ways."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sampleconsent import AT, evidence_of_consent
from sampleevidence import evidence_of

from chaincode.domain.consent import ConsentStatus, Indication
from chaincode.domain.values import Purposes, SignedInstant
from pedigree import InvalidEvidence, InvalidInput, verify_consent, verify_record
from pedigree.command import check_file
from pedigree.proofs import Verdict

OWN = 1 << 40 | 1
TRIAL = "https://hospital.example/purposes#Trial7"
ENTRY: dict[str, Any] = {
    "record": {
        "kind": "purpose", "schema": 1, "owner": "HospitalMSP", "bit": 40, "iri": TRIAL, "title": "trial 7",
        "registered_at": 1_795_397_861_000,
    },
    "transaction": {"id": "ef" * 32, "block": 3, "at": "2026-11-23T01:00:00Z"},
}  # fmt: skip
SENTENCE = (
    f"The purpose with the bit 40 is 'trial 7', '{TRIAL}', which 'HospitalMSP' has registered, by the transaction "
    f"'{'ef' * 32}' in block 3, '2026-11-23T01:00:00Z'."
)
PAGE = {"items": [ENTRY], "next": None, "count": 1, "count_exact": True}


def of_a_record() -> dict[str, Any]:
    return {**evidence_of([("r1", b"a"), ("r2", b"b")], 0, purposes=OWN), "purposes": [copy.deepcopy(ENTRY)]}


def of_consent() -> dict[str, Any]:
    said = {"ann": Indication(ConsentStatus.GIVEN, Purposes(OWN), SignedInstant(AT))}
    return {**evidence_of_consent("ann", said), "purposes": [copy.deepcopy(ENTRY)]}


Made, Verify = Callable[[], dict[str, Any]], Callable[..., Any]
Change = Callable[[dict[str, Any]], object]
KINDS: tuple[tuple[Made, Verify], ...] = ((of_a_record, verify_record), (of_consent, verify_consent))
each_kind = pytest.mark.parametrize(("made", "verify"), KINDS, ids=["record", "consent"])


@each_kind
def test_it_is_the_files_word_until_the_ledger_says_it(made: Made, verify: Verify) -> None:
    evidence = made()
    alone = verify(evidence, root=evidence["version"]["root"])
    assert alone.verified
    assert SENTENCE in alone.said
    for answer in (PAGE, ENTRY, [PAGE, ENTRY], ENTRY["record"]):
        asked = verify(evidence, root=evidence["version"]["root"], purposes=answer)
        assert any("'trial 7'" in each for each in asked.recorded)
        assert not any("'trial 7'" in each for each in asked.said)
    assert not verify(evidence, purposes=PAGE).verified


@each_kind
def test_a_file_from_before_verifies_and_is_named_by_the_ledger(made: Made, verify: Verify) -> None:
    evidence = made()
    del evidence["purposes"]
    root = evidence["version"]["root"]
    assert verify(evidence, root=root).verified
    assert "bit-40" in verify(evidence, root=root).text()
    assert SENTENCE in verify(evidence, root=root, purposes=PAGE).recorded
    other = {"record": {**ENTRY["record"], "owner": "LabMSP"}}
    assert verify(evidence, root=root, purposes=other).recorded == ()


ALTERED: tuple[tuple[Change, str], ...] = (
    (lambda e: e.update(purposes="all"), "/purposes must be a list"),
    (lambda e: e.update(purposes=["all"]), "/purposes must be a list"),
    (lambda e: e["purposes"].append(e["purposes"][0]), "/purposes/1 names a purpose that the proof does not have, or"),
    (lambda e: e["purposes"][0]["record"].update(bit=41), "/purposes/0 names a purpose that the proof does not have"),
    (lambda e: e["purposes"][0]["record"].update(bit=0), "/purposes/0/record/bit must be a whole number from 32 to 63"),
    (lambda e: e["purposes"][0]["record"].update(owner="LabMSP"), "a purpose of another organisation"),
    (lambda e: e["purposes"][0]["record"].update(kind="policy"), "/purposes/0/record/kind must be 'purpose'"),
    (lambda e: e["purposes"][0]["record"].update(iri=7), "/purposes/0/record/iri must be text"),
    (lambda e: e["purposes"][0].update(more=1), "/purposes/0/more is not one of a registered purpose"),
    (lambda e: e["purposes"][0].pop("record"), "/purposes/0/record is missing"),
)


@each_kind
@pytest.mark.parametrize(("change", "said"), ALTERED, ids=[said for _, said in ALTERED])
def test_what_is_malformed_is_named(made: Made, verify: Verify, change: Change, said: str) -> None:
    evidence = made()
    change(evidence)
    with pytest.raises(InvalidEvidence) as refused:
        verify(evidence)
    assert said in refused.value.detail


OTHERWISE: tuple[tuple[Change, str], ...] = (
    (lambda e: e["record"].update(iri="https://x.example/y"), "says something else of 'iri'"),
    (lambda e: e["record"].update(title="care"), "says something else of 'title'"),
    (lambda e: e["transaction"].update(block=4), "has another block than the one that you gave"),
)


@each_kind
@pytest.mark.parametrize(("change", "said"), OTHERWISE, ids=[said for _, said in OTHERWISE])
def test_what_the_ledger_says_otherwise_is_refused(made: Made, verify: Verify, change: Change, said: str) -> None:
    evidence = made()
    change(evidence["purposes"][0])
    with pytest.raises(InvalidEvidence) as refused:
        verify(evidence, purposes=PAGE)
    assert said in refused.value.detail


@each_kind
@pytest.mark.parametrize(
    "answer",
    [
        {"items": 7},
        {"items": [7]},
        {"record": {"kind": "selection"}},
        {},
        {"record": {"kind": "purpose", "owner": "HospitalMSP", "bit": 40}},
    ],
)
def test_what_is_no_answer_about_purposes_is_refused(made: Made, verify: Verify, answer: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        verify(made(), purposes=answer)
    assert "the ledger's purposes" in str(refused.value)


def test_texts_of_the_file_are_escaped() -> None:
    evidence = of_a_record()
    evidence["purposes"][0]["record"]["title"] = "care\x1b[2J\u202e"
    text = verify_record(evidence).text()
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_command_takes_what_the_list_of_purposes_printed(tmp_path: Path) -> None:
    evidence = of_a_record()
    answers = {"proof": evidence, "version": {"record": evidence["version"]}, "purposes": PAGE}
    files = {name: tmp_path / f"{name}.json" for name in answers}
    for name, answer in answers.items():
        files[name].write_text(json.dumps(answer))
    verdict = check_file(files["proof"], ledger=[files["purposes"], files["version"]])
    assert isinstance(verdict, Verdict)
    assert verdict.verified
    assert SENTENCE in verdict.recorded
