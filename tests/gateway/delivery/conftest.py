# SPDX-License-Identifier: Apache-2.0
"""Two peers of one organisation on real sockets, with one chain, that can be killed, paused, set back and forked."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from fabric_protos.gateway import gateway_pb2_grpc
from fabric_protos.peer import events_pb2_grpc

from gateway.delivery.blockfeed import FabricBlocks
from gateway.delivery.breaker import Breaker
from gateway.delivery.healthprobe import HealthProbe
from gateway.delivery.peers import Peer, PeerConnection, Peers
from gateway.delivery.slots import Slots
from gateway.fabric import Gateway, connect
from gateway.fabric.calls import Deadlines
from gateway.ledger import FabricLedger


def _fabric_conftest() -> Any:
    """The fake peers of the client's own tests; a folder of tests is no package and so cannot be imported from."""
    path = Path(__file__).parents[1] / "fabric" / "conftest.py"
    spec = importlib.util.spec_from_file_location("fabric_tests_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


_fabric = _fabric_conftest()
world = _fabric.world
fail = _fabric.fail


class CountingMeter:
    """Remembers what was counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def observe(self, stage: str, seconds: float) -> None:
        pass

    def count(self, what: str) -> None:
        self.counts[what] += 1


class Credulous:
    """Takes every block that follows on the one before it, for the fakes' chain has no configuration."""

    def resume(self, height: int, config: bytes | None) -> None:
        pass

    def check(self, message: Any, block: Any) -> bytes | None:
        return None


class Endpoint:
    """A fake peer behind a port that it keeps when it is killed and started again."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.port = 0
        self._server: Any = None

    def start(self) -> None:
        # Without this a second server would share the port instead of failing (fabric-facts: SO_REUSEPORT).
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
        gateway_pb2_grpc.add_GatewayServicer_to_server(self.fake, self._server)
        events_pb2_grpc.add_DeliverServicer_to_server(self.fake, self._server)
        deadline = time.monotonic() + 5
        while True:
            try:
                self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
                break
            except RuntimeError:  # the former server's socket is not gone yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self._server.start()

    def kill(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    def pause(self) -> None:
        self.fake.paused = True

    def resume(self) -> None:
        with self.fake.grown:
            self.fake.paused = False
            self.fake.grown.notify_all()


@dataclass
class Site:
    """One organisation's side: its peers, the ledger and the feed over them."""

    world: Any
    endpoints: list[Endpoint]
    peers: Peers
    probe: HealthProbe
    ledger: FabricLedger
    feed: FabricBlocks
    meter: CountingMeter
    heights: list[int] = field(default_factory=list)

    @property
    def fakes(self) -> list[Any]:
        return [endpoint.fake for endpoint in self.endpoints]

    @property
    def peer(self) -> list[Peer]:
        return list(self.peers)

    def prepare(self, nonce: bytes = b"n" * 24, function: str = "model:register") -> Any:
        return self.ledger.prepare(function, "{}", nonce=nonce, token="ab" * 32, client="cd" * 16, organisations=())

    def record(self, nonce: bytes = b"n" * 24) -> Any:
        prepared = self.prepare(nonce)
        self.ledger.submit(prepared.envelope)
        return prepared

    def cut(self, blocks: int = 1) -> None:
        """Let the channel grow by blocks without a transaction of ours."""
        fake = self.fakes[0]
        with fake.grown:
            for _ in range(blocks):
                fake.chain.append(_fabric.next_block(fake.chain, [b"another's"], b"\0"))
            fake.grown.notify_all()

    def set_back(self, number: int, blocks: int) -> None:
        """Give a peer a chain of its own that lacks the last blocks, as one that was restored or cut off has."""
        fake = self.fakes[number]
        fake.chain = fake.chain[: len(fake.chain) - blocks]

    def fork(self, number: int, at: int) -> None:
        """Give a peer another chain from block `at` on, intact in itself."""
        fake = self.fakes[number]
        length = len(fake.chain)
        chain = fake.chain[:at]
        while len(chain) < length + 1:
            chain.append(_fabric.next_block(chain, [b"another history"], b"\0"))
        fake.chain = chain


@pytest.fixture
def make_site(world: Any) -> Iterator[Callable[..., Site]]:
    """Builds an organisation's side over `count` peers that share a chain."""
    sites: list[Site] = []

    def make(count: int = 2, *, slots: tuple[int, int] = (400, 64), deadlines: Deadlines | None = None) -> Site:
        fakes = [_fabric.FakePeer(world.peers, world.genesis) for _ in range(count)]
        for fake in fakes:
            fake.result = b'{"record":{"kind":"model"}}'
            fake.chain, fake.committed, fake.grown = fakes[0].chain, fakes[0].committed, fakes[0].grown
        endpoints = [Endpoint(fake) for fake in fakes]
        for endpoint in endpoints:
            endpoint.start()
        meter = CountingMeter()

        def dial(endpoint: Endpoint) -> PeerConnection:
            connection = connect(f"127.0.0.1:{endpoint.port}")
            client = world.client
            gateway = Gateway(connection, client.identity, client.signer, trust=world.trust(), deadlines=deadlines)
            channel = gateway.network("pedigree")
            return PeerConnection(connection, gateway, channel, channel.contract("pedigree"))

        peers = Peers(
            [
                Peer(
                    f"peer{number}", lambda endpoint=endpoint: dial(endpoint), Slots(*slots),
                    Breaker(first_pause=0.2, longest_pause=0.5),
                )
                for number, endpoint in enumerate(endpoints)
            ],
            meter=meter,
        )  # fmt: skip
        heights: list[int] = []
        probe = HealthProbe(peers, heights.append, every=0.2, within=0.5, stalls_after=1.0)
        site = Site(
            world,
            endpoints,
            peers,
            probe,
            FabricLedger(peers, meter, own="LabMSP"),
            FabricBlocks(peers, "pedigree", Credulous()),
            meter,
            heights,
        )  # fmt: skip
        sites.append(site)
        return site

    yield make
    for site in sites:
        for endpoint in site.endpoints:
            endpoint.resume()
        site.probe.stop()
        site.peers.close()
        for endpoint in site.endpoints:
            endpoint.kill()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """Two peers with one chain."""
    return make_site()


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits for a condition."""

    def wait(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.01)
        raise AssertionError("it never became true")

    return wait
