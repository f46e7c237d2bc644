# SPDX-License-Identifier: Apache-2.0
"""Digests of files as the ledger records them."""

import hashlib
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
