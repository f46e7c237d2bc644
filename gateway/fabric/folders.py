# SPDX-License-Identifier: Apache-2.0
"""Files of an MSP folder, which another organisation may have made: inside it, and plain."""

from __future__ import annotations

from pathlib import Path

from gateway.fabric.errors import MalformedData
from gateway.fabric.texts import said

__all__ = ["plain_files", "read_public"]

_LARGEST = 1 << 20
"""Bytes of one public file."""


def read_public(folder: Path, name: str, what: str) -> bytes:
    """The content of a file below `folder`, of which people and programs of other organisations may see every byte.

    Nothing that lies elsewhere is opened, be it by `..`, from the root or by a symbolic link; links inside the folder
    are followed, as volumes of Kubernetes need. Raises `MalformedData` with `what` for that, for what is not a plain
    file, is larger than 1 MiB or cannot be read, and for a private key.
    """
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as exc:  # links that lead round, and a NUL in the name
        raise MalformedData(f"{what}: {said(name)} cannot be read") from exc
    if not inside:
        raise MalformedData(f"{what}: {said(name)} is not a path inside the folder")
    if not path.is_file():
        raise MalformedData(f"{what}: {said(name)} is not a plain file")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as exc:
        raise MalformedData(f"{what}: {said(name)} cannot be read: {exc.strerror}") from exc
    if len(content) > _LARGEST:
        raise MalformedData(f"{what}: {said(name)} is larger than 1 MiB")
    if b"PRIVATE KEY-----" in content:
        raise MalformedData(f"{what}: {said(name)} holds a private key, where only public material may stand")
    return content


def plain_files(folder: Path) -> list[str]:
    """The names of what is not a folder in a folder, in order; none where there is no folder."""
    return sorted(path.name for path in folder.iterdir() if not path.is_dir()) if folder.is_dir() else []
