# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a gateway around the signing of a head: afterwards its log goes on from it, and never beside it.

The judge is a witness of this module's own, written from c2sp.org/tlog-witness and with nothing of the gateway's
publishing or witnessing: it outlives each kill, and knows only what the log gave out.
"""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode.domain import merkle
from gateway.tlog import notes, policy, receipts
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.errors import TlogError
from gateway.tlog.keys import Cosigner, Verifier
from gateway.tlog.submissions import Submission
from pedigree import Pedigree, PedigreeError

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

pytestmark = [pytest.mark.timeout(300)]

KILLER = '''
"""Ends the whole gateway with SIGKILL at one line, once, where the file that arms it is there."""
import os, signal
from pathlib import Path

def armed(point):
    try:
        Path(os.environ["KILL_AT"], point).unlink()
    except FileNotFoundError:
        return
    os.killpg(os.getpgid(0), signal.SIGKILL)

from gateway.delivery.witnesses import HttpWitnesses
from gateway.stores.heads import HeadStore

def around(kind, name, before, after):
    original = getattr(kind, name)
    def wrapped(*given):
        armed(before)
        found = original(*given)
        armed(after)
        return found
    setattr(kind, name, wrapped)

around(HeadStore, "sign", "signed", "kept")
around(HttpWitnesses, "add_checkpoint", "giving", "cosigned")
'''


class Judge(ThreadingHTTPServer):
    """A witness that remembers, and what the log did that a log must not do."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.cosigner = Cosigner("judge.example/w", Ed25519PrivateKey.generate())
        self.log: Verifier | None = None
        self.size, self.root = 0, merkle.root([])
        self.faults: list[str] = []
        self.seen: list[tuple[int, bytes]] = []
        self.turn = threading.Lock()

    def judge(self, content: bytes) -> tuple[int, bytes]:
        """Status and body for a submission."""
        assert self.log is not None
        asked = Submission.parse(content)
        note = notes.parse(asked.checkpoint)
        found = Checkpoint.parse(note.text)
        with self.turn:
            if not notes.verify(note, {self.log.key: self.log}):
                return 403, b"not signed by the log\n"
            self.seen.append((found.size, found.root))
            if asked.old != self.size or found.size < asked.old:
                return 409, b"%d\n" % self.size
            try:
                if self.size:
                    merkle.verify_consistency(self.size, self.root, found.size, found.root, asked.proof)
            except merkle.ProofError as exc:
                self.faults.append(f"{found.size} entries do not continue {self.size}: {exc}")
                return 422, b"inconsistent\n"
            self.size, self.root = found.size, found.root
            return 200, notes.signature_of(note.text, self.cosigner).format()


