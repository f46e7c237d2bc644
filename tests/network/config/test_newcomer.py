# SPDX-License-Identifier: Apache-2.0
"""What is said after `add-org` is so: nothing is left to do that was done, and the new gateway is named."""

from typing import Any

from network.config.growth import Outcome
from network.config.submit import Done
from network.topology import Endpoint, Organisation
from network.verbs.newcomer import left_to_do

MAKER = Organisation("maker", "MakerMSP", "maker.example", Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2))
MEMBERS = ("HospitalMSP", "LabMSP", "MakerMSP", "RegulatorMSP")


def told(chaincodes: tuple[str, ...], **more: Any) -> list[str]:
    entry = {"name": "maker", "mspid": "MakerMSP", "gateway": "http://127.0.0.1:8104"}
    described = {"organisations": [entry], "chaincode_default": "pedigree", **more}
    return list(left_to_do(Outcome(Done(True, 7, 1), MEMBERS, chaincodes), MAKER, described))


def test_containers_have_started_everything_of_the_newcomer() -> None:
    first, running, keys, vote = told(("pedigree",), run_as="containers", compose="/d/compose.yaml")
    assert first == "members: HospitalMSP, LabMSP, MakerMSP, RegulatorMSP; MAJORITY now takes 3 of 4"
    assert running.startswith("running: MakerMSP's peer, CA, pedigree chaincode and gateway")
    assert running.endswith("http://127.0.0.1:8104")
    assert "docker compose -f /d/compose.yaml exec gateway.maker.example pedigree keys add" in keys
    assert "policy that names MakerMSP" in vote
    assert not any("deploy" in line for line in (running, keys, vote))


def test_chaincode_that_is_not_the_networks_own_is_still_to_be_deployed() -> None:
    lines = told(("other", "pedigree"), run_as="containers", compose="/d/compose.yaml")
    assert [line for line in lines if "network deploy" in line] == [lines[1]]
    assert "MakerMSP starts its own other process" in lines[1]


def test_of_processes_the_newcomer_starts_its_own_chaincode() -> None:
    _, deploy, vote = told(("pedigree",))
    assert "MakerMSP starts its own pedigree process" in deploy
    assert "policy that names MakerMSP" in vote


def test_with_nothing_deployed_nothing_is_left_to_do() -> None:
    assert len(told(())) == 1
