# SPDX-License-Identifier: Apache-2.0
"""Evidence of a record: what holds is told in plain words, and whatever was altered is named or not claimed."""

import base64
import copy
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import codec, merkle
from chaincode.domain.records import Consent, RecordProof
from chaincode.domain.values import Blob, Count, Digest, Purposes, dataset_version_ref
from gateway.services.consent import purpose_names
from gateway.verifier.evidence import EvidenceRejected, Verdict, verify_evidence

RECORDS = [(f"patient-{number:03}", f"patient-{number:03},{number},benign".encode()) for number in range(1, 6)]
CHOSEN = 2
PURPOSES = Purposes(0b11)


def _salt(index: int) -> bytes:
    return sha256(b"salt %d" % index).digest()[: merkle.SALT]


def _commitments(index: int) -> tuple[bytes, bytes]:
    identifier, content = RECORDS[index]
    salt = _salt(index)
    return sha256(salt + b"\x00" + identifier.encode()).digest(), sha256(salt + b"\x01" + content).digest()


def _leaf(index: int) -> bytes:
    tail = merkle.record_tail(Consent.GIVEN, PURPOSES)
    return merkle.leaf_hash(b"".join((b"\x01", _salt(index), *_commitments(index), tail)))


@pytest.fixture(scope="module")
def evidence() -> dict[str, Any]:
    tree = merkle.Tree(b"".join(_leaf(index) for index in range(len(RECORDS))))
    identifier, content = _commitments(CHOSEN)
    proof = RecordProof(
        version=dataset_version_ref("visits", 3),
        index=Count(CHOSEN),
        size=Count(len(RECORDS)),
        salt=Blob(_salt(CHOSEN)),
        id_digest=Digest(identifier),
        content_digest=Digest(content),
        consent=Count(Consent.GIVEN),
        purposes=PURPOSES,
        path=tuple(map(Digest, tree.inclusion(CHOSEN))),
    )
    return {
        "kind": "record-evidence",
        "schema": 1,
        "channel": "pedigree",
        "version": {
            "kind": "dataset-version",
            "schema": 1,
            "change": "first",
            "committed_at": 1_795_397_861_506,
            "dataset": "visits",
            "leaf_schema": "pedigree-record/v1",
            "licence": "CC-BY-4.0",
            "number": 3,
            "owner": "HospitalMSP",
            "root": str(Digest(tree.root())),
            "size": len(RECORDS),
        },
        "transaction": {"id": "ab" * 32, "block": 18, "at": "2026-11-23T01:37:41.506713Z"},
        "proof": codec.to_plain(proof),
        "record": {"id": RECORDS[CHOSEN][0], "content": base64.b64encode(RECORDS[CHOSEN][1]).decode()},
    }


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every scalar of a document, by its path."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*place, name))
    else:
        yield place


def _at(evidence: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(evidence)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


def _value(evidence: dict[str, Any], place: tuple[Any, ...]) -> Any:
    for name in place:
        evidence = evidence[name]
    return evidence


def _altered(value: Any) -> Any:
    """A value of the same form: a number one higher, a text with one other character."""
    if isinstance(value, int):
        return value + 1
    first = value[0]
    return ("b" if first == "a" else "a" if first in "bcdef" else chr(ord(first) ^ 1)) + value[1:]


def test_the_verdict_says_what_is_proven_on_whose_word_and_what_is_not(evidence: dict[str, Any]) -> None:
    text = verify_evidence(evidence, root=evidence["version"]["root"], purpose_names=purpose_names).text()
    assert text.startswith("The evidence holds.")
    proven, _, rest = text.partition("Said, ")
    said, _, missing = rest.partition("Not proven:")
    assert "'patient-003'" in proven
    assert "number 3 of the 5 records" in proven
    assert "'given' for research, model-training" in proven
    assert "HospitalMSP" in said
    assert "HospitalMSP" not in proven
    assert "CC-BY-4.0" in said
    assert "a person gave this consent" in missing


def test_without_a_root_it_says_that_no_ledger_stands_behind_it(evidence: dict[str, Any]) -> None:
    verdict = verify_evidence(evidence)
    assert verdict.text().startswith("The file agrees with itself; no ledger")
    assert "--root" in verdict.not_proven[0]
    assert verdict.as_json()["anchored"] is False
    assert verify_evidence(evidence, root=evidence["version"]["root"]).as_json()["anchored"] is True


def test_another_root_is_named(evidence: dict[str, Any]) -> None:
    with pytest.raises(EvidenceRejected, match="the root that you gave is " + "00" * 32):
        verify_evidence(evidence, root="00" * 32)


def _verdict(evidence: dict[str, Any], root: str | None = None) -> Verdict | None:
    """The verdict, or None where the evidence is refused; anything else that is raised is a fault."""
    try:
        return verify_evidence(evidence, root=root)
    except EvidenceRejected:
        return None


# What SHA-256 does not bind: the verdict must not claim it as proven.
UNBOUND = {
    ("channel",),
    ("transaction", "id"),
    ("transaction", "block"),
    ("transaction", "at"),
    ("version", "committed_at"),
    ("version", "licence"),
    ("version", "owner"),
}


def test_a_change_at_any_field_is_refused_or_the_field_is_not_claimed(evidence: dict[str, Any]) -> None:
    root = evidence["version"]["root"]
    accepted = set()
    for place in _places(evidence):
        verdict = _verdict(_at(evidence, place, _altered(_value(evidence, place))), root)
        if verdict is not None:
            accepted.add(place)
            assert verdict.proven == verify_evidence(evidence, root=root).proven
    assert accepted <= UNBOUND
    assert ("channel",) in accepted


@pytest.mark.parametrize("wrong", [None, True, 1.5, float("nan"), -1, 2**70, "", "\ud800", [], {}, "x" * 10_000])
def test_a_value_of_another_kind_at_any_field_is_one_refusal(evidence: dict[str, Any], wrong: Any) -> None:
    for place in _places(evidence):
        if place in UNBOUND and isinstance(wrong, type(_value(evidence, place))):
            continue
        with pytest.raises(EvidenceRejected) as caught:
            verify_evidence(_at(evidence, place, wrong))
        assert len(str(caught.value)) < 1_000


def test_a_missing_or_unknown_field_is_named(evidence: dict[str, Any]) -> None:
    for place in [("channel",), ("transaction", "block"), ("record", "id"), ("proof", "salt"), ("version", "root")]:
        changed = copy.deepcopy(evidence)
        del _value(changed, place[:-1])[place[-1]]
        with pytest.raises(EvidenceRejected, match=str(place[-1])):
            verify_evidence(changed)
    with pytest.raises(EvidenceRejected, match="/record/colour"):
        verify_evidence(_at(evidence, ("record", "colour"), "red"))


def test_other_documents_are_no_evidence(evidence: dict[str, Any]) -> None:
    for changed in ({}, {"kind": "record-evidence"}, _at(evidence, ("schema",), 2), {"kind": [], "schema": 1}):
        with pytest.raises(EvidenceRejected, match=r"it is no record-evidence of schema 1"):
            verify_evidence(changed)
    with pytest.raises(EvidenceRejected, match=r"/version must hold a dataset-version"):
        verify_evidence(_at(evidence, ("version",), evidence["proof"]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(member=st.sampled_from(["version", "transaction", "proof", "record", "channel"]), junk=JSON)
def test_junk_in_any_member_is_refused_and_nothing_else(evidence: dict[str, Any], member: str, junk: Any) -> None:
    verdict = _verdict({**evidence, member: junk})
    assert verdict is None or (member == "channel" and isinstance(junk, str))
