# SPDX-License-Identifier: Apache-2.0
"""Data set versions out of the owner's files: committed record by record, proven and compared later.

Records and salts stay in the owner's record store. The ledger receives a root and a size.
"""

import base64
import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from chaincode.domain import codec, merkle
from chaincode.domain.errors import InvalidField, RecordNotFound
from chaincode.domain.records import Consent, RecordProof
from chaincode.domain.values import Blob, Command, Count, Digest, Name, Number, Purposes, dataset_version_ref
from gateway.services.catalogue import Catalogue
from gateway.services.ports import Json, PortError, Records, StoredRecord
from gateway.services.recording import Recorder, command_from
from gateway.services.submitter import Answer, Intent
from gateway.services.tables import Row, rows

EVIDENCE_KIND = "record-evidence"
EVIDENCE_SCHEMA = 1
_TREES_KEPT = 4


class NotHeld(PortError):
    """This organisation does not hold the records of that version."""

    code = "records-not-held"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of records and how to read it."""

    content: BinaryIO
    """At its beginning."""
    media_type: str
    id_field: str | None = None
    consent: Consent = Consent.UNKNOWN
    purposes: int = 0


class Datasets:
    """Commits, proves and compares the records of data set versions."""

    def __init__(self, recorder: Recorder, catalogue: Catalogue, records: Records, channel: str) -> None:
        self._recorder = recorder
        self._catalogue = catalogue
        self._records = records
        self._channel = channel
        self._trees: OrderedDict[str, merkle.Tree] = OrderedDict()
        self._lock = threading.Lock()

    def commit(self, intent: Intent, dataset: str, upload: Upload) -> Answer:
        """Commit to every record of a file as the next version; it extends the last one where it begins with it."""
        found = rows(upload.content.read(), upload.media_type, upload.id_field)
        roots: list[str] = []

        def build() -> Command:
            command, root = self._next_version(dataset, upload, found)
            roots.append(root)
            return command

        answer = self._recorder.submit(intent, "dataset:commit-version", build)
        response = answer.response
        if roots and response.status >= 400 and not response.body.get("retryable"):
            # The version was refused: nothing on the ledger will ever name this root.
            self._records.discard(roots[0])
        return answer

    def proof(self, dataset: str, number: str, record_id: str) -> Json:
        """Evidence that a record stands in a version: what its owner hands to whoever needs it.

        It holds the record's content and salt, so it discloses this one record and no other.
        """
        version = self.version(dataset, number)
        root = str(version["record"]["root"])
        found = self._records.find(root, record_id)
        if found is None:
            self._refuse_unless_held(root, dataset, number)
            raise RecordNotFound(f"{dataset_version_ref(dataset, int(number))}#{record_id}")
        index, record = found
        proof = RecordProof(
            version=dataset_version_ref(dataset, int(number)),
            index=Count(index),
            size=Count(version["record"]["size"]),
            salt=Blob(record.salt),
            id_digest=Digest(sha256(record.salt + b"\x00" + record.id.encode()).digest()),
            content_digest=Digest(sha256(record.salt + b"\x01" + record.content).digest()),
            consent=Count(record.consent),
            purposes=Purposes(record.purposes),
            path=tuple(map(Digest, self._tree(root).inclusion(index))),
        )
        return {
            "kind": EVIDENCE_KIND,
            "schema": EVIDENCE_SCHEMA,
            "channel": self._channel,
            "version": version["record"],
            "transaction": version["transaction"],
            "proof": codec.to_plain(proof),
            "record": {"id": record.id, "content": base64.b64encode(record.content).decode()},
        }

    def verify(self, dataset: str, number: str, upload: Upload | None) -> Json:
        """Compare a copy of the records with what the ledger commits to, and name the records that differ.

        Without an upload the owner's own store is checked: every leaf is computed again from id, content and salt.
        """
        version = self.version(dataset, number)
        root = str(version["record"]["root"])
        self._refuse_unless_held(root, dataset, number)
        stored = list(self._records.all(root))
        committed = merkle.root_of_hashes(b"".join(record.leaf for record in stored)).hex() == root
        altered = [record.id for index, record in enumerate(stored) if _hashes([record]) != record.leaf]
        report: Json = {
            "dataset": dataset,
            "number": int(number),
            "root": root,
            "size": version["record"]["size"],
            "transaction": version["transaction"],
            "store_complete": committed,
            "altered_in_store": altered,
        }
        differences: Json = {"changed": [], "added": [], "removed": [], "moved": []}
        if upload is not None:
            differences = _differences(stored, rows(upload.content.read(), upload.media_type, upload.id_field))
        clean = committed and not altered and not any(differences.values())
        return {**report, "verified": clean, **differences}

    def version(self, dataset: str, number: str) -> Json:
        """A version with the transaction that committed it."""
        if not number.isascii() or not number.isdecimal() or len(number) > 9 or int(number) < 1:
            raise InvalidField("/number", "it must be a whole number from 1")
        reference = dataset_version_ref(Name(dataset), int(number))
        return self._catalogue.get("dataset-version", reference, dataset=dataset, number=str(int(number)))

    def _refuse_unless_held(self, root: str, dataset: str, number: str) -> None:
        if next(self._records.all(root), None) is None:
            raise NotHeld(
                f"this organisation does not hold the records of version {number} of {dataset}; its owner does",
                dataset=dataset,
                number=int(number),
            )

    def _next_version(self, dataset: str, upload: Upload, found: Sequence[Row]) -> tuple[Command, str]:
        last = self._last(dataset)
        body: Json = {"number": Number.after(0 if last is None else last["number"], "/number")}
        before: list[StoredRecord] = []
        if last is not None:
            body |= {"parent_root": last["root"], "change": "replaces"}
            before = list(self._records.all(last["root"]))
            if _begins_with(found, upload, before):
                body["change"] = "extends"
            else:
                before = []
        fresh = _salted(found[len(before) :], upload)
        records = [*before, *fresh]
        tree = merkle.Tree(b"".join(record.leaf for record in records))
        root = tree.root().hex()
        if before:
            body["consistency"] = [node.hex() for node in tree.consistency(len(before))]
        self._records.put(root, records)
        self._keep(root, tree)
        body |= {"root": root, "size": len(records)}
        return command_from("dataset:commit-version", body, {"dataset": dataset}), root

    def _last(self, dataset: str) -> Json | None:
        versions = self._catalogue.all("dataset-version", dataset=dataset)
        return max((v["record"] for v in versions), key=lambda record: int(record["number"]), default=None)

    def _tree(self, root: str) -> merkle.Tree:
        with self._lock:
            tree = self._trees.get(root)
        if tree is None:
            tree = merkle.Tree(_hashes(list(self._records.all(root))))
            if tree.root().hex() != root:
                raise NotHeld("the stored records no longer lead to the committed root; run dataset verify", root=root)
            self._keep(root, tree)
        return tree

    def _keep(self, root: str, tree: merkle.Tree) -> None:
        with self._lock:
            self._trees[root] = tree
            self._trees.move_to_end(root)
            while len(self._trees) > _TREES_KEPT:
                self._trees.popitem(last=False)


def _salted(found: Sequence[Row], upload: Upload) -> list[StoredRecord]:
    """Records with fresh salts and their leaf hashes."""
    tail = merkle.record_tail(upload.consent, upload.purposes)
    salts = [secrets.token_bytes(merkle.SALT) for _ in found]
    hashes = merkle.record_hashes(
        (salt, row.id.encode(), row.content, tail) for salt, row in zip(salts, found, strict=True)
    )
    size = merkle.HASH
    return [
        StoredRecord(
            row.id, salt, row.content, int(upload.consent), upload.purposes, hashes[index * size : (index + 1) * size]
        )
        for index, (row, salt) in enumerate(zip(found, salts, strict=True))
    ]


def _hashes(records: Sequence[StoredRecord]) -> bytes:
    """Leaf hashes computed again from what the records say."""
    tails = {kind: merkle.record_tail(*kind) for kind in {(r.consent, r.purposes) for r in records}}
    return merkle.record_hashes((r.salt, r.id.encode(), r.content, tails[r.consent, r.purposes]) for r in records)


def _begins_with(found: Sequence[Row], upload: Upload, before: Sequence[StoredRecord]) -> bool:
    if not before or len(found) < len(before):
        return False
    return all(
        row.id == record.id
        and row.content == record.content
        and (record.consent, record.purposes) == (upload.consent, upload.purposes)
        for row, record in zip(found, before, strict=False)
    )


def _differences(stored: Sequence[StoredRecord], found: Sequence[Row]) -> Json:
    committed = {record.id: record.content for record in stored}
    given = {row.id: row.content for row in found}
    changed = [id_ for id_, content in given.items() if id_ in committed and committed[id_] != content]
    added = [id_ for id_ in given if id_ not in committed]
    removed = [id_ for id_ in committed if id_ not in given]
    kept = [id_ for id_ in committed if id_ in given]
    present = [id_ for id_ in given if id_ in committed]
    moved = [] if kept == present else [a for a, b in zip(kept, present, strict=True) if a != b]
    return {"changed": changed, "added": added, "removed": removed, "moved": moved}
