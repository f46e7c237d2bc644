# SPDX-License-Identifier: Apache-2.0
"""The embedded node: every organisation's peer and the ordering service of a topology in one process, on one loop.

It is not a mock, but it is one host under one operator: where trust has to be distributed, the answer is Fabric.
"""

import asyncio
import logging
import os
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from network.durable import write_file
from network.embedded import CONNECTIONS_PER_ADDRESS
from network.embedded.blockcommit import commit_genesis
from network.embedded.blocks import header_hash, last_config
from network.embedded.chaincode import ChaincodeRegistry, ChaincodeSettings
from network.embedded.chaincodetoken import ensure_token
from network.embedded.channel import Channel, ChannelClosed
from network.embedded.channelconfig import ChannelConfig
from network.embedded.endorser import Endorser
from network.embedded.genesis import genesis_block
from network.embedded.identity import Signer
from network.embedded.lock import DirectoryLock
from network.embedded.orderer import Orderer
from network.embedded.server import GRACE_S, TlsFiles, chaincode_server, listen, orderer_server, peer_server
from network.embedded.store import Store
from network.embedded.transient import TransientStore
from network.embedded.transport import Crowd
from network.material import Material, ensure_material
from network.topology import Organisation, Topology

__all__ = ["Channel", "ChannelClosed", "Node", "NodeError", "OrgPeer"]
log = logging.getLogger(__name__)

_NONCE_BYTES = 24


class NodeError(RuntimeError):
    """The node cannot run on this directory; the message says why."""


@dataclass(slots=True)
class OrgPeer:
    """One organisation's peer as the services of this process see it."""

    msp_id: str
    name: str
    address: str
    chaincode_address: str
    signer: Signer
    transient: TransientStore
    chaincodes: ChaincodeRegistry
    endorser: Any = field(init=False)
    """An `Endorser`; the gateway and the listener each declare what they use of it."""


def die(cause: BaseException) -> NoReturn:
    """Fail-stop: one line, then the end, without a chance to act on a state that is no longer known."""
    sys.stderr.write(f"pedigree-network: stopped: {str(cause) or type(cause).__name__}\n")
    sys.stderr.flush()
    os._exit(1)


