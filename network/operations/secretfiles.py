# SPDX-License-Identifier: Apache-2.0
"""Which files below a network's directory are secret: doctor looks at their permissions, backups leave them out."""

from collections.abc import Iterator
from pathlib import Path, PurePath

_NAMES = frozenset({"secret", "secrets.yaml", "key-encryption-key"})
_ENDINGS = (".key", ".secret", "_sk")
_FOLDERS = frozenset({"keystore", "wallet"})


def is_secret(path: PurePath) -> bool:
    """Whether a file, named relative to the network's directory, holds a private key, a password or the like."""
    return path.name in _NAMES or path.name.endswith(_ENDINGS) or not _FOLDERS.isdisjoint(path.parts[:-1])


def secret_files(directory: Path) -> Iterator[Path]:
    """Every secret file below a directory; raises `OSError` for a folder that cannot be read."""
    for path in sorted(directory.rglob("*")):
        if is_secret(path.relative_to(directory)) and path.is_file():
            yield path
