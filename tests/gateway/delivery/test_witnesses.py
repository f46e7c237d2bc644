# SPDX-License-Identifier: Apache-2.0
"""What a witness answers over HTTP, and what that means to the log that asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.delivery.witnesses import HttpWitnesses
from gateway.services.logs import AnotherSize, WitnessRefused
from gateway.services.ports import Unavailable


class Answers(BaseHTTPRequestHandler):
    """Answers what the test says, and keeps what it was asked."""

    status = 200
    content = b""
    asked: list[tuple[str, bytes]]
    hold: threading.Event | None = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked.append((self.path, body))
        if self.hold is not None:
            self.hold.wait(5)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[type[Answers], str]]:
    class Own(Answers):
        asked: list[tuple[str, bytes]] = []  # noqa: RUF012 - of this test alone

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Own, f"http://127.0.0.1:{listening.server_port}/v1/log"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def witnesses() -> Iterator[HttpWitnesses]:
    made = HttpWitnesses(within=1.0)
    yield made
    made.close()


def test_lines_are_answered_as_they_came(server: tuple[type[Answers], str], witnesses: HttpWitnesses) -> None:
    answers, url = server
    answers.content = b"lines\n"
    assert witnesses.add_checkpoint(f"{url}/", b"old 0\n\nnote\n") == b"lines\n"
    assert answers.asked == [("/v1/log/add-checkpoint", b"old 0\n\nnote\n")]


@pytest.mark.parametrize(
    ("status", "content", "error", "said"),
    [
        (409, b"12\n", AnotherSize, "12 entries"),
        (409, b"no number\n", WitnessRefused, "status 409: no number"),
        (409, b"9" * 30 + b"\n", WitnessRefused, "status 409"),
        (400, b"", WitnessRefused, "status 400"),
        (403, b"who are you\x1b[31m", WitnessRefused, r"who are you \[31m"),
        (422, b"\xff" * 999, WitnessRefused, "status 422"),
        (404, b"unknown log", Unavailable, "status 404: unknown log"),
        (503, b"later", Unavailable, "status 503: later"),
        (302, b"", Unavailable, "status 302"),
        (200, b"x" * 70_000, Unavailable, "more than 64 KiB"),
    ],
)
def test_other_answers_are_told_apart(
    server: tuple[type[Answers], str], witnesses: HttpWitnesses, status: int, content: bytes, error: type[Exception],
    said: str,
) -> None:  # fmt: skip
    server[0].status, server[0].content = status, content
    with pytest.raises(error, match=said):
        witnesses.add_checkpoint(server[1], b"old 0\n\nnote\n")


@pytest.mark.parametrize(
    ("status", "content", "error", "said"),
    [
        (404, b"", WitnessRefused, "it is not a mirror"),
        (405, b"", WitnessRefused, "it is not a mirror"),
        (409, b"12\n9\n\n", WitnessRefused, "mirrors another checkpoint, or asks for entries"),
        (202, b"12\n9\n\n", WitnessRefused, "or asks for entries"),
        (422, b"", WitnessRefused, "status 422"),
        (503, b"later", Unavailable, "status 503: later"),
    ],
)
def test_answers_of_mirrors_are_told_apart(
    server: tuple[type[Answers], str], witnesses: HttpWitnesses, status: int, content: bytes, error: type[Exception],
    said: str,
) -> None:  # fmt: skip
    server[0].status, server[0].content = status, content
    with pytest.raises(error, match=said):
        witnesses.add_entries(server[1], b"upload")
    server[0].status, server[0].content = 200, b"lines\n"
    assert witnesses.add_entries(server[1], b"upload") == b"lines\n"
    assert server[0].asked == [("/v1/log/add-entries", b"upload")] * 2


def test_a_witness_that_does_not_answer_is_not_waited_for(server: tuple[type[Answers], str]) -> None:
    impatient = HttpWitnesses(within=0.1)
    server[0].hold = threading.Event()
    with pytest.raises(Unavailable, match=r"did not answer within 0\.1 s"):
        impatient.add_checkpoint(server[1], b"old 0\n\nnote\n")
    server[0].hold.set()
    impatient.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1/log", "nonsense", "http://[", "ftp://127.0.0.1/x"])
def test_a_witness_that_cannot_be_reached_is_unavailable(witnesses: HttpWitnesses, url: str) -> None:
    with pytest.raises(Unavailable):
        witnesses.add_checkpoint(url, b"old 0\n\nnote\n")
