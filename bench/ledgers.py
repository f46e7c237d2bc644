# SPDX-License-Identifier: Apache-2.0
"""A ledger of its own for a measurement: fresh directory, free ports, one chaincode process for each organisation."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.processes import cpu_seconds, resident_bytes, with_children
from gateway.demo.consortium import held_ports, listens
from gateway.demo.processes import Program, command
from network.topology import default_topology

MSPS = ("HospitalMSP", "LabMSP", "RegulatorMSP")
POLICY = "OutOf(2,'HospitalMSP.peer','LabMSP.peer','RegulatorMSP.peer')"
PYTHON_CHAINCODE = [sys.executable, "-m", "bench.chaincode"]
NODE_CHAINCODE = ["node", "bench/node/chaincode.js"]
NODE_MODULES = Path("build/node/node_modules")


class Ledger:
    """A running network below `directory`, and what measurements ask of it."""

    def __init__(self, kind: str, directory: Path, network: Program, ready_s: float) -> None:
        self.kind = kind
        self.directory = directory
        self.ready_s = ready_s
        self.network = network
        self.programs: list[Program] = []
        self.description: dict[str, Any] = json.loads((directory / "network.json").read_text(encoding="utf-8"))

    def deploy(self, name: str, argv: list[str]) -> None:
        """Start `argv` once for each organisation as chaincode `name`, and take it through the life cycle."""
        with held_ports(len(MSPS)) as free:
            ports = dict(zip(MSPS, free, strict=True))
        addresses = [arg for msp, port in ports.items() for arg in ("--address", f"{msp}=127.0.0.1:{port}")]
        packages = json.loads(self.run("package", name, *addresses, "--json"))
        for msp, port in ports.items():
            env = {
                "CHAINCODE_ID": packages[msp],
                "CHAINCODE_SERVER_ADDRESS": f"127.0.0.1:{port}",
                "CORE_PEER_LOCALMSPID": msp,
                "NODE_PATH": str(NODE_MODULES.resolve()),
            }
            program = Program(f"{name}-{msp}", argv, self.directory / "logs" / f"{name}-{msp}.log", env)
            program.start()
            self.programs.append(program)
            program.wait_until(lambda port=port: listens(port), within=30)  # type: ignore[misc]
        self.run("deploy", name, *addresses, "--policy", POLICY)

    def run(self, verb: str, *arguments: str) -> str:
        """Run a `pedigree-network` verb against this ledger."""
        argv = [command("pedigree-network"), verb, *arguments, "--dir", str(self.directory)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"pedigree-network {verb}: {done.stderr or done.stdout}")
        return done.stdout

    def options(self, chaincode: str, **more: Any) -> dict[str, Any]:
        """What bench.load and bench/node/load.js need to call `chaincode` as the lab's user."""
        lab = next(one for one in self.description["organisations"] if one["mspid"] == "LabMSP")
        return {
            "network": str(self.directory / "network.json"),
            "peer": lab["peer"],
            "tls_ca": lab["tls_ca"],
            "server_name": f"peer0.{lab['domain']}",
            "msp": lab["user_msp"],
            "mspid": lab["mspid"],
            "channel": self.description["channel"],
            "chaincode": chaincode,
            **more,
        }

    def cpu_seconds(self) -> float:
        """User and system time of every process of the network and its chaincodes."""
        roots = {self.network.process.pid if self.network.process else 0}
        roots |= {program.process.pid for program in self.programs if program.process}
        return sum(cpu_seconds(pid) for pid in with_children(roots))

    def memory_mb(self) -> float:
        """Resident memory of the network's processes, without chaincodes."""
        roots = {self.network.process.pid if self.network.process else 0}
        return sum(resident_bytes(pid) for pid in with_children(roots)) / 2**20


@contextmanager
def running(kind: str) -> Iterator[Ledger]:
    """A fresh ledger of `kind`, removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="pedigree-bench-"))
    topology = directory / "topology.json"
    topology.write_text(json.dumps(default_topology(any_port=True).to_json()), encoding="utf-8")
    argv = [command("pedigree-network"), "up", "--ledger", kind, "--dir", str(directory), "--topology", str(topology)]
    network = Program("network", argv, directory / "logs" / "network.log")
    ledger = None
    try:
        started = time.monotonic()
        network.start()
        network.wait_until((directory / "network.json").exists, within=60)
        ledger = Ledger(kind, directory, network, time.monotonic() - started)
        yield ledger
    finally:
        for program in (*(ledger.programs if ledger is not None else ()), network):
            program.stop()
        shutil.rmtree(directory, ignore_errors=True)
