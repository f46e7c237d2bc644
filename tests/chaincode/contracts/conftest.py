# SPDX-License-Identifier: Apache-2.0
"""A ledger in memory with Fabric's semantics, on which the real contracts run; checked as a whole after every step."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.contracts import table
from chaincode.crypto import check_signature
from chaincode.domain import codec
from chaincode.domain.canonical import encode, parse
from chaincode.domain.claims import DigestClaim
from chaincode.domain.endorsement import Endorsement
from chaincode.domain.errors import LedgerError, rebuild
from chaincode.domain.evidence import (
    PAYLOAD_TYPE,
    Decision,
    Envelope,
    Signature,
    Statement,
    pre_authentication_encoding,
    statement_about,
)
from chaincode.domain.functions import COMMANDS, FUNCTION_OF
from chaincode.domain.intoto import encode_statement
from chaincode.domain.keys import OWNED, key_of
from chaincode.domain.keys import key as key_under
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.lineage import Edge
from chaincode.domain.model import (
    FileEntry,
    LaterParents,
    Model,
    ModelVersion,
    RecordModelVersion,
    RegisterModel,
    manifest_digest,
    parents_of_model_version,
)
from chaincode.domain.policy import Member, Policy, PolicyVersion, QuorumRule, SetPolicy, Stage
from chaincode.domain.provenance import (
    CommitVersion,
    Dataset,
    DatasetVersion,
    Origin,
    RegisterDataset,
    Sensitivity,
    parents_of_dataset_version,
)
from chaincode.domain.spdx import Licence
from chaincode.domain.training import Evaluation, TrainingRun, parents_of_evaluation, parents_of_run
from chaincode.domain.values import (
    ArtifactKind,
    Blob,
    Command,
    Count,
    Digest,
    FilePath,
    Instant,
    Name,
    Number,
    OrgId,
    Query,
    Record,
    Ref,
    Role,
    Text,
    dataset_version_ref,
    evaluation_ref,
    model_version_ref,
    run_ref,
)

HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class KeyValue:
    """One entry of a range."""

    value: bytes


class FakeCertificate:
    """A certificate of which only the key matters."""

    def __init__(self, key: object) -> None:
        self._key = key

    def public_key(self) -> object:
        return self._key


@dataclass(frozen=True)
class FakeClient:
    """Who signed the proposal."""

    msp_id: str
    certificate: FakeCertificate


@dataclass
class Simulation:
    """One execution: what it read, what it would write. It implements the stub that contracts ask for."""

    client: FakeClient
    timestamp: datetime
    state: Mapping[str, tuple[bytes, int]]
    may_range: bool
    reads: dict[str, int | None] = field(default_factory=dict)
    writes: dict[str, bytes] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    events: list[tuple[str, bytes]] = field(default_factory=list)

    def get_state(self, key: str) -> bytes | None:
        """As of the start: a transaction does not see its own writes."""
        found = self.state.get(key)
        self.reads[key] = None if found is None else found[1]
        return None if found is None else found[0]

    def get_states(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.get_state(key) for key in keys]

    def put_state(self, key: str, value: bytes) -> None:
        assert key not in self.writes, f"{key!r} is written twice"
        self.writes[key] = value

    def set_state_validation_parameter(self, key: str, policy: bytes | str) -> None:
        assert isinstance(policy, str)
        self.policies[key] = policy

    def set_event(self, name: str, payload: bytes) -> None:
        self.events.append((name, payload))

    @contextmanager
    def get_state_by_partial_composite_key(self, object_type: str, parts: Sequence[str]) -> Iterator[list[KeyValue]]:
        assert self.may_range, "a submitted function read a range"
        prefix = "".join(f"\x00{part}" for part in (object_type, *parts)) + "\x00"
        yield [KeyValue(value) for key, (value, _) in sorted(self.state.items()) if key.startswith(prefix)]


class World:
    """The consortium: committed state, one signing key for each organisation, a clock, and shorthand for commands."""

    def __init__(self, founders: frozenset[OrgId] | None = None) -> None:
        self.state: dict[str, tuple[bytes, int]] = {}
        self.policies: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self.now = START
        self.height = 0
        self.functions = table.functions(check=check_signature, founders=founders)
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    def key(self, org: str) -> ec.EllipticCurvePrivateKey:
        if org not in self._keys:
            scalar = int.from_bytes(sha256(org.encode()).digest()) >> 2
            self._keys[org] = ec.derive_private_key(scalar, ec.SECP256R1())
        return self._keys[org]

    @property
    def at(self) -> Instant:
        return Instant(int(self.now.timestamp() * 1000))

    def wait(self, **passed: float) -> None:
        self.now += timedelta(**passed)

    # Execution and commit, apart, so that two transactions can be executed on the same state.

    def simulate(self, org: str, command: Command | Query | bytes, function: str | None = None) -> Simulation:
        name = function or FUNCTION_OF[type(command)]  # type: ignore[index]
        simulation = Simulation(
            client=FakeClient(org, FakeCertificate(self.key(org).public_key())),
            timestamp=self.now,
            state=dict(self.state),
            may_range=name not in COMMANDS,
        )
        argument = command if isinstance(command, bytes) else codec.to_json(command)
        self.answer = json.loads(self.functions[name](simulation, (argument,)))
        return simulation

    def commit(self, simulation: Simulation) -> bool:
        """Whether the transaction was valid: nothing that it read has changed since."""
        for key, version in simulation.reads.items():
            found = self.state.get(key)
            if (None if found is None else found[1]) != version:
                return False
        self.height += 1
        self.state.update({key: (value, self.height) for key, value in simulation.writes.items()})
        self.policies.update(simulation.policies)
        assert len(simulation.events) == 1, "a transaction carries exactly one event"
        name, payload = simulation.events[0]
        event = json.loads(payload)
        assert event["name"] == name
        self.events.append(event)
        check_ledger(self)
        return True

    def submit(self, org: str, command: Command) -> dict[str, Any]:
        """Execute and commit; answers the event."""
        simulation = self.simulate(org, command)
        assert self.commit(simulation)
        event: dict[str, Any] = self.answer["event"]
        return event

    def ask(self, query: Query, org: str = REGULATOR) -> dict[str, Any]:
        """Evaluate; answers the record."""
        simulation = self.simulate(org, query)
        assert not simulation.writes
        record: dict[str, Any] = self.answer["record"]
        return record

    def refused(self, org: str, command: Command | Query | bytes, function: str | None = None) -> LedgerError:
        """The refusal, as a client would rebuild it from what the chaincode says."""
        with pytest.raises(LedgerError) as caught:
            self.simulate(org, command, function)
        text = table.refusal(caught.value)
        assert text is not None
        said = json.loads(text)
        assert said["message"] == str(caught.value)
        assert rebuild(said["code"], said["facts"]) == caught.value
        return caught.value

    # Shorthand.

    def found(self, **changes: Any) -> None:
        """Set the founding policy by the votes of as many members as it needs."""
        policy = founding_policy(**changes)
        for member in reversed(policy.members):
            if self.submit(member.organisation, policy)["name"] == "PolicySet":
                return

    def dataset(self, org: str, name: str, licence: str = "CC-BY-4.0", **more: Any) -> None:
        self.submit(org, register_dataset(name, licence, **more))

    def dataset_version(self, org: str, name: str, number: int = 1, **more: Any) -> DatasetVersion:
        self.submit(org, commit_version(name, number, **more))
        return self.read(DatasetVersion, name, number)  # type: ignore[no-any-return]

    def model_version(self, org: str, name: str, number: int = 1, **more: Any) -> ModelVersion:
        if number == 1:
            self.submit(org, RegisterModel(Name(name), Text(name)))
        self.submit(org, record_model_version(name, number, **more))
        return self.read(ModelVersion, name, number)

    def read(self, kind: Any, *parts: Any) -> Any:
        return codec.read(kind, self.state[key_under(kind, *parts)][0])

    def records(self) -> list[Record]:
        return [_record(value) for value, _ in self.state.values()]

    def envelope(
        self,
        org: str,
        artifact: Ref,
        digest: Digest,
        decision: Decision = Decision.ENDORSE,
        stage: Stage = Stage.APPROVED,
        *,
        statement: Statement | None = None,
        payload: bytes | None = None,
    ) -> Envelope:
        """A statement signed with the key of `org`."""
        if payload is None:
            payload = encode_statement(statement or statement_about(artifact, digest, stage, decision))
        signed = self.key(org).sign(pre_authentication_encoding(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
        return Envelope(Blob(payload), Text(PAYLOAD_TYPE), (Signature(Blob(signed)),))


@lru_cache(maxsize=4096)
def _record(value: bytes) -> Record:
    record = codec.from_json(value)
    assert isinstance(record, Record)
    return record


def founding_policy(**changes: Any) -> SetPolicy:
    """Hospital, lab and regulator; two endorsements make a model approved, one of them an auditor's."""
    values: dict[str, Any] = {
        "number": Number(1),
        "members": (
            Member(HOSPITAL, (Role("supplier"),)),
            Member(LAB, (Role("trainer"),)),
            Member(REGULATOR, (Role("auditor"),)),
        ),
        "rules": (
            QuorumRule(ArtifactKind.MODEL_VERSION, Number(2), required_roles=(Role("auditor"),)),
            QuorumRule(ArtifactKind.DATASET_VERSION, Number(1)),
        ),
        "amendment_threshold": Number(2),
    }
    return SetPolicy(**(values | changes))


