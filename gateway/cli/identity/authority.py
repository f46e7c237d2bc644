# SPDX-License-Identifier: Apache-2.0
"""The verbs of `pedigree identity` that ask a CA in the name of a registrar: register, revoke, crl, registered."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.console import Failure, fields, show, table
from gateway.cli.identity.options import (
    PATH,
    CaAt,
    WalletAt,
    as_json,
    as_registrar,
    plainly,
    using_ca,
    using_wallet,
)

if TYPE_CHECKING:  # imported where used, so that `--help` answers at once
    from gateway.identities.credential import Credential


@click.command("register")
@click.argument("name")
@click.option("--type", "kind", default="client", show_default=True, help="client, peer, admin or orderer.")
@click.option(
    "--affiliation", default="", help="Such as hospital.radiology; by default the registrar's, . is the root."
)
@click.option("--attribute", "attributes", multiple=True, help="NAME=VALUE or NAME=VALUE:ecert; may be repeated.")
@click.option("--max-enrolments", type=int, default=0, help="How often the secret serves; -1 without limit.")
@click.option(
    "--secret-file", type=PATH, help="Holds the secret; if it is not there yet, a fresh one is written there."
)
@click.option("--if-absent", is_flag=True, help="It is not an error when the name is registered already.")
@as_registrar
@using_wallet
@using_ca
@as_json
@plainly
def register(
    name: str,
    kind: str,
    affiliation: str,
    attributes: tuple[str, ...],
    max_enrolments: int,
    secret_file: Path | None,
    if_absent: bool,
    by: str,
    wallet_at: WalletAt,
    ca_at: CaAt,
    as_json: bool,
) -> None:
    """Make NAME known to the CA.

    Without --secret-file the secret is printed, once. With it, and --if-absent, the command may be repeated after any
    failure: it ends with a registered name whose secret is in the file.
    """
    from gateway.identities.records import Attribute, Registration

    parsed = tuple(Attribute.parse(text) for text in attributes)
    registration = Registration(name, kind, affiliation, parsed, max_enrolments)
    with wallet_at.open() as wallet, ca_at.open() as ca:
        secret, made = _registered(ca, registration, wallet.get(by), secret_file, if_absent)
    answer: dict[str, Any] = {"name": name, "registered": made}
    if secret_file is not None:
        answer["secret_file"] = str(secret_file)
    elif secret is not None:
        answer["secret"] = secret
    show(answer, as_json, lambda: fields(answer))


def _registered(
    ca: Any, registration: Any, by: "Credential", file: Path | None, if_absent: bool
) -> tuple[str | None, bool]:
    """The secret, unless only the CA knows it, and whether the name is new.

    The file is written last: a run after one that was killed finds no file, gives the name a new secret, and goes on.
    """
    from dataclasses import replace

    from gateway.identities.errors import AlreadyRegistered
    from gateway.identities.secretsources import read_secret, write_secret

    fresh = file is not None and not file.exists()
    secret: str | None = None
    if fresh:
        secret = secrets.token_urlsafe(24)
    elif file is not None:
        secret = read_secret("the enrolment secret", file=file).decode()
    made = True
    try:
        secret = ca.register(replace(registration, secret=secret), by)
    except AlreadyRegistered:
        if not if_absent:
            raise
        made = False
        if fresh:
            assert secret is not None
            ca.change_secret(registration.name, secret, by)
    if fresh:
        assert file is not None
        assert secret is not None
        write_secret(file, secret)
    return secret, made


@click.command("revoke")
@click.argument("name", required=False)
@click.option("--label", help="Revoke the certificate that the wallet holds under this label, and only that one.")
@click.option("--serial", default="", help="Serial number of one certificate, hexadecimal; needs --aki.")
@click.option("--aki", default="", help="Authority key id of that certificate, hexadecimal.")
@click.option("--reason", default="unspecified", show_default=True, help="Such as keycompromise or superseded.")
@click.option("--crl", type=PATH, help="Also keep the new revocation list in this file.")
@as_registrar
@using_wallet
@using_ca
@as_json
@plainly
def revoke(
    name: str | None,
    label: str | None,
    serial: str,
    aki: str,
    reason: str,
    crl: Path | None,
    by: str,
    wallet_at: WalletAt,
    ca_at: CaAt,
    as_json: bool,
) -> None:
    """Revoke NAME with all its certificates, or one certificate.

    Peers learn of it when the revocation list is in the channel's configuration.
    """
    from gateway.identities.credential import authority_key_id

    if sum((name is not None, label is not None, bool(serial or aki))) != 1:
        raise Failure("say what to revoke: NAME, or --label, or --serial and --aki")
    with wallet_at.open() as wallet, ca_at.open() as ca:
        caller = wallet.get(by)
        if label is not None:
            held = wallet.get(label)
            serial, aki = held.serial, authority_key_id(held.certificate)
        done = ca.revoke(caller, name=name or "", serial=serial, aki=aki, reason=reason, crl=crl is not None)
        if crl is not None:
            _keep(caller, crl, done.crl or ca.revocation_list(caller))
    rows = [{"serial": each, "aki": issuer} for each, issuer in done.certificates]
    show({"revoked": rows, "reason": reason}, as_json, lambda: table(rows, "serial", "aki"))


@click.command("crl")
@click.argument("file", type=PATH)
@click.option("--if-older-than", type=click.FloatRange(0), help="Only when the list in FILE is so many hours old.")
@as_registrar
@using_wallet
@using_ca
@as_json
@plainly
def crl(file: Path, if_older_than: float | None, by: str, wallet_at: WalletAt, ca_at: CaAt, as_json: bool) -> None:
    """Fetch the CA's revocation list, check it, keep it in FILE."""
    with wallet_at.open() as wallet:
        caller = wallet.get(by)
    held = _held(caller, file)
    fetched = held is None or if_older_than is None or _age(held) >= if_older_than
    if fetched:
        with ca_at.open() as ca:
            held = _keep(caller, file, ca.revocation_list(caller))
    assert held is not None
    answer = {
        "file": str(file),
        "fetched": fetched,
        "this_update": held.this_update.isoformat(" "),
        "next_update": "none" if held.next_update is None else held.next_update.isoformat(" "),
        "revoked": sorted(held.serials),
    }
    show(answer, as_json, lambda: fields(answer))


