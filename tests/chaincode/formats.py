# SPDX-License-Identifier: Apache-2.0
"""Leaves, trees, proofs, columns and statements, by their definitions and without a line of ours.

`python -m tests.chaincode.formats` prints them: the vectors of a release (`tests/vectors/<version>/formats.json`),
which later releases keep as they are. Trees follow RFC 6962, section 2.1, signatures DSSE version 1, JSON RFC 8785.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from tests.harness.sparsemap import proof_of, root_of

COLUMNS = [(["id", "radius"], ","), (["id", "Größe", 'a "b"'], ";"), (["only"], "\t"), ([], "|")]
CONSENT, PURPOSES = (0, 2, 3, 5, 8), (0, 3, 2**63, 2**64 - 1, 7)


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def leaf(salt: bytes, identifier: bytes, content: bytes, consent: int, purposes: int) -> bytes:
    hidden = digest(salt, b"\x00", identifier) + digest(salt, b"\x01", content)
    return b"\x01" + salt + hidden + bytes([consent]) + purposes.to_bytes(8, "big")


def subject_leaf(salt: bytes, identifier: bytes, content: bytes, subject: bytes, consent: int, purposes: int) -> bytes:
    hidden = digest(salt, b"\x00", identifier) + digest(salt, b"\x01", content) + digest(salt, b"\x02", subject)
    return b"\x02" + salt + hidden + bytes([consent]) + purposes.to_bytes(8, "big")


def root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return digest()
    if len(leaves) == 1:
        return digest(b"\x00", leaves[0])
    half = split(len(leaves))
    return digest(b"\x01", root(leaves[:half]), root(leaves[half:]))


def split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def inclusion(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = split(len(leaves))
    if index < half:
        return [*inclusion(index, leaves[:half]), root(leaves[half:])]
    return [*inclusion(index - half, leaves[half:]), root(leaves[:half])]


def consistency(first: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root(leaves)]
    half = split(len(leaves))
    if first <= half:
        return [*consistency(first, leaves[:half], whole=whole), root(leaves[half:])]
    return [*consistency(first - half, leaves[half:], whole=False), root(leaves[:half])]


def statement(*, decision: str, genesis: str | None) -> dict[str, Any]:
    predicate = {
        "channel": "pedigree", "organisation": "LabMSP", "artifact": "model-version:net:1", "stage": "approved",
        "decision": decision, "round": 2, "policy": 3,
    }  # fmt: skip
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model-version:net:1", "digest": {"sha256": "5f" * 32}}],
        "predicateType": "https://pedigree.example/endorsement/v1",
        "predicate": predicate | ({} if genesis is None else {"genesis": genesis}),
    }


def made() -> dict[str, Any]:
    """All of them; bytes in hexadecimal."""
    records = []
    for number in range(9):
        salt, identifier, content = digest(b"salt %d" % number)[:16], b"id-%d" % number, b"row %d, \xc3\xa4" % number
        tail = CONSENT[number % 5], PURPOSES[number % 5]
        records.append((salt, identifier, content, *tail, leaf(salt, identifier, content, *tail)))
    leaves = [record[-1] for record in records]
    return {
        "subjects": [about(number) for number in range(9)],
        "maps": list(changes()),
        "records": [
            {"salt": salt.hex(), "id": name.hex(), "content": content.hex(), "consent": consent, "purposes": purposes,
             "leaf": found.hex(), "hash": digest(b"\x00", found).hex()}
            for salt, name, content, consent, purposes, found in records
        ],
        "roots": [root(leaves[:size]).hex() for size in range(10)],
        "inclusion": [
            {"index": index, "size": size, "path": [each.hex() for each in inclusion(index, leaves[:size])]}
            for size in range(1, 10) for index in range(size)
        ],
        "consistency": [
            {"first": first, "second": size, "proof": [each.hex() for each in consistency(first, leaves[:size])]}
            for size in range(1, 10) for first in range(1, size + 1)
        ],
        "columns": [
            {"fields": fields, "delimiter": delimiter, "digest": columns(fields, delimiter).hex()}
            for fields, delimiter in COLUMNS
        ],
        "bundles": [
            bundle(9, subjects=subjects, numbered=numbered) for subjects in (False, True) for numbered in (False, True)
        ],
        "statements": [signed(statement(decision=decision, genesis=genesis))
                       for decision in ("endorse", "reject") for genesis in (None, "ab" * 32)],
    }  # fmt: skip


def about(number: int) -> dict[str, Any]:
    """A record that is about a subject, and its leaf."""
    salt, identifier, content = digest(b"salt %d" % number)[:16], b"id-%d" % number, b"row %d, \xc3\xa4" % number
    subject, consent, purposes = digest(b"subject %d" % (number % 4)), CONSENT[number % 5], PURPOSES[number % 5]
    found = subject_leaf(salt, identifier, content, subject, consent, purposes)
    return {
        "salt": salt.hex(), "id": identifier.hex(), "content": content.hex(), "subject": subject.hex(),
        "consent": consent, "purposes": purposes, "leaf": found.hex(), "hash": digest(b"\x00", found).hex(),
    }  # fmt: skip


def bundle(size: int, *, subjects: bool, numbered: bool) -> dict[str, Any]:
    """A file that checks copies of a version of so many records, and the version."""
    contents, rows, leaves = [], [], []
    ids = [b"%d" % (number + 1) if numbered else b"id-%d" % number for number in range(size)]
    for number, identifier in enumerate(ids):
        salt, content = digest(b"salt %d" % number)[:16], b"row %d, \xc3\xa4" % number
        said = CONSENT[number % 5], PURPOSES[number % 5]
        subject = digest(b"subject %d" % (number % 4))
        found = (
            subject_leaf(salt, identifier, content, subject, *said)
            if subjects
            else leaf(salt, identifier, content, *said)
        )
        leaves.append(found)
        contents.append(content.hex())
        rows.append(found[1:17] + found[49:])  # the leaf without its first byte and the digest of the id
    version = {
        "kind": "dataset-version",
        "schema": 1,
        "dataset": "wdbc",
        "number": 3,
        "owner": "LabMSP",
        "committed_at": 1_767_225_600_000,
        "licence": "CC-BY-4.0",
        "root": root(leaves).hex(),
        "size": size,
        "leaf_schema": f"pedigree-record/v{2 if subjects else 1}",
        "change": "first",
    }
    head = {
        "channel": "pedigree",
        "kind": "version-bundle",
        "numbered": numbered,
        "schema": 1,
        "version": version,
        "transaction": {"at": "2026-01-01T00:00:00.000Z", "block": 7, "id": "5f" * 32},
        "reading": {"media_type": "application/jsonl"} | ({} if numbered else {"id_field": "id"}),
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    named = b"" if numbered else b"".join(len(each).to_bytes(2, "big") for each in ids) + b"".join(ids)
    whole = b"".join(
        (
            b"\x89PEDBUN\n",
            (1).to_bytes(2, "big"),
            len(text).to_bytes(4, "big"),
            text,
            size.to_bytes(4, "big"),
            len(named).to_bytes(4, "big"),
            named,
            *rows,
            bytes(4),
        )
    )
    return {"version": version, "contents": contents, "bundle": (whole + digest(whole)).hex()}


def changes() -> Iterator[dict[str, Any]]:
    """Changes of a sparse Merkle map, one after the other: each with its proof before and the root after it."""
    keys = [bytes(32), (1).to_bytes(32, "big"), *(digest(b"subject %d" % number) for number in range(6))]
    held: dict[bytes, bytes] = {}
    for number in range(24):
        key, state = keys[number % 8], (2, 5, 2)[number // 8]
        value = bytes([state]) + PURPOSES[number % 5].to_bytes(8, "big") + (1_000 * number).to_bytes(8, "big")
        proof = proof_of(held, key)
        last = number >= 20
        held = {k: v for k, v in held.items() if k != key} if last else held | {key: value}
        yield {
            "key": key.hex(), "siblings": proof.siblings.hex(), "leaf": proof.leaf.hex(), "beside": proof.beside.hex(),
            "value": None if last else value.hex(), "root": root_of(held).hex(),
        }  # fmt: skip


def columns(fields: list[str], delimiter: str) -> bytes:
    said = {"delimiter": delimiter, "fields": fields}
    return digest(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


def signed(said: dict[str, Any]) -> dict[str, str]:
    """A statement's bytes, and those that a signature is over."""
    payload = json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    kind = b"application/vnd.in-toto+json"
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    return {"payload": payload.decode(), "signed": encoded.decode()}


if __name__ == "__main__":
    print(json.dumps(made(), ensure_ascii=False, indent=1))
