# SPDX-License-Identifier: Apache-2.0
"""Files of records as they are sent, and digests of files as the ledger records them."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
_MEDIA_TYPES = {".csv": "text/csv", ".jsonl": "application/jsonl", ".ndjson": "application/jsonl"}


def digest_file(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file in lowercase hex; `progress` is told the number of bytes of each step."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return digest.hexdigest()


def digest_files(root: Path, progress: Callable[[int], None] | None = None) -> list[dict[str, Any]]:
    """Path, digest and size of every file below a folder (or of one file), in the order of their paths.

    Symbolic links are refused with `ValueError`, because what they point at is not part of the model.
    """
    if root.is_file():
        return [{"path": root.name, "digest": digest_file(root, progress), "size": root.stat().st_size}]
    found = sorted(((path.relative_to(root).as_posix(), path) for path in root.rglob("*")), key=lambda pair: pair[0])
    entries = []
    for name, path in found:
        if path.is_symlink():
            raise ValueError(f"{path} is a symbolic link; a model consists of plain files")
        if path.is_file():
            entries.append({"path": name, "digest": digest_file(path, progress), "size": path.stat().st_size})
    if not entries:
        raise ValueError(f"{root} holds no file")
    return entries


def manifest_digest(files: Sequence[dict[str, Any]]) -> str:
    """SHA-256 over the files' digests in the order of their paths: the subject digest of an OpenSSF model signature."""
    ordered = sorted(files, key=lambda file: str(file["path"]))
    return hashlib.sha256(b"".join(bytes.fromhex(file["digest"]) for file in ordered)).hexdigest()


def content_of(source: Path | bytes, media_type: str | None) -> tuple[bytes, str]:
    """The bytes of a file of records, and its media type: as given, else by the ending of its name; else `ValueError`.

    What is no file is CSV unless something else is given.
    """
    if isinstance(source, bytes):
        return source, media_type or "text/csv"
    found = media_type or _MEDIA_TYPES.get(source.suffix.lower())
    if found is None:
        raise ValueError(f"{source}: name the media type; known endings are {', '.join(_MEDIA_TYPES)}")
    return source.read_bytes(), found
