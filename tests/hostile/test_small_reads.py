# SPDX-License-Identifier: Apache-2.0
"""Reads that have no transaction each: a recipient that reads without end, others' grants, and who asks for lists."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fabricharness.members import Member, issue
from hostileharness.world import CHANNEL, World

from chaincode.domain.evidence import pre_authentication_encoding
from gateway.demo.founding import ORIGIN
from gateway.services.reads import MOST_DENIED
from gateway.services.readstatements import LARGEST, PAYLOAD_TYPE, ListStatement
from pedigree.sealing.fetching import Claim, Statement, message_of, public_bytes

CONTENT = b"id,age\n" + b"".join(b"p%d,%d\n" % (number, number % 90) for number in range(5_000))
HOUR = 3_600_000
_names = itertools.count(1)


class Owner:
    """The hospital's data gateway under batched grants."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dataset = "hostile-reads"
        self.url = world.consortium.url("hospital")
        hospital = world.clients["hospital"]
        hospital.register_dataset(
            self.dataset, title="Ages", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal", basis="public-task"
        )
        hospital.commit_records(self.dataset, CONTENT, id_field="id")
        hospital.publish_dataset(self.dataset, 1, CONTENT)

    def grant(self, grantee: str = "LabMSP", **terms: Any) -> str:
        name = f"{self.dataset}-{next(_names)}"
        given: dict[str, Any] = {
            "grantee": grantee, "artifact": f"dataset-version:{self.dataset}:1", "purpose": "research",
            "actions": ["download"], "expires": time.time_ns() // 1_000_000 + HOUR, "batched": True,
        }  # fmt: skip
        made = self.world.clients["hospital"].grant_access(name, **{**given, **terms})
        for client in self.world.clients.values():
            client.at_least(made.height)
            client.access_grant(name)
        return name

    def attempt(self, grant: str, by: str = "lab") -> str:
        made: Any = self.world.clients[by].attempt_access(
            grant, artifact=f"dataset-version:{self.dataset}:1", action="download", purpose="research"
        )
        for client in self.world.clients.values():
            client.at_least(made.height)
        return str(made.record["attempt"])

    def begin(self, attempt: str, member: Member) -> httpx.Response:
        """Ask for what an attempt allows, as a member that signs for itself."""
        public = public_bytes(ec.generate_private_key(ec.SECP256R1()))
        said = Statement(
            channel=CHANNEL, attempt=attempt, audience="HospitalMSP", at=time.time_ns() // 1_000_000,
            nonce=os.urandom(16).hex(), key=public,
        )  # fmt: skip
        claim = Claim(said, member.sign(message_of(said.encode())), member.mspid, member.certificate)
        return httpx.post(f"{self.url}/v1/data", content=claim.encode(), timeout=30)

    def token(self, grant: str) -> str:
        answer = self.begin(self.attempt(grant), self.world.orgs["lab"].user)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["delivery"])

    def part(self, token: str, start: int, stop: int) -> httpx.Response:
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        return httpx.get(f"{self.url}/v1/data/{token}", headers=headers, timeout=60)

    def kept(self, grant: str) -> list[Any]:
        """What the owner keeps of a grant, the first read first."""
        found: list[Any] = []
        before: int | None = None
        while True:
            page: Any = self.world.clients["hospital"].access_reads(before=before, grant=grant)
            found += page["items"]
            before = page["next"]
            if before is None:
                return found[::-1]

    def listed(self, statement: ListStatement, member: Member, **changes: Any) -> httpx.Response:
        """Ask for a list of reads."""
        payload = statement.encode()
        signed = {
            "organisation": member.mspid,
            "certificate": member.certificate.decode(),
            "sig": base64.b64encode(member.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))).decode(),
        }
        envelope = {
            "payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": [signed],
            **changes,
        }  # fmt: skip
        return httpx.post(f"{self.url}/v1/data/reads", content=json.dumps(envelope).encode(), timeout=30)


