# SPDX-License-Identifier: Apache-2.0
"""An endorsing organisation whose chaincode process says what it likes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_pb2, transaction_pb2
from fabricharness import messages
from fabricharness.networks import Org, wait_until
from hostileharness.world import CHANNEL, Liar, World

from gateway.fabric import Deadlines
from pedigree import PedigreeError

ENDORSE_WITHIN = Deadlines().endorse or 0.0
HANGING_WRITES = 4
OWN = "_implicit_org_RegulatorMSP"
BOTH = ["LabMSP", "RegulatorMSP"]


def already(transaction: Any) -> str:
    return json.dumps({"code": "already-recorded", "facts": {"transaction": transaction}, "message": "it is there"})


REFUSALS = {
    "with-our-own-id": already("{id}"),
    "with-an-invented-id": already("ab" * 32),
    "with-a-number-for-an-id": already(7),
    "with-a-list-of-lists": json.dumps({"code": "already-exists", "facts": {"by": [[{}]]}, "message": []}),
    "with-facts-that-are-a-text": json.dumps({"code": "already-recorded", "facts": "none", "message": "x"}),
    "with-a-code-of-a-fault": json.dumps({"code": "internal", "facts": {}, "message": "x"}),
    "duplicate-transaction": "duplicate transaction found [{id}]. Creator [0a0b]",
    "mvcc": "MVCC_READ_CONFLICT",
    "with-escapes": json.dumps({"code": "\u001b[2J\u202e", "facts": {"\u0000": "\u001b]0;x\u0007"}, "message": "\r\n"}),
    "of-a-megabyte": "x" * (1 << 20),
    "nested-deeply": "[" * 20_000,
    "not-a-number": '{"code":"already-exists","facts":{"a":NaN},"message":"x"}',
}


@pytest.fixture(scope="module")
def process(world: World) -> Iterator[Liar]:
    """The regulator's chaincode process for as long as this module runs."""
    with world.lying("regulator") as liar:
        yield liar


@pytest.fixture
def liar(process: Liar) -> Iterator[Liar]:
    """The same process, honest before and after a test."""
    process.tell()
    yield process
    process.tell()


def test_a_refusal_decides_nothing_that_was_not_proven(world: World, liar: Liar) -> None:
    """All at once, since a client repeats for a while what it takes for passing."""
    liar.tell(refuse={f"refused-{kind}-x": text for kind, text in REFUSALS.items()})
    with ThreadPoolExecutor(len(REFUSALS)) as pool:
        answers = dict(zip(REFUSALS, pool.map(lambda kind: refusal(world, f"refused-{kind}-x"), REFUSALS), strict=True))
    lab = world.clients["lab"]
    for kind, answer in answers.items():
        assert answer.isprintable(), kind
        assert len(answer) < 4_000, kind
        with pytest.raises(PedigreeError):
            lab.model(f"refused-{kind}-x")
        # Where the policy can be met without it, one organisation's refusal is not the consortium's.
        recorded = lab.register_model(f"refused-{kind}-x2", title="Two honest ones are enough")
        assert recorded.record["model"] == f"refused-{kind}-x2"
    assert "Traceback" not in world.log("gateway-lab", lines=400)


def refusal(world: World, model: str) -> str:
    """What a client hears whose model the liar must endorse."""
    with world.impatient("lab") as lab, pytest.raises(PedigreeError) as refused:
        lab.register_model(model, title="Asked of the liar", endorsing_organisations=BOTH)
    return str(refused.value)


def test_a_reply_over_nothing_public_is_believed_by_nobody(world: World, liar: Liar, name: str) -> None:
    record = {
        "kind": "model", "schema": 1, "model": name, "owner": "LabMSP", "title": "Invented", "registered": 1,
    }  # fmt: skip
    event = {"kind": "model-registered", "schema": 1, "model": name, "owner": "LabMSP"}
    liar.tell(
        steps=[["put_private_data", OWN, name, {"nothing": "public"}]],
        reply={"record": record, "event": event},
        event=["model-registered", event],
    )
    transaction = alone(world, json.dumps(record))
    world.settle()
    for organisation, client in world.clients.items():
        with pytest.raises(PedigreeError):
            client.model(name)
        assert all(item["record"]["model"] != name for item in client.models()["items"]), organisation
        shown = client.transaction(transaction)
        assert shown.get("record") is None, f"{organisation} shows as a record what no public write says: {shown}"
        assert shown.get("event") is None, f"{organisation} shows as an event what no public write says: {shown}"


def test_metadata_on_an_absent_private_key_leaves_every_ledger_sound(world: World, liar: Liar, name: str) -> None:
    for steps in (
        [["set_private_data_validation_parameter", OWN, name, "OR('RegulatorMSP.peer')"]],
        [["put_private_data", OWN, name, {"a": "value"}]],
        [["set_private_data_validation_parameter", OWN, f"{name}-2", "OR('RegulatorMSP.peer')"],
         ["del_private_data", OWN, name]],
    ):  # fmt: skip
        liar.tell(steps=steps)
        alone(world, name)
    world.settle()
    world.expect_sound()


def alone(world: World, argument: str) -> str:
    """Have a valid transaction made that the regulator alone has endorsed; answers its id."""
    regulator = world.orgs["regulator"]
    proposal = regulator.propose("pedigree", "model:register", argument, channel=CHANNEL)
    world.order_payload(regulator.peer.endorse_raw(proposal, organisations=("RegulatorMSP",)), proposal.member)
    status = regulator.peer.status_raw(messages.status_request(CHANNEL, proposal.transaction_id, proposal.member))
    assert transaction_pb2.TxValidationCode.Name(status.result) == "VALID"
    return proposal.transaction_id


