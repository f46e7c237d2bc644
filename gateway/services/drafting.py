# SPDX-License-Identifier: Apache-2.0
"""The next version of a data set out of a file: every record salted, hashed and kept, in batches.

What a crash leaves: a set of records without a root, which nobody sees. What a refusal leaves is kept: the refusal may
be false, or be about one attempt only, and a root that a version names must never be without its records.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain, islice

from chaincode.domain.provenance import LeafSchema
from chaincode.domain.tabular import header_digest
from chaincode.domain.values import Digest
from gateway.services.intake import Batch, Intake, said_by
from gateway.services.intake import Upload as Upload
from gateway.services.leafhashing import hashed
from gateway.services.ports import (
    Clock,
    Json,
    PortError,
    Reading,
    RecordColumns,
    Records,
    RecordSet,
    RepeatedRecord,
)
from gateway.services.progress import Progress
from gateway.services.recordfiles import repeated
from gateway.services.statusmaps import StatusMaps
from gateway.services.tiles import Growing
from gateway.services.trees import Trees, in_batches


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
        self._intake = Intake(maps, clock)

    def draft(self, dataset: str, upload: Upload, last: Json | None, progress: Progress) -> Json:
        """Keep the records of a file, and say what the version after `last` is: root, size and how it follows.

        It extends the last version where the file begins with that one's records, read in the same way; else it
        replaces it. Raises `UnreadableRecords`, and then nothing of the file is kept.
        """
        body = self._drafted(dataset, upload, last, progress)
        if upload.columns.subject is not None:
            # Only now: of a file that is refused at its end, nobody indicated anything.
            known = int(last["size"]) if last is not None and body["change"] == "extends" else 0
            self._collect(dataset, upload, known)
        return body

    def _drafted(self, dataset: str, upload: Upload, last: Json | None, progress: Progress) -> Json:
        size = upload.size
        table = upload.table()
        base = self._base(table.reading, last)
        if base is not None:
            added = self._after(self._intake.batches(dataset, upload, table, progress), base)
            if added is not None:
                salted = (batch.salted() for batch in added)
                with closing(hashed(salted, base.leaf_schema, size, base.size)) as found:
                    return self._written(dataset, table.reading, base.leaf_schema, found, base, last)
            table = upload.table()
        salted = (batch.salted() for batch in self._intake.batches(dataset, upload, table, progress))
        with closing(hashed(salted, upload.leaf_schema, size)) as found:
            return self._written(dataset, table.reading, upload.leaf_schema, found, None, last)

    def _collect(self, dataset: str, upload: Upload, known: int) -> None:
        """Keep for the map what the subjects of a file indicated, but for its first records, which are known."""
        for batch in self._intake.batches(dataset, upload, upload.table(), Progress()):
            added = batch.after(known)
            known = max(0, known - len(batch.ids))
            if added.indicated:
                self._maps.collect(dataset, added.indicated)

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
            if said_by(theirs) != said_by(ours):
                return self._body(mine, None, last)
            same = same and theirs.leaf == ours.leaf
        if same:
            return self._body(mine, base, last)
        rest = map(RecordColumns.of, in_batches(self._records.all(root, base.size)))
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

    def _after(self, found: Iterator[Batch], base: RecordSet) -> Iterator[Batch] | None:
        """The records that come after those of `base`; `None` where the file does not begin with these."""
        stored = map(said_by, self._records.all(base.root))
        for batch in found:
            said = batch.said()
            expected = list(islice(stored, len(said)))
            if said[: len(expected)] != expected:
                return None
            if len(expected) < len(said):
                return chain([batch.after(len(expected))], found)
        return None if next(stored, None) is not None else iter(())

    def _written(
        self,
        dataset: str,
        reading: Reading,
        schema: LeafSchema,
        found: Iterator[RecordColumns],
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
            for batch in chain([] if first is None else [first], found):
                start = tree.size
                self._records.add(key, start, batch, tree.extend(batch.leaves, batch.tile_roots))
            root = tree.root().hex()
            self._records.finish(key, root, tree.size, tree.edge())
        except RepeatedRecord as exc:
            self._records.abandon(key)
            raise repeated(exc.id, exc.position, exc.first) from None
        except BaseException:
            # Nothing can name it: it never had a root. Where even this fails, it is found as a set without one.
            with suppress(PortError, RuntimeError):
                self._records.abandon(key)
            raise
        return self._body(self._held(root), base, last)

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
