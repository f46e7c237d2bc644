# SPDX-License-Identifier: Apache-2.0
"""Renews the TLS certificates of a network in containers: organisation by organisation, one container at a time."""

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Protocol

from network.containers import files
from network.containers.engine import Docker, Engine, Project
from network.containers.fabricside import RealFabric
from network.containers.network import trouble_of
from network.containers.plan import Orderer, Peer, Plan, make_plan
from network.containers.rotationside import RealNodes
from network.directory import TOPOLOGY_FILE
from network.embedded.lock import held
from network.material import USERS
from network.operations.errors import OperationsError
from network.operations.tlsrotation import Step, rotate
from network.publicfiles import certificate_of
from network.topology import Organisation, load

__all__ = ["ContainerNodes", "Ledger", "rotate_containers"]


class Ledger(Protocol):
    """What is done on running nodes; `RealNodes` does it on Fabric's."""

    def leader(self) -> str | None:
        """The orderer that leads."""
        ...

    def pin(self, node: Orderer, certificate: bytes) -> None:
        """Put an orderer's new certificate (PEM) into every channel."""
        ...

    def settle_orderer(self, node: Orderer) -> None:
        """Wait until it orders again."""
        ...

    def settle_peer(self, peer: Peer) -> None:
        """Wait until it endorses and commits again, with all blocks."""
        ...

    def settle_chaincode(self) -> None:
        """Wait until the organisations' chaincodes endorse together."""
        ...

    def settle_authority(self, name: str) -> None:
        """Wait until it serves."""
        ...

    def settle_gateways(self) -> None:
        """Wait until every gateway follows the ledger."""
        ...


def rotate_containers(directory: Path, scope: str, say: Callable[[str], None]) -> list[str]:
    """Renew what an organisation has (its domain; empty for everybody's); answers the names. Raises as `rotate`."""
    with held(directory, OperationsError):
        docker = Docker.find()
        plan = make_plan(load(directory / TOPOLOGY_FILE), directory)
        _refuse_bft(plan, scope)
        version = plan.generation.version or version_of("pedigree")
        project = Project(plan.project, plan.compose_file)
        fabric = RealFabric(docker, version, say)
        ledger = RealNodes(plan, fabric, version, lambda name: trouble_of(docker, project, name))
        return rotate(directory, scope, ContainerNodes(plan, docker, ledger, version, scope), say)


def _refuse_bft(plan: Plan, scope: str) -> None:
    """SmartBFT may order nothing for minutes after its leader was started anew, which no renewal is worth."""
    ordering = plan.topology.orderer
    if ordering.consensus == "bft" and scope in ("", ordering.domain):
        names = ", ".join(member.name for member in plan.topology.organisations)
        raise OperationsError(
            "SmartBFT's orderers are not renewed while they run, because a new start of the leader can stop "
            f"ordering for minutes; renew the members one by one with --org: {names}"
        )


class ContainerNodes:
    """Implements `tlsrotation.Nodes` on the containers of a plan."""

    def __init__(self, plan: Plan, engine: Engine, ledger: Ledger, version: str, scope: str) -> None:
        """`scope` is the domain of the one organisation whose turn it is, empty for all."""
        self._plan = plan
        self._engine = engine
        self._ledger = ledger
        self._version = version
        self._scope = scope
        self._peers = {peer.name: peer for peer in plan.peers}
        self._orderers = {node.name: node for node in plan.orderers}

    def steps(self) -> Sequence[Step]:
        """As `Nodes`: members first, then the ordering organisation, whose leader comes last."""
        found = [step for member in self._plan.topology.organisations for step in self._member(member)]
        found += self._ordering()
        return [step for step in found if self._scope in ("", step.domain)]

    def announce(self, step: Step) -> None:
        """As `Nodes`: the other orderers compare a certificate byte by byte."""
        if step.role == "orderer":
            certificate = certificate_of(step.beside, "server.crt")
            self._ledger.pin(self._orderers[step.name], certificate)

    def restart(self, step: Step) -> None:
        """As `Nodes`: a container whose folder holds something else than before is replaced."""
        if step.role == "user":
            return
        files.make_files(self._plan, self._version)
        self._engine.up(Project(self._plan.project, self._plan.compose_file), [step.name])

    def settle(self, step: Step) -> None:
        """As `Nodes`."""
        match step.role:
            case "orderer":
                self._ledger.settle_orderer(self._orderers[step.name])
            case "peer":
                self._ledger.settle_peer(self._peers[step.name])
            case "chaincode":
                self._ledger.settle_chaincode()
            case "ca":
                self._ledger.settle_authority(step.name)
            case "gateway":
                self._ledger.settle_gateways()

    def _member(self, member: Organisation) -> Iterator[Step]:
        material, domain = self._plan.material, member.domain
        owner = material.organisation(domain)
        services = (
            *((each.name, "ca") for each in self._plan.authorities if each.domain == domain),
            (self._plan.chaincode_name(member), "chaincode"),
            (f"gateway.{domain}", "gateway"),
        )
        for name, role in services:
            # The pair with which peers call a chaincode is a part of its package. Another package has another id, and
            # a peer that still asks for the former one waits a minute for a process that answers to the new one, with
            # its ledger locked. So the pair changes with the next package: an upgrade's, which starts other processes.
            kept = ("client",) if role == "chaincode" else ()
            yield Step(name, role, material.service(owner, name), owner, domain, kept)
        for peer in self._plan.peers:
            if peer.organisation == member:
                yield Step(peer.name, "peer", material.peer(domain, peer.number) / "tls", owner, domain)
        for user in USERS:
            yield Step(f"{user}@{domain}", "user", material.user(domain, user) / "tls", owner, domain)

    def _ordering(self) -> Iterator[Step]:
        material, domain = self._plan.material, self._plan.topology.orderer.domain
        owner = material.orderer_organisation(domain)
        for each in self._plan.authorities:
            if each.domain == domain:
                yield Step(each.name, "ca", material.service(owner, each.name), owner, domain)
        leader = self._ledger.leader()
        for node in sorted(self._plan.orderers, key=lambda each: each.name == leader):
            yield Step(node.name, "orderer", material.orderer(domain, node.number) / "tls", owner, domain)
        yield Step(f"Admin@{domain}", "user", material.orderer_user(domain) / "tls", owner, domain)
