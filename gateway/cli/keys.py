# SPDX-License-Identifier: Apache-2.0
"""`pedigree keys`: the clients of a gateway, with an API key or a certificate each."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from gateway.api.scopes import ROLES, SCOPES, role_of
from gateway.cli.access import Duration, Moment
from gateway.cli.console import Failure, show, table, told
from gateway.cli.requests import Requests

_Verb = Callable[..., None]


@click.group()
def keys() -> None:
    """Issue, list, rotate and revoke keys of a gateway."""


def _data_option(function: _Verb) -> _Verb:
    return click.option("--data", required=True, type=click.Path(path_type=Path), help="The gateway's data folder.")(
        function
    )


def _ends(function: _Verb) -> _Verb:
    """The options that say when a credential ends."""
    for option in (
        click.option("--until", type=Moment(), help="When it ends, instead: RFC 3339, or a date."),
        click.option("--expires-in", type=Duration(), help="How long it counts: 90d, 12h; without an end by default."),
    ):
        function = option(function)
    return function


@keys.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="Each may do what those before may.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="It may do this alone, such as records:read, and what else is given so; docs/permissions.md lists them.",
)
@click.option(
    "--only-owner",
    "owners",
    multiple=True,
    metavar="MSP_ID",
    help="It may read records of this organisation alone, and of those that are given so too.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The client comes with this certificate (PEM or DER) instead of a key.",
)
@click.option(
    "--certificate-name",
    metavar="KIND:NAME",
    help="It comes with a certificate of this name: subject:CN=app,O=Lab, dns:NAME, uri:NAME or email:NAME.",
)
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="It signs its requests (RFC 9421); what verifies them (PEM or DER): Ed25519, P-256, P-384 or RSA.",
)
@_ends
@click.option("--rate", type=Requests(), help="Requests that it may make instead of what `serve --rate` says: 100/60.")
@click.option("--new", is_flag=True, help="Make the folder of a gateway that has not run yet.")
@_data_option
@told
def keys_add(
    name: str,
    role: str | None,
    scopes: tuple[str, ...],
    owners: tuple[str, ...],
    certificate: Path | None,
    certificate_name: str | None,
    public_key: Path | None,
    new: bool,
    data: Path,
    expires_in: int | None,
    until: int | None,
    rate: Any,
) -> None:
    """Issue a key and print it: it cannot be shown again.

    For a client with a certificate, what its certificate is known by is printed instead, and for one that signs its
    requests the keyid that its signatures have.
    """
    from gateway.stores.keys import Allowed, check_name

    check_name(name)
    if role is None and not scopes:
        raise click.UsageError("--role or --scope says what it may do", click.get_current_context())
    for scope in scopes:
        if scope not in SCOPES:
            raise click.BadParameter(
                f"{scope} is none of {', '.join(SCOPES)}", click.get_current_context(), param_hint="--scope"
            )
    role = role or role_of(scopes)
    allowed = Allowed(frozenset(scopes) or None, frozenset(owners) or None)
    allowed.check(role)
    if sum(each is not None for each in (certificate, certificate_name, public_key)) > 1:
        said = "--certificate, --certificate-name and --public-key are of one client each; give one of them"
        raise click.UsageError(said, click.get_current_context())
    expires, known_by = _end(expires_in, until), _certificate(certificate, certificate_name)
    signs_with = None if public_key is None else _public_key(public_key)
    if new and data.exists() and any(data.iterdir()) and not _is_gateways(data):
        raise Failure(f"{data} holds something else; the folder of a new gateway is empty, or is made here")
    if not new and not _is_gateways(data):
        raise Failure(
            f"{data} is not the data folder of a gateway, which `pedigree serve` makes; before its first start: --new"
        )
    with _key_store(data) as store:
        if signs_with is not None:
            click.echo(store.add_public_key(name, role, signs_with, expires=expires, rate=rate, allowed=allowed))
        elif known_by is None:
            click.echo(store.add(name, role, expires=expires, rate=rate, allowed=allowed))
        else:
            store.add_certificate(name, role, known_by, expires=expires, rate=rate, allowed=allowed)
            click.echo(known_by)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_data_option
@told
def keys_list(data: Path, as_json: bool) -> None:
    """List keys and certificates, never secrets."""
    _refuse_without_keys(data)
    with _key_store(data) as store:
        rows = [
            {
                "id": key.id,
                "name": key.name,
                "role": key.role,
                "expires": _instant(key.expires),
                "revoked": key.revoked is not None,
                "certificate": key.certificate,
                "signs": key.public_key is not None,
                "rate": key.said_rate,
                "scopes": None if key.scopes is None else sorted(key.scopes),
                "owners": None if key.owners is None else sorted(key.owners),
            }
            for key in store.list()
        ]
    shown = ("id", "name", "role", "expires", "revoked")
    columns = (
        *shown,
        *(name for name in ("certificate", "rate", "scopes", "owners") if any(row[name] for row in rows)),
    )
    show(rows, as_json, lambda: table(rows, *columns))


@keys.command("rotate")
@click.argument("name")
@click.option(
    "--keep-old-for", "keep", type=Duration(), default="1d", show_default=True, help="How long the old one counts too."
)
@_ends
@_data_option
@told
def keys_rotate(name: str, keep: int, data: Path, expires_in: int | None, until: int | None) -> None:
    """Give a key a new secret and print it, by the key's name or id.

    The client stays the same: its role, its share and its idempotency keys. `keys revoke` stops both secrets at once.
    """
    _refuse_without_keys(data)
    with _key_store(data) as store:
        click.echo(store.rotate(name, keep=keep, expires=_end(expires_in, until)))


@keys.command("revoke")
@click.argument("name")
@_data_option
@told
def keys_revoke(name: str, data: Path) -> None:
    """Stop accepting a key or certificate at once, by name or id."""
    _refuse_without_keys(data)
    with _key_store(data) as store:
        store.revoke(name)


def _end(expires_in: int | None, until: int | None) -> float | None:
    """When a credential ends, in seconds since 1970; None where it does not."""
    if expires_in is not None and until is not None:
        raise click.UsageError("--expires-in and --until say the same; give one of them", click.get_current_context())
    if expires_in is not None:
        return time.time() + expires_in
    if until is not None and until / 1_000 <= time.time():
        raise click.BadParameter("that is over already", click.get_current_context(), param_hint="--until")
    return None if until is None else until / 1_000


def _instant(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _certificate(file: Path | None, name: str | None) -> str | None:
    """What a client's certificate is known by; None for a client with a key."""
    if file is None and name is None:
        return None
    from gateway.callers import certificates

    try:
        return certificates.named(str(name)) if file is None else certificates.fingerprint(file.read_bytes())
    except ValueError as exc:
        hint, shown = ("--certificate-name", name) if file is None else ("--certificate", file)
        raise click.BadParameter(f"{shown}: {exc}", click.get_current_context(), param_hint=hint) from None


