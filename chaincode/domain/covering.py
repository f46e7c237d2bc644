# SPDX-License-Identifier: Apache-2.0
"""Whether another organisation's data may be used, or something be made from it: where that needs a grant, and which.

A grant is needed of all data that is confidential, personal or of a special category, and of other data where its owner
has set an access policy for the data set. Where there is neither, data of other owners is used without one.

What is made from another organisation's data is as sensitive as that data, or more. It is less so only as anonymised or
synthetic data, under a grant that allows `anonymise`, and that of every more sensitive version above it: what was made
in two steps, or by way of a third organisation, is judged as what was made in one.

When a use began is said by who used the data, as with consent: a grant that was revoked later covers what began before.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chaincode.domain.access import AccessAction, access_offer_ref
from chaincode.domain.derivation import Activity, Derivation
from chaincode.domain.errors import (
    AncestryTooLarge,
    DataWithheld,
    GrantDoesNotCover,
    GrantMissing,
    InvalidField,
    SensitivityLowered,
)
from chaincode.domain.grants import AccessGrant, Asked, Reason, outside, stopped
from chaincode.domain.lineage import MOST_ANCESTORS
from chaincode.domain.provenance import Dataset, Sensitivity
from chaincode.domain.values import Instant, Iri, OrgId, Record, Ref, dataset_ref

_RANK: Final = {each: rank for rank, each in enumerate(Sensitivity)}
WITHHELD: Final = frozenset({Sensitivity.CONFIDENTIAL, Sensitivity.PERSONAL, Sensitivity.SPECIAL_CATEGORY})
"""How sensitive data is that nobody but its owner uses without a grant."""
_LOWERING: Final = frozenset({Activity.ANONYMISE, Activity.SYNTHESISE})


@dataclass(frozen=True, slots=True)
class Taking:
    """Who uses data, or makes something from it, and when that began."""

    reference: Ref
    by: OrgId
    began: Instant
    purpose: Iri | None = None


def cited_for_cover(versions: Iterable[Ref], grants: Iterable[Ref | None]) -> Iterator[Ref]:
    """What says whether data of these versions needs a grant, and the grants that are named."""
    for version in versions:
        yield dataset_ref(version.name)
        yield access_offer_ref(version.name)
    yield from (grant for grant in grants if grant is not None)


def check_kind_of_grant(pointer: str, grant: Ref) -> None:
    """Refuse a reference to something else than a grant."""
    if grant.kind != "access-grant":
        raise InvalidField(pointer, "it must be a grant, such as 'access-grant:wdbc-lab'")


def check_cover(
    taking: Taking, version: Ref, artifacts: Collection[Ref], grants: Collection[Ref], cited: Mapping[Ref, Record]
) -> None:
    """Refuse to use a version without a grant where one is needed, and under one that does not cover the use.

    `artifacts` are the version, and the selections from it under which the use falls; a grant of any of them will do.
    """
    dataset = cited.get(dataset_ref(version.name))
    if not isinstance(dataset, Dataset) or dataset.owner == taking.by:
        return
    offered = access_offer_ref(version.name) in cited
    if not offered and dataset.sensitivity not in WITHHELD:
        return
    asked = Asked(taking.began, artifacts, taking.purpose)
    refused: list[tuple[Ref, Reason]] = []
    for grant in grants:
        reason = _objection(cited.get(grant), taking, asked)
        if reason is None:
            return
        refused.append((grant, reason))
    if not refused and offered:
        raise GrantMissing(taking.reference, version, dataset.owner)
    if not refused:
        raise DataWithheld(taking.reference, version, dataset.sensitivity, dataset.owner)
    # Of several, that which is of this data says most.
    grant, reason = next((each for each in refused if each[1] is not Reason.ANOTHER_VERSION), refused[0])
    raise GrantDoesNotCover(grant, version, taking.reference, reason)


def _objection(grant: Record | None, taking: Taking, asked: Asked) -> Reason | None:
    if not isinstance(grant, AccessGrant):
        return Reason.NO_SUCH_GRANT
    if grant.grantee != taking.by:
        return Reason.ANOTHER_ORGANISATION
    reason = outside(grant, asked)
    return stopped(grant) if reason is None and taking.began >= grant.changed_at else reason


# --- How sensitive what was made is -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """What the ledger holds of a version that something was made from, at whatever distance."""

    owner: OrgId
    sensitivity: Sensitivity
    parents: tuple[Ref, ...]
    """The versions that it was made from in turn; not one whose place it took."""


LookUp = Callable[[Sequence[Ref]], Sequence[Source]]
"""What the ledger holds of several versions, in their order."""


def check_sensitivity(
    taking: Taking, sensitivity: Sensitivity, derivation: Derivation, cited: Mapping[Ref, Record], look: LookUp
) -> None:
    """Refuse a derivation that is less sensitive than others' data above it, unless grants of that allow it.

    Goes up, one call of `look` for each level, where a version is more sensitive than `sensitivity`, and no further:
    what is not was judged when it was made. Refuses what it cannot finish with `AncestryTooLarge`.
    """
    seen: set[Ref] = set()
    level = list(derivation.parents)
    while level:
        if len(seen) + len(level) > MOST_ANCESTORS:
            raise AncestryTooLarge(taking.reference, "commit", MOST_ANCESTORS, (taking.reference, level[-1]))
        seen.update(level)
        above: dict[Ref, None] = {}
        for version, source in zip(level, look(level), strict=True):
            if _RANK[source.sensitivity] <= _RANK[sensitivity]:
                continue
            if source.owner != taking.by:
                _check_anonymised(taking, sensitivity, derivation, version, source, cited)
            above |= dict.fromkeys(source.parents)
        level = [version for version in above if version not in seen]


def _check_anonymised(
    taking: Taking,
    sensitivity: Sensitivity,
    derivation: Derivation,
    version: Ref,
    source: Source,
    cited: Mapping[Ref, Record],
) -> None:
    asked = Asked(taking.began, (version,), action=AccessAction.ANONYMISE)
    if all(_objection(cited.get(grant), taking, asked) is not None for grant in derivation.grants or ()):
        raise SensitivityLowered(taking.reference, sensitivity, version, source.sensitivity, source.owner)
    if derivation.activity not in _LOWERING:
        raise InvalidField(
            "/derivation/activity",
            f"'{version}' of {source.owner} is {source.sensitivity}: what is less so was made by "
            f"{' or '.join(sorted(_LOWERING))}",
        )
