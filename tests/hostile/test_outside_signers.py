# SPDX-License-Identifier: Apache-2.0
"""Clients that sign whole transactions themselves: what they can send back in the place of what was prepared."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.msp import msp_config_pb2
from fabricharness import messages
from fabricharness.members import Member, issue
from hostileharness.world import World
from outside import signature

from gateway.server.folders import open_keys
from gateway.services.elsewhere import LARGEST, LARGEST_DOCUMENT
from pedigree import Pedigree, PedigreeError

MEDIA_TYPE = "application/vnd.pedigree.transaction+json"
MIB = 1 << 20
PREPARED = 400
_names = itertools.count(1)


class Outside:
    """Somebody of the lab with a key of their own, and a client of the lab's gateway."""

    def __init__(self, world: World, lab: Pedigree, member: Member | None = None) -> None:
        self.world = world
        self.lab = lab
        self.member = world.orgs["lab"].user if member is None else member
        self.url = f"{world.consortium.url('lab')}/v1/transactions"

    def model(self) -> str:
        return f"outside-{next(_names)}"

    def prepared(self, model: str | None = None, key: str | None = None, title: str = "A model") -> Any:
        command = {"model": model or self.model(), "title": title}
        return self.lab.prepare_transaction("model:register", command, self.member.certificate.decode(), key=key)

    def signed(self, document: Any) -> Any:
        return {**document, "signature": signature(self.member.key, document["digest"])}

    def endorsed(self, model: str | None = None, key: str | None = None) -> Any:
        return self.lab.endorse_transaction(self.signed(self.prepared(model, key)))

    def post(self, step: str, content: bytes | Iterator[bytes]) -> httpx.Response:
        key = self.world.consortium.key("lab")
        headers = {"Authorization": f"Bearer {key}", "Content-Type": MEDIA_TYPE}
        return httpx.post(f"{self.url}/{step}", content=content, headers=headers, timeout=60)

    def records(self, model: str) -> list[Any]:
        """The transactions that registered a model, as another organisation lists them, invalid ones too."""
        other = self.world.clients["hospital"]
        other.at_least(self.world.height())
        listed: list[Any] = other.transactions(function="model:register", about=f"model:{model}")["items"]
        return listed


@pytest.fixture(scope="module")
def outside(world: World) -> Outside:
    return Outside(world, world.clients["lab"])


@pytest.fixture(scope="module")
def other_client(world: World) -> Iterator[Pedigree]:
    """Another client of the lab's gateway."""
    with ExitStack() as guard:
        key = open_keys(world.consortium.directory / "gateways" / "lab", guard).add("outside-other", "operator")
    with Pedigree(world.consortium.url("lab"), key, timeout=60) as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def early(outside: Outside) -> Any:
    """Prepared before everything else here, and sent back last."""
    return outside.signed(outside.prepared())


def code(action: Callable[[], Any]) -> str:
    """How a call was refused, or `taken`."""
    try:
        action()
    except PedigreeError as refusal:
        return str(refusal.code)
    return "taken"


# -- whose certificate -------------------------------------------------------------------------------------------------


