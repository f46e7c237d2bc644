# SPDX-License-Identifier: Apache-2.0
"""Reading records: one by its identifier, many by page; always from the read model."""

import base64
import binascii
from collections.abc import Iterator, Sequence

from chaincode.domain.errors import InvalidField, RecordNotFound
from gateway.services.ports import Entry, Json, ReadModel, Where

_READ_AT_ONCE = 200


class Catalogue:
    """Looks records up by kind and identifying fields."""

    def __init__(self, readmodel: ReadModel) -> None:
        self._readmodel = readmodel

    def get(self, kind: str, reference: str, **where: str) -> Json:
        """The one record of a kind with these fields; `RecordNotFound` names `reference`."""
        entry = self.find(kind, **where)
        if entry is None:
            raise RecordNotFound(reference)
        return shown(entry)

    def find(self, kind: str, **where: str) -> Entry | None:
        """The same as an entry, or `None`."""
        return next(entries(self._readmodel, kind, where, size=1), None)

    def last(self, kind: str, **where: str) -> Json | None:
        """The record of a kind with these fields that was written last, or `None`."""
        entry = self._readmodel.last(kind, where=where)
        return None if entry is None else entry.value

    def page(self, kind: str, *, cursor: str | None, limit: int, **where: str) -> Json:
        """A page of records in ledger order: `items`, and `next` to pass as `cursor` for the page after it."""
        page = self._readmodel.list(kind, where=where, after=_opened(cursor), limit=limit)
        return {"items": [shown(entry) for entry in page.items], "next": _closed(page.next)}

    def all(self, kind: str, **where: str) -> list[Json]:
        """Every matching record, where their number is bounded by the number of organisations."""
        return [shown(entry) for entry in entries(self._readmodel, kind, where)]

    def some(self, kind: str, where: Where, *, cursor: str | None, limit: int) -> tuple[Sequence[Entry], str | None]:
        """At most so many entries after a cursor, and the cursor after them."""
        page = self._readmodel.list(kind, where=where, after=_opened(cursor), limit=limit)
        return page.items, _closed(page.next)


def entries(readmodel: ReadModel, kind: str, where: Where, *, size: int = _READ_AT_ONCE) -> Iterator[Entry]:
    """Matching entries in ledger order, read only as far as they are asked for."""
    after: str | None = None
    while True:
        page = readmodel.list(kind, where=where, after=after, limit=size)
        yield from page.items
        after = page.next
        if after is None:
            return


def shown(entry: Entry) -> Json:
    """A record with the transaction that wrote it."""
    return {
        "record": entry.value,
        "transaction": {"id": entry.transaction_id, "block": entry.block, "at": entry.at},
    }


def _closed(position: str | None) -> str | None:
    return None if position is None else base64.urlsafe_b64encode(position.encode()).decode()


def _opened(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (UnicodeError, binascii.Error):
        raise InvalidField("/cursor", "it must be the 'next' of an earlier page") from None
