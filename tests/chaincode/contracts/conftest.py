# SPDX-License-Identifier: Apache-2.0
"""A ledger in memory with Fabric's semantics, on which the real contracts run; checked as a whole after every step."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.contracts import table
from chaincode.crypto import check_signature, trace_certificates
from chaincode.domain import codec
from chaincode.domain.endorsement import Endorse, Reject
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
from chaincode.domain.intoto import encode_statement
from chaincode.domain.keys import key as key_under
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.model import FileEntry, ModelVersion, RecordModelVersion, RegisterModel, manifest_digest
from chaincode.domain.policy import Member, Policy, QuorumRule, SetPolicy, Stage
from chaincode.domain.provenance import (
    CommitVersion,
    DatasetVersion,
    LawfulBasis,
    Origin,
    RegisterDataset,
    Sensitivity,
)
from chaincode.domain.reading import GetRecord
from chaincode.domain.register import COMMANDS, FUNCTION_OF
from chaincode.domain.spdx import Licence
from chaincode.domain.status import GetStatus
from chaincode.domain.submission import Submit
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
)  # fmt: skip
from chaincode.domain.withdrawal import Withdraw

NET = Ref("model-version:net:1")
CHANNEL = "pedigree"
LedgerCheck = Callable[[Mapping[str, tuple[bytes, int]], Mapping[str, str]], None]
HOSPITAL, LAB, REGULATOR = OrgId("HospitalMSP"), OrgId("LabMSP"), OrgId("RegulatorMSP")
UNSAFE = Text("unsafe")
"""Why models are rejected here."""
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
    channel_id: str
    transaction_id: str
    timestamp: datetime
    state: Mapping[str, tuple[bytes, int]]
    may_range: bool
    reads: dict[str, int | None] = field(default_factory=dict)
    writes: dict[str, bytes] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    events: list[tuple[str, bytes]] = field(default_factory=list)
    ranged: int = 0
    """How many entries of ranges were read."""

    def get_states(self, keys: Sequence[str]) -> list[bytes | None]:
        """As of the start: a transaction does not see its own writes."""
        found = {key: self.state.get(key) for key in keys}
        self.reads.update({key: None if entry is None else entry[1] for key, entry in found.items()})
        return [None if (entry := found[key]) is None else entry[0] for key in keys]

    def start_write_batch(self) -> None:
        """Nothing is sent."""

    def put_state(self, key: str, value: bytes) -> None:
        assert key not in self.writes, f"{key!r} is written twice"
        self.writes[key] = value

    def set_state_validation_parameter(self, key: str, policy: bytes | str) -> None:
        assert isinstance(policy, str)
        self.policies[key] = policy

    def set_event(self, name: str, payload: bytes) -> None:
        self.events.append((name, payload))

    @contextmanager
    def get_state_by_partial_composite_key(
        self, object_type: str, parts: Sequence[str]
    ) -> Iterator[Iterator[KeyValue]]:
        assert self.may_range, "a submitted function read a range"
        prefix = "".join(f"\x00{part}" for part in (object_type, *parts)) + "\x00"
        yield self._entries(prefix)

    def _entries(self, prefix: str) -> Iterator[KeyValue]:
        for key, (value, _) in sorted(self.state.items()):
            if key.startswith(prefix):
                self.ranged += 1
                yield KeyValue(value)


class World:
    """The consortium: committed state, one signing key for each organisation, a clock, and shorthand for commands."""

    def __init__(self, check: LedgerCheck, founders: frozenset[OrgId] | None = None) -> None:
        self.check = check
        self.state: dict[str, tuple[bytes, int]] = {}
        self.policies: dict[str, str] = {}
        self.now = START
        self.height = 0
        self.functions = table.functions(check=check_signature, trace=trace_certificates, founders=founders)
        self._transactions = count()
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

    def simulate(
        self,
        org: str,
        command: Command | Query | bytes,
        function: str | None = None,
        *,
        token: bytes | None = None,
        client: bytes | None = None,
    ) -> Simulation:
        name = function or FUNCTION_OF[type(command)]  # type: ignore[index]
        simulation = Simulation(
            client=FakeClient(org, FakeCertificate(self.key(org).public_key())),
            channel_id=CHANNEL,
            transaction_id=sha256(b"transaction %d" % next(self._transactions)).hexdigest(),
            timestamp=self.now,
            state=dict(self.state),
            may_range=name not in COMMANDS,
        )
        argument = command if isinstance(command, bytes) else codec.to_json(command)
        self.answer = json.loads(
            self.functions[name](simulation, tuple(each for each in (argument, token, client) if each is not None))
        )
        return simulation

    def commit(self, simulation: Simulation) -> bool:
        """Whether the transaction was valid: nothing that it read has changed since."""
        for key, version in simulation.reads.items():
            found = self.state.get(key)
            if (None if found is None else found[1]) != version:
                return False
        # What guards a key asks for the member that sends the command and enough of the others: so any commands of one
        # member can be in one transaction, as in a batch.
        guards = {self.policies[key] for key in simulation.writes if key in self.policies}
        for guard in guards | set(simulation.policies.values()):
            assert guard.startswith(f"OutOf(2,'{simulation.client.msp_id}.peer',"), guard
        self.height += 1
        self.state.update({key: (value, self.height) for key, value in simulation.writes.items()})
        self.policies.update(simulation.policies)
        assert len(simulation.events) == 1, "a transaction carries exactly one event"
        name, payload = simulation.events[0]
        assert json.loads(payload)["name"] == name
        self.check(self.state, self.policies)
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

    @staticmethod
    def one(kind: str, *parts: object) -> GetRecord:
        """The question for one record."""
        return GetRecord(Text(kind), tuple(Text(str(part)) for part in parts))

    def shown(self, kind: str, *parts: object) -> dict[str, Any]:
        """Ask for one record."""
        return self.ask(World.one(kind, *parts))

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
        policy = World.founding_policy(**changes)
        for member in reversed(policy.members):
            if self.submit(member.organisation, policy)["name"] == "PolicySet":
                return

    def dataset(self, org: str, name: str, licence: str = "CC-BY-4.0", **more: Any) -> None:
        self.submit(org, World.register_dataset(name, licence, **more))

    def dataset_version(self, org: str, name: str, number: int = 1, **more: Any) -> DatasetVersion:
        self.submit(org, World.commit_version(name, number, **more))
        return self.read(DatasetVersion, name, number)  # type: ignore[no-any-return]

    def model_version(self, org: str, name: str, number: int = 1, **more: Any) -> ModelVersion:
        if number == 1:
            self.submit(org, RegisterModel(Name(name), Text(name)))
        self.submit(org, World.record_model_version(name, number, **more))
        return self.read(ModelVersion, name, number)

    def read(self, kind: Any, *parts: Any) -> Any:
        return codec.read(kind, self.state[key_under(kind, *parts)][0])

    def records(self) -> list[Record]:
        return [codec.read(Record, value) for value, _ in self.state.values()]  # type: ignore[type-abstract]

    def statement(
        self,
        org: str,
        artifact: Ref,
        digest: Digest,
        decision: Decision = Decision.ENDORSE,
        stage: Stage = Stage.APPROVED,
        reason: Text | None = None,
    ) -> Statement:
        """What `org` has to sign of an artifact as it stands now."""
        standing = self.state.get(key_under(ArtifactStage, artifact))
        policy = self.state.get(key_under(Policy))
        return statement_about(
            artifact,
            digest,
            stage,
            decision,
            channel=CHANNEL,
            organisation=OrgId(org),
            round_=1 if standing is None else codec.read(ArtifactStage, standing[0]).round,
            policy=1 if policy is None else codec.read(Policy, policy[0]).number,
            at=self.at,
            reason=UNSAFE if decision is not Decision.ENDORSE and reason is None else reason,
        )

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
            payload = encode_statement(statement or self.statement(org, artifact, digest, decision, stage))
        signed = self.key(org).sign(pre_authentication_encoding(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
        return Envelope(Blob(payload), Text(PAYLOAD_TYPE), (Signature(Blob(signed)),))

    # What commands are built with; test modules cannot import a conftest, so it hangs on the world.

    @staticmethod
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

    @staticmethod
    def register_dataset(name: str, licence: str = "CC-BY-4.0", **more: Any) -> RegisterDataset:
        return RegisterDataset(
            dataset=Name(name),
            title=Text(name),
            licence=Licence(licence),
            origin=more.pop("origin", Origin(Text("a clinic"), Text("measured"), ())),
            sensitivity=more.pop("sensitivity", Sensitivity.INTERNAL),
            basis=more.pop("basis", LawfulBasis.PUBLIC_TASK),
            **more,
        )

    @staticmethod
    def digest_of(text: str) -> Digest:
        return Digest(sha256(text.encode()).digest())

    @staticmethod
    def commit_version(name: str, number: int = 1, **more: Any) -> CommitVersion:
        values = {"root": World.digest_of(f"{name}:{number}"), "size": Count(10)} | more
        return CommitVersion(dataset=Name(name), number=Number(number), **values)

    @staticmethod
    def record_model_version(name: str, number: int = 1, **more: Any) -> RecordModelVersion:
        files = (FileEntry(FilePath("model.bin"), World.digest_of(f"weights of {name}:{number}"), Count(7)),)
        values = {"files": files, "licence": Licence("Apache-2.0")} | more
        values.setdefault("digest", manifest_digest(values["files"]))
        return RecordModelVersion(model=Name(name), number=Number(number), **values)


class Case:
    """The lab's model, its digest, and shorthand for what is said about it."""

    def __init__(self, world):
        self.world = world
        self.digest = world.model_version(LAB, "net").digest

    def submit(self):
        return self.world.submit(LAB, Submit(NET, self.digest))

    def endorsing(self, org, **more):
        return Endorse(NET, self.world.envelope(org, NET, self.digest, **more))

    def endorse(self, org):
        return self.world.submit(org, self.endorsing(org))

    def rejecting(self, org):
        return Reject(NET, self.world.envelope(org, NET, self.digest, Decision.REJECT), UNSAFE)

    def reject(self, org):
        return self.world.submit(org, self.rejecting(org))

    def withdraw(self, org):
        return self.world.submit(org, Withdraw(NET, Text("second thoughts")))

    @property
    def stage(self):
        return self.world.read(ArtifactStage, NET).stage

    def status(self):
        return self.world.ask(GetStatus(NET))

    @staticmethod
    def one(kind: str, *parts: object) -> GetRecord:
        """The question for one record."""
        return GetRecord(Text(kind), tuple(Text(str(part)) for part in parts))

    def shown(self, kind: str, *parts: object) -> dict[str, Any]:
        """Ask for one record."""
        return self.ask(World.one(kind, *parts))

    def refused(self, org, command):
        return self.world.refused(org, command)


# --- Fixtures ---------------------------------------------------------------------------------------------------


@pytest.fixture
def make_world(ledger_check: LedgerCheck) -> Callable[..., World]:
    """Makes worlds: for stateful tests, and for processes that were told their founders."""
    return partial(World, ledger_check)


@pytest.fixture
def empty_world(make_world: Callable[..., World]) -> World:
    """A consortium without a policy."""
    return make_world()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A consortium with its founding policy."""
    made = make_world()
    made.found()
    return made


@pytest.fixture
def make_case() -> type[Case]:
    """Makes the case of a model in a world."""
    return Case


@pytest.fixture
def case(world: World) -> Case:
    """The lab's model, a draft."""
    return Case(world)


@pytest.fixture
def open_case(case: Case) -> Case:
    """The lab's model, submitted."""
    case.submit()
    return case


@pytest.fixture
def case_under(empty_world: World) -> Callable[..., Case]:
    """Makes a submitted case under a policy with one rule for models."""

    def make(**rule: Any) -> Case:
        values: dict[str, Any] = {"artifact_kind": ArtifactKind.MODEL_VERSION, "threshold": Number(2)} | rule
        empty_world.found(rules=(QuorumRule(**values),))
        case = Case(empty_world)
        case.submit()
        return case

    return make
