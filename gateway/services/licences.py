# SPDX-License-Identifier: Apache-2.0
"""The effective licence of a version: what its own licence and those of all its ancestors come to.

The law compares a licence with those of what something was directly made from, when it is recorded. Here each ancestor
is compared with the version itself, by the same lines (`chaincode.domain.licensing`). Data that only tested a model,
and versions that were merely replaced, did not shape it and are left out.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from chaincode.domain.errors import InvalidField, LedgerError
from chaincode.domain.licensing import Asked, asks, meet, objection, refusal, terms_of
from chaincode.domain.lineage import EDGES_PER_NODE, LONGEST_PATH, REPLACES
from chaincode.domain.register import locate
from chaincode.domain.spdx import Licence
from chaincode.domain.usage import InputRole
from chaincode.domain.values import Ref
from gateway.services.heights import UP, Heights
from gateway.services.ports import Entry, Json, ReadModel

MOST_TERMS: Final = 500
"""How many terms the licences that are compared may have together; a licence mostly has one."""
MOST_SHOWN: Final = 100
"""How many different licences are listed."""
MOST_UNKNOWN: Final = 16
"""How many ancestors are named whose licence is not known."""
_UNSHAPED: Final = frozenset({str(REPLACES), f"input:{InputRole.TEST.value}"})
"""Relations along which no licence passes."""


@dataclass
class _Found:
    """The licences along a lineage, nearest first."""

    below: dict[Ref, Ref]
    """Every ancestor with what is one step nearer to the version."""
    nearest: dict[Asked, Ref] = field(default_factory=dict)
    """Of each licence the nearest that is under it."""
    counts: Counter[Asked] = field(default_factory=Counter)
    unknown: list[Ref] = field(default_factory=list)
    terms: int = 0
    complete: bool = True


class LicenceReader:
    """Reads what licences come to along a lineage."""

    def __init__(self, readmodel: ReadModel) -> None:
        self._heights = Heights(readmodel)

    def effective(self, reference: str, *, as_of: int | None, limit: int) -> Json:
        """The effective licence of a version of a data set or a model; at most `limit` ancestors are looked at.

        `licence` is what the version is under in effect: the meet of its own licence and of its ancestors', or null
        where there is none or where that cannot be decided (`verdict`); `inherited` is the meet of the ancestors'
        alone. `offending` is the nearest ancestor of which the version's own licence does not keep what it asks for.
        `complete` is false where there are more ancestors than were looked at, and where the licence of one of them was
        not compared (`unknown`): it is not known here, or one too many.

        Raises `InvalidField` for what has no licence of its own, `RecordNotFound` for what was not there, and
        `InvalidParameter` for a height that is not reached yet.
        """
        at = self._heights.reached(as_of)
        of = self._heights.known(reference, at)
        if not locate(of)[0].digest:
            raise InvalidField(
                "/reference", "it must be a version of a data set or a model: nothing else has a licence"
            )
        found = self._gather(of, at, limit)
        own = next((asked for asked, nearest in found.nearest.items() if nearest == of), None)
        above = [asked for asked in found.nearest if asked != own or found.counts[asked] > 1]
        whole = meet(tuple(found.nearest))
        licence = None if own is None else whole.licence
        asked_for = None if licence is None else asks(licence)
        return {
            "of": of,
            "as_of": at,
            "declared": None if own is None else own.licence,
            "licence": licence,
            "verdict": "met" if licence is not None else "undecided" if own is None or not whole.decided else "none",
            "conditions": None if asked_for is None else sorted(asked_for),
            "inherited": meet(above).licence,
            "offending": None if own is None else _offending(of, own.licence, above, found),
            "licences": _listed(found),
            "ancestors": len(found.below) - 1,
            "unknown": found.unknown[:MOST_UNKNOWN],
            "complete": found.complete,
        }

    def _gather(self, of: Ref, at: int, limit: int) -> _Found:
        """Walk up from a version, nearest first; each ancestor and each edge is looked at once."""
        found = _Found({of: of})
        waiting, read, most = [of], 0, EDGES_PER_NODE * limit
        for here in waiting:  # grows while it is walked over
            entry = self._heights.cited(here, at)
            if not _noted(entry, here, of, found):
                found.unknown.append(here)
                found.complete = False
            for edge in self._heights.edges(here, UP, at) if read <= most else ():
                read += 1
                if read > most:
                    found.complete = False
                    break
                if _UNSHAPED.issuperset(edge.relation.split("+")) or edge.parent in found.below:
                    continue
                if len(found.below) > limit:
                    found.complete = False
                    continue
                found.below[edge.parent] = here
                waiting.append(edge.parent)
        return found


def _noted(entry: Entry | None, here: Ref, of: Ref, found: _Found) -> bool:
    """Note the licence of an artifact, where its kind has one; whether it is known."""
    if entry is None:
        return False
    if "licence" not in entry.value:
        return True  # a run or a selection passes on the licences of what it was made from
    try:
        licence = Licence(str(entry.value["licence"]))
    except LedgerError:
        return False  # of a newer list than ours
    asked = Asked(licence, result=of.kind == "model-version" and here.kind == "dataset-version")
    if asked not in found.nearest:
        if found.terms + terms_of(licence) > MOST_TERMS:
            return False
        found.terms += terms_of(licence)
        found.nearest[asked] = here
    found.counts[asked] += 1
    return True


def _listed(found: _Found) -> list[Json]:
    """The licences, whatever they are of."""
    listed: dict[Licence, Json] = {}
    for asked, nearest in found.nearest.items():
        first = {"licence": asked.licence, "nearest": nearest, "count": 0}
        listed.setdefault(asked.licence, first)["count"] += found.counts[asked]
    return list(listed.values())[:MOST_SHOWN]


def _offending(of: Ref, declared: Licence, above: Iterable[Asked], found: _Found) -> Json | None:
    """The nearest ancestor whose licence the version's own does not keep, and why, as the law words it."""
    for asked in above:
        objected = objection(declared, asked.licence, result=asked.result)
        if objected is not None:
            path = _path(of, found.nearest[asked], found.below)
            worded = refusal(objected, declared, asked.licence, path)
            return {"licence": asked.licence, "path": list(path), "code": worded.code, "detail": str(worded)}
    return None


def _path(of: Ref, ancestor: Ref, below: dict[Ref, Ref]) -> tuple[Ref, ...]:
    """From a version up to an ancestor; without its middle where it is long."""
    path = [ancestor]
    while path[-1] != of:
        path.append(below[path[-1]])
    path.reverse()
    return tuple(path) if len(path) <= LONGEST_PATH else (*path[: LONGEST_PATH - 1], ancestor)
