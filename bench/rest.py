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
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.consortia import founded, lab_headers
from bench.measure import Metric, alternate, median, paired_ratio
from gateway.fabric import Contract, Gateway, Identity, Signer, Trust, connect
from pedigree import Pedigree

_counter = itertools.count()
_MOMENT = 0.03
"""Seconds in which gateways and peers end what a block has them do after its commit was told."""


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Register models over REST and with the bare client, in turn."""
    with founded(kind) as consortium:
        application, contract = consortium.client("lab"), bare_contract(consortium.network())
        rest = Application(consortium.ports["lab"].gateway, lab_headers(consortium))
        fast_rest, fast_bare = alternate(
            rounds,
            lambda: timed(rest.register, 50, seconds),
            lambda: timed(lambda: bare_submit(contract), 50, seconds),
        )
        over_rest, bare_calls, over_sdk = in_turn(
            [rest.register, lambda: bare_submit(contract), lambda: _over_sdk(application)], 3 * rounds * seconds
        )
        application.close()
    what = f"register a model on {kind} and wait for the commit"
    how = f"{what}, {seconds:.0f} s × {rounds}, in turn"
    one = f"{what}, one caller, {len(bare_calls)} times each, call by call in turn; median of the differences to"
    return [
        Metric("rest.tps_vs_client", median(fast_rest), "tx/s", f"{how}, 50 callers, load on the same machine",
               "our client with verification, bare", paired_ratio(fast_rest, fast_bare)),
        Metric("rest.added_p50_ms", _added(over_rest, bare_calls), "ms",
               f"{one} the bare Gateway client; REST over the standard library's HTTP client"),
        Metric("sdk.added_p50_ms", _added(over_sdk, over_rest), "ms",
               f"{one} the standard library's HTTP client; REST over pedigree"),
    ]  # fmt: skip


def _added(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return median([a - b for a, b in zip(ours, theirs, strict=True)])


def in_turn(sides: Sequence[Callable[[], object]], seconds: float, *, pause: float = _MOMENT) -> list[list[float]]:
    """How long each call of each side took, in milliseconds; a moment apart, so that none pays for the one before."""
    latencies: list[list[float]] = [[] for _ in sides]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for once, taken in zip(sides, latencies, strict=True):
            time.sleep(pause)
            started = time.monotonic()
            once()
            taken.append((time.monotonic() - started) * 1000)
    return latencies


class Application:
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


def bare_contract(network: dict[str, Any]) -> Contract:
    """The lab's own client of its peer, without a gateway of Pedigree's."""
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


def bare_submit(contract: Contract) -> None:
    """Register a model with it."""
    command = {"kind": "register-model", "model": _name(), "schema": 1, "title": "Bench"}
    document = json.dumps(command, sort_keys=True, separators=(",", ":"))
    contract.submit("model:register", document, secrets.token_hex(32))  # with a token, as the gateway sends it


def timed(once: Callable[[], None], in_flight: int, seconds: float) -> float:
    """How many calls a second end well."""
    end = time.monotonic() + seconds

    def work() -> int:
        count = 0
        while time.monotonic() < end:
            once()
            count += 1
        return count

    started = time.monotonic()
    with ThreadPoolExecutor(in_flight) as pool:
        # A failure ends the measurement instead of shortening it.
        count = sum(done.result() for done in [pool.submit(work) for _ in range(in_flight)])
    return count / (time.monotonic() - started)
