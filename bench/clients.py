# SPDX-License-Identifier: Apache-2.0
"""Our client beside the official Node client, and our chaincode runtime beside the official Node runtime."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from bench.ledgers import NODE_CHAINCODE, NODE_MODULES, PYTHON_CHAINCODE, Ledger, running
from bench.measure import Metric, alternate, median, paired_ratio

Run = dict[str, float]


def python(options: dict[str, Any]) -> Run:
    """One timed run of our client."""
    return _json([sys.executable, "-m", "bench.load", json.dumps(options)])


def node(options: dict[str, Any]) -> Run:
    """One timed run of the official Node client."""
    return _json(["node", "--no-warnings", "bench/node/load.js", json.dumps(options)])


def tps(run: Run) -> float:
    """Transactions per second."""
    return run["transactions"] / run["seconds"]


def cpu_ms(run: Run) -> float:
    """The client's own processor time for a transaction."""
    return run["cpu_s"] * 1000 / run["transactions"]


def measure_client(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Submit and wait for the commit, 50 in flight, with verification and without, beside Node's two signers."""
    if not node_is_ready():
        return []
    with running(kind) as ledger:
        ledger.deploy("bench", PYTHON_CHAINCODE)
        common = partial(ledger.options, "bench", mode="submit", in_flight=50, seconds=seconds)
        plain, verified, default, native = alternate(
            rounds,
            lambda: python(common(verify=False)),
            lambda: python(common(verify=True)),
            lambda: node(common(signer="default")),
            lambda: node(common(signer="native")),
        )
    faster, signer = max(((default, "default"), (native, "native")), key=lambda one: median([tps(r) for r in one[0]]))
    how = f"submit and wait on {kind}, 50 in flight, {seconds:.0f} s × {rounds}, in turn; Node signer: {signer}"
    vs = f"@hyperledger/fabric-gateway 1.12.1, {signer} signer"

    def compare(name: str, ours: list[Run], figure: Any, unit: str) -> Metric:
        mine, theirs = [figure(r) for r in ours], [figure(r) for r in faster]
        return Metric(name, median(mine), unit, how, vs, paired_ratio(mine, theirs))

    return [
        compare("client.cpu_vs_node", plain, cpu_ms, "ms CPU/tx"),
        compare("client.cpu_verified_vs_node", verified, cpu_ms, "ms CPU/tx"),
        compare("client.tps_vs_node", plain, tps, "tx/s"),
        compare("client.tps_verified_vs_node", verified, tps, "tx/s"),
    ]


def measure_shim(kind: str, rounds: int, seconds: float) -> Sequence[Metric]:
    """Evaluate one read, 20 in flight, through the same client, on our runtime and on the Node runtime."""
    if not node_is_ready():
        return []
    with running(kind) as ledger:
        ledger.deploy("benchpy", PYTHON_CHAINCODE)
        ledger.deploy("benchnode", NODE_CHAINCODE)
        ours, theirs = alternate(rounds, *(_evaluations(ledger, name, seconds) for name in ("benchpy", "benchnode")))
    mine, other = [tps(r) for r in ours], [tps(r) for r in theirs]
    how = f"evaluate one read on {kind}, 20 in flight, {seconds:.0f} s × {rounds}, in turn, same client"
    return [
        Metric("shim.tps_vs_node_shim", median(mine), "tx/s", how, "fabric-shim 2.5.8", paired_ratio(mine, other)),
    ]


def _evaluations(ledger: Ledger, chaincode: str, seconds: float) -> Any:
    options = ledger.options(chaincode, mode="evaluate", in_flight=20, seconds=seconds, verify=False)
    return lambda: python(options)


def node_is_ready() -> bool:
    """Whether Node is there; installs what its side needs, once, as bench/node's lock file names it."""
    if shutil.which("node") is None:
        return False
    if not NODE_MODULES.exists():
        NODE_MODULES.parent.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(f"bench/node/{name}", NODE_MODULES.parent / name)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=NODE_MODULES.parent, check=True)
    return True


def _json(argv: list[str]) -> Run:
    env = {**os.environ, "NODE_PATH": str(NODE_MODULES.resolve())}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[:3]} failed: {done.stderr[-2000:]}")
    found: Run = json.loads(done.stdout.strip().splitlines()[-1])
    return found
