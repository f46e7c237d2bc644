# SPDX-License-Identifier: Apache-2.0
"""A stranger: a network connection and nothing else."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, chaincode_shim_pb2_grpc
from hostileharness.world import World

from gateway.services.auditlog import BURST
from pedigree import Conflict

FLOODING = 4


@contextlib.contextmanager
def connections(port: int, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that say `first` and then nothing; those that the other side refuses are left out."""
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            with contextlib.suppress(OSError):
                one = socket.create_connection(("127.0.0.1", port), timeout=5)
                held.append(one)
                one.sendall(first)
        yield held
    finally:
        for one in held:
            one.close()


def answered(url: str, key: str | None = None, within: float = 15.0) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.get(url, headers=headers, timeout=within)


def test_refused_bodies_that_drip_silence_nobody(world: World) -> None:
    ports = world.consortium.ports["lab"]
    head = (
        b"POST /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nobody\r\nIdempotency-Key: k\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    )
    with connections(ports.gateway, 320, head) as held:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                for one in held:
                    with contextlib.suppress(OSError):
                        one.send(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            started = time.monotonic()
            assert answered(f"http://127.0.0.1:{ports.gateway}/openapi.json").status_code == 200
            world.expect_honest_work()
            assert time.monotonic() - started < 30
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("first", [b"", b"GET /readyz HTTP/1.1\r\n"], ids=["silent", "half-a-head"])
def test_silent_connections_to_the_health_port_cost_it_little(world: World, first: bytes) -> None:
    ports = world.consortium.ports["lab"]
    process = world.program("gateway-lab").process
    assert process is not None
    before = threads(process.pid)
    with connections(ports.health, 600, first):
        assert answered(f"http://127.0.0.1:{ports.health}/healthz").status_code == 200
        world.expect_honest_work()
        assert threads(process.pid) - before < 64


def threads(process: int) -> int:
    """Threads of a process and of those that it started."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) == process:
                found += len(list((entry / "task").iterdir()))
    return found


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 4096,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["zeros", "version", "negative", "smuggled", "long-uri", "many-fields", "http2", "tls"],
)
def test_malformed_http_is_answered_or_closed(world: World, sent: bytes) -> None:
    port = world.consortium.ports["lab"].gateway
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        with contextlib.suppress(OSError):
            one.sendall(sent)
            one.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while more := one.recv(65536):
                answer += more
    if answer:
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), answer[:200]
        assert b"application/problem+json" in answer, answer[:400]
        assert b" 500 " not in answer[:16]


@pytest.mark.parametrize("sent", [b"", b"\x00" * 9, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096])
def test_garbage_at_the_peers_port_is_closed(world: World, sent: bytes) -> None:
    """Peers and orderers speak TLS: whatever else comes is closed, and costs no honest call."""
    described = world.consortium.network()
    for entry in described["organisations"]:
        _, _, port = entry["peer"].rpartition(":")
        with connections(int(port), 50, sent):
            assert world.clients["lab"].ledger()["height"] > 0
    world.expect_honest_work()


def test_nobody_becomes_a_chaincode_by_dialling(world: World, ledger: str) -> None:
    """The embedded network was started without its flag: no port of its registers anyone, in plain text or over TLS."""
    if ledger != "embedded":
        pytest.skip("NOT RUN: Fabric's peers ask for a certificate at their own chaincode port")
    process = world.program("network").process
    assert process is not None
    ports = listening(process.pid)
    assert len(ports) >= 4
    name = chaincode_pb2.ChaincodeID(name="pedigree").SerializeToString()
    message = chaincode_shim_pb2.ChaincodeMessage(type=chaincode_shim_pb2.ChaincodeMessage.REGISTER, payload=name)
    roots = b"".join(org.tls_ca.read_bytes() for org in world.orgs.values())
    for port in sorted(ports):
        for channel in (
            grpc.insecure_channel(f"127.0.0.1:{port}"),
            grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(roots)),
        ):
            with channel, pytest.raises(grpc.RpcError):
                next(chaincode_shim_pb2_grpc.ChaincodeSupportStub(channel).Register(iter([message]), timeout=20))


def listening(session: int) -> set[int]:
    """Ports of TCP that a process, or one that it started, listens at."""
    inodes = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) == session:
                inodes |= {str(link.readlink()) for link in (entry / "fd").iterdir()}
    tables = [Path("/proc/net", table).read_text(encoding="ascii") for table in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    ours = [line for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in inodes]  # 0A: it listens
    return {int(line[1].rpartition(":")[2], 16) for line in ours}


def test_refusals_without_end_fill_no_disk_and_hide_nothing(world: World) -> None:
    """A stranger is refused as fast as it can ask; the log grows by what one client may have, and counts the rest."""
    gateway = world.consortium.url("lab")
    lab = world.clients["lab"]
    before = lab.audit_entries(limit=1)["size"]
    stop = time.monotonic() + 8
    asked = [0] * FLOODING

    def flood(number: int) -> None:
        with httpx.Client(base_url=gateway, timeout=15) as client:
            while time.monotonic() < stop:
                assert client.get("/v1/models", headers={"Authorization": "Bearer no.body"}).status_code == 401
                asked[number] += 1

    with ThreadPoolExecutor(FLOODING) as pool:
        floods = [pool.submit(flood, number) for number in range(FLOODING)]
        world.expect_honest_work()
        for each in floods:
            each.result()
    lab.register_model("refused-beside-a-flood", title="T")
    with pytest.raises(Conflict):
        lab.register_model("refused-beside-a-flood", title="T")
    last, *_ = lab.audit_entries(target="model:refused-beside-a-flood")["items"]
    assert last["code"] == "already-exists"
    grown = lab.audit_entries(limit=1)["size"] - before
    assert sum(asked) > 2 * BURST
    assert grown <= BURST + 20
    print(f"\n{sum(asked)} refusals in 8 s are {grown} entries")
