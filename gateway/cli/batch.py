# SPDX-License-Identifier: Apache-2.0
"""`pedigree batch`: many commands at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gateway.cli.console import LARGEST_JSON, Json, parse_json, plain, show
from gateway.cli.exits import exit_of
from gateway.cli.options import FILE, IDEMPOTENCY_KEY, using_gateway


@click.command("batch")
@click.argument("file", type=FILE)
@IDEMPOTENCY_KEY
@using_gateway
def batch(pedigree: Any, file: Path, idempotency_key: str | None, as_json: bool) -> None:
    """Record many commands in few transactions.

    FILE has one command a line, as JSON: {"function": "model:register", "command": {"model": "net", "title": "A
    network"}}, with a "key" of its own if it is to be recorded once in whatever batch. They are recorded in their
    order, and each has its own outcome: one that is refused does not hinder the others.
    """
    commands = list(_lines(file))
    found = pedigree.batch(commands, idempotency_key=idempotency_key)
    outcomes = [_outcome(line, each) for (line, _), each in zip(_numbered(file), found, strict=True)]
    failures = [each for each in outcomes if "code" in each]
    transactions = {each["transaction_id"]: None for each in outcomes if each not in failures}
    answer = {"recorded": len(outcomes) - len(failures), "failed": len(failures), "transactions": list(transactions)}

    def render() -> None:
        for each in failures:
            click.echo(plain(f"{file}:{each['line']}: {each['detail']} [{each['code']}]"), err=True)
        click.echo(f"{answer['recorded']} recorded in {len(transactions)} transactions, {len(failures)} failed")

    show({**answer, "outcomes": outcomes}, as_json, render)
    if failures:
        raise click.exceptions.Exit(exit_of(next(each for each in found if isinstance(each, Exception))))


def _numbered(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers; raises `ValueError` for a file that is too large or no text."""
    if file.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{file} is larger than {LARGEST_JSON >> 20} MiB")
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not JSON Lines: it is not UTF-8 text") from None
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _lines(file: Path) -> Iterator[Json]:
    for number, line in _numbered(file):
        yield parse_json(line, f"{file}:{number}")


def _outcome(line: int, found: Any) -> Json:
    if isinstance(found, Exception):
        said = {name: getattr(found, name) for name in ("code", "status", "retryable", "facts", "detail")}
        return {"line": line, **said}
    return {"line": line, "transaction_id": found.transaction_id, "block": found.block, "record": found.record}
