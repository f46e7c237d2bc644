# SPDX-License-Identifier: Apache-2.0
"""Lineages as trees for the terminal."""

from rich.tree import Tree

from pedigree.documents import Lineage


def references(lineage: Lineage) -> set[str]:
    """The references of every artifact in a lineage."""
    return {node["reference"] for node in lineage["nodes"]}


def tree(title: str, lineage: Lineage, *, up: bool) -> Tree:
    """A lineage as a tree for the terminal; an artifact that was reached twice is drawn once in full."""
    children: dict[str, list[tuple[str, str]]] = {}
    for edge in lineage["edges"]:
        here, there = (edge["child"], edge["parent"]) if up else (edge["parent"], edge["child"])
        children.setdefault(here, []).append((there, edge["relation"]))
    root = Tree(f"   [bold]{title}[/]", guide_style="dim")
    drawn: set[str] = set()
    pending = [(root.add(lineage["of"]), lineage["of"])]
    while pending:
        branch, reference = pending.pop()
        if reference in drawn:
            continue
        drawn.add(reference)
        for other, relation in sorted(children.get(reference, [])):
            pending.append((branch.add(f"{other}  [dim]{relation}[/]"), other))
    return root
