# SPDX-License-Identifier: Apache-2.0
"""Who comes for data: a stranger, a member with another's attempt, a recipient that reads slowly or never."""

from __future__ import annotations

import base64
import contextlib
import datetime
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fabric_protos.msp import msp_config_pb2
from fabricharness.members import Member
from hostileharness.world import CHANNEL, World

from gateway.demo.founding import ORIGIN
from pedigree.sealing.fetching import Claim, Statement, message_of, public_bytes

TEXT = b"%08d" * 512
ROWS = 2_000
CONTENT = b"id,text\n" + b"".join(b"h%d,%s\n" % (number, TEXT % ((number,) * 512)) for number in range(ROWS))
"""8 MB."""
MIB = 1 << 20
_names = itertools.count(1)


@dataclass
class Owner:
    """The hospital's data gateway, as those see it who come for data."""

    world: World
    dataset: str

    @property
    def port(self) -> int:
        return self.world.consortium.ports["hospital"].gateway

    @property
    def url(self) -> str:
        return self.world.consortium.url("hospital")

    def grant(self, grantee: str = "LabMSP", **terms: Any) -> str:
        name = f"{self.dataset}-{next(_names)}"
        given = self.world.clients["hospital"].grant_access(
            name, grantee=grantee, artifact=f"dataset-version:{self.dataset}:1", purpose="research",
            actions=["download"], expires=time.time_ns() // 1_000_000 + 3_600_000, **terms,
        )  # fmt: skip
        for client in self.world.clients.values():
            client.at_least(given.height)
            client.access_grant(name)
        return name

    def attempt(self, grant: str, by: str = "lab") -> str:
        made: Any = self.world.clients[by].attempt_access(
            grant, artifact=f"dataset-version:{self.dataset}:1", action="download", purpose="research"
        )
        assert made.record["decision"] == "allowed"
        for client in self.world.clients.values():
            client.at_least(made.height)
            client.access_attempt(made.record["attempt"])
        return str(made.record["attempt"])

    def signed(self, attempt: str, member: Member, **changes: Any) -> bytes:
        """A statement of a member's own making."""
        public = public_bytes(ec.generate_private_key(ec.SECP256R1()))
        said = {
            "channel": CHANNEL, "attempt": attempt, "audience": "HospitalMSP", "at": time.time_ns() // 1_000_000,
            "nonce": os.urandom(16).hex(), "key": public, **changes,
        }  # fmt: skip
        statement = Statement(**said)
        signature = member.sign(message_of(statement.encode()))
        return Claim(statement, signature, member.mspid, member.certificate).encode()

    def post(self, envelope: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/data", content=envelope, timeout=30)

    def code(self, envelope: bytes) -> str:
        answer = self.post(envelope)
        return str(answer.json().get("code", answer.status_code))

    def begun(self, by: str = "lab") -> Any:
        """A delivery that was begun, with a grant and an attempt of its own."""
        organisation = self.world.orgs[by]
        attempt = self.attempt(self.grant(organisation.mspid), by)
        answer = self.post(self.signed(attempt, organisation.user))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def memory(self) -> int:
        """Bytes that the hospital's gateway has in memory."""
        process = self.world.program("gateway-hospital").process
        assert process is not None
        found = 0
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == process.pid:
                    found += int((entry / "statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
        return found


@pytest.fixture(scope="module")
def published(world: World) -> Owner:
    name = "hostile-recipients"
    hospital = world.clients["hospital"]
    hospital.register_dataset(
        name, title="Texts", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal", basis="public-task"
    )
    hospital.commit_records(name, CONTENT, id_field="id")
    hospital.publish_dataset(name, 1, CONTENT)
    return Owner(world, name)


# -- who asks ----------------------------------------------------------------------------------------------------------


def issued(world: World, name: str, *, until: datetime.timedelta, issuer: Member | None = None) -> Member:
    """A certificate as the lab's CA would issue it, ended or not, or by somebody who is no CA of the lab's."""
    authority = world.orgs[name].folder / "ca"
    known = x509.load_pem_x509_certificate(next(authority.glob("*-cert.pem")).read_bytes())
    loaded = serialization.load_pem_private_key((authority / "priv_sk").read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    units = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "client")]
    subject = x509.Name([*units, x509.NameAttribute(NameOID.COMMON_NAME, "recipient")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(known.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(known.not_valid_before_utc)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(loaded if issuer is None else issuer.key, hashes.SHA256())
    )
    return Member("LabMSP", certificate.public_bytes(serialization.Encoding.PEM), key)


def test_only_the_grantee_is_given_anything(world: World, published: Owner) -> None:
    """Others' certificates, certificates that ended, others' CAs, other places: each is refused in its own words."""
    attempt = published.attempt(published.grant())
    lab, maker = world.orgs["lab"].user, world.orgs["regulator"].user
    day = datetime.timedelta(days=1)
    tried: dict[str, tuple[bytes, str]] = {
        "another organisation": (published.signed(attempt, maker), "fetch-by-another"),
        "under its name": (published.signed(attempt, maker.claiming("LabMSP")), "fetch-statement-invalid"),
        "another key": (published.signed(attempt, lab.with_key_of(maker)), "fetch-statement-invalid"),
        "another CA": (
            published.signed(attempt, issued(world, "lab", until=day, issuer=maker)), "fetch-statement-invalid",
        ),
        "a certificate that ended": (
            published.signed(attempt, issued(world, "lab", until=-day / 24 / 60)), "fetch-statement-invalid",
        ),
        "another owner": (published.signed(attempt, lab, audience="RegulatorMSP"), "fetch-statement-elsewhere"),
        "another channel": (published.signed(attempt, lab, channel="other"), "fetch-statement-elsewhere"),
        "a stale statement": (
            published.signed(attempt, lab, at=time.time_ns() // 1_000_000 - 130_000), "fetch-statement-stale",
        ),
        "a statement ahead": (
            published.signed(attempt, lab, at=time.time_ns() // 1_000_000 + 130_000), "fetch-statement-stale",
        ),
        "another's attempt": (
            published.signed(published.attempt(published.grant("RegulatorMSP"), "regulator"), lab), "fetch-by-another",
        ),
        "an attempt of nobody": (published.signed("ab" * 32, lab), "attempt-unknown"),
        "a transaction that is none": (published.signed(world.clients["lab"].register_model(
            f"hostile-{next(_names)}", title="T").transaction_id, lab), "attempt-unknown"),
    }  # fmt: skip
    assert {what: published.code(envelope) for what, (envelope, _) in tried.items()} == {
        what: code for what, (_, code) in tried.items()
    }
    assert published.post(published.signed(attempt, issued(world, "lab", until=day))).status_code == 200


def test_a_revoked_certificate_is_given_nothing(world: World, published: Owner) -> None:
    attempt = published.attempt(published.grant())
    recipient = issued(world, "lab", until=datetime.timedelta(days=1))
    authority = world.orgs["lab"].folder / "ca"
    known = x509.load_pem_x509_certificate(next(authority.glob("*-cert.pem")).read_bytes())
    loaded: Any = serialization.load_pem_private_key((authority / "priv_sk").read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    revoked = x509.RevokedCertificateBuilder().serial_number(recipient.x509.serial_number).revocation_date(now).build()
    listed = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(known.subject)
        .last_update(now)
        .next_update(now + datetime.timedelta(days=1))
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                known.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .add_revoked_certificate(revoked)
        .sign(loaded, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )

    def with_list(msp: msp_config_pb2.FabricMSPConfig) -> None:
        msp.revocation_list.append(listed)

    with world.own_msp_restored("lab"):
        assert world.change_own_msp("lab", with_list) is None
        world.settle()
        assert published.code(published.signed(attempt, recipient)) == "fetch-statement-invalid"


def test_a_statement_is_taken_once_however_often_it_is_sent(world: World, published: Owner) -> None:
    attempt = published.attempt(published.grant())
    envelope = published.signed(attempt, world.orgs["lab"].user)
    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(published.code, [envelope] * 12))
    assert sorted(codes) == ["200", *["fetch-statement-repeated"] * 11]
    world.restart_gateway("hospital")
    assert published.code(envelope) == "fetch-statement-repeated"
    altered = json.loads(envelope)
    altered["signatures"][0]["sig"] = base64.b64encode(os.urandom(70)).decode()
    assert published.code(json.dumps(altered).encode()) == "fetch-statement-invalid"


def test_many_who_begin_under_one_attempt_get_one_delivery(world: World, published: Owner) -> None:
    attempt = published.attempt(published.grant(uses=1))
    user = world.orgs["lab"].user
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(published.post, [published.signed(attempt, user) for _ in range(12)]))
    begun = [answer.json() for answer in answers if answer.status_code == 200]
    assert 1 <= len(begun) <= 8
    assert {answer.json()["code"] for answer in answers if answer.status_code != 200} <= {"attempt-begun-too-often"}
    with ThreadPoolExecutor(8) as pool:
        reads = list(pool.map(lambda said: httpx.get(f"{published.url}/v1/data/{said['delivery']}"), begun))
    assert sorted(read.status_code for read in reads) == [200, *[409] * (len(begun) - 1)]
    assert published.code(published.signed(attempt, user)) in ("attempt-used", "attempt-begun-too-often")


# -- what is sent ------------------------------------------------------------------------------------------------------


POST = b"POST /v1/data HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 5\r\n\r\n{}",
        POST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
        POST + b"Content-Length: 33000\r\n\r\n" + b"{" * 33_000,
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"[" * 4096 + b"\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"[" * 4096 + b"\r\n") * 20 + b"0\r\n\r\n",
        POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        POST + b"X: " + b"y" * 100_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"X: y\r\n" * 5_000 + b"Content-Length: 2\r\n\r\n{}",
        POST + b"Content-Length: 2\r\n\r\n{}",
        POST + b"Content-Length: 20000\r\n\r\n" + b"[" * 20_000,
        b"PUT /v1/data HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"GET /v1/data/" + b"A" * 43 + b" HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\n",
        b"GET /v1/data/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/data/%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/data/" + b"A" * 7_000 + b"/bundle HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["cut", "announced", "long", "negative", "two-lengths", "cut-chunks", "endless-chunks", "gzip", "huge-header",
         "many-headers", "empty", "deep", "method", "no-token", "dots", "bytes", "long-token"],
)  # fmt: skip
def test_what_is_no_request_for_data_is_refused(world: World, published: Owner, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", published.port), timeout=30) as one:
        with contextlib.suppress(OSError):
            one.sendall(sent)
            one.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while more := one.recv(65_536):
                answer += more
    if answer:
        assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
        assert b"application/problem+json" in answer, answer[:400]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=0-", 200), ("bytes=5-9", 206), ("bytes=-7", 206), ("bytes=-99999999999999", 200),
        ("bytes=TOTAL-", 416), ("bytes=999999999999999-", 416), ("bytes=-0", 416), ("bytes=9-5", 416),
        ("bytes=0-99999999999999", 200), ("bytes=LAST-LAST", 206), ("bytes=0-1,5-6", 200), ("bytes=-", 200),
        ("bytes=" + "0-0," * 2_000, 200), ("items=0-5", 200), ("bytes=1e3-", 200), ("bytes=9999999999999999-", 200),
        ("bytes=\u0664-", 200),
    ],
)  # fmt: skip
def test_ranges_out_of_bounds_give_no_byte_that_is_not_there(
    published: Owner, whole: bytes, asked: str, status: int, delivery: str
) -> None:
    text = asked.replace("TOTAL", str(len(whole))).replace("LAST", str(len(whole) - 1))
    with httpx.stream("GET", f"{published.url}/v1/data/{delivery}", headers=[("Range", text.encode())]) as answer:  # type: ignore[list-item]
        content = b"".join(answer.iter_raw())
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"
    elif status == 206:
        span, _, total = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")
        first, _, last = span.partition("-")
        assert int(total) == len(whole)
        assert content == whole[int(first) : int(last) + 1]
    else:
        assert content == whole


@pytest.fixture(scope="module")
def delivery(published: Owner) -> str:
    return str(published.begun()["delivery"])


@pytest.fixture(scope="module")
def whole(published: Owner, delivery: str) -> bytes:
    """The sealed bytes."""
    return httpx.get(f"{published.url}/v1/data/{delivery}").content


def test_recipients_that_do_not_read_cost_their_own_share(world: World, published: Owner) -> None:
    """The lab asks for data on 300 connections and reads nothing; the regulator fetches, and honest work goes on."""
    said = published.begun()
    before = published.memory()
    head = f"GET /v1/data/{said['delivery']} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with contextlib.ExitStack() as held:
        for _ in range(300):
            one = held.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            one.settimeout(5)
            with contextlib.suppress(OSError):
                one.connect(("127.0.0.1", published.port))
                one.sendall(head)
        time.sleep(1)
        world.expect_honest_work()
        other = published.begun("regulator")
        answer = httpx.get(f"{published.url}/v1/data/{other['delivery']}", timeout=30)
        assert (answer.status_code, len(answer.content)) == (200, other["sealed_size"])
        refused = httpx.get(f"{published.url}/v1/data/{said['delivery']}", timeout=30)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
        assert published.memory() - before < 200 * MIB
        assert httpx.get(f"http://127.0.0.1:{world.consortium.ports['hospital'].health}/healthz").status_code == 200
    until(lambda: httpx.get(f"{published.url}/v1/data/{said['delivery']}", timeout=30).status_code == 200)


def test_statements_that_drip_hold_no_place(world: World, published: Owner) -> None:
    attempt = published.attempt(published.grant())
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(socket.create_connection(("127.0.0.1", published.port))) for _ in range(200)]
        for one in slow:
            one.sendall(POST + b"Content-Length: 30000\r\n\r\n")
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                for one in slow:
                    with contextlib.suppress(OSError):
                        one.send(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            world.expect_honest_work()
            envelope = published.signed(attempt, world.orgs["lab"].user)
            until(lambda: published.code(envelope) in ("200", "fetch-statement-repeated"))
        finally:
            stop.set()
            thread.join()


def until(said: Callable[[], bool], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not said():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)
