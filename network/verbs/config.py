# SPDX-License-Identifier: Apache-2.0
"""Verbs for the channel's configuration: members, orderers, revocations, and the steps for separate hosts."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from fabric_protos.common import configtx_pb2

from network import overview, running
from network.config import changes, envelopes
from network.config.errors import ConfigError
from network.config.groups import peer_organisation
from network.config.growth import Network, Outcome
from network.config.submit import first_answer, proposed, submit
from network.config.view import describe
from network.durable import write_file
from network.embedded.identity import Signer
from network.topology import Batch, Endpoint, Organisation, check_msp_id
from network.verbs.common import as_json_option, directory_option, refusing
from network.verbs.newcomer import left_to_do

_FILE = click.Path(dir_okay=False, path_type=Path)
_PRESENT = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_sign_with = click.option(
    "--sign-with", "approving", multiple=True, help="Organisation that approves; default: a majority of the members."
)
_out = click.option("--out", "out", type=_FILE, required=True, help="Where to write the update.")


def register(group: click.Group) -> None:
    """Add the verbs of this part."""
    for command in (add_org, remove_org, add_orderer, remove_orderer, crl, config):
        group.add_command(command)
    for step in (export, sign, submit_command, propose):
        config.add_command(step)
    for change in (propose_add_org, propose_remove_org, propose_crl, propose_anchor, propose_batch):
        propose.add_command(change)


class _Address(click.ParamType[Endpoint]):
    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Endpoint:
        if isinstance(value, Endpoint):
            return value
        try:
            return Endpoint.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("add-org")
@click.argument("name")
@click.option("--mspid", required=True, help="The organisation's MSP id, such as MakerMSP.")
@click.option("--domain", required=True, help="Its domain, such as maker.example.")
@click.option("--peer", required=True, type=_Address(), help="Where its peer listens; port 0 for any free one.")
@click.option("--chaincode", type=_Address(), help="Where chaincode dials its peer; default: the peer's port plus one.")
@_sign_with
@directory_option
@as_json_option
@refusing
def add_org(
    name: str,
    mspid: str,
    domain: str,
    peer: Endpoint,
    chaincode: Endpoint | None,
    approving: tuple[str, ...],
    *,
    directory: Path,
    as_json: bool,
) -> None:
    """Make an organisation a member of the running network.

    Makes its keys, has a majority of the members sign the change of the channel, and starts its peer. Asking again
    finishes what was interrupted.
    """
    following = Endpoint(peer.host, peer.port + 1 if peer.port else 0)
    newcomer = Organisation(name, mspid, domain, peer, chaincode or following)
    outcome = _network(directory).add_organisation(newcomer, approving)
    _tell(outcome, f"{mspid} is a member", as_json=as_json)
    if not as_json:
        for line in left_to_do(outcome, newcomer, running.description(directory.absolute())):
            click.echo(line)


@click.command("remove-org")
@click.argument("name")
@_sign_with
@directory_option
@as_json_option
@refusing
def remove_org(name: str, approving: tuple[str, ...], *, directory: Path, as_json: bool) -> None:
    """Take an organisation out of the running network.

    Its peer is stopped; its keys and its copy of the ledger stay on the disk.
    """
    outcome = _network(directory).remove_organisation(name, approving)
    _tell(outcome, f"{name} is no longer a member", as_json=as_json)


@click.command("add-orderer")
@click.argument("address", type=_Address())
@directory_option
@as_json_option
@refusing
def add_orderer(address: Endpoint, *, directory: Path, as_json: bool) -> None:
    """Add an orderer at HOST:PORT (Raft, one at a time).

    It follows the channel first and becomes a consenter then.
    """
    outcome = _network(directory).add_orderer(address)
    _tell(outcome, f"{address} is a consenter", as_json=as_json)


@click.command("remove-orderer")
@click.argument("address", type=_Address())
@directory_option
@as_json_option
@refusing
def remove_orderer(address: Endpoint, *, directory: Path, as_json: bool) -> None:
    """Remove the last orderer, at HOST:PORT (Raft)."""
    outcome = _network(directory).remove_orderer(address)
    _tell(outcome, f"{address} is no longer a consenter", as_json=as_json)


@click.command()
@click.argument("organisation")
@click.argument("lists", nargs=-1, type=_PRESENT)
@click.option("--revoke", "revoked", multiple=True, type=_PRESENT, help="Certificate (PEM) to revoke here and now.")
@_sign_with
@directory_option
@as_json_option
@refusing
def crl(
    organisation: str,
    lists: tuple[Path, ...],
    revoked: tuple[Path, ...],
    approving: tuple[str, ...],
    *,
    directory: Path,
    as_json: bool,
) -> None:
    """Put revocation lists (PEM files) into the channel.

    With --revoke a list is made here, by the organisation's own authority in this directory. The certificates are
    refused from the next block on. The organisation's own administrator approves.
    """
    if not lists and not revoked:
        raise click.UsageError("name a revocation list, or a certificate with --revoke")
    outcome = _network(directory).revoke(
        organisation, [path.read_bytes() for path in lists], [path.read_bytes() for path in revoked], approving
    )
    _tell(outcome, f"revocations of {organisation}", as_json=as_json)


@click.group()
def config() -> None:
    """Steps for organisations on hosts of their own.

    One proposes a change, each signs the file on its own host, one submits it. The files are Fabric's, so
    `peer channel signconfigtx` and `peer channel update` take them too.
    """


@config.command("show")
@directory_option
@as_json_option
@refusing
def show(*, directory: Path, as_json: bool) -> None:
    """Say what the channel's configuration is."""
    found = describe(_current(_network(directory)))
    click.echo(json.dumps(found, indent=None if as_json else 2))


