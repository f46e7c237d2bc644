# SPDX-License-Identifier: Apache-2.0
"""A wallet: identities by label in a folder. What a kind of wallet does differently is how it keeps one identity."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.fabric.durable import Disk, write_file
from gateway.identities import bundle
from gateway.identities.credential import Credential, checked_label
from gateway.identities.errors import DamagedIdentity, NoSuchIdentity, WalletError
from gateway.identities.files import closed_folder, locked, read_private
from gateway.identities.keys import PrivateKey, generate

MARK = "wallet.json"
"""Beside the identities: which kind of wallet the folder is, and what it needs to be opened."""


class Wallet:
    """Identities as PEM files, one each, that only the owner may read; the base of the other kinds.

    Thread-safe, and safe beside other processes with the same folder: readers see the old identity or the new one,
    each whole; writers wait for one another. Raises `WalletError` for a folder that cannot be used so.
    """

    kind = "files"
    suffix = ".pem"

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        self.folder = folder
        self.disk = disk if disk is not None else Disk()

    def labels(self) -> list[str]:
        """The labels, sorted."""
        return sorted(path.name.removesuffix(self.suffix) for path in self.folder.glob(f"[!.]*{self.suffix}"))

    def __contains__(self, label: str) -> bool:
        return self.path(label).exists()

    def path(self, label: str) -> Path:
        """The file of a label, which need not exist; raises `IdentityError` for what is not a label."""
        return self.folder / f"{checked_label(label)}{self.suffix}"

    def get(self, label: str) -> Credential:
        """The identity; raises `NoSuchIdentity` or `DamagedIdentity`."""
        path = self.path(label)
        try:
            content = read_private(path)
        except FileNotFoundError:
            known = ", ".join(self.labels()) or "none yet"
            raise NoSuchIdentity(f"the wallet {self.folder} has no identity {label!r}; it has {known}") from None
        return self.unpack(label, content)

    def put(self, label: str, credential: Credential) -> None:
        """Store an identity, durably, in place of a former one of this label; a crash leaves the one or the other."""
        path = self.path(label)
        content = self.pack(label, credential)
        with self.writing():
            write_file(path, content, mode=0o600, disk=self.disk)

    def remove(self, label: str) -> None:
        """Forget an identity and its key; raises `NoSuchIdentity`."""
        with self.writing():
            try:
                self.path(label).unlink()
            except FileNotFoundError:
                raise NoSuchIdentity(f"the wallet {self.folder} has no identity {label!r}") from None
            self.disk.sync_folder(self.folder)

    def new_key(self, algorithm: str) -> PrivateKey:
        """A fresh key of the kind that this wallet keeps; it is in the wallet when an identity with it is put."""
        return generate(algorithm)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Exclude other writers of this wallet, in this process and in others; not to be nested."""
        with locked(self.folder):
            yield

    @contextmanager
    def renewing(self, label: str) -> Iterator[None]:
        """Exclude others who renew this identity, for as long as their CA takes; putting and getting go on."""
        with locked(self.folder, f".{checked_label(label)}.renewing"):
            yield

    def close(self) -> None:
        """Let go of what was opened; nothing for files."""

    # What the kinds do differently.

    def pack(self, label: str, credential: Credential) -> bytes:
        """The content of an identity's file."""
        return bundle.encode(credential)

    def unpack(self, label: str, content: bytes) -> Credential:
        """The identity of a file's content; raises `DamagedIdentity`."""
        return bundle.parse(content, str(self.path(label)))


def read_mark(folder: Path) -> dict[str, Any] | None:
    """What `wallet.json` says, or None where there is none; raises `WalletError` for one that cannot be understood."""
    path = folder / MARK
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise DamagedIdentity(f"{path}: not JSON; restore it from a backup") from None
    if not isinstance(value, dict) or value.get("schema") != 1 or not isinstance(value.get("kind"), str):
        raise DamagedIdentity(f"{path}: not the description of a wallet that this version knows")
    return value


def write_mark(folder: Path, disk: Disk, kind: str, **facts: Any) -> None:
    """Say which kind of wallet a folder is; the folder is made if need be."""
    closed_folder(folder)
    with locked(folder):
        if read_mark(folder) is not None:
            raise WalletError(f"{folder} is a wallet already")
        content = json.dumps({"schema": 1, "kind": kind, **facts}, indent=2).encode() + b"\n"
        write_file(folder / MARK, content, mode=0o600, disk=disk)