class _Asked(BaseHTTPRequestHandler):
    server: Judge

    def do_POST(self) -> None:
        status, body = self.server.judge(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(status)
        self.send_header("Content-Type", "text/x.tlog.size" if status == 409 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing is written."""


@pytest.fixture
def judge() -> Iterator[Judge]:
    served = Judge()
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def until(said: Callable[[], Any], within: float = 60.0) -> Any:
    """What `said` answers, once it answers anything."""
    deadline = time.monotonic() + within
    while not (found := said()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
    return found


def receipt(client: Pedigree, transaction: str, trusted: policy.Policy) -> receipts.Verdict | None:
    """What a receipt says, once the judge has cosigned it."""
    with suppress(PedigreeError, TlogError):
        content = client.receipt(transaction)
        return receipts.verify(content, receipts.TlogProof.parse(content).extra or b"", trusted)
    return None


def signed(gateway: LoneGateway) -> tuple[int, bytes]:
    """The head on the disk that was signed last."""
    with closing(sqlite3.connect(f"file:{gateway.data / 'log.db'}?mode=ro", uri=True)) as database:
        return database.execute("SELECT size, root FROM signed").fetchone()  # type: ignore[no-any-return]


@pytest.fixture
def gateway(lone: LoneGateway, judge: Judge, tmp_path: Path) -> LoneGateway:
    """A gateway whose log the judge witnesses, and which ends where a file says so."""
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER, encoding="utf-8")
    (tmp_path / "armed").mkdir()
    lone.environment = {"PYTHONPATH": str(tmp_path / "killer"), "KILL_AT": str(tmp_path / "armed")}
    lone.start()
    with lone.client() as client:
        judge.log = Verifier.parse(client.log()["key"])
    witness = policy.Witness(b"judge", judge.cosigner.verifier, b"http://127.0.0.1:%d" % judge.server_address[1])
    agreed = policy.Policy((policy.Log(judge.log),), {b"judge": witness}, (), b"judge")
    (lone.data / "log-policy").write_bytes(agreed.format())
    return lone


@pytest.mark.parametrize(
    ("point", "on_disk", "given"),
    [
        ("signed", False, False),
        ("kept", True, False),
        ("giving", True, False),
        ("cosigned", True, True),
    ],
    ids=["before-it-is-on-the-disk", "before-it-is-given-out", "while-it-is-given-out", "before-the-answer-is-kept"],
)
def test_a_log_goes_on_from_the_head_at_which_it_was_killed(
    gateway: LoneGateway, judge: Judge, prefix: str, tmp_path: Path, point: str, on_disk: bool, given: bool
) -> None:
    trusted = policy.parse((gateway.data / "log-policy").read_bytes())
    with gateway.client() as client:
        first = client.register_model(f"{prefix}-a", title="T").transaction_id
        until(lambda: receipt(client, first, trusted))
        before = until(lambda: judge.size == signed(gateway)[0] == client.log()["entries"] and signed(gateway))
    (tmp_path / "armed" / point).touch()
    program = gateway.program
    assert program is not None
    assert program.process is not None
    with gateway.client(timeout=0.5) as client, suppress(PedigreeError):
        client.register_model(f"{prefix}-b", title="T", idempotency_key=f"{prefix}-b")
    assert program.process.wait(30) == -signal.SIGKILL
    program.kill()
    head = signed(gateway)
    assert (head[0] > before[0]) is on_disk
    assert ((judge.size, judge.root) == head) is (given or not on_disk)

    judge.seen.clear()
    gateway.start()
    if on_disk:
        until(lambda: judge.seen)
        assert judge.seen[0] == head, "the very head that was signed is given out, though no block came"
    with gateway.client() as client:
        second = client.register_model(f"{prefix}-b", title="T", idempotency_key=f"{prefix}-b").transaction_id
        third = client.register_model(f"{prefix}-c", title="T").transaction_id
        for transaction in (first, second, third):
            verdict = until(lambda: receipt(client, transaction, trusted))  # noqa: B023  # asked for now
            assert verdict.entry.transaction.hex() == transaction
        now = Checkpoint.parse(notes.parse(client.checkpoint()).text)
        leaves = [merkle.leaf_hash(each) for each in entries(gateway, now.size)]
    assert merkle.root_of_hashes(b"".join(leaves)) == now.root
    for size, root in (before, head):
        assert merkle.root_of_hashes(b"".join(leaves[:size])) == root, f"the log of {size} entries is another one"
    assert judge.faults == []


def entries(gateway: LoneGateway, size: int) -> list[bytes]:
    """All entries of the log, as monitors read them."""
    found: list[bytes] = []
    while len(found) < size:
        number, left = len(found) // 256, size - len(found)
        width = "" if left >= 256 else f".p/{left}"
        path = f"{gateway.url}/v1/log/tile/entries/{number:03}{width}"
        answer = httpx.get(path, headers={"Authorization": f"Bearer {gateway.key}"})
        assert answer.status_code == 200, answer.text
        found += [answer.content[at + 2 : at + 66] for at in range(0, len(answer.content), 66)]
    return found
