# SPDX-License-Identifier: Apache-2.0
"""What names and entries an archive may have: judged as a whole, before anything of it is written anywhere.

An archive comes from wherever its bearer says. Names that lead out of the folder, links and devices would let it write
and change what is not its own; names that are one file on some disks and two on others would let it hide something.
"""

import tarfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO

from network.operations.errors import OperationsError

__all__ = ["MOST_ENTRIES", "judge_names", "plain_files"]

MOST_ENTRIES = 1_000_000
_LONGEST_NAME, _LONGEST_PART = 4096, 255
"""Bytes, as Linux has them."""
_DAMAGED = (ValueError, TypeError, IndexError, OverflowError, MemoryError, RecursionError)
"""What the library makes of damaged headers, beside its own errors."""


def plain_files(opened: IO[bytes], what: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Every entry of an uncompressed archive, in order, with what it holds; one that is not a plain file is refused.

    All bytes of a plain file are in the archive, so it is no larger than that. Raises `OperationsError` in which `what`
    stands for the archive, or `tarfile.TarError`.
    """
    opened.seek(0)
    try:
        archive = tarfile.open(fileobj=opened, mode="r:")  # noqa: SIM115 -- closed below; this line reads already
    except _DAMAGED as error:
        raise OperationsError(f"{what}: its first header cannot be read") from error
    with archive:
        while (entry := _next(archive, what)) is not None:
            content = _plain_content(archive, entry)
            if content is None:
                raise OperationsError(f"{what}: it holds {entry.name!r}, which is not a plain file")
            yield entry, content


def _next(archive: tarfile.TarFile, what: str) -> tarfile.TarInfo | None:
    try:
        return archive.next()
    except _DAMAGED as error:
        raise OperationsError(f"{what}: one of its headers cannot be read") from error


def _plain_content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes] | None:
    if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or entry.issparse() or entry.size < 0:
        return None
    return archive.extractfile(entry)


def judge_names(files: Iterable[str], folders: Iterable[str], what: str) -> None:
    """Refuse names that are not below one folder, or of which two would meet in one place.

    Names are relative, with `/` between parts. Raises `OperationsError` in which `what` stands for the archive.
    """
    seen: dict[str, str] = {}
    inside: set[str] = set()
    for name in [*(listed := list(files)), *folders]:
        _judge_name(name, what)
        folded = _folded(name)
        if folded in seen:
            raise OperationsError(f"{what}: it holds {name!r} and {seen[folded]!r}, which are one file on some disks")
        seen[folded] = name
        inside.update(str(parent) for parent in PurePosixPath(folded).parents)
        if len(seen) > MOST_ENTRIES:
            raise OperationsError(f"{what}: it holds more than {MOST_ENTRIES} files and folders")
    for name in listed:
        if _folded(name) in inside:
            raise OperationsError(f"{what}: it holds {name!r} as a file and as a folder")


def _judge_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not _is_plain(name):
        raise OperationsError(f"{what}: it holds {name!r}, which is not the name of a file below one folder")


def _is_plain(name: str) -> bool:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or str(path) != name or not name.isprintable():
        return False
    sizes = [len(part.encode("utf-8", "surrogatepass")) for part in path.parts]
    return max(sizes) <= _LONGEST_PART and sum(sizes) + len(sizes) <= _LONGEST_NAME


def _folded(name: str) -> str:
    """What a disk that knows no case, or one way only to write a letter, takes a name for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