def register_dataset(name: str, licence: str = "CC-BY-4.0", **more: Any) -> RegisterDataset:
    return RegisterDataset(
        dataset=Name(name),
        title=Text(name),
        licence=Licence(licence),
        origin=more.pop("origin", Origin(Text("a clinic"), Text("measured"), ())),
        sensitivity=Sensitivity.PERSONAL,
        **more,
    )


def digest_of(text: str) -> Digest:
    return Digest(sha256(text.encode()).digest())


def commit_version(name: str, number: int = 1, **more: Any) -> CommitVersion:
    values = {"root": digest_of(f"{name}:{number}"), "size": Count(10)} | more
    return CommitVersion(dataset=Name(name), number=Number(number), **values)


def record_model_version(name: str, number: int = 1, **more: Any) -> RecordModelVersion:
    files = (FileEntry(FilePath("model.bin"), digest_of(f"weights of {name}:{number}"), Count(7)),)
    values = {"files": files, "licence": Licence("Apache-2.0")} | more
    values.setdefault("digest", manifest_digest(values["files"]))
    return RecordModelVersion(model=Name(name), number=Number(number), **values)


# Test modules cannot import a conftest, so that what they build commands with hangs on the fixture.
World.founding_policy = staticmethod(founding_policy)  # type: ignore[attr-defined]
World.register_dataset = staticmethod(register_dataset)  # type: ignore[attr-defined]
World.commit_version = staticmethod(commit_version)  # type: ignore[attr-defined]
World.record_model_version = staticmethod(record_model_version)  # type: ignore[attr-defined]
World.digest_of = staticmethod(digest_of)  # type: ignore[attr-defined]


