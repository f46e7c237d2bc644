# SPDX-License-Identifier: Apache-2.0
"""`pedigree log` and `pedigree receipt`: the organisation's transparency log, and what proves an entry anywhere."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway.cli.console import Json, fields, plain, show
from gateway.cli.options import using_gateway

_OUTPUT = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file.")


@click.command()
@using_gateway
def log_show(pedigree: Any, as_json: bool) -> None:
    """Show the log, its keys and its witnesses.

    And the logs of others that this organisation's gateway witnesses, and checkpoints that show that a log forked.
    """
    answer = pedigree.log()

    def render() -> None:
        signed = answer["checkpoint"]
        fields(
            {
                "log": answer["origin"],
                "entries": answer["entries"],
                "signed": "nothing yet" if signed is None else f"{signed['size']} entries, root {signed['root']}",
                **({"trouble": answer["trouble"]} if answer["trouble"] else {}),
            }
        )
        for each in answer["witnesses"]:
            said = f"has cosigned {each['cosigned']} entries"
            click.echo(plain(f"witness {each['name']} {said}{_because(each['trouble'])}"))
        if not answer["witnesses"]:
            click.echo("No witness is asked: the policy of this gateway names none with an address.")
        for each in answer["witnessed"]:
            head = each["checkpoint"]
            said = "nothing of it was cosigned yet" if head is None else f"{head['size']} entries were cosigned"
            click.echo(plain(f"witnesses {each['origin']}: {said}"))
        for each in answer["refused"]:
            at = datetime.fromtimestamp(each["at"], UTC).isoformat().replace("+00:00", "Z")
            click.echo(plain(f"REFUSED {at} {each['origin']}: {each['reason']}"))
        click.echo(plain(f"key of the log: {answer['key']}"))
        for vkey in answer["cosigner_keys"]:
            click.echo(plain(f"cosigns with: {vkey}"))

    show(answer, as_json, render)


@click.command()
@_OUTPUT
@using_gateway
def log_checkpoint(pedigree: Any, output: Path | None, as_json: bool) -> None:
    """Show the log's last checkpoint.

    A signed note as c2sp.org/tlog-checkpoint has it: origin, size, root, and the signatures of the log and of the
    witnesses.
    """
    _write(pedigree.checkpoint(), output, as_json)


@click.command()
@_OUTPUT
@using_gateway
def log_policy(pedigree: Any, output: Path | None, as_json: bool) -> None:
    """Show whom the organisation believes about logs.

    A policy as c2sp.org/tlog-policy has it: logs, witnesses, and how many must agree. Take it from an organisation that
    you trust: its words say whose signatures are enough.
    """
    _write(pedigree.log_policy(), output, as_json)


@click.command()
@click.argument("transaction")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@using_gateway
def receipt(pedigree: Any, transaction: str, output: Path, as_json: bool) -> None:
    """Write what proves a transaction anywhere.

    TRANSACTION is an id, or a reference such as model-version:net:1, which names the transaction that wrote the record.
    The receipt shows that the log of this gateway's organisation has it as valid, and which witnesses cosigned that;
    `pedigree verify` checks it without a network, by a policy that you trust. Witnesses that could not be reached are
    named, and missing from the receipt.
    """
    from gateway.tlog import notes
    from gateway.tlog.checkpoints import Checkpoint
    from gateway.tlog.proofs import TlogProof
    from pedigree.saving import replacing

    content = pedigree.receipt(transaction)
    proof = TlogProof.parse(content)
    note = notes.parse(proof.checkpoint)
    checkpoint = Checkpoint.parse(note.text)
    names = {each.name for each in note.signatures}
    with replacing(output) as file:
        file.write(content)
    witnesses = pedigree.log()["witnesses"]
    missing = [each for each in witnesses if each["name"] not in names]
    found: Json = {
        "file": str(output), "bytes": len(content), "log": checkpoint.origin, "index": proof.index,
        "size": checkpoint.size, "cosigned_by": [each["name"] for each in witnesses if each["name"] in names],
        "missing": [{"name": each["name"], "trouble": each["trouble"]} for each in missing],
    }  # fmt: skip

    def render() -> None:
        click.echo(plain(f"{output}: entry {proof.index + 1} of {checkpoint.size} in {checkpoint.origin}"))
        for name in found["cosigned_by"]:
            click.echo(plain(f"cosigned by {name}"))
        for each in missing:
            click.echo(plain(f"not cosigned by {each['name']}{_because(each['trouble'])}"))

    show(found, as_json, render)


def _because(trouble: str | None) -> str:
    return f"; last trouble: {trouble}" if trouble else ""


def _write(content: bytes, output: Path | None, as_json: bool) -> None:
    from pedigree.saving import replacing

    text = content.decode()
    if output is None:
        show({"text": text}, as_json, lambda: click.echo(text, nl=False))
        return
    with replacing(output) as file:
        file.write(content)
    show(
        {"file": str(output), "bytes": len(content)},
        as_json,
        lambda: click.echo(plain(f"{output}: {len(content)} bytes")),
    )
