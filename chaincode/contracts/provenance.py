# SPDX-License-Identifier: Apache-2.0
"""Data sets: what the rules of `domain.provenance` need, and questions about single records."""

from collections.abc import Iterable

from chaincode.contracts.state import Ledger
from chaincode.domain import provenance
from chaincode.domain.claims import DigestClaim, RootClaim
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.provenance import (
    CommitVersion,
    Dataset,
    DatasetVersion,
    GetDataset,
    GetDatasetVersion,
    RegisterDataset,
)
from chaincode.domain.values import ArtifactKind, Digest, Outcome, Ref, dataset_ref, dataset_version_ref


def register(ledger: Ledger, command: RegisterDataset) -> Outcome:
    """Register a data set."""
    digests = command.distributions if command.card is None else (command.card, *command.distributions)
    return provenance.register_dataset(
        command,
        by=ledger.by,
        at=ledger.at,
        existing=ledger.get(Dataset, command.dataset),
        claims=claims(ledger, digests),
    )


def commit_version(ledger: Ledger, command: CommitVersion) -> Outcome:
    """Commit a version of a data set."""
    return provenance.commit_version(
        command,
        by=ledger.by,
        at=ledger.at,
        dataset=ledger.get(Dataset, command.dataset),
        previous=ledger.get(DatasetVersion, command.dataset, command.number - 1) if command.number > 1 else None,
        existing=ledger.get(DatasetVersion, command.dataset, command.number),
        parents=dataset_versions(ledger, command.derivation.parents if command.derivation is not None else ()),
        root_claim=ledger.get(RootClaim, command.root),
        claims=claims(ledger, () if command.card is None else (command.card,)),
    )


def get(ledger: Ledger, query: GetDataset) -> Dataset:
    """A data set."""
    found = ledger.get(Dataset, query.dataset)
    if found is None:
        raise RecordNotFound(dataset_ref(query.dataset))
    return found


def get_version(ledger: Ledger, query: GetDatasetVersion) -> DatasetVersion:
    """A version of a data set."""
    found = ledger.get(DatasetVersion, query.dataset, query.number)
    if found is None:
        raise RecordNotFound(dataset_version_ref(query.dataset, query.number))
    return found


def claims(ledger: Ledger, digests: Iterable[Digest]) -> dict[Digest, DigestClaim]:
    """The claims that stand on the ledger for these digests."""
    found = ledger.get_each(DigestClaim, [(digest,) for digest in dict.fromkeys(digests)])
    return {claim.digest: claim for claim in found if claim is not None}


def dataset_versions(ledger: Ledger, references: Iterable[Ref]) -> dict[Ref, DatasetVersion]:
    """Those of the references that are versions of data sets and exist."""
    wanted = [
        (reference.name, reference.number)
        for reference in dict.fromkeys(references)
        if reference.kind is ArtifactKind.DATASET_VERSION and reference.number is not None
    ]
    found = ledger.get_each(DatasetVersion, wanted)
    return {dataset_version_ref(version.dataset, version.number): version for version in found if version is not None}
