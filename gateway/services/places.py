# SPDX-License-Identifier: Apache-2.0
"""Where the records of data subjects are, and what can only be said not to be ruled out.

A version whose records are not here, or whose file did not say whose each record is, may hold any subject's: it counts,
and every selection from it.
"""

from collections.abc import Iterator, Mapping, Sequence

from chaincode.domain.marking import is_for
from chaincode.domain.purposes import BIT_OF
from chaincode.domain.values import Ref, dataset_version_ref, selection_ref
from gateway.services.catalogue import Catalogue
from gateway.services.memberships import InSelection, InVersion, Whereabouts
from gateway.services.ports import Records


class Places:
    """Finds the versions and selections that hold records of subjects, or may."""

    def __init__(self, catalogue: Catalogue, records: Records, whereabouts: Whereabouts) -> None:
        self._catalogue = catalogue
        self._records = records
        self._whereabouts = whereabouts

    def of_subjects(self, dataset: str, references: Sequence[bytes]) -> list[InVersion]:
        """The versions of a data set that hold records of the subjects or may, in the order of their numbers."""
        found = {each.version: each for each in self._whereabouts.of_subjects(dataset, references)}
        for entry in self._catalogue.all("dataset-version", dataset=dataset):
            record = entry["record"]
            version = dataset_version_ref(dataset, record["number"])
            if version not in found and not self._records.names_subjects(str(record["root"])):
                found[version] = self._unknown(version)
        return sorted(found.values(), key=lambda each: each.version.number or 0)

    def ids(self, held: InVersion, references: Sequence[bytes]) -> Mapping[int, str]:
        """The ids of the subjects' records in a version, by their positions."""
        where = {"dataset": held.version.parts[0], "number": held.version.parts[1]}
        root = str(self._catalogue.get("dataset-version", held.version, **where)["record"]["root"])
        return dict(found for reference in references for found in self._records.of_subject(root, reference))

    def affected(self, dataset: str, lost: Mapping[bytes, int]) -> tuple[Ref, ...]:
        """The selections to mark where subjects no longer permit purposes; `lost` has the set of each.

        Those that are not a part of another affected one come first: a part is tainted by the whole. Those that are for
        a purpose which every subject in them still permits, and those that are marked already, are left out.
        """
        alike: dict[int, list[bytes]] = {}
        for reference, purposes in lost.items():
            alike.setdefault(purposes, []).append(reference)
        bits = self.bits(dataset)
        found: dict[Ref, InSelection] = {}
        for purposes, references in alike.items():
            for version in self.of_subjects(dataset, references):
                needing = (each for each in version.selections if is_for(each.purpose, purposes, bits))
                found |= {each.selection: each for each in needing}
        ordered = sorted(found.values(), key=lambda each: (each.parent in found, each.selection))
        return tuple(each.selection for each in ordered if not self.is_marked(each.selection))

    def bits(self, dataset: str) -> Mapping[str, int]:
        """The bit of each purpose in a data set, by its IRI: everybody's, and those that its owner registered."""
        entry = self._catalogue.find("dataset", dataset=dataset)
        own = [] if entry is None else self._catalogue.all("purpose", owner=str(entry.value["owner"]))
        return {**BIT_OF, **{str(each["record"]["iri"]): int(each["record"]["bit"]) for each in own}}

    def is_marked(self, selection: Ref) -> bool:
        """Whether the ledger has a mark on a selection."""
        return self._catalogue.find("selection-mark", selection=selection) is not None

    def _unknown(self, version: Ref) -> InVersion:
        return InVersion(version, (), tuple(self._selections(version)), known=False)

    def _selections(self, version: Ref) -> Iterator[InSelection]:
        dataset, number = version.parts
        for entry in self._catalogue.all("selection", dataset=dataset, number=number):
            record = entry["record"]
            parent = record.get("parent")
            yield InSelection(
                selection_ref(dataset, int(number), record["selection"]),
                record.get("role"),
                record.get("purpose"),
                None if parent is None else Ref(parent),
                (),
                known=False,
            )