@click.command()
@click.argument("file", type=_FILE)
@directory_option
@refusing
def export(file: Path, *, directory: Path) -> None:
    """Write the configuration in force to FILE.

    It is a `common.Config` in protobuf.
    """
    _refuse_existing(file)
    found = _current(_network(directory))
    write_file(file, found.SerializeToString(deterministic=True), mode=0o644)
    click.echo(f"wrote configuration {found.sequence} to {file}")


@click.group()
def propose() -> None:
    """Write an update that nobody has signed yet."""


@click.command("add-org")
@click.option("--mspid", required=True, help="The newcomer's MSP id.")
@click.option("--msp", "folder", required=True, type=_FOLDER, help="Its MSP folder: public certificates only.")
@click.option("--anchor", "anchors", multiple=True, type=_Address(), help="Its peer that others contact first.")
@_out
@directory_option
@refusing
def propose_add_org(mspid: str, folder: Path, anchors: tuple[Endpoint, ...], out: Path, *, directory: Path) -> None:
    """Make an organisation a member."""
    check_msp_id(mspid, "--mspid")
    try:
        group = peer_organisation(mspid, folder, anchors)
    except ValueError as error:
        raise ConfigError(f"--msp: {error}") from error
    _propose(directory, out, lambda found: changes.add_organisation(found, group))


@click.command("remove-org")
@click.argument("mspid")
@_out
@directory_option
@refusing
def propose_remove_org(mspid: str, out: Path, *, directory: Path) -> None:
    """Take the member with that MSP id out."""
    _propose(directory, out, lambda found: changes.remove_organisation(found, mspid))


@click.command("crl")
@click.argument("mspid")
@click.argument("lists", nargs=-1, required=True, type=_PRESENT)
@_out
@directory_option
@refusing
def propose_crl(mspid: str, lists: tuple[Path, ...], out: Path, *, directory: Path) -> None:
    """Put revocation lists (PEM files) into an organisation's MSP."""
    content = [path.read_bytes() for path in lists]
    _propose(directory, out, lambda found: changes.revoke(found, mspid, content))


@click.command("anchor")
@click.argument("mspid")
@click.argument("anchors", nargs=-1, required=True, type=_Address())
@_out
@directory_option
@refusing
def propose_anchor(mspid: str, anchors: tuple[Endpoint, ...], out: Path, *, directory: Path) -> None:
    """Replace an organisation's anchor peers."""
    _propose(directory, out, lambda found: changes.set_anchors(found, mspid, anchors))


@click.command("batch")
@click.option(
    "--timeout-ms",
    help="Longest wait for a full block.",
    type=click.IntRange(1),
    default=Batch().timeout_ms,
    show_default=True,
)
@click.option(
    "--max-messages",
    help="Most transactions in a block.",
    type=click.IntRange(1),
    default=Batch().max_messages,
    show_default=True,
)
@click.option(
    "--absolute-max-bytes",
    help="Largest transaction, and block.",
    type=click.IntRange(1),
    default=Batch().absolute_max_bytes,
    show_default=True,
)
@click.option(
    "--preferred-max-bytes",
    help="Size at which a block is cut.",
    type=click.IntRange(1),
    default=Batch().preferred_max_bytes,
    show_default=True,
)
@_out
@directory_option
@refusing
def propose_batch(out: Path, *, directory: Path, **sizes: int) -> None:
    """Change when the ordering service cuts a block.

    Its administrators have to sign.
    """
    _propose(directory, out, lambda found: changes.set_batch(found, Batch(**sizes)))


