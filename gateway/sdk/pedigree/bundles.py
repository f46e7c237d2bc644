# SPDX-License-Identifier: Apache-2.0
"""Bundles: files with which anybody who has a copy of a version, or of a selection, checks it without its owner.

Strangers write such files. A bundle is read within bounds and believed in nothing: every leaf is computed from it, and
only where they lead to the root that the ledger has for the version is anything in it used. Then each record's id, salt
and digest are those that were committed to. Which records a selection has is used where their leaves lead to its root.
The bundle of a selection has its records alone, and they have to lead to the root that the ledger has for it.
`docs/records.md` in the repository has the layout.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pedigree.bundled import LEAVES, BundledRecords, Source, Watch, largest_blocks
from pedigree.copies import Part
from pedigree.errors import InvalidBundle, InvalidEvidence, InvalidInput
from pedigree.evidence import LARGEST_FILE, Columns, parse_evidence
from pedigree.fields import Fields, escaped
from pedigree.folders import identity_of
from pedigree.given import given_record
from pedigree.members import Members
from pedigree.recordfiles import Reading

KIND: Final = "version-bundle"
KIND_OF_SELECTION: Final = "selection-bundle"
MAGIC: Final = b"\x89PEDBUN\n"
FORMAT: Final = 1
LARGEST_HEAD: Final = LARGEST_FILE


def most_bytes(records: int) -> int:
    """Bytes that a bundle of so many records has at the most."""
    return len(MAGIC) + 10 + LARGEST_HEAD + largest_blocks(records)


@dataclass(frozen=True, slots=True)
class BundleHead:
    """What a bundle says of itself; until it is checked, nothing but that."""

    channel: str
    dataset: str
    number: int
    version: Mapping[str, Any]
    """The ledger's record as the bundle has it."""
    numbered: bool
    """Whether the ids of the records are `1`, `2`, …"""
    reading: Reading | None
    """How the committed file was read; None where the bundle does not say."""
    selections: Mapping[str, bytes]
    """By the names of selections from the version, which records they have; see `Members.bits`."""
    selection: Mapping[str, Any] | None = None
    """The ledger's record of the selection whose records it has, as the bundle has it; None where it has all of the
    version."""

    @property
    def reference(self) -> str:
        """How other records name the version."""
        return f"dataset-version:{self.dataset}:{self.number}"

    @property
    def part(self) -> str | None:
        """The name of the selection whose records it has; None where it has all of the version."""
        return None if self.selection is None else str(self.selection["selection"])

    @property
    def artifact(self) -> str:
        """How other records name what it is of."""
        return self.reference if self.part is None else f"selection:{self.dataset}:{self.number}:{self.part}"

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Take the head of a bundle apart; raises `InvalidEvidence` that names the field."""
        whole = Fields(parse_evidence(content), "", None)
        whole.expect("kind", KIND, KIND_OF_SELECTION)
        version = whole.inner("version")
        version.expect("kind", "dataset-version")
        if not isinstance(whole.value.get("numbered"), bool):
            whole.refuse("numbered", "true or false")
        dataset, number = version.text("dataset"), version.number("number", least=1)
        return cls(
            channel=whole.text("channel"),
            dataset=dataset,
            number=number,
            version=version.value,
            numbered=whole.value["numbered"],
            reading=_reading(Fields(whole.value["reading"], "/reading", None)) if whole.has("reading") else None,
            selections=_selections(whole.value["selections"]) if whole.has("selections") else {},
            selection=_selection(whole, dataset, number) if whole.text("kind") == KIND_OF_SELECTION else None,
        )


def _reading(said: Fields) -> Reading:
    if not isinstance(said.value, dict):
        raise InvalidEvidence("the field /reading must be an object")
    return Reading(
        said.text("media_type"),
        said.text("id_field") if said.has("id_field") else None,
        said.matching("delimiter", "[,;\t|]", "one of , ; tab |") if said.has("delimiter") else None,
        said.texts("fields", LARGEST_HEAD, lambda _: True) if said.has("fields") else (),
    )


def _selections(said: Any) -> dict[str, bytes]:
    if not isinstance(said, dict):
        raise InvalidEvidence("the field /selections must be an object")
    fields = Fields(said, "/selections", None)
    return {name: fields.blob(name) for name in said}


def _selection(whole: Fields, dataset: str, number: int) -> Mapping[str, Any]:
    said = whole.inner("selection")
    said.expect("kind", "selection")
    said.expect("dataset", dataset)
    said.number("number", least=number, most=number)
    said.text("selection")
    return said.value


class Bundle:
    """A bundle in a file, which stays open until this is closed; raises `InvalidBundle` and `OSError`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not stat.S_ISREG(self.path.stat().st_mode):  # to open a pipe would wait for its writer
            raise InvalidBundle(f"{self.path} is not a plain file")
        self._file = self.path.open("rb")
        try:
            status = os.fstat(self._file.fileno())
            self.size = status.st_size
            """Bytes."""
            self._before = identity_of(status)
            source = Source(self._file, str(self.path))
            self.head = self._read_head(source)
            self._source = source
        except BaseException:
            self._file.close()
            raise

    def _read_head(self, source: "Source") -> BundleHead:
        if source.file.read(len(MAGIC)) != MAGIC:
            raise InvalidBundle(f"{self.path} is not a bundle: it begins with other bytes than one")
        source.noted(MAGIC)
        number, length = source.unpacked(">HI", "in its head")
        if number != FORMAT:
            raise InvalidBundle(f"{self.path} is a bundle of format {number}; this program reads format {FORMAT}")
        if length > LARGEST_HEAD:
            raise InvalidBundle(f"{self.path}: its head is larger than {LARGEST_HEAD >> 20} MiB")
        try:
            return BundleHead.of(source.exactly(length, "in its head"))
        except InvalidEvidence as exc:
            raise InvalidBundle(f"{self.path}: in its head, {exc.detail}") from None

    def check(
        self, version: Mapping[str, Any], watch: Watch | None = None, *, selection: Mapping[str, Any] | None = None
    ) -> "BundledRecords":
        """Read all of it, and show that its records are those under the root of what it is of; once.

        Args:
            version: the ledger's answer for the version that the bundle names (`Pedigree.dataset_version`), or the
                record in it. Root, size, leaves and columns are taken from there and not from the bundle.
            selection: of the bundle of a selection, the ledger's answer for that one (`Pedigree.selection`), whose root
                and size are taken then.
        """
        recorded = given_record(version, "dataset-version", "data set version")
        self._refuse_another(self.head.version, recorded, "dataset number")
        rooted = recorded
        if self.head.selection is not None:
            if selection is None:
                raise InvalidInput(
                    f"{self.path} is of {escaped(self.head.artifact)}: it is checked with that selection",
                    field="selection",
                )
            rooted = given_record(selection, "selection", "selection", "selection")
            self._refuse_another(self.head.selection, rooted, "dataset number selection")
        kind = LEAVES.get(str(recorded.get("leaf_schema")))
        if kind is None:
            raise InvalidBundle(
                f"{self.path}: leaves of the schema {escaped(str(recorded.get('leaf_schema')))} are new"
            )
        records = BundledRecords(self._file, kind, numbered=self.head.numbered)
        records.load(self._source, int(rooted["size"]), watch or (lambda _bytes, _records: None))
        if records.root != rooted["root"]:
            raise InvalidBundle(
                f"{self.path}: its records lead to the root {records.root}, and the ledger has {rooted['root']}: "
                f"it was altered, or is not of {escaped(self.head.artifact)}"
            )
        header = recorded.get("header")
        if header is not None and self._header() not in (None, header):
            raise InvalidBundle(f"{self.path}: it names other columns than the version commits to")
        return records

    def part(self, records: BundledRecords, selection: Mapping[str, Any]) -> Part:
        """A selection from the version, with its members where the bundle says them and they lead to its root.

        Args:
            records: what `check` answered.
            selection: the ledger's answer for the selection (`Pedigree.selection`), or the record in it.
        """
        recorded = given_record(selection, "selection", "selection", "selection")
        name, root = str(recorded.get("selection")), str(recorded.get("root"))
        reference = f"selection:{recorded.get('dataset')}:{recorded.get('number')}:{name}"
        if reference != f"selection:{self.head.dataset}:{self.head.number}:{name}":
            raise InvalidBundle(
                f"{self.path} is of {escaped(self.head.reference)}, which {escaped(reference)} is not of"
            )
        if self.head.selection is not None:
            if self.head.part != name:
                raise InvalidBundle(f"{self.path} is of {escaped(self.head.artifact)}, and not of {escaped(reference)}")
            return Part(reference, root, None, alone=True)
        bits = self.head.selections.get(name)
        if bits is None:
            return Part(reference, root, None)
        members = Members(bits)
        if len(bits) != (records.size + 7) // 8 or records.root_of(members) != root:
            raise InvalidBundle(
                f"{self.path}: the records that it says {escaped(reference)} has do not lead to that one's root"
            )
        return Part(reference, root, members)

    def refuse_change(self) -> None:
        """Raise `InvalidBundle` where the file is not the one that was opened, or was written to since."""
        if identity_of(os.fstat(self._file.fileno())) != self._before:
            raise InvalidBundle(f"{self.path} was changed while it was read")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _header(self) -> str | None:
        """The digest of the columns that it names; None where it names none."""
        reading = self.head.reading
        if reading is None or reading.delimiter is None or not reading.fields:
            return None
        return Columns(reading.delimiter, reading.fields).digest

    def _refuse_another(self, said: Mapping[str, Any], recorded: Mapping[str, Any], key: str) -> None:
        """Refuse a bundle that says something else of a record than the ledger.

        Args:
            key: the members that name the record.
        """
        of, named = (f"{each.get('kind')}:" + ":".join(str(each.get(name)) for name in key.split())
                     for each in (said, recorded))  # fmt: skip
        if named != of:
            raise InvalidBundle(f"{self.path} is of {escaped(of)}, and not of {escaped(named)}")
        for name in sorted({*said, *recorded}):
            # A member without a value may be left out.
            if said.get(name) != recorded.get(name):
                raise InvalidBundle(
                    f"{self.path} says something else of {escaped(name)!r} than the ledger has of {escaped(of)}: "
                    "it is of another ledger, or was altered"
                )
