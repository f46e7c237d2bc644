# SPDX-License-Identifier: Apache-2.0
"""Copies of versions and selections, checked with a bundle: by anybody who has one, and who reads a ledger."""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from pedigree.bundled import BundledRecords
from pedigree.bundles import Bundle
from pedigree.calls import refuse_difference
from pedigree.comparisons import CopyComparison
from pedigree.copies import KINDS, Comparison, Part, agrees, column_differences, in_their_order
from pedigree.errors import InvalidInput
from pedigree.evidence import Columns
from pedigree.folders import identity_of
from pedigree.given import given_record
from pedigree.parquet import PARQUET, ParquetTable
from pedigree.recordfiles import Reading, UnreadableRecords
from pedigree.tables import CSV, Row, Table, delimiter_of
from pedigree.uploads import Progress, Upload

_DIFFERENCES: Final = KINDS[:-1]
_OFTEN: Final = 4_096
"""Records after which the progress is said again."""


def verify_copy(
    source: Path | str | bytes,
    bundle: Path | str | Bundle,
    *,
    version: Mapping[str, Any],
    selection: Mapping[str, Any] | None = None,
    media_type: str | None = None,
    id_field: str | None = None,
    delimiter: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    check: bool = False,
) -> CopyComparison:
    """Compare a copy with what the ledger commits to, by a bundle from the owner and without any gateway.

    A copy is read as the committed file was, as the bundle says; `id_field` and `delimiter` are for one that is written
    otherwise. The report names the `columns` that differ and the records that were `changed`, `added`, `removed` or
    `moved`, up to 10,000 of each. With `check` a difference is raised as `Disagreement`.

    With a `selection` the copy should have its records and no others: those of the version that it has besides are
    `outside`. Which records a selection has is in a bundle that was asked for it; with another one the roots are
    compared, and a `remark` says what cannot be named. The bundle of a selection has its records alone: then those of
    the version that it does not have are among what was `added`.

    Args:
        source: the file's path, or its bytes; or a folder, each of whose files is a record: path and SHA-256.
        bundle: what `Pedigree.save_bundle`, `save_selection_bundle` or `fetch` has written.
        version: the ledger's answer for the version (`Pedigree.dataset_version`), which is trusted; the bundle is not.
        selection: the ledger's answer for a selection from it (`Pedigree.selection`), which is trusted too; needed with
            the bundle of a selection.
        media_type: `text/csv`, `application/jsonl` or `application/vnd.apache.parquet` (which needs pyarrow); by
            default, what the file's name says, and of bytes what the bundle says.

    Raises `InvalidBundle` where the bundle is not the version's, `UnreadableRecords`, and `ValueError` for a file that
    changes while it is read.
    """
    if not isinstance(bundle, Bundle):
        with Bundle(bundle) as opened:
            return verify_copy(
                source, opened, version=version, selection=selection, media_type=media_type, id_field=id_field,
                delimiter=delimiter, progress=progress, check=check,
            )  # fmt: skip
    reading = bundle.head.reading
    if media_type is None and isinstance(source, bytes) and reading is not None:
        media_type = reading.media_type
    watcher = progress or (lambda _: None)
    upload = Upload.of(source, media_type, watcher)
    records = bundle.check(
        version,
        lambda done, read: watcher(Progress("checking", done, bundle.size, read)),
        selection=selection,
    )
    part = None if selection is None else bundle.part(records, selection)
    copy = _Copy(upload, reading or Reading(upload.media_type), id_field, delimiter, watcher)
    recorded = given_record(version, "dataset-version", "data set version")
    differences = {kind: [] for kind in _DIFFERENCES} | copy.differences(records, recorded.get("header"), part)
    bundle.refuse_change()
    report = cast(
        "CopyComparison",
        {
            "dataset": bundle.head.dataset,
            "number": bundle.head.number,
            "root": recorded["root"],
            "size": int(recorded["size"]),
            "verified": agrees(differences),
            **differences,
        },
    )
    if check:
        refuse_difference(report, bundle.head.reference if part is None else part.reference)
    return report


class _Copy:
    """A copy, and how it is read."""

    def __init__(
        self,
        upload: Upload,
        committed: Reading,
        id_field: str | None,
        delimiter: str | None,
        watcher: Callable[[Progress], None],
    ) -> None:
        self._upload = upload
        self._committed = committed
        self._id_field = committed.id_field if id_field is None else id_field
        self._delimiter = delimiter_of(delimiter) or (committed.delimiter if upload.media_type == CSV else None)
        self._watcher = watcher

    def differences(self, records: BundledRecords, header: str | None, part: Part | None) -> dict[str, Any]:
        """What differs, as `Comparison` says it, and the columns.

        Args:
            header: what the version commits to of its columns; see `Columns.digest`.
        """
        columns: list[str] = []
        with self._opened() as content:
            try:
                if header is not None:
                    columns = self._columns(self._table(content, None).reading, header)
                rows = self._watched(self._table(content, self._id_field))
                if self._id_field is None and part is not None:
                    rows = in_their_order(rows, _ids_of(part, records)) if _is_known(part) else rows
                return {"columns": columns, **Comparison(records, part).run(rows)}
            except UnreadableRecords as exc:
                if not columns:
                    raise
                # Under other columns it need not be possible to tell which record is which.
                return {"columns": columns, "unreadable": exc.detail}

    def _opened(self) -> BinaryIO:
        source = self._upload.source
        return io.BytesIO(source) if isinstance(source, bytes) else _Unchanged(source)

    def _table(self, content: BinaryIO, id_field: str | None) -> Table | ParquetTable:
        if self._upload.media_type == PARQUET:
            if find_spec("pyarrow") is None:
                raise InvalidInput("a Parquet file is read with pyarrow, which is not installed", field="media_type")
            return ParquetTable(content, id_field)
        committed = self._committed.fields
        return Table(content, self._upload.media_type, id_field, self._delimiter, committed=committed)

    def _columns(self, given: Reading, header: str) -> list[str]:
        if given.delimiter is not None and Columns(given.delimiter, given.fields).digest == header:
            return []
        named = column_differences(self._committed, given) if self._committed.fields else []
        return named or ["they are not those that the version commits to"]

    def _watched(self, table: Table | ParquetTable) -> Iterator[Row]:
        number = 0
        for number, row in enumerate(table.rows(), start=1):
            yield row
            if number % _OFTEN == 0:
                self._watcher(Progress("comparing", table.bytes_read, self._upload.size, number))
        self._watcher(Progress("comparing", self._upload.size, self._upload.size, number))


def _is_known(part: Part) -> bool:
    """Whether the ids of its records are."""
    return part.alone or part.members is not None


def _ids_of(part: Part, records: BundledRecords) -> Iterator[str]:
    """The ids of a selection's records, in their order, where they are known and numbers in the version."""
    if part.alone:
        return (record.id for record in records.all())
    return (str(position + 1) for position in part.members or ())


class _Unchanged(io.BufferedReader):
    """A file that is open for reading; leaving it raises `ValueError` where it was changed meanwhile."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "rb"))
        self._path = path
        self._before = identity_of(os.fstat(self.fileno()))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        after = identity_of(self._path.stat())
        super().__exit__(kind, error, trace)
        if error is None and after != self._before:
            raise ValueError(f"{self._path} was changed while it was read")
