# SPDX-License-Identifier: Apache-2.0
"""Who registered a digest first: the same bytes cannot be registered by two organisations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaincode.domain.errors import DigestTaken
from chaincode.domain.values import Digest, Instant, OrgId, Record, Ref


@dataclass(frozen=True, slots=True)
class DigestClaim(Record):
    """Who registered a digest first, and as what; never rewritten."""

    digest: Digest
    owner: OrgId
    reference: Ref
    claimed_at: Instant


def claim(
    digests: Iterable[Digest], *, by: OrgId, at: Instant, reference: Ref, claims: Mapping[Digest, DigestClaim]
) -> tuple[DigestClaim, ...]:
    """The claims to write for `digests`: none where `by` has one already; `DigestTaken` where another has."""
    fresh: dict[Digest, DigestClaim] = {}
    for digest in digests:
        held = claims.get(digest)
        if held is not None and held.owner != by:
            raise DigestTaken(str(digest), held.owner, held.reference)
        if held is None:
            fresh[digest] = DigestClaim(digest, by, reference, at)
    return tuple(fresh.values())
