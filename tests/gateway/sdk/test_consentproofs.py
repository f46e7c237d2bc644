# SPDX-License-Identifier: Apache-2.0
"""Evidence of consent: given, withdrawn and absent are said as the law has them, and what was altered is named."""

import base64
import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampleconsent import AT, GIVEN, MAP, evidence_of_consent, leaves_of, reference_of
from sparsemap import proof_of, root_of

from chaincode.domain import consent as law
from chaincode.domain import sparsemerkle
from chaincode.domain.consent import ConsentStatus, Indication
from chaincode.domain.merkle import ProofError
from chaincode.domain.values import Purposes, SignedInstant
from pedigree import InvalidEvidence, InvalidInput, verify_consent
from pedigree.consentproofs import PERMITTING, STATUSES, ConsentEvidence, check_consent, time_of

Change = Callable[[dict[str, Any]], object]


def root(evidence: dict[str, Any]) -> str:
    return str(evidence["version"]["root"])


def test_given_withdrawn_and_absent_are_each_proven() -> None:
    for subject, said, permitted in (
        ("s1", "ConsentGiven", True),
        ("s4", "ConsentWithdrawn", False),
        ("x", None, False),
    ):
        evidence = evidence_of_consent(subject)
        verdict = verify_consent(evidence, root=root(evidence))
        assert verdict.verified
        assert (None if verdict.indicated is None else verdict.indicated.status) == said
        assert (verdict.indicated is not None and verdict.indicated.permits) is permitted
        assert (said or "not in the map") in verdict.proven[0]
        assert verdict.as_json()["status"] == evidence["status"]


def test_what_nobody_shows_is_said() -> None:
    evidence = evidence_of_consent("s1")
    text = verify_consent(evidence).text()
    assert text.startswith("The file agrees with itself only")
    assert "ConsentGiven for research, model-training" in text
    assert time_of(AT) in text
    assert "Which person has this reference: only the controller knows." in text
    assert not verify_consent(evidence).verified
    answer = {"record": evidence["version"], "transaction": evidence["transaction"]}
    whole = verify_consent(evidence, version=answer)
    assert whole.verified
    assert len(whole.recorded) == 2
    assert whole.said == ("The channel is 'pedigree'.",)
    assert verify_consent(evidence, version=evidence["version"]).recorded == whole.recorded[:1]


def _leaf(evidence: dict[str, Any], change: Callable[[bytes], bytes], name: str = "leaf") -> None:
    proof = evidence["proof"]
    proof[name] = base64.b64encode(change(base64.b64decode(proof[name]))).decode()


def _flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


ALTERED: tuple[tuple[str, Change, str], ...] = (
    ("s1", lambda e: e["status"].update(status="ConsentWithdrawn"), "something else of the subject than the leaf"),
    ("s1", lambda e: e.update(status=None), "its path ends at the subject's own leaf"),
    ("x", lambda e: e.update(status=evidence_of_consent("s1")["status"]), "does not end at the subject's leaf"),
    ("s1", lambda e: _leaf(e, lambda b: _flip(b, 0), "siblings"), "leads to another root than the version's"),
    ("s1", lambda e: _leaf(e, lambda b: b + bytes(32), "siblings"), "deeper than a compact tree reaches"),
    ("x", lambda e: _leaf(e, lambda b: bytes([b[0] ^ 0x80]) + b[1:]), "does not belong on that path"),
    ("s1", lambda e: _leaf(e, lambda b: b[:-1]), "/proof/leaf must be base64 of 49 bytes, or empty"),
    ("s1", lambda e: _leaf(e, lambda b: b + b"\0", "siblings"), "/proof/siblings must be base64 of at most 256 hashes"),
    ("s1", lambda e: e.update(kind="record-evidence"), "it is not a consent-evidence of schema 1"),
    ("s1", lambda e: e["status"].update(status="ConsentSold"), "/status/status must be 'ConsentUnknown' or"),
    ("s1", lambda e: e["status"].update(purposes="3"), "/status/purposes must be 16 lower-case hexadecimal digits"),
    ("s1", lambda e: e.update(name="Ann"), "the field /name is not one of a consent-evidence"),
    ("s1", lambda e: e["version"].update(kind="dataset-version"), "/version/kind must be 'consent-map-version'"),
    ("s1", lambda e: e.pop("subject"), "the field /subject is missing"),
)


