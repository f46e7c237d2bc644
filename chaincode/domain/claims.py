# SPDX-License-Identifier: Apache-2.0
"""Who recorded which bytes first.

A digest is a claim and not property: anyone who has a file can compute it, and the same public file is rightly part of
many data sets and models. The first claim stands; a record of another organisation that names the same digest is
made all the same, and says which claim was there before. Only the root of a data set version belongs to its owner:
it is computed over salts that nobody else has, so that the same root twice is a copy and no coincidence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from chaincode.domain.errors import DigestTaken
from chaincode.domain.values import Digest, Instant, OrgId, Record, Ref

MOST_CLAIMS: Final = 257
"""How many digests one record names at most: a card and 256 distributions."""


@dataclass(frozen=True, slots=True)
class DigestClaim(Record):
    """Who recorded a digest of a file, a model or a card first, and as what; never rewritten."""

    digest: Digest
    owner: OrgId
    reference: Ref
    claimed_at: Instant


@dataclass(frozen=True, slots=True)
class RootClaim(Record):
    """Which organisation committed to a root, and as what; never rewritten."""

    root: Digest
    owner: OrgId
    reference: Ref
    claimed_at: Instant


def first_claims(
    digests: Iterable[Digest], *, by: OrgId, at: Instant, reference: Ref, claims: Mapping[Digest, DigestClaim]
) -> tuple[DigestClaim, ...]:
    """The claims to write for those of `digests` that nobody has recorded yet."""
    return tuple(DigestClaim(digest, by, reference, at) for digest in dict.fromkeys(digests) if digest not in claims)


def earlier_claims(
    digests: Iterable[Digest], *, by: OrgId, claims: Mapping[Digest, DigestClaim]
) -> tuple[DigestClaim, ...]:
    """The claims of other organisations that the ledger has for `digests`, in their order."""
    known = (claims.get(digest) for digest in dict.fromkeys(digests))
    return tuple(claim for claim in known if claim is not None and claim.owner != by)


def claim_root(
    root: Digest, *, by: OrgId, at: Instant, reference: Ref, held: RootClaim | None
) -> tuple[RootClaim, ...]:
    """The claim to write for a root: none where `by` has it already; `DigestTaken` where another has."""
    if held is None:
        return (RootClaim(root, by, reference, at),)
    if held.owner != by:
        raise DigestTaken(str(root), held.owner, held.reference)
    return ()
