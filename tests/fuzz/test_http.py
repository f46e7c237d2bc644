# SPDX-License-Identifier: Apache-2.0
"""Uploads, heads and bodies that are almost right, sent to the running server: nothing fails, nothing is recorded."""

from __future__ import annotations

import random
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fuzz.conftest import Fuzzing

EVERY = 40
"""Rounds after which an honest request is sent."""
HEAD = (
    b"POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: k{number}\r\n"
    b"Content-Type: {type}\r\n{framing}\r\n\r\n"
)
PATHS = (
    "/v1/models", "/v1/datasets", "/v1/runs", "/v1/criteria", "/v1/evaluations", "/v1/deployments", "/v1/policies",
    "/v1/datasets/d/versions",
    "/v1/datasets/d/versions?id_field=id", "/v1/datasets/d/versions?id_field=id&consent=Consented&purposes=Research",
    "/v1/datasets/d/versions/1/verify", "/v1/models/net/versions", "/v1/artifacts/model-version:net:1/endorsements",
    "/v1/datasets/%2e%2e/versions", "/v1/lineage/model-version%3Anet%3A1?limit=1&direction=up",
)  # fmt: skip
TYPES = ("application/json", "text/csv", "application/jsonl", "text/csv; charset=latin-1", "text/plain", "")
BODIES = (
    b'{"model":"net","title":"Net"}',
    b'{"dataset":"d","title":"D","licence":"MIT","origin":{"source":"x","method":"y","geography":["US"]}}',
    b'id,x\r\nr1,"a ""quoted"" field"\r\nr2,"two\nlines"\r\n',
    b"\xef\xbb\xbfid;x\n1;2\n",
    b'{"id":"a","x":1}\n{"id":"b","x":[1.5e300,null,true]}\n',
    b"",
)
PIECES = (
    b"\x00", b"\r", b"\n", b"\r\n\r\n", b'"', b"\\u0000", b"\\ud800", b"\xff\xfe", b"\xe2\x80\xae", b"1e999", b"-0",
    b"NaN", b"[" * 64, b"{" * 64, b"9" * 400, b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"%00%ff", b"..%2f",
    b"Content-Length: 5\r\n", b"?a=1&a=2", b"\xf0\x9f\x92\xa9", b"Min-Ledger-Height: 99999999999999999999\r\n",
    b"Expect: 100-continue\r\n", b"Prefer: respond-async\r\n", b"Endorsing-Organisations: \xc3\xa4, ,\r\n",
    b"Content-Encoding: gzip\r\n",
)  # fmt: skip


def spoil(chance: random.Random, text: bytes) -> bytes:
    """Insert, remove, repeat, turn or cut off a few bytes."""
    for _ in range(chance.randint(0, 3)):
        at = chance.randint(0, len(text))
        until = min(len(text), at + chance.choice((1, 2, 8, 64)))
        change = chance.randrange(5)
        if change == 0:
            text = text[:at]
            continue
        turned = bytes(byte ^ chance.randrange(256) for byte in text[at:until])
        middle = (chance.choice(PIECES) + text[at:until], b"", text[at:until] * 2, turned)[change - 1]
        text = text[:at] + middle + text[until:]
    return text


def framed(chance: random.Random, body: bytes) -> tuple[bytes, bytes]:
    """How a body is announced, and how it is sent; sometimes the one is not the other."""
    choice = chance.randrange(8)
    if choice < 4:
        return b"Content-Length: %d" % (len(body) + max(0, chance.randint(-20, 5))), body
    if choice == 4:
        length = (b"0x10", b"+5", b"5, 5", b"\xc2\xb2", b"1" * 30, b"-3", b"")[chance.randrange(7)]
        return b"Content-Length: " + length, body
    size = max(1, chance.randrange(len(body) + 1))
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[n : n + size]), body[n : n + size]) for n in range(0, len(body), size)
    )
    return b"Transfer-Encoding: chunked", spoil(chance, chunks + b"0\r\n\r\n") if choice > 5 else chunks + b"0\r\n\r\n"


