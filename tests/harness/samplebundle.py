# SPDX-License-Identifier: Apache-2.0
"""Bundles of small versions, written by the gateway's own writer over the law's own leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sampleevidence import salt_of

from chaincode.domain import merkle
from chaincode.domain.provenance import LeafSchema
from chaincode.domain.tabular import header_digest
from gateway.services import bundles
from gateway.services.members import Members
from gateway.services.ports import Reading, StoredRecord

SAID = [(0, 0), (2, 3), (3, 2**64 - 1)]


@dataclass(frozen=True)
class Sample:
    """The ledger's answer for a version, and a bundle of it."""

    version: dict[str, Any]
    content: bytes
    selections: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The ledger's answers for the selections that the bundle is for, by their names."""
    parts: Mapping[str, bytes] = field(default_factory=dict)
    """The bundle of each of these selections, by its name."""

    def write(self, path: Path) -> Path:
        """The bundle as a file."""
        path.write_bytes(self.content)
        return path


def sample(
    records: Sequence[tuple[str, bytes]],
    reading: Reading | None = None,
    schema: LeafSchema = LeafSchema.RECORD_V1,
    selected: Mapping[str, Sequence[int]] | None = None,
    **more: Any,
) -> Sample:
    """The bundle of a version with these ids and contents.

    Args:
        selected: the positions of the records that selections have, by the names of these.
        more: members of the version's record.
    """
    stored = [_stored(number, *record, schema) for number, record in enumerate(records)]
    record = {
        "kind": "dataset-version",
        "schema": 1,
        "dataset": "wdbc",
        "number": 3,
        "owner": "LabMSP",
        "committed_at": 1_767_225_600_000,
        "licence": "CC-BY-4.0",
        "root": merkle.root_of_hashes(b"".join(each.leaf for each in stored)).hex(),
        "size": len(stored),
        "leaf_schema": str(schema),
        "change": "first",
        **more,
    }
    if reading is not None and reading.delimiter is not None:
        record = {"header": str(header_digest(reading.fields, reading.delimiter)), **record}
    version = {"record": record, "transaction": {"id": "5f" * 32, "block": 7, "at": "2026-01-01T00:00:00.000Z"}}
    parts = {name: Members.of(positions, len(stored)) for name, positions in (selected or {}).items()}
    head = bundles.head_of("pedigree", version, reading, parts)
    selections = {name: _selection(record, name, [stored[at].leaf for at in parts[name]]) for name in parts}
    of_parts = {}
    for name, members in parts.items():
        own = bundles.head_of_selection("pedigree", version, selections[name], reading)
        of_parts[name] = b"".join(bundles.pieces(own, schema, (stored[at] for at in members)))
    return Sample(version, b"".join(bundles.pieces(head, schema, iter(stored))), selections, of_parts)


def _selection(version: Mapping[str, Any], name: str, leaves: Sequence[bytes]) -> dict[str, Any]:
    """The ledger's answer for a selection."""
    record = {
        "kind": "selection",
        "schema": 1,
        "dataset": version["dataset"],
        "number": version["number"],
        "selection": name,
        "owner": version["owner"],
        "committed_at": version["committed_at"],
        "root": merkle.root_of_hashes(b"".join(leaves)).hex(),
        "size": len(leaves),
    }
    return {"record": record, "transaction": {"id": "6f" * 32, "block": 8, "at": "2026-01-01T00:00:00.000Z"}}


def _stored(number: int, record_id: str, content: bytes, schema: LeafSchema) -> StoredRecord:
    salt, said, subject = salt_of(number), SAID[number % 3], sha256(b"subject %d" % (number % 4)).digest()
    tail = merkle.record_tail(*said)
    if schema is LeafSchema.RECORD_V2:
        leaf = merkle.subject_record_hashes([(salt, record_id.encode(), content, subject, tail)])
    else:
        leaf = merkle.record_hashes([(salt, record_id.encode(), content, tail)])
    return StoredRecord(record_id, salt, content, *said, leaf, subject)
