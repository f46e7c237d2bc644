# SPDX-License-Identifier: Apache-2.0
"""Gateways that run keep serving while members join and leave, and know who is one also after a restart."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from gateway.demo.consortium import ORGANISATIONS, Consortium, ready
from gateway.demo.processes import Program, command
from gateway.demo.story import found
from network import native

MAKER = ("add-org", "maker", "--mspid", "MakerMSP", "--domain", "maker.example", "--peer", "127.0.0.1:0")


@pytest.fixture(params=["embedded", pytest.param("fabric", marks=[pytest.mark.fabric, pytest.mark.slow])])
def consortium(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Consortium]:
    if request.param == "fabric":
        try:
            native.Binaries.find()
        except native.NativeError as error:
            pytest.skip(f"NOT RUN: {error}")
    running = Consortium(tmp_path / "net", request.param, any_port=True)
    try:
        running.start()
        found(running)
        yield running
    finally:
        running.stop()
        native.down(running.directory)


def change(consortium: Consortium, *arguments: str) -> None:
    done = subprocess.run(
        [command("pedigree-network"), *arguments, "--dir", str(consortium.directory)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "restart" not in done.stdout


def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    give_up = time.monotonic() + within
    while not condition():
        assert time.monotonic() < give_up, "not within 20 s"
        time.sleep(0.05)


def follows(consortium: Consortium, name: str, sequence: int) -> bool:
    """Whether an organisation's gateway is under this configuration."""
    with urllib.request.urlopen(f"http://127.0.0.1:{consortium.ports[name].health}/metrics", timeout=5) as answer:
        return f"\npedigree_config_sequence {sequence}.0\n" in answer.read().decode()


def gateway(consortium: Consortium, name: str) -> Program:
    return next(each for each in consortium.programs if each.name == f"gateway-{name}")


def test_members_join_and_leave_and_no_gateway_is_restarted(consortium: Consortium) -> None:
    stale = (consortium.directory / "network.json").read_bytes()
    with consortium.client("lab") as lab:
        for sequence, arguments in enumerate((MAKER, ("remove-org", "maker"), MAKER), start=1):
            change(consortium, *arguments)
            for name in ORGANISATIONS:
                until(partial(follows, consortium, name, sequence))
            lab.register_model(f"after-{sequence}", title="Followed")
        lab_gateway = gateway(consortium, "lab")
        said = lab_gateway.log.read_text(encoding="utf-8")
        assert said.count(": MakerMSP has joined") == 2
        assert said.count(": MakerMSP has left") == 1

        lab_gateway.kill()
        (consortium.directory / "network.json").write_bytes(stale)  # pins from before anybody joined
        lab_gateway.start()
        lab_gateway.wait_until(partial(ready, consortium.ports["lab"].health), within=60)
        assert follows(consortium, "lab", 3)
        again = lab_gateway.log.read_text(encoding="utf-8").removeprefix(said)
        assert "members HospitalMSP, LabMSP, MakerMSP, OrdererMSP, RegulatorMSP, rather than those that are" in again
        assert "block 0:" not in again, "the read model was made anew"
        lab.register_model("after-the-restart", title="Followed")