class Node:
    """A running network. Made by `start`; all of it belongs to one event loop."""

    def __init__(self, topology: Topology, directory: Path, material: Material, lock: DirectoryLock) -> None:
        self.topology = topology
        self.directory = directory
        self.material = material
        self.channels: dict[str, Channel] = {}
        self.orgs: dict[str, OrgPeer] = {}
        self._lock = lock
        self._servers: dict[str, list[Any]] = {}
        """Listeners by the MSP id of whom they serve."""
        self._contexts: list[ssl.SSLContext] = []
        self._crowd = Crowd(CONNECTIONS_PER_ADDRESS)
        """Shared by all listeners, since they share the process's files."""
        self._mutual = False
        self.chaincode_dials = False
        """Whether peers listen to chaincode that dials."""
        self._settings: ChaincodeSettings | None = None

    @classmethod
    async def start(
        cls,
        topology: Topology,
        directory: Path,
        *,
        idle_cut_ms: int | None = None,
        mutual_tls: bool = False,
        chaincode_settings: ChaincodeSettings | None = None,
        chaincode_dials: bool = False,
        connections_per_address: int = CONNECTIONS_PER_ADDRESS,
        on_failure: Callable[[BaseException], None] = die,
    ) -> "Node":
        """Start the network in `directory`, making key material and genesis blocks when they are not there.

        `idle_cut_ms` replaces what the topology says for every channel; ports of 0 are chosen. `chaincode_dials` opens
        the listeners at which chaincode without an address registers, with the token in its organisation's folder.
        `connections_per_address` bounds what one client's address has with all listeners together.
        Listeners accept calls when this returns. Raises NodeError, DirectoryInUseError, StoreError or OSError.
        """
        lock = DirectoryLock(directory)
        try:
            topology = topology.resolved()
            node = cls(topology, directory, ensure_material(topology, directory), lock)
            try:
                node._crowd = Crowd(connections_per_address)
                node._mutual, node._settings, node.chaincode_dials = mutual_tls, chaincode_settings, chaincode_dials
                node._open(idle_cut_ms, on_failure)
                await node._serve()
            except BaseException:
                await node.stop()
                raise
        except BaseException:
            lock.release()
            raise
        return node

    async def stop(self) -> None:
        """Refuse new calls, commit what was accepted, and close the ledgers; may be called twice."""
        servers, self._servers = self._servers, {}
        stopping = [asyncio.create_task(server.stop(GRACE_S)) for each in servers.values() for server in each]
        for channel in self._closing_order():
            await channel.stop()
        for peer in self.orgs.values():
            await peer.chaincodes.close()
        await asyncio.gather(*stopping)
        self.channels.clear()
        self.orgs.clear()
        self._lock.release()

    async def follow(self, topology: Topology) -> None:
        """Begin to serve organisations that `topology` adds, and end to serve those that it leaves out.

        Everything else of the topology stays as it was at the start. Raises NodeError, OSError or ValueError, and then
        serves whom it served before.
        """
        topology = topology.resolved()
        present = set(self.orgs)
        wanted = {organisation.msp_id for organisation in topology.organisations}
        for name, channel in self.channels.items():
            if members := sorted(set(channel.config.application_orgs.values()) - wanted):
                raise NodeError(f"{members[0]} is a member of channel {name}; take it out of the channel first")
        ensure_material(topology, self.directory)
        added = [organisation for organisation in topology.organisations if organisation.msp_id not in present]
        begun: list[str] = []
        try:
            for organisation in added:
                begun.append(organisation.msp_id)
                self._trust(organisation)
                self._add_peer(organisation)
                self._listen_for(organisation)
            for msp_id in begun:
                await asyncio.gather(*(server.start() for server in self._servers[msp_id]))
        except BaseException:
            for msp_id in begun:
                await self._end_peer(msp_id)
            raise
        self.topology = topology
        for msp_id in present - wanted:
            await self._end_peer(msp_id)

    @property
    def config(self) -> Mapping[str, ChannelConfig]:
        """The configuration of each channel."""
        return {name: channel.config for name, channel in self.channels.items()}

    def genesis_path(self, channel: str) -> Path:
        """Where the channel's genesis block lies as a file, for clients to pin."""
        return self.directory / "channels" / f"{channel}.block"

    def genesis_hash(self, channel: str) -> str:
        """The hex header hash of block 0."""
        return header_hash(self.channels[channel].store.block(0).header).hex()

    # -- composition -------------------------------------------------------------------------------------------------

    def _open(self, idle_cut_ms: int | None, on_failure: Callable[[BaseException], None]) -> None:
        orderer = self.topology.orderer
        signer = Signer.from_folder(self.material.orderer(orderer.domain) / "msp", orderer.msp_id)
        orderers: dict[str, Orderer] = {}
        transient: TransientStore | None = None
        for described in self.topology.channels:
            store = Store.open(ledger_path(self.directory, described.name))
            if store.height == 0:
                self._begin_ledger(store, described)
            config = ChannelConfig.from_block(store.block(last_config(store.block(store.height - 1))))
            self._check_members(config, described)
            transient = transient or TransientStore(store)
            channel = Channel(
                store,
                config,
                signer,
                transient,
                nonce=lambda: os.urandom(_NONCE_BYTES),
                idle_cut_s=(described.batch.idle_cut_ms if idle_cut_ms is None else idle_cut_ms) / 1000,
                orderers=orderers,
                on_failure=on_failure,
            )
            orderers[described.name] = channel.orderer
            self.channels[described.name] = channel
            _write_once(self.genesis_path(described.name), store.block(0).SerializeToString())
        if transient is None:
            raise NodeError("the topology has no channel")
        for organisation in self.topology.organisations:
            self._add_peer(organisation)
        for channel in self.channels.values():
            channel.start()

    def _begin_ledger(self, store: Store, described: Any) -> None:
        block = genesis_block(self.topology, self.material, described)
        commit_genesis(store, block)

    def _check_members(self, config: ChannelConfig, described: Any) -> None:
        """The topology may know organisations that joined no channel yet, or left it; the ledger knows the members."""
        wanted = {organisation.msp_id for organisation in self.topology.members(described)}
        known = {organisation.msp_id for organisation in self.topology.organisations}
        found = set(config.application_orgs.values())
        if not wanted <= found <= known:
            if config.sequence:  # the members have changed their channel, which is theirs, and no reason to stop it
                log.warning("channel %s has the members %s", described.name, ", ".join(sorted(found)))
                return
            raise NodeError(
                f"the ledger of channel {described.name} belongs to {', '.join(sorted(found))}, "
                f"the topology names {', '.join(sorted(wanted))}"
            )

    def _add_peer(self, organisation: Organisation) -> None:
        transient = self._closing_order()[-1].transient
        token = ensure_token(self.material.organisation(organisation.domain)) if self.chaincode_dials else ""
        peer = OrgPeer(
            msp_id=organisation.msp_id,
            name=organisation.name,
            address=str(organisation.peer),
            chaincode_address=str(organisation.chaincode),
            signer=Signer.from_folder(self.material.peer(organisation.domain) / "msp", organisation.msp_id),
            transient=transient,
            chaincodes=ChaincodeRegistry(organisation.msp_id, transient.store, self._settings, token=token),
        )
        peer.endorser = Endorser(self, peer)
        self.orgs[organisation.msp_id] = peer

    async def _end_peer(self, msp_id: str) -> None:
        peer = self.orgs.pop(msp_id, None)
        await asyncio.gather(*(server.stop(GRACE_S) for server in self._servers.pop(msp_id, ())))
        if peer is not None:
            await peer.chaincodes.close()

    async def _serve(self) -> None:
        for organisation in self.topology.organisations:
            self._listen_for(organisation)
        orderer = self.topology.orderer
        context = self._context(self.material.orderer(orderer.domain), self.material.orderer_tls_ca(orderer.domain))
        addresses = [str(address) for address in orderer.addresses]
        self._listen(
            orderer.msp_id, orderer_server(self.channels, self._crowd, mutual=self._mutual), addresses, context
        )
        await asyncio.gather(*(server.start() for each in self._servers.values() for server in each))

    def _listen_for(self, organisation: Organisation) -> None:
        peer = self.orgs[organisation.msp_id]
        context = self._context(self.material.peer(organisation.domain))
        self._listen(peer.msp_id, peer_server(self, peer, self._crowd, mutual=self._mutual), (peer.address,), context)
        if self.chaincode_dials:
            self._listen(peer.msp_id, chaincode_server(peer, self._crowd), (peer.chaincode_address,), None)

    def _listen(self, msp_id: str, server: Any, addresses: Any, tls: ssl.SSLContext | None) -> None:
        self._servers.setdefault(msp_id, []).append(server)
        listen(server, addresses, tls)

    def _context(self, place: Path, *more_roots: Path) -> ssl.SSLContext:
        """What a listener presents; under mutual TLS it admits the clients of all organisations."""
        roots = tuple(self.material.tls_ca(organisation.domain) for organisation in self.topology.organisations)
        context = TlsFiles(place / "tls", (*roots, *more_roots)).context(mutual=self._mutual)
        self._contexts.append(context)
        return context

    def _trust(self, organisation: Organisation) -> None:
        """Admit a new organisation's clients at the listeners that are there already."""
        if self._mutual:
            for context in self._contexts:
                context.load_verify_locations(cafile=self.material.tls_ca(organisation.domain))

    def _closing_order(self) -> list[Channel]:
        """The channel whose file also keeps transient data is the first of the topology, and closes last."""
        return list(reversed(self.channels.values()))


def ledger_path(directory: Path, channel: str) -> Path:
    """The ledger file of a channel."""
    return directory / "ledger" / f"{channel}.db"


def _write_once(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and leave an equal one alone."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_file(path, content, mode=0o644)
