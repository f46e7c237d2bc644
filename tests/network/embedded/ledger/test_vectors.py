# SPDX-License-Identifier: Apache-2.0
"""Hashes of headers, data and commits equal those of the reference implementation."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from fabric_protos.common import common_pb2

from network.embedded.blocks import data_hash, header_bytes, header_hash, make_block
from network.embedded.commithash import Write, commit_hash, update_bytes

VECTORS = Path(__file__).parents[3] / "vectors" / "fabric"


def load(name: str) -> dict:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", load("block.json")["headers"], ids=lambda case: str(case["number"]))
def test_a_header_encodes_and_hashes_as_in_fabric(case: dict) -> None:
    header = common_pb2.BlockHeader(number=case["number"], previous_hash=b"prevhash", data_hash=b"datahash")
    assert header_bytes(header).hex() == case["asn1"]
    assert header_hash(header).hex() == case["hash"]


def test_the_first_header_has_an_empty_previous_hash() -> None:
    expected = load("block.json")["genesis_nil_prev"]
    header = common_pb2.BlockHeader(number=0, data_hash=b"datahash")
    assert (header_bytes(header).hex(), header_hash(header).hex()) == (expected["asn1"], expected["hash"])


def test_data_is_hashed_as_one_string_and_a_block_has_five_metadata_slots() -> None:
    vectors = load("block.json")
    assert data_hash([b"ab", b"cd"]).hex() == vectors["datahash_ab_cd"]
    assert len(make_block(7, b"p", [b"ab"]).metadata.metadata) == vectors["newblock_metadata_len"]


def test_commit_hashes_chain_what_the_blocks_changed() -> None:
    vectors = load("commit_hash.json")
    key, value = sha256(b"pk").digest(), sha256(b"pv").digest()
    writes = [
        Write("ns3", "coll", key, value, (1, 6)),
        Write("ns1", "", b"k0", b"v0", (1, 1)),
        Write("ns2", "collB", key, value, (1, 4)),
        Write("ns1", "", b"k2", None, (1, 2)),
        Write("ns1", "", b"k1", b"v1", (1, 0)),
        Write("ns2", "", b"m", b"v", (1, 3)),
        Write("ns2", "collA", key, None, (1, 5)),
        Write("", "", b"CHANNEL_CONFIG_ENV_BYTES", b"left out", (1, 0)),
    ]
    assert update_bytes(writes).hex() == vectors["update_bytes"]
    first = commit_hash(bytes(7), writes, b"")
    assert first.hex() == vectors["commit_hash_first"]
    second = commit_hash(bytes([0, 11, 10]), [], first)
    assert second.hex() == vectors["commit_hash_second_no_updates_flags_0_11_10"]
