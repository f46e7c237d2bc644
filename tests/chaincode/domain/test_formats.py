# SPDX-License-Identifier: Apache-2.0
"""Leaves, trees, proofs, columns and statements as releases made them: never changed again, and valid for ever."""

import json
from pathlib import Path
from typing import Any

import pytest

from chaincode.domain import merkle, sparsemerkle
from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from chaincode.domain.intoto import decode_statement, encode_statement
from chaincode.domain.tabular import header_digest
from tests.chaincode import formats

VECTORS = Path(__file__).parents[2] / "vectors"
RELEASES = sorted(VECTORS.glob("[0-9]*/formats.json"))


@pytest.fixture(params=RELEASES, ids=lambda path: path.parent.name)
def release(request: pytest.FixtureRequest) -> Any:
    return json.loads(request.param.read_text(encoding="utf-8"))


def hashes(release: Any) -> bytes:
    return bytes.fromhex("".join(record["hash"] for record in release["records"]))


def test_every_release_has_its_formats_beside_its_documents() -> None:
    documents = {path.parent.name for path in VECTORS.glob("[0-9]*/documents.json")}
    assert {path.parent.name for path in RELEASES} == documents != set()


def test_the_vectors_are_what_the_definitions_say(release: Any) -> None:
    """Of the formats in force; a format that changes gets a test of its own, and its old vectors keep theirs."""
    made = json.loads(json.dumps(formats.made()))
    assert release == {section: made[section] for section in release}


def test_the_last_release_has_every_format() -> None:
    assert set(json.loads(RELEASES[-1].read_text(encoding="utf-8"))) == set(formats.made())


def test_records_have_the_same_leaves_as_ever(release: Any) -> None:
    records = [
        (
            *(bytes.fromhex(record[name]) for name in ("salt", "id", "content")),
            merkle.record_tail(record["consent"], record["purposes"]),
        )
        for record in release["records"]
    ]
    assert merkle.record_hashes(records) == hashes(release)
    for record in release["records"]:
        assert merkle.leaf_hash(bytes.fromhex(record["leaf"])).hex() == record["hash"]


def test_records_about_subjects_have_the_same_leaves_as_ever(release: Any) -> None:
    for record in release.get("subjects", ()):
        salt, name, content, subject = (bytes.fromhex(record[each]) for each in ("salt", "id", "content", "subject"))
        tail = merkle.record_tail(record["consent"], record["purposes"])
        assert merkle.subject_record_hashes([(salt, name, content, subject, tail)]).hex() == record["hash"]
        assert merkle.leaf_hash(bytes.fromhex(record["leaf"])).hex() == record["hash"]


def test_maps_change_as_ever(release: Any) -> None:
    root = sparsemerkle.EMPTY
    for step in release.get("maps", ()):
        proof = sparsemerkle.Proof(*(bytes.fromhex(step[each]) for each in ("siblings", "leaf", "beside")))
        value = None if step["value"] is None else bytes.fromhex(step["value"])
        root = sparsemerkle.change(root, bytes.fromhex(step["key"]), proof, value)
        assert root.hex() == step["root"]


def test_trees_have_the_same_roots_as_ever(release: Any) -> None:
    tree = merkle.Tree(hashes(release))
    assert [tree.root(size).hex() for size in range(10)] == release["roots"]
    assert [merkle.root_of_hashes(hashes(release)[: 32 * size]).hex() for size in range(10)] == release["roots"]


def test_proofs_are_made_and_accepted_as_ever(release: Any) -> None:
    tree, roots = merkle.Tree(hashes(release)), [bytes.fromhex(root) for root in release["roots"]]
    for proof in release["inclusion"]:
        index, size = proof["index"], proof["size"]
        path = [bytes.fromhex(each) for each in proof["path"]]
        assert tree.inclusion(index, size) == path
        merkle.verify_inclusion(tree.leaf(index), index, size, path, roots[size])
    for proof in release["consistency"]:
        first, second = proof["first"], proof["second"]
        path = [bytes.fromhex(each) for each in proof["proof"]]
        assert tree.consistency(first, second) == path
        merkle.verify_consistency(first, roots[first], second, roots[second], path)


def test_columns_have_the_same_digest_as_ever(release: Any) -> None:
    for columns in release["columns"]:
        assert str(header_digest(columns["fields"], columns["delimiter"])) == columns["digest"]


def test_statements_are_written_read_and_signed_as_ever(release: Any) -> None:
    for vector in release["statements"]:
        payload = vector["payload"].encode()
        assert encode_statement(decode_statement(payload)) == payload
        assert pre_authentication_encoding(PAYLOAD_TYPE, payload) == vector["signed"].encode()