def test_what_is_promised_waits_for_an_honest_answer(world: World, liar: Liar) -> None:
    """With `respond-async` the gateway asks again by itself: until it is answered honestly, or its time is over."""
    liar.tell(refuse={f"waits-{kind}-x": text for kind, text in REFUSALS.items()})
    headers = {
        "Authorization": f"Bearer {world.consortium.key('lab')}", "Prefer": "respond-async",
        "Endorsing-Organisations": ",".join(BOTH),
    }  # fmt: skip
    with httpx.Client(base_url=world.consortium.url("lab"), headers=headers) as http:
        waiting = {kind: ask(http, f"waits-{kind}-x") for kind in REFUSALS}
        world.expect_honest_work()
        for kind, path in waiting.items():
            assert operation(http, path)["state"] != "succeeded", kind
            assert json.dumps(operation(http, path), ensure_ascii=False).isprintable(), kind
            with pytest.raises(PedigreeError):
                world.clients["lab"].model(f"waits-{kind}-x")
        liar.tell()
        wait_until(lambda: all(operation(http, path)["state"] != "pending" for path in waiting.values()), seconds=60)
        assert {kind: operation(http, path)["state"] for kind, path in waiting.items()} == dict.fromkeys(
            REFUSALS, "succeeded"
        )
    for kind in REFUSALS:
        assert world.clients["lab"].model(f"waits-{kind}-x")["record"]["model"] == f"waits-{kind}-x"
    assert "Traceback" not in world.log("gateway-lab", lines=200)


def ask(http: httpx.Client, model: str) -> str:
    """Ask for a model to be recorded; answers where its operation is shown."""
    body = {"model": model, "title": "Asked of the liar"}
    answer = http.post("/v1/models", json=body, headers={"Idempotency-Key": model})
    assert answer.status_code == 202, answer.text
    return f"/v1/operations/{answer.json()['operation']}"


def operation(http: httpx.Client, path: str) -> Any:
    return http.get(path).raise_for_status().json()


def test_an_endorser_that_refuses_late_costs_time_and_nothing_else(world: World, liar: Liar, name: str) -> None:
    liar.tell(refuse=already("{id}"), after=3)
    started = time.monotonic()
    with world.impatient("lab") as lab, pytest.raises(PedigreeError):
        lab.register_model(name, title="Asked of the liar", endorsing_organisations=BOTH)
    assert time.monotonic() - started >= 3, "the liar was asked"
    recorded = world.clients["lab"].register_model(f"{name}-2", title="Two honest ones are enough")
    world.clients["hospital"].at_least(recorded.height)
    assert world.clients["hospital"].model(f"{name}-2")["record"] == recorded.record


def test_an_endorser_that_never_answers_ends_no_write_that_others_can_endorse(
    world: World, liar: Liar, name: str
) -> None:
    """Ours is the choice of a policy, the peer's that of organisations: sooner or later it asks the one that hangs."""
    liar.tell(refuse={name: "too late for everybody"}, after=3 * ENDORSE_WITHIN)
    durations = []
    for number in range(HANGING_WRITES):
        started = time.monotonic()
        recorded = world.clients["lab"].register_model(f"{name}-{number}", title="Two honest ones are enough")
        durations.append(round(time.monotonic() - started, 1))
        assert world.clients["lab"].model(f"{name}-{number}")["record"] == recorded.record
    print("seconds for each write while one of three endorsers hangs:", durations)
    assert "peer-timeout" not in world.log("gateway-lab", lines=200)


def garbage(attacker: Org, seen: Path) -> Any:
    """An envelope by the attacker itself, under the id of the transaction that it saw."""
    proposal = attacker.propose("pedigree", "garbage", channel=CHANNEL, transaction_id=seen.name)
    payload = messages.payload_of(proposal, proposal_payload=b"", response_payload=b"", endorsements=[])
    return messages.envelope(payload, attacker.user)


def replay(attacker: Org, seen: Path) -> Any:
    """The victim's own proposal as an envelope: one signature holds for both, since their headers have one form."""
    signed = proposal_pb2.SignedProposal.FromString(seen.read_bytes())
    return common_pb2.Envelope(payload=signed.proposal_bytes, signature=signed.signature)


@pytest.mark.parametrize("pause", [0.0, 3.0], ids=["at-once", "in-an-earlier-block"])
@pytest.mark.parametrize("burning", [garbage, replay])
def test_an_id_that_was_burnt_before_is_only_an_attempt(
    world: World, liar: Liar, tmp_path: Path, name: str, pause: float, burning: Callable[[Org, Path], Any]
) -> None:
    """The endorser sees the transaction's id before it is ordered, and has something else ordered under it."""
    attacker = world.orgs["regulator"]
    burnt: list[int] = []
    done = threading.Event()

    def burn() -> None:
        while not done.wait(0.01):
            for seen in [path for path in tmp_path.iterdir() if path.suffix != ".new"]:
                if not burnt:  # one id is enough: an endorser that burns every one withholds service, which it may
                    burnt.extend(world.order(burning(attacker, seen)))
                    time.sleep(pause)
                seen.unlink()

    thread = threading.Thread(target=burn)
    same_block = burning is replay and not pause
    with world.guarded_blocks() if same_block else nullcontext():
        liar.tell(watch=str(tmp_path))
        thread.start()
        try:
            recorded = world.clients["lab"].register_model(name, title="Burnt", endorsing_organisations=BOTH)
        finally:
            done.set()
            thread.join()
    assert burnt == [common_pb2.SUCCESS]
    for client in world.clients.values():
        client.at_least(recorded.height)
        shown = client.model(name)
        assert shown["transaction"]["id"] == recorded.transaction_id
        assert shown["record"] == recorded.record