@pytest.fixture(scope="module")
def owner(world: World) -> Owner:
    return Owner(world)


def until(said: Callable[[], Any], within: float = 90.0) -> Any:
    deadline = time.monotonic() + within
    while not (found := said()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)
    return found


def test_a_flood_of_reads_is_kept_whole_and_stops_no_other_work(world: World, owner: Owner) -> None:
    """As fast as eight connections can, for some seconds: each read that was answered is in a list, and in one."""
    grant = owner.grant()
    token = owner.token(grant)
    stop, answers = threading.Event(), Counter[int]()

    def flood() -> None:
        while not stop.is_set():
            answers[owner.part(token, 3, 20).status_code] += 1

    with ThreadPoolExecutor(8) as pool:
        floods = [pool.submit(flood) for _ in range(8)]
        try:
            time.sleep(3)
            world.expect_honest_work()
        finally:
            stop.set()
        for each in floods:
            each.result()
    assert set(answers) <= {206, 429, 503}, answers
    assert answers[206] > 10
    kept = until(lambda: (found := owner.kept(grant)) and all(each["state"] != "waiting" for each in found) and found)
    assert len(kept) == answers[206]
    assert {each["state"] for each in kept} == {"anchored"}
    regulator = world.clients["regulator"]
    regulator.at_least(world.height())
    found = [
        each for each in regulator.audit_reads("HospitalMSP", owner.url)
        if each.read is None or each.read["grant"] == grant
    ]  # fmt: skip
    assert [each.problem for each in found] == [None] * answers[206]


def test_a_revoked_recipient_reads_nothing_and_fills_no_list(world: World, owner: Owner) -> None:
    """What it asks for after that is denied and kept as denied, up to a number; nothing more is kept then."""
    grant = owner.grant()
    token = owner.token(grant)
    assert owner.part(token, 0, 10).status_code == 206
    world.clients["hospital"].revoke_access(grant, reason="the study is over")

    def ask(_: int) -> tuple[int, str]:
        answer = owner.part(token, 0, 10)
        return answer.status_code, answer.json()["code"]

    with ThreadPoolExecutor(4) as pool:
        told = Counter(pool.map(ask, range(MOST_DENIED + 60)))
    assert set(told) <= {(403, "read-denied"), (403, "reading-ended"), (429, "too-many-requests"), (503, "capacity")}
    assert told[403, "reading-ended"] > 0
    kept = owner.kept(grant)
    denied = [each["read"] for each in kept if each["read"]["decision"] == "denied"]
    assert len(denied) == told[403, "read-denied"] <= MOST_DENIED + 4
    assert {each["reason"] for each in denied} == {"revoked"}
    assert len(kept) - len(denied) == 1


def test_others_grants_and_attempts_open_no_reading(world: World, owner: Owner) -> None:
    grant = owner.grant()
    attempt = owner.attempt(grant)
    regulator, lab = world.orgs["regulator"].user, world.orgs["lab"].user
    tried = {
        "another member": (owner.begin(attempt, regulator), "fetch-by-another"),
        "under its name": (owner.begin(attempt, regulator.claiming("LabMSP")), "fetch-statement-invalid"),
        "another CA": (owner.begin(attempt, issue("LabMSP", None)), "fetch-statement-invalid"),
        "an attempt that was denied": (owner.begin(owner.attempt(grant, "regulator"), regulator), "attempt-denied"),
        "another's attempt that was denied": (
            owner.begin(owner.attempt(grant, "regulator"), lab), "fetch-by-another",
        ),
    }  # fmt: skip
    assert {what: answer.json()["code"] for what, (answer, _) in tried.items()} == {
        what: code for what, (_, code) in tried.items()
    }
    for token in ("A" * 43, "A" * 42, "..", "%00" * 43, "A" * 4_000):
        for path in (token, f"{token}/bundle"):
            answer = httpx.get(f"{owner.url}/v1/data/{path}", timeout=30)
            assert answer.status_code in (400, 404, 405, 414), (path, answer.text)
    assert owner.kept(grant) == []


