# SPDX-License-Identifier: Apache-2.0
"""Evidence of a transaction as strangers write it: of another form, or with any byte changed."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampleorder import File, SampleChannel, refusal

from gateway.verifier.transactions import RefutedEvidence, TransactionVerdict, verify_transaction


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schema": 2}, "/schema"),
        ({"schema": True}, "/schema"),
        ({"more": 1}, "/more"),
        ({"block": None}, "/block"),
        ({"block": {"number": 3}}, "/block"),
        ({"configurations": []}, "/configurations"),
        ({"configurations": {}}, "/configurations"),
        ({"configurations": [{}] * 1_001}, "/configurations"),
        ({"definitions": [1]}, "/definitions"),
        ({"definitions": [{"block": {}, "index": 0}]}, "/definitions/0/block"),
        ({"channel": 5}, "/channel"),
        ({"channel": "x" * 600}, "/channel"),
        ({"transaction": {"id": "x"}}, "/transaction"),
        ({"transaction": {"id": "x", "block": 3, "index": -1}}, "/transaction/index"),
        ({"reference": []}, "/reference"),
        ({"validation": None}, "/validation"),
    ],
)
def test_a_file_of_another_form_is_refused(
    genuine: tuple[SampleChannel, File], change: dict[str, Any], field: str
) -> None:
    assert f"{field} " in f"{refusal({**genuine[1], **change}, None)} ".replace(")", " ")


def test_a_block_of_another_form_is_refused(genuine: tuple[SampleChannel, File]) -> None:
    _, file = genuine
    for name, value in (
        ("number", -1), ("number", True), ("number", 2**70), ("previous_hash", "zz"), ("previous_hash", ""),
        ("previous_hash", "AB" * 32), ("data", 5), ("data", "%"), ("signatures", None),
    ):  # fmt: skip
        assert f"/block/{name} must be" in refusal({**file, "block": {**file["block"], name: value}}, None)
    for data, sentence in (
        (b"", "speaks of transaction 0 of block 3, which has 0"),
        (b"\x0a\x01p", "block 3 is not signed"),
        (b"\x12\x01s", "an envelope is not one payload and then one signature"),
        (b"\x1a\x01u", "does not begin with its payload"),
        (b"\x0a\x01p\x12\x01s\x0a\x01p", "the last envelope has no signature"),
        (b"\x0a\x01p\x0b", "does not begin with its payload"),
        (b"\x0a\x01p\x12\x01s\x1b", "a field of no known form"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "a number does not end"),
        (b"\x0a\x01p\x12\x01s" + b"\x18\x00" * 200_001, "too many envelopes"),
    ):
        block = {**file["block"], "data": base64.b64encode(data).decode()}
        said = refusal({**file, "block": block, "transaction": {**file["transaction"], "index": 0}}, None)
        assert sentence in said or "transaction 0 of block 3 is none" in said


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.sampled_from(["block", "configurations/0", "configurations/1", "definitions/0/block"]),
    name=st.sampled_from(["data", "signatures"]),
    at=st.integers(0, 20_000),
    change=st.integers(1, 255),
)
def test_no_byte_can_be_changed(
    genuine: tuple[SampleChannel, File], where: str, name: str, at: int, change: int
) -> None:
    channel, file = genuine
    altered = copy.deepcopy(file)
    block: Any = altered
    for step in where.split("/"):
        block = block[int(step)] if isinstance(block, list) else block[step]
    raw = bytearray(base64.b64decode(block[name]))
    if not raw:
        return
    raw[at % len(raw)] ^= change
    block[name] = base64.b64encode(bytes(raw)).decode()
    before = verify_transaction(file, trusted=channel.genesis_hash)
    try:
        after: TransactionVerdict = verify_transaction(altered, trusted=channel.genesis_hash)
    except RefutedEvidence:
        return
    # Fields that nobody knows, and metadata of the first block, say nothing: what is proven stays the same.
    assert name == "signatures"
    assert (after.proven, after.written) == (before.proven, before.written)