def fill(values: Mapping[bytes, bytes]) -> bytes:
    """The head of a request with these values."""
    head = HEAD
    for name, value in values.items():
        head = head.replace(name, value)
    return head


def request(chance: random.Random, gateway: Any) -> bytes:
    """One request that is almost right."""
    body = spoil(chance, chance.choice(BODIES))
    framing, sent = framed(chance, body)
    values = {
        b"{path}": chance.choice(PATHS).encode(),
        b"{key}": gateway.keys[chance.choice(("reader", "recorder", "operator"))].encode(),
        b"{number}": b"%d" % chance.getrandbits(60),
        b"{type}": chance.choice(TYPES).encode(),
        b"{framing}": framing,
    }
    head = fill(values)
    if chance.randrange(4) == 0:
        head = head.replace(b"POST", chance.choice((b"GET", b"PUT", b"HEAD", b"post", b"OPTIONS", b"CONNECT")), 1)
    return (spoil(chance, head) if chance.randrange(2) else head) + sent


def converse(gateway: Any, chance: random.Random, sent: bytes) -> bytes:
    """Send it in one piece or two, end the sending half, and read what comes."""
    cut = chance.randrange(len(sent) + 1) if chance.randrange(3) == 0 else len(sent)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as sock:
        found = b""
        try:
            sock.sendall(sent[:cut])
            if chance.randrange(2):
                sock.sendall(sent[cut:])
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                found += data
        except (ConnectionResetError, BrokenPipeError):
            pass
        return found


def judge(answer: bytes) -> None:
    """An answer, if any, is HTTP that says what was wrong; 501 is for what HTTP itself does not know here."""
    for part in answer.split(b"HTTP/1.1 ")[1:]:
        status = int(part[:3])
        assert status < 500 or status == 501, answer
        if status >= 400:
            assert b"content-type: application/problem+json" in part.lower(), answer


def honest(gateway: Any, number: int) -> None:
    """Record something as everybody does."""
    body = b'{"model":"m%d","title":"Honest"}' % number
    started = time.monotonic()
    status, _ = gateway.ask(
        "POST", "/v1/models", body, Idempotency_Key=f"honest{number}", Content_Type="application/json"
    )
    assert status == 201
    assert time.monotonic() - started < 30


@pytest.mark.timeout(0)
def test_what_is_almost_a_request_fails_nothing(start_memory_gateway: Callable[..., Any], fuzzing: Fuzzing) -> None:
    gateway = start_memory_gateway(body_within=5)
    for chance in fuzzing.rounds("http"):
        judge(converse(gateway, chance, request(chance, gateway)))
        if fuzzing.count % EVERY == 1:
            honest(gateway, fuzzing.count)
    honest(gateway, fuzzing.count + 1)
    assert gateway.failures() == ""


def test_every_refusal_leaves_the_ledger_as_it_was(start_memory_gateway: Callable[..., Any], fuzzing: Fuzzing) -> None:
    gateway = start_memory_gateway(body_within=5)
    before = gateway.height
    for chance in fuzzing.rounds("http-cut"):
        body = chance.choice(BODIES[:5]) * chance.choice((1, 1, 50))
        framing, sent = (
            (b"Content-Length: %d" % len(body), body)
            if chance.randrange(2)
            else (b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        )
        path = chance.choice(PATHS).encode()
        fields = {
            b"{path}": path,
            b"{key}": gateway.keys["operator"].encode(),
            b"{number}": b"%d" % chance.getrandbits(60),
            b"{type}": chance.choice(TYPES[:3]).encode(),
            b"{framing}": framing,
        }
        head = fill(fields)
        whole = head + sent
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as sock:
            sock.sendall(whole[: chance.randrange(len(whole))])
            if chance.randrange(2):
                sock.shutdown(socket.SHUT_WR)
                select.select([sock], [], [], 30)
                judge(sock.recv(65536))
    honest(gateway, fuzzing.count)
    assert gateway.height == before + 1
    assert gateway.failures() == ""
