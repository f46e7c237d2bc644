# SPDX-License-Identifier: Apache-2.0
"""What anyone can send to the open route of witnesses, `POST /v1/log/add-checkpoint`, and what a hostile log can."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hostileharness.world import World

from chaincode.domain import merkle
from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.keys import LogSigner
from gateway.tlog.submissions import LARGEST, Submission

REGULATOR = "pedigree/pedigree/RegulatorMSP"
HASH = base64.b64encode(b"\x01" * 32)


def address(world: World) -> str:
    return f"{world.consortium.url('lab')}/v1/log/add-checkpoint"


def send(world: World, content: bytes | Any) -> httpx.Response:
    return httpx.post(address(world), content=content, timeout=30)


@pytest.fixture(scope="module")
def stolen(world: World) -> LogSigner:
    """The regulator's log key: the regulator is who lies."""
    key = world.consortium.directory / "gateways" / "regulator" / "log-keys" / "log.key"
    return LogSigner(REGULATOR, Ed25519PrivateKey.from_private_bytes(key.read_bytes()))


def submission(signer: LogSigner, size: int, root: bytes, old: int = 0, proof: tuple[bytes, ...] = ()) -> bytes:
    return Submission(old, proof, notes.sign(Checkpoint(signer.key[0], size, root).format(), signer)).format()


def stranger(origin: str = REGULATOR) -> LogSigner:
    return LogSigner(origin, Ed25519PrivateKey.generate())


def witnessed(world: World) -> tuple[int, str]:
    """What the lab cosigned last of the regulator's log."""
    found = {each["origin"]: each["checkpoint"] for each in world.clients["lab"].log()["witnessed"]}
    return found[REGULATOR]["size"], found[REGULATOR]["root"]


@pytest.fixture
def settled(world: World) -> tuple[int, str]:
    """The head of the regulator's log that the lab has cosigned, once nothing goes on any more."""
    deadline = time.monotonic() + 60
    while True:
        size = world.clients["regulator"].log()["entries"]
        with contextlib.suppress(TypeError, KeyError):  # nothing was cosigned yet
            if witnessed(world)[0] == size:
                return witnessed(world)
        assert time.monotonic() < deadline
        time.sleep(0.1)


GENUINE = submission(stranger(), 5, b"\x01" * 32)
MANY_LINES = b"".join("— x {}\n".format(base64.b64encode(b"%05d" % n).decode()).encode() for n in range(65))


