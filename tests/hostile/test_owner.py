# SPDX-License-Identifier: Apache-2.0
"""An owner whose data gateway sends what it likes to those who fetch from it: none of it becomes a file."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import re
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostileharness.world import World

from gateway.demo.founding import ORIGIN
from gateway.demo.processes import command
from pedigree import Disagreement, PedigreeError, Unreachable
from pedigree.sealing.blobs import CHUNK, HEADER, TAG

CONTENT = b"id,age\n" + b"".join(b"o%d,%d\n" % (number, number % 90) for number in range(20_000))
STEP = CHUNK + TAG
_names = itertools.count(1)
Change = Callable[[Any], Any]
Send = Callable[["Lying"], None]


class Lying(BaseHTTPRequestHandler):
    """Asks the honest gateway, and answers with what a test made of it."""

    protocol_version = "HTTP/1.1"
    server: Liar

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        if self.server.instead_of_offer is not None:
            self.server.instead_of_offer(self)
            return
        answer = httpx.post(f"{self.server.honest}/v1/data", content=body)
        said = self.server.offer(answer.json()) if answer.status_code == 200 else answer.json()
        self.reply(answer.status_code, json.dumps(said).encode())

    def do_GET(self) -> None:
        if self.server.instead_of_data is not None and not self.path.endswith("/bundle"):
            self.server.instead_of_data(self)
            return
        if self.server.instead_of_bundle is not None and self.path.endswith("/bundle"):
            self.server.instead_of_bundle(self)
            return
        content = httpx.get(f"{self.server.honest}{self.path}").content
        kind = self.server.bundle if self.path.endswith("/bundle") else self.server.data
        self.reply(200, kind(content))

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def for_ever(self, head: bytes, piece: bytes, pause: float = 0.0) -> None:
        """Send a beginning, and then a piece again and again until nobody takes it."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(head)
            while True:
                self.wfile.write(piece)
                time.sleep(pause)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing is written."""


class Liar(ThreadingHTTPServer):
    """The owner's gateway, as a recipient sees it."""

    daemon_threads = True

    def __init__(self, honest: str) -> None:
        super().__init__(("127.0.0.1", 0), Lying)
        self.honest = honest
        self.tell()

    def tell(
        self,
        *,
        offer: Change = lambda said: said,
        data: Change = lambda content: content,
        bundle: Change = lambda content: content,
        instead_of_offer: Send | None = None,
        instead_of_data: Send | None = None,
        instead_of_bundle: Send | None = None,
    ) -> None:
        self.offer, self.data, self.bundle = offer, data, bundle
        self.instead_of_offer, self.instead_of_data = instead_of_offer, instead_of_data
        self.instead_of_bundle = instead_of_bundle
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture(scope="module")
def grant(world: World) -> str:
    """A grant without a count, to what the hospital published."""
    name, hospital = "hostile-owner", world.clients["hospital"]
    hospital.register_dataset(
        name, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal", basis="public-task"
    )
    hospital.commit_records(name, CONTENT, id_field="id")
    hospital.publish_dataset(name, 1, CONTENT)
    given = hospital.grant_access(
        f"{name}-lab", grantee="LabMSP", artifact=f"dataset-version:{name}:1", purpose="research",
        actions=["download"], expires=time.time_ns() // 1_000_000 + 3_600_000,
    )  # fmt: skip
    world.clients["lab"].at_least(given.height)
    world.clients["lab"].access_grant(f"{name}-lab")
    return f"{name}-lab"


