# SPDX-License-Identifier: Apache-2.0
"""The next version of a data set out of a file: every record salted, hashed and kept, in batches.

What a crash leaves: a set of records without a root, which nobody sees. What a refusal leaves is kept: the refusal may
be false, or be about one attempt only, and a root that a version names must never be without its records.
"""

import io
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import BinaryIO, Final, NamedTuple, Self

from chaincode.domain import merkle
from chaincode.domain.errors import RecordIdRepeated
from chaincode.domain.provenance import LeafSchema
from chaincode.domain.records import Consent
from chaincode.domain.tabular import header_digest
from chaincode.domain.values import Digest
from gateway.services.files import RecordFile, opened
from gateway.services.indications import Columns, Interpreter, Status
from gateway.services.ports import (
    Clock,
    Json,
    PortError,
    Reading,
    Records,
    RecordSet,
    RepeatedRecord,
    StoredRecord,
)
from gateway.services.progress import Progress
from gateway.services.spooled import SpooledFile
from gateway.services.statusmaps import StatusMaps
from gateway.services.tables import RepeatedId, Row
from gateway.services.tiles import Growing
from gateway.services.trees import Trees, batches

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

    @property
    def size(self) -> int:
        """Bytes of the file."""
        size = self.content.seek(0, io.SEEK_END)
        self.content.seek(0)
        return size

    def table(self) -> RecordFile:
        """The file from its beginning; raises `UnreadableRecords`."""
        return opened(self.content, self.media_type, self.id_field, self.delimiter)

    def interpreter(self, table: RecordFile) -> Interpreter:
        """What reads subjects and their consent out of the rows of the table."""
        default = Status(self.consent, self.purposes)
        return Interpreter(table.reading, self.columns, default, required=self.columns.names)

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


class _Told(NamedTuple):
    """A row, whose it is and what that subject indicated."""

    row: Row
    subject: bytes
    """Reference; empty where nobody says whose it is."""
    status: Status


def header_of(reading: Reading | None) -> Digest | None:
    """What a version says of its columns; `None` where records are not rows."""
    if reading is None or reading.delimiter is None:
        return None
    return header_digest(reading.fields, reading.delimiter)


