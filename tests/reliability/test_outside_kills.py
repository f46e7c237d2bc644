# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a gateway between the steps of transactions that are signed elsewhere: each ends, and counts once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from outside import signature

from gateway.demo.consortium import Consortium
from gateway.fabric.blocks import VALID
from pedigree import Conflict, PedigreeError

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

pytestmark = [pytest.mark.timeout(300)]

KILLER = '''
"""Ends the whole gateway with SIGKILL at one line, once, where the file that arms it is there."""
import os, signal
from pathlib import Path
from gateway.ledger import FabricLedger
from gateway.stores.submissions import SubmissionStore

def armed(point):
    try:
        Path(os.environ["KILL_AT"], point).unlink()
    except FileNotFoundError:
        return
    os.killpg(os.getpgid(0), signal.SIGKILL)

def around(owner, name, before, after):
    original = getattr(owner, name)

    def wrapped(*given):
        armed(before)
        found = original(*given)
        armed(after)
        return found

    setattr(owner, name, wrapped)

around(SubmissionStore, "save", "sealed", "saved")
around(FabricLedger, "submit", "sending", "sent")
around(SubmissionStore, "finish", "committed", "finished")
'''
LONG = os.environ.get("PEDIGREE_LONG", "0") != "0"
ROUNDS = 8 if LONG else 3
AT_ONCE = 12


class Person:
    """Somebody of the lab with a key of their own."""

    def __init__(self, consortium: Consortium) -> None:
        (member,) = (each for each in consortium.network()["organisations"] if each["name"] == "lab")
        folder = Path(member["user_msp"])
        self.certificate = next((folder / "signcerts").iterdir()).read_text(encoding="ascii")
        loaded = serialization.load_pem_private_key(next((folder / "keystore").iterdir()).read_bytes(), None)
        self.key: Any = loaded

    def sign(self, document: Any) -> Any:
        return {**document, "signature": signature(self.key, document["digest"])}

    def prepared(self, client: Any, model: str) -> Any:
        command = {"model": model, "title": "A model"}
        return self.sign(client.prepare_transaction("model:register", command, self.certificate, key=f"key-of-{model}"))

    def endorsed(self, client: Any, model: str) -> Any:
        return self.sign(client.endorse_transaction(self.prepared(client, model)))


@pytest.fixture
def person(consortium: Consortium) -> Person:
    return Person(consortium)


