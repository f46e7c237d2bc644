# SPDX-License-Identifier: Apache-2.0
"""The plan of processes: which there are, and ports that survive a restart."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.fabric import Deadlines
from network.native import NativeError, Tuning
from network.native.plan import make_plan
from network.native.render import configtx, core, orderer
from network.patience import ENDORSEMENT_TIMEOUT_S, ORDERING_TIMEOUT_S
from network.topology import Batch, Channel, Endpoint, default_topology


def test_there_are_three_orderers_and_a_peer_for_each_organisation(tmp_path: Path) -> None:
    plan = make_plan(default_topology(), tmp_path)
    assert [node.host for node in plan.orderers] == [f"orderer{number}.orderer.example" for number in (1, 2, 3)]
    assert [node.port for node in plan.orderers] == [7050, 8050, 9050]
    assert [member.peer.address for member in plan.organisations] == [
        f"127.0.0.1:{port}" for port in (7051, 8051, 9051)
    ]


def test_more_than_one_orderer_in_the_topology_is_taken_as_it_is(tmp_path: Path) -> None:
    plain = default_topology()
    two = (Endpoint("127.0.0.1", 7050), Endpoint("127.0.0.1", 7150))
    plan = make_plan(replace(plain, orderer=replace(plain.orderer, addresses=two)), tmp_path)
    assert [node.port for node in plan.orderers] == [7050, 7150]


def test_open_ports_are_chosen_once_for_the_directory(tmp_path: Path) -> None:
    first, second = (make_plan(default_topology(any_port=True), tmp_path) for _ in range(2))
    assert [node.port for node in first.nodes()] == [node.port for node in second.nodes()]
    assert len({node.port for node in first.nodes()}) == 6
    assert all(node.port for node in first.nodes())


def test_only_loopback_addresses_are_listened_on(tmp_path: Path) -> None:
    plain = default_topology()
    open_peer = replace(plain.organisations[0], peer=Endpoint("0.0.0.0", 7051))
    with pytest.raises(NativeError, match=r"listen on 127\.0\.0\.1 only"):
        make_plan(replace(plain, organisations=(open_peer, *plain.organisations[1:])), tmp_path)


def test_every_listener_in_the_configuration_is_a_loopback_address(tmp_path: Path) -> None:
    plan = make_plan(default_topology(any_port=True), tmp_path)
    rendered = [core(plan, member.peer, tmp_path) for member in plan.organisations]
    rendered += [orderer(plan, node) for node in plan.orderers]
    found = [value for tree in rendered for key, value in leaves(tree) if key.lower() == "listenaddress"]
    assert len(found) == 3 * 2 + 3 * 3
    assert {str(value).partition(":")[0] for value in found} == {"127.0.0.1"}


def test_the_channel_has_the_topologys_batches_and_members(tmp_path: Path) -> None:
    plain = default_topology()
    batch = Batch(timeout_ms=2000, max_messages=10, absolute_max_bytes=99, preferred_max_bytes=9)
    some = replace(plain, channels=(Channel("some", ("lab", "hospital"), batch),))
    profile = configtx(make_plan(some, tmp_path))["Profiles"]["some"]
    assert profile["Orderer"]["BatchTimeout"] == "2s"
    assert profile["Orderer"]["BatchSize"] == {
        "MaxMessageCount": 10,
        "AbsoluteMaxBytes": 99,
        "PreferredMaxBytes": 9,
    }
    assert [entry["ID"] for entry in profile["Application"]["Organizations"]] == ["LabMSP", "HospitalMSP"]
    assert len(profile["Orderer"]["EtcdRaft"]["Consenters"]) == 3


def test_the_execute_timeout_can_be_set(tmp_path: Path) -> None:
    plan = make_plan(default_topology(), tmp_path, Tuning(execute_timeout_s=5))
    assert core(plan, plan.organisations[0].peer, tmp_path)["chaincode"]["executetimeout"] == "5s"


def test_a_peer_gives_up_on_another_while_clients_still_wait(tmp_path: Path) -> None:
    plan = make_plan(default_topology(), tmp_path)
    for member in plan.organisations:
        gateway = core(plan, member.peer, tmp_path)["peer"]["gateway"]
        assert gateway["endorsementTimeout"] == f"{ENDORSEMENT_TIMEOUT_S}s"


def test_a_peer_goes_on_to_another_orderer_while_clients_still_wait(tmp_path: Path) -> None:
    plan = make_plan(default_topology(), tmp_path)
    for member in plan.organisations:
        gateway = core(plan, member.peer, tmp_path)["peer"]["gateway"]
        assert gateway["broadcastTimeout"] == f"{ORDERING_TIMEOUT_S}s"
    deadline = Deadlines().submit
    assert deadline is not None
    assert deadline >= ORDERING_TIMEOUT_S + 2


def leaves(tree: dict[str, object]) -> list[tuple[str, object]]:
    found = []
    for key, value in tree.items():
        found += leaves(value) if isinstance(value, dict) else [(key, value)]
    return found
