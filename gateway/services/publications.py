# SPDX-License-Identifier: Apache-2.0
"""The bytes of a committed version: compared with what was committed, sealed, and kept for those who get access.

What a crash leaves is a blob that no publication names; it never opens, since its key was never kept, and the sweeper
removes it.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from os import SEEK_END
from typing import BinaryIO, Final

from gateway.sealing.blobs import KEY, Header
from gateway.sealing.datakeys import KeyEncryptionKeys
from gateway.sealing.errors import SealError
from gateway.sealing.streams import seal
from gateway.services.blobstores import BlobStore, Publication, Publications
from gateway.services.copies import KINDS
from gateway.services.datasets import Datasets
from gateway.services.drafting import Upload
from gateway.services.failures import Category, PortError
from gateway.services.ports import Clock, Json

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
            version = f"dataset-version:{publication.dataset}:{publication.number}"
            raise KeysUnusable(f"the data key of {version} does not open: {exc}") from exc


class Publishing:
    """Publishes versions."""

    def __init__(self, datasets: Datasets, vault: Vault, clock: Clock) -> None:
        self._datasets = datasets
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
        keys = self._vault.keys()
        content, digest = upload.content, sha256()
        size = content.seek(0, SEEK_END)
        key = secrets.token_bytes(KEY)
        header = Header.new(key, size=size)
        wrapped = keys.wrap(key, header.blob_id)
        at, name = self._clock(), header.blob_id.hex()
        self._under_way.add(name)
        try:
            sealed = self._vault.blobs.put(name, seal(key, header, _pieces(content, digest.update)))
            publication = Publication(
                blob_id=header.blob_id,
                root=report["root"],
                dataset=dataset,
                number=int(number),
                media_type=upload.media_type,
                size=size,
                digest=digest.hexdigest(),
                wrapped=wrapped,
                at=at,
            )
            self._vault.publications.add(publication)
        finally:
            self._under_way.discard(name)
        return {**_shown(publication), "sealed_size": sealed, "transaction": report["transaction"]}


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


def unneeded(vault: Vault, is_recorded: Callable[[str], bool], *, before: float) -> Iterator[Unneeded]:
    """The blobs that can be removed, of those that were put before a time (seconds since the epoch).

    Ask it only while no gateway uses the stores: one that runs may be publishing.

    Args:
        is_recorded: whether a version on the ledger has this root.
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
        last = publications.of(publication.root)
        if last is not None and last.blob_id != publication.blob_id:
            yield Unneeded(found.name, found.size, "the version was published again later")
        elif not is_recorded(publication.root):
            yield Unneeded(found.name, found.size, "no version on the ledger has its root")


def _differs(report: Json) -> NotTheCommitted:
    version = f"dataset-version:{report['dataset']}:{report['number']}"
    if not report["store_complete"] or report["altered_in_store"]:
        return NotTheCommitted(
            f"the records that this gateway holds of {version} are not those that were committed; verify it first",
            altered_in_store=report["altered_in_store"][:100],
        )
    counts = dict(report.get("counts", {}))
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    columns = list(report.get("columns", []))
    why = "; ".join([*columns, *([said] if said else []), *([report["unreadable"]] if "unreadable" in report else [])])
    named = {kind: list(report.get(kind, []))[:100] for kind in KINDS if report.get(kind)}
    return NotTheCommitted(f"the file does not hold the records of {version}: {why}", counts=counts, **named)


def _shown(publication: Publication) -> Json:
    return {
        "dataset": publication.dataset,
        "number": publication.number,
        "root": publication.root,
        "media_type": publication.media_type,
        "size": publication.size,
        "digest": publication.digest,
        "blob": publication.name,
    }


def _pieces(content: BinaryIO, passing: Callable[[bytes], object]) -> Iterator[bytes]:
    """A file from its beginning; each piece is given to `passing` first."""
    content.seek(0)
    while piece := content.read(_PIECE):
        passing(piece)
        yield piece
