# SPDX-License-Identifier: Apache-2.0
"""Makes a network's directory from a backup: verified in full beside its place, and moved there in one step.

A backup is judged before it is believed: every name, kind, size and permission first, without writing anything, then
the content while it is copied to a folder of this restoration alone. Only what passed is given its permissions.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from network import running
from network.durable import publish_folder
from network.operations.archives import judge_names, plain_files
from network.operations.backup import FILES, FORMAT, MANIFEST, NEVER, SECRETS
from network.operations.errors import OperationsError
from network.operations.sealing import open_sealed

__all__ = ["Restored", "restore"]

_CHUNK = 1 << 20
_LARGEST_MANIFEST = 256 << 20
_RUN_AS = ("process", "processes", "containers")
_LARGEST_ID = 2**32 - 2
"""Of a user or group; the next one means "leave it as it is"."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a backup held."""

    run_as: str
    made: str
    genesis_hash: str
    files: int
    missing: tuple[str, ...]
    """Secret files that the backup does not hold: put them back before the network starts."""


@dataclass(frozen=True, slots=True)
class _About:
    """What a file or folder is to be."""

    mode: int
    uid: int
    gid: int
    sha256: str | None = None
    """None for folders, and for secrets, which the passphrase proves."""
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What a backup says that it holds, in a form that has been checked."""

    run_as: str
    made: str
    genesis_hash: str
    folders: Mapping[str, _About]
    files: Mapping[str, _About]
    left_out: tuple[str, ...]

    @property
    def plain(self) -> dict[str, _About]:
        return {name: about for name, about in self.files.items() if about.sha256 is not None}

    @property
    def sealed(self) -> set[str]:
        return {name for name, about in self.files.items() if about.sha256 is None}


def restore(file: Path, directory: Path, passphrase: str | None, *, sha256: str | None = None) -> Restored:
    """Restore a backup to `directory`, which must be empty or not there; raises `OperationsError`, `OSError`.

    `sha256` is what the backup's own digest must be. Nothing appears in the directory before all of it is verified,
    and nothing outside it is written or changed.
    """
    _refuse_used(directory)
    with file.open("rb") as archive:  # one file from end to end, also where its name is given to another meanwhile
        if sha256 is not None:
            _compare(file, archive, sha256)
        try:
            manifest, sealed = _judged(file, archive)
            secrets = _unsealed(file, manifest, sealed, passphrase)
            with _beside(directory) as place:
                _copy_all(file, archive, place, manifest)
                for name, content in secrets.items():
                    _write(place / name, iter([content]))
                _settle(place, manifest)
                if directory.exists():
                    directory.rmdir()
                publish_folder(place, directory)
        except (tarfile.TarError, EOFError) as error:
            raise OperationsError(f"{file} is not a whole backup: {error}") from error
    count = len(manifest.files)
    return Restored(manifest.run_as, manifest.made, manifest.genesis_hash, count, manifest.left_out)


def _refuse_used(directory: Path) -> None:
    if not directory.exists():
        return
    if (pid := running.holder(directory)) is not None:
        raise OperationsError(f"{directory} is in use by process {pid}: restore to another directory")
    if any(directory.iterdir()):
        raise OperationsError(f"{directory} is not empty: restore to a new directory")


def _compare(file: Path, archive: BufferedReader, wanted: str) -> None:
    found = hashlib.file_digest(archive, "sha256").hexdigest()
    if found != wanted.lower():
        raise OperationsError(f"{file} has the SHA-256 digest {found}, not {wanted}: it is another file, or damaged")


@contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """An empty folder beside the directory, held so that no second restoration uses it; it is gone afterwards.

    What a killed restoration left in it is thrown away.
    """
    place = directory.with_name(f".{directory.name}.restoring")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperationsError(f"another restoration to {directory} is at work") from error
        try:
            for path in place.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)  # gone already when all went well
    finally:
        os.close(descriptor)


def _judged(file: Path, opened: BufferedReader) -> tuple[_Manifest, bytes | None]:
    """What a backup says that it holds, and its sealed part; everything but the content of files has been checked."""
    what = f"{file} is not a backup"
    sizes: dict[str, int] = {}
    sealed: bytes | None = None
    manifest: _Manifest | None = None
    for entry, content in plain_files(opened, what):
        if manifest is not None or entry.name in sizes:
            raise OperationsError(f"{what}: it holds {entry.name!r}")
        if entry.name == MANIFEST and entry.size <= _LARGEST_MANIFEST:
            manifest = _parsed(content.read(), file)
        elif entry.name == SECRETS and sealed is None and entry.size <= _LARGEST_MANIFEST:
            sealed = content.read()
        elif entry.name.startswith(FILES):
            sizes[entry.name] = entry.size
            judge_names([entry.name.removeprefix(FILES)], [], what)
        else:
            raise OperationsError(f"{what}: it holds {entry.name!r}")
    if manifest is None:
        raise OperationsError(f"{file} is not a whole backup: its end is missing")
    judge_names(manifest.files, manifest.folders, what)
    _compare_sizes(file, manifest, sizes)
    return manifest, sealed


def _compare_sizes(file: Path, manifest: _Manifest, sizes: Mapping[str, int]) -> None:
    wanted = {FILES + name: about.size for name, about in manifest.plain.items()}
    for name in sorted(wanted.keys() | sizes.keys()):
        if name not in sizes:
            raise OperationsError(f"{file} is damaged: {name.removeprefix(FILES)} is missing")
        if sizes[name] != wanted.get(name):
            raise OperationsError(f"{file} is damaged: {name.removeprefix(FILES)} is not what the manifest says")


def _parsed(content: bytes, file: Path) -> _Manifest:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise OperationsError(f"{file}: its manifest is damaged: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise OperationsError(f"{file} is not a backup of a format that is known here ({FORMAT})")
    try:
        return _Manifest(
            run_as=_one_of(manifest["run_as"]),
            made=_text(manifest["made"]),
            genesis_hash=_text(manifest["genesis_hash"]),
            folders={name: _about(about) for name, about in manifest["folders"].items()},
            files={_kept(name): _about(about, file=True) for name, about in manifest["files"].items()},
            left_out=tuple(_text(name) for name in manifest["left_out"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise OperationsError(f"{file}: its manifest is damaged: {type(error).__name__}: {error}") from error


def _about(entry: Mapping[str, Any], *, file: bool = False) -> _About:
    """Permissions without set-user-id and the like; raises `ValueError`, `KeyError` or `TypeError`."""
    about = _About(_number(entry["mode"]) & 0o777, _number(entry["uid"]), _number(entry["gid"]))
    if not file or entry.get("sealed") is True:
        return about
    return _About(about.mode, about.uid, about.gid, _text(entry["sha256"]), _number(entry["size"], most=2**63 - 1))


def _number(value: object, *, most: int = _LARGEST_ID) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not a number from 0 to {most}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r} is not a line of text")
    return value


def _one_of(value: object) -> str:
    if value not in _RUN_AS:
        raise ValueError(f"run_as {value!r} is none of {', '.join(_RUN_AS)}")
    return str(value)


def _kept(name: str) -> str:
    """A file that backups do not leave out: what says how a network runs now must not come from elsewhere."""
    if name.partition("/")[0] in NEVER:
        raise ValueError(f"{name!r} does not belong into a backup")
    return name


def _copy_all(file: Path, opened: BufferedReader, place: Path, manifest: _Manifest) -> None:
    """Copy the files of a backup that has been judged; raises `OperationsError` for one with another content."""
    wanted = manifest.plain
    missing = set(wanted)
    for entry, content in plain_files(opened, f"{file} is not a backup"):
        name = entry.name.removeprefix(FILES)
        if not entry.name.startswith(FILES) or name not in missing:
            continue
        digest = _write(place / name, iter(lambda content=content: content.read(_CHUNK), b""))  # type: ignore[misc]
        if digest != wanted[name].sha256:
            raise OperationsError(f"{file} is damaged: {name} is not what the manifest says")
        missing.discard(name)
    for name in sorted(missing):
        raise OperationsError(f"{file} is damaged: {name} is missing")


def _write(target: Path, chunks: Iterator[bytes]) -> str:
    """Write a new file down to the disk; answers its SHA-256 in hexadecimal."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        for chunk in chunks:
            digest.update(chunk)
            output.write(chunk)
        output.flush()
        os.fsync(output.fileno())
    return digest.hexdigest()


def _unsealed(file: Path, manifest: _Manifest, sealed: bytes | None, passphrase: str | None) -> dict[str, bytes]:
    wanted = manifest.sealed
    if not wanted and sealed is None:
        return {}
    if sealed is None:
        raise OperationsError(f"{file} is damaged: its secrets are missing")
    if passphrase is None:
        raise OperationsError(f"{file} holds secrets: give the passphrase that it was made with")
    secrets = open_sealed(sealed, passphrase)
    if secrets.keys() != wanted:
        raise OperationsError(f"{file} is damaged: its secrets are not what the manifest says")
    return secrets


def _settle(place: Path, manifest: _Manifest) -> None:
    """Give every file and folder the permissions and, as root, the owner that it had."""
    for name in manifest.folders:
        (place / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, about in sorted((*manifest.files.items(), *manifest.folders.items()), reverse=True):
        (place / name).chmod(about.mode)
        if os.getuid() == 0:
            os.chown(place / name, about.uid, about.gid, follow_symlinks=False)
