# SPDX-License-Identifier: Apache-2.0
"""Files of records: sent in pieces, worked on by the gateway while the client asks how far it is, and sent once."""

import hashlib
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from pedigree import Pedigree, Progress, Refused, Unavailable, Unreachable
from pedigree.uploads import Upload

DONE = {
    "record": {"kind": "dataset-version"},
    "event": {"name": "VersionCommitted"},
    "transaction": {"id": "ab" * 32, "block": 6},
}
ACCEPTED = httpx.Response(202, json={"operation": "op-1"})
READING = {"stage": "reading", "bytes": 2_200_003, "bytes_read": 1_000_000, "records": 7}
PENDING = {"state": "pending", "progress": READING}
RECORDED = {"state": "succeeded", "status": 201, "result": DONE}


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
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def client(self, timeout: float = 10.0) -> Pedigree:
        return Pedigree("http://gateway", "id.secret", timeout=timeout, transport=httpx.MockTransport(self))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    file = tmp_path / "large.csv"
    file.write_bytes(b"id\n" + b"0123456789\n" * 200_000)
    return file


def test_a_large_file_is_worked_on_by_the_gateway_and_watched(large: Path) -> None:
    script = Script(ACCEPTED, PENDING, {"state": "pending"}, RECORDED)
    seen: list[Progress] = []
    with script.client() as client:
        assert client.commit_records("d", large, progress=seen.append).block == 6
    sent = script.requests[0]
    assert sent.headers["Prefer"] == "respond-async"
    assert sent.headers["Content-Length"] == str(large.stat().st_size)
    assert "Transfer-Encoding" not in sent.headers
    assert sent.content == large.read_bytes()
    assert [request.url.path for request in script.requests[1:]] == ["/v1/operations/op-1"] * 3
    sending = [progress.done for progress in seen if progress.stage == "sending"]
    assert sending == sorted(sending)
    assert len(sending) > 4
    assert sending[-1] == large.stat().st_size
    assert [(each.stage, each.done, each.records, each.operation) for each in seen[len(sending) :]] == [
        ("accepted", large.stat().st_size, 0, "op-1"),
        ("reading", 1_000_000, 7, "op-1"),
        ("recording", large.stat().st_size, 0, "op-1"),
    ]


def test_a_small_file_is_answered_at_once(tmp_path: Path) -> None:
    file = tmp_path / "small.csv"
    file.write_bytes(b"id\n1\n")
    script = Script(httpx.Response(201, json=DONE), httpx.Response(201, json=DONE))
    with script.client() as client:
        client.commit_records("d", file)
        client.commit_records("d", b'{"id": 1}\n', media_type="application/jsonl")
    assert all("Prefer" not in request.headers for request in script.requests)
    assert [request.content for request in script.requests] == [b"id\n1\n", b'{"id": 1}\n']
    assert [request.headers["Content-Type"] for request in script.requests] == ["text/csv", "application/jsonl"]


def test_a_file_is_sent_again_from_its_beginning_under_the_same_key(large: Path) -> None:
    script = Script(httpx.ReadError("lost"), ACCEPTED, RECORDED)
    with script.client() as client:
        client.commit_records("d", large)
    first, second, _ = script.requests
    assert first.content == second.content == large.read_bytes()
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_a_lost_outcome_names_the_key_and_the_operation_that_continue_it(large: Path) -> None:
    script = Script(ACCEPTED, *[{"state": "pending"}] * 100)
    with script.client(timeout=-2.0) as client, pytest.raises(Unavailable) as lost:
        client.commit_records("d", large, idempotency_key="mine")
    assert lost.value.facts == {"operation": "op-1", "idempotency_key": "mine"}
    with Script(*[httpx.ConnectError("no")] * 100).client(timeout=-2.0) as client, pytest.raises(Unreachable) as lost:
        client.commit_records("d", large)
    assert len(lost.value.facts["idempotency_key"]) == 36


def test_an_operation_that_comes_on_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pedigree.transport.time.monotonic", lambda: now[0])
    monkeypatch.setattr("pedigree.transport.time.sleep", lambda _: now.__setitem__(0, now[0] + 40))
    reading = [{"state": "pending", "progress": {**READING, "records": number}} for number in range(9)]
    with Script(ACCEPTED, *reading, RECORDED).client(timeout=60) as client:
        assert client.commit_records("d", b"id\n1\n").block == 6
    with Script(ACCEPTED, *reading[:1] * 9, RECORDED).client(timeout=60) as client, pytest.raises(Unavailable):
        client.commit_records("d", b"id\n1\n")


def test_a_large_file_is_given_more_time(large: Path, tmp_path: Path) -> None:
    vast = tmp_path / "vast.csv"
    with vast.open("wb") as sparse:
        sparse.truncate(256 << 20)
    assert Upload.of(vast, None).patience == 256
    assert 2 < Upload.of(large, None).patience < 3


def test_a_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "vast.csv"
    with file.open("wb") as sparse:
        sparse.truncate(64 << 20)
    upload = Upload.of(file, None)
    tracemalloc.start()
    try:
        assert sum(map(len, upload.pieces())) == 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_what_cannot_be_sent_is_named_before_anything_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "d.txt").touch()
    script = Script()
    attempts: list[tuple[str, type[Exception], str]] = [
        ("pipe.csv", ValueError, "not a plain file"),
        ("folder.csv", ValueError, "folder.csv holds no file"),
        ("d.txt", ValueError, "its name must end with .csv, .jsonl, .ndjson"),
        ("missing.csv", FileNotFoundError, "missing.csv"),
    ]
    with script.client() as client:
        for name, error, says in attempts:
            with pytest.raises(error, match=says):
                client.commit_records("d", tmp_path / name)
    assert script.requests == []


