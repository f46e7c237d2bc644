# SPDX-License-Identifier: Apache-2.0
"""A running network gains or loses an organisation or an orderer: topology, channel and processes in step.

The topology's list of organisations says who has nodes, a channel's list who is a member. A newcomer gets nodes first,
then the channel's configuration changes, then the list of members; one that leaves goes the same way back. So a network
that was interrupted anywhere starts again, and asking again finishes the change.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fabric_protos.common import configtx_pb2

from network import overview, reloading, running
from network.config import changes
from network.config.errors import ConfigError
from network.config.groups import peer_organisation
from network.config.revocation import make_list, revokes
from network.config.submit import Change, Done, change, first_answer
from network.directory import TOPOLOGY_FILE
from network.embedded.identity import Signer
from network.lifecycle import definitions
from network.material import Material, ensure_material
from network.profiles import write_json
from network.publicfiles import certificate_of
from network.topology import Endpoint, Organisation, Topology, load, parse

__all__ = ["Network", "Outcome"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change of the channel came to."""

    done: Done
    members: tuple[str, ...]
    """The channel's members afterwards, by MSP id."""
    chaincodes: tuple[str, ...] = ()
    """What is deployed on the channel, which a newcomer still has to install and approve."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network that runs on a directory."""

    directory: Path
    described: Mapping[str, Any]
    say: Say

    @classmethod
    def running(cls, directory: Path, say: Say) -> "Network":
        """Raises `RunningError` when none runs there."""
        return cls(directory, running.description(directory), say)

    @property
    def channel(self) -> str:
        """The network's first channel."""
        return str(self.described["channel"])

    @property
    def material(self) -> Material:
        """The key material of all organisations that this directory keeps."""
        return Material(self.directory / "organizations")

    def topology(self) -> Topology:
        """The topology as it is in the directory; raises `TopologyError`."""
        return load(self.directory / TOPOLOGY_FILE)

    # -- members -------------------------------------------------------------------------------------------------------

    def add_organisation(self, newcomer: Organisation, approving: Sequence[str]) -> Outcome:
        """Make an organisation a member, and start its peer; `approving` names who signs (a majority when empty)."""
        topology = self._with(newcomer)
        newcomer = topology.organisation(newcomer.name)
        self._write(topology)
        self.say(f"making the key material of {newcomer.name}")
        ensure_material(topology, self.directory)
        msp = self.material.organisation(newcomer.domain) / "msp"
        group = peer_organisation(newcomer.msp_id, msp, [self._inside(newcomer.peer_name, newcomer.peer)])
        self.say(f"adding {newcomer.msp_id} to channel {self.channel}")
        done = self.change(lambda config: changes.add_organisation(config, group), approving)
        self._write(_member(topology, self.channel, newcomer.name))
        self.say(f"starting {newcomer.peer_name}")
        self.converge()
        return self._outcome(done)

    def remove_organisation(self, leaving: str, approving: Sequence[str]) -> Outcome:
        """Take an organisation out of the channel, and stop its peer; its keys and its ledger stay where they are."""
        topology = self.topology()
        try:
            organisation = topology.organisation(leaving)
        except KeyError:
            raise ConfigError(f"no organisation is called {leaving!r}") from None
        staying = [each for each in self._members() if each != organisation.msp_id]
        self._write(_left(topology, self.channel, organisation.name))
        self.say(f"taking {organisation.msp_id} out of channel {self.channel}")
        done = self.change(
            lambda config: changes.remove_organisation(config, organisation.msp_id), approving, waiting=staying
        )
        elsewhere = [channel for channel in topology.channels if organisation.name in channel.organisations]
        if [channel.name for channel in elsewhere] in ([], [self.channel]):
            kept = tuple(each for each in topology.organisations if each != organisation)
            self._write(replace(_left(topology, self.channel, organisation.name), organisations=kept))
            self.say(f"stopping {organisation.peer_name}")
            self.converge()
        return self._outcome(done)

    def revoke(
        self, organisation: str, lists: Sequence[bytes], certificates: Sequence[bytes], approving: Sequence[str]
    ) -> Outcome:
        """Put revocation lists (PEM) into an organisation's MSP, and one made here for certificates (PEM).

        A peer whose own certificate is revoked is not waited for: it is refused every further block, this one too.
        """
        msp_id = self.signer(organisation).msp_id
        new = list(lists)
        folder = self.material.organisation(self.topology().organisation(msp_id).domain)
        if certificates:
            present = self._configuration()
            authority = folder / "ca"
            former = next(iter(changes.revocation_lists(present, msp_id)), None)
            if former is None or not revokes(former, certificates):  # a list made anew has another date
                new.append(make_list(authority, certificates, former))
        waiting = None
        if peers := [path for path in folder.glob("peers/*/msp/signcerts/*.pem") if _named(path.read_bytes(), new)]:
            waiting = [each for each in self._members() if each != msp_id]
            names = ", ".join(sorted(path.parents[2].name for path in peers))
            self.say(f"revoking {names}: it gets no further block until it has another certificate")
        done = self.change(lambda config: changes.revoke(config, msp_id, new), approving or [msp_id], waiting)
        return self._outcome(done)

    # -- orderers ------------------------------------------------------------------------------------------------------

    def add_orderer(self, address: Endpoint) -> Outcome:
        """Start one more orderer, which first follows the channel, and then make it a consenter."""
        topology = self._orderers()
        orderer = topology.orderer
        if address not in orderer.addresses:
            orderer = replace(orderer, addresses=(*orderer.addresses, address))
            topology = replace(topology, orderer=orderer)
            parse(topology.to_json())  # refuses an address that is in use by another node
            self._write(topology)
        number = orderer.addresses.index(address) + 1
        self.say(f"starting {orderer.node_names[number - 1]}, which follows the channel")
        self.converge()
        certificate = certificate_of(self.material.orderer(orderer.domain, number) / "tls", "server.crt")
        self.say(f"making {address} a consenter of channel {self.channel}")
        inside = self._inside(orderer.node_names[number - 1], address)
        done = self.change(
            lambda config: changes.add_consenter(config, orderer.msp_id, inside, certificate), [orderer.msp_id]
        )
        return self._outcome(done)

    def remove_orderer(self, address: Endpoint) -> Outcome:
        """Take the last orderer out of the consenters and stop it; nodes are counted, so only the last can go."""
        topology = self._orderers()
        orderer = topology.orderer
        if address in orderer.addresses[:-1]:
            raise ConfigError(f"nodes are counted from 1: only the last, {orderer.addresses[-1]}, can be removed")
        self.say(f"taking {address} out of the consenters of channel {self.channel}")
        inside = self._inside(orderer.node_names[-1], address)
        done = self.change(lambda config: changes.remove_consenter(config, orderer.msp_id, inside), [orderer.msp_id])
        if address in orderer.addresses:
            self._write(replace(topology, orderer=replace(orderer, addresses=orderer.addresses[:-1])))
            self.converge()
        return self._outcome(done)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def change(self, wanted: Change, approving: Sequence[str], waiting: Sequence[str] | None = None) -> Done:
        """Bring a change into force, approved by the named organisations, a majority of the members when none is.

        `waiting` names the members whose peers must have it, all unless given. Raises `ConfigError` or `WireError`.
        """
        with ExitStack() as closing:
            administrators = closing.enter_context(overview.administrators(self.described))
            ordering = closing.enter_context(overview.ordering(self.described))
            config = first_answer(administrators, self.channel)
            members = list(changes.members(config).values())
            present = [each for each in administrators if each.member.msp_id in members]
            awaited = [each for each in present if waiting is None or each.member.msp_id in waiting]
            names = approving or members[: len(members) // 2 + 1]
            signers = [self.signer(name) for name in names]
            return change(self.channel, wanted, awaited or present, ordering, approving=signers)

    def signer(self, name: str) -> Signer:
        """The administrator of an organisation (name or MSP id), where this directory has that key."""
        orderer = self.described["orderer"]
        if name == orderer["mspid"]:
            return Signer.from_folder(self.material.orderer_user(orderer["domain"]) / "msp", name)
        for entry in self.described["organisations"]:
            if name in (entry["name"], entry["mspid"]):
                return Signer.from_folder(Path(entry["admin_msp"]), entry["mspid"])
        known = ", ".join(entry["name"] for entry in self.described["organisations"])
        raise ConfigError(f"this directory has no administrator of {name!r}; it has {known} and {orderer['mspid']}")

    def converge(self) -> None:
        """Have the nodes follow topology.json; raises `RunningError`."""
        if running.run_as(self.directory) == "containers":
            from network.containers import (
                lifetime as containers,  # here, because a network of processes does not need it
            )

            containers.up(self.topology(), self.directory, say=self.say)
            return
        reloading.ask(self.directory)

    def _with(self, newcomer: Organisation) -> Topology:
        topology = self.topology()
        if newcomer.name in {each.name for each in topology.organisations}:
            present = topology.organisation(newcomer.name)
            if (present.msp_id, present.domain) != (newcomer.msp_id, newcomer.domain):
                raise ConfigError(f"{newcomer.name} is there already, as {present.msp_id} of {present.domain}")
            return topology
        grown = replace(topology, organisations=(*topology.organisations, newcomer)).resolved()
        parse(grown.to_json())  # refuses a name, domain or address that is taken
        if running.run_as(self.directory) != "containers":
            _refuse_taken_ports(topology, grown)
        return grown

    def _inside(self, name: str, endpoint: Endpoint) -> Endpoint:
        """Where the other nodes reach a node: containers by its name, on the same port; processes as we do."""
        return Endpoint(name, endpoint.port) if running.run_as(self.directory) == "containers" else endpoint

    def _orderers(self) -> Topology:
        if self.described["ledger"] == "embedded":
            raise ConfigError("the embedded network orders in one process; orderers are added on Fabric")
        topology = self.topology()
        addresses = tuple(Endpoint.parse(each) for each in self.described["orderer"]["addresses"])
        if len(addresses) > len(topology.orderer.addresses):  # a description with one node is run with three
            topology = replace(topology, orderer=replace(topology.orderer, addresses=addresses))
        return topology

    def _configuration(self) -> configtx_pb2.Config:
        with overview.administrators(self.described) as administrators:
            return first_answer(administrators, self.channel)

    def _members(self) -> list[str]:
        return list(changes.members(self._configuration()).values())

    def _write(self, topology: Topology) -> None:
        write_json(self.directory / TOPOLOGY_FILE, topology.to_json())

    def _outcome(self, done: Done) -> Outcome:
        with overview.administrators(running.description(self.directory)) as administrators:
            config = first_answer(administrators, self.channel)
            members = tuple(changes.members(config).values())
            present = [each for each in administrators if each.member.msp_id in members]
            deployed = definitions(present[0], self.channel)
        return Outcome(done, members, tuple(name for name, _, _ in deployed))


def _named(certificate: bytes, lists: Sequence[bytes]) -> bool:
    return any(revokes(each, [certificate]) for each in lists)


def _member(topology: Topology, channel: str, name: str) -> Topology:
    return _channels(topology, channel, lambda names: names if name in names else (*names, name))


def _left(topology: Topology, channel: str, name: str) -> Topology:
    return _channels(topology, channel, lambda names: tuple(each for each in names if each != name))


def _channels(topology: Topology, channel: str, members: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Topology:
    changed = (
        replace(each, organisations=members(each.organisations)) if each.name == channel else each
        for each in topology.channels
    )
    return replace(topology, channels=tuple(changed))


def _refuse_taken_ports(before: Topology, grown: Topology) -> None:
    added = replace(grown, organisations=grown.organisations[len(before.organisations) :])
    mine = replace(added, orderer=replace(added.orderer, addresses=()), channels=())
    running.refuse_taken_ports(mine)
