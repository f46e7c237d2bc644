# SPDX-License-Identifier: Apache-2.0
"""Taint: the ancestors that `domain.taint` asks for, by key, one call of the peer for each level."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from chaincode.contracts.lineage import parents_of
from chaincode.contracts.state import Ledger
from chaincode.domain.consent import SelectionMark
from chaincode.domain.deployment import Deployment
from chaincode.domain.lifecycle import ArtifactStage, standing_at
from chaincode.domain.lineage import REPLACES, Edge
from chaincode.domain.policy import Policy, Stage, Step, taint_rules
from chaincode.domain.register import edges_of, locate
from chaincode.domain.selection import Selection
from chaincode.domain.taint import Cause, Seen, is_refused, look_up, refuse_tainted, step_of
from chaincode.domain.values import Command, Outcome, Record, Ref


def enforce(ledger: Ledger, command: Command, outcome: Outcome) -> Outcome:
    """What a rule decided, with its mark where something stopped lies above it; or the refusal that is due for that.

    Nothing is read where neither can follow. What is read is the state before this transaction, so this belongs to the
    loads although it comes after the rule.
    """
    looked_at = step_of(command)
    if looked_at is None:
        return _mark(ledger, outcome)
    step, artifact = looked_at
    rules = taint_rules(ledger.get(Policy))
    if is_refused(step, Cause.UNSEEN, rules):
        above = _above(parents_of(ledger, artifact))
        refuse_tainted(step, artifact, look_up(artifact, above, partial(_look, ledger)), rules)
    return outcome


def _mark(ledger: Ledger, outcome: Outcome) -> Outcome:
    record, *others = outcome.writes
    edges = edges_of(record)
    if not edges:
        return outcome
    of = edges[0].child
    found = look_up(of, _above(edges), partial(_look, ledger))
    if not found:
        return outcome
    step = Step.DEPLOY if isinstance(record, Deployment) else Step.RECORD
    refuse_tainted(step, of, found, taint_rules(ledger.get(Policy)))
    # Every kind with a lineage has the field; a test goes through the register.
    marked: Any = record
    return replace(outcome, writes=(replace(marked, tainted_by=found), *others))


def _look(ledger: Ledger, references: Sequence[Ref]) -> list[Seen]:
    """What the ledger holds of ancestors: each one's record, what was added to it later, its stage, and its mark."""
    wanted: list[tuple[type[Record], tuple[Any, ...]]] = []
    for reference in references:
        kind, parts = locate(reference)
        wanted.append((kind.record, parts))
        if kind.amended_by is not None:
            wanted.append((kind.amended_by, (reference,)))
        if kind.digest:
            wanted.append((ArtifactStage, (reference,)))
        if kind.record is Selection:
            wanted.append((SelectionMark, (reference,)))
    found = dict(zip(wanted, ledger.get_all(wanted), strict=True))
    seen = []
    for reference in references:
        kind, parts = locate(reference)
        records = [found[kind.record, parts], found.get((kind.amended_by or kind.record, (reference,)))]
        edges = [edge for record in records if record is not None for edge in edges_of(record)]
        if found.get((SelectionMark, (reference,))) is not None:
            cause: Cause | None = Cause.WITHDRAWN
        else:
            cause = _cause(ledger, found.get((ArtifactStage, (reference,))))
        seen.append(Seen(_above(edges), cause))
    return seen


def _cause(ledger: Ledger, standing: Record | None) -> Cause | None:
    if not isinstance(standing, ArtifactStage):
        return None
    now = standing_at(standing, ledger.at)
    return Cause.QUARANTINED if now.stage is Stage.QUARANTINED else None


def _above(edges: Sequence[Edge]) -> tuple[Ref, ...]:
    """What something was made from; what it was put in the place of is not among it."""
    return tuple(edge.parent for edge in edges if edge.relation != REPLACES)
