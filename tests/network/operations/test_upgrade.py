# SPDX-License-Identifier: Apache-2.0
"""A chaincode is replaced by its next version while clients use it; the old processes are killed right after."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from network.native import NativeError
from network.native.processes import Binaries
from network.operations.load import Figures, Load, put
from network.operations.loadtargets import WireTarget
from network.running import description

try:
    Binaries.find()
    MISSING = ""
except NativeError as error:
    MISSING = str(error)

ROOT = Path(__file__).parents[3]
OVERTAKEN = ("EXPIRED_CHAINCODE", "MVCC_READ_CONFLICT")
"""Endorsed under the former definition, which it has read, and ordered after the next: its client makes it again."""


class Patient:
    """A client that makes a transaction again when the chaincode was replaced under it."""

    def __init__(self, described: dict[str, Any]) -> None:
        self._target = WireTarget(described, "pedigree")
        self.again = 0

    @contextmanager
    def __call__(self) -> Iterator[Callable[[int], str | None]]:
        with self._target() as call:

            def patiently(number: int) -> str | None:
                for _ in range(3):
                    if (problem := call(number)) not in OVERTAKEN:
                        return problem
                    self.again += 1
                return problem

            yield patiently


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Chaincodes:
    """One version's processes, one for each organisation."""

    def __init__(self, directory: Path, version: str, run: Callable[..., Any]) -> None:
        entries = description(directory)["organisations"]
        self.ports = dict(zip((entry["mspid"] for entry in entries), free_ports(len(entries)), strict=True))
        self.addresses = [
            argument for msp_id, port in self.ports.items() for argument in ("--address", f"{msp_id}=127.0.0.1:{port}")
        ]
        named = ("--version", version, "--dir", directory)
        self.ids = json.loads(run("package", "pedigree", *self.addresses, *named, "--json").output)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        for msp_id, port in self.ports.items():
            environment = {
                "CHAINCODE_SERVER_ADDRESS": f"127.0.0.1:{port}",
                "CHAINCODE_ID": self.ids[msp_id],
                "CORE_PEER_LOCALMSPID": msp_id,
                "PEDIGREE_FOUNDERS": ",".join(self.ports),
            }
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "chaincode"],
                    cwd=ROOT,
                    env=os.environ | environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        for port in self.ports.values():
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                threading.Event().wait(0.05)

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()


@pytest.mark.parametrize(
    "ledger",
    [
        "embedded",
        pytest.param(
            "fabric",
            marks=[
                pytest.mark.fabric,
                pytest.mark.slow,
                pytest.mark.skipif(bool(MISSING), reason=f"upgrades are NOT tried on Fabric: {MISSING}"),
            ],
        ),
    ],
)
def test_an_upgrade_under_load_fails_nobody(
    ledger: str, tmp_path: Path, topology_file: Path, run: Callable[..., Any]
) -> None:
    directory = tmp_path / "net"
    started = run("up", "--ledger", ledger, "--detach", "--dir", directory, "--topology", topology_file)
    assert started.exit_code == 0, started.output
    with ExitStack() as closing:
        closing.callback(run, "down", "--dir", directory)
        old, new = Chaincodes(directory, "1.0", run), Chaincodes(directory, "2.0", run)
        closing.callback(old.kill)
        closing.callback(new.kill)
        refusal = run("upgrade-chaincode", "pedigree", "--version", "2.0", *new.addresses, "--dir", directory)
        assert refusal.exit_code == 1
        assert "the new chaincode does not listen: HospitalMSP at 127.0.0.1:" in refusal.stderr
        old.start()
        new.start()
        early = run("upgrade-chaincode", "pedigree", "--version", "2.0", *new.addresses, "--dir", directory)
        assert "pedigree is not deployed on channel pedigree" in early.stderr
        policy = ("--policy", "OutOf(2,'HospitalMSP.peer','LabMSP.peer','RegulatorMSP.peer')")
        assert run("deploy", "pedigree", *old.addresses, *policy, "--dir", directory).exit_code == 0

        client, ending = Patient(description(directory)), threading.Event()
        figures: list[Figures] = []

        def watched(passed: float, seen: Figures) -> None:
            if seen.committed >= 5:
                ending.set()

        load = threading.Thread(target=lambda: figures.append(put([client], Load(3, 12), watched)))
        load.start()
        assert ending.wait(30)
        result = run("upgrade-chaincode", "pedigree", "--version", "2.0", *new.addresses, "--json", "--dir", directory)
        time.sleep(1.0)  # what the old processes had begun when the new definition was committed ends first
        old.kill()
        load.join()
        assert result.exit_code == 0, result.output
        answer = json.loads(result.output[result.output.index("{") :])
        assert (answer["sequence"], answer["changed"], answer["package_ids"]) == (2, True, new.ids)
        assert figures[0].errors == {}
        assert figures[0].committed > 10
        assert client.again <= 3, "no more than was under way at the commit"
        again = run("upgrade-chaincode", "pedigree", "--version", "2.0", *new.addresses, "--dir", directory)
        assert "already at this version: pedigree 2.0 as sequence 2" in again.output
        found = run("doctor", "--dir", directory)
        assert found.exit_code == 0, found.output
    assert json.loads((directory / "chaincodes/pedigree.id").read_text()) == new.ids


def test_an_upgrade_names_what_is_missing(embedded: Path, run: Callable[..., Any]) -> None:
    for arguments, words in (
        (("cc", "--version", "2.0"), "--address: name where each organisation's new process listens"),
        (("cc", "--version", "2.0", "--address", "nobody=127.0.0.1:9"), "no organisation is called 'nobody'"),
        (("cc", "--version", "2.0", "--policy", "OR('X.peer')"), "no organisation is called 'X'"),
    ):
        result = run("upgrade-chaincode", *arguments, "--dir", embedded)
        assert result.exit_code == 1
        assert words in result.stderr
