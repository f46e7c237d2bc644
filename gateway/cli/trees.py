# SPDX-License-Identifier: Apache-2.0
"""A lineage as a tree on a terminal: what was stopped, what follows from it, and where the tree was cut."""

import re
from collections.abc import Mapping
from typing import Any, Final

import click

from gateway.cli.console import Json, plain

_DEEPEST: Final = 15
"""Steps that are drawn beside each other; farther down a line begins with how many steps away it is."""
_STEP: Final = 4
"""Characters that a step takes."""
_NUMBER: Final = re.compile(r"([0-9]+)")


def lineage_tree(lineage: Json, direction: str) -> None:
    """Print a lineage as a tree; what was unfolded above is named again and not unfolded a second time."""
    near, far = ("child", "parent") if direction == "up" else ("parent", "child")
    edges: dict[str, list[tuple[str, str]]] = {}
    for edge in lineage["edges"]:
        edges.setdefault(edge[near], []).append((edge[far], edge["relation"]))
    nodes = {node["reference"]: node for node in lineage["nodes"]}
    seen: set[str] = set()
    waiting = [("", "", lineage["of"], "")]
    while waiting:
        before, branch, reference, relation = waiting.pop()
        repeated = reference in seen and reference in edges
        label = _label(reference, relation, nodes.get(reference, {}), repeated=repeated)
        click.echo(_indented(before) + branch + label)
        if reference in seen:
            continue
        seen.add(reference)
        before += {"": "", "├── ": "│   ", "└── ": "    "}[branch]
        below = sorted(edges.get(reference, ()), key=_in_order, reverse=True)
        waiting += [(before, "├── " if index else "└── ", *edge) for index, edge in enumerate(below)]
    _sum_up(lineage, direction)


def _indented(before: str) -> str:
    """What stands before a line; without the outer steps where it would be wider than a terminal."""
    steps = len(before) // _STEP
    return before if steps <= _DEEPEST else f"{f'{steps}:':<{_STEP}}{before[-_STEP * _DEEPEST :]}"


def _in_order(edge: tuple[str, str]) -> list[tuple[int, str]]:
    """Version 9 before version 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBER.split(edge[0])]


def _label(reference: str, relation: str, node: Mapping[str, Any], *, repeated: bool) -> str:
    parts = [plain(reference)]
    if relation:
        parts.append(click.style(f"({plain(relation)})", dim=True))
    if node.get("quarantined"):
        parts.append(click.style("quarantined", fg="red"))
    if node.get("withdrawn"):
        parts.append(click.style("consent withdrawn", fg="red"))
    if node.get("quorum_lost"):
        parts.append(click.style("quorum lost", fg="yellow"))
    if path := node.get("review_path"):
        parts.append(click.style(f"review required, for {plain(path[-1])}", fg="yellow"))
    if node.get("superseded_by"):
        parts.append(click.style(f"superseded by {plain(node['superseded_by'])}", fg="yellow"))
    if repeated:
        parts.append(click.style("see above", dim=True))
    return " ".join(parts)


def _sum_up(lineage: Json, direction: str) -> None:
    """What of it is stopped, and that there is more, where there is."""
    nodes = lineage["nodes"]
    counts = {
        "quarantined": sum(bool(node.get("quarantined")) for node in nodes),
        "with their consent withdrawn": sum(bool(node.get("withdrawn")) for node in nodes),
        "with their quorum lost": sum(bool(node.get("quorum_lost")) for node in nodes),
        "to be reviewed": sum(bool(node.get("review_path")) for node in nodes),
    }
    if any(counts.values()):
        said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        click.echo(f"\nOf {len(nodes):,} artifacts: {said}.")
    if not lineage.get("complete", True):
        click.echo(
            f"\nCut at {len(nodes):,} artifacts: there is more than this, perhaps also stopped. --limit shows more;\n"
            f"pedigree impact {plain(lineage['of'])} --direction {direction} lists all, and says how many there are."
        )
