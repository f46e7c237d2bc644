# SPDX-License-Identifier: Apache-2.0
"""Data set versions out of the owner's files: committed record by record, proven and compared later.

Records and salts stay in the owner's record store. The ledger receives a root, a size and a digest of the columns.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from chaincode.domain import codec
from chaincode.domain.errors import InvalidField, RecordNotFound
from chaincode.domain.merkle import HASH
from chaincode.domain.provenance import LeafSchema
from chaincode.domain.records import RecordProof
from chaincode.domain.values import (
    Blob,
    Command,
    Count,
    Digest,
    Name,
    Number,
    Purposes,
    Ref,
    dataset_version_ref,
    selection_ref,
)
from gateway.services import bundles
from gateway.services.catalogue import Catalogue
from gateway.services.comparing import HeldRecords
from gateway.services.consent import registered
from gateway.services.copies import KINDS, Comparison, Part, agrees, column_differences, in_their_order
from gateway.services.drafting import Drafts, Upload, header_of
from gateway.services.files import RecordFile, opened
from gateway.services.members import Members
from gateway.services.memberships import Memberships, SelectionNotHeld
from gateway.services.numbering import UPLOADED
from gateway.services.ports import Json, Reading, Records, RecordSet
from gateway.services.progress import Progress
from gateway.services.reading import READ_MODEL, Reader
from gateway.services.recording import Recorder, command_from
from gateway.services.submitter import Answer, Intent, Lengthy
from gateway.services.tables import CSV, UnreadableRecords
from gateway.services.tiles import Growing
from gateway.services.trees import NotHeld, in_batches, leads_elsewhere, leaf_hashes

EVIDENCE_KIND = "record-evidence"
EVIDENCE_SCHEMA = 1
_NAMED: Final = KINDS[:-1]


class Datasets:
    """Commits, proves and compares the records of data set versions."""

    def __init__(
        self,
        recorder: Recorder,
        catalogue: Catalogue,
        reader: Reader,
        records: Records,
        memberships: Memberships,
        *,
        channel: str,
        drafts: Drafts,
    ) -> None:
        self._recorder = recorder
        self._catalogue = catalogue
        self._reader = reader
        self._records = records
        self._memberships = memberships
        self._channel = channel
        self._drafts = drafts
        self._trees = drafts.trees

    def commit(self, intent: Intent, dataset: str, upload: Upload, derivation: Json | None = None) -> Answer:
        """Commit to every record of a file as the next version; it extends the last one where it begins with it.

        Where the caller does not wait, the file is read after the answer, from a descriptor of its own.

        Args:
            derivation: the `activity` and the `parents` that the records were made from, and the `grants` of these.
        """
        said = {} if derivation is None else {"derivation": derivation}
        # What is wrong with their form is said before a large file is read.
        command_from("dataset:commit-version", {"number": 1, "root": "00" * HASH, **said}, {"dataset": dataset})
        progress = Progress(bytes=upload.size)

        def detach() -> Callable[[], str]:
            taken = upload.taken_over()

            def make() -> str:
                with taken.content:
                    return codec.to_json(self._command(dataset, taken, said, progress)).decode()

            return make

        return self._recorder.submit(
            intent,
            "dataset:commit-version",
            lambda: self._command(dataset, upload, said, progress),
            filled=UPLOADED,
            lengthy=Lengthy(progress, detach),
        )

    def _command(self, dataset: str, upload: Upload, said: Json, progress: Progress) -> Command:
        last = self._catalogue.last("dataset-version", dataset=dataset)
        number = Number.after(0 if last is None else last["number"], "/number")
        body = self._drafts.draft(dataset, upload, last, progress)
        return command_from("dataset:commit-version", {"number": number, **body, **said}, {"dataset": dataset})

    def proof(self, dataset: str, number: str, record_id: str) -> Json:
        """Evidence that a record is in a version: what its owner gives to anyone who needs it.

        It holds the record's content and salt, so it discloses this one record and no other; and the names of the
        columns, where the version commits to them.
        """
        version = self._shown(dataset, number)
        root = str(version["record"]["root"])
        held = self._held(root, dataset, number)
        found = self._records.find(root, record_id)
        if found is None:
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
            path=tuple(map(Digest, self._trees.inclusion(held, index, record))),
            subject_digest=(
                Digest(sha256(record.salt + b"\x02" + record.subject).digest())
                if held.leaf_schema is LeafSchema.RECORD_V2
                else None
            ),
        )
        shown: Json = {"id": record.id, "content": base64.b64encode(record.content).decode()}
        if held.reading is not None and _is_header(version["record"], held.reading):
            shown["header"] = {"delimiter": held.reading.delimiter, "fields": list(held.reading.fields)}
        named = registered(self._catalogue, version["record"]["owner"], record.purposes)
        return {
            "kind": EVIDENCE_KIND,
            "schema": EVIDENCE_SCHEMA,
            "channel": self._channel,
            "version": version["record"],
            "transaction": version["transaction"],
            "proof": codec.to_plain(proof),
            "record": shown,
            **({"purposes": named} if named else {}),
        }

    def verify(self, dataset: str, number: str, upload: Upload | None, selection: str | None = None) -> Json:
        """Compare a copy of the records with what the ledger commits to, and name the records that differ.

        A copy is read as the committed file was, unless the upload says otherwise. Without an upload the owner's own
        store is checked: every leaf is computed again from id, content and salt.

        Args:
            selection: the name of a selection from the version, whose records, and no others, the copy should have.
        """
        version = self._shown(dataset, number)
        root = str(version["record"]["root"])
        held = self._held(root, dataset, number)
        altered, complete = self._check_store(root, version["record"], held)
        report: Json = {
            "dataset": dataset,
            "number": int(number),
            "root": root,
            "size": version["record"]["size"],
            "transaction": version["transaction"],
            "store_complete": complete,
            "altered_in_store": altered,
        }
        if held.reading is not None and held.reading.fields:
            report["fields"] = list(held.reading.fields)
        differences: Json = {kind: [] for kind in _NAMED}
        if upload is not None:
            part = None if selection is None else self._part(dataset, number, held, selection)
            differences |= self._differences(held, upload, part)
        clean = complete and not altered and agrees(differences)
        return {**report, "verified": clean, **differences}

    def bundle(self, dataset: str, number: str, selections: Sequence[str] = ()) -> Iterator[bytes]:
        """What somebody who has a copy of a version needs to check it, piece by piece; see `bundles`.

        Args:
            selections: the names of those whose records it is to tell from the others.

        Raises `NotHeld`, also where the records that are kept no longer lead to the root, `SelectionNotHeld`, and
        `InvalidField` where the members of so many selections have no room in it.
        """
        version = self._shown(dataset, number)
        root = str(version["record"]["root"])
        held = self._held(root, dataset, number)
        altered, complete = self._check_store(root, version["record"], held)
        if altered or not complete:
            raise leads_elsewhere(held)
        members = {name: self._members(dataset, number, held, name) for name in selections}
        head = bundles.head_of(self._channel, version, held.reading, members)
        return bundles.pieces(head, held.leaf_schema, self._records.all(root))

    def version(self, dataset: str, number: str, source: str = READ_MODEL) -> Json:
        """A version with the transaction that committed it, and how its file was read where the records are here."""
        version = self._shown(dataset, number, source)
        held = self._records.held(str(version["record"]["root"]))
        reading = None if held is None else held.reading
        if reading is None:
            return version
        said: Json = {"media_type": reading.media_type, "id_field": reading.id_field}
        if reading.delimiter is not None:
            said["delimiter"] = reading.delimiter
        if reading.fields:
            said["fields"] = list(reading.fields)
        return {**version, "reading": said}

    def _shown(self, dataset: str, number: str, source: str = READ_MODEL) -> Json:
        if not number.isascii() or not number.isdecimal() or len(number) > 9 or int(number) < 1:
            raise InvalidField("/number", "it must be a whole number from 1")
        return self._reader.read(dataset_version_ref(Name(dataset), int(number)), source)

    def _held(self, root: str, dataset: str, number: str) -> RecordSet:
        held = self._records.held(root)
        if held is None:
            raise NotHeld(
                f"this organisation does not hold the records of version {number} of {dataset}; its owner does",
                dataset=dataset,
                number=int(number),
            )
        return held

    def _part(self, dataset: str, number: str, held: RecordSet, selection: str) -> Part:
        """A selection, as a copy is compared with it."""
        reference, record = self._selection(dataset, number, selection)
        root = str(record["root"])
        return Part(reference, root, self._memberships.find(held.root, root))

    def _members(self, dataset: str, number: str, held: RecordSet, selection: str) -> Members:
        reference, record = self._selection(dataset, number, selection)
        members = self._memberships.find(held.root, str(record["root"]))
        if members is None:
            raise SelectionNotHeld.of(reference)
        return members

    def _selection(self, dataset: str, number: str, selection: str) -> tuple[Ref, Json]:
        reference = selection_ref(Name(dataset), int(number), Name(selection))
        found = self._catalogue.get("selection", reference, dataset=dataset, number=number, selection=selection)
        return reference, found["record"]

    def _check_store(self, root: str, version: Json, held: RecordSet) -> tuple[list[str], bool]:
        """The records of the store that are not what was committed, and whether the rest is whole."""
        tree = Growing()
        altered: list[str] = []
        for batch in in_batches(self._records.all(root)):
            leaves = b"".join(record.leaf for record in batch)
            tree.extend(leaves)
            if leaf_hashes(batch, held.leaf_schema) != leaves:
                altered += [each.id for each in batch if leaf_hashes([each], held.leaf_schema) != each.leaf]
        committed = "header" not in version or (held.reading is not None and _is_header(version, held.reading))
        return altered, tree.root().hex() == root and committed

    def _differences(self, held: RecordSet, upload: Upload, part: Part | None) -> Json:
        reading = held.reading or Reading(upload.media_type, upload.id_field)
        delimiter = reading.delimiter if upload.media_type == CSV else None
        id_field = reading.id_field if upload.id_field is None else upload.id_field
        delimiter = upload.delimiter or delimiter

        def table(id_field: str | None) -> RecordFile:
            return opened(upload.content, upload.media_type, id_field, delimiter, committed=reading.fields)

        columns: list[str] = []
        try:
            if held.reading is not None:
                columns = column_differences(reading, table(None).reading)
            rows = table(id_field).rows()
            if id_field is None and part is not None and part.members is not None:
                rows = in_their_order(rows, (str(position + 1) for position in part.members))
            compared = Comparison(HeldRecords(self._records, held), part).run(rows)
            return {"columns": columns, **compared}
        except UnreadableRecords as exc:
            if not columns:
                raise
            # Under other columns it need not be possible to tell which record is which.
            return {"columns": columns, "unreadable": exc.message}


def _is_header(version: Json, reading: Reading) -> bool:
    """Whether these are the columns that the version commits to."""
    header = header_of(reading)
    return header is not None and version.get("header") == str(header)
