# SPDX-License-Identifier: Apache-2.0
"""`pedigree audit`: what a gateway refused, for people, for files, and checked against the ledger."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.cli.console import Json, fields, plain, show
from gateway.cli.evidence import Msp, check_transaction, named_msps, root_given, trusted_block
from gateway.cli.exits import Exit
from gateway.cli.options import FILE, using_gateway
from gateway.cli.transactions import FORM, TO, export
from gateway.cli.verbs import CURSOR, LIMIT, filtered, gather, print_list

_COLUMNS = ("number", "at", "client", "operation", "target", "code", "count")
_ANCHOR = "audit-anchor"


@click.command()
@filtered("listAuditEntries")
@FORM
@TO
@LIMIT
@CURSOR
@using_gateway
def audit_list(pedigree: Any, as_json: bool, **said: Any) -> None:
    """List what this gateway refused, and what failed, the last first.

    Each with the time, the key that asked, what for and about which record, and the code of the answer. What one client
    was refused more often than a gateway lists singly is one entry a minute, with its count.
    """
    form, output, limit, cursor = (said.pop(name) for name in ("form", "output", "limit", "cursor"))
    filters = {name: value for name, value in said.items() if value is not None}
    if form is not None:
        from pedigree.exports import exported_entries

        entries = pedigree.iterate_audit_entries(**filters)
        export(entries, lambda items: exported_entries(items, form), output, as_json, "entries")
        return
    answer = gather(partial(pedigree.audit_entries, **filters), limit, cursor)
    rows = [_row(each) for each in answer["items"]]
    show(answer, as_json, lambda: print_list(rows, answer["next"], *_COLUMNS))


def _row(each: Json) -> Json:
    client = each["client"]
    return {
        **each,
        "at": each["at"].partition(".")[0].removesuffix("Z").replace("T", " "),
        "client": client and (client["name"] or client["id"][:8]),
    }


@click.command()
@click.argument("entry", type=click.IntRange(1))
@using_gateway
def audit_show(pedigree: Any, entry: int, as_json: bool) -> None:
    """Show one entry of the audit log.

    And whether the log that was anchored last has it: the gateway's proof of that is checked here.
    """
    answer = pedigree.audit_entry(str(entry))
    anchor = answer["anchor"]
    if anchor is not None:
        _check_proof(entry, answer)
    said = "not anchored yet" if anchor is None else f"{anchor['number']}, by transaction {anchor['transaction']}"
    show(answer, as_json, lambda: fields({**_row(answer["entry"]), "anchor": said}))


def _check_proof(entry: int, answer: Mapping[str, Any]) -> None:
    from pedigree import InvalidEvidence, merkle

    anchor, hashed = answer["anchor"], merkle.leaf_hash(answer["content"].encode())
    path = [bytes.fromhex(each) for each in answer["path"]]
    try:
        merkle.verify_inclusion(hashed, entry - 1, anchor["size"], path, bytes.fromhex(anchor["root"]))
    except merkle.ProofError as exc:
        raise InvalidEvidence(
            f"entry {entry} is not in the log that anchor {anchor['number']} is over: {exc}"
        ) from None


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file, audit.jsonl say."
)
@using_gateway
def audit_export(pedigree: Any, output: Path, as_json: bool) -> None:
    """Write the whole audit log to a file.

    One entry a line, byte for byte as it is hashed: `pedigree audit verify --file` checks it anywhere.
    """
    pedigree.save_audit_log(output.resolve())
    show({"file": str(output)}, as_json, lambda: click.echo(plain(f"{output}: written")))


@click.command()
@click.option("--file", type=FILE, help="An exported log; without it, the gateway's own is fetched.")
@click.option(
    "--anchor",
    "evidence",
    type=FILE,
    multiple=True,
    help="Evidence of the transaction of an anchor (`pedigree evidence`); repeatable. No gateway is asked then.",
)
@click.option("--genesis", callback=root_given, help="With it: the hash of the channel's first block (64 digits).")
@click.option("--config", type=FILE, help="With it, instead: a configuration block of the channel.")
@click.option("--msp", "msps", type=Msp(), multiple=True, help="With it: an organisation's MSP, as LabMSP=FOLDER.")
@partial(using_gateway, unless="evidence")
def audit_verify(
    pedigree: Any,
    file: Path | None,
    evidence: Sequence[Path],
    genesis: str | None,
    config: Path | None,
    msps: Sequence[tuple[str, Path]],
    as_json: bool,
) -> None:
    """Check an audit log against the anchors on the ledger.

    Every entry names the hash of the one before, and every anchor has the root over all entries so far: the first entry
    that was altered, taken out or put in is named, and the exit code is 1.

    The anchors are those that the gateway read from the ledger: to judge another organisation, give its exported log as
    --file and ask your own gateway. Or give the evidence of an anchor's transaction as --anchor, with --genesis or
    --config as for `pedigree verify`, and no gateway is asked. Entries after the last anchor are only held together by
    their hashes. Without any anchor of the log nothing is proven, and the exit code is 3.
    """
    from pedigree import verify_audit_log

    if evidence:
        if file is None:
            raise click.UsageError("--anchor is of use with the --file of an exported log")
        trusted = trusted_block(genesis, config)
        if trusted is None:
            raise click.UsageError("what an --anchor proves follows from --genesis or --config: give one of them")
        named = named_msps(msps)
        verdict = verify_audit_log(file, [each for path in evidence for each in _anchors(path, trusted, named)])
    elif genesis is not None or config is not None or msps:
        raise click.UsageError("--genesis, --config and --msp are for the evidence of an --anchor")
    elif file is not None:
        verdict = verify_audit_log(file, pedigree.iterate_audit_anchors())
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = pedigree.save_audit_log(Path(folder) / "audit.jsonl")
            verdict = verify_audit_log(path, pedigree.iterate_audit_anchors())
    show(verdict.as_json(), as_json, lambda: click.echo(plain(verdict.text())))
    if not verdict.verified:
        raise SystemExit(Exit.UNPROVEN)


def _anchors(file: Path, trusted: bytes, msps: Mapping[str, Path]) -> Iterable[Json]:
    """The anchors that a file of evidence shows; raises `InvalidEvidence` where it shows none."""
    from pedigree import InvalidEvidence
    from pedigree.evidence import read_evidence

    judged = check_transaction(file, read_evidence(file), trusted, msps, None, None)
    written = [each.as_json()["record"] for each in judged.written]
    found = [record for record in written if record is not None and record["kind"] == _ANCHOR]
    if not found:
        raise InvalidEvidence(f"{file} is not the evidence of an anchor of an audit log")
    return found
