# SPDX-License-Identifier: Apache-2.0
"""The records of a selection, out of those that the owner keeps: shown to be the committed ones, and written down.

What leaves here is of the selection's own records alone. Before anything does, every leaf is computed again from what
is stored, and all of them lead to the root that the ledger has for the selection. In memory are some thousand records,
and a bit for each of the version.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from chaincode.domain.values import Name, Ref, dataset_version_ref, selection_ref
from gateway.services import bundles
from gateway.services.catalogue import Catalogue
from gateway.services.failures import Category, PortError
from gateway.services.holdings import Reading, Records, RecordSet, StoredRecord
from gateway.services.members import Members
from gateway.services.memberships import Memberships, SelectionNotHeld
from gateway.services.ports import Json
from gateway.services.tables import CSV, JSON_LINES
from gateway.services.tiles import Growing
from gateway.services.trees import NotHeld, in_batches, leaf_hashes

_GAP = 1_000
"""Records between two members after which reading begins anew at the next one, and does not go through all of them."""


class NotWritten(PortError):
    """The records cannot be written as a file from what is kept of them."""

    code = "selection-needs-a-file"
    category = Category.UNACCEPTABLE


@dataclass(frozen=True, slots=True)
class Selected:
    """A selection as the ledger has it, and the records that the owner keeps of it."""

    reference: Ref
    version: Json
    """The version's record and its transaction; so `selection`."""
    selection: Json
    held: RecordSet
    members: Members

    @property
    def root(self) -> str:
        """The selection's root, in hex."""
        return str(self.selection["record"]["root"])


@dataclass(frozen=True, slots=True)
class Extent:
    """What a file of a selection's records comes to."""

    size: int
    """Bytes."""
    digest: str
    """SHA-256, in hex."""


class SelectedRecords:
    """Finds the records of selections, and writes them."""

    def __init__(self, catalogue: Catalogue, records: Records, memberships: Memberships, channel: str) -> None:
        self._catalogue = catalogue
        self._records = records
        self._memberships = memberships
        self._channel = channel

    def find(self, dataset: Name, number: int, selection: Name) -> Selected:
        """A selection whose records are kept here; raises `RecordNotFound`, `NotHeld` and `SelectionNotHeld`."""
        reference, whole = selection_ref(dataset, number, selection), dataset_version_ref(dataset, number)
        key = {"dataset": str(dataset), "number": str(number)}
        version = self._catalogue.get("dataset-version", whole, **key)
        found = self._catalogue.get("selection", reference, **key, selection=selection)
        held = self._records.held(str(version["record"]["root"]))
        if held is None:
            raise NotHeld(
                f"this organisation does not hold the records of version {number} of {dataset}; its owner does",
                dataset=dataset,
                number=number,
            )
        members = self._memberships.find(held.root, str(found["record"]["root"]))
        if members is None:
            raise SelectionNotHeld.of(reference)
        return Selected(reference, version, found, held, members)

    def bundle(self, dataset: Name, number: int, selection: Name) -> Iterator[bytes]:
        """What somebody who has a copy of a selection's records needs to check it; see `bundles`.

        Raises as `find`, and `NotHeld` where what is kept does not lead to the selection's root.
        """
        found = self.find(dataset, number, selection)
        for _ in self._shown(found):
            pass
        head = bundles.head_of_selection(self._channel, found.version, found.selection, found.held.reading)
        return bundles.pieces(head, found.held.leaf_schema, self._each(found))

    def measure(self, found: Selected) -> Extent:
        """What `pieces` will come to, once every record is shown to be the committed one.

        Raises `NotHeld` where what is kept does not lead to the selection's root, and `NotWritten`.
        """
        digest, size = sha256(), 0
        for piece in _written(found, self._shown(found)):
            digest.update(piece)
            size += len(piece)
        return Extent(size, digest.hexdigest())

    def pieces(self, found: Selected) -> Iterator[bytes]:
        """A file with the records of a selection, in their order and in the bytes that were committed.

        Of CSV it begins with the version's header. Raises `NotWritten`.
        """
        return _written(found, in_batches(self._each(found)))

    def _each(self, found: Selected) -> Iterator[StoredRecord]:
        """The records of a selection, in the order of the version."""
        stream: Iterator[StoredRecord] = iter(())
        at = -_GAP - 1
        for position in found.members:
            if position - at > _GAP:
                stream, at = self._records.all(found.held.root, position), position
            for record in stream:
                at += 1
                if at > position:
                    yield record
                    break

    def _shown(self, found: Selected) -> Iterator[list[StoredRecord]]:
        """The same in batches; raises `NotHeld` at the end where their leaves do not lead to the selection's root."""
        tree = Growing()
        for batch in in_batches(self._each(found)):
            tree.extend(leaf_hashes(batch, found.held.leaf_schema))
            yield batch
        if tree.root().hex() != found.root:
            said = "the stored records no longer lead to the root of the selection; run dataset verify"
            raise NotHeld(said, root=found.root)


def _written(found: Selected, batches: Iterator[list[StoredRecord]]) -> Iterator[bytes]:
    reading = found.held.reading
    if (
        reading is None
        or reading.media_type not in (CSV, JSON_LINES)
        or (reading.media_type == CSV and not reading.fields)
    ):
        raise NotWritten(
            f"the records of {found.reference} are not kept as the lines of a file: send a file that has them, and no "
            "others, in their order"
        )
    if reading.media_type == CSV:
        yield header_line(reading)
    for batch in batches:
        yield b"".join([line_of(record.content) for record in batch])


def header_line(reading: Reading) -> bytes:
    """A row of CSV with the names of the columns, as `tables.Table` reads it, and its line end."""
    delimiter = reading.delimiter or ","
    fields = [_quoted(name) if _needs_quotes(name, delimiter) else name for name in reading.fields]
    row = delimiter.join(fields)
    if not row or row[0] == "\ufeff" or row[:4].lower() == "sep=":
        # It would be taken for no row at all, for a mark, or for an instruction to spreadsheets.
        row = delimiter.join([_quoted(reading.fields[0]), *fields[1:]])
    return row.encode() + b"\n"


def line_of(content: bytes) -> bytes:
    """A record's content as a line; one that ends with CR, which a line end would take in, gets a CRLF."""
    return content + (b"\r\n" if content.endswith(b"\r") else b"\n")


def _needs_quotes(name: str, delimiter: str) -> bool:
    return name.startswith('"') or any(each in name for each in (delimiter, "\r", "\n"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
