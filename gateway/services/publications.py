# SPDX-License-Identifier: Apache-2.0
"""The bytes of committed versions and selections: compared with what was committed, sealed, and kept for those who get
access.

What a crash leaves is a blob that no publication names; it never opens, since its key was never kept, and the sweeper
removes it.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from os import SEEK_END
from typing import BinaryIO, Final

from chaincode.domain.values import Name
from gateway.sealing.blobs import KEY, Header
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import SealError, WrongLength
from gateway.sealing.streams import seal
from gateway.services.blobstores import BlobStore, Publication, Publications
from gateway.services.copies import KINDS
from gateway.services.datasets import Datasets
from gateway.services.drafting import Upload
from gateway.services.failures import Category, PortError
from gateway.services.ports import Clock, Json
from gateway.services.selected import SelectedRecords

_PIECE: Final = 1 << 20


class NotTheCommitted(PortError):
    """The file is not what was committed; the facts say how its records differ."""

    code = "not-the-committed-records"
    category = Category.UNACCEPTABLE


class KeysUnusable(PortError):
    """The organisation's key-encryption key is not here, or is another one."""

    code = "key-encryption-key-unusable"
    category = Category.FAULT


@dataclass(frozen=True, slots=True)
class Vault:
    """Where what was published is kept, and what opens it."""

    blobs: BlobStore
    publications: Publications
    keys: Callable[[], KeyEncryptionKeys]
    """The organisation's key-encryption keys; raises `KeysUnusable`."""

    def key_of(self, publication: Publication) -> bytes:
        """The data key of a publication; raises `KeysUnusable`."""
        try:
            return self.keys().unwrap(publication.wrapped, publication.blob_id)
        except SealError as exc:
            raise KeysUnusable(f"the data key of {publication.artifact} does not open: {exc}") from exc


@dataclass(frozen=True, slots=True)
class _File:
    """The bytes that are to be sealed, and what is known of them beforehand."""

    pieces: Iterator[bytes]
    size: int
    media_type: str
    digest: str | None = None
    """What they should have; None where nobody went through them before."""


class Publishing:
    """Publishes versions and selections."""

    def __init__(self, datasets: Datasets, selected: SelectedRecords, vault: Vault, clock: Clock) -> None:
        self._datasets = datasets
        self._selected = selected
        self._vault = vault
        self._clock = clock
        self._under_way: set[str] = set()

    def is_under_way(self, name: str) -> bool:
        """Whether a request puts a blob of this name now."""
        return name in self._under_way

    def publish(self, dataset: str, number: str, upload: Upload) -> Json:
        """Seal a file whose records are those of a version; publishing again replaces what was published before.

        Raises `NotTheCommitted`, `UnreadableRecords`, and as `Datasets.verify` and a blob store do.
        """
        report = self._datasets.verify(dataset, number, upload)
        if not report["verified"]:
            raise _differs(report)
        kept = self._kept(dataset, int(number), None, report["root"], _uploaded(upload))
        return {**kept, "transaction": report["transaction"]}

    def publish_selection(self, dataset: Name, number: int, selection: Name, upload: Upload | None) -> Json:
        """Seal the records of a selection, and no others; publishing again replaces what was published before.

        Args:
            upload: a file whose records are those of the selection, in their order; None to have one written out of the
                records that this gateway keeps, in the bytes in which they were committed.

        Raises as `SelectedRecords.find` and `publish` do, and `NotWritten` where a file has to be given.
        """
        found = self._selected.find(dataset, number, selection)
        if upload is None:
            extent = self._selected.measure(found)
            assert found.held.reading is not None, "what was measured was written as the committed file was read"
            file = _File(
                self._selected.pieces(found), extent.size, found.held.reading.media_type, extent.digest
            )  # fmt: skip
        else:
            report = self._datasets.verify(dataset, str(number), upload, selection)
            if not report["verified"]:
                raise _differs(report)
            file = _uploaded(upload)
        kept = self._kept(dataset, number, selection, found.root, file)
        return {**kept, "transaction": found.selection["transaction"]}

    def bundle(self, publication: Publication) -> Iterator[bytes]:
        """What a copy of what was published is compared by; raises as `Datasets.bundle`."""
        if publication.selection is None:
            return self._datasets.bundle(publication.dataset, str(publication.number))
        return self._selected.bundle(Name(publication.dataset), publication.number, Name(publication.selection))

    def _kept(self, dataset: str, number: int, selection: str | None, root: str, file: _File) -> Json:
        """Seal a file and keep it; from then on it is what is given out."""
        keys = self._vault.keys()
        digest = sha256()
        key = secrets.token_bytes(KEY)
        header = Header.new(key, size=file.size)
        wrapped = keys.wrap(key, header.blob_id)
        at, name = self._clock(), header.blob_id.hex()
        self._under_way.add(name)
        try:
            sealed = self._sealed(name, seal(key, header, _passed(file, digest.update)))
            publication = Publication(
                blob_id=header.blob_id,
                root=root,
                dataset=dataset,
                number=number,
                media_type=file.media_type,
                size=file.size,
                digest=digest.hexdigest(),
                wrapped=wrapped,
                at=at,
                selection=selection,
            )
            if file.digest not in (None, publication.digest):
                raise _changed()  # no publication names the blob: it never opens, and is swept
            self._vault.publications.add(publication)
        finally:
            self._under_way.discard(name)
        return {**_shown(publication), "sealed_size": sealed}

    def _sealed(self, name: str, pieces: Iterator[bytes]) -> int:
        try:
            return self._vault.blobs.put(name, pieces)
        except WrongLength:
            raise _changed() from None