@pytest.fixture
def liar(world: World) -> Iterator[Liar]:
    server = Liar(world.consortium.url("hospital"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def failure(world: World, liar: Liar, grant: str, folder: Path, patience: float = 1.0) -> PedigreeError:
    """How a fetch from the liar ends; what was there before is there after it, and nothing else."""
    (out := folder / "copy.csv").write_bytes(b"before")
    with pytest.raises(PedigreeError) as refused:
        world.clients["lab"].fetch(grant, liar.url, out, patience=patience)
    assert out.read_bytes() == b"before"
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1_000
    if not isinstance(refused.value, Unreachable):
        assert [path.name for path in folder.iterdir()] == ["copy.csv"], "something was left"
    return refused.value


def chunk(content: bytes, number: int) -> bytes:
    return content[HEADER + number * STEP : HEADER + (number + 1) * STEP]


def with_chunk(content: bytes, number: int, other: bytes) -> bytes:
    at = HEADER + number * STEP
    return content[:at] + other + content[at + len(other) :]


def flipped(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


ALTERED: dict[str, tuple[Change, str]] = {
    "a-bit": (lambda content: flipped(content, HEADER + STEP + 9), "chunk 1 is not what was sealed there"),
    "the-header": (lambda content: flipped(content, 30), "not what the owner sealed"),
    "reordered": (
        lambda content: with_chunk(with_chunk(content, 0, chunk(content, 1)), 1, chunk(content, 0)), "chunk 0 is not"),
    "repeated": (lambda content: with_chunk(content, 1, chunk(content, 0)), "chunk 1 is not"),
    "other-bytes": (lambda content: os.urandom(len(content)), "not what the owner sealed"),
    "appended": (lambda content: content + content[-STEP:], "more than [0-9]+ bytes came"),
}  # fmt: skip


@pytest.mark.parametrize("how", ALTERED)
def test_altered_chunks_become_no_file(world: World, liar: Liar, grant: str, tmp_path: Path, how: str) -> None:
    change, why = ALTERED[how]
    liar.tell(data=change)
    error = failure(world, liar, grant, tmp_path)
    assert isinstance(error, Disagreement)
    assert re.search(why, str(error)), error


def test_a_truncated_stream_becomes_no_file(world: World, liar: Liar, grant: str, tmp_path: Path) -> None:
    liar.tell(data=lambda content: content[: HEADER + STEP])
    assert isinstance(failure(world, liar, grant, tmp_path), Unreachable)


OFFERS: dict[str, Change] = {
    "no-object": lambda said: [said],
    "empty": lambda said: {},
    "another-attempt": lambda said: {**said, "attempt": "00" * 32},
    "another-artifact": lambda said: {**said, "artifact": "dataset-version:hostile-owner:2"},
    "another-root": lambda said: {**said, "root": "00" * 32},
    "another-blob": lambda said: {**said, "blob": "00" * 32},
    "another-digest": lambda said: {**said, "digest": "00" * 32},
    "another-size": lambda said: {**said, "size": said["size"] - 1},
    "no-key": lambda said: {**said, "key": ""},
    "a-key-for-nobody": lambda said: {**said, "key": said["key"][:-8] + "AAAAAAA="},
    "a-path-as-token": lambda said: {**said, "delivery": "../ledger"},
    "another-kind": lambda said: {**said, "media_type": "application/vnd.apache.parquet"},
}


@pytest.mark.parametrize("how", OFFERS)
def test_an_offer_that_is_not_the_attempts_becomes_no_file(
    world: World, liar: Liar, grant: str, tmp_path: Path, how: str
) -> None:
    liar.tell(offer=OFFERS[how])
    failure(world, liar, grant, tmp_path)


def test_an_offer_without_an_end_finds_no_room(world: World, liar: Liar, grant: str, tmp_path: Path) -> None:
    liar.tell(offer=lambda said: {**said, "size": 1 << 47, "sealed_size": (1 << 47) + 96})
    with pytest.raises(OSError, match=r"and [0-9]+ are free"):
        world.clients["lab"].fetch(grant, liar.url, tmp_path / "copy.csv", patience=1.0)
    assert not (tmp_path / "copy.csv").exists()


ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"10000\r\n" + b"{" * 65_536 + b"\r\n"
BOMB = gzip.compress(b"\0" * (64 << 20))


@pytest.mark.parametrize("place", ["instead_of_offer", "instead_of_data", "instead_of_bundle"])
@pytest.mark.parametrize(
    "send",
    [
        lambda to: to.for_ever(ENDLESS, PIECE),
        lambda to: to.for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"\0" * 65_536),
        lambda to: to.for_ever(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n"),
        lambda to: to.for_ever(b"", b"\xff" * 65_536),
        lambda to: to.reply(200, BOMB, Content_Encoding="gzip"),
        lambda to: to.reply(302, b"", Location="http://127.0.0.1:1/secret"),
        lambda to: to.reply(500, b"[" * 50_000),
        lambda to: to.reply(200, b"[" * 50_000),
        lambda to: to.reply(403, json.dumps({"code": "x", "detail": "\x1b[2J" * 5_000}).encode()),
    ],
    ids=[
        "endless-chunks",
        "endless",
        "endless-head",
        "no-http",
        "bomb",
        "elsewhere",
        "deep-refusal",
        "deep",
        "escapes",
    ],
)
def test_an_answer_without_sense_or_end_costs_little(
    world: World, liar: Liar, grant: str, tmp_path: Path, place: str, send: Send
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    liar.tell(**{place: send})  # type: ignore[arg-type]
    failure(world, liar, grant, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10, "kibibytes"


def test_the_command_says_one_line_and_keeps_within_its_memory(
    world: World, liar: Liar, grant: str, tmp_path: Path
) -> None:
    liar.tell(instead_of_data=lambda to: to.for_ever(ENDLESS, PIECE))
    environment = {
        **os.environ, "PEDIGREE_URL": world.consortium.url("lab"), "PEDIGREE_KEY": world.consortium.key("lab"),
    }  # fmt: skip
    words = ["access", "fetch", grant, "--from", liar.url, "--out", str(tmp_path / "copy.csv")]
    done = subprocess.run(
        [command("pedigree"), *words], env=environment, capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20)),
    )  # fmt: skip
    assert done.returncode not in (0, 70)
    assert "Traceback" not in done.stderr
    (said,) = done.stderr.strip().splitlines()[-1:]
    assert "the owner's answer is not to be used: more than" in said
    assert list(tmp_path.iterdir()) == []


def test_an_owner_that_says_nothing_is_given_up(world: World, grant: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(Unreachable):
            world.clients["lab"].fetch(grant, url, tmp_path / "copy.csv", patience=1.0)
        assert time.monotonic() - began < 30
    assert not (tmp_path / "copy.csv").exists()


def test_honest_data_is_fetched_past_all_that(world: World, liar: Liar, grant: str, tmp_path: Path) -> None:
    world.clients["lab"].fetch(grant, liar.url, tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == CONTENT
