# SPDX-License-Identifier: Apache-2.0
"""Load against fakes of known speed, a fake gateway, and a real network without the chaincode."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from network.operations import loadtargets
from network.operations.errors import OperationsError
from network.operations.load import Figures, Load, put
from network.operations.loadtargets import RestTarget, WireTarget
from network.wire import ResultsDiffer


class Fake:
    """Takes so long for each call, and fails those that it is told to."""

    def __init__(self, takes_s: float, failing: Callable[[int], str | None] = lambda _: None) -> None:
        self.takes_s, self.failing = takes_s, failing
        self.open = self.most_open = 0
        self.numbers: list[int] = []
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[Callable[[int], str | None]]:
        yield self._call

    def _call(self, number: int) -> str | None:
        with self._lock:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            self.numbers.append(number)
        time.sleep(self.takes_s)
        with self._lock:
            self.open -= 1
        return self.failing(number)


def test_every_call_is_counted_once_and_clients_bound_what_is_under_way() -> None:
    fake = Fake(0.01, lambda number: "MVCC_READ_CONFLICT" if number % 5 == 0 else None)
    figures = put([fake], Load(clients=4, seconds=0.5))
    assert sorted(fake.numbers) == list(range(len(fake.numbers)))
    assert figures.committed + sum(figures.errors.values()) == len(fake.numbers)
    assert figures.errors["MVCC_READ_CONFLICT"] == len(range(0, len(fake.numbers), 5))
    assert len(figures.times) == figures.committed
    assert 1 < fake.most_open <= 4
    assert figures.seconds >= 0.5


def test_a_rate_is_kept_and_a_stalled_system_does_not_look_fast() -> None:
    figures = put([Fake(0.0)], Load(clients=4, seconds=0.5, rate=40))
    assert figures.committed == 20
    slow = put([Fake(0.1)], Load(clients=1, seconds=0.5, rate=40))
    assert slow.committed == 20, "what was due is made, however late"
    worst = slow.quantile(1.0)
    assert worst is not None
    assert worst > 1.0, "the last one was due at 0.475 s and done at 2 s"


def test_clients_are_spread_over_targets() -> None:
    first, second = Fake(0.01), Fake(0.01)
    put([first, second], Load(clients=2, seconds=0.2))
    assert first.numbers
    assert second.numbers


def test_what_a_target_raises_ends_the_load() -> None:
    @contextmanager
    def broken() -> Iterator[Callable[[int], str | None]]:
        raise OSError("no key")
        yield lambda _: None

    with pytest.raises(OSError, match="no key"):
        put([broken, Fake(0.01)], Load(clients=4, seconds=30))

    def explode(_: int) -> str | None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        put([Fake(0.0, explode)], Load(clients=2, seconds=30))


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 2.0), (0.95, 4.0), (0.25, 1.0), (0.0, 1.0), (1.0, 4.0)])
def test_quantiles_are_times_that_were_measured(share: float, wanted: float) -> None:
    assert Figures(times=[3.0, 1.0, 4.0, 2.0]).quantile(share) == wanted
    assert Figures().quantile(share) is None


@contextmanager
def gateway(status: int, body: bytes) -> Iterator[tuple[str, list[tuple[dict[str, str], dict[str, Any]]]]]:
    seen: list[tuple[dict[str, str], dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((dict(self.headers), json.loads(content)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def test_a_gateway_is_asked_for_data_sets_of_different_names(tmp_path: Path, run: Callable[..., Any]) -> None:
    (tmp_path / "key").write_text("id.secret\n")
    with gateway(201, b"{}") as (url, seen):
        options = ("--rate", 50, "--clients", 3, "--seconds", 0.4, "--key-file", tmp_path / "key", "--gateway", url)
        result = run("loadtest", "--json", *options, "--dir", tmp_path)
        shown = run("loadtest", *options, "--dir", tmp_path)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.output)
    assert figures["through"] == "gateways"
    assert figures["committed"] == 20
    assert figures["p50_ms"] > 0
    assert "no errors" in shown.output
    assert len({body["dataset"] for _, body in seen}) == len(seen) == 40
    assert all(headers["Authorization"] == "Bearer id.secret" for headers, _ in seen)
    assert all(headers["Idempotency-Key"] == body["dataset"] for headers, body in seen)


def test_problems_are_counted_by_their_code(tmp_path: Path, run: Callable[..., Any]) -> None:
    (tmp_path / "key").write_text("id.secret\n")
    for body, words in ((b'{"code": "policy-missing"}', "404 policy-missing"), (b"<html>", "404"), (b"[]", "404")):
        with gateway(404, body) as (url, _):
            result = run(
                *("loadtest", "--json", "--rate", 20, "--clients", 1, "--seconds", 0.2),
                *("--key-file", tmp_path / "key", "--gateway", url, "--dir", tmp_path),
            )
        assert result.exit_code == 1
        assert json.loads(result.output)["errors"] == {words: 4}
    with RestTarget("http://127.0.0.1:9", "k")() as call:
        assert call(0) == "ConnectionRefusedError"
    with pytest.raises(OperationsError, match="is not a URL"):
        RestTarget("127.0.0.1:8101", "k")


def test_without_keys_peers_are_called_and_say_what_is_missing(embedded: Path, run: Callable[..., Any]) -> None:
    result = run("loadtest", "--json", "--rate", 10, "--clients", 2, "--seconds", 0.3, "--dir", embedded)
    assert result.exit_code == 1
    figures = json.loads(result.output)
    assert figures["through"] == "peers"
    assert figures["committed"] == 0
    assert sum(figures["errors"].values()) == 3
    shown = run("loadtest", "--rate", 10, "--clients", 1, "--seconds", 0.2, "--dir", embedded)
    assert "error" in shown.output


def test_options_that_do_not_fit_together_are_refused(tmp_path: Path, embedded: Path, run: Callable[..., Any]) -> None:
    key = tmp_path / "key"
    key.write_text("id.secret")
    for arguments, words in (
        (("--gateway", "http://127.0.0.1:1"), "--gateway needs --key-file"),
        (("--key-file", key), "name each --gateway"),
    ):
        result = run("loadtest", *arguments, "--dir", embedded)
        assert result.exit_code == 1
        assert words in result.stderr
    assert "no network runs on" in run("loadtest", "--dir", tmp_path).stderr


class Upgraded:
    """Peers at different blocks for so many proposals, and then at the same one; all of it in memory."""

    def __init__(self, differing: int) -> None:
        self.differing = differing
        self.proposals = 0

    def endorse(self, *_: object) -> Any:
        self.proposals += 1
        if self.proposals <= self.differing:
            raise ResultsDiffer("the organisations' peers gave different results")
        return SimpleNamespace(transaction_id="t")

    def envelope(self, _: object) -> Any:
        return b""

    def broadcast(self, _: object) -> None:
        pass

    def wait_for_commit(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("differing", "answer"), [(2, None), (99, "the organisations' peers gave different results")])
def test_peers_that_differ_while_a_chaincode_is_upgraded_are_asked_again(
    differing: int, answer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loadtargets, "time", SimpleNamespace(monotonic=itertools.count().__next__, sleep=lambda _: None)
    )
    peers = Upgraded(differing)
    target = WireTarget({"channel": "pedigree"}, "pedigree")
    assert target._submit([peers, peers], peers) == answer  # type: ignore[arg-type,list-item]
    assert peers.proposals == (3 if answer is None else 5)
