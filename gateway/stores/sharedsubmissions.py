# SPDX-License-Identifier: Apache-2.0
"""Submissions that several gateways share: one of them is at a key at a time, and writes only while that is so.

Who is at which key is in the table of claims. A claim of a gateway that lives no more is for the next that asks; so a
gateway that was taken to be dead, and goes on all the same, finds the claims that it had changed when it next writes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.services.ports import Submission, Unavailable
from gateway.stores.replicas import SCHEMA
from gateway.stores.sql import Connection, SqlDatabase
from gateway.stores.submissions import UPSERT, SubmissionStore

_CLAIM: Final = "SELECT owner, request_hash FROM claim WHERE chain = ? AND client = ? AND key = ?"
_LIVES: Final = f"SELECT 1 FROM {SCHEMA}.replica WHERE number = ?"  # noqa: S608 - constants
_TAKE: Final = (
    "INSERT INTO claim (chain, client, key, request_hash, owner) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (chain, client, key) DO UPDATE SET owner = excluded.owner, request_hash = excluded.request_hash"
)
_NOBODYS: Final = (
    "state <> 'final' AND NOT EXISTS (SELECT 1 FROM claim "  # noqa: S608 - constants
    f"JOIN {SCHEMA}.replica ON number = owner WHERE claim.chain = submission.chain "
    "AND claim.client = submission.client AND claim.key = submission.key)"
)


class SharedSubmissionStore(SubmissionStore):
    """Implements `services.ports.Submissions` for one of several gateways."""

    def __init__(self, database: SqlDatabase, chain: str, number: int) -> None:
        """Assign.

        Args:
            number: of this gateway among the replicas.
        """
        super().__init__(database, chain)
        self._number = number

    def claim(self, client: str, key: str, request_hash: str) -> str | None:
        # Asked without a write first: who waits for another gateway asks often.
        held = self._held(self._database.reader(), client, key)
        if held is not None:
            return held

        def work(connection: Connection) -> str | None:
            found = self._held(connection, client, key)
            if found is None:
                connection.execute(_TAKE, (self._chain, client, key, request_hash, self._number))
            return found

        return self._database.write(work)

    def _held(self, connection: Connection, client: str, key: str) -> str | None:
        row = connection.execute(_CLAIM, (self._chain, client, key)).fetchone()
        if row is None or row[0] == self._number or connection.execute(_LIVES, (row[0],)).fetchone() is None:
            return None
        return str(row[1])

    def release(self, client: str, key: str) -> None:
        delete = "DELETE FROM claim WHERE chain = ? AND client = ? AND key = ? AND owner = ?"
        row = (self._chain, client, key, self._number)
        self._database.write_later(lambda connection: connection.execute(delete, row))

    def is_claimed(self, client: str, key: str) -> bool:
        return self._database.reader().execute(_CLAIM, (self._chain, client, key)).fetchone() is not None

    def unfinished(self) -> Sequence[Submission]:
        return self._many(_NOBODYS)

    def _saving(self, submission: Submission) -> Callable[[Any], None]:
        def work(connection: Connection) -> None:
            if not self._is_mine(connection, submission):
                raise Unavailable(
                    "another gateway of this organisation goes on with this request; send it again to learn its end",
                    code="taken-over",
                )
            connection.execute(UPSERT, self._row(submission))

        return work

    def _finishing_work(self, submission: Submission) -> Callable[[Any], None]:
        def work(connection: Connection) -> None:
            # Who has taken it over comes to the same end, and writes it.
            if self._is_mine(connection, submission):
                connection.execute(UPSERT, self._row(submission))

        return work

    def _is_mine(self, connection: Connection, submission: Submission) -> bool:
        # A part of a batch is named by the batch's key, a blank and its place: no key of a client has a blank.
        key = submission.key.partition(" ")[0]
        row = connection.execute(_CLAIM, (self._chain, submission.client, key)).fetchone()
        return row is not None and row[0] == self._number
