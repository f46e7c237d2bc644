# SPDX-License-Identifier: Apache-2.0
"""Makes a network's directory from a backup: verified in full beside its place, and moved there in one step."""

import hashlib
import json
import os
import shutil
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from network import running
from network.operations.backup import FILES, FORMAT, MANIFEST, SECRETS
from network.operations.errors import OperationsError
from network.operations.sealing import open_sealed

__all__ = ["Restored", "restore"]

_CHUNK = 1 << 20
_LARGEST_MANIFEST = 256 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    """What a backup held."""

    run_as: str
    made: str
    genesis_hash: str
    files: int
    missing: tuple[str, ...]
    """Secret files that the backup does not hold: put them back before the network starts."""


def restore(file: Path, directory: Path, passphrase: str | None, *, sha256: str | None = None) -> Restored:
    """Restore a backup to `directory`, which must be empty or not there; raises `OperationsError`, `OSError`.

    `sha256` is what the backup's own digest must be. Nothing appears in the directory before all of it is verified.
    """
    _refuse_used(directory)
    if sha256 is not None:
        _compare(file, sha256)
    place = directory.with_name(f".{directory.name}.restoring")
    with ExitStack() as cleaning:
        cleaning.callback(shutil.rmtree, place, ignore_errors=True)  # gone already when all went well
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700, parents=True)
        try:
            manifest = _extract(file, place, passphrase)
        except (tarfile.TarError, EOFError) as error:
            raise OperationsError(f"{file} is no whole backup: {error}") from error
        if directory.exists():
            directory.rmdir()
        place.rename(directory)
    missing = tuple(manifest["left_out"])
    count = len(manifest["files"])
    return Restored(str(manifest["run_as"]), manifest["made"], manifest["genesis_hash"], count, missing)


def _refuse_used(directory: Path) -> None:
    if not directory.exists():
        return
    if (pid := running.holder(directory)) is not None:
        raise OperationsError(f"{directory} is in use by process {pid}: restore to another directory")
    if any(directory.iterdir()):
        raise OperationsError(f"{directory} is not empty: restore to a new directory")


def _compare(file: Path, wanted: str) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != wanted.lower():
        raise OperationsError(f"{file} has the SHA-256 digest {found}, not {wanted}: it is another file, or damaged")


def _extract(file: Path, place: Path, passphrase: str | None) -> dict[str, Any]:
    digests: dict[str, str] = {}
    sealed: bytes | None = None
    manifest: dict[str, Any] | None = None
    with tarfile.open(file, mode="r:") as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() else None
            if content is None or manifest is not None:
                raise OperationsError(f"{file} is no backup: it holds {entry.name!r}")
            if entry.name.startswith(FILES):
                name = _checked(entry.name.removeprefix(FILES), file)
                digests[name] = _copy(content, place / name)
            elif entry.name == SECRETS:
                sealed = content.read()
            elif entry.name == MANIFEST and entry.size <= _LARGEST_MANIFEST:
                manifest = _parsed(content.read(), file)
            else:
                raise OperationsError(f"{file} is no backup: it holds {entry.name!r}")
    if manifest is None:
        raise OperationsError(f"{file} is no whole backup: its end is missing")
    _verify(file, manifest, digests)
    _unseal(file, place, manifest, sealed, passphrase)
    _settle(file, place, manifest)
    return manifest


def _checked(name: str, file: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or str(path) != name:
        raise OperationsError(f"{file} is no backup: it holds {name!r}")
    return name


def _parsed(content: bytes, file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise OperationsError(f"{file}: its manifest is damaged: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise OperationsError(f"{file} is no backup of a format that is known here ({FORMAT})")
    return manifest


def _copy(content: Any, target: Path) -> str:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            output.write(chunk)
        output.flush()
        os.fsync(output.fileno())
    return digest.hexdigest()


def _verify(file: Path, manifest: dict[str, Any], digests: dict[str, str]) -> None:
    wanted = {name: about["sha256"] for name, about in manifest["files"].items() if "sha256" in about}
    for name in sorted(wanted.keys() | digests.keys()):
        if name not in digests:
            raise OperationsError(f"{file} is damaged: {name} is missing")
        if digests[name] != wanted.get(name):
            raise OperationsError(f"{file} is damaged: {name} is not what the manifest says")


def _unseal(file: Path, place: Path, manifest: dict[str, Any], sealed: bytes | None, passphrase: str | None) -> None:
    wanted = {name for name, about in manifest["files"].items() if about.get("sealed")}
    if not wanted and sealed is None:
        return
    if sealed is None:
        raise OperationsError(f"{file} is damaged: its secrets are missing")
    if passphrase is None:
        raise OperationsError(f"{file} holds secrets: give the passphrase that it was made with")
    secrets = open_sealed(sealed, passphrase)
    if secrets.keys() != wanted:
        raise OperationsError(f"{file} is damaged: its secrets are not what the manifest says")
    for name, content in secrets.items():
        target = place / _checked(name, file)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            output.write(content)


def _settle(file: Path, place: Path, manifest: dict[str, Any]) -> None:
    """Give every file and folder the permissions and, as root, the owner that it had."""
    for name in manifest["folders"]:
        (place / _checked(name, file)).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, about in sorted((manifest["files"] | manifest["folders"]).items(), reverse=True):
        (place / name).chmod(about["mode"] & 0o777)
        if os.getuid() == 0:
            os.chown(place / name, about["uid"], about["gid"])
