# SPDX-License-Identifier: Apache-2.0
"""Data sets: what the rules of `domain.provenance` need."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.claims import DigestClaim, RootClaim
from chaincode.domain.provenance import (
    CommitVersion,
    Dataset,
    DatasetVersion,
    RegisterDataset,
)
from chaincode.domain.values import Command, Digest


def for_dataset(ledger: Ledger, command: RegisterDataset) -> Mapping[str, object]:
    """What registering a data set needs."""
    digests = command.distributions if command.card is None else (command.card, *command.distributions)
    return {"existing": ledger.get(Dataset, command.dataset), "claims": claims(ledger, digests)}


def for_version(ledger: Ledger, command: CommitVersion) -> Mapping[str, object]:
    """What committing a version of a data set needs."""
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "previous": ledger.get(DatasetVersion, command.dataset, command.number - 1) if command.number > 1 else None,
        "existing": ledger.get(DatasetVersion, command.dataset, command.number),
        "parents": ledger.cited(DatasetVersion, command.derivation.parents if command.derivation is not None else ()),
        "root_claim": ledger.get(RootClaim, command.root),
        "claims": claims(ledger, () if command.card is None else (command.card,)),
    }


def claims(ledger: Ledger, digests: Iterable[Digest]) -> dict[Digest, DigestClaim]:
    """The claims that the ledger has for these digests."""
    found = ledger.get_each(DigestClaim, [(digest,) for digest in dict.fromkeys(digests)])
    return {claim.digest: claim for claim in found if claim is not None}


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {RegisterDataset: for_dataset, CommitVersion: for_version}
)
