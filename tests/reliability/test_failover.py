# SPDX-License-Identifier: Apache-2.0
"""A gateway whose way to its peer is cut or freezes under load, with another way and without.

Two relays stand for two peers of the organisation: the network behind them is the real one, and what they do to the
bytes is what a dead, a stopped and a returning peer do. `test_failover_on_fabric.py` does it to peers themselves.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

CHUNK = 64 * 1024


class Relay:
    """Passes TCP connections on to a port, until it is told to cut them or to hold every byte."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def freeze(self) -> None:
        """Hold every byte; connections stay, as those of a stopped process do."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection and refuse new ones, as a killed process does."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            broken = list(self._sockets)
        for one in broken:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._flowing.set()

    def restore(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # it was cut
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._sockets.update((near, far))
            for source, sink in ((near, far), (far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._sockets.discard(source)
        source.close()


@pytest.fixture
def relays(consortium: Any) -> Iterator[list[Relay]]:
    """Two ways to the lab's peer."""
    lab = next(one for one in consortium.network()["organisations"] if one["name"] == "lab")
    made = [Relay(lab["peer"]) for _ in range(2)]
    yield made
    for relay in made:
        relay.cut()


def started(lone: Any, relays: list[Relay]) -> Any:
    options = [option for relay in relays for option in ("--peer", f"peer0.lab.example=127.0.0.1:{relay.port}")]
    return lone.start(*options)


def happened(lone: Any, what: str) -> float:
    return metric(lone, f'pedigree_events_total{{what="{what}"}}')


def metric(lone: Any, name: str) -> float:
    text = httpx.get(f"{lone.health}/metrics", timeout=5).text
    found = [line for line in text.splitlines() if line.startswith(name)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def under_load(load: Any, target: tuple[str, str], prefix: str, trouble: Callable[[], None], *, each: int) -> None:
    """Let clients record while `trouble` happens."""
    with ThreadPoolExecutor(1) as pool:
        troubled = pool.submit(trouble)
        load.run([target], clients=8, each=each, prefix=prefix, timeout=120.0)
        troubled.result()


def summary(load: Any, lone: Any) -> str:
    times = sorted(one.seconds for one in load.exchanges)
    statuses = sorted({f"{one.status} {one.code}".strip() for one in load.exchanges})
    return (
        f"{len(load.acknowledged)} recorded in {load.seconds:.1f} s, statuses {statuses}, "
        f"p50 {times[len(times) // 2] * 1000:.0f} ms, longest {times[-1]:.1f} s, "
        f"failovers {happened(lone, 'peer_failover'):.0f}, peers left {happened(lone, 'peer_left'):.0f}"
    )


def judged(load: Any, blocks: Callable[[], list[Any]], count: int) -> None:
    assert len(load.acknowledged) == count
    assert load.unanswered == 0
    load.judge(blocks())


def test_a_peer_that_dies_under_load_is_not_noticed_by_clients(
    lone: Any, relays: list[Relay], load: Any, blocks: Any, prefix: str, report: Any
) -> None:
    started(lone, relays)

    def trouble() -> None:
        for relay in (relays[0], relays[1], relays[0]):
            time.sleep(1.5)
            relay.cut()
            time.sleep(1.5)
            relay.restore()
            # The other one may be cut only when this one is in use again.
            deadline = time.monotonic() + 15
            while metric(lone, "pedigree_peers_usable") < 2 and time.monotonic() < deadline:
                time.sleep(0.1)

    under_load(load, lone.target, prefix, trouble, each=40)
    report(summary(load, lone))
    judged(load, blocks, 320)
    assert {one.status for one in load.exchanges} == {201}
    assert happened(lone, "peer_left") >= 1


def test_a_peer_that_stops_under_load_delays_clients_and_no_more(
    lone: Any, relays: list[Relay], load: Any, blocks: Any, prefix: str, report: Any
) -> None:
    started(lone, relays)

    def trouble() -> None:
        time.sleep(1.5)
        relays[0].freeze()
        time.sleep(12)
        relays[0].thaw()

    under_load(load, lone.target, prefix, trouble, each=60)
    report(summary(load, lone))
    judged(load, blocks, 480)
    assert {one.status for one in load.exchanges} == {201}
    # Found out by the health probe, by two questions within some 7 s, before the deadline of Endorse would have told.
    assert max(one.seconds for one in load.exchanges) < 14
    assert metric(lone, "pedigree_peers_distrusted") == 0


def test_without_another_peer_clients_are_told_to_come_back_and_then_served(
    lone: Any, relays: list[Relay], load: Any, blocks: Any, prefix: str, report: Any
) -> None:
    started(lone, relays[:1])

    def trouble() -> None:
        time.sleep(1.0)
        relays[0].cut()
        with ThreadPoolExecutor(1) as pool:
            # The others may all be waiting for a block by now, which is no reason to send them away.
            newcomer = pool.submit(load.run, [lone.target], clients=1, each=1, prefix=f"{prefix}-late", timeout=120.0)
            time.sleep(4.0)
            relays[0].restore()
            newcomer.result()

    under_load(load, lone.target, prefix, trouble, each=12)
    report(summary(load, lone))
    judged(load, blocks, 97)
    told = [one for one in load.exchanges if one.status == 503]
    assert {one.status for one in load.exchanges} <= {201, 202, 503, 409}
    assert told
    assert all(one.retry_after for one in told)


def test_a_read_waits_for_the_height_that_it_asks_for_whichever_peer_delivers(
    lone: Any, relays: list[Relay], prefix: str
) -> None:
    started(lone, relays)
    with lone.client() as client:
        for number, relay in enumerate((relays[0], relays[1])):
            relay.cut()
            recorded = client.register_model(f"{prefix}-height-{number}", title="Height")
            answer = httpx.get(
                f"{lone.url}/v1/models/{prefix}-height-{number}",
                headers={"Authorization": f"Bearer {lone.key}", "Min-Ledger-Height": str(recorded.block + 1)},
                timeout=15,
            )
            assert answer.status_code == 200
            assert int(answer.headers["Ledger-Height"]) > recorded.block
            relay.restore()
            deadline = time.monotonic() + 15
            while metric(lone, "pedigree_peers_usable") < 2 and time.monotonic() < deadline:
                time.sleep(0.1)
