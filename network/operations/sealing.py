# SPDX-License-Identifier: Apache-2.0
"""Secret files as one sealed piece: AES-256-GCM under a key that scrypt (RFC 7914) derives from a passphrase."""

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from network.operations.archives import judge_names, plain_files
from network.operations.errors import OperationsError

__all__ = ["SHORTEST", "open_sealed", "seal"]

SHORTEST = 12
"""Characters of a passphrase; anyone who has the backup may guess for years."""
_HEADER = b"pedigree-sealed-1\n"
_SALT, _NONCE = 16, 12
_COST = 1 << 17
"""128 MiB and about half a second for each guess."""
_MEMORY = 256 << 20


def seal(files: Mapping[str, bytes], passphrase: str) -> bytes:
    """Encrypt files by name; raises `OperationsError` for a passphrase that is too short."""
    if len(passphrase) < SHORTEST:
        raise OperationsError(f"the passphrase must have at least {SHORTEST} characters")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    return _HEADER + salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain.getvalue(), _HEADER + salt)


def open_sealed(sealed: bytes, passphrase: str) -> dict[str, bytes]:
    """Undo `seal`; raises `OperationsError` for another passphrase or a changed piece."""
    if not sealed.startswith(_HEADER):
        raise OperationsError("the secrets in this backup are of an unknown format")
    rest = sealed[len(_HEADER) :]
    salt, nonce, content = rest[:_SALT], rest[_SALT : _SALT + _NONCE], rest[_SALT + _NONCE :]
    try:
        plain = AESGCM(_key(passphrase, salt)).decrypt(nonce, content, _HEADER + salt)
    except (InvalidTag, ValueError) as error:
        raise OperationsError("the passphrase is not the one that the backup was made with") from error
    return _unpacked(plain)


def _unpacked(plain: bytes) -> dict[str, bytes]:
    """The files of an archive in memory; its maker knew the passphrase, and is not believed for that."""
    what = "the secrets in this backup are damaged"
    files: dict[str, bytes] = {}
    try:
        for entry, content in plain_files(io.BytesIO(plain), what):
            if entry.name in files:
                raise OperationsError(f"{what}: {entry.name!r} is there twice")
            files[entry.name] = content.read()
    except tarfile.TarError as error:
        raise OperationsError(f"{what}: {error}") from error
    judge_names(files, [], what)
    return files


def _key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=_COST, r=8, p=1, maxmem=_MEMORY, dklen=32)
