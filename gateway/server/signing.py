# SPDX-License-Identifier: Apache-2.0
"""The identity that a gateway signs with: in the network file's MSP folder, or in a wallet, sealed or in a token too.

A token may be away for a while. What must be signed then is refused with `signing-key-unavailable`, nothing has been
ordered, and the gateway is not ready; the next signature that succeeds, or the next look at the wallet, ends that.
"""

import multiprocessing
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.fabric import Identity, KeyUnavailable, MalformedData
from gateway.fabric.identity import Sign
from gateway.identities.credential import Credential
from gateway.identities.errors import (
    CertificateRefused,
    DamagedIdentity,
    IdentityError,
    NoSuchIdentity,
    WalletError,
)
from gateway.identities.mspfolder import read_msp
from gateway.identities.renewal import CurrentIdentity
from gateway.identities.wallet import read_mark
from gateway.identities.wallets import open_wallet, read_passphrase
from gateway.server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_LOOK = 60.0
"""Seconds that a token may take to say whether it has the key."""


class SigningKey:
    """The identity in use, and why its key cannot be used now, if it cannot. Thread-safe."""

    def __init__(
        self,
        load: Callable[[], Credential],
        *,
        in_token: bool = False,
        accept: Callable[[Identity], object] = lambda _: None,
    ) -> None:
        """Load it; raises `IdentityError` or `OSError`.

        Args:
            in_token: whether the key is in a token, which can be away.
            accept: raises `MalformedData` for what the channel takes for no member's, so that what was renewed is not
                used; asked of everything but the first, which was looked at before the start.
        """
        self._load = load
        self._accept = accept
        self._in_token = in_token
        self._began = False
        self.problem: str | None = None
        self.identity = CurrentIdentity(self._read)
        self.pair = self.identity.built(lambda held: (held.identity, self._watched(held.signer)))
        """Certificate and signer that belong together, those in use now."""

    def _read(self) -> Credential:
        try:
            found = self._load()
        except WalletError as exc:
            # What is signed with is still what was read before; only a token that is gone can sign nothing.
            if self._in_token and not isinstance(exc, NoSuchIdentity | DamagedIdentity):
                self.problem = str(exc)
            raise
        if self._began:
            self._check(found)  # else what was held stays, which may still be valid
        self._began = True
        self.problem = None
        return found

    def _check(self, found: Credential) -> None:
        found.check_validity(datetime.now(UTC))
        try:
            self._accept(found.identity)
        except MalformedData as exc:
            raise CertificateRefused(f"the certificate of {found.name} is not of {found.msp_id}: {exc}") from exc

    def _watched(self, sign: Sign) -> Sign:
        def signed(digest: bytes) -> bytes:
            try:
                signature = sign(digest)
            except KeyUnavailable as exc:
                self.problem = str(exc)
                raise
            self.problem = None
            return signature

        return signed


def open_key(settings: Settings, guard: ExitStack, accept: Callable[[Identity], object]) -> SigningKey:
    """What this gateway signs with, which follows what is renewed and accepted. Raises `SettingsError`."""
    try:
        return SigningKey(_source(settings, guard), in_token=_in_token(settings), accept=accept)
    except (IdentityError, OSError) as exc:
        raise SettingsError(str(exc)) from exc


def look_up(settings: Settings) -> Identity:
    """The identity in the wallet, once it is certain that its key is there. Raises `SettingsError`.

    A token is asked by a process of its own: what a PKCS#11 library has opened does not survive a fork, and the
    gateway's worker is forked.
    """
    try:
        if _in_token(settings):
            return _asked_apart(settings)
        return _found(settings)
    except (IdentityError, OSError) as exc:
        raise SettingsError(str(exc)) from exc


def _in_token(settings: Settings) -> bool:
    wallet = settings.options.wallet
    return wallet is not None and (read_mark(wallet) or {}).get("kind") == "hsm"


def _found(settings: Settings) -> Identity:
    with ExitStack() as guard:
        return _source(settings, guard)().identity


def _source(settings: Settings, guard: ExitStack) -> Callable[[], Credential]:
    member, options = settings.organisation, settings.options
    if options.wallet is None:
        return lambda: read_msp(member.msp_id, member.user_msp)
    wallet = open_wallet(
        options.wallet,
        lambda: read_passphrase(options.wallet_passphrase_file, option="--wallet-passphrase-file"),
        module=options.hsm_module,
    )
    guard.enter_context(closing(wallet))

    def read() -> Credential:
        found = wallet.get(options.identity)
        if found.msp_id != member.msp_id:
            raise IdentityError(
                f"--identity: {options.identity!r} in {wallet.folder} is of {found.msp_id}, not of {member.msp_id}"
            )
        return found

    return read


def _asked_apart(settings: Settings) -> Identity:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, settings), daemon=True)
    process.start()
    sender.close()
    try:
        answer = receiver.recv() if receiver.poll(_LOOK) else IdentityError("the token does not answer")
    except EOFError:
        answer = IdentityError("the token's library ended the process that asked it")
    finally:
        process.kill()
        process.join()
        receiver.close()
    if isinstance(answer, Exception):
        raise answer
    return Identity(*answer)


def _answer(sender: "Connection", settings: Settings) -> None:
    try:
        found = _found(settings)
        sender.send((found.mspid, found.credentials))
    except (IdentityError, OSError) as exc:
        sender.send(IdentityError(str(exc)))
