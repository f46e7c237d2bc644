# SPDX-License-Identifier: Apache-2.0
"""What the REST gateway adds to a bare client: throughput with 50 callers, and latency for one.

Both sides record model registrations on the same ledger through the same chaincode; the bare client signs and submits
what the gateway would.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.consortia import founded, lab_headers
from bench.measure import Metric, alternate, median, paired_ratio
from gateway.fabric import Contract, Gateway, Identity, Signer, Trust, connect
from gateway.sdk import Pedigree

Run = dict[str, float]
_counter = itertools.count()


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Register models over REST and with the bare client, in turn."""
    with founded(kind) as consortium:
        application, contract = consortium.client("lab"), _contract(consortium.network())
        rest = _Application(consortium.ports["lab"].gateway, lab_headers(consortium))
        fast_rest, fast_bare = alternate(
            rounds,
            lambda: _timed(rest.register, 50, seconds),
            lambda: _timed(lambda: _bare(contract), 50, seconds),
        )
        slow_rest, slow_bare, slow_sdk = alternate(
            rounds,
            lambda: _timed(rest.register, 1, seconds),
            lambda: _timed(lambda: _bare(contract), 1, seconds),
            lambda: _timed(lambda: _over_sdk(application), 1, seconds),
        )
        application.close()
    mine, bare = [run["tps"] for run in fast_rest], [run["tps"] for run in fast_bare]
    how = f"register a model on {kind} and wait for the commit, {seconds:.0f} s × {rounds}, in turn"
    return [
        Metric("rest.tps_vs_client", median(mine), "tx/s", f"{how}, 50 callers, load on the same machine",
               "our client with verification, bare", paired_ratio(mine, bare)),
        Metric("rest.added_p50_ms", _added(slow_rest, slow_bare), "ms",
               f"{how}, one caller over the standard library's HTTP client, less the bare Gateway client; of medians"),
        Metric("sdk.added_p50_ms", _added(slow_sdk, slow_rest), "ms",
               f"{how}, one caller over gateway.sdk, less the standard library's HTTP client; of medians"),
    ]  # fmt: skip


def _added(ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    return median([a["p50_ms"] - b["p50_ms"] for a, b in zip(ours, theirs, strict=True)])


class _Application:
    """Registers models over kept connections, one for each thread."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port = port
        self._headers = headers | {"Content-Type": "application/json"}
        self._kept = threading.local()

    def register(self) -> None:
        connection: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if connection is None:
            connection = self._kept.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        body = json.dumps({"model": _name(), "title": "Bench"})
        connection.request("POST", "/v1/models", body, self._headers | {"Idempotency-Key": secrets.token_hex(16)})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status}: {text[:300]!r}")


def _contract(network: dict[str, Any]) -> Contract:
    lab = next(one for one in network["organisations"] if one["mspid"] == "LabMSP")
    folders = {one["mspid"]: one["msp"] for one in network["organisations"]}
    channel = connect(lab["peer"], tls_root=Path(lab["tls_ca"]).read_bytes(), server_name=f"peer0.{lab['domain']}")
    gateway = Gateway(
        channel,
        Identity.from_msp_folder(lab["mspid"], lab["user_msp"]),
        Signer.from_msp_folder(lab["user_msp"]),
        trust=Trust.from_msp_folders(folders, bytes.fromhex(network["genesis_hash"])),
    )
    return gateway.network(network["channel"]).contract("pedigree")


def _name() -> str:
    return f"bench-{os.getpid()}-{next(_counter)}"


def _over_sdk(client: Pedigree) -> None:
    client.register_model(_name(), title="Bench")


def _bare(contract: Contract) -> None:
    command = {"kind": "register-model", "model": _name(), "schema": 1, "title": "Bench"}
    document = json.dumps(command, sort_keys=True, separators=(",", ":"))
    contract.submit("model:register", document, secrets.token_hex(32))  # with a token, as the gateway sends it


def _timed(once: Callable[[], None], in_flight: int, seconds: float) -> Run:
    latencies: list[float] = []
    end = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < end:
            started = time.monotonic()
            once()
            latencies.append((time.monotonic() - started) * 1000)

    started = time.monotonic()
    with ThreadPoolExecutor(in_flight) as pool:
        for done in [pool.submit(work) for _ in range(in_flight)]:
            done.result()  # a failure ends the measurement instead of shortening it
    return {"tps": len(latencies) / (time.monotonic() - started), "p50_ms": statistics.median(latencies)}
