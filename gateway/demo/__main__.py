# SPDX-License-Identifier: Apache-2.0
"""`make demo`: play the main job from an empty directory, and say at every step what happened and what it took.

Exit status 0 when every step came out as it should, 1 when one did not, 2 when the consortium could not be started.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from gateway.demo.consortium import ORGANISATIONS, Consortium, usual_ports_are_free
from gateway.demo.containers import Containers
from gateway.demo.processes import StartFailed
from gateway.demo.telling import Disagreement, timed
from pedigree import PedigreeError

if TYPE_CHECKING:
    from gateway.demo.story import Story

MARK = "demonstration"
"""The file that says of a folder that it is a demonstration's own, which the next one may empty."""


def main() -> int:
    """Play the story."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--ledger", choices=("embedded", "fabric"), default="embedded")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--stop", action="store_true", help="stop what an earlier run left running, and end")
    parser.add_argument(
        "--dir", type=Path, help="where everything is kept; emptied first if it is an earlier demonstration's"
    )
    parser.add_argument("--any-port", action="store_true", help="use ports that are free instead of the usual ones")
    parser.add_argument("--tls", action="store_true", help="have the gateways of programs speak TLS")
    parser.add_argument("--network", type=Path, default=Path(".pedigree"), help="a network in containers to play on")
    options = parser.parse_args()
    directory = (options.dir or Path(".pedigree") / f"demo-{options.ledger}").absolute()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if options.stop:
        console.print(f"{Consortium(directory, options.ledger).stop_left_running()} programs stopped")
        return 0
    containers = _in_containers(options, console)
    refusal = _refusal(Consortium(directory if containers is None else containers.directory, options.ledger))
    if refusal is not None:
        console.print(f"[bold red]Nothing was started or changed:[/] {refusal}", soft_wrap=True)
        return 2
    consortium = containers or _as_processes(options, directory, console)
    started = time.monotonic()
    kept = False
    try:
        play(consortium, console)
        if options.keep and isinstance(consortium, Consortium):
            leave(consortium, console, directory)
            kept = True
    except Disagreement as disagreement:
        console.print(f"\n[bold red]The demonstration disagrees:[/] {disagreement}")
        return 1
    except PedigreeError as error:
        console.print(f"\n[bold red]A gateway refused what it should have done:[/] {error}")
        return 1
    except StartFailed as failure:
        console.print(f"\n[bold red]The consortium could not be started:[/] {failure}")
        return 2
    finally:
        if not kept:
            consortium.stop()
    console.print(f"\n[bold green]Every step came out as it should[/] in {time.monotonic() - started:.1f} s.")
    return 0


def _refusal(consortium: Consortium) -> str | None:
    """Why the directory may not be emptied: another demonstration is kept there, or it is not a demonstration's."""
    directory = consortium.directory
    if consortium.is_kept():
        running = ", ".join(consortium.left_running())
        return (
            f"a demonstration is kept in {directory}, {f'where these run: {running}' if running else 'and has ended'}. "
            "End it with: make demo-stop, or play beside it with: python -m gateway.demo --dir FOLDER"
        )
    if directory.exists() and not (directory / MARK).exists() and any(directory.iterdir()):
        return f"{directory} holds something else than a demonstration; choose another folder, or empty it yourself"
    return None


def _in_containers(options: argparse.Namespace, console: Console) -> Containers | None:
    """The network that `make network-up` left running in containers, None where there is none."""
    if options.ledger != "fabric" or options.any_port:
        return None
    directory = (options.dir or Path(".pedigree") / "demo-containers").absolute()
    found = Containers.find(options.network.absolute(), directory)
    if found is not None:
        console.print(f"Playing on the containers of {options.network}, which keep running afterwards.")
    return found


def _as_processes(options: argparse.Namespace, directory: Path, console: Console) -> Consortium:
    any_port = options.any_port
    if not any_port and not usual_ports_are_free():
        console.print("Something listens on the usual ports already; using free ones instead.")
        any_port = True
    return Consortium(directory, options.ledger, any_port=any_port, tls=options.tls)


def play(consortium: Consortium | Containers, console: Console) -> None:
    """Start from nothing, or from what others have left on a shared network, then every step in order."""
    shutil.rmtree(consortium.directory, ignore_errors=True)
    consortium.directory.mkdir(mode=0o700, parents=True)
    (consortium.directory / MARK).touch()
    started = time.monotonic()
    status = console.status("starting a network, three chaincodes and three gateways …")
    with ThreadPoolExecutor(1) as beside, status:
        loading = beside.submit(_load)
        consortium.start()
    console.print(
        f"Three organisations are up on the {consortium.ledger} ledger after {time.monotonic() - started:.1f} s: "
        + ", ".join(f"{name} at {consortium.url(name)}" for name in ORGANISATIONS)
    )
    with closing(loading.result()(consortium, console)) as story:
        story.connect()
        story.choose_names()
        for number, (title, step) in enumerate(story.steps, start=1):
            with timed(console, number, title):
                step()


def _load() -> type[Story]:
    """The story; what it trains with takes longer to import than a network takes to start."""
    from gateway.demo.story import Story

    return Story


def leave(consortium: Consortium, console: Console, directory: Path) -> None:
    """Say where everything answers, and how to stop it."""
    console.print("\n[bold]Left running:[/]")
    for name in ORGANISATIONS:
        console.print(f"  {name}: {consortium.url(name)}   key in {directory / 'gateways' / name / 'demo.key'}")
    console.print(f"  network: {directory / 'network.json'}")
    console.print("  stop it with: make demo-stop")


if __name__ == "__main__":
    sys.exit(main())