def test_certificates_that_do_not_count_prepare_nothing(world: World, outside: Outside) -> None:
    authority, minute = world.orgs["lab"].folder / "ca", timedelta(minutes=1)
    now = datetime.now(UTC)
    tried = {
        "another organisation's": world.orgs["regulator"].user.certificate.decode(),
        "of no CA of the lab's": issue("LabMSP", None).certificate.decode(),
        "ended": issue("LabMSP", authority, begins=now - 3 * minute, ends=now - minute).certificate.decode(),
        "with its key": outside.member.certificate.decode() + pem_of(outside.member.key),
        "none": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "text": "\x00" * 100,
        "huge": outside.member.certificate.decode() + "A" * 20_000,
    }
    command = {"model": outside.model(), "title": "T"}
    answers = {
        what: code(lambda: outside.lab.prepare_transaction("model:register", command, pem))  # noqa: B023
        for what, pem in tried.items()
    }
    assert answers == dict.fromkeys(tried, "invalid-field")
    # What stands around a certificate is not taken, so it is in no message and on no ledger.
    around = f"Subject: somebody\n{outside.member.certificate.decode()}more"
    prepared = outside.lab.prepare_transaction("model:register", command, around)
    assert prepared["certificate"] == outside.member.certificate.decode()


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def test_a_node_of_the_organisation_records_nothing(world: World) -> None:
    """Its certificate is of the organisation, and the channel lets no node write."""
    node = Outside(world, world.clients["lab"], world.orgs["lab"].peer_member)
    model = node.model()
    answer = node.post("endorse", json.dumps(node.signed(node.prepared(model))).encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-field"), answer.text
    assert answer.json()["facts"]["pointer"] == "/certificate"
    assert not node.records(model)


def revocation_list(world: World, serial: int) -> bytes:
    authority = world.orgs["lab"].folder / "ca"
    known = x509.load_pem_x509_certificate(next(authority.glob("*-cert.pem")).read_bytes())
    key: Any = serialization.load_pem_private_key((authority / "priv_sk").read_bytes(), None)
    now = datetime.now(UTC)
    subject_key = known.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(known.subject)
        .last_update(now)
        .next_update(now + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key), critical=False)
        .add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build())
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def test_a_revoked_certificate_gets_no_further_at_any_step(world: World) -> None:
    """Prepared and endorsed while it counted; revoked, it is refused at each of the three steps."""
    person = issue("LabMSP", world.orgs["lab"].folder / "ca")
    outside = Outside(world, world.clients["lab"], person)
    models = [outside.model() for _ in range(3)]
    prepared, endorsed = outside.signed(outside.prepared(models[0])), outside.signed(outside.endorsed(models[1]))
    listed = revocation_list(world, person.x509.serial_number)

    def with_list(msp: msp_config_pb2.FabricMSPConfig) -> None:
        msp.revocation_list.append(listed)

    with world.own_msp_restored("lab"):
        assert world.change_own_msp("lab", with_list) is None
        world.settle()
        with pytest.raises(PedigreeError) as refused:
            outside.prepared(models[2])
        assert refused.value.code == "invalid-field"
        for step, document in (("endorse", prepared), ("submit", endorsed)):
            answer = outside.post(step, json.dumps(document).encode())
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid-field"), (step, answer.text)
        world.settle()
        assert not [one for model in models for one in outside.records(model) if one["validity"] == "VALID"]


# -- what comes back ---------------------------------------------------------------------------------------------------


