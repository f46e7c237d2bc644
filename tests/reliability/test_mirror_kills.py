# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a gateway around the cosigning of what it mirrors: it states nothing that is not on the disk, and goes on.

The log is this module's own: it has the entries of the gateway's ledger, and a key that the gateway's policy names.
"""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chaincode.domain import merkle
from gateway.tlog import notes, policy
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.keys import LogSigner, Verifier
from gateway.tlog.submissions import Submission
from gateway.tlog.uploads import Upload

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

pytestmark = [pytest.mark.timeout(300)]

ORIGIN = "log.example/over-the-same-ledger"
KILLER = '''
"""Ends the whole gateway with SIGKILL at one line, once, where the file that arms it is there."""
import os, signal
from pathlib import Path
from gateway.stores.heads import HeadStore

def armed(point):
    try:
        Path(os.environ["KILL_AT"], point).unlink()
    except FileNotFoundError:
        return
    os.killpg(os.getpgid(0), signal.SIGKILL)

original = HeadStore.mirror

def wrapped(*given):
    armed("judged")
    found = original(*given)
    armed("kept")
    return found

HeadStore.mirror = wrapped
'''


class Log:
    """A log over the ledger that the gateway reads."""

    def __init__(self, gateway: LoneGateway) -> None:
        self.gateway = gateway
        self.signer = LogSigner(ORIGIN, Ed25519PrivateKey.generate())
        self.tree = merkle.Tree(b"")
        self.prefix = f"{gateway.url}/v1/log/mirror/{sha256(ORIGIN.encode()).hexdigest()}"

    def get(self, url: str) -> httpx.Response:
        return httpx.get(url, headers={"Authorization": f"Bearer {self.gateway.key}"})

    def grow(self, name: str) -> int:
        """Record something, and read the entries that there are then; answers how many."""
        with self.gateway.client() as client:
            client.register_model(name, title="T")
            size = int(client.log()["entries"])
        self.tree = merkle.Tree(self.leaves(f"{self.gateway.url}/v1/log", size))
        return size

    def leaves(self, prefix: str, size: int) -> bytes:
        """Leaf hashes of the entries, as monitors read them."""
        found: list[bytes] = []
        while len(found) < size:
            number, left = len(found) // 256, size - len(found)
            answer = self.get(f"{prefix}/tile/entries/{number:03}{'' if left >= 256 else f'.p/{left}'}")
            assert answer.status_code == 200, answer.text
            found += [answer.content[at + 2 : at + 66] for at in range(0, len(answer.content), 66)]
        return b"".join(map(merkle.leaf_hash, found))

    def submit(self, old: int, size: int, root: bytes | None = None) -> httpx.Response:
        """Ask for a checkpoint to be witnessed, and so pending."""
        text = Checkpoint(ORIGIN, size, self.tree.root(size) if root is None else root).format()
        proof = tuple(self.tree.consistency(old, size)) if old and root is None else ()
        content = Submission(old, proof, notes.sign(text, self.signer)).format()
        return httpx.post(f"{self.gateway.url}/v1/log/add-checkpoint", content=content)

    def upload(self, size: int) -> httpx.Response:
        content = Upload(ORIGIN, size, size).format()
        return httpx.post(f"{self.gateway.url}/v1/log/add-entries", content=content)

    def mirrored(self) -> Checkpoint:
        """What the mirror says to have, which it signed, and whose entries it serves."""
        note = notes.parse(self.get(f"{self.prefix}/checkpoint").content)
        with self.gateway.client() as client:
            keys = [Verifier.parse(each) for each in client.log()["mirror_keys"]]
        known = {each.key: each for each in (self.signer.verifier, *keys)}
        assert notes.verify(note, known).keys() == known.keys()
        found = Checkpoint.parse(note.text)
        assert merkle.root_of_hashes(self.leaves(self.prefix, found.size)) == found.root
        return found


def on_the_disk(gateway: LoneGateway) -> int:
    with closing(sqlite3.connect(f"file:{gateway.data / 'log.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT size FROM mirrored WHERE origin = ?", (ORIGIN,)).fetchone()[0])


@pytest.fixture
def log(lone: LoneGateway, tmp_path: Path) -> Log:
    """A log that the gateway mirrors, which ends where a file says so."""
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER, encoding="utf-8")
    (tmp_path / "armed").mkdir()
    lone.environment = {"PYTHONPATH": str(tmp_path / "killer"), "KILL_AT": str(tmp_path / "armed")}
    lone.start()
    made = Log(lone)
    agreed = policy.Policy((policy.Log(made.signer.verifier),), {}, (), None)
    (lone.data / "log-policy").write_bytes(agreed.format())
    return made


@pytest.mark.parametrize(
    ("point", "is_kept"), [("judged", False), ("kept", True)], ids=["before-it-is-on-the-disk", "before-the-answer"]
)
def test_a_mirror_goes_on_from_what_it_stated_when_it_was_killed(
    log: Log, prefix: str, tmp_path: Path, point: str, is_kept: bool
) -> None:
    first = log.grow(f"{prefix}-a")
    assert log.submit(0, first).content == b"%d\n" % first
    assert log.submit(first, first).status_code == 200
    assert log.upload(first).status_code == 200
    assert log.mirrored().size == first
    second = log.grow(f"{prefix}-b")
    assert log.submit(first, second).status_code == 200
    (tmp_path / "armed" / point).touch()
    program = log.gateway.program
    assert program is not None
    assert program.process is not None
    with pytest.raises(httpx.TransportError):
        log.upload(second)
    assert program.process.wait(30) == -signal.SIGKILL
    program.kill()
    assert on_the_disk(log.gateway) == (second if is_kept else first)

    log.gateway.start()
    assert log.mirrored() == Checkpoint(ORIGIN, on_the_disk(log.gateway), log.tree.root(on_the_disk(log.gateway)))
    assert log.submit(second, second, b"\x01" * 32).status_code in (409, 422)
    assert log.submit(second, second + 1, b"\x01" * 32).status_code == 422
    for beside in (first - 1, second + 1):
        answer = log.upload(beside)
        assert (answer.status_code, answer.content) == (409, b"%d\n%d\n\n" % (second, second))
    assert log.upload(second).status_code == 200
    assert log.mirrored() == Checkpoint(ORIGIN, second, log.tree.root(second))
    assert log.upload(first).status_code == 409, "it does not go back"
    third = log.grow(f"{prefix}-c")
    assert log.submit(second, third).status_code == 200
    assert log.upload(third).status_code == 200
    assert log.mirrored().size == third
