# SPDX-License-Identifier: Apache-2.0
"""Search over everything that a reference can point at: by words, by digests, by the reference itself.

Each word of the query has to begin a word of the record's name or of one of its texts, or a digest that it names.
Nothing in a query is an operator: it is taken apart into words here and never reaches a parser.
"""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from chaincode.domain.errors import InvalidField
from chaincode.domain.register import RECORDS, locate
from chaincode.domain.values import Ref
from gateway.services.attributes import digests, words
from gateway.services.catalogue import page_of
from gateway.services.conditions import ANY_KIND, DIGEST, REFERENCE, WORD, Begins, Condition, Conditions, OfKinds, OneOf
from gateway.services.filters import InvalidParameter, digest_prefix
from gateway.services.ports import Entry, Json, ReadModel
from gateway.services.references import reference_of

LONGEST_QUERY: Final = 200
"""Characters."""
MOST_TERMS: Final = 8
MOST_SHOWN: Final = 10
"""How many digests of a record are named that a query found."""
KINDS: Final = tuple(kind.name for kind in RECORDS if kind.reference)


class Search:
    """Finds records by what people know of them."""

    def __init__(self, readmodel: ReadModel) -> None:
        self._readmodel = readmodel

    def page(
        self,
        query: str,
        *,
        kind: str | None = None,
        kinds: Collection[str] = KINDS,
        cursor: str | None,
        limit: int,
    ) -> Json:
        """A page of what is found, in ledger order, each by its reference; raises `InvalidParameter`.

        Only records of `kinds` are found and counted, and of these only those of `kind` where that is given.
        `complete` is false where so many words begin with a word of the query that not all were looked at.
        """
        terms = _terms(query)
        asked: Conditions = tuple(condition for _, condition in terms)
        if kind is not None:
            if kind not in KINDS:
                raise InvalidParameter("kind", f"it must be one of {', '.join(KINDS)}")
            asked = (*asked, OfKinds((kind,)))
        elif not set(KINDS) <= set(kinds):
            asked = (*asked, OfKinds(tuple(each for each in KINDS if each in kinds)))
        page = page_of(self._readmodel, ANY_KIND, asked, cursor=cursor, limit=limit)
        tally = self._readmodel.count(ANY_KIND, where=asked)
        sought = [text for text, _ in terms]
        return {
            "items": [_shown(entry, sought) for entry in page.items],
            "next": page.next,
            "count": tally.count,
            "count_exact": tally.exact,
            "complete": page.complete,
        }


def _terms(query: str) -> list[tuple[str, Condition]]:
    """What is looked for, each once; a reference stands for itself."""
    text = query.strip()
    if len(query) > LONGEST_QUERY:
        raise InvalidParameter("q", f"it must be at most {LONGEST_QUERY} characters long")
    try:
        reference = Ref(text)
        locate(reference)
    except InvalidField:
        pass
    else:
        return [(text, OneOf(REFERENCE, (reference,)))]
    found = dict(term for part in text.split() for term in _parts(part))
    if not 1 <= len(found) <= MOST_TERMS:
        raise InvalidParameter("q", f"it must hold 1 to {MOST_TERMS} words, names or digests")
    return list(found.items())


def _parts(part: str) -> Iterator[tuple[str, Condition]]:
    digits = digest_prefix(part)
    if digits is not None:
        yield digits, Begins(WORD, digits, (DIGEST,))
        return
    for word in words(part):
        yield word, Begins(WORD, word)


def _shown(entry: Entry, sought: list[str]) -> Json:
    record = entry.value
    named = (
        {"pointer": pointer, "digest": digest}
        for pointer, digest in digests(record)
        if any(len(text) >= 8 and digest.startswith(text) for text in sought)
    )
    return {
        "reference": reference_of(entry.kind, record),
        "kind": entry.kind,
        "title": record.get("title"),
        "owner": record.get("owner"),
        "digests": list(islice(named, MOST_SHOWN)),
        "transaction": {"id": entry.transaction_id, "block": entry.block, "at": entry.at},
    }
