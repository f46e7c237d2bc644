# SPDX-License-Identifier: Apache-2.0
"""Two gateways of one organisation on one PostgreSQL database: one effect for each key, whichever of them dies."""

from __future__ import annotations

import datetime
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms

from gateway.demo.processes import command

if TYPE_CHECKING:
    from postgresqlserver import Server
    from reliability.conftest import Load, LoneGateway

    from gateway.demo.consortium import Consortium

Blocks = Callable[[], Any]
Report = Callable[[str], None]

pytestmark = [pytest.mark.timeout(300)]

ORIGIN = {"source": "registry", "method": "export", "geography": ["DE"]}
SECRETS = ("secret", "log-keys", "key-encryption-key")


class Pair:
    """Two gateways on one database; the first one was started first."""

    def __init__(self, gateways: list[LoneGateway], options: tuple[str, ...]) -> None:
        self.gateways = gateways
        self.options = options

    def start(self) -> Pair:
        first, second = self.gateways
        first.start(*self.options)
        for name in SECRETS:
            copy = shutil.copytree if (first.data / name).is_dir() else shutil.copy2
            copy(first.data / name, second.data / name)  # type: ignore[operator]
        second.start(*self.options)
        return self

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Each one's address with the first one's key: they have the same keys."""
        return [(each.url, self.gateways[0].key) for each in self.gateways]

    def leads(self, number: int) -> bool:
        """Whether one of them says that it leads."""
        try:
            text = httpx.get(f"{self.gateways[number].health}/metrics", timeout=5).text
        except httpx.HTTPError:
            return False
        return "pedigree_leads 1.0" in text

    def wait_until_leads(self, number: int, within: float = 30.0) -> float:
        """How many seconds it takes until one leads."""
        started = time.perf_counter()
        while not self.leads(number):
            assert time.perf_counter() - started < within, self.gateways[number].log()
            time.sleep(0.1)
        return time.perf_counter() - started

    def ask(self, number: int, method: str, path: str, **options: Any) -> httpx.Response:
        url, key = self.targets[number]
        headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
        return httpx.request(method, f"{url}{path}", headers=headers, timeout=60, **options)


@pytest.fixture
def pair(consortium: Consortium, new_gateway: Callable[..., LoneGateway], postgresql_url: str, tmp_path: Path) -> Pair:
    blobs = tmp_path / "blobs"
    options = ("--database", postgresql_url, "--blobs", str(blobs))
    return Pair([new_gateway(consortium, "lab", postgresql_url) for _ in range(2)], options).start()


def test_one_key_that_is_sent_to_both_at_once_has_one_effect(pair: Pair, prefix: str, blocks: Blocks) -> None:
    def send(number: int, model: str) -> httpx.Response:
        return pair.ask(
            number, "POST", "/v1/models", json={"model": model, "title": "t"}, headers={"Idempotency-Key": f"k-{model}"}
        )

    assert pair.leads(0)
    assert not pair.leads(1)
    with ThreadPoolExecutor(8) as pool:
        for index in range(10):
            model = f"{prefix}-{index}"
            answers = [each.result() for each in [pool.submit(send, number % 2, model) for number in range(6)]]
            assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
            assert len({answer.json()["transaction"]["id"] for answer in answers}) == 1
    assert [entry.code for entry in blocks()] == [0] * 10
    # The same key with something else is refused by the one that did not have it first.
    model = f"{prefix}-0"
    other = pair.ask(
        1, "POST", "/v1/models", json={"model": model, "title": "u"}, headers={"Idempotency-Key": f"k-{model}"}
    )
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


def test_what_one_accepted_and_did_not_finish_the_other_finishes(
    pair: Pair, prefix: str, blocks: Blocks, report: Report
) -> None:
    first, _ = pair.gateways
    until = time.perf_counter() + 30
    while len({str(pair.ask(number, "GET", "/v1/log").json()["checkpoint"]) for number in (0, 1)}) > 1:
        assert time.perf_counter() < until, "both give out what the one that leads signed"
        time.sleep(0.2)
    operations = []
    for index in range(30):
        answer = pair.ask(
            0, "POST", "/v1/models", json={"model": f"{prefix}-{index}", "title": "t"},
            headers={"Idempotency-Key": f"k-{prefix}-{index}", "Prefer": "respond-async"},
        )  # fmt: skip
        assert answer.status_code == 202, answer.text
        operations.append(answer.headers["Location"])
    first.kill()
    killed = time.perf_counter()
    by_key = pair.ask(1, "GET", "/v1/operations", params={"idempotency-key": f"k-{prefix}-0"})
    assert (by_key.status_code, f"/v1/operations/{by_key.json()['id']}") == (200, operations[0])
    for operation in operations:
        while (found := pair.ask(1, "GET", operation).json())["state"] == "pending":
            assert time.perf_counter() - killed < 60, pair.gateways[1].log()
            time.sleep(0.1)
        assert found["state"] == "succeeded"
    finished = time.perf_counter() - killed
    leading = pair.wait_until_leads(1)
    report(f"the other one had finished all {finished:.1f} s after the kill, and led {leading:.1f} s after that")
    entries = blocks()
    assert len([entry for entry in entries if entry.code == 0]) == 30
    # It signs the log from here on.
    until = time.perf_counter() + 30
    while True:
        log = pair.ask(1, "GET", "/v1/log").json()
        if log["checkpoint"] is not None and log["checkpoint"]["size"] == log["entries"] >= 30:
            break
        assert time.perf_counter() < until, log
        time.sleep(0.2)


def test_a_consent_map_that_is_opened_at_both_at_once_is_opened_once(pair: Pair, prefix: str) -> None:
    """Both build it at the same time; one transaction opens it, and the other is told that it is open."""
    for turn in range(3):
        dataset = f"{prefix}-cohort-{turn}"
        with pair.gateways[0].client() as client:
            client.register_dataset(
                dataset, title="Cohort", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="personal", basis="consent"
            )
            people = "".join(f"{dataset}-{number},p{number}\n" for number in range(500)).encode()
            client.commit_records(
                dataset, b"id,subject\n" + people, id_field="id", subject_field="subject", consent="ConsentGiven"
            )
        barrier = threading.Barrier(2)

        def open_(number: int, dataset: str = dataset, barrier: threading.Barrier = barrier) -> httpx.Response:
            barrier.wait()
            path, key = f"/v1/datasets/{dataset}/consent", f"open-{dataset}-{number}"
            return pair.ask(number, "POST", path, headers={"Idempotency-Key": key}, json={})

        with ThreadPoolExecutor(2) as pool:
            answers = [each.result() for each in [pool.submit(open_, number) for number in (0, 1)]]
        told = sorted((answer.status_code, answer.json().get("code", "")) for answer in answers)
        assert told == [(201, ""), (409, "already-exists")], [answer.text for answer in answers]
        roots = {
            pair.ask(number, "GET", f"/v1/datasets/{dataset}/consent").json()["record"]["root"] for number in (0, 1)
        }
        assert len(roots) == 1


def test_a_signed_request_counts_once_at_whichever_gateway_it_comes_to(pair: Pair, tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    file = tmp_path / "signer.pem"
    file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    words = [command("pedigree"), "keys", "add", "signer", "--role", "reader", "--public-key", str(file)]
    added = subprocess.run([*words, "--data", str(pair.gateways[0].data)], capture_output=True, check=True)
    keyid = added.stdout.decode().strip()
    signer = HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={keyid: key}),
    )
    time.sleep(1.0)  # nothing counts that was signed in the second in which a gateway started

    def signed(path: str) -> httpx.Request:
        request = httpx.Request("GET", f"http://gateway.example{path}")
        covered = ("@method", "@authority", "@path", "@query")
        now = datetime.datetime.now(datetime.UTC)
        signer.sign(
            request,
            key_id=keyid,
            covered_component_ids=covered,
            created=now,
            nonce=secrets.token_urlsafe(16),
            tag="pedigree",
        )
        return request

    def send(number: int, request: httpx.Request) -> int:
        url, _ = pair.targets[number]
        return httpx.get(f"{url}{request.url.raw_path.decode()}", headers=request.headers, timeout=60).status_code

    for first in (0, 1):
        request = signed("/v1/ledger")
        assert [send(first, request), send(1 - first, request), send(first, request)] == [200, 401, 401]
    request = signed("/v1/ledger")
    with ThreadPoolExecutor(8) as pool:
        statuses = [each.result() for each in [pool.submit(send, number % 2, request) for number in range(8)]]
    assert sorted(statuses) == [200, *[401] * 7]
    pair.gateways[1].kill()
    pair.gateways[1].start(*pair.options)
    assert send(1, request) == 401


def test_a_database_that_is_away_ends_nobody_and_is_used_again(
    pair: Pair, postgresql_server: Server, prefix: str, blocks: Blocks
) -> None:
    def send(number: int, index: int) -> httpx.Response:
        model = f"{prefix}-{index}"
        return pair.ask(
            number, "POST", "/v1/models", json={"model": model, "title": "t"}, headers={"Idempotency-Key": f"k-{model}"}
        )

    assert [send(number, number).status_code for number in (0, 1)] == [201, 201]
    postgresql_server.stop()
    try:
        for number in (0, 1):
            refused = send(number, 2)
            assert (refused.status_code, refused.json()["code"]) == (503, "database-unavailable"), refused.text
        time.sleep(8.0)  # longer than a gateway may be silent
    finally:
        postgresql_server.start()
    until = time.perf_counter() + 30
    while {answer.status_code for answer in (send(0, 2), send(1, 2))} != {201}:
        assert time.perf_counter() < until
        time.sleep(0.2)
    pair.wait_until_leads(0)
    assert not any("stopping" in gateway.log() for gateway in pair.gateways)
    assert len(blocks()) == 3


def test_under_load_one_dies_and_comes_back_then_each_is_renewed_and_nothing_is_lost(
    pair: Pair, load: Load, prefix: str, blocks: Blocks, report: Report
) -> None:
    clients, each = 16, 12
    work = threading.Thread(
        target=load.run, args=(pair.targets,), kwargs={"clients": clients, "each": each, "prefix": prefix}
    )
    work.start()
    while len(load.acknowledged) < clients * each // 5:
        time.sleep(0.02)
    first, second = pair.gateways
    first.kill()
    taken_over = pair.wait_until_leads(1)
    first.start(*pair.options)
    second.terminate(within=60)
    back = pair.wait_until_leads(0)
    second.start(*pair.options)
    work.join()
    report(f"the second led {taken_over:.1f} s after the first was killed, the first {back:.1f} s after the second "
           f"ended; {len(load.acknowledged)} recorded, {load.unanswered} unanswered")  # fmt: skip
    assert load.refused == {}
    assert len(load.acknowledged) == clients * each
    load.judge(blocks())
