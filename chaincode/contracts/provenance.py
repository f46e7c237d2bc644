# SPDX-License-Identifier: Apache-2.0
"""Data sets: what the rules of `domain.provenance` need."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.claims import DigestClaim, RootClaim
from chaincode.domain.covering import (
    Source,
    Taking,
    check_cover,
    check_kind_of_grant,
    check_sensitivity,
    cited_for_cover,
)
from chaincode.domain.lineage import REPLACES
from chaincode.domain.provenance import (
    CommitVersion,
    Dataset,
    DatasetVersion,
    RegisterDataset,
    Sensitivity,
    parents_of_dataset_version,
)
from chaincode.domain.values import Command, Digest, Record, Ref, dataset_ref, dataset_version_ref


def for_dataset(ledger: Ledger, command: RegisterDataset) -> Mapping[str, object]:
    """What registering a data set needs."""
    digests = command.distributions if command.card is None else (command.card, *command.distributions)
    return {"existing": ledger.get(Dataset, command.dataset), "claims": claims(ledger, digests)}


def for_version(ledger: Ledger, command: CommitVersion) -> Mapping[str, object]:
    """What committing a version of a data set needs."""
    parents = command.derivation.parents if command.derivation is not None else ()
    return {
        "dataset": ledger.get(Dataset, command.dataset),
        "previous": ledger.get(DatasetVersion, command.dataset, command.number - 1) if command.number > 1 else None,
        "existing": ledger.get(DatasetVersion, command.dataset, command.number),
        "parents": ledger.cited(DatasetVersion, parents),
        "root_claim": ledger.get(RootClaim, command.root),
        "claims": claims(ledger, () if command.card is None else (command.card,)),
        "check_cover": partial(_check_cover, ledger, command),
    }


def _check_cover(ledger: Ledger, command: CommitVersion, sensitivity: Sensitivity) -> None:
    """Refuse a derivation from other organisations' data without the grants that it needs, at this time."""
    derivation = command.derivation
    if derivation is None:
        return
    grants = derivation.grants or ()
    for place, grant in enumerate(grants):
        check_kind_of_grant(f"/derivation/grants/{place}", grant)
    cited = ledger.cited(Record, cited_for_cover(derivation.parents, grants))
    taking = Taking(dataset_version_ref(command.dataset, command.number), ledger.by, ledger.at)
    for parent in derivation.parents:
        check_cover(taking, parent, (parent,), grants, cited)
    check_sensitivity(taking, sensitivity, derivation, cited, partial(_look, ledger))


def _look(ledger: Ledger, versions: Sequence[Ref]) -> list[Source]:
    """What the ledger holds of versions that others were made from, by two calls of the peer."""
    found = ledger.cited(DatasetVersion, versions)
    datasets = ledger.cited(Dataset, (dataset_ref(version.name) for version in versions))
    return [
        Source(
            found[version].owner,
            datasets[dataset_ref(version.name)].sensitivity,
            tuple(edge.parent for edge in parents_of_dataset_version(found[version]) if edge.relation != REPLACES),
        )
        for version in versions
    ]


def claims(ledger: Ledger, digests: Iterable[Digest]) -> dict[Digest, DigestClaim]:
    """The claims that the ledger has for these digests."""
    found = ledger.get_each(DigestClaim, [(digest,) for digest in dict.fromkeys(digests)])
    return {claim.digest: claim for claim in found if claim is not None}


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {RegisterDataset: for_dataset, CommitVersion: for_version}
)
