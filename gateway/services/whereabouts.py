# SPDX-License-Identifier: Apache-2.0
"""From data subjects to their records, and from records to the selections that have them."""

from collections.abc import Collection, Iterator, Sequence

from chaincode.domain.usage import InputRole
from chaincode.domain.values import Iri, Ref, dataset_version_ref, selection_ref
from gateway.services.catalogue import Catalogue
from gateway.services.memberships import InSelection, InVersion
from gateway.services.ports import Json, Memberships, Records


class RecordPlaces:
    """Implements `services.memberships.Whereabouts` over what the owner keeps."""

    def __init__(self, catalogue: Catalogue, records: Records, memberships: Memberships) -> None:
        self._catalogue = catalogue
        self._records = records
        self._memberships = memberships

    def of_records(self, dataset: str, number: int, positions: Collection[int]) -> InVersion:
        version = self._catalogue.get(
            "dataset-version", dataset_version_ref(dataset, number), dataset=dataset, number=str(number)
        )["record"]
        return self._placed(version, tuple(sorted(set(positions))))

    def of_subjects(self, dataset: str, references: Sequence[bytes]) -> Iterator[InVersion]:
        versions = [found["record"] for found in self._catalogue.all("dataset-version", dataset=dataset)]
        for version in sorted(versions, key=lambda each: int(each["number"])):
            root = str(version["root"])
            found = {position for reference in references for position, _ in self._records.of_subject(root, reference)}
            if found or self._records.held(root) is None:
                yield self._placed(version, tuple(sorted(found)))

    def _placed(self, version: Json, positions: tuple[int, ...]) -> InVersion:
        dataset, number, root = version["dataset"], version["number"], str(version["root"])
        known = self._records.held(root) is not None
        selections = self._catalogue.all("selection", dataset=dataset, number=str(number))
        placed = (self._in_selection(each["record"], root if known else None, positions) for each in selections)
        return InVersion(
            dataset_version_ref(dataset, number),
            positions if known else (),
            tuple(sorted((each for each in placed if each.positions or not each.known), key=_name)),
            known=known,
        )

    def _in_selection(self, record: Json, root: str | None, positions: tuple[int, ...]) -> InSelection:
        members = None if root is None else self._memberships.find(root, str(record["root"]))
        role, purpose, parent = (record.get(name) for name in ("role", "purpose", "parent"))
        return InSelection(
            selection_ref(record["dataset"], record["number"], record["selection"]),
            None if role is None else InputRole(role),
            None if purpose is None else Iri(purpose),
            None if parent is None else Ref(parent),
            () if members is None else tuple(position for position in positions if position in members),
            known=members is not None,
        )


def _name(found: InSelection) -> str:
    return found.selection
