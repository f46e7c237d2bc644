# SPDX-License-Identifier: Apache-2.0
"""Whether data may be used as a run or an evaluation says: what was read, in which part of a split, and for what.

Data that is processed on what its subjects give and can take back is used for a purpose and through a selection for
that purpose, never as a whole version. The selection must have been made from the consent map that was in force when
the use began. A use does not know of a change that is ordered after it: the next version of the map is looked for by
its key, so that of the two, whichever comes second sees the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaincode.domain.consent import WITHDRAWABLE, ConsentMapVersion, consent_map_version_ref
from chaincode.domain.covering import Taking, check_cover, check_kind_of_grant, cited_for_cover
from chaincode.domain.errors import (
    ArtifactAltered,
    InvalidField,
    ParentMissing,
    PurposeDiffers,
    PurposeMissing,
    RoleDiffers,
    SelectionMissing,
    SelectionOutdated,
    SelectionTooLate,
)
from chaincode.domain.provenance import Dataset, DatasetVersion, LawfulBasis
from chaincode.domain.selection import Selection, version_of
from chaincode.domain.usage import Found, RunInput
from chaincode.domain.values import SKEW, Instant, Iri, Number, OrgId, Record, Ref, dataset_ref


@dataclass(frozen=True, slots=True)
class Use:
    """By whom data is used, and for what."""

    by: Ref
    """The run or the evaluation."""
    organisation: OrgId
    """Whose run or evaluation it is."""
    purpose: Iri | None
    began: Instant
    """When the run started, or the evaluation was made."""


def cited_by_input(used: RunInput) -> Iterator[Ref]:
    """What an input cites: the version, its data set, the selection, and the grant."""
    yield used.version
    yield from cited_for_cover([used.version], [used.grant])
    if used.selection is not None:
        yield used.selection


def map_versions(cited: Mapping[Ref, Record]) -> Iterator[Ref]:
    """The versions of consent maps that selections were made from, and those that come after them."""
    for record in cited.values():
        if isinstance(record, Selection) and record.consent_map is not None:
            number = record.consent_map.number
            for each in range(number, min(number + 1, Number.LAST) + 1):
                yield consent_map_version_ref(record.dataset, each)


def check_input(used: RunInput, pointer: str, use: Use, cited: Mapping[Ref, Record]) -> None:
    """Refuse data that is not on the ledger, is not as it was found, or may not be used so."""
    version = cited.get(used.version)
    if not isinstance(version, DatasetVersion):
        raise ParentMissing(use.by, used.version)
    selection = _selection(used, pointer, use, cited)
    _check_found(used, pointer, version, version if selection is None else selection)
    if selection is not None:
        _check_terms(used, selection, use)
    dataset = cited[dataset_ref(version.dataset)]
    if isinstance(dataset, Dataset) and dataset.basis in WITHDRAWABLE:
        _check_consent(used, selection, use, dataset.basis, cited)
    _check_grant(used, pointer, selection, use, cited)


def _selection(used: RunInput, pointer: str, use: Use, cited: Mapping[Ref, Record]) -> Selection | None:
    if used.selection is None:
        return None
    selection = cited.get(used.selection)
    if not isinstance(selection, Selection):
        raise ParentMissing(use.by, used.selection)
    if version_of(used.selection) != used.version:
        raise InvalidField(f"{pointer}/selection", f"it is not a selection from '{used.version}'")
    return selection


def _check_found(used: RunInput, pointer: str, version: DatasetVersion, recorded: DatasetVersion | Selection) -> None:
    if used.found is Found.DIFFERS:
        # Where the version commits to columns too, these can be others over the very same records.
        if used.root == recorded.root and version.header is None:
            raise InvalidField(f"{pointer}/found", "the root that was found is the recorded one: it does not differ")
    elif used.root != recorded.root:
        raise ArtifactAltered(used.selection or used.version, str(recorded.root), str(used.root))


def _check_grant(
    used: RunInput, pointer: str, selection: Selection | None, use: Use, cited: Mapping[Ref, Record]
) -> None:
    """A grant of the version covers its selections, and one of a selection covers its parts."""
    if used.grant is not None:
        check_kind_of_grant(f"{pointer}/grant", used.grant)
    above = (used.version, used.selection, None if selection is None else selection.parent)
    artifacts = tuple(artifact for artifact in above if artifact is not None)
    taking = Taking(use.by, use.organisation, use.began, use.purpose)
    check_cover(taking, used.version, artifacts, () if used.grant is None else (used.grant,), cited)


def _check_terms(used: RunInput, selection: Selection, use: Use) -> None:
    """A selection is used in the part of the split that it is, and for its purpose alone."""
    name = str(used.selection)
    if selection.role not in (None, used.role):
        raise RoleDiffers(name, str(selection.role), used.role)
    if selection.purpose not in (None, use.purpose):
        raise PurposeDiffers(name, str(selection.purpose), use.purpose or "none")


def _check_consent(
    used: RunInput, selection: Selection | None, use: Use, basis: LawfulBasis, cited: Mapping[Ref, Record]
) -> None:
    if use.purpose is None:
        raise PurposeMissing(use.by, used.version, basis)
    if selection is None or selection.consent_map is None:
        raise SelectionMissing(use.by, used.version, basis, use.purpose)
    name, number = str(used.selection), selection.consent_map.number
    made = cited.get(consent_map_version_ref(selection.dataset, number))
    after = cited.get(consent_map_version_ref(selection.dataset, number + 1))
    if isinstance(made, ConsentMapVersion) and made.at > use.began + SKEW:
        raise SelectionTooLate(name, number, made.at, use.by, use.began)
    if isinstance(after, ConsentMapVersion) and after.at <= use.began:
        raise SelectionOutdated(name, number, after.at, use.by, use.began)
