# SPDX-License-Identifier: Apache-2.0
"""`pedigree log` and `pedigree receipt`: the organisation's transparency log, and what proves an entry anywhere."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.cli.console import Json, fields, plain, read_json, show
from gateway.cli.options import using_gateway

_OUTPUT = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file.")


@click.command()
@using_gateway
def log_show(pedigree: Any, as_json: bool) -> None:
    """Show the log, its keys and its witnesses.

    And the logs of others that this organisation's gateway witnesses and mirrors, and checkpoints that show that a log
    forked.
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
        for each in answer["mirrored"]:
            if each["checkpoint"] is not None:
                click.echo(plain(f"mirrors {each['origin']}: {each['checkpoint']['size']} entries"))
        for each in answer["refused"]:
            at = datetime.fromtimestamp(each["at"], UTC).isoformat().replace("+00:00", "Z")
            click.echo(plain(f"REFUSED {at} {each['origin']}: {each['reason']}"))
        click.echo(plain(f"key of the log: {answer['key']}"))
        for vkey in answer["cosigner_keys"]:
            click.echo(plain(f"cosigns with: {vkey}"))
        for vkey in answer["mirror_keys"]:
            click.echo(plain(f"mirrors with: {vkey}"))

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
@click.option(
    "--member", "members", multiple=True, metavar="NAME=FILE",
    help="Compose a policy: a member, and the file of its keys. Repeat it for each.",
)  # fmt: skip
@click.option(
    "--at", "addresses", multiple=True, metavar="NAME=URL",
    help="Where a member's gateway is, such as lab=https://lab.example: the others ask it for cosignatures there.",
)  # fmt: skip
@click.option("--threshold", type=int, help="How many members must have cosigned; by default more than half.")
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="NAME=FILE",
    help="A member, and the file of its mirror's keys (`log-keys/mirror.vkeys`). Repeat it for each.",
)  # fmt: skip
@click.option(
    "--mirrors", "mirror_threshold", type=int, help="How many of the mirrors must have cosigned; 1 by default."
)
@_OUTPUT
@partial(using_gateway, unless="members")
def log_policy(
    pedigree: Any, members: Sequence[str], addresses: Sequence[str], threshold: int | None, mirrors: Sequence[str],
    mirror_threshold: int | None, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Show or compose whom the organisation believes about logs.

    A policy as c2sp.org/tlog-policy has it: logs, witnesses, and how many must agree. Take it from an organisation that
    you trust: its words say whose signatures are enough.

    With --member no gateway is asked, and a policy is composed of the members' keys: FILE is what a member's gateway
    wrote into its data as `log-keys/public.vkeys`, or what `pedigree log show --json` printed there. Members send it to
    one another, and compare it by another way than the network.
    """
    from gateway.tlog import policy
    from gateway.tlog.composing import words

    if not members:
        if addresses or mirrors or threshold is not None:
            raise click.UsageError("--at, --mirror and --threshold are about members: name them with --member.")
        content = pedigree.log_policy()
    else:
        wanted = (mirror_threshold or 1) if mirrors else mirror_threshold or 0
        content = _composed(members, addresses, threshold, mirrors, wanted)
    _write(content, output, as_json, words(policy.parse(content)))


def _composed(
    members: Sequence[str], addresses: Sequence[str], threshold: int | None, mirrors: Sequence[str], wanted: int
) -> bytes:
    from gateway.tlog import composing
    from gateway.tlog.errors import MalformedPolicy

    files, urls, mirroring = _pairs("--member", members), _pairs("--at", addresses), _pairs("--mirror", mirrors)
    for option, named in (("--at", urls), ("--mirror", mirroring)):
        if strange := sorted(named.keys() - files.keys()):
            raise click.BadParameter(f"{strange[0]} is none of the members.", param_hint=option)
    at = {name: f"{url.rstrip('/').removesuffix('/v1/log')}/v1/log" for name, url in urls.items()}
    try:
        found = [
            composing.member(
                name, _keys(Path(file)), at.get(name),
                _keys(Path(mirroring[name]), mirror=True) if name in mirroring else (),
            )
            for name, file in files.items()
        ]  # fmt: skip
        return composing.compose(found, len(found) // 2 + 1 if threshold is None else threshold, wanted).format()
    except MalformedPolicy as exc:
        raise click.BadParameter(f"{exc}.", param_hint="--member") from None


def _keys(file: Path, *, mirror: bool = False) -> list[str]:
    """The keys that a member's gateway wrote, or showed as JSON: of its log and witness, or of its mirror."""
    from gateway.tlog.composing import LARGEST_KEYS, keys_of

    with file.open("rb") as opened:
        content = opened.read(LARGEST_KEYS + 1)
    if not content.lstrip().startswith(b"{"):
        return keys_of(content)
    said = read_json(file)
    found = (said.get("mirror_keys") or []) if mirror else [said.get("key"), *(said.get("cosigner_keys") or [])]
    if not all(isinstance(each, str) for each in found):
        raise click.BadParameter(f"{file} is not what `pedigree log show --json` prints.", param_hint="--member")
    return found


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """What is said of each name; a name is said once."""
    found: dict[str, str] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not separator or not name or not value:
            raise click.BadParameter(f"{each!r} is not of the form NAME=…", param_hint=option)
        if name in found:
            raise click.BadParameter(f"{name} is named twice.", param_hint=option)
        found[name] = value
    return found


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


def _write(content: bytes, output: Path | None, as_json: bool, words: Sequence[str] = ()) -> None:
    """Print or keep a text; what is said of it goes where it does not mix with it."""
    from pedigree.saving import replacing

    text, said = content.decode(), {"words": list(words)} if words else {}

    def render() -> None:
        click.echo(text if output is None else plain(f"{output}: {len(content)} bytes"), nl=output is not None)
        for each in words:
            click.echo(plain(each), err=output is None)

    if output is None:
        show({"text": text, **said}, as_json, render)
        return
    with replacing(output) as file:
        file.write(content)
    show({"file": str(output), "bytes": len(content), **said}, as_json, render)
