# SPDX-License-Identifier: Apache-2.0
"""Drives a ledger with our client for some seconds, in a process of its own, and prints one JSON line.

`python -m bench.load OPTIONS`, with the same JSON options as bench/node/load.js and `verify` beside them. Prints
{transactions, seconds, cpu_s, p50_ms}; `cpu_s` is this process's own user and system time.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gateway.fabric import Gateway, Identity, Signer, Trust, connect


def cpu_seconds() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(options: dict[str, Any]) -> None:
    """Keep `in_flight` threads busy until the time is up."""
    network = json.loads(Path(options["network"]).read_text(encoding="utf-8"))
    channel = connect(
        options["peer"], tls_root=Path(options["tls_ca"]).read_bytes(), server_name=options["server_name"]
    )
    identity = Identity.from_msp_folder(options["mspid"], options["msp"])
    signer = Signer.from_msp_folder(options["msp"])
    folders = {one["mspid"]: one["msp"] for one in network["organisations"]}
    trust = Trust.from_msp_folders(folders, bytes.fromhex(network["genesis_hash"])) if options["verify"] else None
    gateway = Gateway(channel, identity, signer, trust=trust, verify=options["verify"])
    contract = gateway.network(options["channel"]).contract(options["chaincode"])
    latencies: list[float] = []
    counter = itertools.count()
    prefix = os.urandom(6).hex()

    def once() -> None:
        if options["mode"] == "submit":
            contract.submit("put", f"{prefix}-{next(counter)}", "value")
        else:
            contract.evaluate("get", "warm")

    def work() -> None:
        while time.monotonic() < end:
            started = time.monotonic()
            once()
            latencies.append((time.monotonic() - started) * 1000)

    contract.submit("put", "warm", "value")
    before, started = cpu_seconds(), time.monotonic()
    end = started + options["seconds"]
    with ThreadPoolExecutor(options["in_flight"]) as pool:
        for done in [pool.submit(work) for _ in range(options["in_flight"])]:
            done.result()  # a failure ends the measurement instead of shortening it
    seconds, cpu = time.monotonic() - started, cpu_seconds() - before
    print(
        json.dumps(
            {
                "transactions": len(latencies),
                "seconds": seconds,
                "cpu_s": cpu,
                "p50_ms": statistics.median(latencies),
            }
        )
    )
    channel.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
