# SPDX-License-Identifier: Apache-2.0
"""Digests of files as the ledger records them."""

import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pedigree.documents import FileEntry
from pedigree.folders import Identity, PlainFile, identity_of, ignored_paths, list_files
from pedigree.rules import MOST_FILES, check_path

Progress = Callable[[int], None] | None
_CHUNK = 1 << 20
"""Bytes that are read and hashed at a time: few enough to be in the processor's cache still."""
_MOST_THREADS = 8
"""How many files are read at once, at most."""


class Hashed(NamedTuple):
    """A file, its SHA-256 in lowercase hex, and whether that was known before and the file not read."""

    file: PlainFile
    digest: str
    was_known: bool = False

    @property
    def entry(self) -> FileEntry:
        """The file as a model version names it."""
        return {"path": self.file.path, "digest": self.digest, "size": self.file.size}


Known = Mapping[str, tuple[Identity, str]]
"""By the path of a file: what it was known by when it was read, and the digest that it had."""


def digest_file(path: Path | str, progress: Progress = None) -> str:
    """SHA-256 of a file in lowercase hex, as `sha256sum` prints it; `progress` is given the bytes of each step.

    Raises `ValueError` for a file that changes while it is read; `OSError`.
    """
    return _digest(Path(path), progress)[0]


def digest_files(root: Path | str, progress: Progress = None, *, ignore_paths: Iterable[str] = ()) -> list[FileEntry]:
    """Path, digest and size of every file of a model: of a folder, or one file; in the order of their paths.

    Git's own files at the top of the folder are not part of a model, nor are `ignore_paths`: see `ignored_paths`.
    Raises `ValueError`, before anything is read, for what is not a plain file (what a link points at is not part of the
    model) and for what the ledger would refuse; then where the folder or a file in it changes meanwhile. `OSError` for
    what cannot be read.
    """
    return [each.entry for each in hash_files(Path(root), progress, ignore_paths=ignore_paths)]


def hash_files(
    root: Path, progress: Progress = None, *, ignore_paths: Iterable[str] = (), known: Known | None = None
) -> list[Hashed]:
    """As `digest_files`; a file that is still what it is in `known` has the digest from there and is not read."""
    ignored = [f"/{path}" for path in ignored_paths(ignore_paths)]
    found = list_files(root, ignored)
    if len(found) > MOST_FILES:
        raise ValueError(f"{root} holds {len(found)} files; a model version names at most {MOST_FILES}")
    for one in found:
        check_path(one.path, str(one.file))
    hashed = _hash_each(found, progress, known or {})
    _refuse_other_folder(root, ignored, found)
    return hashed


def _hash_each(found: Sequence[PlainFile], progress: Progress, known: Known) -> list[Hashed]:
    """Several at once: SHA-256 of a large piece holds no lock of the interpreter."""
    recalled = {one.path: made for one in found if (made := _recall(one, known)) is not None}
    rest = [one for one in found if one.path not in recalled]
    if progress is not None and recalled:
        progress(sum(each.file.size for each in recalled.values()))
    read = {each.file.path: each for each in _read_each(rest, progress)} if rest else {}
    return [recalled.get(one.path) or read[one.path] for one in found]


def _recall(one: PlainFile, known: Known) -> Hashed | None:
    before = known.get(one.path)
    return Hashed(one, before[1], was_known=True) if before is not None and before[0] == one.identity else None


def _read_each(found: Sequence[PlainFile], progress: Progress) -> list[Hashed]:
    lock = threading.Lock()
    ended = threading.Event()
    threads = min(_MOST_THREADS, os.cpu_count() or 1, len(found))
    free = [memoryview(bytearray(_CHUNK)) for _ in range(threads)]

    def report(done: int) -> None:
        if ended.is_set():
            raise CancelledError
        if progress is not None:
            with lock:
                progress(done)

    def hashed(one: PlainFile) -> Hashed:
        room = free.pop()  # there is one for each thread; the system would have to clear a new one for each file
        try:
            return Hashed(one, _digest_listed(one, report, room)[0])
        finally:
            free.append(room)

    pool = ThreadPoolExecutor(threads)
    try:
        return list(pool.map(hashed, found))
    finally:
        ended.set()  # after an error, or Ctrl-C, nobody waits for the rest of what may be very large
        pool.shutdown(cancel_futures=True)


