# SPDX-License-Identifier: Apache-2.0
"""A rotation of TLS certificates in containers: who is replaced when, and what a kill leaves to the next attempt."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from network.containers import files
from network.containers.network import project_of
from network.containers.plan import Orderer, Peer, Plan
from network.operations.containertls import ContainerNodes
from network.operations.tlsrotation import is_unfinished, rotate

VERSION = "1.0"


class FakeLedger:
    """Implements `Ledger` on a `World`: orderers that admit whom they know."""

    def __init__(self, plan: Plan, world: Any) -> None:
        self.plan = plan
        self.world = world
        self.known = {node.name: self._shown(node) for node in plan.orderers}
        self.packages = files.chaincode_packages(plan, VERSION)

    def _shown(self, node: Orderer) -> bytes:
        return (self.plan.material.orderer(node.domain, node.number) / "tls" / "server.crt").read_bytes()

    def leader(self) -> str | None:
        return self.plan.orderers[0].name

    def pin(self, node: Orderer, certificate: bytes) -> None:
        self.world.step(f"pin {node.name}")
        others = [each for each in self.plan.orderers if each != node]
        assert all(self.known[each.name] == self._shown(each) for each in others)
        self.known[node.name] = certificate

    def settle_orderer(self, node: Orderer) -> None:
        self.world.step(f"settle {node.name}")
        assert self.known[node.name] == self._shown(node)

    def settle_peer(self, peer: Peer) -> None:
        self.world.step(f"settle {peer.name}")

    def settle_chaincode(self) -> None:
        self.world.step("settle chaincode")
        assert files.chaincode_packages(self.plan, VERSION) == self.packages, "peers would ask for another process"

    def settle_authority(self, name: str) -> None:
        self.world.step(f"settle {name}")

    def settle_gateways(self) -> None:
        self.world.step("settle gateways")


@pytest.fixture
def ledger(plan: Plan, world: Any, engine: Any) -> FakeLedger:
    """Of a network that runs."""
    files.make_files(plan, VERSION)
    services = yaml.safe_load(plan.compose_file.read_text(encoding="utf-8"))["services"]
    engine.up(project_of(plan.directory), [name for name in services if not name.startswith("enrolment.")])
    world.steps.clear()
    return FakeLedger(plan, world)


def rotated(plan: Plan, engine: Any, ledger: FakeLedger, scope: str = "") -> list[str]:
    return rotate(plan.directory, scope, ContainerNodes(plan, engine, ledger, VERSION, scope))


def certificates(plan: Plan) -> dict[str, bytes]:
    root = plan.material.root
    found = sorted(path for path in root.rglob("tls/*.crt") if path.name != "ca.crt")
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def assert_converged(plan: Plan, world: Any, ledger: FakeLedger, former: dict[str, bytes]) -> None:
    now = certificates(plan)
    assert now.keys() == former.keys()
    assert [name for name in now if now[name] == former[name]] == sorted(_in_packages(plan, former))
    described = yaml.safe_load(plan.compose_file.read_text(encoding="utf-8"))["services"]
    assert world.running == {name: described[name] for name in world.running}
    for gateway in plan.gateways:
        own = plan.material.service(plan.material.organisation(gateway.organisation.domain), gateway.name)
        assert (plan.rendered / gateway.name / "tls" / "client.crt").read_bytes() == (own / "client.crt").read_bytes()
    assert files.chaincode_packages(plan, VERSION) == ledger.packages
    assert not is_unfinished(plan.directory)
    assert not list(plan.directory.rglob("*.tls.next*"))


def test_each_organisation_has_its_turn_and_the_leader_comes_last(
    plan: Plan, world: Any, engine: Any, ledger: FakeLedger
) -> None:
    former = certificates(plan)
    rotated(plan, engine, ledger)
    assert_converged(plan, world, ledger, former)
    started = [step.removeprefix("start ") for step in world.steps if step.startswith("start ")]
    of_lab = ["ca.lab.example", "chaincode.lab.example", "gateway.lab.example", "peer0.lab.example"]
    assert [name for name in started if name.endswith("lab.example")] == of_lab
    assert len(started) == len(set(started)) == len(world.running)
    assert started[-3:] == ["orderer2.orderer.example", "orderer3.orderer.example", "orderer1.orderer.example"]


KILLS = ("start chaincode.lab.example", "settle chaincode", "start gateway.lab.example",
         "settle gateways", "start peer0.lab.example", "settle peer0.lab.example")  # fmt: skip


@pytest.mark.parametrize("kill", KILLS)
def test_a_member_s_rotation_that_was_killed_is_finished_by_asking_again(
    kill: str, plan: Plan, world: Any, engine: Any, ledger: FakeLedger, killed: type[BaseException]
) -> None:
    former = {name: content for name, content in certificates(plan).items() if "/lab.example/" in name}
    _kill_at(world, kill)
    with pytest.raises(killed):
        rotated(plan, engine, ledger, "lab.example")
    assert is_unfinished(plan.directory)
    world.dies_at = None
    names = rotated(plan, engine, ledger, "lab.example")
    assert len(names) == len(set(names)) == 6
    present = certificates(plan)
    assert [name for name in former if present[name] == former[name]] == _in_packages(plan, former)
    assert files.chaincode_packages(plan, VERSION) == ledger.packages
    described = yaml.safe_load(plan.compose_file.read_text(encoding="utf-8"))["services"]
    assert world.running == {name: described[name] for name in world.running}


@pytest.mark.parametrize("kill", ["pin", "start", "settle"])
def test_an_orderer_s_rotation_that_was_killed_is_finished_before_the_next_one_begins(
    kill: str, plan: Plan, world: Any, engine: Any, ledger: FakeLedger, killed: type[BaseException]
) -> None:
    node = plan.orderers[2]
    _kill_at(world, f"{kill} {node.name}")
    with pytest.raises(killed):
        rotated(plan, engine, ledger, node.domain)
    world.steps.clear()
    world.dies_at = None
    ledger.leader = lambda: node.name  # type: ignore[method-assign]  # it would come last, and has to come first
    rotated(plan, engine, ledger, node.domain)
    assert world.steps[0].endswith(node.name)
    assert all(ledger.known[each.name] == ledger._shown(each) for each in plan.orderers)
    assert not is_unfinished(plan.directory)


def _in_packages(plan: Plan, certificates: dict[str, bytes]) -> list[str]:
    """The pairs with which peers call chaincodes: an upgrade renews them, a rotation does not."""
    names = {plan.chaincode_name(member) for member in plan.topology.organisations}
    return [each for each in certificates if each.endswith("client.crt") and names & set(Path(each).parts)]


def _kill_at(world: Any, wanted: str) -> None:
    """Have the world die when that step is taken for the first time."""
    step = type(world).step
    pending = [wanted]

    def deadly(name: str) -> None:
        if pending and name == pending[0]:
            pending.clear()
            world.dies_at = len(world.steps) + 1
        step(world, name)

    world.step = deadly


def test_private_keys_are_their_owners_alone(plan: Plan, engine: Any, ledger: FakeLedger) -> None:
    rotated(plan, engine, ledger, "lab.example")
    keys = list(Path(plan.material.root).rglob("*.key"))
    assert keys
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
