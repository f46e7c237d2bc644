# SPDX-License-Identifier: Apache-2.0
"""`doctor` on Fabric's own programs, some of them stopped; skipped, loudly, where there are none."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from network import overview
from network.lifecycle import Deployment, _approve, deploy, packages_for
from network.native import NativeError
from network.native.processes import Binaries, running
from network.packaging import Definition
from network.running import description
from network.topology import Endpoint

try:
    Binaries.find()
    MISSING = ""
except NativeError as error:
    MISSING = str(error)

pytestmark = [
    pytest.mark.fabric,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"doctor is NOT tried on Fabric: {MISSING}"),
]
RAFT_NOTICES_S = 30.0


@contextmanager
def stopped(directory: Path, *names: str) -> Iterator[None]:
    pids = [running(directory / "run" / f"{name}.pid") for name in names]
    try:
        for pid in pids:
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            if pid is not None:
                os.kill(pid, signal.SIGCONT)


def found(run: Any, directory: Path) -> list[str]:
    return list(run("doctor", "--dir", directory).output.splitlines())


def test_a_stopped_peer_and_a_lost_majority_are_named(fabric: Path, run: Any) -> None:
    assert [line for line in found(run, fabric) if line.startswith("wrong")] == []
    with stopped(fabric, "peer0.lab.example"):
        (line, *_) = found(run, fabric)
        assert line.startswith("wrong: peer0.lab.example: runs, but does not answer at ")
    with stopped(fabric, "orderer1.orderer.example", "orderer2.orderer.example"):
        give_up = time.monotonic() + RAFT_NOTICES_S
        wanted = "wrong: channel pedigree: Raft has no leader: 1 of 3 orderers answer, 2 are needed; bring back "
        while not any(line.startswith(wanted) for line in found(run, fabric)):
            assert time.monotonic() < give_up
    give_up = time.monotonic() + RAFT_NOTICES_S
    while any(line.startswith("wrong") for line in found(run, fabric)):
        assert time.monotonic() < give_up, found(run, fabric)


def test_who_has_not_approved_and_whose_chaincode_is_silent_is_named(fabric: Path, run: Any) -> None:
    described = description(fabric)
    addresses = {entry["mspid"]: Endpoint("127.0.0.1", 9) for entry in described["organisations"]}

    def deployment(version: str) -> Deployment:
        definition = Definition.make("pedigree", version)
        return Deployment(described["channel"], definition, packages_for("pedigree", version, addresses))

    with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
        _approve(administrators[0], deployment("1.0"), 1, ordering)
        waits = "wrong: chaincode pedigree: sequence 1 is approved by HospitalMSP, not by LabMSP, RegulatorMSP; "
        assert any(line.startswith(waits) for line in found(run, fabric)), found(run, fabric)
        deploy(deployment("1.0"), administrators, ordering)
        for name in ("hospital", "lab", "regulator"):
            silent = f"wrong: chaincode pedigree of {name}: does not answer: dial tcp 127.0.0.1:9: "
            assert any(line.startswith(silent) for line in found(run, fabric)), found(run, fabric)
        _approve(administrators[2], deployment("2.0"), 2, ordering)
        waits = "warning: chaincode pedigree: sequence 2 is approved by RegulatorMSP, not by HospitalMSP, LabMSP; "
        assert any(line.startswith(waits) for line in found(run, fabric)), found(run, fabric)