def open_ones(gateway: LoneGateway) -> int:
    """Submissions that have not reached their end, as the disk has it."""
    with closing(sqlite3.connect(f"file:{gateway.data / 'submissions.db'}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM submission WHERE state <> 'final'").fetchone()
    return int(count)


def wait_until_all_ended(gateway: LoneGateway) -> None:
    deadline = time.monotonic() + 90
    while left := open_ones(gateway):
        assert time.monotonic() < deadline, f"{left} have not reached their end"
        time.sleep(0.1)


@pytest.mark.parametrize("step", ["prepared", "endorsed"])
def test_what_was_given_out_before_a_kill_is_taken_after_it(
    lone: LoneGateway, person: Person, blocks: Callable[[], Any], prefix: str, step: str
) -> None:
    """Nothing of it was kept: the seal is by the gateway's secret, which outlives the process."""
    lone.start()
    model = f"{prefix}-{step}"
    with lone.client() as client:
        document = getattr(person, step)(client, model)
    lone.kill()
    lone.start()
    with lone.client() as client:
        if step == "prepared":
            document = person.sign(client.endorse_transaction(document))
        answers = [client.submit_transaction(document) for _ in range(2)]
    assert [each["state"] for each in answers] == ["succeeded"] * 2
    assert answers[0]["result"] == answers[1]["result"]
    assert [(each.model, each.code, each.transaction_id) for each in blocks()] == [
        (model, VALID, document["transaction_id"])
    ]


@pytest.mark.parametrize("point", ["sealed", "saved", "sending", "sent", "committed", "finished"])
def test_a_kill_at_each_line_from_sealing_to_the_end_leaves_one_ending(
    lone: LoneGateway, person: Person, blocks: Callable[[], Any], prefix: str, tmp_path: Path, point: str
) -> None:
    """What was on the disk ends without being sent again; what was not, when it is."""
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer" / "sitecustomize.py").write_text(KILLER, encoding="utf-8")
    (tmp_path / "armed").mkdir()
    lone.environment = {"PYTHONPATH": str(tmp_path / "killer"), "KILL_AT": str(tmp_path / "armed")}
    lone.start()
    model = f"{prefix}-{point}"
    with lone.client(timeout=3) as client:
        document = person.endorsed(client, model)
        (tmp_path / "armed" / point).touch()
        with pytest.raises(PedigreeError):
            client.submit_transaction(document)
    assert lone.program is not None
    assert lone.program.process is not None
    assert lone.program.process.wait(30) == -signal.SIGKILL
    lone.program.kill()
    lone.start()
    wait_until_all_ended(lone)
    # Another copy of what was sent may be there as well, without effect.
    assert [each.model for each in blocks() if each.code == VALID] == ([] if point == "sealed" else [model])
    with lone.client() as client:
        answer = client.submit_transaction(document)
        assert client.operation(answer["operation"])["state"] == "succeeded"
    assert (answer["state"], answer["result"]["transaction"]["id"]) == ("succeeded", document["transaction_id"])
    assert [(each.model, each.transaction_id) for each in blocks() if each.code == VALID] == [
        (model, document["transaction_id"])
    ]


@pytest.mark.parametrize("databases", ["kept", "lost"])
def test_a_kill_between_sealing_and_commit_leaves_nothing_open_and_doubles_nothing(
    lone: LoneGateway, person: Person, blocks: Callable[[], Any], prefix: str, databases: str,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    """Killed while a dozen are submitted; what nobody sends again ends as well, where its row was kept."""
    lone.start()
    documents: dict[str, Any] = {}
    told: Counter[str] = Counter()
    for round_ in range(ROUNDS):
        with lone.client() as client:
            fresh = {
                model: person.endorsed(client, model)
                for model in (f"{prefix}-{databases}-{round_}-{number}" for number in range(AT_ONCE))
            }
        documents |= fresh
        begun = threading.Barrier(AT_ONCE + 1)

        def submit(document: Any, begun: threading.Barrier = begun) -> str:
            begun.wait()
            try:
                with lone.client(timeout=3) as client:
                    return str(client.submit_transaction(document)["state"])
            except PedigreeError as error:
                return f"refused: {error.code}"
            except OSError:
                return "unanswered"

        with ThreadPoolExecutor(AT_ONCE) as pool:
            sent = [pool.submit(submit, each) for each in fresh.values()]
            begun.wait()
            enough = random.randrange(1, AT_ONCE)
            while open_ones(lone) < enough and not all(each.done() for each in sent):
                time.sleep(0.001)
            lone.kill()
            told.update(each.result() for each in sent)
        if databases == "lost":
            lone.lose("submissions")
            lone.lose("readmodel")
        lone.start()
        wait_until_all_ended(lone)
    recorded = Counter(each.model for each in blocks() if each.code == VALID)
    report(f"{databases}: {len(documents)} submitted over {ROUNDS} kills, {dict(told)}; "
           f"{len(recorded)} recorded before any was sent again")  # fmt: skip
    assert not [model for model, count in recorded.items() if count > 1]
    with lone.client() as client:
        for model, document in documents.items():
            answer = client.submit_transaction(document)
            assert (answer["state"], answer["result"]["transaction"]["id"]) == (
                "succeeded", document["transaction_id"],
            )  # fmt: skip
            assert client.operation(answer["operation"])["state"] == "succeeded"
            with pytest.raises(Conflict):
                person.endorsed(client, model)
    recorded = Counter(each.model for each in blocks() if each.code == VALID)
    assert recorded == dict.fromkeys(documents, 1)
