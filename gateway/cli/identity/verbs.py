# SPDX-License-Identifier: Apache-2.0
"""`pedigree identity`: enrol with a Fabric CA, and look after the identities of a wallet."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.console import Failure, fields, show, table
from gateway.cli.identity.authority import VERBS
from gateway.cli.identity.options import (
    FILE,
    PATH,
    CaAt,
    WalletAt,
    as_json,
    ask,
    plainly,
    using_ca,
    using_wallet,
)

if TYPE_CHECKING:  # imported where used, so that `--help` answers at once
    from gateway.identities.credential import Credential
    from gateway.identities.wallet import Wallet


@click.group()
def identity() -> None:
    """Enrol with a Fabric CA; keep, renew, revoke."""


@identity.command("enrol")
@click.argument("name")
@click.option("--msp-id", required=True, envvar="PEDIGREE_MSP_ID", help="MSP id of the organisation.")
@click.option("--label", help="What the wallet calls it; by default NAME.")
@click.option("--secret-file", type=FILE, help="Its secret; also PEDIGREE_ENROL_SECRET, PEDIGREE_ENROL_SECRET_FILE.")
@click.option(
    "--key",
    "algorithm",
    default="p256",
    show_default=True,
    type=click.Choice(["p256", "p384", "ed25519"]),
    help="Kind of key to make.",
)
@click.option("--host", "hosts", multiple=True, help="DNS name or IP address for the certificate; may be repeated.")
@click.option("--attribute", "attributes", multiple=True, help="NAME or NAME:opt to ask for; may be repeated.")
@click.option("--profile", default="", help="Signing profile of the CA, such as tls.")
@click.option("--if-needed", is_flag=True, help="Do nothing when the wallet holds a valid identity of this name.")
@click.option("--msp", type=PATH, help="Also write an MSP folder here, which takes the place of a former one.")
@using_wallet
@using_ca
@as_json
@plainly
def enrol(
    name: str,
    msp_id: str,
    label: str | None,
    secret_file: Path | None,
    algorithm: str,
    hosts: tuple[str, ...],
    attributes: tuple[str, ...],
    profile: str,
    if_needed: bool,
    msp: Path | None,
    wallet_at: WalletAt,
    ca_at: CaAt,
    as_json: bool,
) -> None:
    """Get a certificate for NAME into the wallet, by its secret."""
    from gateway.identities.credential import checked_label
    from gateway.identities.records import AttributeRequest
    from gateway.identities.secretsources import read_secret

    # Before a wallet is made and, above all, before the secret is used up at the CA.
    label = checked_label(label or name)
    wanted = [AttributeRequest.parse(text) for text in attributes] if attributes else None
    with wallet_at.open(make=True) as wallet:
        known = _usable(wallet, label, name, msp_id) if if_needed else None
        if known is None:
            secret = read_secret(
                f"the enrolment secret of {name}", file=secret_file, variable="PEDIGREE_ENROL_SECRET", prompt=ask
            ).decode()
            with ca_at.open() as ca:
                found = ca.enrol(
                    name, secret, msp_id=msp_id, key=wallet.new_key(algorithm), hosts=hosts,
                    attributes=wanted, profile=profile,
                )  # fmt: skip
            wallet.put(label, found)
        _done(wallet.get(label), label, msp, as_json, enrolled=known is None)


def _usable(wallet: "Wallet", label: str, name: str, msp_id: str) -> "Credential | None":
    """The wallet's identity, unless it is missing, expired, damaged or another's."""
    from gateway.identities.errors import CertificateExpired, DamagedIdentity

    if label not in wallet:
        return None
    try:
        known = wallet.get(label)
        known.check_validity(datetime.now(UTC))
    except (CertificateExpired, DamagedIdentity) as exc:
        click.echo(f"enrolling again: {exc}", err=True)
        return None
    if known.name != name or known.msp_id != msp_id:
        raise Failure(f"{label!r} is {known.name} of {known.msp_id} in the wallet; choose another --label")
    return known


@identity.command("reenrol")
@click.argument("label")
@click.option("--if-due", is_flag=True, help="Only when two thirds of the certificate's time have passed.")
@click.option("--host", "hosts", multiple=True, help="DNS name or IP address for the certificate; may be repeated.")
@click.option("--profile", default="", help="Signing profile of the CA, such as tls.")
@click.option("--msp", type=PATH, help="Also write an MSP folder here, which takes the place of a former one.")
@using_wallet
@using_ca
@as_json
@plainly
def reenrol(
    label: str,
    if_due: bool,
    hosts: tuple[str, ...],
    profile: str,
    msp: Path | None,
    wallet_at: WalletAt,
    ca_at: CaAt,
    as_json: bool,
) -> None:
    """Renew the key and certificate of a valid identity. The old certificate is not revoked."""
    from gateway.identities.keys import algorithm_of
    from gateway.identities.renewal import due_at

    with wallet_at.open() as wallet:
        with wallet.renewing(label):  # of two timers one renews, and the other finds that it is not due
            old = wallet.get(label)
            due = not if_due or datetime.now(UTC) >= due_at(old)
            if due:
                with ca_at.open() as ca:
                    key = wallet.new_key(algorithm_of(old.key))
                    wallet.put(label, ca.reenrol(old, key=key, hosts=hosts, profile=profile))
        _done(wallet.get(label), label, msp, as_json, enrolled=due)


def _done(credential: "Credential", label: str, msp: Path | None, as_json: bool, *, enrolled: bool) -> None:
    from gateway.identities.mspfolder import ensure_msp

    answer = {**_described(credential, label), "enrolled": enrolled}
    if msp is not None:
        ensure_msp(msp, credential)
        answer["msp"] = str(msp)
    show(answer, as_json, lambda: fields(answer))


def _described(credential: "Credential", label: str) -> dict[str, Any]:
    from gateway.identities.described import described

    return {"label": label, **described(credential)}


@identity.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@using_wallet
@plainly
def list_identities(wallet_at: WalletAt, as_json: bool) -> None:
    """List the identities of the wallet."""
    from gateway.identities.errors import IdentityError

    rows: list[dict[str, Any]] = []
    with wallet_at.open() as wallet:
        for label in wallet.labels():
            try:
                rows.append(_described(wallet.get(label), label))
            except IdentityError as exc:
                rows.append({"label": label, "state": str(exc)})
    show(rows, as_json, lambda: table(rows, "label", "name", "msp_id", "key", "not_after", "state"))


@identity.command("show")
@click.argument("label")
@click.option("--crl", type=FILE, help="Also look it up in this revocation list.")
@as_json
@using_wallet
@plainly
def show_identity(label: str, crl: Path | None, wallet_at: WalletAt, as_json: bool) -> None:
    """Show one identity of the wallet; never its key."""
    from gateway.identities.described import revocation_state

    with wallet_at.open() as wallet:
        credential = wallet.get(label)
        answer = _described(credential, label)
        if crl is not None:
            answer["revocation"] = revocation_state(credential, crl.read_bytes(), str(crl))
    show(answer, as_json, lambda: fields(answer))


@identity.command("import")
@click.argument("label")
@click.option("--msp-id", required=True, envvar="PEDIGREE_MSP_ID", help="MSP id of the organisation.")
@click.option("--msp", required=True, type=PATH, help="MSP folder, as cryptogen or fabric-ca-client wrote it.")
@as_json
@using_wallet
@plainly
def import_identity(label: str, msp_id: str, msp: Path, wallet_at: WalletAt, as_json: bool) -> None:
    """Take the identity of an MSP folder into the wallet."""
    from gateway.identities.credential import checked_label
    from gateway.identities.mspfolder import read_msp

    label = checked_label(label)
    credential = read_msp(msp_id, msp)
    with wallet_at.open(make=True) as wallet:
        wallet.put(label, credential)
        answer = _described(credential, label)
    show(answer, as_json, lambda: fields(answer))


@identity.command("export")
@click.argument("label")
@click.option("--msp", required=True, type=PATH, help="MSP folder to write; it takes the place of a former one.")
@as_json
@using_wallet
@plainly
def export_identity(label: str, msp: Path, wallet_at: WalletAt, as_json: bool) -> None:
    """Write an identity as an MSP folder, key unencrypted."""
    with wallet_at.open() as wallet:
        _done(wallet.get(label), label, msp, as_json, enrolled=False)


for verb in VERBS:
    identity.add_command(verb)
