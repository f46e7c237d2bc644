# SPDX-License-Identifier: Apache-2.0
"""What was published, with the wrapped keys of its blobs."""

from collections.abc import Sequence

from gateway.services.blobstores import Publication
from gateway.stores.sql import Connection, SqlDatabase

_COLUMNS = "blob_id, root, dataset, number, media_type, size, digest, wrapped, at, selection"


class SealedStore:
    """Implements `services.blobstores.Publications`."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def add(self, publication: Publication) -> None:
        row = (
            publication.blob_id, publication.root, publication.dataset, publication.number, publication.media_type,
            publication.size, publication.digest, publication.wrapped, publication.at, publication.selection,
        )  # fmt: skip
        insert = f"INSERT INTO publication ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
        self._database.write(lambda c: c.execute(insert, row))

    def of(self, artifact: str, root: str) -> Publication | None:
        select = f"SELECT {_COLUMNS} FROM publication WHERE root = ? ORDER BY key DESC"  # noqa: S608
        found = (Publication(*row) for row in self._database.reader().execute(select, (root,)).fetchall())
        return next((each for each in found if each.artifact == artifact), None)

    def find(self, blob_id: bytes) -> Publication | None:
        select = f"SELECT {_COLUMNS} FROM publication WHERE blob_id = ?"  # noqa: S608
        row = self._database.reader().execute(select, (blob_id,)).fetchone()
        return None if row is None else Publication(*row)

    def all(self) -> Sequence[Publication]:
        select = f"SELECT {_COLUMNS} FROM publication ORDER BY key"  # noqa: S608
        return [Publication(*row) for row in self._database.reader().execute(select)]

    def rewrap(self, wrapped: Sequence[tuple[bytes, bytes]]) -> None:
        rows = [(key, blob_id) for blob_id, key in wrapped]

        def work(connection: Connection) -> None:
            connection.executemany("UPDATE publication SET wrapped = ? WHERE blob_id = ?", rows)

        self._database.write(work)

    def forget(self, blob_id: bytes) -> None:
        def work(connection: Connection) -> None:
            # The key is overwritten, and not only forgotten.
            self._database.overwrite_removed(connection)
            connection.execute("DELETE FROM publication WHERE blob_id = ?", (blob_id,))

        self._database.write(work)
