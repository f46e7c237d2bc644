# SPDX-License-Identifier: Apache-2.0
"""What anyone can send to the open route of mirrors, `POST /v1/log/add-entries`."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hostileharness.world import World

from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.keys import LogSigner
from gateway.tlog.submissions import Submission
from gateway.tlog.uploads import LARGEST_HEADER, Upload

REGULATOR = "pedigree/pedigree/RegulatorMSP"
MIB = 1 << 20


def address(world: World, path: str = "add-entries") -> str:
    return f"{world.consortium.url('lab')}/v1/log/{path}"


def send(world: World, content: bytes | Any, coding: str | None = None) -> httpx.Response:
    headers = {} if coding is None else {"Content-Encoding": coding}
    return httpx.post(address(world), content=content, headers=headers, timeout=60)


def mirrored(world: World) -> tuple[int, str]:
    """Up to where the lab mirrors the regulator's log."""
    found = {each["origin"]: each["checkpoint"] for each in world.clients["lab"].log()["mirrored"]}
    return found[REGULATOR]["size"], found[REGULATOR]["root"]


def witnessed(world: World) -> int:
    """How much the lab cosigned last of the regulator's log."""
    found = {each["origin"]: each["checkpoint"] for each in world.clients["lab"].log()["witnessed"]}
    return 0 if found[REGULATOR] is None else int(found[REGULATOR]["size"])


def mirror_all(world: World) -> int:
    """Have the lab mirror what it has witnessed of the regulator's log, as anyone may; answers how much that is."""
    deadline = time.monotonic() + 90
    while True:
        size = witnessed(world)
        if size and send(world, Upload(REGULATOR, size, size).format()).status_code == 200:
            return size
        assert time.monotonic() < deadline, "what is genuine is mirrored"
        time.sleep(0.1)


