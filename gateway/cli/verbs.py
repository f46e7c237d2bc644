# SPDX-License-Identifier: Apache-2.0
"""Verbs that follow from a row of the table of operations: record a command, show what is asked for, list records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click

from gateway.api.operations import BESIDE, GROUPS, OPERATIONS
from gateway.api.operations import FIELDS as MEANINGS
from gateway.api.rows import PAGE_LIMIT, Operation, Parameter
from gateway.cli.answers import found, recorded
from gateway.cli.console import Json, fields, plain, show, table
from gateway.cli.options import CARD, FIELDS, FILE, IDEMPOTENCY_KEY, merged, nested, record, using_gateway, with_card

Callback = Callable[..., None]
Decorator = Callable[[Callback], Callback]

LIMIT: Final = click.option(
    "--limit", type=click.IntRange(1), default=PAGE_LIMIT, show_default=True, help="Most of them to list."
)
CURSOR: Final = click.option("--cursor", help="The `next` of an earlier answer, to go on after it.")
_WHOLE: Final = frozenset({"number", "bit"})
"""Arguments that are whole numbers."""
_METAVARS: Mapping[str, str] = {"artifact": "REFERENCE", "to": "STAGE"}


def add_verbs(main: click.Group, by_hand: Mapping[str, click.Command]) -> None:
    """Add a verb for every operation, and the groups that verbs of two words belong to.

    Args:
        by_hand: verbs that do not follow from a row, by their words: those that the table names, and no other.
    """
    named = {row.verb.words for row in OPERATIONS if "cli" in row.odd} | set(BESIDE)
    if named != set(by_hand):
        raise ValueError(f"the table and the verbs written by hand differ in {', '.join(sorted(named ^ set(by_hand)))}")
    verbs = {**{words: _verb(rows) for words, rows in _by_words() if "cli" not in rows[0].odd}, **by_hand}
    for name, meaning in GROUPS.items():
        if name not in main.commands:
            main.add_command(click.Group(name, help=meaning))
    for words, verb in verbs.items():
        group, _, name = words.rpartition(" ")
        parent = main.commands[group] if group else main
        if not isinstance(parent, click.Group):
            raise TypeError(f"{group} is a verb, and has no verb {name} in it")
        parent.add_command(verb, name)


def _by_words() -> Iterable[tuple[str, list[Operation]]]:
    """The rows that share a verb, those with fewer arguments first."""
    rows = sorted(OPERATIONS, key=lambda row: (row.verb.words, len(row.places)))
    for words, same in groupby(rows, key=lambda row: row.verb.words):
        yield words, list(same)


def _verb(rows: list[Operation]) -> click.Command:
    row = rows[0]
    if row.records:
        callback, parameters = _recording(row)
    elif row.answer.form == "page":
        callback, parameters = _listing(row)
    else:
        callback, parameters = _showing(rows)
    decorated = using_gateway(callback)
    for parameter in reversed(parameters):
        decorated = parameter(decorated)
    return click.command(help="\n\n".join(filter(None, (row.verb.help or row.does, row.verb.more))))(decorated)


def _recording(row: Operation) -> tuple[Callback, list[Decorator]]:
    body, verb = row.body, row.verb
    if body is None:
        raise TypeError(f"{row.name} records no command")
    names = (*body.bound, *verb.arguments)

    def recording(
        pedigree: Any,
        as_json: bool,
        idempotency_key: str | None,
        given: Path | None = None,
        card: Path | None = None,
        **said: Any,
    ) -> None:
        positional = [said.pop(name) for name in names]
        rest = with_card(card, merged(given, *verb.arguments, **nested(said, verb.options)))
        method = getattr(pedigree, row.sdk)
        recorded(record(method, given, *positional, idempotency_key=idempotency_key, **rest), as_json)

    parameters = _arguments(row, names)
    if verb.file == "argument":
        parameters.append(click.argument("given", type=FILE, metavar="FILE"))
    for name in verb.options:
        parameters.append(
            click.option(
                _flag(name.rpartition(".")[2]),
                help=MEANINGS[name],
                required=name in verb.required,
                multiple=name in verb.several,
            )
        )
    if verb.file == "option":
        parameters.append(FIELDS)
    if verb.card:
        parameters.append(CARD)
    return recording, [*parameters, IDEMPOTENCY_KEY]


def _showing(rows: list[Operation]) -> tuple[Callback, list[Decorator]]:
    shortest, longest = rows[0].places, rows[-1].places
    row_of = {len(row.places): row for row in rows}

    def show_one(pedigree: Any, as_json: bool, **said: Any) -> None:
        positional = [value for name in longest if (value := said.pop(name)) is not None]
        answer = getattr(pedigree, row_of[len(positional)].sdk)(*positional, **_without_none(said))
        if "record" in answer:
            found(answer, as_json)
        else:
            show(answer, as_json, lambda: fields(answer))

    arguments = _arguments(rows[-1], longest, optional=longest[len(shortest) :])
    return show_one, [*arguments, *map(_option, rows[0].parameters)]


def _listing(row: Operation) -> tuple[Callback, list[Decorator]]:
    columns = {name.rpartition(".")[2]: name.split(".") for name in row.verb.columns}

    def list_all(pedigree: Any, as_json: bool, limit: int, cursor: str | None, **said: Any) -> None:
        positional = [said.pop(name) for name in row.places]
        ask = partial(getattr(pedigree, row.sdk), *positional, **_without_none(said))
        answer = gather(ask, limit, cursor)
        shown = [{name: _within(item["record"], path) for name, path in columns.items()} for item in answer["items"]]
        show(answer, as_json, lambda: print_list(shown, answer["next"], *columns, counted=answer))

    return list_all, [*_arguments(row, row.places), *map(_option, (*row.parameters, *row.filters)), LIMIT, CURSOR]


def filtered(name: str) -> Decorator:
    """The options of the filters that a list has, by its operation's name, for a verb that is written by hand."""
    (row,) = (row for row in OPERATIONS if row.name == name)

    def decorate(callback: Callback) -> Callback:
        for parameter in reversed(row.filters):
            callback = _option(parameter)(callback)
        return callback

    return decorate


