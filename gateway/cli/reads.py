# SPDX-License-Identifier: Apache-2.0
"""`pedigree access attempts` and `reads`: attempts on the ledger, and the reads that have no transaction each."""

from typing import Any, Final

import click

from gateway.cli.console import Json, show, table
from gateway.cli.options import using_gateway

_SAID: Final = ("at", "by", "grant", "artifact", "action", "decision", "reason")
_COLUMNS: Final = (*_SAID, "form", "proof")


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
@click.option("--grant", help="Only those of this grant, by its name.")
@click.option("--owner", metavar="ORGANISATION", help="Only those of this organisation's data, by its MSP id.")
@click.option("--from", "source", metavar="URL", help="The gateway of that owner, for the reads that it decided.")
@using_gateway
def access_attempts(pedigree: Any, grant: str | None, owner: str | None, source: str | None, as_json: bool) -> None:
    """List attempts and small reads together.

    Attempts are on the ledger. Reads under a batched grant have no transaction each: the owner of the data keeps them,
    and commits to them by lists. With --from they come from the owner's gateway, and each is compared with the root
    that your own gateway has on the ledger; without it they are those that your gateway keeps.
    """
    if source is not None and owner is None:
        raise click.UsageError("--from is the gateway of an owner; say whose with --owner", click.get_current_context())
    rows = [_attempted(each["record"]) for each in pedigree.iterate_access_attempts(grant=grant, owner=owner)]
    rows += _own(pedigree, grant) if source is None else _audited(pedigree, owner, source, grant)
    rows.sort(key=lambda row: row["at"] or 0)
    show({"items": rows}, as_json, lambda: table(rows, *_COLUMNS))
    _refuse_wrong(rows)


def _own(pedigree: Any, grant: str | None) -> list[Json]:
    rows: list[Json] = []
    before: int | None = None
    while True:
        answer = pedigree.access_reads(before=before, grant=grant)
        rows += [_kept(each) for each in answer["items"]]
        before = answer["next"]
        if before is None:
            return rows


def _audited(pedigree: Any, owner: str | None, source: str, grant: str | None) -> list[Json]:
    rows = []
    for each in pedigree.audit_reads(owner, source):
        if grant is None or each.read is None or each.read.get("grant") == grant:
            form = f"list {each.batch}, entry {each.index}"
            rows.append(_row(each.read or {}, form, each.problem or "verified", wrong=each.problem is not None))
    return rows


def _attempted(record: Json) -> Json:
    return _row(record, f"transaction {record['attempt']}", "on the ledger", wrong=False)


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
