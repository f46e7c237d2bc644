# SPDX-License-Identifier: Apache-2.0
"""The SDK against a scripted gateway: patience, errors, runs and proofs."""

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaincode.domain.model import FileEntry, manifest_digest
from chaincode.domain.values import Count, Digest, FilePath
from pedigree import Pedigree, Refused, Unavailable, Unreachable, digest_files
from pedigree import manifest_digest as sdk_manifest_digest

DONE = {
    "record": {"kind": "model"},
    "event": {"name": "ModelRegistered"},
    "transaction": {"id": "ab" * 32, "block": 6},
}


class Script:
    """Answers requests from a list and remembers them."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)


@pytest.fixture
def make() -> Callable[..., tuple[Pedigree, Script]]:
    def build(*answers: Any, timeout: float = 10.0) -> tuple[Pedigree, Script]:
        script = Script(*answers)
        return Pedigree("http://gateway", "id.secret", timeout=timeout, transport=httpx.MockTransport(script)), script

    return build


def problem(status: int, code: str, *, retryable: bool = False, **headers: str) -> httpx.Response:
    body = {"code": code, "detail": "No.", "retryable": retryable, "facts": {"transaction_id": "x"}}
    return httpx.Response(status, json=body, headers=headers)


def test_trouble_is_repeated_with_the_same_key(make: Any) -> None:
    pedigree, script = make(
        httpx.ConnectError("refused"), problem(503, "capacity", retryable=True), httpx.Response(201, json=DONE)
    )
    recorded = pedigree.register_model("net", title="Net")
    assert (recorded.block, recorded.height, recorded.replayed) == (6, 7, False)
    assert len({request.headers["Idempotency-Key"] for request in script.requests}) == 1
    assert all(request.headers["Authorization"] == "Bearer id.secret" for request in script.requests)


def test_each_recording_has_a_key_of_its_own_unless_one_is_given(make: Any) -> None:
    pedigree, script = make(*[httpx.Response(201, json=DONE)] * 3)
    pedigree.register_model("a", title="a")
    pedigree.register_model("b", title="b")
    pedigree.register_model("c", title="c", idempotency_key="mine")
    keys = [request.headers["Idempotency-Key"] for request in script.requests]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_requests_at_the_same_time_have_connections_of_their_own_that_are_kept() -> None:
    peers: list[tuple[str, int]] = []
    together = threading.Barrier(8)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            peers.append(self.client_address)
            if self.path == "/v1/models/together":
                together.wait(10)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        with Pedigree(f"http://127.0.0.1:{server.server_port}", "id.secret") as pedigree, ThreadPoolExecutor(8) as pool:
            assert list(pool.map(pedigree.model, ["together"] * 8)) == [{}] * 8
            assert len(set(peers)) == 8
            for _ in range(3):
                pedigree.model("alone")
            assert len(set(peers)) == 8
            assert len(set(peers[8:])) == 1
        server.shutdown()
    with pytest.raises(RuntimeError, match="closed"):
        pedigree.model("late")


def test_a_refusal_is_not_repeated(make: Any) -> None:
    pedigree, script = make(problem(409, "already-exists"))
    with pytest.raises(Refused) as refused:
        pedigree.register_model("net", title="Net")
    assert (refused.value.code, refused.value.status, refused.value.transaction_id) == ("already-exists", 409, "x")
    assert len(script.requests) == 1


def test_patience_ends(make: Any) -> None:
    pedigree, _ = make(*[problem(503, "capacity", retryable=True)] * 50, timeout=0.3)
    with pytest.raises(Unavailable):
        pedigree.register_model("net", title="Net")
    pedigree, _ = make(*[httpx.ConnectError("refused")] * 50, timeout=0.3)
    with pytest.raises(Unreachable):
        pedigree.ledger()


def test_an_address_where_nothing_answers_is_said_after_a_second(
    make: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pedigree.transport.random.uniform", lambda _least, _most: 0.3)
    pedigree, script = make(*[httpx.ConnectTimeout("timed out")] * 50, timeout=2.0)
    with pytest.raises(Unreachable):
        pedigree.ledger()
    (said,) = [record for record in caplog.records if record.name == "pedigree"]
    assert re.fullmatch(
        r"http://gateway does not answer: timed out; trying again until \d\d:\d\d:\d\d", said.getMessage()
    )
    assert said.levelname == "WARNING"
    tried = [request.extensions["timeout"] for request in script.requests]
    # No connection may use up the time of the call alone, and none is given up for good.
    assert tried[0]["connect"] == 1.0
    assert tried[0]["read"] > 1.9
    assert tried[1]["connect"] == min(2.0, tried[1]["read"])


def test_nothing_is_said_where_it_is_over_soon_or_somebody_answers(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    pedigree, _ = make(httpx.ConnectError("refused"), {"height": 1}, timeout=30)
    assert pedigree.ledger() == {"height": 1}
    pedigree, _ = make(*[httpx.ConnectError("refused")] * 50, timeout=0.3)
    with pytest.raises(Unreachable):
        pedigree.ledger()
    assert not [record for record in caplog.records if record.name == "pedigree"]


def test_what_is_pending_is_followed_to_its_end(make: Any) -> None:
    pedigree, script = make(
        httpx.Response(202, json={"operation": "op"}),
        {"state": "pending"},
        {"state": "succeeded", "status": 201, "result": DONE},
    )
    assert pedigree.register_model("net", title="Net").block == 6
    assert script.requests[-1].url.path == "/v1/operations/op"
    failed = {"state": "failed", "status": 409, "result": {"code": "conflict", "detail": "x", "retryable": False}}
    pedigree, _ = make(httpx.Response(202, json={"operation": "op"}), failed)
    with pytest.raises(Refused, match="conflict"):
        pedigree.register_model("net", title="Net")


def test_reads_wait_for_what_this_client_recorded(make: Any) -> None:
    pedigree, script = make({"a": 1}, httpx.Response(201, json=DONE), {"a": 1}, {"a": 1})
    pedigree.ledger()
    pedigree.register_model("net", title="Net")
    pedigree.ledger()
    pedigree.at_least(9)
    pedigree.ledger()
    heights = [request.headers.get("Min-Ledger-Height") for request in script.requests if request.method == "GET"]
    assert heights == [None, "7", "9"]


def test_an_answer_that_is_no_problem_is_still_one_error(make: Any) -> None:
    pedigree, _ = make(httpx.Response(502, text="<html>"), timeout=0.1)
    with pytest.raises(Unavailable, match="502"):
        pedigree.ledger()


def test_identifiers_cannot_leave_their_place_in_the_path(make: Any) -> None:
    pedigree, script = make({})
    pedigree.dataset("../keys?x=/")
    assert script.requests[0].url.raw_path == b"/v1/datasets/..%2Fkeys%3Fx%3D%2F"


def test_a_parent_is_declared_by_references(make: Any) -> None:
    pedigree, script = make(httpx.Response(201, json=DONE))
    pedigree.declare_parent("model-version:net:2", "model-version:base:1", relation="fine-tuned")
    assert script.requests[0].url.path == "/v1/models/net/versions/2/parents"
    assert json.loads(script.requests[0].content) == {"parent": "model-version:base:1", "relation": "fine-tuned"}
    with pytest.raises(ValueError, match="not a model-version"):
        pedigree.declare_parent("dataset-version:net:2", "model-version:base:1", relation="fine-tuned")
    assert len(script.requests) == 1


def test_a_version_without_a_number_is_numbered_by_the_gateway(make: Any, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"w")
    pedigree, script = make(*[httpx.Response(201, json=DONE)] * 3)
    pedigree.record_model_version("net", tmp_path, licence="MIT")
    pedigree.record_model_version("net", tmp_path, licence="MIT", number=3)
    entries = [{"path": ".gitignore", "digest": "ab" * 32, "size": 1}]
    pedigree.record_model_version("net", entries, licence="MIT", ignore_paths=["z", "a"])
    bodies = [json.loads(request.content) for request in script.requests]
    assert bodies[2]["ignore_paths"] == ["a", "z"]
    assert "number" not in bodies[0]
    assert bodies[1]["number"] == 3
    assert bodies[0]["ignore_paths"] == [".git", ".gitattributes", ".github", ".gitignore"]


def test_manifests_agree_with_the_law(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, content in (("a.json", b"{}"), ("b/w.bin", b"12"), ("b.txt", b"")):
        (tmp_path / name).write_bytes(content)
    entries = digest_files(tmp_path)
    law = [FileEntry(FilePath(e["path"]), Digest.parse(e["digest"]), Count(e["size"])) for e in entries]
    assert sdk_manifest_digest(entries) == str(manifest_digest(law))
    (tmp_path / "link").symlink_to(tmp_path / "a.json")
    with pytest.raises(ValueError, match="symbolic link"):
        digest_files(tmp_path)


def test_a_quota_that_is_used_up_is_waited_for_within_the_time_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("pedigree.transport.time.sleep", waited.append)
    problem = {"code": "quota-exceeded", "detail": "too many", "retryable": True, "facts": {}}
    answers = [httpx.Response(429, json=problem, headers={"Retry-After": "7"}), httpx.Response(200, json={"items": []})]
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    with Pedigree("http://gateway", "a.b", timeout=10, transport=transport) as client:
        assert client.models() == {"items": []}
    assert len(waited) == 1
    assert waited[0] >= 7
    late = httpx.MockTransport(lambda _: httpx.Response(429, json=problem, headers={"Retry-After": "70"}))
    with Pedigree("http://gateway", "a.b", timeout=10, transport=late) as client, pytest.raises(Unavailable) as caught:
        client.models()
    assert (caught.value.code, caught.value.status) == ("quota-exceeded", 429)
