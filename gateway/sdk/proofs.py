# SPDX-License-Identifier: Apache-2.0
"""Evidence of single records, checked with nothing but SHA-256: RFC 6962 inclusion over fixed-width leaves."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.sdk.errors import InvalidEvidence

KIND = "record-evidence"
_SALT_SIZE = 16


def verify_record(evidence: Mapping[str, Any], *, root: str) -> str:
    """Show that a record is under `root` (hex); returns what was proven, raises `InvalidEvidence`.

    What it does not show: that `root` stands on the ledger. Read it there, from a gateway that you trust.
    """
    try:
        if evidence["kind"] != KIND:
            raise InvalidEvidence("this is no evidence of a record")
        version, proof = evidence["version"], evidence["proof"]
        if version["root"] != root:
            raise InvalidEvidence(f"the version in this file has the root {version['root']}, not {root}")
        # A path alone does not fix the size of its tree; the version does.
        if version["size"] != proof["size"]:
            raise InvalidEvidence("the proof speaks of a tree of another size than the version")
        return _verify(evidence["record"], proof, bytes.fromhex(root))
    except (KeyError, TypeError, ValueError) as exc:
        raise InvalidEvidence(f"the evidence is incomplete or malformed: {exc}") from None


def _verify(record: Mapping[str, Any], proof: Mapping[str, Any], root: bytes) -> str:
    salt = base64.b64decode(proof["salt"], validate=True)
    if len(salt) != _SALT_SIZE:
        raise InvalidEvidence("the salt has the wrong size")
    identifier, content = record["id"].encode(), base64.b64decode(record["content"], validate=True)
    id_digest = hashlib.sha256(salt + b"\x00" + identifier).digest()
    content_digest = hashlib.sha256(salt + b"\x01" + content).digest()
    if id_digest.hex() != proof["id_digest"] or content_digest.hex() != proof["content_digest"]:
        raise InvalidEvidence("the record is not the one that the proof is about")
    leaf = b"\x01" + salt + id_digest + content_digest + bytes([proof["consent"]]) + bytes.fromhex(proof["purposes"])
    path = [bytes.fromhex(node) for node in proof["path"]]
    found = _root(hashlib.sha256(b"\x00" + leaf).digest(), proof["index"], proof["size"], path)
    if found != root:
        raise InvalidEvidence("the path leads to another root than the one on the ledger")
    return (
        f"record {record['id']} is number {proof['index'] + 1} of {proof['size']} in {proof['version']},"
        f" under the root {root.hex()[:16]}…"
    )


def _root(hashed: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise InvalidEvidence("the index lies outside the tree")
    position, last, result = index, size - 1, hashed
    for sibling in path:
        if last == 0:
            raise InvalidEvidence("the path is too long")
        if position & 1 or position == last:
            result = hashlib.sha256(b"\x01" + sibling + result).digest()
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\x01" + result + sibling).digest()
        position, last = position >> 1, last >> 1
    if last:
        raise InvalidEvidence("the path is too short")
    return result
