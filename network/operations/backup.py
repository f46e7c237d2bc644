# SPDX-License-Identifier: Apache-2.0
"""Writes a network's directory into one file.

What a running embedded network and gateways keep is in SQLite files, which are copied while they are used. Gateways
come first and ledgers last, so that no copy of a gateway knows more than the copy of the ledger it follows. Fabric's
programs offer no such copy, so their network has to be down: copies of single Raft nodes taken at different times could
forget what a majority has acknowledged. The file appears whole or not at all.
"""

import fcntl
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from network import running
from network.durable import publish_file
from network.embedded.lock import DirectoryInUseError, DirectoryLock
from network.native import processes
from network.operations.archives import judge_names, plain_files
from network.operations.errors import OperationsError
from network.operations.sealing import SHORTEST, seal
from network.operations.secretfiles import is_secret

__all__ = ["FILES", "FORMAT", "MANIFEST", "NEVER", "SECRETS", "Backup", "back_up", "holds_secrets"]

FORMAT = "pedigree-backup-1"
MANIFEST, SECRETS, FILES = "manifest.json", "secrets.sealed", "files/"
NEVER = frozenset({"lock", "run", "logs", "network.log", "running.json", "compose.yaml", "kubernetes", "monitoring"})
"""What says only how the network runs now, or is rendered anew."""
_LEDGERS = frozenset({"ledgers", "fabric"})
"""Folders of Fabric's programs: everything in them belongs to the ledger, whatever it is called."""
_UNFINISHED = (".new", ".tmp", ".unfinished", ".old", "-wal", "-shm", "-journal")
_CHUNK = 1 << 20
_LARGEST_KEY_FILE = 1 << 20
_KEY = b"PRIVATE KEY-----"
_SQLITE = b"SQLite format 3\x00"


@dataclass(slots=True)
class Backup:
    """What was written."""

    file: Path
    sha256: str = ""
    """Of the whole file, to be kept elsewhere."""
    size: int = 0
    files: int = 0
    secrets: int = 0
    left_out: list[str] = field(default_factory=list)
    """Secret files that are not in it."""


def back_up(directory: Path, file: Path, passphrase: str | None) -> Backup:
    """Write a backup of `directory` to `file`; secrets go in, sealed, only with a passphrase.

    Raises `OperationsError`, `OSError`.
    """
    described = running.last_description(directory)
    if described is None:
        raise OperationsError(f"{directory} holds no network to back up")
    _refuse_existing(file)
    if passphrase is not None and len(passphrase) < SHORTEST:
        raise OperationsError(f"the passphrase must have at least {SHORTEST} characters")
    if file.absolute().is_relative_to(directory):
        raise OperationsError(f"{file} lies in the directory itself: write the backup elsewhere")
    unfinished = file.with_name(f".{file.name}.new")
    with ExitStack() as cleaning:
        _hold(directory, cleaning)
        done = Backup(file)
        with _create(unfinished) as output:
            cleaning.callback(unfinished.unlink, missing_ok=True)  # what a killed tool leaves, the next one writes over
            with tarfile.open(unfinished, fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
                _write(directory, described, archive, passphrase, done)
            output.flush()
            done.size = output.tell()
            output.seek(0)
            done.sha256 = hashlib.file_digest(output, "sha256").hexdigest()
            _refuse_existing(file)  # somebody may have written it meanwhile
            publish_file(unfinished, file)
    return done


def holds_secrets(file: Path) -> bool:
    """Whether a backup has a sealed part; False too for what is not a backup, which `restore` then refuses."""
    try:
        with file.open("rb") as archive:
            return any(entry.name == SECRETS for entry, _ in plain_files(archive, str(file)))
    except (OperationsError, tarfile.TarError):
        return False


def _hold(directory: Path, cleaning: ExitStack) -> None:
    """Keep the network as it is: down, or, where it is embedded, as it goes on to run."""
    embedded = running.run_as(directory) == "process"
    try:
        lock = DirectoryLock(directory)
    except DirectoryInUseError as error:
        if embedded:
            return
        raise OperationsError(f"{error}; {_stop_first(directory)}") from error
    cleaning.callback(lock.release)
    if _left_running(directory):
        raise OperationsError(f"{directory}: the network runs; {_stop_first(directory)}")


def _left_running(directory: Path) -> bool:
    """Whether containers, or processes that a killed tool left behind, still use the ledgers."""
    if running.run_as(directory) == "containers":
        return any(entry["state"] == "running" for entry in running.containers(directory))
    return any(processes.running(path) is not None for path in (directory / "run").glob("*.pid"))


def _stop_first(directory: Path) -> str:
    return f"Fabric's programs can be backed up only when they are down: pedigree-network down --dir {directory}"


def _refuse_existing(file: Path) -> None:
    if os.path.lexists(file):
        raise OperationsError(f"{file} exists already: name a new file")


def _create(path: Path) -> Any:
    """Open an empty file for the owner alone, and hold it: a second backup to the same place is refused."""
    output = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "rb+")
    try:
        fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        output.close()
        raise OperationsError(f"another backup to {path.parent} is at work: {path} is in use") from error
    os.fchmod(output.fileno(), 0o600)
    output.truncate()
    return output


