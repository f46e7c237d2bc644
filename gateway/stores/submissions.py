# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys and the state of every submission, in a database whose commits are durable."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from gateway.services.ports import Category, Ending, Failed, Recorded, Submission
from gateway.stores.sql import SqlDatabase, upsert

_COLUMNS = (
    "id, client, key, request_hash, function, command, state, attempt, created, organisations, filled, "
    "transaction_id, envelope, reply, disposition, answer, height, elsewhere"
)
_RECORDED = "recorded"
UPSERT = upsert("submission", f"chain, {_COLUMNS}", "chain, id")


class SubmissionStore:
    """Implements `services.ports.Submissions`."""

    def __init__(self, database: SqlDatabase, chain: str = "") -> None:
        """Assign.

        Args:
            chain: header hash of the first block of the chain that these requests are for; what was kept for another
                one stays there and is not seen.
        """
        self._database = database
        self._chain = chain
        if chain:
            database.write(
                lambda connection: connection.execute("UPDATE submission SET chain = ? WHERE chain = ''", (chain,))
            )
        self._finishing: dict[tuple[str, str], Submission] = {}
        self._lock = threading.Lock()

    def find(self, client: str, key: str) -> Submission | None:
        # First what is queued, then the file: whatever has left the queue is in the file.
        with self._lock:
            queued = self._finishing.get((client, key))
        return queued or self._one("client = ? AND key = ?", (client, key))

    def get(self, submission_id: str) -> Submission | None:
        with self._lock:
            queued = next((final for final in self._finishing.values() if final.id == submission_id), None)
        return queued or self._one("id = ?", (submission_id,))

    def save(self, submission: Submission) -> None:
        with self._lock:
            self._finishing.pop((submission.client, submission.key), None)
        self._database.write(self._saving(submission))

    def finish(self, submission: Submission) -> None:
        # What was sent and answered is of no further use here once the outcome is final; the ending holds the rest.
        final = replace(submission, envelope=None, reply=None)
        with self._lock:
            self._finishing[final.client, final.key] = final
        self._database.write_later(self._finishing_work(final)).add_done_callback(lambda _: self._written(final))

    def _written(self, final: Submission) -> None:
        with self._lock:
            if self._finishing.get((final.client, final.key)) is final:
                del self._finishing[final.client, final.key]

    def unfinished(self) -> Sequence[Submission]:
        return self._many("state <> 'final'")

    def claim(self, client: str, key: str, request_hash: str) -> str | None:
        return None  # no other gateway has this file

    def release(self, client: str, key: str) -> None:
        pass

    def is_claimed(self, client: str, key: str) -> bool:
        return False

    def _saving(self, submission: Submission) -> Callable[[Any], Any]:
        row = self._row(submission)
        return lambda connection: connection.execute(UPSERT, row)

    def _finishing_work(self, submission: Submission) -> Callable[[Any], Any]:
        return self._saving(submission)

    def _row(self, submission: Submission) -> tuple[Any, ...]:
        return (self._chain, *_row(submission))

    def _many(self, condition: str) -> Sequence[Submission]:
        rows = self._database.reader().execute(
            f"SELECT {_COLUMNS} FROM submission WHERE chain = ? AND {condition} ORDER BY created",  # noqa: S608
            (self._chain,),
        )
        return [_submission(row) for row in rows]

    def may_record(self, root: str) -> bool:
        # Of every chain, and by the text alone: what is kept for nothing does no harm.
        rows = self._database.reader().execute(
            "SELECT disposition, answer FROM submission "
            "WHERE function IN ('dataset:commit-version', 'batches', 'batch:record') AND command LIKE ?",
            (f"%{root}%",),
        )
        return any(
            disposition is None or not isinstance(ending := _ending(disposition, answer, 0), Failed) or ending.retryable
            for disposition, answer in rows.fetchall()
        )

    def _one(self, condition: str, values: tuple[str, ...]) -> Submission | None:
        row = (
            self._database.reader()
            .execute(f"SELECT {_COLUMNS} FROM submission WHERE chain = ? AND {condition}", (self._chain, *values))  # noqa: S608
            .fetchone()
        )
        return None if row is None else _submission(row)


def _row(submission: Submission) -> tuple[Any, ...]:
    return (
        submission.id,
        submission.client,
        submission.key,
        submission.request_hash,
        submission.function,
        submission.command,
        submission.state,
        submission.attempt,
        submission.created,
        ",".join(submission.organisations),
        ",".join(submission.filled),
        submission.transaction_id,
        submission.envelope,
        None if submission.reply is None else json.dumps(submission.reply),
        *_columns(submission.ending),
        int(submission.elsewhere),
    )


def _submission(row: tuple[Any, ...]) -> Submission:
    fields: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
    reply, disposition, answer, height = (fields.pop(name) for name in ("reply", "disposition", "answer", "height"))
    organisations, filled = fields.pop("organisations"), fields.pop("filled")
    elsewhere = bool(fields.pop("elsewhere"))
    return Submission(
        **fields,
        organisations=tuple(organisations.split(",")) if organisations else (),
        filled=tuple(filled.split(",")) if filled else (),
        reply=None if reply is None else json.loads(reply),
        ending=None if disposition is None else _ending(disposition, answer, height),
        elsewhere=elsewhere,
    )


def _columns(ending: Ending | None) -> tuple[str | None, str | None, int | None]:
    """The columns `disposition`, `answer` and `height`."""
    if ending is None:
        return None, None, None
    if isinstance(ending, Recorded):
        return _RECORDED, json.dumps(ending.body), ending.height
    answer = asdict(ending)
    return answer.pop("category"), json.dumps(answer), None


def _ending(disposition: str, answer: str, height: int) -> Ending:
    """The reverse of `_columns`."""
    body = json.loads(answer)
    return Recorded(body, height) if disposition == _RECORDED else Failed(Category(disposition), **body)