class Drafts:
    """Writes the records of versions that are to be."""

    def __init__(self, records: Records, trees: Trees, maps: StatusMaps, clock: Clock) -> None:
        self._records = records
        self.trees = trees
        self._maps = maps
        self._clock = clock

    def draft(self, dataset: str, upload: Upload, last: Json | None, progress: Progress) -> Json:
        """Keep the records of a file, and say what the version after `last` is: root, size and how it follows.

        It extends the last version where the file begins with that one's records, read in the same way; else it
        replaces it. Raises `UnreadableRecords`.
        """
        table = upload.table()
        schema = LeafSchema.RECORD_V1 if upload.columns.subject is None else LeafSchema.RECORD_V2
        base = self._base(table.reading, last)
        if base is not None:
            rows = self._told(dataset, table, upload, progress)
            if self._begins_with(rows, base):
                added = self._salted(dataset, rows, base.leaf_schema)
                return self._written(dataset, table.reading, base.leaf_schema, added, base, last)
            progress.records = 0
            table = upload.table()
        rows = self._told(dataset, table, upload, progress)
        return self._written(dataset, table.reading, schema, self._salted(dataset, rows, schema), None, last)

    def _told(self, dataset: str, table: RecordFile, upload: Upload, progress: Progress) -> Iterator["_Told"]:
        """Each row with its subject's reference, empty where nobody says whose it is, and what that one indicated."""
        interpreter = upload.interpreter(table)
        numbered = enumerate(_watched(table, progress), start=1)
        told = ((row, *interpreter.of(row, number)) for number, row in numbered)
        if upload.columns.subject is None:
            yield from (_Told(row, b"", status) for row, _, status in told)
            return
        for batch in batches(told):
            subjects = self._maps.references(dataset, [subject for _, subject, _ in batch])
            for (row, _, status), reference in zip(batch, subjects, strict=True):
                yield _Told(row, reference, status)

    def _salted(self, dataset: str, found: Iterator["_Told"], schema: LeafSchema) -> Iterator[list[StoredRecord]]:
        """Records with fresh salts and their leaf hashes, in batches; what subjects indicated is kept for the map."""
        now = int(self._clock() * 1_000)
        for batch in batches(found):
            yield _salted(batch, schema)
            indicated = [
                (told.subject, replace(told.status, indicated_at=told.status.indicated_at or now).encode())
                for told in batch
                if told.subject
            ]
            if indicated:
                self._maps.collect(dataset, indicated)

    def follow(self, dataset: str, root: str, last: Json) -> Json:
        """What the version is that has the records under `root`, where it comes after another one than it was made for.

        Its root is another one where it has to begin with records that `last` has salted otherwise.
        """
        mine = self._held(root)
        base = self._base(mine.reading, last) if mine.reading is not None else None
        if base is None or base.size > mine.size or mine.reading is None or base.leaf_schema is not mine.leaf_schema:
            return self._body(mine, None, last)
        same = True
        for theirs, ours in zip(self._records.all(base.root), self._records.all(root), strict=False):
            if not _same(theirs, ours):
                return self._body(mine, None, last)
            same = same and theirs.leaf == ours.leaf
        if same:
            return self._body(mine, base, last)
        rest = batches(self._records.all(root, base.size))
        return self._written(dataset, mine.reading, mine.leaf_schema, rest, base, last)

    def _held(self, root: str) -> RecordSet:
        found = self._records.held(root)
        if found is None:
            raise PortError(f"the records under {root} are not here", root=root)
        return found

    def _base(self, reading: Reading, last: Json | None) -> RecordSet | None:
        """The records of the last version, where they are here and were read in the same way."""
        found = None if last is None else self._records.held(str(last["root"]))
        if last is None or found is None or found.reading != reading:
            return None
        if last.get("leaf_schema", found.leaf_schema) != found.leaf_schema:
            return None
        header = header_of(reading)
        return found if last.get("header") == (None if header is None else str(header)) else None

    def _begins_with(self, rows: Iterator["_Told"], base: RecordSet) -> bool:
        """Whether the rows begin with the records of `base`; that many of them are taken."""
        for record in self._records.all(base.root):
            told = next(rows, None)
            if told is None or (told.row.id, told.row.content, told.subject) != (
                record.id, record.content, record.subject,
            ):  # fmt: skip
                return False
            if (told.status.state, told.status.purposes) != (record.consent, record.purposes):
                return False
        return True

    def _written(
        self,
        dataset: str,
        reading: Reading,
        schema: LeafSchema,
        found: Iterator[list[StoredRecord]],
        base: RecordSet | None,
        last: Json | None,
    ) -> Json:
        """Keep `base` and what is found after it under one root."""
        first = next(found, None)
        if first is None and base is not None:
            return self._body(base, base, last)
        tree = Growing() if base is None else self.trees.continued(base)
        key = self._records.begin(dataset, reading, schema)
        try:
            if base is not None:
                self._records.copy(key, base.root)
            for batch in chain([first or []], found):
                self._add(key, tree, batch)
            root = tree.root().hex()
            self._records.finish(key, root, tree.size, tree.edge())
        except BaseException:
            # Nothing can name it: it never had a root. Where even this fails, it is found as a set without one.
            with suppress(PortError, RuntimeError):
                self._records.abandon(key)
            raise
        return self._body(self._held(root), base, last)

    def _add(self, key: int, tree: Growing, batch: Sequence[StoredRecord]) -> None:
        start = tree.size
        tiles = tree.extend(b"".join([record.leaf for record in batch]))
        try:
            self._records.add(key, start, batch, tiles)
        except RepeatedRecord as exc:
            raise repeated(batch[exc.position - start].id, exc.position, exc.first) from None

    def _body(self, held: RecordSet, base: RecordSet | None, last: Json | None) -> Json:
        body: Json = {"root": held.root, "size": held.size}
        if held.leaf_schema is not LeafSchema.RECORD_V1:
            body["leaf_schema"] = held.leaf_schema.value
        if last is not None:
            body |= {"parent_root": last["root"], "change": "replaces" if base is None else "extends"}
        if base is not None and base.size < held.size:
            body["consistency"] = [node.hex() for node in self.trees.consistency(base, held)]
        header = header_of(held.reading)
        return body if header is None else {**body, "header": str(header)}


def repeated(record_id: str, position: int, first: int) -> RepeatedId:
    """The refusal of a file in which two records have the same id; both positions count from 0."""
    facts = RecordIdRepeated(position, first).facts()
    text = f"record {position + 1} has the id {record_id!r}, which record {first + 1} has already"
    return RepeatedId(text, **facts)


def _watched(table: RecordFile, progress: Progress) -> Iterator[Row]:
    for row in table.rows():
        progress.records += 1
        progress.bytes_read = table.bytes_read
        yield row


def _salted(batch: Sequence["_Told"], schema: LeafSchema) -> list[StoredRecord]:
    salt, size = merkle.SALT, merkle.HASH
    drawn = secrets.token_bytes(salt * len(batch))
    salts = [drawn[at : at + salt] for at in range(0, len(drawn), salt)]
    said = [(int(told.status.state), told.status.purposes) for told in batch]
    tails = {each: merkle.record_tail(*each) for each in set(said)}
    found = zip(salts, batch, said, strict=True)
    if schema is LeafSchema.RECORD_V1:
        hashes = merkle.record_hashes((salt, r.row.id.encode(), r.row.content, tails[each]) for salt, r, each in found)
    else:
        hashes = merkle.subject_record_hashes(
            (salt, r.row.id.encode(), r.row.content, r.subject, tails[each]) for salt, r, each in found
        )
    return [
        StoredRecord(
            told.row.id, salts[index], told.row.content, *said[index],
            hashes[index * size : (index + 1) * size], told.subject,
        )
        for index, told in enumerate(batch)
    ]  # fmt: skip


def _same(one: StoredRecord, other: StoredRecord) -> bool:
    """Whether two records say the same, whatever their salts."""
    return _said_by(one) == _said_by(other)


def _said_by(record: StoredRecord) -> tuple[object, ...]:
    return record.id, record.content, record.consent, record.purposes, record.subject
