# SPDX-License-Identifier: Apache-2.0
"""Opens a wallet of whichever kind a folder is, or makes one."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.identities.errors import WalletError
from gateway.identities.sealed import SealedWallet
from gateway.identities.secretsources import read_secret
from gateway.identities.wallet import Wallet, read_mark, write_mark

if TYPE_CHECKING:  # python-pkcs11 is an extra
    from gateway.identities.hsm import HsmWallet

KINDS = ("files", "sealed", "hsm")

Passphrase = Callable[[], bytes]
"""Asked for only where a wallet needs one."""


def read_passphrase(file: Path | None, *, option: str = "", prompt: Callable[[str], str] | None = None) -> bytes:
    """A wallet's passphrase or PIN, from where `read_secret` looks; raises `IdentityError` that names `option`."""
    return read_secret(
        f"the wallet's passphrase or PIN{option and f' ({option})'}",
        file=file,
        variable="PEDIGREE_WALLET_PASSPHRASE",
        credential="pedigree-wallet",
        prompt=prompt,
    )


def open_wallet(
    folder: Path,
    passphrase: Passphrase,
    *,
    make: str | None = None,
    module: Path | None = None,
    token: str | None = None,
) -> Wallet:
    """The wallet in `folder`; with `make` a kind of wallet to make there if it is none yet.

    `passphrase` opens an encrypted wallet and is the PIN of a token's. `module` is the PKCS#11 library of a token;
    `module` and `token` (its label) are remembered in the folder when a wallet is made, and `module` may be given again
    where it lies elsewhere on another machine. Raises `WalletError`.
    """
    mark = read_mark(folder)
    if mark is None:
        if make is None:
            raise WalletError(f"{folder} is not a wallet; one is made by enrolling or importing into it")
        return _make(folder, make, passphrase, module, token)
    if make is not None and make != mark["kind"]:
        raise WalletError(f"{folder} is a wallet of the kind {mark['kind']}, not {make}")
    match mark["kind"]:
        case "files":
            return Wallet(folder)
        case "sealed":
            return SealedWallet.open(folder, passphrase())
        case "hsm":
            return _hsm().open(folder, passphrase(), module=module)
    raise WalletError(f"{folder}: wallets of the kind {mark['kind']!r} are not known to this version")


def _make(folder: Path, kind: str, passphrase: Passphrase, module: Path | None, token: str | None) -> Wallet:
    match kind:
        case "files":
            wallet = Wallet(folder)
            write_mark(folder, wallet.disk, kind)
            return wallet
        case "sealed":
            return SealedWallet.create(folder, passphrase())
        case "hsm":
            if module is None or token is None:
                raise WalletError("a wallet in a token needs the PKCS#11 module's path and the token's label")
            return _hsm().create(folder, passphrase(), module=module, token=token)
    raise WalletError(f"kind of wallet {kind!r}: {', '.join(KINDS)} are known")


def _hsm() -> "type[HsmWallet]":
    try:
        from gateway.identities.hsm import HsmWallet
    except ImportError:
        raise WalletError("keys in a token need python-pkcs11; install it with: pip install 'pedigree[hsm]'") from None
    return HsmWallet
