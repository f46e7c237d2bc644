# SPDX-License-Identifier: Apache-2.0
"""What strangers and broken clients send to the running server: nothing is recorded, nobody waits, one error shape."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.rest.reports import REPORTS, reference

ROWS = b"id,x\n" + b"".join(b"r%d,%d\n" % (number, number) for number in range(1000))
MODEL = b'{"model":"net","title":"Net"}'
UPLOAD = "/v1/datasets/d/versions?id_field=id"


@pytest.fixture(scope="module")
def gateway(start_memory_gateway: Callable[..., Any]) -> Any:
    return start_memory_gateway(body_within=1.5)


def head(gateway: Any, path: str, *lines: str, role: str | None = "operator", key: str = "k") -> bytes:
    fields = [f"POST {path} HTTP/1.1", "Host: here", f"Idempotency-Key: {key}", *lines]
    if role is not None:
        fields.append(f"Authorization: Bearer {gateway.keys[role]}")
    return "\r\n".join([*fields, "", ""]).encode()


def talk(port: int, *parts: bytes, end: bool = True) -> bytes:
    """Send the parts, close the sending half, and read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        for part in parts:
            sock.sendall(part)
        if end:
            sock.shutdown(socket.SHUT_WR)
        return everything(sock)


PROBLEM = {**reference("Problem"), "components": {"schemas": REPORTS}}


