# SPDX-License-Identifier: Apache-2.0
"""The records that this organisation keeps, as those that a copy is compared with."""

from collections.abc import Iterator

from gateway.services.copies import LoneSalts
from gateway.services.ports import Records, RecordSet, StoredRecord
from gateway.services.tables import Row
from gateway.services.trees import leaf_hashes


class HeldRecords:
    """The records of one set; what `copies.Comparison` asks for."""

    def __init__(self, records: Records, held: RecordSet) -> None:
        self.size = held.size
        self._records = records
        self._held = held
        self._salts: LoneSalts | None = None

    def all(self, start: int = 0) -> Iterator[StoredRecord]:
        """Every record from position `start` on, in tree order."""
        return self._records.all(self._held.root, start)

    def find(self, record_id: str) -> tuple[int, StoredRecord] | None:
        """Position in the tree and record."""
        return self._records.find(self._held.root, record_id)

    def leaf(self, record: StoredRecord | None, row: Row) -> bytes:
        """The leaf hash of a row in the place of a record, or of none."""
        if record is None:
            there = StoredRecord(row.id, self._lone_salt(row.id), row.content, 0, 0, b"")
        elif record.content == row.content:
            return record.leaf
        else:
            there = record._replace(content=row.content)
        return leaf_hashes([there], self._held.leaf_schema)

    def _lone_salt(self, record_id: str) -> bytes:
        if self._salts is None:
            self._salts = LoneSalts()
            for record in self.all():
                self._salts.note(record.salt)
        return self._salts.of(record_id)
