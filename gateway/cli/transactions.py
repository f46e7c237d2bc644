# SPDX-License-Identifier: Apache-2.0
"""`pedigree transactions`, `pedigree history` and bare `pedigree log`: who did what, for people and for files."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.console import Json, plain, show
from gateway.cli.options import using_gateway
from gateway.cli.outputs import OUTPUT
from gateway.cli.verbs import CURSOR, LIMIT, filtered, gather, print_list

_COLUMNS: Final = ("block", "at", "organisation", "client", "function", "about", "validity")
_FORMATS: Final = ("csv", "jsonl")
_LIST: Final = "list"
FORM = click.option("--export", "form", type=click.Choice(_FORMATS), help="Write all of them as CSV or JSON Lines.")
TO = click.option("-o", "--output", type=OUTPUT, default=Path("-"), help="The file for --export; `-` is the terminal.")
_ORDER = click.option("--order", type=click.Choice(("ledger", "newest")), help="The newest first, or in ledger order.")
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _listing(operation: str) -> _Decorator:
    """The options of a list of transactions."""

    def decorate(callback: Callable[..., Any]) -> Callable[..., Any]:
        for option in (CURSOR, LIMIT, TO, FORM, _ORDER):
            callback = option(callback)
        return filtered(operation)(callback)

    return decorate


def _list(ask: Callable[..., Json], iterate: Callable[..., Iterable[Any]], as_json: bool, **said: Any) -> None:
    form, output, limit, cursor = (said.pop(name) for name in ("form", "output", "limit", "cursor"))
    filters = {name: value for name, value in said.items() if value is not None}
    if form is not None:
        _export(iterate(**filters), form, output, as_json)
        return
    answer = gather(partial(ask, **filters), limit, cursor)
    rows = [_row(each) for each in answer["items"]]
    show(answer, as_json, lambda: print_list(rows, answer["next"], *_COLUMNS, counted=answer))


def _row(each: Json) -> Json:
    client, about = each["client"], each["about"]
    return {
        "block": each["block"],
        "at": each["at"] and each["at"].partition(".")[0].removesuffix("Z").replace("T", " "),
        "organisation": each["organisation"],
        "client": client and (client["name"] or client["id"][:8]),
        "function": each["function"] or ("(configuration)" if each["chaincode"] is None else ""),
        "about": "" if not about else about[0] + (f" and {len(about) - 1} more" if len(about) > 1 else ""),
        "validity": each["validity"],
    }


def _export(transactions: Iterable[Any], form: str, output: Path, as_json: bool) -> None:
    from pedigree.exports import exported

    export(transactions, lambda items: exported(items, form), output, as_json, "transactions")


def export(
    items: Iterable[Any], lines_of: Callable[[Iterable[Any]], Iterable[str]], output: Path, as_json: bool, what: str
) -> None:
    """Write the lines that are made of all items, and say how many items these were, unless it is to the terminal."""
    from pedigree.saving import replacing

    count = 0

    def counted() -> Iterable[Any]:
        nonlocal count
        for each in items:
            count += 1
            yield each

    lines = lines_of(counted())
    if str(output) == "-":
        for line in lines:
            click.echo(line, nl=False)
        return
    with replacing(output.resolve()) as file:
        file.writelines(line.encode() for line in lines)
    show({"file": str(output), what: count}, as_json, lambda: click.echo(plain(f"{output}: {count}")))


@click.command()
@_listing("listTransactions")
@using_gateway
def transactions(pedigree: Any, as_json: bool, **said: Any) -> None:
    """List every transaction, invalid ones too.

    Each with the block, the time that its client claims, the organisation that signed it, for whom its gateway signed,
    what was called and about which record, and whether peers found it valid; --json has the certificate, its subject
    and the endorsing organisations too. `pedigree log` with the same options is the same list.
    """
    _list(pedigree.transactions, pedigree.iterate_transactions, as_json, **said)


@click.command()
@click.argument("reference")
@_listing("getHistory")
@using_gateway
def history(pedigree: Any, reference: str, as_json: bool, **said: Any) -> None:
    """List the transactions that touched a record.

    REFERENCE is such as model-version:net:1: what recorded it, what vouched for it, what was made of it, and what would
    have changed it but was found invalid.
    """

    def iterate(**filters: Any) -> Iterable[Any]:
        return pedigree.iterate_history(reference, **filters)  # type: ignore[no-any-return]

    _list(partial(pedigree.history, reference), iterate, as_json, **said)


class _Log(click.Group):
    """A group whose verb is to list transactions where none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, with the verb that is meant."""
        verb = next(iter(args), "")
        if verb not in self.commands and verb not in self.get_help_option_names(ctx):
            args = [_LIST, *args]
        return super().parse_args(ctx, args)


log: Final = _Log("log", help="List transactions, or show the transparency log.")
log.add_command(transactions, _LIST)