@click.command()
@click.argument("file", type=_FILE)
@click.option("--org", "organisation", help="Organisation of this directory whose administrator signs.")
@click.option("--msp", "folder", type=_FOLDER, help="Instead: the administrator's MSP folder.")
@click.option("--mspid", help="With --msp: the MSP id of its organisation.")
@click.option("--yes", is_flag=True, help="Sign without asking.")
@directory_option
@refusing
def sign(
    file: Path, organisation: str | None, folder: Path | None, mspid: str | None, *, yes: bool, directory: Path
) -> None:
    """Say what an update changes, and approve it in FILE."""
    envelope, update = envelopes.read(file.read_bytes())
    click.echo(f"update of channel {update.channel_id}:", err=True)
    for line in envelopes.changes(update):
        click.echo(f"  {line}", err=True)
    signer = _signer(directory, organisation, folder, mspid)
    if not yes:
        click.confirm(f"approve as {signer.msp_id}?", abort=True, err=True)
    signed = envelopes.approve(envelope, signer)
    write_file(file, signed.SerializeToString(), mode=0o644)
    click.echo(f"approved by {', '.join(envelopes.signers(signed))}")


@click.command("submit")
@click.argument("file", type=_FILE)
@directory_option
@as_json_option
@refusing
def submit_command(file: Path, *, directory: Path, as_json: bool) -> None:
    """Have an update ordered, and wait until all peers have it."""
    envelope, update = envelopes.read(file.read_bytes())
    network = _network(directory)
    with overview.administrators(network.described) as found, overview.ordering(network.described) as ordering:
        before = first_answer(found, update.channel_id)
        present = set(changes.members(before).values())
        members = [each for each in found if each.member.msp_id in present]
        done = submit(update.channel_id, envelope, before, members, members[0], ordering)
    _tell(Outcome(done, ()), f"update of channel {update.channel_id}", as_json=as_json)


def _network(directory: Path) -> Network:
    return Network.running(directory.absolute(), lambda line: click.echo(line, err=True))


def _current(network: Network) -> configtx_pb2.Config:
    with overview.administrators(network.described) as found:
        return first_answer(found, network.channel)


def _propose(directory: Path, out: Path, wanted: Callable[[configtx_pb2.Config], configtx_pb2.Config]) -> None:
    _refuse_existing(out)
    network = _network(directory)
    envelope = proposed(network.channel, _current(network), wanted)
    if envelope is None:
        raise ConfigError("the channel's configuration is so already: there is nothing to sign")
    write_file(out, envelope.SerializeToString(), mode=0o644)
    _, update = envelopes.read(out.read_bytes())
    for line in envelopes.changes(update):
        click.echo(f"  {line}", err=True)
    click.echo(f"wrote {out}; each approves it with: pedigree-network config sign {out}")


def _refuse_existing(file: Path) -> None:
    """It may be an update that others have signed already, and their approvals are nowhere else."""
    if os.path.lexists(file):
        raise ConfigError(f"{file} exists already: name a new file")


def _signer(directory: Path, organisation: str | None, folder: Path | None, mspid: str | None) -> Signer:
    if folder is not None and mspid is not None:
        check_msp_id(mspid, "--mspid")
        try:
            return Signer.from_folder(folder, mspid)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    if organisation is None or folder is not None:
        raise ConfigError("name the organisation that signs: --org NAME, or --msp FOLDER and --mspid ID")
    return _network(directory).signer(organisation)


def _tell(outcome: Outcome, what: str, *, as_json: bool) -> None:
    done = outcome.done
    if as_json:
        result = {"changed": done.changed, "block": done.block, "sequence": done.sequence}
        click.echo(json.dumps(result | {"members": list(outcome.members), "chaincodes": list(outcome.chaincodes)}))
    elif done.changed:
        click.echo(f"{what}: configuration {done.sequence}, block {done.block}")
    else:
        click.echo(f"{what} already: configuration {done.sequence}")
