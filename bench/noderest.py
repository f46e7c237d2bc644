# SPDX-License-Identifier: Apache-2.0
"""Our REST gateway beside a plain one on the official Node client, on one ledger and with one load generator.

The Node server does what Fabric's samples do: it submits and waits, and asks the peer for every query. Ours also keeps
the envelope on disk, answers repeats, checks what the peer hands back, and queries its read model.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bench.clients import node_is_ready
from bench.consortia import founded, lab_headers
from bench.ledgers import NODE_MODULES
from bench.measure import Metric, alternate, median, paired_ratio
from gateway.demo.consortium import Consortium

Run = dict[str, float]
COMPARED = 50
"""Clients at once for the figures that are compared; the other numbers of clients are measured once each."""
OTHERS = (1, 10, 200)
KNOWN = "bench-known"


def measure(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Submit and query over REST at 1, 10, 50 and 200 clients; beside Node at 50."""
    if not node_is_ready():
        return []
    with founded(kind) as consortium:
        with consortium.client("lab") as lab:
            lab.register_model(KNOWN, title="Bench")
        ours = ours_of(consortium)
        with _node_server(consortium.network()) as theirs:
            return [
                metric for mode in ("submit", "query") for metric in _compare(kind, mode, ours, theirs, rounds, seconds)
            ]


def _compare(
    kind: str, mode: str, ours: dict[str, Any], theirs: dict[str, Any], rounds: int, seconds: float
) -> Iterator[Metric]:
    mine, other = alternate(
        rounds,
        lambda: load(ours, mode, COMPARED, seconds),
        lambda: load(theirs, mode, COMPARED, seconds),
    )
    how = f"{mode} over REST on {kind}, {COMPARED} clients, {seconds:.0f} s × {rounds}, in turn"
    ratio = paired_ratio([_rate(run) for run in mine], [_rate(run) for run in other])
    yield Metric(f"rest.{mode}_tps_vs_node_rest", median([_rate(run) for run in mine]), "req/s", how,
                 "Express on @hyperledger/fabric-gateway 1.12.1, native signer", ratio)  # fmt: skip
    yield from _percentiles(mode, COMPARED, mine, how)
    for clients in OTHERS:
        run = load(ours, mode, clients, seconds)
        how = f"{mode} over REST on {kind}, {clients} clients, {seconds:.0f} s, once"
        yield Metric(f"rest.{mode}_tps_at_{clients}", _rate(run), "req/s", how)
        yield from _percentiles(mode, clients, [run], how)


def _percentiles(mode: str, clients: int, runs: Sequence[Run], how: str) -> Iterator[Metric]:
    for share in ("p50", "p95", "p99"):
        yield Metric(f"rest.{mode}_{share}_ms_at_{clients}", median([run[f"{share}_ms"] for run in runs]), "ms", how)


def _rate(run: Run) -> float:
    return run["requests"] / run["seconds"]


def load(server: dict[str, Any], mode: str, clients: int, seconds: float) -> Run:
    """Ask a server for some seconds from `clients` connections; raises RuntimeError when it refuses."""
    options = server | {"mode": mode, "in_flight": clients, "seconds": seconds, "known": KNOWN}
    done = subprocess.run(
        ["node", "bench/node/http.js", json.dumps(options)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load on port {server['port']} failed: {done.stderr[-2000:]}")
    found: Run = json.loads(done.stdout)
    return found


def ours_of(consortium: Consortium) -> dict[str, Any]:
    """What `load` needs to know of the lab's gateway."""
    return {
        "port": consortium.ports["lab"].gateway,
        "path": "/v1/models",
        "headers": lab_headers(consortium),
        "idempotency": True,
    }


@contextmanager
def _node_server(network: dict[str, Any]) -> Iterator[dict[str, Any]]:
    lab = next(one for one in network["organisations"] if one["mspid"] == "LabMSP")
    key = secrets.token_hex(16)
    options = {
        "peer": lab["peer"],
        "tls_ca": lab["tls_ca"],
        "server_name": f"peer0.{lab['domain']}",
        "msp": lab["user_msp"],
        "mspid": lab["mspid"],
        "channel": network["channel"],
        "chaincode": "pedigree",
        "signer": "native",
        "key": key,
    }
    env = {**os.environ, "NODE_PATH": str(NODE_MODULES.resolve()), "NODE_ENV": "production"}
    argv = ["node", "--no-warnings", "bench/node/rest.js", json.dumps(options)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            yield {"port": int(process.stdout.readline()), "path": "/models", "headers": {"x-api-key": key}}
        finally:
            process.terminate()
