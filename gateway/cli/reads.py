# SPDX-License-Identifier: Apache-2.0
"""`pedigree access attempts` and `reads`: attempts on the ledger, and the reads that have no transaction each."""

from functools import partial
from typing import Any, Final

import click

from gateway.cli.console import Json, show, table
from gateway.cli.options import using_gateway
from gateway.cli.verbs import CURSOR, LIMIT, filtered, gather, print_list

_SAID: Final = ("at", "by", "grant", "artifact", "action", "decision", "reason")
_COLUMNS: Final = (*_SAID, "form", "proof")
_RECORDED: Final = "on the ledger"
_AUDITED: Final = frozenset({"owner", "grant"})
"""What the reads of another owner's gateway are chosen by."""


@click.command()
@click.option("--before", type=click.IntRange(1), help="Only those before this one: what `next` said.")
@click.option("--grant", help="Only those of this grant, by its name.")
@using_gateway
def access_reads(pedigree: Any, before: int | None, grant: str | None, as_json: bool) -> None:
    """List the reads that your gateway decided by itself."""
    answer = pedigree.access_reads(before=before, grant=grant)
    rows = [_kept(each) for each in answer["items"]]
    show(answer, as_json, lambda: table(rows, *_COLUMNS))
    _refuse_wrong(rows)


@click.command()
@filtered("listAccesses")
@LIMIT
@CURSOR
@click.option("--from", "source", metavar="URL", help="The gateway of that owner, for the reads that it decided.")
@using_gateway
def access_attempts(
    pedigree: Any, limit: int, cursor: str | None, source: str | None, as_json: bool, **filters: Any
) -> None:
    """List attempts and small reads together.

    Attempts are on the ledger. Reads under a batched grant have no transaction each: the owner of the data keeps them,
    and commits to them by lists. With --from they come from the owner's gateway, and each is compared with the root
    that your own gateway has on the ledger; without it they are those that your gateway keeps.
    """
    if source is None:
        answer = gather(partial(pedigree.accesses, **filters), limit, cursor)
        rows, following = [_of_one(each) for each in answer["items"]], answer["next"]
    else:
        rows, following = _with_audited(pedigree, source, filters, cursor), None
    found = {"items": rows, "next": following}
    show(found, as_json, lambda: print_list(rows, following, *_COLUMNS))
    _refuse_wrong(rows)


def _with_audited(pedigree: Any, source: str, filters: Json, cursor: str | None) -> list[Json]:
    """Attempts, and the reads that the owner's gateway gives, all of them."""
    context = click.get_current_context()
    owner, grant = filters["owner"], filters["grant"]
    if owner is None:
        raise click.UsageError("--from is the gateway of an owner; say whose with --owner", context)
    other = next((name for name, value in filters.items() if value is not None and name not in _AUDITED), None)
    if other is not None or cursor is not None:
        raise click.UsageError(f"--from goes with --owner and --grant, and not with --{other or 'cursor'}", context)
    attempts = pedigree.iterate_access_attempts(grant=grant, owner=owner)
    rows = [
        _row(each["record"], f"transaction {each['record']['attempt']}", _RECORDED, wrong=False) for each in attempts
    ]
    rows += _audited(pedigree, owner, source, grant)
    return sorted(rows, key=lambda row: row["at"] or 0)


def _audited(pedigree: Any, owner: str | None, source: str, grant: str | None) -> list[Json]:
    rows = []
    for each in pedigree.audit_reads(owner, source):
        if grant is None or each.read is None or each.read.get("grant") == grant:
            form = f"list {each.batch}, entry {each.index}"
            rows.append(_row(each.read or {}, form, each.problem or "verified", wrong=each.problem is not None))
    return rows


def _of_one(each: Json) -> Json:
    if each["form"] == "read":
        return _kept(each["read"])
    return _row(each, f"transaction {each['attempt']}", _RECORDED, wrong=False)


def _kept(entry: Json) -> Json:
    form = "waits" if entry["batch"] is None else f"list {entry['batch']}, entry {entry['index']}"
    return _row(entry["read"] or {}, form, entry["state"], wrong=entry["state"] == "altered")


def _row(said: Json, form: str, proof: str, *, wrong: bool) -> Json:
    return {**{name: said.get(name) for name in _SAID}, "form": form, "proof": proof, "wrong": wrong}


def _refuse_wrong(rows: list[Json]) -> None:
    """End as a comparison that differs does, where a read is not what the ledger has."""
    from pedigree import Disagreement

    if wrong := [row for row in rows if row["wrong"]]:
        raise Disagreement(
            f"{len(wrong)} of the reads are not what the ledger has; {wrong[0]['form']}: {wrong[0]['proof']}"
        )
