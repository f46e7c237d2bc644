# SPDX-License-Identifier: Apache-2.0
"""The vectors that every verifier of receipts is run against: they are what the code makes, and the code decides so."""

import base64
import json
from typing import Any

import pytest
import receiptvectors

from gateway.tlog import notes, policy, receipts
from gateway.tlog.errors import TlogError
from gateway.tlog.keys import Verifier
from pedigree import InvalidEvidence, verify_record

VECTORS: dict[str, Any] = json.loads(receiptvectors.FILE.read_text(encoding="utf-8"))


def content_of(value: dict[str, str]) -> bytes:
    return value["text"].encode() if "text" in value else base64.b64decode(value["base64"])


def named(kind: str) -> Any:
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=lambda each: each["name"])


def test_the_file_is_what_the_code_makes() -> None:
    """`python tests/harness/receiptvectors.py` writes it anew; a form that has been released never changes."""
    assert receiptvectors.FILE.read_text(encoding="utf-8") == receiptvectors.written(receiptvectors.made())


def test_there_are_enough_of_each() -> None:
    assert sum("accepted" in each for each in VECTORS["receipts"]) >= 12
    assert sum("refused" in each for each in VECTORS["receipts"]) >= 40
    for kind in ("notes", "policies", "receipts", "records"):
        names = [each["name"] for each in VECTORS[kind]]
        assert len(set(names)) == len(names)


@named("notes")
def test_a_note_is_signed_or_refused(vector: dict[str, Any]) -> None:
    def signed() -> list[str]:
        verifier = Verifier.parse(vector["vkey"])
        return [name for name, _ in notes.verify(notes.parse(vector["note"].encode()), {verifier.key: verifier})]

    if vector["signed_by"] is None:
        with pytest.raises(TlogError):
            signed()
    else:
        assert signed() == vector["signed_by"]


@named("policies")
def test_a_policy_decides_or_is_refused(vector: dict[str, Any]) -> None:
    content = content_of(vector["policy"])
    if "satisfied" not in vector:
        with pytest.raises(TlogError):
            policy.parse(content)
        return
    found = policy.parse(content)
    assert all(found.satisfied([name.encode() for name in names]) for names in vector["satisfied"])
    assert not any(found.satisfied([name.encode() for name in names]) for names in vector["unsatisfied"])


@named("receipts")
def test_a_receipt_is_verified_or_refused_in_these_words(vector: dict[str, Any]) -> None:
    trusted = policy.parse(VECTORS["trust"][vector["policy"]].encode())
    content = content_of(vector["receipt"])
    leaf = None if vector["leaf"] is None else bytes.fromhex(vector["leaf"])
    if "refused" in vector:
        with pytest.raises(TlogError) as refused:
            receipts.verify(content, leaf, trusted)
        assert str(refused.value) == vector["refused"]
    else:
        verdict = receipts.verify(content, leaf, trusted)
        cosigned = {each.witness.name.decode(): each.at for each in verdict.cosignatures}
        assert (verdict.checkpoint.root.hex(), verdict.index) == (
            vector["accepted"]["root"],
            vector["accepted"]["index"],
        )
        assert cosigned == vector["accepted"]["cosigned"]


@named("records")
def test_evidence_of_a_record_is_verified_or_refused_in_these_words(vector: dict[str, Any]) -> None:
    if "refused" in vector:
        with pytest.raises(InvalidEvidence) as refused:
            verify_record(vector["evidence"], root=vector["root"])
        assert refused.value.detail == vector["refused"]
    else:
        verdict = verify_record(vector["evidence"], root=vector["root"])
        assert verdict.verified
        assert (verdict.id, base64.b64encode(verdict.content).decode()) == tuple(vector["accepted"].values())