def _public_key(file: Path) -> bytes:
    """The public key in a file (SubjectPublicKeyInfo, DER), of a kind that signatures are taken of."""
    from gateway.callers.signatures import check_public_key
    from gateway.identities.publickeys import public_key_in

    try:
        found = public_key_in(file.read_bytes())
        check_public_key(found)
    except ValueError:
        said = f"{file} holds no public key of Ed25519, P-256, P-384 or RSA with 2048 bits or more, in PEM or DER"
        raise click.BadParameter(said, click.get_current_context(), param_hint="--public-key") from None
    return found


def _is_gateways(data: Path) -> bool:
    return any((data / name).is_file() for name in ("keys.db", "secret", "database"))


@contextmanager
def _key_store(data: Path) -> Iterator[Any]:
    from gateway.server.folders import open_keys
    from gateway.services.failures import Unavailable

    file = data / "keys.db"
    with ExitStack() as guard:
        try:
            store = open_keys(data, guard)
        except sqlite3.DatabaseError as exc:
            raise Failure(f"{file} cannot be read as a key store: {exc}") from None
        except Unavailable as exc:
            raise Failure.of(exc) from None
        yield store


def _refuse_without_keys(data: Path) -> None:
    from gateway.server.folders import has_store

    if not has_store(data, "keys"):
        raise Failure(f"{data} has no keys; make one with: pedigree keys add NAME --role ROLE --data {data}")
