# SPDX-License-Identifier: Apache-2.0
"""The encrypted wallet: each identity sealed with AES-256-GCM under a key that scrypt makes of a passphrase.

    file = magic (8) | log2 N (1) | salt (16) | nonce (12) | ciphertext and tag

Everything before the ciphertext, and the label, is authenticated with it: a changed byte, a file under another's name
and a file of another wallet are found. What is not found is an older file of the same label put back in its place.
Each file can be opened with the passphrase alone; `wallet.json` holds a sealed word by which a wrong passphrase is
distinguished from a damaged file.
"""

import os
import threading
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.fabric.durable import Disk
from gateway.identities import bundle
from gateway.identities.credential import Credential
from gateway.identities.errors import DamagedIdentity, WalletError, WrongPassphrase
from gateway.identities.wallet import MARK, Wallet, read_mark, write_mark

LOG_N = 15
"""scrypt's cost: N = 2^15 with r = 8 and p = 1 takes 32 MiB and about 0.1 s."""
SHORTEST_PASSPHRASE = 12
"""Bytes; a shorter passphrase is refused when a wallet is made."""

_MAGIC = b"PEDSEAL1"
_SALT, _NONCE, _TAG = 16, 12, 16
_HEADER = len(_MAGIC) + 1 + _SALT
_COSTS = range(10, 21)  # up to 1 GiB: what a file says must not make us take all memory
_CHECK = b"this passphrase is right"
_CHECK_LABEL = MARK


class SealedWallet(Wallet):
    """Identities that only a passphrase opens. Make it with `create` or `open`."""

    kind = "sealed"
    suffix = ".sealed"

    def __init__(self, folder: Path, passphrase: bytes, header: bytes, *, disk: Disk | None = None) -> None:
        super().__init__(folder, disk=disk)
        self._passphrase = passphrase
        self._header = header
        self._keys: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, passphrase: bytes, *, log_n: int = LOG_N, disk: Disk | None = None) -> Self:
        """A new wallet; raises `WalletError` for a short passphrase or a folder that is a wallet already."""
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise WalletError(f"a wallet's passphrase has at least {SHORTEST_PASSPHRASE} bytes")
        wallet = cls(folder, passphrase, _MAGIC + bytes([log_n]) + os.urandom(_SALT), disk=disk)
        check = b64encode(wallet._seal(_CHECK_LABEL, _CHECK)).decode()
        write_mark(folder, wallet.disk, cls.kind, check=check)
        return wallet

    @classmethod
    def open(cls, folder: Path, passphrase: bytes, *, disk: Disk | None = None) -> Self:
        """An existing wallet; raises `WrongPassphrase` or `DamagedIdentity`."""
        mark = read_mark(folder)
        if mark is None or mark["kind"] != cls.kind:
            raise WalletError(f"{folder} is not an encrypted wallet")
        try:
            check = b64decode(str(mark["check"]), validate=True)
        except (KeyError, ValueError):
            raise DamagedIdentity(f"{folder / MARK}: its check of the passphrase is damaged") from None
        wallet = cls(folder, passphrase, check[:_HEADER], disk=disk)
        try:
            wallet._open(_CHECK_LABEL, check, str(folder / MARK))
        except DamagedIdentity:
            raise WrongPassphrase(f"the passphrase does not open the wallet {folder}") from None
        return wallet

    def pack(self, label: str, credential: Credential) -> bytes:
        """The sealed identity."""
        return self._seal(label, bundle.encode(credential))

    def unpack(self, label: str, content: bytes) -> Credential:
        """The identity of a sealed file; raises `DamagedIdentity`."""
        what = str(self.path(label))
        return bundle.parse(self._open(label, content, what), what)

    def _seal(self, label: str, content: bytes) -> bytes:
        head = self._header + os.urandom(_NONCE)
        key = self._key(self._header)
        return head + AESGCM(key).encrypt(head[_HEADER:], content, head + label.encode())

    def _open(self, label: str, content: bytes, what: str) -> bytes:
        head = content[: _HEADER + _NONCE]
        whole = len(content) >= _HEADER + _NONCE + _TAG and head.startswith(_MAGIC) and head[len(_MAGIC)] in _COSTS
        if not whole:
            raise DamagedIdentity(f"{what}: not a sealed identity; restore it from a backup or enrol again")
        key = self._key(head[:_HEADER])
        try:
            return AESGCM(key).decrypt(head[_HEADER:], content[len(head) :], head + label.encode())
        except InvalidTag:
            raise DamagedIdentity(
                f"{what}: was changed or damaged, or sealed with another passphrase; restore it or enrol again"
            ) from None

    def _key(self, header: bytes) -> bytes:
        """The key for a cost and salt; scrypt is slow on purpose, so the wallet's own is made once."""
        with self._lock:
            known = self._keys.get(header)
            if known is None:
                log_n, salt = header[len(_MAGIC)], header[len(_MAGIC) + 1 :]
                known = Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(self._passphrase)
                if header == self._header:
                    self._keys[header] = known
            return known