def altered(content: str) -> str:
    """Base64 of the same bytes, but for one in the middle."""
    data = bytearray(base64.b64decode(content))
    data[len(data) // 2] ^= 1
    return base64.b64encode(bytes(data)).decode()


def test_what_differs_from_what_was_prepared_is_refused(world: World, outside: Outside, other_client: Pedigree) -> None:
    regulator = world.orgs["regulator"].user
    model = outside.model()
    prepared = outside.prepared(model)
    elsewhere = messages.proposal("another", "pedigree", ["model:register", "{}"], outside.member)
    other = outside.prepared()
    endorsed = outside.lab.endorse_transaction(outside.signed(prepared))
    for step, document, beside in (("endorse", prepared, other), ("submit", endorsed, prepared)):
        call = getattr(outside.lab, f"{step}_transaction")
        good = outside.signed(document)
        proposal = gateway_pb2.ProposedTransaction(
            transaction_id=elsewhere.transaction_id, proposal=elsewhere.signed
        ).SerializeToString()
        tried: dict[str, tuple[Any, str]] = {
            "another's key": ({**document, "signature": signature(regulator.key, document["digest"])}, "bad-signature"),
            "over something else": (
                {**document, "signature": signature(outside.member.key, "ab" * 32)}, "bad-signature",
            ),
            "high S": (
                {**document, "signature": signature(outside.member.key, document["digest"], high=True)},
                "bad-signature",
            ),
            "no signature of any kind": ({**document, "signature": "AAAA"}, "bad-signature"),
            "none": (document, "missing-field"),
            "one byte of the payload": ({**good, "content": altered(document["content"])}, "not-prepared-here"),
            "another channel's": (
                {**good, "content": base64.b64encode(proposal).decode()}, "not-prepared-here",
            ),
            "another one's payload": ({**good, "content": beside["content"]}, "not-prepared-here"),
            "another one's seal": ({**good, "seal": beside["seal"]}, "not-prepared-here"),
            "another command": (
                {**good, "command": good["command"].replace("A model", "Another")}, "not-prepared-here",
            ),
            "another certificate": ({**good, "certificate": regulator.certificate.decode()}, "not-prepared-here"),
            "another key": ({**good, "key": "another"}, "not-prepared-here"),
            "another answer": ({**good, "reply": {"record": {}}}, "not-prepared-here"),
            "more time": ({**good, "sign_before": good["sign_before"] + 60_000}, "not-prepared-here"),
            "another stage": ({**good, "stage": beside["stage"], "content": beside["content"]}, "not-prepared-here"),
            "another function": ({**good, "function": "dataset:register"}, "not-prepared-here"),
        }  # fmt: skip
        answers = {what: code(lambda: call(sent)) for what, (sent, _) in tried.items()}  # noqa: B023
        assert answers == {what: expected for what, (_, expected) in tried.items()}, step
        # Nor what is right, where another has it: a client of the same gateway, or another organisation's gateway.
        for client in (other_client, world.clients["regulator"]):
            assert code(lambda: getattr(client, f"{step}_transaction")(good)) == "not-prepared-here"  # noqa: B023
    assert code(lambda: outside.lab.submit_transaction(outside.signed(prepared))) == "not-prepared-here"
    assert not outside.records(model)
    assert outside.lab.submit_transaction(outside.signed(endorsed))["state"] == "succeeded"
    assert [one["validity"] for one in outside.records(model)] == ["VALID"]


def test_what_is_too_large_or_without_sense_is_refused(outside: Outside) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(4_096):
            yield b"x" * 16_384

    huge = outside.prepared()
    huge["reply"] = {"record": "x" * LARGEST_DOCUMENT}
    for step in ("prepare", "endorse", "submit"):
        for content, codes in (
            (b"", {"invalid-json"}),
            (b"\x00" * 4_096, {"invalid-json"}),
            (b"[" * 200_000, {"too-deep"}),
            (b'{"a":' * 100_000, {"too-deep"}),
            (b"[]", {"invalid-body"}),
            (b'{"function": "model:register", "function": "model:register"}', {"duplicate-name"}),
            (b'{"function": "model:register", "seal": 1e400}', {"float-refused"}),
            (b'{"function": "record:get", "key": "k", "certificate": "c", "command": {}}', {"invalid-field"}),
            (json.dumps(huge).encode(), {"body-too-large"}),
            (b'"' + b"x" * 30 * MIB, {"body-too-large"}),
        ):
            answer = outside.post(step, content)
            assert answer.status_code in (400, 413, 422), (step, content[:40])
            assert answer.json()["code"] in codes, (step, content[:40])
        with contextlib.suppress(httpx.HTTPError):  # it may be closed before all was sent
            assert outside.post(step, endless()).status_code in (400, 411, 413)
    with pytest.raises(PedigreeError) as refused:
        outside.prepared(title="x" * (LARGEST + 1))
    assert refused.value.code == "invalid-field"


# -- how often ---------------------------------------------------------------------------------------------------------


def test_two_submits_of_one_transaction_record_it_once(outside: Outside) -> None:
    model = outside.model()
    sent = outside.signed(outside.endorsed(model))
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: outside.lab.submit_transaction(sent), range(12)))
    assert {json.dumps(each["result"]["transaction"]) for each in answers} == {
        json.dumps(answers[0]["result"]["transaction"])
    }
    (recorded,) = outside.records(model)
    assert (recorded["id"], recorded["validity"]) == (sent["transaction_id"], "VALID")


def test_one_key_records_once_whatever_is_signed_under_it(world: World, outside: Outside) -> None:
    """Two commands, two persons and two endorsements of one proposal, all under one key, at the same time."""
    key = f"one-key-{next(_names)}"
    person = Outside(world, outside.lab, issue("LabMSP", world.orgs["lab"].folder / "ca"))
    model, another = outside.model(), outside.model()
    first = outside.signed(outside.prepared(model, key))
    documents = [outside.signed(outside.lab.endorse_transaction(first)) for _ in range(2)]
    documents.append(outside.signed(outside.endorsed(another, key)))
    documents.append(person.signed(person.endorsed(model, key)))

    def submit(document: Any) -> str:
        return code(lambda: outside.lab.submit_transaction(document))

    with ThreadPoolExecutor(8) as pool:
        counted = Counter(pool.map(submit, documents * 3))
    assert set(counted) <= {"taken", "idempotency-key-reused"}, counted
    assert len([*outside.records(model), *outside.records(another)]) == 1