# --- The whole ledger, after every step -------------------------------------------------------------------------


def check_ledger(world: World) -> None:
    """What must hold of the ledger at any time, whoever wrote what in which order."""
    records = world.records()
    _check_entries(world)
    _check_versions(records)
    _check_edges(records)
    _check_claims(records)
    _check_stages(records)
    _check_policy(records)


def _check_entries(world: World) -> None:
    for key, (value, _) in world.state.items():
        record = _record(value)
        assert key == key_of(record)
        assert encode(parse(value)) == value, "an entry is not canonical"
        expression = world.policies.get(key)
        if isinstance(record, OWNED):
            assert expression is not None
            assert expression.startswith(f"OutOf(2,'{record.owner}.peer',")
            assert expression.count(record.owner) == 1, "the owner stands for the other member as well"
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


def _check_edges(records: list[Record]) -> None:
    later = {more.child: more for more in _of(records, LaterParents)}
    expected: set[Edge] = set()
    licences: dict[Ref, Licence] = {}
    nodes: set[Ref] = set()
    for record in records:
        match record:
            case DatasetVersion():
                reference = dataset_version_ref(record.dataset, record.number)
                licences[reference] = record.licence
                expected.update(parents_of_dataset_version(record))
            case ModelVersion():
                reference = model_version_ref(record.model, record.number)
                licences[reference] = record.licence
                expected.update(parents_of_model_version(record, later.get(reference)))
            case TrainingRun():
                reference = run_ref(record.run)
                expected.update(parents_of_run(record))
            case Evaluation():
                reference = evaluation_ref(record.evaluation)
                expected.update(parents_of_evaluation(record))
            case _:
                continue
        nodes.add(reference)
    edges = set(_of(records, Edge))
    assert edges == expected, "the edges are not those that the records name"
    assert {end for edge in edges for end in (edge.parent, edge.child)} <= nodes, "an edge leads nowhere"
    _check_acyclic(nodes, edges)
    for edge in edges:
        if edge.parent in licences and edge.child in licences:
            assert not licences[edge.child].is_wider_than(licences[edge.parent])


def _check_acyclic(nodes: set[Ref], edges: set[Edge]) -> None:
    remaining = set(nodes)
    while remaining:
        roots = {node for node in remaining if not any(e.child == node and e.parent in remaining for e in edges)}
        assert roots, "the lineage has a cycle"
        remaining -= roots


def _check_claims(records: list[Record]) -> None:
    owners = {claim.digest: claim.owner for claim in _of(records, DigestClaim)}
    for version in _of(records, DatasetVersion):
        assert owners[version.root] == version.owner
    for version in _of(records, ModelVersion):
        assert owners[version.digest] == version.owner


def _check_stages(records: list[Record]) -> None:
    given = _of(records, Endorsement)
    for standing in _of(records, ArtifactStage):
        standing_now = {
            one.by
            for one in given
            if (one.artifact, one.stage, one.round) == (standing.artifact, Stage.APPROVED, standing.round)
            and one.withdrawn_at is None
        }
        if standing.stage in {Stage.ENDORSED, Stage.APPROVED}:
            assert standing_now, f"{standing.artifact} is {standing.stage} and nobody endorses it"
        if standing.stage is Stage.SUBMITTED:
            assert not standing_now
        assert (standing.stage is Stage.QUARANTINED) is (standing.quarantined_by is not None)


def _check_policy(records: list[Record]) -> None:
    versions = {version.policy.number: version.policy for version in _of(records, PolicyVersion)}
    assert sorted(versions) == list(range(1, len(versions) + 1))
    for policy in _of(records, Policy):
        assert policy == versions[Number(len(versions))]


# --- Fixtures ---------------------------------------------------------------------------------------------------


@pytest.fixture
def empty_world() -> World:
    """A consortium without a policy."""
    return World()


@pytest.fixture
def world() -> World:
    """A consortium with its founding policy."""
    made = World()
    made.found()
    return made


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Makes worlds: for stateful tests, and for processes that were told their founders."""
    return World
