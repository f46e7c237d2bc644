# SPDX-License-Identifier: Apache-2.0
"""Reads that had no transaction each, listed with their proofs: for the owner's people, and for any member that asks.

A list is compared with what the ledger has of it whenever it is shown. Where a kept read was altered, added or removed
after it was anchored, the leaves no longer lead to the root, and every entry of that list says so.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaincode.domain import merkle
from chaincode.domain.errors import RecordNotFound
from gateway.services.catalogue import Catalogue
from gateway.services.deliveries import Members, Place, Refuted
from gateway.services.ports import Clock, Json
from gateway.services.readlog import Kept, ReadLog
from gateway.services.readstatements import ListClaim
from gateway.services.undelivered import (
    StatementElsewhere,
    StatementInvalid,
    StatementRepeated,
    StatementStale,
)

PAGE: Final = 256
"""Reads of one answer to another member."""
_FRESH: Final = 120.0


@dataclass(frozen=True, slots=True)
class _Tree:
    """The leaves of a list as they are kept, and the root that the ledger has of it."""

    leaves: Sequence[bytes]
    tree: merkle.Tree
    recorded: str | None

    @property
    def state(self) -> str:
        """`waiting` while the ledger has no root, then `anchored`, or `altered` where the leaves lead to another."""
        if self.recorded is None:
            return "waiting"
        return "anchored" if self.tree.root().hex() == self.recorded else "altered"


class ReadListings:
    """Lists them."""

    def __init__(self, catalogue: Catalogue, log: ReadLog, members: Members, place: Place, clock: Clock) -> None:
        self._catalogue = catalogue
        self._log = log
        self._members = members
        self._place = place
        self._clock = clock

    def own(self, *, before: int | None, grant: str | None, limit: int) -> Json:
        """What this gateway keeps, the last one first; `next` continues."""
        found = self._log.list(before=before, grant=grant, limit=limit)
        return {"items": self.entries(found), "next": found[-1].key if len(found) == limit else None}

    def entries(self, found: Sequence[Kept]) -> list[Json]:
        """What is shown of reads as they are kept: each with its list, its proof, and whether the ledger has that."""
        trees: dict[int, _Tree] = {}
        for each in found:
            if each.batch is not None and each.batch not in trees:
                trees[each.batch] = self._tree(each.batch)
        return [_shown(each, None if each.batch is None else trees[each.batch]) for each in found]

    def batch(self, content: bytes, first: int) -> Json:
        """A list, from an entry on, for the member that signed a statement; raises `Undelivered`.

        Args:
            content: the envelope.
        """
        number = self._number(content)
        if self._catalogue.find("access-batch", owner=self._place.organisation, number=str(number)) is None:
            raise RecordNotFound(f"access-batch {number} of {self._place.organisation}")
        held = self._tree(number)
        stop = min(first + PAGE, len(held.leaves))
        return {
            "owner": self._place.organisation,
            "number": number,
            "size": len(held.leaves),
            "items": [
                {"leaf": _text(held.leaves[index]), "index": index, "path": _path(held, index)}
                for index in range(first, stop)
            ],
            "next": stop if stop < len(held.leaves) else None,
        }

    def _number(self, content: bytes) -> int:
        """The list that a member asks for, once it is proven to be one."""
        now = self._clock()
        claim = ListClaim.parse(content)
        said, place = claim.statement, self._place
        if (said.audience, said.channel) != (place.organisation, place.channel):
            raise StatementElsewhere(
                f"the statement is for {said.audience[:64]!r} on the channel {said.channel[:64]!r}, and this is "
                f"{place.organisation} on {place.channel}"
            )
        if abs(now - said.at / 1_000) > _FRESH:
            raise StatementStale(f"the statement is more than {_FRESH:.0f} s from this gateway's clock")
        try:
            self._members.check(claim.organisation, claim.certificate, claim.message, claim.signature)
        except Refuted as exc:
            raise StatementInvalid(f"the statement is not signed by {claim.organisation}: {exc}") from None
        if not self._log.take(claim.organisation, said.nonce, now):
            raise StatementRepeated("the statement was taken before; a new one has another nonce")
        return said.number

    def _tree(self, number: int) -> _Tree:
        leaves = self._log.of_batch(number)
        tree = merkle.Tree(b"".join(merkle.leaf_hash(leaf) for leaf in leaves))
        found = self._catalogue.find("access-batch", owner=self._place.organisation, number=str(number))
        return _Tree(leaves, tree, None if found is None else str(found.value["root"]))


def _shown(kept: Kept, held: _Tree | None) -> Json:
    inside = held is not None and kept.index is not None and kept.index < len(held.leaves)
    return {
        "read": _parsed(kept.leaf),
        "leaf": _text(kept.leaf),
        "batch": kept.batch,
        "index": kept.index,
        "size": None if held is None else len(held.leaves),
        "path": _path(held, kept.index or 0) if held is not None and inside else [],
        "state": "waiting" if held is None else held.state,
    }


def _path(held: _Tree, index: int) -> list[str]:
    return [each.hex() for each in held.tree.inclusion(index)]


def _text(leaf: bytes) -> str:
    """A leaf as text; what was altered so that it is none shows that it was."""
    return leaf.decode("utf-8", "replace")


def _parsed(leaf: bytes) -> Any:
    """What a leaf says; null where it was altered so that it says nothing."""
    try:
        value = json.loads(leaf)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
