# SPDX-License-Identifier: Apache-2.0
"""Reading records: one by its identifier, many by page; always from the read model."""

import base64
import binascii

from chaincode.domain.errors import InvalidField, RecordNotFound
from gateway.services.ports import Entry, Json, ReadModel


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
        items = self._readmodel.list(kind, where=where, after=None, limit=1).items
        return items[0] if items else None

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
        return [shown(entry) for entry in self._readmodel.all(kind, where=where)]


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
