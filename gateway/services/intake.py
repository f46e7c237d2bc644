# SPDX-License-Identifier: Apache-2.0
"""Records on their way from a file into the store, by column: whose each is, what was indicated, salt and leaf hash."""

import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Final, Self

from chaincode.domain import merkle
from chaincode.domain.provenance import LeafSchema
from chaincode.domain.records import Consent
from gateway.services.consent import EVERYBODYS, Vocabulary
from gateway.services.files import RecordFile, opened
from gateway.services.holdings import RecordColumns, StoredRecord
from gateway.services.indications import Columns, Interpreter, Status
from gateway.services.pieces import Piece
from gateway.services.ports import Clock
from gateway.services.progress import Progress
from gateway.services.spooled import SpooledFile
from gateway.services.statusmaps import StatusMaps
from gateway.services.statustree import Leaf
from gateway.services.tables import UnreadableRecords

_SAYING_NOTHING: Final = Columns()


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of records and how to read it."""

    content: BinaryIO
    """At its beginning, and seekable."""
    media_type: str
    id_field: str | None = None
    delimiter: str | None = None
    consent: Consent = Consent.UNKNOWN
    purposes: int = 0
    columns: Columns = _SAYING_NOTHING
    """Which columns say whose record it is, and what that subject consented to."""
    vocabulary: Vocabulary = EVERYBODYS
    """What the file calls purposes."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        size = self.content.seek(0, io.SEEK_END)
        self.content.seek(0)
        return size

    def table(self) -> RecordFile:
        """The file from its beginning; raises `UnreadableRecords`."""
        return opened(self.content, self.media_type, self.id_field, self.delimiter)

    @property
    def leaf_schema(self) -> LeafSchema:
        """What leaves say of its records: also whose each is, where a column does."""
        return LeafSchema.RECORD_V1 if self.columns.subject is None else LeafSchema.RECORD_V2

    def taken_over(self) -> Self:
        """The same upload for as long as is wanted, even when this one's file is closed; the caller closes it."""
        if isinstance(self.content, SpooledFile):
            return replace(self, content=self.content.another())
        self.content.seek(0)
        try:
            content: BinaryIO = os.fdopen(os.dup(self.content.fileno()), "rb")
        except io.UnsupportedOperation:
            content = io.BytesIO(self.content.read())
        return replace(self, content=content)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that follow one another; each list has an item for each of them."""

    ids: list[str]
    contents: list[bytes]
    subjects: list[bytes]
    """References; empty where nobody says whose a record is."""
    consents: list[int]
    purposes: list[int]
    indicated: list[Leaf]
    """What comes into the consent map of it; nothing where nobody says whose the records are."""

    def after(self, number: int) -> "Batch":
        """The records but for so many at the beginning."""
        return Batch(
            self.ids[number:],
            self.contents[number:],
            self.subjects[number:],
            self.consents[number:],
            self.purposes[number:],
            self.indicated[number:],
        )

    def said(self) -> list[tuple[str, bytes, int, int, bytes]]:
        """What each record says, as `said_by` has it of a stored one."""
        return list(zip(self.ids, self.contents, self.consents, self.purposes, self.subjects, strict=True))

    def salted(self) -> RecordColumns:
        """The records with fresh salts, and without leaf hashes."""
        salts = secrets.token_bytes(merkle.SALT * len(self.ids))
        if len(set(self.consents)) == len(set(self.purposes)) == 1:
            tails = merkle.record_tail(self.consents[0], self.purposes[0])
        else:
            kinds = list(zip(self.consents, self.purposes, strict=True))
            packed = {kind: merkle.record_tail(*kind) for kind in set(kinds)}
            tails = b"".join([packed[kind] for kind in kinds])
        return RecordColumns(list(map(str.encode, self.ids)), self.contents, salts, b"", tails, b"".join(self.subjects))


def said_by(record: StoredRecord) -> tuple[str, bytes, int, int, bytes]:
    """What a record says, whatever its salt."""
    return record.id, record.content, record.consent, record.purposes, record.subject


class Intake:
    """Reads uploads in batches."""

    def __init__(self, maps: StatusMaps, clock: Clock) -> None:
        self._maps = maps
        self._clock = clock

    def batches(self, dataset: str, upload: Upload, table: RecordFile, progress: Progress) -> Iterator[Batch]:
        """Every record of the upload's file, in its order; raises `UnreadableRecords`."""
        columns, default = upload.columns, Status(upload.consent, upload.purposes)
        try:
            interpreter = Interpreter(
                table.reading, columns, default, vocabulary=upload.vocabulary, required=columns.names
            )
        except UnreadableRecords:
            table.close()  # nobody reads it, so nothing else ends its decoder soon
            raise
        now = int(self._clock() * 1_000)
        progress.records = 0
        for piece in table.pieces():
            first = progress.records + 1
            progress.records += len(piece.ids)
            progress.bytes_read = table.bytes_read
            if not columns.names:
                yield _alike(piece, default)
                continue
            told = [interpreter.of(row, number) for number, row in enumerate(piece.rows(), first)]
            statuses = [status for _, status in told]
            subjects: list[bytes] = [b""] * len(told)
            indicated: list[Leaf] = []
            if columns.subject is not None:
                subjects = self._maps.references(dataset, [subject for subject, _ in told])
                dated = (replace(each, indicated_at=each.indicated_at or now) for each in statuses)
                indicated = [(subject, each.encode()) for subject, each in zip(subjects, dated, strict=True)]
            consents, purposes = [int(each.state) for each in statuses], [each.purposes for each in statuses]
            yield Batch(piece.ids, piece.contents, subjects, consents, purposes, indicated)


def _alike(piece: Piece, status: Status) -> Batch:
    """Records of one status, about nobody."""
    count = len(piece.ids)
    return Batch(piece.ids, piece.contents, [b""] * count, [int(status.state)] * count, [status.purposes] * count, [])