def test_a_copy_is_compared_in_pieces_too(large: Path) -> None:
    script = Script({"verified": True})
    seen: list[Progress] = []
    with script.client() as client:
        assert client.verify_dataset("d", 1, large, progress=seen.append)["verified"]
    assert script.requests[0].content == large.read_bytes()
    assert seen[-1].done == large.stat().st_size


class TestCommand:
    """`pedigree dataset commit`."""

    @pytest.fixture
    def run(self, monkeypatch: pytest.MonkeyPatch, large: Path) -> Callable[..., Result]:
        def run(script: Script, *arguments: str) -> Result:
            def client(url: str, key: str, **more: Any) -> Pedigree:
                return Pedigree(url, key, transport=httpx.MockTransport(script), **more)

            monkeypatch.setattr("pedigree.Pedigree", client)
            options = ("--url", "http://gateway", "--key", "id.secret", "--timeout", "5")
            return CliRunner().invoke(main, ["dataset", "commit", "d", str(large), *arguments, *options])

        return run

    def test_it_prints_the_key_and_the_operation_and_takes_the_key_again(self, run: Any) -> None:
        first = Script(ACCEPTED, {"state": "pending"}, RECORDED)
        done = run(first)
        assert done.exit_code == 0, done.output
        key = first.requests[0].headers["Idempotency-Key"]
        assert f"--idempotency-key {key}" in done.stderr
        assert "operation: op-1" in done.stderr
        assert done.stderr.count("op-1") == done.stderr.count("idempotency key: ") == 1
        assert done.stderr.index("operation: op-1") < done.stderr.index("idempotency key: ")
        assert done.stdout.startswith("VersionCommitted in block 6")
        again = Script(httpx.Response(201, json=DONE))
        assert run(again, "--idempotency-key", key).exit_code == 0
        assert again.requests[0].headers["Idempotency-Key"] == key

    def test_programs_are_told_the_key_where_the_outcome_is_open(self, run: Any) -> None:
        done = run(Script(ACCEPTED, RECORDED), "--json")
        assert (done.exit_code, done.stderr, json.loads(done.stdout)["event"]) == (0, "", DONE["event"])
        failed = {"state": "failed", "status": 422, "result": {"code": "unreadable-records", "detail": "line 2: no"}}
        refused = run(Script(ACCEPTED, failed), "--json")
        assert refused.exit_code == 4
        assert "large.csv: line 2" in json.loads(refused.stderr)["detail"]

    def test_what_is_refused_or_done_at_once_names_no_key(self, run: Any) -> None:
        refused = run(Script(httpx.Response(422, json={"code": "unreadable-records", "detail": "line 2: no"})))
        assert (refused.exit_code, refused.stderr.count("\n")) == (4, 1)
        assert "idempotency" not in refused.stderr
        assert run(Script(httpx.Response(201, json=DONE))).stderr == ""

    def test_a_command_that_is_stopped_names_the_key_that_continues_it(self, run: Any) -> None:
        def stop(request: httpx.Request) -> httpx.Response:
            sent.append(request.headers["Idempotency-Key"])
            raise KeyboardInterrupt

        sent: list[str] = []
        stopped = run(stop)
        assert (stopped.exit_code, stopped.stderr) == (
            130, f"pedigree: stopped (to continue: the same command with --idempotency-key {sent[0]})\n",
        )  # fmt: skip
        stopped = run(stop, "--json")
        assert json.loads(stopped.stderr)["facts"] == {"idempotency_key": sent[1]}

    @pytest.mark.parametrize("key", ["", "two words", "é", "x" * 201])
    def test_a_key_that_is_none_is_named(self, run: Any, key: str) -> None:
        refused = run(Script(), "--idempotency-key", key)
        assert refused.exit_code == 2
        assert "idempotency key" in refused.stderr


def test_a_refused_operation_is_a_refusal(large: Path) -> None:
    failed = {"state": "failed", "status": 409, "result": {"code": "conflict", "detail": "x", "retryable": False}}
    with Script(ACCEPTED, failed).client() as client, pytest.raises(Refused, match="conflict"):
        client.commit_records("d", large)


def test_a_folder_is_a_record_for_each_file(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "é.txt").write_bytes(b"abc")
    (tmp_path / "a.txt").write_bytes(b"")
    heard: list[Progress] = []
    upload = Upload.of(tmp_path, None, heard.append)
    lines = [json.loads(line) for line in b"".join(upload.pieces()).splitlines()]
    assert lines == [
        {"path": "a.txt", "sha256": hashlib.sha256(b"").hexdigest()},
        {"path": "b/é.txt", "sha256": hashlib.sha256(b"abc").hexdigest()},
    ]
    assert upload.media_type == "application/jsonl"
    assert [(each.stage, each.done, each.total, each.records) for each in heard[:2]] == [
        ("hashing", 0, 3, 1), ("hashing", 3, 3, 2),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="not as text/csv"):
        Upload.of(tmp_path, "text/csv")
    (tmp_path / "link").symlink_to("a.txt")
    with pytest.raises(ValueError, match="is a symbolic link"):
        Upload.of(tmp_path, None)
