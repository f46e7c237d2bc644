# SPDX-License-Identifier: Apache-2.0
"""How the `pedigree` command prints: JSON for programs, tables and trees for people, one line for an error."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

P = ParamSpec("P")
Json = dict[str, Any]


class Failure(click.ClickException):
    """An error in one line on standard error; the exit code is 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"pedigree: {self.format_message()}", err=True, file=file)


def told(function: Callable[P, None]) -> Callable[P, None]:
    """Turn every expected failure of a command into one line."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        from chaincode.domain.errors import LedgerError
        from gateway.fabric.errors import FabricError
        from gateway.sdk import PedigreeError
        from gateway.services.ports import PortError
        from gateway.settings import SettingsError

        try:
            function(*args, **kwargs)
        except (PedigreeError, PortError, SettingsError, LedgerError, FabricError) as exc:
            raise Failure(str(exc)) from None
        except OSError as exc:
            raise Failure(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)) from None
        except ValueError as exc:
            raise Failure(str(exc)) from None

    return wrapper


def dumps(value: Any) -> str:
    """JSON as this command prints it."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def show(value: Any, as_json: bool, render: Callable[[], None]) -> None:
    """Print a value as JSON, or let `render` print it for people."""
    if as_json:
        click.echo(dumps(value))
    else:
        render()


def table(rows: Sequence[Mapping[str, Any]], *columns: str) -> None:
    """Print rows under column names."""
    from rich.console import Console
    from rich.table import Table

    printed = Table(box=None, pad_edge=False)
    for column in columns:
        printed.add_column(column)
    for row in rows:
        printed.add_row(*(str(row.get(column, "")) for column in columns))
    Console().print(printed)


def fields(value: Mapping[str, Any]) -> None:
    """Print a record, one field a line; nested values as compact JSON."""
    rows = [
        {"field": name, "value": item if isinstance(item, str | int) else json.dumps(item, ensure_ascii=False)}
        for name, item in value.items()
    ]
    table(rows, "field", "value")


def lineage_tree(lineage: Json, direction: str) -> None:
    """Print a lineage as a tree; what was printed before is named once more and not unfolded again."""
    from rich.console import Console
    from rich.tree import Tree

    near, far = ("child", "parent") if direction == "up" else ("parent", "child")
    edges: dict[str, list[tuple[str, str]]] = {}
    for edge in lineage["edges"]:
        edges.setdefault(edge[near], []).append((edge[far], edge["relation"]))
    flagged = {node["reference"]: node for node in lineage["nodes"]}

    def label(reference: str, relation: str | None) -> str:
        node = flagged.get(reference, {})
        mark = " [red]quarantined[/]" if node.get("quarantined") else ""
        mark += " [yellow]review required[/]" if node.get("review_path") else ""
        return f"{reference}{f' [dim]({relation})[/]' if relation else ''}{mark}"

    root = Tree(label(lineage["of"], None))
    seen = {lineage["of"]}
    waiting = [(lineage["of"], root)]
    while waiting:
        reference, branch = waiting.pop()
        for other, relation in sorted(edges.get(reference, ())):
            leaf = branch.add(label(other, relation))
            if other not in seen:
                seen.add(other)
                waiting.append((other, leaf))
    Console().print(root)


@contextmanager
def hashing(root: Path, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over the bytes of a file or folder; none for small ones or for programs."""
    files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    if quiet or total < 64 * 1024 * 1024:
        yield None
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task(f"hashing {root.name}", total=total)
        yield lambda size: progress.advance(task, size)


def read_json(path: Path) -> Json:
    """An object from a JSON file; raises `ValueError` that names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise ValueError(f"{path} is not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object")
    return value
