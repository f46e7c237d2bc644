# SPDX-License-Identifier: Apache-2.0
"""Reading records: one by its identifier, many by page; always from the read model."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from chaincode.domain import keys
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.register import KIND, Kind, Part, locate
from chaincode.domain.values import Ref
from gateway.services.conditions import Conditions, OneOf, Where, conditions
from gateway.services.cursors import closed, opened
from gateway.services.filters import InvalidParameter, conditions_of
from gateway.services.ports import Entry, Json, Page, ReadModel

_READ_AT_ONCE: Final = 200
_VALUES_AT_ONCE: Final = 100
"""How many values of a field are looked up by one query."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


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
        """The same as an entry, or `None`; `where` has the fields of the kind's key, all of them and no others."""
        row = KIND[kind]
        if where.keys() != row.key.keys():
            raise ValueError(f"a {kind} is identified by {', '.join(row.key) or 'nothing'}")
        return self.under(row, row.read_key([where[field] for field in row.key]))

    def under(self, kind: Kind, parts: tuple[Part, ...]) -> Entry | None:
        """The entry under a key: one query, where conditions take six."""
        entry = self._readmodel.get(keys.key(kind.record, *parts))
        return entry if entry is not None and entry.kind == kind.name else None

    def owner(self, reference: str) -> str | None:
        """Whose a record is; `None` where there is none, or it is nobody's. Raises `InvalidField` for no reference."""
        entry = self.under(*locate(Ref(reference)))
        owner = None if entry is None else entry.value.get("owner")
        return owner if isinstance(owner, str) else None

    def last(self, kind: str, **where: str) -> Json | None:
        """The record of a kind with these fields that was written last, or `None`."""
        entry = self._readmodel.last(kind, where=where)
        return None if entry is None else entry.value

    def page(
        self,
        kind: str,
        where: Where = (),
        *,
        cursor: str | None,
        limit: int,
        filters: Mapping[str, str] = _NONE,
        within: Collection[str] | None = None,
    ) -> Json:
        """A page of records: `items`, and `next` to pass as `cursor` for the page after it.

        `filters` are as a caller named them (see `filters`); `within` are the owners of whose records alone the list
        is. `count` says how many records the whole list holds, or that there are at least so many where `count_exact`
        is false. Raises `InvalidParameter`.
        """
        owned = () if within is None else (OneOf("owner", tuple(sorted(within))),)
        asked: Conditions = (*conditions(where), *conditions_of(filters), *owned)
        page = page_of(self._readmodel, kind, asked, cursor=cursor, limit=limit)
        if not page.complete:
            raise InvalidParameter("digest", "too many digests begin so: it must hold more digits")
        tally = self._readmodel.count(kind, where=asked)
        return {
            "items": [shown(entry) for entry in page.items],
            "next": page.next,
            "count": tally.count,
            "count_exact": tally.exact,
        }

    def all(self, kind: str, **where: str) -> list[Json]:
        """Every matching record, where their number is bounded by the number of organisations."""
        return [shown(entry) for entry in entries(self._readmodel, kind, where)]

    def every(self, kind: str, field: str, values: Iterable[str]) -> list[Entry]:
        """Every record of a kind whose field has one of these values, in the order of the ledger for each value."""
        asked = list(dict.fromkeys(values))
        found: list[Entry] = []
        for start in range(0, len(asked), _VALUES_AT_ONCE):
            some = tuple(asked[start : start + _VALUES_AT_ONCE])
            found += entries(self._readmodel, kind, {field: some})
        return found

    def some(self, kind: str, where: Where, *, cursor: str | None, limit: int) -> tuple[Sequence[Entry], str | None]:
        """At most so many entries after a cursor, and the cursor after them."""
        page = page_of(self._readmodel, kind, where, cursor=cursor, limit=limit)
        return page.items, page.next


def page_of(readmodel: ReadModel, kind: str, where: Where, *, cursor: str | None, limit: int) -> Page:
    """A page whose `next` is a cursor; raises `InvalidParameter` where `cursor` is none of this list."""
    after = opened(cursor, kind, where)
    try:
        page = readmodel.list(kind, where=where, after=after, limit=limit)
    except ValueError:
        raise InvalidParameter("cursor", "it must be the 'next' of an earlier page of this list") from None
    return Page(page.items, closed(page.next, kind, where), page.complete)


def entries(readmodel: ReadModel, kind: str, where: Where, *, size: int = _READ_AT_ONCE) -> Iterator[Entry]:
    """Matching entries in their order, read only as far as they are asked for."""
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