def gather(ask: Callable[..., Json], limit: int, cursor: str | None) -> Json:
    """Items of as many pages as hold `limit`, and where the list goes on."""
    items: list[Any] = []
    while True:
        answer = ask(cursor=cursor, limit=min(limit - len(items), PAGE_LIMIT))
        items += answer["items"]
        cursor = answer["next"]
        if cursor is None or len(items) >= limit:
            return {**answer, "items": items}


def print_list(
    rows: list[Json],
    cursor: str | None,
    *columns: str,
    counted: Mapping[str, Any] | None = None,
    nothing: str = "There is none.",
) -> None:
    """Print rows as a table, and how to go on where there may be more.

    Args:
        counted: an answer that says how many the whole list holds.
    """
    if rows:
        table(rows, *columns)
    elif cursor is None:
        click.echo(nothing)
    if counted is not None and "count" in counted and len(rows) != counted["count"]:
        click.echo(f"{len(rows)} of {'' if counted['count_exact'] else 'at least '}{counted['count']}")
    if cursor is not None:
        click.echo(plain(f"There may be more: go on with --cursor {cursor}"))


def _arguments(row: Operation, names: Iterable[str], optional: Sequence[str] = ()) -> list[Decorator]:
    own = row.verb.words.split()[0]
    arguments: list[Decorator] = []
    for name in names:
        shown = "NAME" if name == own else _METAVARS.get(name, name.upper())
        arguments.append(
            click.argument(
                name,
                type=int if name in _WHOLE else str,
                metavar=f"[{shown}]" if name in optional else shown,
                required=name not in optional,
            )
        )
    return arguments


def _option(parameter: Parameter) -> Decorator:
    form: click.ParamType[Any] = click.STRING
    if parameter.form == "choice":
        form = click.Choice(parameter.choices)
    elif parameter.form == "number":
        form = click.IntRange(parameter.least, parameter.most or None)
    return click.option(
        _flag(parameter.name), parameter.python, type=form, help=parameter.meaning, required=parameter.required
    )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _without_none(said: Mapping[str, Any]) -> Json:
    return {name: value for name, value in said.items() if value is not None}


def _within(record: Json, path: Sequence[str]) -> Any:
    """A member of a record, or of what is in it; of a list its first item's; empty where it is left out."""
    value: Any = record
    for name in path:
        value = value[0] if isinstance(value, list) and value else value
        value = value.get(name, "") if isinstance(value, dict) else ""
    return value
