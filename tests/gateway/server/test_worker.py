# SPDX-License-Identifier: Apache-2.0
"""gunicorn with the patient worker on a small application: what goes over the wire, and what becomes of connections."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

SERVER = """
import sys
import time
from gunicorn.app.base import BaseApplication
from gateway.server.worker import PatientWorker

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/early":
        raise ZeroDivisionError("before anything was said")
    if path == "/slow":
        time.sleep(1.0)
    if path == "/nothing":
        start_response("204 No Content", [])
        return []
    body = environ["wsgi.input"].read()
    if path == "/asked":
        body = environ["QUERY_STRING"].encode()
    length = [("Content-Length", str(2 * len(body)))] if path in ("/twice", "/asked") else []
    start_response("200 OK", length)
    return parts(path, body)

def parts(path, body):
    yield body
    if path == "/broken":
        raise ZeroDivisionError("in the middle")
    yield body

class Server(BaseApplication):
    def load_config(self):
        settings = {"bind": ["127.0.0.1:0"], "worker_class": PatientWorker, "threads": 2, "worker_connections": 6,
                    "keepalive": 30, "loglevel": "critical", "graceful_timeout": 5, "control_socket_disable": True,
                    "post_worker_init": lambda worker: print(worker.sockets[0].getsockname()[1], flush=True)}
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self):
        return application

Server().run()
"""


HASTY = """
from gateway.server import worker
worker.wake_when_whole = lambda conn: None
"""
"""What makes the poller name a connection at once, as a kernel that is short of memory does."""


@contextmanager
def serving(before: str = "") -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", before + SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            os.kill(server.pid, signal.SIGTERM)
            code = server.wait(30)
        assert code == 0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def request(path: str, body: bytes = b"", extra: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


def everything(connected: socket.socket) -> bytes:
    connected.settimeout(20)
    found = b""
    while data := connected.recv(65536):
        found += data
    return found


@pytest.mark.parametrize("path", ["/twice", "/chunked"])
def test_a_connection_serves_one_request_after_another(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    ours = set()
    for body in (b"a", b"", b"b" * 100_000):
        connection.request("POST", path, body)
        ours.add(connection.sock.getsockname())
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, body * 2)
    connection.close()
    assert len(ours) == 1


def test_the_head_of_an_answer_travels_with_its_body(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connected:
        connected.sendall(request("/twice", b"once"))
        connected.settimeout(20)
        first = connected.recv(65536)
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\nonce" in first


def test_requests_that_come_together_are_answered_in_their_order(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connected:
        connected.sendall(
            request("/twice", b"1") + request("/nothing") + request("/twice", b"3", "Connection: close\r\n")
        )
        heads = everything(connected).split(b"HTTP/1.1 ")[1:]
    assert [head.split(b" ")[0] for head in heads] == [b"200", b"204", b"200"]
    assert heads[0].endswith(b"\r\n\r\n11")
    assert heads[2].endswith(b"\r\n\r\n33")


def test_an_answer_that_breaks_off_ends_its_connection_without_an_end(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connected:
        connected.sendall(request("/broken", b"half"))
        answer = everything(connected)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"4\r\nhalf\r\n")  # the chunk that would end it is missing


def test_a_failure_before_the_answer_is_a_server_error(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connected:
        connected.sendall(request("/early"))
        assert everything(connected).startswith(b"HTTP/1.1 500 ")


def test_a_connection_too_many_is_answered_and_not_kept(port: int) -> None:
    """Six connections with two threads: four are kept, and whoever comes then is told to close."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    late = time.monotonic() + 30
    try:
        for connected in connections:
            connected.settimeout(20)
            connected.sendall(request("/nothing"))
            answer = connected.recv(65536)
        while b"Connection: keep-alive" in answer and time.monotonic() < late:  # some were still being put back
            time.sleep(0.02)
            connected.sendall(request("/nothing"))
            answer = connected.recv(65536)
        assert b"Connection: close" in answer
    finally:
        for connected in connections:
            connected.close()


def asked(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_questions_that_come_at_once_are_all_answered_each_to_its_asker(port: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: asked(port, f"/asked?{number}"), range(100)))
    assert answers == [f"{number}{number}".encode() for number in range(100)]


def test_a_question_that_waits_does_not_keep_the_others_waiting(port: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(asked, port, "/slow")
        time.sleep(0.2)
        answers = [asked(port, f"/asked?{number}") for number in range(3)]
        waited = slow.done()
        slow.result()
    assert answers == [b"00", b"11", b"22"]
    assert not waited


def test_a_question_that_fails_leaves_the_next_ones_answered(port: int) -> None:
    for _ in range(3):
        assert json.loads(asked(port, "/early"))["code"] == "internal"
        assert asked(port, "/asked?after") == b"afterafter"


def test_a_question_with_a_body_that_comes_later_waits_for_it_alone(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as late:
        late.sendall(b"GET /twice HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
        assert asked(port, "/asked?meanwhile") == b"meanwhilemeanwhile"
        late.sendall(b"late")
        assert everything(late).endswith(b"\r\n\r\nlatelate")


@pytest.mark.parametrize("before", ["", HASTY], ids=("patient", "hasty"))
def test_bodies_that_do_not_come_keep_no_thread_whenever_the_poller_names_them(before: str) -> None:
    """There are two threads, and four clients that send their bodies late."""
    with serving(before) as port, ExitStack() as held:
        crowd = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(4)]
        for sock in crowd:
            sock.sendall(request("/twice", b"late", "Connection: close\r\n")[:-3])
        time.sleep(0.3)
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as prompt:
            prompt.sendall(request("/twice", b"soon", "Connection: close\r\n"))
            assert everything(prompt).endswith(b"soonsoon")
        assert time.monotonic() - started < 5
        for sock in crowd[1:]:
            sock.sendall(b"ate")
        for sock in crowd[1:]:
            assert everything(sock).endswith(b"latelate")
        crowd[0].shutdown(socket.SHUT_WR)
        assert everything(crowd[0]).endswith(b"ll")