def ordered(document: Any, member: Member, *, change: bytes | None = None) -> Any:
    """The envelope of an endorsed transaction, signed past the gateway; with another answer in it, if it is given."""
    made = gateway_pb2.PreparedTransaction.FromString(base64.b64decode(document["content"]))
    payload = made.envelope.payload
    return messages.envelope(payload if change is None else payload.replace(change, b"X" * len(change)), member)


def test_what_is_ordered_past_the_gateway_counts_once(world: World, outside: Outside) -> None:
    model = outside.model()
    document = outside.endorsed(model)
    assert world.order(ordered(document, outside.member)) == [common_pb2.SUCCESS]
    world.settle()
    answer = outside.lab.submit_transaction(outside.signed(document))
    assert answer["result"]["transaction"]["id"] == document["transaction_id"]
    assert answer["result"]["record"]["model"] == model
    assert [one["validity"] for one in outside.records(model)] == ["VALID"]


def test_an_id_that_its_holder_burnt_is_answered_as_it_is(world: World, outside: Outside) -> None:
    """An altered transaction is ordered under the id first: the genuine one is a repetition of it, and fails."""
    model = outside.model()
    document = outside.endorsed(model)
    assert world.order(ordered(document, outside.member, change=model.encode())) == [common_pb2.SUCCESS]
    world.settle()
    refused = code(lambda: outside.lab.submit_transaction(outside.signed(document)))
    assert refused not in ("taken", "internal-error"), refused
    assert code(lambda: outside.lab.submit_transaction(outside.signed(document))) == refused
    assert "VALID" not in [one["validity"] for one in outside.records(model)]
    assert outside.lab.submit_transaction(outside.signed(outside.endorsed(model)))["state"] == "succeeded"


def kept(world: World) -> tuple[int, int]:
    """Bytes that the lab's gateway has in memory and on disk."""
    process = world.program("gateway-lab").process
    assert process is not None
    memory = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == process.pid:
                memory += int((entry / "statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
        except OSError:
            continue
    folder = world.consortium.directory / "gateways" / "lab"
    return memory, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.timeout(900)
def test_hundreds_prepared_and_never_submitted_leave_nothing(world: World, outside: Outside) -> None:
    outside.prepared()
    before = kept(world)
    long = "x" * 4_000  # as long as a text may be: 5 MB of commands

    def prepare(number: int) -> int:
        content = {
            "function": "model:register",
            "command": {"model": f"never-{number}", "title": long, "task": long, "description": long},
            "certificate": outside.member.certificate.decode(),
            "key": f"never-{number}",
        }
        return outside.post("prepare", json.dumps(content).encode()).status_code

    with ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        answers = pool.map(prepare, range(PREPARED))
        world.expect_honest_work()
        statuses = set(answers)
    assert 200 in statuses, "they were prepared, and not all refused for their form"
    assert statuses <= {200, 429, 503}
    after = kept(world)
    print(f"\n{PREPARED} in {time.monotonic() - began:.1f} s: "
          f"{after[0] - before[0]} more bytes in memory, {after[1] - before[1]} on disk")  # fmt: skip
    assert after[0] - before[0] < 64 * MIB
    assert after[1] - before[1] < 4 * MIB


def test_a_flood_of_wrong_signatures_stops_no_other_work(world: World, outside: Outside) -> None:
    bad = [
        ("endorse", {**outside.prepared(), "signature": "AAAA"}),
        ("submit", {**outside.endorsed(), "signature": "AAAA"}),
        ("endorse", {**outside.signed(outside.prepared()), "seal": "0" * 64}),
    ]
    stop, answers = threading.Event(), Counter[tuple[int, str]]()

    def flood() -> None:
        while not stop.is_set():
            for step, document in bad:
                answer = outside.post(step, json.dumps(document).encode())
                answers[answer.status_code, answer.json()["code"]] += 1

    with ThreadPoolExecutor(6) as pool:
        floods = [pool.submit(flood) for _ in range(6)]
        try:
            time.sleep(1)
            world.expect_honest_work()
        finally:
            stop.set()
        for each in floods:
            each.result()
    assert sum(answers.values()) > 12
    told = {(422, "bad-signature"), (422, "not-prepared-here"), (429, "too-many-requests"), (503, "capacity")}
    assert set(answers) <= told, answers


def test_what_was_signed_too_late_is_refused(outside: Outside, early: Any) -> None:
    time.sleep(max(0.0, early["sign_before"] / 1000 - time.time() + 0.5))
    assert code(lambda: outside.lab.endorse_transaction(early)) == "signed-too-late"
