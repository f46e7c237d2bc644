# SPDX-License-Identifier: Apache-2.0
"""Lineage: the edges of one artifact as the ledger holds them; `domain.lineage` walks them.

Upwards every edge is in the child's own record and is read by key. Downwards a range of edge entries is read,
which is why impact can be asked and never submitted.
"""

from collections.abc import Callable
from functools import partial

from chaincode.contracts.endorsement import approval_of
from chaincode.contracts.state import Ledger
from chaincode.domain.approval import rests
from chaincode.domain.consent import SelectionMark
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.lifecycle import ArtifactStage, standing_at
from chaincode.domain.lineage import MOST_ASKED, Ancestry, Edge, Impact, Lineage, walk
from chaincode.domain.policy import Policy, Stage
from chaincode.domain.register import edges_of, locate, successor
from chaincode.domain.selection import Selection
from chaincode.domain.values import Ref


def ancestry(ledger: Ledger, query: Ancestry) -> Lineage:
    """What an artifact was made from."""
    _refuse_absent(ledger, query.of)
    return walk(
        query.of,
        limit=query.limit,
        edges_of=lambda reference: parents_of(ledger, reference),
        quarantined=lambda reference: _quarantined(ledger, reference),
        withdrawn=lambda reference: _withdrawn(ledger, reference),
        superseded_by=lambda reference: _superseded_by(ledger, reference),
        lost=_losses(ledger),
        most=MOST_ASKED,
    )


def impact(ledger: Ledger, query: Impact) -> Lineage:
    """What was made from an artifact."""
    _refuse_absent(ledger, query.of)
    return walk(
        query.of,
        limit=query.limit,
        edges_of=lambda reference: ledger.beginning(Edge, reference),
        quarantined=lambda reference: _quarantined(ledger, reference),
        withdrawn=lambda reference: _withdrawn(ledger, reference),
        superseded_by=lambda reference: _superseded_by(ledger, reference),
        lost=_losses(ledger),
        most=MOST_ASKED,
    )


def parents_of(ledger: Ledger, reference: Ref) -> tuple[Edge, ...]:
    """The edges to what `reference` was made from; none where it is not on the ledger."""
    return _edges(ledger, reference) or ()


def _losses(ledger: Ledger) -> Callable[[Ref], bool]:
    """Answers whether an artifact's approval has lost its quorum; the policy is read once."""
    in_force = ledger.get(Policy)

    def lost(reference: Ref) -> bool:
        if not locate(reference)[0].digest:
            return False
        standing = ledger.get(ArtifactStage, reference)
        if standing is None or not rests(standing):
            return False
        return approval_of(ledger, in_force, reference).lost(ledger.at) is not None

    return lost


def _refuse_absent(ledger: Ledger, reference: Ref) -> None:
    if _edges(ledger, reference) is None:
        raise RecordNotFound(reference)


def _edges(ledger: Ledger, reference: Ref) -> tuple[Edge, ...] | None:
    """The edges upwards; None for what is not on the ledger, and for kinds that have no lineage of their own."""
    kind, parts = locate(reference)
    record = None if kind.edges is None else ledger.get(kind.record, *parts)
    if record is None:
        return None
    amendment = None if kind.amended_by is None else ledger.get(kind.amended_by, reference)
    return edges_of(record) + (() if amendment is None else edges_of(amendment))


def _quarantined(ledger: Ledger, reference: Ref) -> bool:
    kind, _ = locate(reference)
    standing = ledger.get(ArtifactStage, reference) if kind.digest else None
    return standing is not None and standing_at(standing, ledger.at).stage is Stage.QUARANTINED


def _withdrawn(ledger: Ledger, reference: Ref) -> bool:
    kind, _ = locate(reference)
    return kind.record is Selection and ledger.get(SelectionMark, reference) is not None


def _superseded_by(ledger: Ledger, reference: Ref) -> Ref | None:
    kind, _ = locate(reference)
    after = successor(reference)
    found = None if after is None else ledger.cited(kind.record, (after,)).get(after)
    return after if found is not None and kind.replaced_by(partial(getattr, found)) else None
