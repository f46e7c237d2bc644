# SPDX-License-Identifier: Apache-2.0
"""A deployment goes on from wherever an earlier one stopped, and says what refused it."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from fabric_protos.peer.lifecycle import lifecycle_pb2

from network import lifecycle
from network.lifecycle import Deployment, deploy, packages_for
from network.packaging import Definition, DefinitionError
from network.topology import Endpoint
from network.wire import Endorsed, WireError


@dataclass
class Ledger:
    """What the organisations have installed, approved and committed."""

    installed: set[tuple[str, str]] = field(default_factory=set)
    approved: dict[tuple[str, int], Any] = field(default_factory=dict)
    committed: Any = None
    disagreements: int = 0
    """How often peers still give different results for a commit."""
    log: list[str] = field(default_factory=list)


class Administrator:
    """One organisation's administrator over a shared fake ledger."""

    def __init__(self, msp_id: str, ledger: Ledger) -> None:
        self.member = SimpleNamespace(name=msp_id.removesuffix("MSP").lower(), msp_id=msp_id)
        self._ledger = ledger
        self.refusal: str | None = None

    def query(self, _channel: str, _chaincode: str, function: bytes, request: bytes) -> bytes:
        name = function.decode()
        if self.refusal is not None and name == "InstallChaincode":
            raise WireError(self.refusal, 500)
        return bytes(getattr(self, f"_{name}")(request).SerializeToString())

    def _InstallChaincode(self, request: bytes) -> Any:  # noqa: N802
        package = lifecycle_pb2.InstallChaincodeArgs.FromString(request).chaincode_install_package
        key = (self.member.msp_id, repr(hash(package)))
        if key in self._ledger.installed:
            raise WireError("chaincode already successfully installed (package ID 'x')", 500)
        self._ledger.installed.add(key)
        return lifecycle_pb2.InstallChaincodeResult()

    def _QueryChaincodeDefinition(self, request: bytes) -> Any:  # noqa: N802
        name = lifecycle_pb2.QueryChaincodeDefinitionArgs.FromString(request).name
        if self._ledger.committed is None:
            raise WireError(f"namespace {name} is not defined", 404)
        return self._ledger.committed

    def _QueryApprovedChaincodeDefinition(self, request: bytes) -> Any:  # noqa: N802
        sequence = lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs.FromString(request).sequence
        approved = self._ledger.approved.get((self.member.msp_id, sequence))
        if approved is None:
            raise WireError("could not fetch approved chaincode definition", 500)
        return lifecycle_pb2.QueryApprovedChaincodeDefinitionResult(source=approved.source)

    def endorse(self, _channel: str, _chaincode: str, args: Any, peers: Any) -> Endorsed:
        function = args[0].decode()
        if function.startswith("Approve"):
            request = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs.FromString(args[1])
            key = (self.member.msp_id, request.sequence)
            if self._ledger.approved.get(key) == request:
                raise WireError("attempted to redefine uncommitted sequence (1) with unchanged content", 500)
            self._ledger.approved[key] = request
        else:
            assert len(peers) == 2
            if self._ledger.disagreements > 0:
                self._ledger.disagreements -= 1
                raise WireError("the organisations' peers gave different results")
            fields = lifecycle_pb2.CommitChaincodeDefinitionArgs.FromString(args[1])
            self._ledger.committed = lifecycle_pb2.QueryChaincodeDefinitionResult(
                sequence=fields.sequence,
                version=fields.version,
                validation_parameter=fields.validation_parameter,
                collections=fields.collections,
                init_required=fields.init_required,
            )
        self._ledger.log.append(f"{self.member.name} {function}")
        return Endorsed("tx", None, b"", ())

    def envelope(self, endorsed: Endorsed) -> Endorsed:
        return endorsed

    def wait_for_commit(self, _channel: str, _transaction_id: str) -> None: ...


class Ordering:
    def broadcast(self, _envelope: Any) -> None: ...


ORDERING: Any = Ordering()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(lifecycle, "_AGREEMENT_PAUSE", 0.001)
    return Ledger()


def _administrators(ledger: Ledger) -> list[Any]:
    return [Administrator(msp_id, ledger) for msp_id in ("LabMSP", "HospitalMSP")]


def _deployment(version: str = "1.0", **addresses: int) -> Deployment:
    where = {msp_id: Endpoint("127.0.0.1", port) for msp_id, port in (addresses or {"LabMSP": 1}).items()}
    return Deployment("pedigree", Definition.make("cc", version), packages_for("cc", version, where))


def test_a_first_deployment_is_approved_by_all_and_committed_once(ledger: Ledger) -> None:
    steps: list[str] = []
    done = deploy(_deployment(LabMSP=1, HospitalMSP=2), _administrators(ledger), ORDERING, progress=steps.append)
    assert (done.sequence, done.changed) == (1, True)
    assert sorted(ledger.log[:2]) == [
        "hospital ApproveChaincodeDefinitionForMyOrg",
        "lab ApproveChaincodeDefinitionForMyOrg",
    ]
    assert ledger.log[2:] == ["lab CommitChaincodeDefinition"]
    assert len(ledger.installed) == 2
    assert steps == ["installing cc", "approving cc, sequence 1", "committing cc, sequence 1"]


def test_the_same_again_changes_nothing(ledger: Ledger) -> None:
    deploy(_deployment(), _administrators(ledger), ORDERING)
    before = list(ledger.log)
    done = deploy(_deployment(), _administrators(ledger), ORDERING)
    assert (done.sequence, done.changed) == (1, False)
    assert ledger.log == before


@pytest.mark.parametrize("change", [{"version": "2.0"}, {"LabMSP": 9}, {"LabMSP": 1, "HospitalMSP": 2}])
def test_a_change_of_version_or_address_is_the_next_sequence(ledger: Ledger, change: Any) -> None:
    deploy(_deployment(), _administrators(ledger), ORDERING)
    done = deploy(_deployment(**change), _administrators(ledger), ORDERING)
    assert (done.sequence, done.changed) == (2, True)


def test_an_interrupted_deployment_is_finished(ledger: Ledger) -> None:
    complete = _administrators(ledger)
    deploy(_deployment(LabMSP=1, HospitalMSP=2), complete, ORDERING)
    ledger.committed = None  # killed between the approvals and the commit
    ledger.log.clear()
    done = deploy(_deployment(LabMSP=1, HospitalMSP=2), complete, ORDERING)
    assert (done.sequence, done.changed) == (1, True)
    assert ledger.log == ["lab CommitChaincodeDefinition"]


def test_peers_that_lag_behind_are_asked_again(ledger: Ledger) -> None:
    ledger.disagreements = 3
    assert deploy(_deployment(), _administrators(ledger), ORDERING).changed


def test_peers_that_never_agree_end_the_deployment(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_AGREEMENT_SECONDS", 0.0)
    ledger.disagreements = 10**6
    with pytest.raises(WireError, match="different results"):
        deploy(_deployment(), _administrators(ledger), ORDERING)


def test_who_refused_is_named(ledger: Ledger) -> None:
    administrators = _administrators(ledger)
    administrators[0].refusal = "Failed to authorize invocation"
    with pytest.raises(WireError, match=r"^lab: installing failed: Failed to authorize"):
        deploy(_deployment(), administrators, ORDERING)


def test_an_address_of_nobody_is_refused(ledger: Ledger) -> None:
    with pytest.raises(DefinitionError, match="NoMSP"):
        deploy(_deployment(NoMSP=1), _administrators(ledger), ORDERING)
    assert ledger.log == []