@pytest.fixture
def settled(world: World) -> tuple[int, str]:
    """What the lab mirrors of the regulator's log, once nothing goes on any more."""
    deadline = time.monotonic() + 60
    while witnessed(world) != world.clients["regulator"].log()["entries"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    mirror_all(world)
    return mirrored(world)


def memory(world: World) -> int:
    """Bytes that the lab's gateway has in memory."""
    process = world.program("gateway-lab").process
    assert process is not None
    found = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) == process.pid:
                found += int((entry / "statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    return found


GENUINE = Upload(REGULATOR, 0, 0).format()


@pytest.mark.parametrize(
    ("content", "coding", "status", "code"),
    [
        (b"", None, 400, "malformed-upload"),
        (b"\x00" * 4_096, None, 404, "unknown-log"),
        (b"\xff" * 4_096, None, 400, "malformed-upload"),
        (GENUINE[:-3], None, 400, "malformed-upload"),
        (Upload(REGULATOR, 5, 4).format(), None, 400, "malformed-upload"),
        (Upload(REGULATOR, 0, (1 << 64) - 1).format(), None, 400, "malformed-upload"),
        (Upload("\x00\n" * 9, 0, 0).format(), None, 404, "unknown-log"),
        (b"\x00\x02\xff\xfe" + bytes(18), None, 400, "malformed-upload"),
        (Upload("x" * 0xFFFF, 0, 0, b"t" * 0xFFFF).format(), None, 404, "unknown-log"),
        (Upload("pedigree/pedigree/NobodyMSP", 0, 0).format(), None, 404, "unknown-log"),
        (GENUINE + b"x" * (MIB + 1), None, 413, "body-too-large"),
        (b"x" * 30 * MIB, None, 413, "body-too-large"),
        (GENUINE, "gzip", 400, "malformed-upload"),
        (gzip.compress(GENUINE)[:-9], "gzip", 409, None),
        (gzip.compress(GENUINE), "br", 415, "unsupported-encoding"),
        (gzip.compress(GENUINE), "gzip, gzip", 415, "unsupported-encoding"),
        (gzip.compress(b"\x00" * 900 * MIB, 1)[:MIB], "gzip", 404, "unknown-log"),
    ],
    ids=["nothing", "zeros", "ones", "cut-off", "backwards", "huge-size", "odd-origin", "no-utf-8", "long-origin",
         "unknown-log", "one-byte-more", "thirty-megabytes", "not-packed", "packed-and-cut", "other-packing",
         "packed-twice", "packed-gigabyte"],
)  # fmt: skip
def test_what_is_no_upload_of_a_known_log_is_refused(
    world: World, settled: tuple[int, str], content: bytes, coding: str | None, status: int, code: str | None
) -> None:
    before = memory(world)
    answer = send(world, content, coding)
    assert answer.status_code == status, answer.text
    if code is None:
        assert answer.text == f"{settled[0]}\n{settled[0]}\n\n"
    else:
        assert answer.json()["code"] == code
    assert memory(world) - before < 100 * MIB
    assert mirrored(world) == settled


def test_an_upload_without_an_announced_end_is_bounded_too(world: World) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        for _ in range(4_096):
            sent += 1
            yield GENUINE + b"x" * 16_384

    with contextlib.suppress(httpx.HTTPError):  # it may close before it has read, or answer
        assert send(world, endless()).status_code in (400, 411, 413)
    assert sent < 4_096


def test_entries_that_are_not_the_logs_move_no_mirror(world: World, settled: tuple[int, str]) -> None:
    """Other sizes, and packages of inventions behind a true header: the answer says what is known, and it stays."""
    size, _ = settled
    inventions = (b"\x00\x40" + b"i" * 64) * 200
    for start, end in ((0, size), (0, size + 1), (size, size + 1), (size - 1, size), (size + 5, size + 9), (0, 1)):
        answer = send(world, Upload(REGULATOR, start, end, b"a ticket of somebody's").format() + inventions)
        assert (answer.status_code, answer.text) == (409, f"{size}\n{size}\n\n")
    lines = {send(world, Upload(REGULATOR, size, size).format() + inventions).text for _ in range(3)}
    assert len(lines) == 1
    assert "pedigree/pedigree/LabMSP/mirror" in lines.pop()
    assert mirrored(world) == settled


def test_a_fork_is_pending_at_no_mirror(world: World, settled: tuple[int, str]) -> None:
    """The log's own key signs other roots and sizes; none of them is mirrored, whatever is asked for afterwards."""
    size, root = settled
    key = world.consortium.directory / "gateways" / "regulator" / "log-keys" / "log.key"
    stolen = LogSigner(REGULATOR, Ed25519PrivateKey.from_private_bytes(key.read_bytes()))
    for grown, other in ((size, b"\x03" * 32), (size + 1, b"\x04" * 32), (size + 1_000, b"\x05" * 32)):
        signed = notes.sign(Checkpoint(stolen.key[0], grown, other).format(), stolen)
        answer = httpx.post(address(world, "add-checkpoint"), content=Submission(size, (), signed).format(), timeout=30)
        assert answer.status_code in (409, 422), answer.text
        if grown > size:
            answer = send(world, Upload(REGULATOR, grown, grown).format())
            assert (answer.status_code, answer.text) == (409, f"{size}\n{size}\n\n")
    assert mirrored(world) == settled
    as_reader = {"Authorization": f"Bearer {world.consortium.key('lab')}"}
    name = sha256(REGULATOR.encode()).hexdigest()
    shown = httpx.get(address(world, f"mirror/{name}/checkpoint"), headers=as_reader, timeout=30)
    found = Checkpoint.parse(notes.parse(shown.content).text)
    assert (found.size, found.root.hex()) == (size, root)


def test_a_flood_of_uploads_stops_no_other_work(world: World, settled: tuple[int, str]) -> None:
    flood = [
        GENUINE,
        Upload("pedigree/pedigree/NobodyMSP", 0, 0).format(),
        Upload(REGULATOR, 0, 1_000_000).format() + b"x" * 500_000,
        b"\xff" * 1_000,
        Upload("x" * 0xFFFF, 0, 0, b"t" * 0xFFFF).format()[:LARGEST_HEADER],
    ]
    stop, answers = threading.Event(), Counter[int]()

    def send_all() -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                for content in flood:
                    with contextlib.suppress(httpx.HTTPError):
                        answers[client.post(address(world), content=content).status_code] += 1

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(send_all)
        try:
            time.sleep(1)
            world.expect_honest_work()
            # The log goes on meanwhile, and the flooded mirror goes on with it.
            world.clients["regulator"].register_model(f"uploads-{time.time_ns()}", title="T")
            deadline = time.monotonic() + 90
            while mirror_all(world) <= settled[0]:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            stop.set()
    assert sum(answers.values()) > 12
    assert set(answers) <= {400, 404, 409, 413, 429, 503}, answers
    assert mirrored(world)[0] > settled[0]


def test_uploads_that_drip_hold_no_place(world: World, settled: tuple[int, str]) -> None:
    port = world.consortium.ports["lab"].gateway
    head = b"POST /v1/log/add-entries HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    stop = threading.Event()
    with contextlib.ExitStack() as open_ones:
        held = [open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(150)]
        for one in held:
            one.sendall(head)

        def drip() -> None:
            while not stop.wait(0.2):
                for one in held:
                    with contextlib.suppress(OSError):
                        one.send(b"\x00")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            world.expect_honest_work()
            assert send(world, GENUINE).status_code in (409, 429, 503)
        finally:
            stop.set()
            thread.join()
