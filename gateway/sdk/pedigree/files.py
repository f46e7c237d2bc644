# SPDX-License-Identifier: Apache-2.0
"""Digests of files as the ledger records them."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pedigree.documents import FileEntry
from pedigree.folders import PlainFile, ignored_paths, list_files
from pedigree.rules import MOST_FILES, check_path

Progress = Callable[[int], None] | None
_CHUNK = 1 << 20


def digest_file(path: Path | str, progress: Progress = None) -> str:
    """SHA-256 of a file in lowercase hex, as `sha256sum` prints it; `progress` is given the bytes of each step."""
    return _digest(Path(path), progress)[0]


def digest_files(root: Path | str, progress: Progress = None, *, ignore_paths: Iterable[str] = ()) -> list[FileEntry]:
    """Path, digest and size of every file of a model: of a folder, or one file; in the order of their paths.

    Git's own files at the top of the folder are not part of a model, nor are `ignore_paths`: see `ignored_paths`.
    Raises `ValueError`, before anything is read, for what is not a plain file (what a link points at is not part of the
    model) and for what the ledger would refuse; `OSError` for what cannot be read.
    """
    found = list_files(Path(root), (f"/{path}" for path in ignored_paths(ignore_paths)))
    if len(found) > MOST_FILES:
        raise ValueError(f"{root} holds {len(found)} files; a model version names at most {MOST_FILES}")
    for one in found:
        check_path(one.path, str(one.file))
    return [_entry(one, progress) for one in found]


def folder_records(root: Path, progress: Callable[[int, int, int], None]) -> bytes:
    """JSON Lines of a folder's files, a record each: ``{"path":"a/b.png","sha256":"…"}``, in the order of their paths.

    No file is left out. `progress` is given how many bytes are done, of how many, and how many files. Raises
    `ValueError` for what is not a plain file, for a path that the ledger would refuse and for a file that changes while
    it is read; `OSError`.
    """
    found = list_files(root, ())
    for one in found:
        check_path(one.path, str(one.file))
    lines: list[bytes] = []
    done, total = 0, sum(one.size for one in found)
    for number, one in enumerate(found, start=1):
        digest = _unchanged_digest(one.file)
        line = {"path": one.path, "sha256": digest}
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        done += one.size
        progress(done, total, number)
    return b"".join(lines)


def _unchanged_digest(path: Path) -> str:
    """SHA-256 of a file that is the same before and after it is read: in size, time of change and place."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    after = path.stat(follow_symlinks=False)
    if identity(before) != identity(after):
        raise ValueError(f"{path} was changed while it was read")
    return digest


def identity(status: os.stat_result) -> tuple[int, ...]:
    """What tells a file from another one, and from itself before it was written to."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def digest_code(root: Path, ignored: Iterable[str]) -> str:
    """SHA-256 of one file of code, or of a folder's files as `manifest_digest` has it, but for what is ignored."""
    found = list_files(root, ignored)
    if found[0].file == root:
        return digest_file(root)
    return manifest_digest([_entry(one, None) for one in found])


def _entry(found: PlainFile, progress: Progress) -> FileEntry:
    digest, size = _digest(found.file, progress)
    return {"path": found.path, "digest": digest, "size": size}


def _digest(path: Path, progress: Progress) -> tuple[str, int]:
    """Digest and size of the bytes that were read, whatever the file was when it was listed."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if progress is not None:
                progress(len(chunk))
    return digest.hexdigest(), size


def manifest_digest(files: Sequence[FileEntry]) -> str:
    """SHA-256 over the files' digests in the order of their paths: the subject digest of an OpenSSF model signature."""
    ordered = sorted(files, key=lambda file: str(file["path"]))
    return hashlib.sha256(b"".join(bytes.fromhex(file["digest"]) for file in ordered)).hexdigest()