@pytest.mark.parametrize(("subject", "change", "said"), ALTERED, ids=[said for _, _, said in ALTERED])
def test_each_altered_copy_is_refused_with_its_own_sentence(subject: str, change: Change, said: str) -> None:
    evidence = evidence_of_consent(subject)
    change(evidence)
    with pytest.raises(InvalidEvidence) as refused:
        verify_consent(evidence)
    assert said in refused.value.detail


def test_what_was_given_is_compared() -> None:
    evidence = evidence_of_consent("s1")
    with pytest.raises(InvalidEvidence, match="and the root that you gave is 00"):
        verify_consent(evidence, root="00" * 32)
    with pytest.raises(InvalidEvidence, match="something else of 'owner'"):
        verify_consent(evidence, version={**evidence["version"], "owner": "RivalMSP"})
    moved = {"record": evidence["version"], "transaction": {**evidence["transaction"], "block": 19}}
    with pytest.raises(InvalidEvidence, match="another block"):
        verify_consent(evidence, version=moved)
    for wrong in (
        {"root": "zz"},
        {"root": "00" * 32, "version": evidence["version"]},
        {"version": {"kind": "dataset"}},
    ):
        with pytest.raises(InvalidInput):
            verify_consent(evidence, **wrong)


def test_the_terms_are_those_of_the_law() -> None:
    assert tuple(status.value for status in law.STATUSES) == STATUSES
    assert set(PERMITTING) == {status.value for status in law.PERMITTING}
    assert time_of(0) == "1970-01-01T00:00:00.000Z"
    assert time_of(-1) == "1969-12-31T23:59:59.999Z"
    assert time_of(SignedInstant._least) == "0001-01-01T00:00:00.000Z"
    assert time_of(SignedInstant._most) == "9999-12-31T23:59:59.999Z"


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.builds(
            Indication,
            st.sampled_from(ConsentStatus),
            st.integers(0, 2**64 - 1).map(Purposes),
            st.integers(-62_135_596_800_000, 253_402_300_799_999).map(SignedInstant),
        ),
        max_size=20,
    ),
    st.text("abcdef", min_size=1, max_size=3),
)
def test_it_finds_what_the_law_finds(indications: dict[str, Indication], subject: str) -> None:
    evidence = evidence_of_consent(subject, indications)
    verdict = verify_consent(evidence, root=root(evidence))
    leaves = leaves_of(indications)
    proven = sparsemerkle.verify(root_of(leaves), reference_of(subject), proof_of(leaves, reference_of(subject)))
    assert (None if verdict.indicated is None else verdict.indicated.value) == proven


@given(st.data())
def test_it_refuses_what_the_law_refuses(data: st.DataObject) -> None:
    subject = data.draw(st.sampled_from([*MAP, "x", "y"]))
    evidence = copy.deepcopy(evidence_of_consent(subject))
    name = data.draw(st.sampled_from(["siblings", "leaf"]))
    content = base64.b64decode(evidence["proof"][name])
    if content:
        at = data.draw(st.integers(0, len(content) - 1))
        changed = _flip(content, at)
        evidence["proof"][name] = base64.b64encode(changed).decode()
    found = ConsentEvidence.of(evidence)
    proof = sparsemerkle.Proof(b"".join(found.siblings), found.leaf)
    try:
        value = sparsemerkle.verify(found.root, found.subject, proof)
        agreed = value == (None if found.indicated is None else found.indicated.value)
    except ProofError:
        agreed = False
    if agreed:
        check_consent(found)
    else:
        with pytest.raises(InvalidEvidence):
            check_consent(found)


def test_the_value_of_an_indication_has_the_laws_bytes() -> None:
    found = ConsentEvidence.of(evidence_of_consent("s1")).indicated
    assert found is not None
    assert found.value == GIVEN.value()
