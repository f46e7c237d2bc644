# SPDX-License-Identifier: Apache-2.0
"""What the verbs of `pedigree identity` have in common: their wallet, their CA, and how they fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.console import Exit, Failure, told

if TYPE_CHECKING:  # imported where used, so that `--help` answers at once
    from gateway.identities.ca import FabricCa
    from gateway.identities.wallet import Wallet

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class WalletAt:
    """Which wallet, and how it is opened."""

    folder: Path
    store: str | None
    passphrase_file: Path | None
    module: Path | None
    token: str | None

    @contextmanager
    def open(self, *, make: bool = False) -> Iterator["Wallet"]:
        """The wallet; with `make` a new one of the chosen kind, or of PEM files, where there is none."""
        from gateway.identities.wallet import read_mark
        from gateway.identities.wallets import open_wallet

        kind = self.store
        if make and kind is None and read_mark(self.folder) is None:
            kind = "files"
        if not make and kind is not None and read_mark(self.folder) is None:
            kind = None  # there is nothing to open, and that is what is said
        wallet = open_wallet(self.folder, self._passphrase, make=kind, module=self.module, token=self.token)
        try:
            yield wallet
        finally:
            wallet.close()

    def _passphrase(self) -> bytes:
        from gateway.identities.wallets import read_passphrase

        return read_passphrase(self.passphrase_file, prompt=ask)


@dataclass(frozen=True, slots=True)
class CaAt:
    """Which CA, and whom to believe that it is."""

    url: str
    name: str
    tls_root: Path | None
    tls_client: tuple[Path, Path] | None
    root: Path | None
    timeout: float

    @contextmanager
    def open(self) -> Iterator["FabricCa"]:
        """A client of the CA; nothing is asked of it yet."""
        from gateway.identities.ca import FabricCa
        from gateway.identities.credential import load_certificate
        from gateway.identities.transport import tls_context

        context = tls_context(self.tls_root, client=self.tls_client) if self.tls_root is not None else None
        root = load_certificate(self.root.read_bytes(), str(self.root)) if self.root is not None else None
        with FabricCa(self.url, context, name=self.name, root=root, timeout=self.timeout) as ca:
            yield ca


def ask(what: str) -> str:
    """Ask a person for a secret, without showing it."""
    return str(click.prompt(what, hide_input=True, err=True))


def plainly(function: Command) -> Command:
    """Turn every expected failure of a verb into one line."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        from gateway.identities import errors

        try:
            function(*args, **kwargs)
        except errors.CaUnreachable as exc:
            raise Failure(str(exc), Exit.UNREACHABLE) from None
        except (errors.NoSuchIdentity, errors.NotFoundAtCa) as exc:
            raise Failure(str(exc), Exit.NOT_FOUND) from None
        except errors.CaError as exc:
            raise Failure(str(exc), Exit.REFUSED) from None
        except errors.IdentityError as exc:
            raise Failure(str(exc)) from None

    return told(wrapper)


def _with(function: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        function = option(function)
    return function


def using_wallet(function: Command) -> Command:
    """Add the options of a wallet, and hand it over as `wallet_at`."""

    @wraps(function)
    def wrapper(
        wallet: Path,
        store: str | None,
        passphrase_file: Path | None,
        hsm_module: Path | None,
        hsm_token: str | None,
        **rest: Any,
    ) -> None:
        function(wallet_at=WalletAt(wallet, store, passphrase_file, hsm_module, hsm_token), **rest)

    return _with(
        wrapper,
        click.option("--wallet", type=PATH, required=True, envvar="PEDIGREE_WALLET", help="Folder of the wallet."),
        click.option(
            "--store",
            type=click.Choice(["files", "sealed", "hsm"]),
            envvar="PEDIGREE_WALLET_STORE",
            help="Kind of a new wallet: PEM files (default), encrypted, or keys in a PKCS#11 token.",
        ),
        click.option(
            "--passphrase-file",
            type=FILE,
            help="Passphrase of an encrypted wallet or PIN of a token; also the systemd credential pedigree-wallet, "
            "PEDIGREE_WALLET_PASSPHRASE or PEDIGREE_WALLET_PASSPHRASE_FILE.",
        ),
        click.option("--hsm-module", type=FILE, envvar="PEDIGREE_HSM_MODULE", help="PKCS#11 library of the token."),
        click.option("--hsm-token", envvar="PEDIGREE_HSM_TOKEN", help="Label of the token, for a new wallet."),
    )


def using_ca(function: Command) -> Command:
    """Add the options of a CA, and hand it over as `ca_at`."""

    @wraps(function)
    def wrapper(
        ca_url: str,
        ca_name: str,
        ca_tls_root: Path | None,
        ca_tls_certificate: Path | None,
        ca_tls_key: Path | None,
        ca_root: Path | None,
        ca_timeout: float,
        **rest: Any,
    ) -> None:
        if (ca_tls_certificate is None) != (ca_tls_key is None):
            raise Failure("--ca-tls-certificate and --ca-tls-key belong together")
        pair = (ca_tls_certificate, ca_tls_key) if ca_tls_certificate and ca_tls_key else None
        function(ca_at=CaAt(ca_url, ca_name, ca_tls_root, pair, ca_root, ca_timeout), **rest)

    return _with(
        wrapper,
        click.option("--ca-url", required=True, envvar="PEDIGREE_CA_URL", help="Address, such as https://ca:7054."),
        click.option("--ca-name", default="", envvar="PEDIGREE_CA_NAME", help="Name, where a server has several CAs."),
        click.option(
            "--ca-tls-root",
            type=FILE,
            envvar="PEDIGREE_CA_TLS_ROOT",
            help="PEM root of the CA's TLS certificate; nothing else is trusted.",
        ),
        click.option("--ca-tls-certificate", type=FILE, help="PEM certificate for mutual TLS."),
        click.option("--ca-tls-key", type=FILE, help="PEM key for mutual TLS."),
        click.option(
            "--ca-root",
            type=FILE,
            envvar="PEDIGREE_CA_ROOT",
            help="PEM root of the organisation's MSP: refuse certificates that do not chain to it.",
        ),
        click.option(
            "--ca-timeout", type=click.FloatRange(0.1, 600), default=15.0, show_default=True, help="Seconds for a call."
        ),
    )


def as_registrar(function: Command) -> Command:
    """Add the option that says in whose name the CA is asked."""
    return click.option("--as", "by", required=True, help="Label of the identity that asks, in the wallet.")(function)


def as_json(function: Command) -> Command:
    """Add the option for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
