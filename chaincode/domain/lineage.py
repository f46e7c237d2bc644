# SPDX-License-Identifier: Apache-2.0
"""Ancestry and impact, over lookup functions: what something was made from, and what was made from it."""

from dataclasses import dataclass, field
from typing import Final

from chaincode.domain.values import Answer, Count, Query, Record, Ref, Text

DEFAULT_LIMIT: Final = Count(1_000)
"""How many nodes a walk visits where the question does not say."""
MOST_NODES: Final = 10_000
"""How many nodes a walk visits at most."""


@dataclass(frozen=True, slots=True)
class Edge(Record):
    """`child` was made from `parent`; written with the child, so that impact can be read from the parent."""

    parent: Ref
    child: Ref
    relation: Text
    """An activity, ``input:<role>``, ``run`` or a model relation."""


@dataclass(frozen=True, slots=True)
class Ancestry(Query):
    """Ask what an artifact was made from, to any depth, up to `limit` nodes."""

    of: Ref
    limit: Count = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Impact(Query):
    """Ask what was made from an artifact, to any depth, up to `limit` nodes."""

    of: Ref
    limit: Count = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Node:
    """An artifact in a lineage, by its least distance from the one that was asked about."""

    reference: Ref
    distance: Count
    review_path: tuple[Ref, ...] = field(default=(), metadata={"max": 10_000})
    """From this node up to the nearest quarantined one; not empty means that this node is `review-required`."""


@dataclass(frozen=True, slots=True)
class Lineage(Answer):
    """The artifacts reached from `of`, nearest first, and the edges among them."""

    of: Ref
    nodes: tuple[Node, ...] = field(metadata={"max": 10_000})
    edges: tuple[Edge, ...] = field(metadata={"max": 100_000})
    complete: bool
    """False where the limit cut the walk short."""
