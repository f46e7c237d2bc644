# SPDX-License-Identifier: Apache-2.0
"""Where the records of data subjects are, and what can only be said not to be ruled out.

A version whose records are not here, or whose file did not say whose each record is, may hold any subject's: it counts,
and every selection from it.
"""

from collections.abc import Iterator, Mapping, Sequence

from chaincode.domain.consent import MOST_AFFECTED
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

    def affected(self, dataset: str, references: Sequence[bytes], lost: int) -> tuple[Ref, ...]:
        """The selections to mark where subjects no longer permit a set of purposes: at most `MOST_AFFECTED`.

        Those that are not a part of another affected one come first: a part is tainted by the whole. Those that are for
        a purpose which is still permitted, and those that are marked already, are left out.
        """
        found: dict[Ref, InSelection] = {}
        for version in self.of_subjects(dataset, references):
            found |= {each.selection: each for each in version.selections if self._needs(each, lost)}
        ordered = sorted(found.values(), key=lambda each: (each.parent in found, each.selection))
        unmarked = (each.selection for each in ordered if not self.is_marked(each.selection))
        return tuple(reference for reference, _ in zip(unmarked, range(MOST_AFFECTED), strict=False))

    def is_marked(self, selection: Ref) -> bool:
        """Whether the ledger has a mark on a selection."""
        return self._catalogue.find("selection-mark", selection=selection) is not None

    def _needs(self, selection: InSelection, lost: int) -> bool:
        if selection.purpose is None:
            return True
        bit = BIT_OF.get(selection.purpose)
        # What an organisation's own purposes stand for is not looked up: it counts.
        return bit is None or bool(lost >> bit & 1)

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
