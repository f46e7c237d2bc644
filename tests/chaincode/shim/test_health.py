# SPDX-License-Identifier: Apache-2.0
"""The health port bears any number of callers, however slow they are, at a bounded cost."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chaincode.shim.health import HealthEndpoint

FACTS: dict[str, Any] = {"ready": True, "streams": 0}


@pytest.fixture
def endpoint() -> Iterator[HealthEndpoint]:
    made = HealthEndpoint("127.0.0.1:0", lambda: FACTS)
    made.start()
    yield made
    made.stop()


def dialled(endpoint: HealthEndpoint, said: bytes = b"") -> socket.socket:
    host, _, port = endpoint.address.rpartition(":")
    one = socket.create_connection((host.strip("[]"), int(port)), timeout=20)
    one.sendall(said)
    return one


def heard(one: socket.socket) -> bytes:
    """All that comes until the other side closes, in an orderly way or not."""
    found = b""
    try:
        while more := one.recv(65536):
            found += more
    except ConnectionError:
        pass
    return found


def asked(endpoint: HealthEndpoint, said: bytes) -> bytes:
    with dialled(endpoint, said) as one:
        return heard(one)


def test_silent_connections_cost_no_thread_and_keep_no_probe_out(endpoint: HealthEndpoint) -> None:
    before = threading.active_count()
    with ExitStack() as silent:
        ones = [silent.enter_context(dialled(endpoint, said)) for said in (b"", b"GET /healthz") for _ in range(100)]
        head, _, body = asked(endpoint, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(body) == FACTS
        assert threading.active_count() == before
        assert heard(ones[0]) == b"", "those that came first made room"


def test_an_address_of_version_six_is_written_in_brackets() -> None:
    endpoint = HealthEndpoint("[::1]:0", lambda: FACTS)
    endpoint.start()
    try:
        assert endpoint.address.startswith("[::1]:")
        assert asked(endpoint, b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    finally:
        endpoint.stop()


def test_a_slow_client_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, endpoint: HealthEndpoint) -> None:
    monkeypatch.setattr("chaincode.shim.health._SLOWEST_CLIENT", 0.05)
    assert asked(endpoint, b"GET /readyz HT") == b""


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"GET /readyz HTTP/1.1\r\n" + b"X: y\r\n" * 5000, b""),
        (b"POST /readyz HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 Method Not Allowed\r\n"),
        (b"GET\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n"),
        (b"\xff\r\n\r\n", b"HTTP/1.1 405 Method Not Allowed\r\n"),
    ],
    ids=["long", "post", "no-path", "garbage"],
)
def test_what_is_no_probe_is_refused(endpoint: HealthEndpoint, said: bytes, answer: bytes) -> None:
    found = asked(endpoint, said)
    assert found.startswith(answer)
    assert bool(found) == bool(answer)


def test_a_client_that_goes_away_half_way_is_let_go(endpoint: HealthEndpoint) -> None:
    with dialled(endpoint, b"GET /readyz") as one:
        one.shutdown(socket.SHUT_WR)
        assert heard(one) == b""


def test_stopping_ends_open_connections() -> None:
    endpoint = HealthEndpoint("127.0.0.1:0", lambda: FACTS)
    endpoint.start()
    with dialled(endpoint) as one:
        assert asked(endpoint, b"GET /healthz HTTP/1.1\r\n\r\n")
        endpoint.stop()
        assert heard(one) == b""