@click.command("registered")
@as_registrar
@using_wallet
@using_ca
@as_json
@plainly
def registered(by: str, wallet_at: WalletAt, ca_at: CaAt, as_json: bool) -> None:
    """List the identities that the CA knows."""
    with wallet_at.open() as wallet, ca_at.open() as ca:
        found = ca.identities(wallet.get(by))
    rows = [
        {
            "name": each.name,
            "type": each.type,
            "affiliation": each.affiliation,
            "max_enrolments": each.max_enrolments,
            "attributes": {item.name: item.value for item in each.attributes},
        }
        for each in found
    ]
    show(rows, as_json, lambda: table(rows, "name", "type", "affiliation", "max_enrolments", "attributes"))


def _keep(caller: "Credential", file: Path, pem: bytes) -> Any:
    from gateway.identities.revocation import Revocations

    kept = Revocations(caller.authorities, file)
    kept.load()
    return kept.update(pem)


def _held(caller: "Credential", file: Path) -> Any:
    """The list of the caller's CA in a file, or None when it is missing or stale."""
    from gateway.identities.revocation import Revocations

    kept = Revocations(caller.authorities, file)
    kept.load()
    found = kept.covering(caller.certificate)
    return None if found is None or found.stale(datetime.now(UTC)) else found


def _age(held: Any) -> float:
    """Hours."""
    return float((datetime.now(UTC) - held.this_update).total_seconds() / 3600)


VERBS = (register, revoke, crl, registered)
