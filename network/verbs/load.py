# SPDX-License-Identifier: Apache-2.0
"""The verb that puts load on a network and measures it."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from network import running
from network.exits import Exit
from network.operations.errors import OperationsError
from network.verbs.common import as_json_option, directory_option, refusing

if TYPE_CHECKING:
    from network.operations.load import Figures, Target

__all__ = ["loadtest"]


@click.command()
@click.option("--clients", type=click.IntRange(1, 1000), default=10, show_default=True, help="Calls under way at once.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Calls a second; default: what the clients make.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="How long.")
@click.option("--gateway", "urls", multiple=True, help="URL of a gateway; default: those that network.json names.")
@click.option(
    "--key-file",
    "key_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with a gateway's API key, one for each gateway; without any, peers are called themselves.",
)
@click.option("--chaincode", help="Which one peers are asked to run; default: the network's own.")
@directory_option
@as_json_option
@refusing
def loadtest(
    clients: int,
    rate: float | None,
    seconds: float,
    urls: tuple[str, ...],
    key_files: tuple[Path, ...],
    chaincode: str | None,
    *,
    directory: Path,
    as_json: bool,
) -> None:
    """Put load on a network and measure it.

    With API keys, gateways are asked to register data sets: those stay on the ledger. Without, peers and orderers are
    given transactions that write nothing.

    Exit code 0 when nothing failed, otherwise 1.
    """
    from network.operations.load import Load, put

    targets, through = _targets(directory.absolute(), urls, key_files, chaincode)
    with _progress(seconds) as progress:
        figures = put(targets, Load(clients, seconds, rate), progress)
    table = {
        "through": through,
        "clients": clients,
        "rate": rate,
        "seconds": round(figures.seconds, 3),
        "committed": figures.committed,
        "per_second": round(figures.per_second, 1),
        **{f"p{share}_ms": _milliseconds(figures.quantile(share / 100)) for share in (50, 95, 99)},
        "errors": dict(figures.errors),
    }
    click.echo(json.dumps(table)) if as_json else _print_figures(table)
    sys.exit(Exit.FAILED if figures.errors or not figures.committed else Exit.DONE)


def _targets(
    directory: Path, urls: tuple[str, ...], key_files: tuple[Path, ...], chaincode: str | None
) -> "tuple[list[Target], str]":
    from network.operations.loadtargets import RestTarget, WireTarget

    described = running.last_description(directory) or {} if urls else running.description(directory)
    if not key_files:
        if urls:
            raise OperationsError("--gateway needs --key-file with an API key of that gateway")
        return [WireTarget(described, chaincode or described["chaincode_default"])], "peers"
    known = [entry["gateway"] for entry in described.get("organisations", ()) if "gateway" in entry]
    chosen = list(urls) or known[: len(key_files)]
    if len(chosen) != len(key_files):
        raise OperationsError(f"--key-file: {len(key_files)} keys for {len(chosen)} gateways; name each --gateway")
    keys = [file.read_text(encoding="utf-8").strip() for file in key_files]
    return [RestTarget(url, key) for url, key in zip(chosen, keys, strict=True)], "gateways"


@contextmanager
def _progress(seconds: float) -> "Iterator[Callable[[float, Figures], None]]":
    """A bar for people who watch; nothing where nobody does."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.fields[done]} committed, {task.fields[failed]} failed"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("load", total=seconds, done=0, failed=0)

        def tell(passed: float, figures: "Figures") -> None:
            failed = sum(figures.errors.values())
            bar.update(task, completed=min(passed, seconds), done=figures.committed, failed=failed)

        yield tell


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _print_figures(table: "dict[str, Any]") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    shown = Table("through", "clients", "seconds", "committed", "tx/s", "p50 ms", "p95 ms", "p99 ms")
    keys = ("through", "clients", "seconds", "committed", "per_second", "p50_ms", "p95_ms", "p99_ms")
    shown.add_row(*("" if table[key] is None else str(table[key]) for key in keys))
    console.print(shown)
    errors = Table("error", "times")
    for code, count in sorted(table["errors"].items()):
        errors.add_row(code, str(count))
    console.print(errors if table["errors"] else "no errors")
