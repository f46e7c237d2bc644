# SPDX-License-Identifier: Apache-2.0
"""What must hold of the consortium's ledger at any time, whoever wrote what in which order."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import pytest

from chaincode.domain import codec
from chaincode.domain.access import AccessOffer, AccessPolicy
from chaincode.domain.attempting import AccessAttempt, AccessDecision, AccessSlot
from chaincode.domain.canonical import encode, parse
from chaincode.domain.claims import DigestClaim, RootClaim
from chaincode.domain.consent import MOST_CHANGES, WITHDRAWABLE, ConsentMap, ConsentMapVersion, SelectionMark
from chaincode.domain.endorsement import Endorsement
from chaincode.domain.evaluation import Evaluation
from chaincode.domain.grants import AccessGrant
from chaincode.domain.intoto import decode_statement
from chaincode.domain.keys import key_of
from chaincode.domain.licensing import objection
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.lineage import Edge
from chaincode.domain.model import Model, ModelVersion, manifest_digest
from chaincode.domain.policy import Policy, PolicyVersion, Stage, rule_for
from chaincode.domain.provenance import Dataset, DatasetVersion
from chaincode.domain.register import KIND_OF, edges_of, reference_to
from chaincode.domain.selection import Selection, version_of
from chaincode.domain.spdx import Licence
from chaincode.domain.values import SKEW, ArtifactKind, Digest, Record, Ref

LedgerCheck = Callable[[Mapping[str, tuple[bytes, int]], Mapping[str, str]], None]


@pytest.fixture(scope="session")
def ledger_check() -> LedgerCheck:
    """Checks a whole ledger: its entries with their versions, and the policies of keys."""
    return check_ledger


def check_ledger(state: Mapping[str, tuple[bytes, int]], policies: Mapping[str, str]) -> None:
    """What must hold of the ledger at any time, whoever wrote what in which order."""
    records = [_record(value) for value, _ in state.values()]
    _check_entries(state, policies)
    _check_versions(records)
    _check_selections(records)
    _check_edges(records)
    _check_claims(records)
    _check_consent(records)
    _check_stages(records)
    _check_assessments(records)
    _check_policy(records)
    _check_access(records)


def _check_entries(state: Mapping[str, tuple[bytes, int]], policies: Mapping[str, str]) -> None:
    for key, (value, _) in state.items():
        record = _record(value)
        assert key == key_of(record)
        assert encode(parse(value)) == value, "an entry is not canonical"
        expression = policies.get(key)
        if guard := KIND_OF[type(record)].guard:
            assert guard in {"owner", "by"}
            owner = getattr(record, guard)
            assert expression is not None
            assert expression.startswith(f"OutOf(2,'{owner}.peer',")
            assert expression.count(owner) == 1, "the owner stands for the other member as well"
        else:
            assert expression is None, "a record that no owner may block has an owner's policy"


def _of(records: list[Record], kind: Any) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def _check_versions(records: list[Record]) -> None:
    datasets = {dataset.dataset: dataset for dataset in _of(records, Dataset)}
    versions = {(version.dataset, version.number): version for version in _of(records, DatasetVersion)}
    for (name, number), version in versions.items():
        assert version.owner == datasets[name].owner
        assert version.size >= 1
        previous = versions.get((name, number - 1))
        assert (previous is None) is (number == 1)
        assert version.parent_root == (None if previous is None else previous.root)
    models = {model.model: model for model in _of(records, Model)}
    recorded = {(version.model, version.number): version for version in _of(records, ModelVersion)}
    for (name, number), model_version in recorded.items():
        assert model_version.owner == models[name].owner
        assert number == 1 or (name, number - 1) in recorded
        assert model_version.digest == manifest_digest(model_version.files)


def _check_selections(records: list[Record]) -> None:
    versions = {reference_to(version): version for version in _of(records, DatasetVersion)}
    selections = {reference_to(selection): selection for selection in _of(records, Selection)}
    maps = {(each.dataset, each.number): each for each in _of(records, ConsentMapVersion)}
    for reference, selection in selections.items():
        assert selection.owner == versions[version_of(reference)].owner
        whole = versions[version_of(reference)]
        if selection.parent is not None:
            assert version_of(selection.parent) == version_of(reference)
            whole = selections[selection.parent]
            assert whole.purpose in (None, selection.purpose)
            assert whole.role in (None, selection.role)
            assert whole.consent_map in (None, selection.consent_map)
        if (made := selection.consent_map) is not None:
            assert selection.purpose is not None
            assert maps[selection.dataset, made.number].root == made.root
            assert maps[selection.dataset, made.number].at <= selection.committed_at + SKEW
        assert 1 <= selection.size == whole.size - sum(each.count for each in selection.left_out)
        assert (selection.size == whole.size) is (selection.root == whole.root)


def _check_consent(records: list[Record]) -> None:
    datasets = {dataset.dataset: dataset for dataset in _of(records, Dataset)}
    versions = {(version.dataset, version.number): version for version in _of(records, ConsentMapVersion)}
    heads = {head.dataset: head for head in _of(records, ConsentMap)}
    assert set(heads) == {name for name, _ in versions}
    for name, head in heads.items():
        last = versions[name, head.number]
        assert (head.root, head.size, head.changed_at) == (last.root, last.size, last.at)
        assert (name, head.number + 1) not in versions
        assert head.owner == datasets[name].owner
        assert datasets[name].basis in WITHDRAWABLE
    owners = {reference_to(selection): selection.owner for selection in _of(records, Selection)}
    for mark in _of(records, SelectionMark):
        assert mark.owner == owners[mark.selection]
        assert versions[mark.selection.name, mark.number].at <= mark.marked_at + SKEW
    for (name, number), version in versions.items():
        previous = versions.get((name, number - 1))
        assert (previous is None) is (number == 1)
        assert version.owner == heads[name].owner
        assert version.previous_root == (None if previous is None else previous.root)
        assert version.changed == sum(found.count for found in version.counts)
        assert (version.ended is None) is (previous is None)
        if previous is not None:
            assert previous.size <= version.size <= previous.size + version.changed
            assert 1 <= version.changed <= MOST_CHANGES


def _check_edges(records: list[Record]) -> None:
    expected: set[Edge] = set()
    licences: dict[Ref, Licence] = {}
    nodes: set[Ref] = set()
    for record in records:
        kind = KIND_OF[type(record)]
        if kind.edges is None:
            continue
        expected.update(edges_of(record))
        if kind.reference:
            reference = reference_to(record)
            nodes.add(reference)
            if isinstance(record, DatasetVersion | ModelVersion):
                licences[reference] = record.licence
    edges = set(_of(records, Edge))
    assert edges == expected, "the edges are not those that the records name"
    assert {end for edge in edges for end in (edge.parent, edge.child)} <= nodes, "an edge leads nowhere"
    _check_acyclic(nodes, edges)
    for edge in edges:
        # Versions of one data set are their owner's own work.
        own = (
            ArtifactKind.DATASET_VERSION in {edge.parent.kind, edge.child.kind} and edge.parent.name == edge.child.name
        )
        if not own and edge.parent in licences and edge.child in licences:
            assert objection(licences[edge.child], licences[edge.parent]) is None


def _check_acyclic(nodes: set[Ref], edges: set[Edge]) -> None:
    remaining = set(nodes)
    while remaining:
        roots = {node for node in remaining if not any(e.child == node and e.parent in remaining for e in edges)}
        assert roots, "the lineage has a cycle"
        remaining -= roots


def _check_claims(records: list[Record]) -> None:
    first = {claim.digest: claim for claim in _of(records, DigestClaim)}
    roots = {claim.root: claim.owner for claim in _of(records, RootClaim)}
    for version in _of(records, DatasetVersion):
        assert roots[version.root] == version.owner
        _check_bytes(version, [version.card], first)
    for dataset in _of(records, Dataset):
        _check_bytes(dataset, [dataset.card, *dataset.distributions], first)
    for model in _of(records, Model):
        _check_bytes(model, [model.card], first)
    for version in _of(records, ModelVersion):
        _check_bytes(version, [version.digest], first)


def _check_bytes(record: Any, digests: list[Digest | None], first: dict[Digest, DigestClaim]) -> None:
    """Whoever names a digest was the first to do so, or says who was."""
    claims = [first[digest] for digest in dict.fromkeys(digests) if digest is not None]
    assert record.earlier_claims == tuple(claim for claim in claims if claim.owner != record.owner)


def _check_stages(records: list[Record]) -> None:
    given = _of(records, Endorsement)
    for standing in _of(records, ArtifactStage):
        standing_now = {
            one.by
            for one in given
            if (one.artifact, one.stage, one.round) == (standing.artifact, Stage.APPROVED, standing.round)
            and one.withdrawn_at is None
        }
        lapsed = {one.by for one in given if one.expires_at is not None and one.expires_at <= standing.since}
        if standing.stage in {Stage.ENDORSED, Stage.APPROVED}:
            assert standing_now, f"{standing.artifact} is {standing.stage} and nobody endorses it"
        if standing.stage is Stage.SUBMITTED:
            assert not standing_now - lapsed
        assert (standing.stage is Stage.QUARANTINED) is (standing.quarantined_by is not None)
        assert standing.quarantined_by is not None or (standing.lapses_at, standing.confirmed_by) == (None, None)
        assert standing.confirmed_by is None or standing.lapses_at is None, "a confirmed quarantine lapses"
        assert standing.confirmed_by is None or standing.confirmed_by != standing.quarantined_by


def _check_assessments(records: list[Record]) -> None:
    """Nobody vouched in the open round where an evaluation that the policy then asked for was not named."""
    policies = {version.policy.number: version.policy for version in _of(records, PolicyVersion)}
    evaluations = {evaluation.evaluation: evaluation for evaluation in _of(records, Evaluation)}
    standings = {standing.artifact: standing for standing in _of(records, ArtifactStage)}
    for given in _of(records, Endorsement):
        standing, rule = standings[given.artifact], rule_for(policies[given.policy], given.artifact.kind, given.stage)
        if given.round != standing.round or rule is None or rule.judged_by_roles is None:
            continue
        judged = evaluations[standing.evaluation]
        assert (judged.subject, judged.digest, judged.verdict) == (given.artifact, standing.digest, "pass")
        assert judged.owner != standing.owner
        assert reference_to(judged) in decode_statement(given.envelope.payload).seen


def _check_policy(records: list[Record]) -> None:
    versions = {version.policy.number: version.policy for version in _of(records, PolicyVersion)}
    assert sorted(versions) == list(range(1, len(versions) + 1))
    for policy in _of(records, Policy):
        assert policy == versions.get(policy.number)
        assert policy.number == len(versions)


def _check_access(records: list[Record]) -> None:
    offers = {offer.dataset: offer.number for offer in _of(records, AccessOffer)}
    numbers = [(policy.dataset, policy.number) for policy in _of(records, AccessPolicy)]
    assert sorted(numbers) == sorted((name, n) for name, last in offers.items() for n in range(1, last + 1))
    grants = {grant.grant: grant for grant in _of(records, AccessGrant)}
    attempts = {attempt.attempt: attempt for attempt in _of(records, AccessAttempt)}
    slots = {(slot.grant, slot.slot): slot for slot in _of(records, AccessSlot)}
    for attempt in attempts.values():
        grant = grants.get(attempt.grant)
        allowed = attempt.decision is AccessDecision.ALLOWED
        assert allowed is (attempt.reason is None)
        assert attempt.slot is None or slots[attempt.grant, attempt.slot].attempt == attempt.attempt
        if not allowed or grant is None:
            assert not allowed
            assert attempt.slot is None
            continue
        assert (attempt.by, attempt.artifact, attempt.purpose) == (grant.grantee, grant.artifact, grant.purpose)
        assert attempt.action in grant.actions
        assert grant.recipient in (None, attempt.recipient)
        assert grant.not_before <= attempt.at < grant.expires
        assert (attempt.slot is not None) is (grant.uses > 0)
    for (name, number), slot in slots.items():
        assert 1 <= number <= grants[name].uses
        assert attempts[slot.attempt].slot == number


@lru_cache(maxsize=4096)
def _record(value: bytes) -> Record:
    record = codec.from_json(value)
    assert isinstance(record, Record)
    return record
