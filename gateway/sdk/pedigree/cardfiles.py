# SPDX-License-Identifier: Apache-2.0
"""Files beside the Croissant card that describes them: digests, sizes, and the columns that its record sets read.

Nothing is asked of a gateway. A card proves nothing of itself: whether it is the one that a data set was registered
with, its own digest says.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

from pedigree.cardlists import Listed, Source, listed, sources
from pedigree.comparisons import CardComparison, CheckedFile
from pedigree.croissant import Card, read_card
from pedigree.files import read_unchanged
from pedigree.folders import list_files
from pedigree.headers import HeaderError, read_header

Progress = Callable[[int], None] | None
_TABLES: Final = {"text/csv": ",", "text/tab-separated-values": "\t"}
_ENDINGS: Final = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class _Given:
    """A file that was given, and what was read of it."""

    path: str
    """From the folder that was given, else the whole of it; with forward slashes."""
    file: Path
    size: int
    sha256: str
    md5: str | None


def check_card(
    card: Path | str | bytes, files: Iterable[Path | str], *, partial: bool = False, progress: Progress = None
) -> CardComparison:
    """Compare files, and all those of folders, with the card that describes them.

    A file is the one on the card that has its name, its place in `contentUrl`, or its digest. Each is read once, in
    pieces. SHA-256 decides; an MD5 or a size that agrees proves nothing, and one that does not agree is a difference.

    Args:
        partial: whether files that the card lists may be left out.
        progress: is given the bytes of each piece that was read.

    Raises `InvalidInput` for what is not a card; `ValueError` for what is not a plain file and for a file that changes
    while it is read; `OSError`.
    """
    read = read_card(card)
    comparison = _Comparison(read, listed(read.said))
    own = None if isinstance(card, bytes) else Path(card)
    for path, file in _plain_files(files, own):
        comparison.take(_read(path, file, comparison.needs_md5, progress))
    return comparison.report(partial=partial)


def given_bytes(card: Path | str | bytes, files: Iterable[Path | str]) -> int:
    """The size of all files together that `check_card` reads, in bytes; raises what it raises for them."""
    own = None if isinstance(card, bytes) else Path(card)
    return sum(file.stat().st_size for _, file in _plain_files(files, own))


def _plain_files(files: Iterable[Path | str], card: Path | None) -> Iterator[tuple[str, Path]]:
    """Path and file of everything that was given; of a folder without the card itself."""
    for given in map(Path, files):
        is_folder = given.is_dir()
        for found in list_files(given, ()):
            if not is_folder:
                yield given.absolute().as_posix(), given
            elif card is None or not card.samefile(found.file):
                yield found.path, found.file


def _read(path: str, file: Path, needs_md5: bool, progress: Progress) -> _Given:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    for piece in read_unchanged(file):
        sha256.update(piece)
        if needs_md5:
            md5.update(piece)
        size += len(piece)
        if progress is not None:
            progress(len(piece))
    return _Given(path, file, size, sha256.hexdigest(), md5.hexdigest() if needs_md5 else None)


class _Comparison:
    """Which of the given files is which on the card."""

    def __init__(self, card: Card, entries: Sequence[Listed]) -> None:
        self._card = card
        self._entries = entries
        self._by_name: dict[str, Listed] = {}
        self._by_digest: dict[str, Listed] = {}
        self._sets = [entry for entry in entries if entry.patterns]
        self._found: dict[Listed, list[_Given]] = {}
        self._in_sets: list[tuple[Listed, _Given]] = []
        self._added: list[_Given] = []
        for entry in entries:
            for name in entry.names:
                self._by_name.setdefault(name, entry)
            if entry.sha256 is not None:
                self._by_digest.setdefault(entry.sha256, entry)
        self.needs_md5 = any(entry.md5 is not None and entry.sha256 is None for entry in entries)

    def take(self, given: _Given) -> None:
        """Find out which file on the card this is."""
        parts = given.path.split("/")
        names = ("/".join(parts[start:]) for start in range(len(parts)))
        entry = next((self._by_name[name] for name in names if name in self._by_name), None)
        entry = entry or self._by_digest.get(given.sha256)
        if entry is not None:
            self._found.setdefault(entry, []).append(given)
            return
        holder = next((each for each in self._sets if each.holds(given.path, fnmatchcase)), None)
        if holder is None:
            self._added.append(given)
        else:
            self._in_sets.append((holder, given))

    def report(self, *, partial: bool) -> CardComparison:
        files: list[CheckedFile] = []
        remarks = [str(remark) for remark in self._card.remarks if remark.pointer.startswith("/distribution/")]
        taken: dict[str, list[_Given]] = {}
        for entry in self._entries:
            given = self._chosen(entry)
            if given is not None:
                files.append(_checked(entry, given, remarks))
                taken[entry.id] = [given]
            elif entry.is_expected and not partial:
                files.append(_file(entry.id, None, "missing", "none of the files is it"))
        for holder, given in self._in_sets:
            files.append(_file(holder.id, given, "unproven", "the card lists it in a set of files, without a digest"))
            taken.setdefault(holder.id, []).append(given)
        columns = list(_missing_columns(sources(self._card.said), self._entries, taken, remarks))
        added = [str(given.file) for given in self._added]
        return {
            "card": self._card.digest,
            "verified": not columns and not added and bool(files) and all(each["found"] == "same" for each in files),
            "files": files,
            "added": added,
            "columns": columns,
            "remarks": remarks,
        }

    def _chosen(self, entry: Listed) -> _Given | None:
        """Of several files with one name on the card the one with its digest; the others are not on the card."""
        found = self._found.get(entry)
        if found is None:
            return None
        best = next((each for each in found if each.sha256 == entry.sha256), found[0])
        self._added += [each for each in found if each is not best]
        return best


def _checked(entry: Listed, given: _Given, remarks: list[str]) -> CheckedFile:
    """What comparing a file with its place on the card came to."""
    is_of_size = entry.size is None or entry.size == given.size
    sizes = f"it has {given.size} bytes; the card says {entry.size}"
    if entry.sha256 is not None:
        if entry.sha256 != given.sha256:
            return _file(entry.id, given, "differs", f"its SHA-256 is {given.sha256}; the card says {entry.sha256}")
        if not is_of_size:
            remarks.append(f"{entry.id}: {sizes}, and has the digest of these bytes")
        return _file(entry.id, given, "same", "")
    if not is_of_size:
        return _file(entry.id, given, "differs", sizes)
    if entry.md5 is None:
        return _file(entry.id, given, "unproven", "the card has no digest of it")
    if entry.md5 != given.md5:
        return _file(entry.id, given, "differs", f"its MD5 is {given.md5}; the card says {entry.md5}")
    return _file(entry.id, given, "unproven", "its MD5 agrees, which other bytes can be made to have")


def _file(
    name: str, given: _Given | None, found: Literal["same", "differs", "unproven", "missing"], reason: str
) -> CheckedFile:
    return {"name": name, "file": None if given is None else str(given.file), "found": found, "reason": reason}


def _missing_columns(
    read: Iterable[Source], entries: Sequence[Listed], taken: dict[str, list[_Given]], remarks: list[str]
) -> Iterator[str]:
    """A sentence for every column that a record set reads and that a file does not have."""
    types = {entry.id: entry.media_type for entry in entries}
    headers: dict[Path, frozenset[str] | None] = {}
    for source in read:
        for given in taken.get(source.file, ()):
            if given.file not in headers:
                headers[given.file] = _header(given.file, types.get(source.file), source.record_set, remarks)
            header = headers[given.file]
            if header is not None and source.column not in header:
                yield f"{given.file}: there is no column {source.column!r}, which {source.record_set!r} reads"


def _header(file: Path, media_type: str | None, record_set: str, remarks: list[str]) -> frozenset[str] | None:
    """The columns of a table of text; None, and a remark, for any other file."""
    delimiter = _TABLES.get(media_type or "", _ENDINGS.get(file.suffix.lower()))
    if delimiter is None:
        remarks.append(f"{file}: what {record_set!r} reads from it was not compared, because it is not CSV")
        return None
    try:
        return frozenset(read_header(file, delimiter))
    except HeaderError as exc:
        remarks.append(f"{file}: what {record_set!r} reads from it was not compared: {exc}")
        return None
