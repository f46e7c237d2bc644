# SPDX-License-Identifier: Apache-2.0
"""Where the organisation's key-encryption keys come from: what keeps secrets for it, or a file of the gateway's own."""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.fabric.durable import write_file
from gateway.identities.errors import IdentityError
from gateway.identities.secretsources import read_secret
from gateway.sealing.blobs import KEY
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import MalformedKey
from gateway.services.publications import KeysUnusable

FILE = "key-encryption-key"
"""The gateway's own file of keys, among its data."""
VARIABLE = "PEDIGREE_KEY_ENCRYPTION_KEY"
CREDENTIAL = "pedigree-key-encryption-key"
_WHAT = "the key-encryption key"
_MAKING = threading.Lock()


def given(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether something else than the gateway's own file keeps the keys."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    kept = folder is not None and (Path(folder) / CREDENTIAL).is_file()
    return kept or bool(environment.get(VARIABLE) or environment.get(f"{VARIABLE}_FILE"))


def load(path: Path, wrapped: Callable[[], int], environment: Mapping[str, str] = os.environ) -> KeyEncryptionKeys:
    """The keys out of the systemd credential, the environment (`PEDIGREE_KEY_ENCRYPTION_KEY`, or the file that
    `PEDIGREE_KEY_ENCRYPTION_KEY_FILE` names) or the gateway's own file, which is made at first use with mode 0600.

    Raises `KeysUnusable` where they cannot be read, or the own file is gone while there are keys that it wraps.

    Args:
        wrapped: how many data keys, of blobs and of records, are wrapped here.
    """
    try:
        if given(environment):
            line = read_secret(_WHAT, file=None, variable=VARIABLE, credential=CREDENTIAL, environment=environment)
            return KeyEncryptionKeys.parse(line.decode("ascii", "replace"))
        if not path.exists():
            return _made(path, wrapped())
        return _of(path)
    except (IdentityError, MalformedKey) as exc:
        raise KeysUnusable(str(exc)) from exc


def save(path: Path, keys: KeyEncryptionKeys) -> None:
    """Write the gateway's own file, in one step. Raises `OSError`."""
    write_file(path, keys.format().encode() + b"\n", mode=0o600)


def _made(path: Path, count: int) -> KeyEncryptionKeys:
    with _MAKING:
        # Two that need keys first at the same time must not each make them.
        if path.exists():
            return _of(path)
        return _drawn(path, count)


def _of(path: Path) -> KeyEncryptionKeys:
    return KeyEncryptionKeys.parse(read_secret(_WHAT, file=path, environment={}).decode("ascii", "replace"))


def _drawn(path: Path, count: int) -> KeyEncryptionKeys:
    if count:
        raise KeysUnusable(
            f"{path} is gone, and nothing else opens what is sealed here under {count} data keys: restore it from a "
            f"backup, or set {VARIABLE}_FILE"
        )
    keys = KeyEncryptionKeys([os.urandom(KEY)])
    save(path, keys)
    return keys