def folder_records(root: Path, progress: Callable[[int, int, int], None]) -> bytes:
    """JSON Lines of a folder's files, a record each: ``{"path":"a/b.png","sha256":"…"}``, in the order of their paths.

    No file is left out. `progress` is given how many bytes are done, of how many, and how many files. Raises
    `ValueError` for what is not a plain file, for a path that the ledger would refuse, and where the folder or a file
    in it changes while it is read; `OSError`.
    """
    found = list_files(root, ())
    for one in found:
        check_path(one.path, str(one.file))
    lines: list[bytes] = []
    done, total = 0, sum(one.size for one in found)
    for number, one in enumerate(found, start=1):
        digest, _ = _digest_listed(one, None)
        line = {"path": one.path, "sha256": digest}
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        done += one.size
        progress(done, total, number)
    _refuse_other_folder(root, (), found)
    return b"".join(lines)


def _refuse_other_folder(root: Path, ignored: Iterable[str], before: Sequence[PlainFile]) -> None:
    """Raise `ValueError` where a folder no longer holds the files that were listed, as they were then."""
    now = {one.path: one for one in list_files(root, ignored)}
    for one in before:
        if one.path not in now:
            raise ValueError(f"{one.file} was removed while {root} was read")
        if now.pop(one.path) != one:
            raise ValueError(f"{one.file} was changed while {root} was read")
    for one in now.values():
        raise ValueError(f"{one.file} was added while {root} was read")


def read_unchanged(path: Path, room: memoryview | None = None) -> Iterator[memoryview]:
    """The bytes of a file in pieces, each of which is there, in `room`, until the next one is asked for.

    Raises `ValueError` at the end for a file that is not what it was when it was opened: what was read of it may never
    have been its content. `OSError` for what cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        is_regular = stat.S_ISREG(status.st_mode)
        left = status.st_size
        if room is None:
            room = memoryview(bytearray(_CHUNK))
        while length := file.readinto(room):
            yield room[:length]
            left -= length
            if is_regular and left < 0:
                break  # somebody writes to it, perhaps without end
        if is_regular:
            refuse_change(path, file, identity_of(status), "read")


def refuse_change(path: Path, file: BinaryIO, before: Identity, doing: str) -> None:
    """Raise `ValueError` where a path, or the file that was opened there, is not what it was."""
    try:
        now = path.stat()
    except FileNotFoundError:
        raise ValueError(f"{path} was removed while it was {doing}") from None
    if before != identity_of(now) or before != identity_of(os.fstat(file.fileno())):
        raise ValueError(f"{path} was changed while it was {doing}")


def digest_code(root: Path, ignored: Iterable[str]) -> str:
    """SHA-256 of one file of code, or of a folder's files as `manifest_digest` has it, but for what is ignored."""
    ignored = tuple(ignored)
    found = list_files(root, ignored)
    entries = [each.entry for each in _hash_each(found, None, {})]
    _refuse_other_folder(root, ignored, found)
    return entries[0]["digest"] if found[0].file == root else manifest_digest(entries)


def _digest_listed(found: PlainFile, progress: Progress, room: memoryview | None = None) -> tuple[str, int]:
    try:
        return _digest(found.file, progress, room)
    except FileNotFoundError:
        raise ValueError(f"{found.file} was removed before it was read") from None


def _digest(path: Path, progress: Progress, room: memoryview | None = None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in read_unchanged(path, room):
        digest.update(chunk)
        size += len(chunk)
        if progress is not None:
            progress(len(chunk))
    return digest.hexdigest(), size


def manifest_digest(files: Sequence[FileEntry]) -> str:
    """SHA-256 over the files' digests in the order of their paths: the subject digest of an OpenSSF model signature."""
    ordered = sorted(files, key=lambda file: str(file["path"]))
    return hashlib.sha256(b"".join(bytes.fromhex(file["digest"]) for file in ordered)).hexdigest()
