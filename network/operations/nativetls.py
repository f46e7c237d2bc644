# SPDX-License-Identifier: Apache-2.0
"""Renews the TLS certificates of Fabric's programs that run as local processes, one process at a time.

The process that runs the network starts a node anew when it is asked to look and finds another certificate in the
node's folder than the one with which it started it.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from network import overview, reloading, running
from network.config.consenters import replaced
from network.directory import TOPOLOGY_FILE
from network.embedded.identity import Signer
from network.embedded.lock import held
from network.lifecycle import height
from network.material import USERS, Material
from network.metrics import node_metric
from network.monitoring.targets import find_targets
from network.operations.errors import OperationsError
from network.operations.tlsrotation import Step, rotate
from network.presented import presented
from network.publicfiles import certificate_of
from network.topology import Endpoint, load
from network.wire import WireError

__all__ = ["rotate_native"]

_WELL_S = 60.0
_POLL_S = 0.1


def rotate_native(directory: Path, scope: str, say: Callable[[str], None]) -> list[str]:
    """Renew what an organisation has (its domain; empty for everybody's); answers the names. Raises as `rotate`."""
    with held(directory / "run", OperationsError):  # the directory's own is with the process that runs the network
        described = running.description(directory)
        return rotate(directory, scope, _Processes(directory, described, scope), say)


class _Processes:
    """Implements `tlsrotation.Nodes` on local processes."""

    def __init__(self, directory: Path, described: Mapping[str, Any], scope: str) -> None:
        self._directory = directory
        self._described = described
        self._scope = scope
        self._topology = load(directory / TOPOLOGY_FILE)
        self._material = Material(directory / "organizations")
        self._operations = {each.name: each.address for each in find_targets(self._topology, directory)}
        domain = described["orderer"]["domain"]
        self._addresses = {entry_name(entry): Endpoint.parse(entry["peer"]) for entry in described["organisations"]}
        for number, address in enumerate(described["orderer"]["addresses"], start=1):
            self._addresses[f"orderer{number}.{domain}"] = Endpoint.parse(address)

    def steps(self) -> list[Step]:
        """As `Nodes`: members first, then the orderers, whose leader comes last."""
        found: list[Step] = []
        for entry in self._described["organisations"]:
            owner, domain = self._material.organisation(entry["domain"]), entry["domain"]
            found.append(Step(entry_name(entry), "peer", self._material.peer(domain) / "tls", owner, domain))
            found += [
                Step(f"{user}@{domain}", "user", self._material.user(domain, user) / "tls", owner, domain)
                for user in USERS
            ]
        domain = self._described["orderer"]["domain"]
        owner = self._material.orderer_organisation(domain)
        numbers = range(1, len(self._described["orderer"]["addresses"]) + 1)
        for number in sorted(numbers, key=lambda each: self._leads(f"orderer{each}.{domain}")):
            folder = self._material.orderer(domain, number) / "tls"
            found.append(Step(f"orderer{number}.{domain}", "orderer", folder, owner, domain))
        admin = self._material.orderer_user(domain) / "tls"
        found.append(Step(f"Admin@{domain}", "user", admin, owner, domain))
        return [step for step in found if self._scope in ("", step.domain)]

    def announce(self, step: Step) -> None:
        """As `Nodes`: the other orderers compare a certificate byte by byte."""
        if step.role != "orderer":
            return
        orderer = self._described["orderer"]
        signer = Signer.from_folder(self._material.orderer_user(orderer["domain"]) / "msp", orderer["mspid"])
        certificate = certificate_of(step.beside, "server.crt")
        address = self._addresses[step.name]
        for _ in replaced(self._described, self._topology.channels, address, certificate, signer):
            pass  # what the node does not hear of any more it reads when it is started anew

    def restart(self, step: Step) -> None:
        """As `Nodes`."""
        if step.role != "user":
            reloading.ask(self._directory)

    def settle(self, step: Step) -> None:
        """As `Nodes`."""
        if step.role == "user":
            return
        expected = x509.load_pem_x509_certificate((step.folder / "server.crt").read_bytes())
        give_up = time.monotonic() + _WELL_S
        while (problem := self._problem(step, expected)) is not None:
            if time.monotonic() > give_up:
                raise OperationsError(f"{step.name} {problem} after {_WELL_S:.0f} s")
            time.sleep(_POLL_S)

    def _problem(self, step: Step, expected: x509.Certificate) -> str | None:
        """What keeps a node from being as the others are."""
        client = self._material.user(self._described["organisations"][0]["domain"], "Admin") / "tls"
        try:
            if presented(self._addresses[step.name], step.name, step.folder / "ca.crt", client) != expected:
                return "does not show its new certificate"
            operations = self._operations[step.name]
            for channel in self._topology.channels:
                if node_metric(operations, "ledger_blockchain_height", channel.name) < self._highest(channel.name):
                    return f"does not have every block of channel {channel.name}"
        except (OSError, WireError) as error:
            return f"does not answer: {error}"
        return None

    def _highest(self, channel: str) -> int:
        """How many blocks the members' peers have at most; raises `WireError`."""
        members = next(each.organisations for each in self._topology.channels if each.name == channel)
        with overview.administrators(self._described) as administrators:
            return max(height(each, channel) for each in administrators if each.member.name in members)

    def _leads(self, name: str) -> bool:
        try:
            operations, channel = self._operations[name], self._topology.channels[0].name
            return bool(node_metric(operations, "consensus_etcdraft_is_leader", channel))
        except OSError:
            return False


def entry_name(entry: Mapping[str, str]) -> str:
    """The host name of an organisation's peer in network.json."""
    return f"peer0.{entry['domain']}"
