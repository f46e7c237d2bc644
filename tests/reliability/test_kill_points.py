# SPDX-License-Identifier: Apache-2.0
"""kill -9 at each step from the acceptance of a request to its answer, then what an operator may find, and a retry.

Afterwards the gateway has its database, has lost it, has one from before, has been enrolled again, or is not there and
another one on the same database gets the retry. The judge reads the blocks by itself: what was acknowledged is there
once, valid, with what it writes; what was not, at most once. `PEDIGREE_LONG=1` has every step meet everything.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ownblocks import Found, read_transactions

from network.material import Material

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

    from gateway.demo.consortium import Consortium

LONG = os.environ.get("PEDIGREE_LONG", "0") != "0"
KILLER = '''
"""Ends the whole gateway with SIGKILL at one line, once, where the file that arms it is there."""
import os, signal
from pathlib import Path
from gateway.ledger import FabricLedger
from gateway.services.attempts import Attempts
from gateway.services.batches import BatchAttempts
from gateway.services.claims import Claims
from gateway.services.opening import Opening
from gateway.services.submitter import Submitter
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.sharedsubmissions import SharedSubmissionStore
from gateway.stores.submissions import SubmissionStore

def armed(point):
    try:
        Path(os.environ["KILL_AT"], point).unlink()
    except FileNotFoundError:
        return
    os.killpg(os.getpgid(0), signal.SIGKILL)

def around(owner, name, what):
    original = getattr(owner, name)

    def wrapped(*given, **more):
        armed("before-" + what)
        found = original(*given, **more)
        armed("after-" + what)
        return found

    setattr(owner, name, wrapped)

around(Submitter, "submit", "acceptance")
around(Claims, "take", "claim")
around(Opening, "submission", "command")
around(FabricLedger, "prepare", "endorsement")
around(SubmissionStore, "save", "save")
around(FabricLedger, "submit", "ordering")
around(ReadModelStore, "apply", "block")
around(Attempts, "_committed", "outcome")
around(SubmissionStore, "finish", "finish")
around(SubmissionStore, "release", "release")
around(SharedSubmissionStore, "release", "release")
around(BatchAttempts, "_each", "part")
'''
STEPS = ("acceptance", "claim", "command", "endorsement", "save", "ordering", "block", "outcome", "finish", "release")
POINTS = [f"{when}-{step}" for step in STEPS for when in ("before", "after")]
"""Twenty, in their order; `after-acceptance` is before the reply is written."""
OF_BATCHES = [*POINTS, "before-part", "after-part"]
OF_ITS_OWN = ("kept", "lost", "set back", "enrolled again")
FEW = ["after-endorsement", "after-save", "after-ordering", "before-finish"]
"""What is tried where it is not for long, each with another aftermath."""
SECRETS = ("secret", "log-keys", "key-encryption-key")

pytestmark = [pytest.mark.timeout(3600 if LONG else 300)]


def arm(gateway: LoneGateway, folder: Path) -> Path:
    (folder / "killer").mkdir(exist_ok=True)
    (folder / "killer" / "sitecustomize.py").write_text(KILLER, encoding="utf-8")
    (folder / "armed").mkdir(exist_ok=True)
    gateway.environment = {"PYTHONPATH": str(folder / "killer"), "KILL_AT": str(folder / "armed")}
    return folder / "armed"


def enrolled_again(consortium: Consortium, folder: Path, number: int) -> Path:
    """A network file in which the lab's gateway has a new key and certificate of the same name."""
    network = json.loads(json.dumps(consortium.network()))
    (member,) = (each for each in network["organisations"] if each["name"] == "lab")
    msp = folder / f"msp-{number}"
    shutil.copytree(member["user_msp"], msp)
    (held,) = (msp / "signcerts").iterdir()
    former = x509.load_pem_x509_certificate(held.read_bytes())
    ca = Material(consortium.directory / "organizations").organisation(member["domain"]) / "ca"
    authority: Any = serialization.load_pem_private_key((ca / "priv_sk").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder().subject_name(former.subject).issuer_name(former.issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(former.not_valid_before_utc)
        .not_valid_after(former.not_valid_after_utc - datetime.timedelta(days=1))
    )  # fmt: skip
    for extension in former.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    held.write_bytes(builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (secret,) = (msp / "keystore").iterdir()
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    member["user_msp"] = str(msp)
    path = consortium.directory / f"network-{folder.name}-{number}.json"
    path.write_text(json.dumps(network), encoding="utf-8")
    return path


class Client:
    """Sends one model, or three in a batch, under one key, and remembers what was acknowledged."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.sent: set[str] = set()
        self.acknowledged: dict[str, str] = {}

    def send(self, target: tuple[str, str], name: str, *, batch: bool, within: float = 60.0) -> None:
        """Send once; what is acknowledged is kept. Raises `httpx.HTTPError` where no answer comes."""
        models = [f"{self.prefix}-{name}-{number}" for number in range(3 if batch else 1)]
        self.sent.update(models)
        commands: list[dict[str, Any]] = [{"model": model, "title": "Killed"} for model in models]
        items = [{"function": "model:register", "command": each} for each in commands]
        url, key = target
        answer = httpx.post(
            f"{url}/v1/{'batches' if batch else 'models'}", json=items if batch else commands[0], timeout=within,
            headers={"Authorization": f"Bearer {key}", "Idempotency-Key": f"key-{self.prefix}-{name}"},
        )  # fmt: skip
        assert answer.status_code == (200 if batch else 201), answer.text
        outcomes = [each["result"] for each in answer.json()["outcomes"]] if batch else [answer.json()]
        for model, outcome in zip(models, outcomes, strict=True):
            found = outcome["transaction"]["id"]
            assert self.acknowledged.setdefault(model, found) == found, "the first transaction is the answer"

    def judge(self, transactions: Sequence[Found]) -> None:
        """Hold what was told against the blocks."""
        valid: dict[str, list[Found]] = {}
        for each in transactions:
            if each.code == 0 and each.arguments[0] in (b"model:register", b"batch:record"):
                # A command of a batch that had an effect before has none here.
                for model in {str(command.get("model")) for command in each.commands} & self.sent:
                    if any(_is_of(model, value) for value in each.writes.values()):
                        valid.setdefault(model, []).append(each)
        counts = Counter({model: len(found) for model, found in valid.items()})
        assert {model: count for model, count in counts.items() if count > 1} == {}
        assert self.acknowledged.keys() - valid.keys() == set()
        assert {model: valid[model][0].transaction_id for model in self.acknowledged} == self.acknowledged


def _is_of(model: str, value: bytes) -> bool:
    try:
        document = json.loads(value)
    except ValueError:
        return False
    return isinstance(document, dict) and (document.get("kind"), document.get("model")) == ("model", model)


def killed(gateway: LoneGateway, armed: Path, point: str, client: Client, name: str, *, batch: bool) -> None:
    """Have the gateway die at a point while it records something."""
    (armed / point).touch()
    with contextlib.suppress(httpx.HTTPError):
        client.send(gateway.target, name, batch=batch, within=20)
    assert gateway.program is not None
    assert gateway.program.process is not None
    assert gateway.program.process.wait(30) == -signal.SIGKILL, point
    gateway.program.kill()


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
def test_wherever_a_gateway_is_killed_each_request_has_one_effect(
    consortium: Consortium, lone: LoneGateway, prefix: str, tmp_path: Path, batch: bool, report: Callable[[str], None]
) -> None:
    points = (OF_BATCHES if batch else POINTS) if LONG else FEW[batch::2]
    armed, client = arm(lone, tmp_path), Client(prefix)
    lone.start()
    for name in ("submissions", "readmodel"):
        lone.copy_of(name)
    kills = 0
    for at, point in enumerate(points):
        for aftermath in OF_ITS_OWN if LONG else (OF_ITS_OWN[(at * 2 + 1 + batch) % 4],):
            name = f"{point}-{aftermath.replace(' ', '-')}"
            killed(lone, armed, point, client, name, batch=batch)
            kills += 1
            if aftermath == "lost":
                lone.lose("submissions")
                lone.lose("readmodel")
            elif aftermath == "set back":
                lone.roll_back("submissions")
                lone.roll_back("readmodel")
            elif aftermath == "enrolled again":
                lone._network = enrolled_again(consortium, tmp_path, kills)
            lone.start()
            if aftermath == "set back":
                for database in ("submissions", "readmodel"):
                    lone.copy_of(database)
            for _ in range(2):
                client.send(lone.target, name, batch=batch)
    client.judge(read_transactions(consortium.network(), "regulator"))
    report(f"{kills} kills, {len(client.acknowledged)} commands acknowledged, each valid in one block")
    assert client.acknowledged.keys() == client.sent


@pytest.mark.skipif(not LONG, reason="PEDIGREE_LONG=1 has two gateways on one database killed at each step")
@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
def test_wherever_one_of_two_is_killed_the_other_answers_the_retry(
    consortium: Consortium, new_gateway: Callable[..., LoneGateway], postgresql_url: str, prefix: str, tmp_path: Path,
    batch: bool, report: Callable[[str], None],
) -> None:  # fmt: skip
    options = ("--database", postgresql_url, "--blobs", str(tmp_path / "blobs"))
    first, second = (new_gateway(consortium, "lab", postgresql_url) for _ in range(2))
    armed, client = arm(first, tmp_path), Client(prefix)
    first.start(*options)
    for name in SECRETS:
        copy: Any = shutil.copytree if (first.data / name).is_dir() else shutil.copy2
        copy(first.data / name, second.data / name)
    second.start(*options)
    points = OF_BATCHES if batch else POINTS
    for point in points:
        killed(first, armed, point, client, point, batch=batch)
        client.send((second.url, first.key), point, batch=batch)
        first.start(*options)
        client.send(first.target, point, batch=batch)
    client.judge(read_transactions(consortium.network(), "regulator"))
    report(f"{len(points)} kills, {len(client.acknowledged)} commands acknowledged, each valid in one block")
    assert client.acknowledged.keys() == client.sent