def everything(sock: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(65536):
            found += data
    return found


def problem_in(answer: bytes) -> dict[str, Any]:
    """The problem that an answer holds, checked for its form."""
    first, _, rest = answer.partition(b"\r\n")
    fields, _, body = rest.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in fields.lower(), answer
    found: dict[str, Any] = json.loads(body)
    Draft202012Validator(PROBLEM).validate(found)
    assert first.split(b" ")[1] == str(found["status"]).encode()
    return found


CUT = [
    ("/v1/models", "application/json", MODEL),
    (UPLOAD, "text/csv", ROWS),
    ("/v1/datasets/d/versions/1/verify", "text/csv", ROWS),
]


@pytest.mark.parametrize(("path", "media_type", "whole"), CUT)
@pytest.mark.parametrize("framing", ["length", "chunk", "between chunks", "without a last chunk", "within the last"])
def test_a_body_that_is_cut_off_records_nothing(
    gateway: Any, path: str, media_type: str, whole: bytes, framing: str
) -> None:
    before, half = gateway.height, whole[: len(whole) // 2]
    key = f"{framing}{path}".replace(" ", "")
    if framing == "length":
        sent, length = half, f"Content-Length: {len(whole)}"
    else:
        length = "Transfer-Encoding: chunked"
        sent = {
            "chunk": b"%x\r\n%b" % (len(whole), half),
            "between chunks": b"%x\r\n%b\r\n" % (len(half), half),
            "without a last chunk": b"%x\r\n%b" % (len(whole), whole),
            "within the last": b"%x\r\n%b\r\n0\r\n" % (len(whole), whole),
        }[framing]
    refused = problem_in(talk(gateway.port, head(gateway, path, length, f"Content-Type: {media_type}", key=key), sent))
    assert (refused["status"], refused["code"]) == (400, "body-incomplete")
    assert gateway.height == before
    if "verify" not in path:
        status, _ = gateway.ask("POST", path, whole, Idempotency_Key=key, Content_Type=media_type)
        assert status == 201


CLIENT = """
import socket, sys, time
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sock.sendall(sys.stdin.buffer.read())
print("sent", flush=True)
time.sleep(60)
"""


def test_a_killed_client_has_nothing_recorded_and_may_send_again(gateway: Any) -> None:
    before = gateway.height
    request = head(gateway, UPLOAD, f"Content-Length: {len(ROWS)}", "Content-Type: text/csv", key="killed")
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(gateway.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(request + ROWS[:5000])
        client.stdin.close()
        assert client.stdout.readline() == b"sent\n"
        os.kill(client.pid, signal.SIGKILL)
    status, version = gateway.ask("POST", UPLOAD, ROWS, Idempotency_Key="killed", Content_Type="text/csv")
    assert (status, version["record"]["size"]) == (201, 1000)
    assert gateway.height == before + 1


MALFORMED = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed-request"),
    (b"GET\r\n\r\n", 400, "malformed-request"),
    (b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed-request"),
    (b"GET / HTTP/9.9\r\nHost: h\r\n\r\n", 400, "malformed-request"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed-request"),
    (b"GET / HTTP/1.1\r\nHost h\r\n\r\n", 400, "malformed-request"),
    (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400, "malformed-request"),
    (b"GET / HTTP/1.1\nHost: h\r\n\r\n", 400, "malformed-request"),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", 400, "malformed-request"),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400, "malformed-request"),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, "malformed-request"),
    (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "malformed-request"),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: rot13\r\n\r\n", 501, "unsupported-transfer-coding"),
    (b"POST / HTTP/1.1\r\nHost: h\r\nExpect: cake\r\n\r\n", 417, "expectation-failed"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, "uri-too-long"),
    (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers-too-large"),
    (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431, "headers-too-large"),
    (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: a\r\n" * 20_000, 431, "headers-too-large"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status", "code"), MALFORMED)
def test_what_is_not_http_is_refused_in_the_one_shape(gateway: Any, sent: bytes, status: int, code: str) -> None:
    refused = problem_in(talk(gateway.port, sent, end=False))
    assert (refused["status"], refused["code"]) == (status, code), refused
    assert gateway.failures() == ""


@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\nHost: h\r\n"])
def test_a_head_that_is_cut_off_is_refused_at_once(gateway: Any, sent: bytes) -> None:
    started = time.monotonic()
    assert problem_in(talk(gateway.port, sent))["code"] == "malformed-request"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("chunk", [b"zz\r\nab\r\n", b"2\r\nabX", b"2;\x00\r\nab\r\n", b"-1\r\n", b"\r\n"])
def test_chunks_that_are_none_are_refused(gateway: Any, chunk: bytes) -> None:
    request = head(gateway, "/v1/models", "Transfer-Encoding: chunked", "Content-Type: application/json", key="chunks")
    refused = problem_in(talk(gateway.port, request, chunk + b"0\r\n\r\n", end=False))
    assert (refused["status"], refused["code"]) == (400, "malformed-request")
    assert gateway.failures() == ""


def test_nothing_in_front_says_where_the_application_is(gateway: Any) -> None:
    answer = talk(
        gateway.port, b"GET /healthz HTTP/1.1\r\nHost: h\r\nSCRIPT_NAME: /v1\r\nX-Forwarded-Proto: https\r\n\r\n"
    )
    assert problem_in(answer)["code"] == "no-such-path"


@pytest.mark.parametrize(
    ("role", "line", "status"),
    [
        (None, "Content-Type: application/json", 401),
        ("reader", "Content-Type: application/json", 403),
        ("operator", "Content-Type: text/plain", 415),
        ("operator", "Content-Length: 999999999", 413),
    ],
)
def test_a_refused_request_is_not_read_to_its_end(gateway: Any, role: str | None, line: str, status: int) -> None:
    """The answer comes though most of the body does not, and says that the connection ends."""
    lines = ["Content-Type: application/json"] if "Length" in line else ["Content-Length: 3000000"]
    answer = talk(gateway.port, head(gateway, "/v1/models", line, *lines, role=role), b"{", end=False)
    assert problem_in(answer)["status"] == status
    assert b"Connection: close" in answer


def test_a_client_that_asks_before_it_sends_is_refused_before_it_sends(gateway: Any) -> None:
    lines = ("Expect: 100-continue", f"Content-Length: {len(MODEL)}", "Content-Type: application/json")
    refused = talk(gateway.port, head(gateway, "/v1/models", *lines, role="reader"), end=False)
    assert refused.startswith(b"HTTP/1.1 403 ")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as sock:
        sock.sendall(head(gateway, "/v1/models", *lines, "Connection: close", key="asks"))
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(MODEL)
        assert everything(sock).startswith(b"HTTP/1.1 201 ")


def drip(sock: socket.socket, seconds: float) -> bytes:
    """Send a byte now and then, for some seconds, and give back what was answered."""
    sock.settimeout(0.2)
    until = time.monotonic() + seconds
    found = b""
    while time.monotonic() < until:
        try:
            sock.sendall(b" ")
            data = sock.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        if not data:
            break
        found += data
    return found


def test_a_body_that_comes_a_byte_at_a_time_is_given_up(gateway: Any) -> None:
    lines = ("Content-Length: 100000", "Content-Type: application/json")
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.sendall(head(gateway, "/v1/models", *lines, key="drip"))
        refused = problem_in(drip(sock, 30))
    assert (refused["status"], refused["code"]) == (408, "request-timeout")


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_many_refused_clients_that_go_on_sending_silence_nobody(gateway: Any, held: ExitStack) -> None:
    request = head(gateway, "/v1/models", "Content-Length: 100000", "Content-Type: application/json", role=None)
    crowd = [held.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(320)]
    for sock in crowd:
        sock.sendall(request)
    for _ in range(3):
        for sock in crowd:
            with contextlib.suppress(OSError):
                sock.sendall(b"x")
        started = time.monotonic()
        assert gateway.ask("GET", "/v1/ledger")[0] == 200
        assert time.monotonic() - started < 5


def test_half_a_second_request_behind_a_whole_one_keeps_no_thread(gateway: Any, held: ExitStack) -> None:
    """There are forty threads; sixty connections are answered once and leave the beginning of another request."""
    crowd = [held.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(60)]
    for sock in crowd:
        sock.sendall(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\nGET /nothing")
    for sock in crowd:
        sock.settimeout(30)
        assert sock.recv(65536).startswith(b"HTTP/1.1 404 ")
    started = time.monotonic()
    assert gateway.ask("POST", "/v1/models", MODEL, Idempotency_Key="after", Content_Type="application/json")[0] == 201
    assert time.monotonic() - started < 5
    crowd[0].sendall(b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert crowd[0].recv(65536).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("rest", [b"", MODEL[1:10], MODEL[1:]])
def test_short_bodies_that_do_not_come_keep_few_threads(gateway: Any, held: ExitStack, rest: bytes) -> None:
    """There are forty threads; a client that keeps a hundred bodies back can still send another one."""
    before = gateway.height
    lines = (f"Content-Length: {len(MODEL)}", "Content-Type: application/json")
    crowd = [held.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(100)]
    for number, sock in enumerate(crowd):
        sock.sendall(head(gateway, "/v1/models", *lines, key=f"late{number}{len(rest)}") + b"{")
    for attempt in range(3):
        started = time.monotonic()
        key = f"prompt{attempt}{len(rest)}"
        answer = gateway.ask("POST", "/v1/models", MODEL, Idempotency_Key=key, Content_Type="application/json")
        assert answer[0] == 201, answer
        assert time.monotonic() - started < 5
    for sock in crowd:
        sock.sendall(rest)
        sock.shutdown(socket.SHUT_WR)
    answers = [everything(sock) for sock in crowd]
    found = {answer.split(b" ")[1] for answer in answers if answer}
    assert len([answer for answer in answers if answer]) == 100
    if rest == MODEL[1:]:
        assert b"201" in found
        assert found <= {b"201", b"429", b"503"}
    else:
        assert b"400" in found
        assert found <= {b"400", b"408"}
        assert gateway.height == before + 3


def test_an_address_with_too_many_connections_loses_those_that_say_nothing(
    start_memory_gateway: Callable[..., Any], held: ExitStack
) -> None:
    gateway = start_memory_gateway(connections_per_address=20)
    crowd = [held.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(20)]
    for _ in range(3):
        time.sleep(0.5)
        assert gateway.ask("GET", "/v1/ledger")[0] == 200
    crowd[0].settimeout(30)
    assert crowd[0].recv(10) == b""  # the oldest made room
    late = [held.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(60)]
    answered, _, _ = select.select(late, [], [], 30)
    refused = filter(None, map(everything, answered))
    found = problem_in(next(refused))
    assert (found["status"], found["code"], found["retryable"]) == (429, "too-many-connections", True)


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_silent_connections_to_the_health_port_cost_little_and_hide_nothing(gateway: Any, held: ExitStack) -> None:
    files, running = open_files(gateway.pid), threads(gateway.pid)
    for number in range(400):
        sock = held.enter_context(socket.create_connection(("127.0.0.1", gateway.health)))
        if number % 2:
            sock.sendall(b"GET /healthz HT")
    for path, expected in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/other", 404)):
        answer = talk(gateway.health, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), end=False)
        assert answer.startswith(b"HTTP/1.1 %d " % expected), answer
    assert open_files(gateway.pid) <= files + 70
    assert threads(gateway.pid) <= running + 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"x" * 9000, 431),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 405),
    ],
)
def test_the_health_port_refuses_in_the_one_shape(gateway: Any, sent: bytes, status: int) -> None:
    assert problem_in(talk(gateway.health, sent, end=False))["status"] == status


def test_a_head_request_has_no_body(gateway: Any) -> None:
    answer = talk(gateway.health, b"HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n", end=False)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")