def rewrap(publications: Publications, keys: KeyEncryptionKeys) -> int:
    """Wrap every data key that is under an older key-encryption key under that in use; how many these were.

    All of them or none. Raises `SealError` where one does not open.
    """
    changed = [
        (each.blob_id, again)
        for each in publications.all()
        if (again := keys.rewrap(each.wrapped, each.blob_id)) != each.wrapped
    ]
    publications.rewrap(changed)
    return len(changed)


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A blob that can be removed, and why."""

    name: str
    size: int
    why: str


def unneeded(vault: Vault, is_recorded: Callable[[str, str], bool], *, before: float) -> Iterator[Unneeded]:
    """The blobs that can be removed, of those that were put before a time (seconds since the epoch).

    Ask it only while no gateway uses the stores: one that runs may be publishing.

    Args:
        is_recorded: whether the ledger has this version or selection, by its reference, with this root.
    """
    publications = vault.publications
    named = {each.name: each for each in publications.all()}
    for found in vault.blobs.list():
        if found.at >= before:
            continue
        publication = named.get(found.name)
        if publication is None:
            yield Unneeded(found.name, found.size, "no publication names it, so nothing opens it")
            continue
        last = publications.of(publication.artifact, publication.root)
        what = "version" if publication.selection is None else "selection"
        if last is not None and last.blob_id != publication.blob_id:
            yield Unneeded(found.name, found.size, f"the {what} was published again later")
        elif not is_recorded(publication.artifact, publication.root):
            yield Unneeded(found.name, found.size, f"no {what} on the ledger has its root")


def _changed() -> NotTheCommitted:
    return NotTheCommitted("the records were changed while they were read; verify the version, and publish again")


def _differs(report: Json) -> NotTheCommitted:
    version = report.get("selection", f"dataset-version:{report['dataset']}:{report['number']}")
    if not report["store_complete"] or report["altered_in_store"]:
        return NotTheCommitted(
            f"the records that this gateway holds of {version} are not those that were committed; verify it first",
            altered_in_store=report["altered_in_store"][:100],
        )
    counts = dict(report.get("counts", {}))
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    columns = list(report.get("columns", []))
    more = [str(report[name]) for name in ("unreadable", "remark") if name in report]
    why = "; ".join([*columns, *([said] if said else []), *more])
    named = {kind: list(report.get(kind, []))[:100] for kind in KINDS if report.get(kind)}
    return NotTheCommitted(f"the file does not hold the records of {version}: {why}", counts=counts, **named)


def _shown(publication: Publication) -> Json:
    of = {} if publication.selection is None else {"selection": publication.selection}
    return {
        "dataset": publication.dataset,
        "number": publication.number,
        **of,
        "root": publication.root,
        "media_type": publication.media_type,
        "size": publication.size,
        "digest": publication.digest,
        "blob": publication.name,
    }


def _uploaded(upload: Upload) -> _File:
    return _File(_pieces(upload.content), upload.content.seek(0, SEEK_END), upload.media_type)


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    """A file from its beginning."""
    content.seek(0)
    while piece := content.read(_PIECE):
        yield piece


def _passed(file: _File, passing: Callable[[bytes], object]) -> Iterator[bytes]:
    """The bytes of a file; each piece is given to `passing` first."""
    for piece in file.pieces:
        passing(piece)
        yield piece
