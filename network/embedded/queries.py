# SPDX-License-Identifier: Apache-2.0
"""Query results as a chaincode receives them: batches of 100, and pages with a bookmark (rules S-25 to S-27)."""

from collections.abc import Iterator
from typing import Any

from fabric_protos.peer import chaincode_shim_pb2

__all__ = ["BATCH", "Results", "page"]

BATCH = 100
"""Results in one answer."""


class Results:
    """An open iterator of one transaction; `limit` truncates it silently (rule S-26)."""

    def __init__(self, identifier: str, rows: Iterator[bytes], limit: int) -> None:
        self.identifier = identifier
        self._rows = rows
        self._left = limit
        self._ahead: bytes | None = None

    def next_batch(self) -> tuple[bytes, bool]:
        """Encode the next `QueryResponse`; the second value says that more follows.

        One result is fetched beyond a full batch before answering, so that a batch which was promised is never
        empty. Phantom checks see that result as well (rule R-7).
        """
        batch = [] if self._ahead is None else [self._ahead]
        self._ahead = None
        while (row := self._fetch()) is not None:
            if len(batch) == BATCH:
                self._ahead = row
                break
            batch.append(row)
        more = self._ahead is not None
        return _encode(batch, identifier=self.identifier, more=more), more

    def _fetch(self) -> bytes | None:
        if self._left <= 0:
            return None
        self._left -= 1
        return next(self._rows, None)


def page(rows: Iterator[bytes], bookmark: Any, identifier: str, size: int) -> bytes:
    """Encode one page: `size` results at most, and what `bookmark` answers after them (rule S-27)."""
    results: list[bytes] = []
    while len(results) < size and (row := next(rows, None)) is not None:
        results.append(row)
    metadata = chaincode_shim_pb2.QueryResponseMetadata(fetched_records_count=len(results), bookmark=bookmark())
    return _encode(results, identifier=identifier, more=False, metadata=metadata.SerializeToString())


def _encode(rows: list[bytes], *, identifier: str, more: bool, metadata: bytes = b"") -> bytes:
    results = [chaincode_shim_pb2.QueryResultBytes(resultBytes=row) for row in rows]
    response = chaincode_shim_pb2.QueryResponse(results=results, has_more=more, id=identifier, metadata=metadata)
    return bytes(response.SerializeToString())