@pytest.mark.parametrize(
    ("content", "status", "code", "said"),
    [
        (b"", 400, "malformed-submission", "no checkpoint behind an empty line"),
        (b"\x00" * 4_096, 400, "malformed-submission", "no checkpoint behind an empty line"),
        (b"{}\n\n{}\n", 400, "malformed-submission", "does not begin with the line of the old size"),
        (b"old -1\n\n" + GENUINE, 400, "malformed-submission", "the old size"),
        (b"old " + b"9" * 40 + b"\n\nx\n", 400, "malformed-submission", "the old size"),
        (b"old 1\n" + (HASH + b"\n") * 64 + b"\nx\n", 400, "malformed-submission", "more than 63 hashes"),
        (b"old 1\n" + (HASH + b"\n") * 1_400 + b"\nx\n", 400, "malformed-submission", "more than 63 hashes"),
        (b"old 1\nAAAA\n\nx\n", 400, "malformed-submission", "32 bytes"),
        (b"old 1\n\nx\xff\xfe\n\n\xe2\x80\x94 a AAAAAAAAAA==\n", 400, "malformed-submission", "UTF-8"),
        (b"old 1\n\nx\n1\ny\n\n" + MANY_LINES, 400, "malformed-submission", "more than 64 signature lines"),
        (GENUINE.replace(b"\n5\n", b"\n05\n"), 400, "malformed-submission", "leading zeros"),
        (submission(stranger("pedigree/pedigree/NobodyMSP"), 5, b"\x01" * 32), 404, "unknown-log", "this origin"),
        (GENUINE, 403, "not-signed-by-log", "No key that is trusted"),
        (b"old 1\n" + (HASH + b"\n") * 2_000 + b"\nx\n", 413, "body-too-large", "65536 bytes"),
        (b"x" * (LARGEST + 1), 413, "body-too-large", "65536 bytes"),
        (b"x" * 10_000_000, 413, "body-too-large", "65536 bytes"),
    ],
    ids=["nothing", "zeros", "json", "negative", "huge-number", "64-hashes", "1400-hashes", "short-hash", "no-utf-8",
         "65-lines", "zero-led", "unknown-log", "strangers-key", "2000-hashes", "one-byte-more", "ten-megabytes"],
)  # fmt: skip
def test_what_is_no_checkpoint_of_a_known_log_is_refused_in_its_own_sentence(
    world: World, content: bytes, status: int, code: str, said: str
) -> None:
    answer = send(world, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert said in answer.json()["detail"]


def test_a_body_without_an_announced_end_is_bounded_too(world: World) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        for _ in range(4_096):
            sent += 1
            yield b"x" * 16_384

    with contextlib.suppress(httpx.HTTPError):  # it may close before it has read, or answer
        answer = send(world, endless())
        assert answer.status_code in (400, 411, 413)
    assert sent < 4_096


def test_a_flood_of_strangers_submissions_stops_no_other_work(world: World) -> None:
    """Malformed ones, unknown logs, and a log's name under another key, as fast as eight connections can."""
    flood = [
        GENUINE,
        submission(stranger("pedigree/pedigree/NobodyMSP"), 5, b"\x01" * 32),
        b"old 1\n" + (HASH + b"\n") * 1_400 + b"\nx\n",
        b"old 1\n\n" + b"x" * (LARGEST - 8),
    ]
    stop, answers = threading.Event(), list[int]()

    def send_all() -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                for content in flood:
                    with contextlib.suppress(httpx.HTTPError):
                        answers.append(client.post(address(world), content=content).status_code)

    before = witnessed(world)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(send_all)
        try:
            assert eventually(lambda: len(answers) > 50), "the flood is under way"
            began = time.monotonic()
            world.expect_honest_work()
            transaction = world.clients["regulator"].register_model(f"flooded-{began}", title="T").transaction_id
            cosigned = eventually(lambda: "pedigree/pedigree/LabMSP/witness" in names(world, transaction))
            assert cosigned, "the flooded witness cosigns what is genuine"
        finally:
            stop.set()
    assert set(answers) <= {400, 403, 404, 429, 503}
    assert witnessed(world)[0] >= before[0]
    assert world.clients["lab"].log()["trouble"] is None


def names(world: World, transaction: str) -> set[str]:
    """Who signed the checkpoint in a receipt of the regulator's."""
    content = world.clients["regulator"].receipt(transaction)
    return {each.name for each in notes.parse(content.partition(b"\n\n")[2]).signatures}


def eventually(said: Callable[[], bool], within: float = 60.0) -> bool:
    deadline = time.monotonic() + within
    while not (found := said()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_submissions_that_drip_hold_no_place(world: World) -> None:
    port = world.consortium.ports["lab"].gateway
    head = b"POST /v1/log/add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nold 1\n"
    held = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(100)]
    try:
        for one in held:
            one.sendall(head)
        began = time.monotonic()
        world.expect_honest_work()
        assert time.monotonic() - began < 60
        answer = send(world, GENUINE)
        assert answer.status_code in (403, 429, 503)
    finally:
        for one in held:
            one.close()


def test_a_log_that_goes_back_is_not_cosigned(world: World, stolen: LogSigner, settled: tuple[int, str]) -> None:
    size, root = settled
    leaves = entries(world, size)
    for old, smaller in ((0, 1), (size, size - 1), (size - 1, size - 1), (0, size)):
        answer = send(world, submission(stolen, smaller, merkle.root(leaves[:smaller]), old))
        if old > smaller:
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed-submission")
        else:
            assert (answer.status_code, answer.text) == (409, f"{size}\n")
    assert witnessed(world) == (size, root)


def entries(world: World, size: int) -> list[bytes]:
    """The log's entries, as a monitor reads them."""
    found: list[bytes] = []
    key = world.consortium.key("lab")
    while len(found) < size:
        left = size - len(found)
        path = f"{len(found) // 256:03}" + ("" if left >= 256 else f".p/{left}")
        answer = httpx.get(
            f"{world.consortium.url('lab')}/v1/log/tile/entries/{path}", headers={"Authorization": f"Bearer {key}"}
        )
        found += [answer.content[at + 2 : at + 66] for at in range(0, len(answer.content), 66)]
    return found


def test_forks_are_kept_once_however_often_they_are_sent(
    world: World, stolen: LogSigner, settled: tuple[int, str]
) -> None:
    """Whoever has seen a forked checkpoint can send it again: that writes nothing, and pushes no other evidence out."""
    size, root = settled
    tree = merkle.Tree(b"".join(map(merkle.leaf_hash, [*entries(world, size), b"invented"])))
    beside = submission(stolen, size, b"\x01" * 32, size)
    beyond = submission(stolen, size + 1, b"\x01" * 32, size)
    ahead = submission(stolen, size + 1, tree.root(), size, tuple(tree.consistency(size)))
    padded = beside + notes.NoteSignature("somebody", b"abcd", b"another line").format()
    doubled = beside + beside.splitlines(keepends=True)[-1]
    before = len(world.clients["lab"].log()["refused"])
    for _ in range(5):
        for each in (beside, padded, doubled):
            answer = send(world, each)
            assert (answer.status_code, answer.text) == (409, f"{size}\n")
        answer = send(world, beyond)
        assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent-checkpoint")
    answer = send(world, ahead)
    assert (answer.status_code, answer.json()["code"]) == (503, "catching-up")
    found = world.clients["lab"].log()
    assert len(found["refused"]) == before + 2
    assert found["refused"][0]["origin"] == REGULATOR
    assert witnessed(world) == (size, root)