def _write(
    directory: Path, described: dict[str, Any], archive: tarfile.TarFile, passphrase: str | None, done: Backup
) -> None:
    folders: dict[str, dict[str, int]] = {}
    files: dict[str, dict[str, Any]] = {}
    secrets: dict[str, bytes] = {}
    for path in _paths(directory):
        name = path.relative_to(directory).as_posix()
        about = _about(path)
        if path.is_dir():
            folders[name] = about
        elif not is_secret(PurePath(name)) and not _holds_key(path):
            files[name] = about | _add(archive, path, FILES + name)
        elif passphrase is None:
            done.left_out.append(name)
        else:
            files[name] = about | {"sealed": True}
            secrets[name] = path.read_bytes()
    judge_names(files, folders, f"{directory} cannot be backed up")
    if passphrase is not None:
        _add_bytes(archive, SECRETS, seal(secrets, passphrase))
    manifest = {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_as": running.run_as(directory),
        "channel": described["channel"],
        "genesis_hash": described["genesis_hash"],
        "folders": folders,
        "files": files,
        "left_out": done.left_out,
    }
    # Last, because digests are known last; a backup without it is half a backup and is refused.
    _add_bytes(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
    done.files, done.secrets = len(files), len(secrets)


def _holds_key(path: Path) -> bool:
    """Whether a file holds a private key though its name does not say so; keys are small and in PEM."""
    if path.stat().st_size > _LARGEST_KEY_FILE:
        return False
    return _KEY in path.read_bytes()


def _paths(directory: Path) -> Iterator[Path]:
    """Folders before what is in them; ledgers of the embedded network after everything else."""
    top = sorted(path for path in directory.iterdir() if path.name not in NEVER and not _passing(path))
    for path in sorted(top, key=lambda each: each.name == "ledger"):
        yield from _below(path, directory)


def _below(path: Path, directory: Path) -> Iterator[Path]:
    if path.is_symlink() or not (path.is_dir() or path.is_file()):
        raise OperationsError(f"{path} is neither a file nor a folder: it cannot be backed up")
    parts = path.relative_to(directory).parts
    if parts[0] not in _LEDGERS and _passing(path):
        return
    if parts[0] == "containers" and len(parts) > 1 and path.is_dir():
        return  # rendered anew from the topology by the next start
    yield path
    if path.is_dir():
        for each in sorted(path.iterdir()):
            yield from _below(each, directory)


def _passing(path: Path) -> bool:
    """Whether a file or folder is half-made, or only of use to the process that made it."""
    return path.name.startswith(".") or path.name.endswith(_UNFINISHED) or path.name == "lock"


def _about(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"mode": found.st_mode & 0o777, "uid": found.st_uid, "gid": found.st_gid}


def _add(archive: tarfile.TarFile, path: Path, name: str) -> dict[str, Any]:
    with path.open("rb") as content:
        start = content.read(len(_SQLITE))
    if path.suffix == ".db" and start == _SQLITE:
        return _add_database(archive, path, name)
    return _add_file(archive, path, name)


def _add_database(archive: tarfile.TarFile, path: Path, name: str) -> dict[str, Any]:
    """Copy a SQLite file as it is at one moment, while others write it."""
    beside = Path(str(archive.name)).parent  # where there must be room for the backup anyway
    with tempfile.TemporaryDirectory(prefix=".pedigree-backup-", dir=beside) as scratch:
        copy = Path(scratch) / "copy.db"
        try:
            with (
                closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            raise OperationsError(f"{path} cannot be copied: {error}") from error
        return _add_file(archive, copy, name)


def _add_file(archive: tarfile.TarFile, path: Path, name: str) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        size = os.fstat(content.fileno()).st_size
        entry = tarfile.TarInfo(name)
        entry.size = size
        archive.addfile(entry, _Hashing(content, digest, size))
    return {"sha256": digest.hexdigest(), "size": size}


class _Hashing:
    """A file that is digested as it is read; what is appended meanwhile is left out."""

    def __init__(self, content: Any, digest: Any, size: int) -> None:
        self._content, self._digest, self._left = content, digest, size

    def read(self, size: int = _CHUNK) -> bytes:
        """The next bytes."""
        chunk: bytes = self._content.read(min(size, self._left))
        self._left -= len(chunk)
        self._digest.update(chunk)
        return chunk


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