def test_lists_are_shown_to_members_that_ask_for_them(world: World, owner: Owner) -> None:
    grant = owner.grant()
    owner.part(owner.token(grant), 0, 10)
    number = until(lambda: (found := owner.kept(grant)) and found[0]["state"] == "anchored" and found[0]["batch"])
    regulator, now = world.orgs["regulator"].user, time.time_ns() // 1_000_000

    def said(**changes: Any) -> ListStatement:
        given = {
            "channel": CHANNEL,
            "audience": "HospitalMSP",
            "number": number,
            "at": now,
            "nonce": os.urandom(16).hex(),
        }
        return ListStatement(**{**given, **changes})

    taken = said()
    assert owner.listed(taken, regulator).status_code == 200
    tried = {
        "sent again": (owner.listed(taken, regulator), "fetch-statement-repeated"),
        "under another's name": (owner.listed(said(), regulator.claiming("LabMSP")), "fetch-statement-invalid"),
        "no member": (owner.listed(said(), issue("RegulatorMSP", None)), "fetch-statement-invalid"),
        "a stranger's name": (owner.listed(said(), regulator.claiming("NobodyMSP")), "fetch-statement-invalid"),
        "another owner": (owner.listed(said(audience="LabMSP"), regulator), "fetch-statement-elsewhere"),
        "another channel": (owner.listed(said(channel="other"), regulator), "fetch-statement-elsewhere"),
        "stale": (owner.listed(said(at=now - 300_000), regulator), "fetch-statement-stale"),
        "of tomorrow": (owner.listed(said(at=now + 86_400_000), regulator), "fetch-statement-stale"),
        "no such list": (owner.listed(said(number=999_999_999), regulator), "not-found"),
        "another statement": (
            owner.listed(said(), regulator, payload=base64.b64encode(said().encode()).decode()),
            "fetch-statement-invalid",
        ),
        "another type": (owner.listed(said(), regulator, payloadType="application/json"), "fetch-statement-invalid"),
        "two signatures": (owner.listed(said(), regulator, signatures=[{}, {}]), "fetch-statement-invalid"),
    }  # fmt: skip
    answers = {what: answer.json()["code"] for what, (answer, _) in tried.items()}
    assert answers == {what: code for what, (_, code) in tried.items()}
    for content in (b"", b"[]", b"\x00" * 500, b"[" * 30_000, b'{"payload": 5}'):
        answer = httpx.post(f"{owner.url}/v1/data/reads", content=content, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (400, "fetch-statement-invalid"), content[:20]
    for size in (LARGEST + 1, 30_000_000):
        with contextlib.suppress(httpx.HTTPError):  # it may be closed before all was sent
            answer = httpx.post(f"{owner.url}/v1/data/reads", content=b"x" * size, timeout=30)
            assert answer.status_code == 413
    for first in ("-1", "1e3", "9" * 40, "\u0664"):
        answer = httpx.post(f"{owner.url}/v1/data/reads", params={"first": first}, content=b"x", timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


def test_a_flood_for_lists_stops_no_other_work(world: World, owner: Owner) -> None:
    regulator, stop, answers = world.orgs["regulator"].user, threading.Event(), Counter[int]()

    def flood() -> None:
        while not stop.is_set():
            for name in ("HospitalMSP", "LabMSP"):
                statement = ListStatement(CHANNEL, name, 1, time.time_ns() // 1_000_000, os.urandom(16).hex())
                answers[owner.listed(statement, regulator).status_code] += 1

    with ThreadPoolExecutor(8) as pool:
        floods = [pool.submit(flood) for _ in range(8)]
        try:
            time.sleep(1)
            world.expect_honest_work()
        finally:
            stop.set()
        for each in floods:
            each.result()
    assert sum(answers.values()) > 12
    assert set(answers) <= {200, 403, 404, 429, 503}, answers
