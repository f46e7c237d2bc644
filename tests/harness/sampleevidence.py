# SPDX-License-Identifier: Apache-2.0
"""Evidence of one record of a few, made with the law's own leaves, for the tests of SDK, command and fuzzer."""

import base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from chaincode.domain import merkle
from chaincode.domain.tabular import header_digest

GIVEN = 2
"""The consent state of every record here."""


def salt_of(number: int) -> bytes:
    """The salt of a record, which is always the same."""
    return sha256(b"salt %d" % number).digest()[: merkle.SALT]


SUBJECT = sha256(b"subject").digest()
"""The reference of the subject that a record is about, where it is about one."""


def tree_of(records: Sequence[tuple[str, bytes]], purposes: int, subject: bytes | None = None) -> merkle.Tree:
    """The tree over records of an id and a content each."""
    tail = merkle.record_tail(GIVEN, purposes)
    salted = ((salt_of(n), identifier.encode(), content, tail) for n, (identifier, content) in enumerate(records))
    if subject is None:
        return merkle.Tree(merkle.record_hashes(salted))
    return merkle.Tree(merkle.subject_record_hashes((*record[:3], subject, tail) for record in salted))


def evidence_of(
    records: Sequence[tuple[str, bytes]],
    chosen: int,
    *,
    purposes: int = 1,
    columns: Sequence[str] = (),
    subject: bytes | None = None,
) -> dict[str, Any]:
    """The evidence of one of the records, as a gateway writes it; with `columns` of a table under these names.

    With `subject` each record is about the subject with this reference.
    """
    tree, salt, (identifier, content) = tree_of(records, purposes, subject), salt_of(chosen), records[chosen]
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
            **({"header": str(header_digest(columns, ","))} if columns else {}),
            "leaf_schema": f"pedigree-record/v{1 if subject is None else 2}",
            "licence": "CC-BY-4.0",
            "number": 3,
            "owner": "HospitalMSP",
            "root": tree.root().hex(),
            "size": len(records),
        },
        "transaction": {"id": "ab" * 32, "block": 18, "at": "2026-11-23T01:37:41.506713Z"},
        "proof": {
            "kind": "record-proof",
            "schema": 1,
            "version": "dataset-version:visits:3",
            "index": chosen,
            "size": len(records),
            "salt": base64.b64encode(salt).decode(),
            "id_digest": sha256(salt + b"\x00" + identifier.encode()).hexdigest(),
            "content_digest": sha256(salt + b"\x01" + content).hexdigest(),
            **({} if subject is None else {"subject_digest": sha256(salt + b"\x02" + subject).hexdigest()}),
            "consent": GIVEN,
            "purposes": f"{purposes:016x}",
            "path": [node.hex() for node in tree.inclusion(chosen)],
        },
        "record": {
            "id": identifier,
            "content": base64.b64encode(content).decode(),
            **({"header": {"delimiter": ",", "fields": list(columns)}} if columns else {}),
        },
    }


def selected_of(records: Sequence[tuple[str, bytes]], chosen: int, members: Sequence[int]) -> dict[str, Any]:
    """The evidence that one of the records is in a selection of these positions, as a gateway writes it."""
    whole = tree_of(records, 1)
    tree = merkle.Tree(b"".join(whole.leaf(position) for position in members))
    index = members.index(chosen)
    return {
        **evidence_of(records, chosen),
        "kind": "selection-evidence",
        "selection": {
            "kind": "selection",
            "schema": 1,
            "committed_at": 1_795_397_961_506,
            "dataset": "visits",
            "left_out": [{"reason": "not on the list", "count": len(records) - len(members)}],
            "number": 3,
            "owner": "HospitalMSP",
            "purpose": "https://w3id.org/dpv#ScientificResearch",
            "role": "train",
            "root": tree.root().hex(),
            "selection": "training",
            "size": len(members),
        },
        "selection_transaction": {"id": "cd" * 32, "block": 19, "at": "2026-11-23T01:39:21.506713Z"},
        "selection_proof": {
            "kind": "selection-proof",
            "schema": 1,
            "selection": "selection:visits:3:training",
            "index": index,
            "size": len(members),
            "path": [node.hex() for node in tree.inclusion(index)],
        },
    }
