# SPDX-License-Identifier: Apache-2.0
"""Whether another organisation's data may be used, or something be made from it: where that needs a grant, and which.

A grant is needed where the owner has set an access policy for the data set. Data of other owners is used without one,
as it was before there were grants.

When a use began is said by who used the data, as with consent: a grant that was revoked later covers what began before.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from chaincode.domain.access import access_offer_ref
from chaincode.domain.errors import GrantDoesNotCover, GrantMissing, InvalidField
from chaincode.domain.grants import AccessGrant, Asked, Reason, outside, stopped
from chaincode.domain.provenance import Dataset
from chaincode.domain.values import Instant, Iri, OrgId, Record, Ref, dataset_ref


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
    if access_offer_ref(version.name) not in cited:
        return
    asked = Asked(taking.began, artifacts, taking.purpose)
    refused: list[tuple[Ref, Reason]] = []
    for grant in grants:
        found = cited.get(grant)
        reason = _objection(found if isinstance(found, AccessGrant) else None, taking, asked)
        if reason is None:
            return
        refused.append((grant, reason))
    if not refused:
        raise GrantMissing(taking.reference, version, dataset.owner)
    # Of several, that which is of this data says most.
    grant, reason = next((each for each in refused if each[1] is not Reason.ANOTHER_VERSION), refused[0])
    raise GrantDoesNotCover(grant, version, taking.reference, reason)


def _objection(grant: AccessGrant | None, taking: Taking, asked: Asked) -> Reason | None:
    if grant is None:
        return Reason.NO_SUCH_GRANT
    if grant.grantee != taking.by:
        return Reason.ANOTHER_ORGANISATION
    reason = outside(grant, asked)
    return stopped(grant) if reason is None and taking.began >= grant.changed_at else reason
