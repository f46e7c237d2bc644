# SPDX-License-Identifier: Apache-2.0
"""Which containers there are, and on which ports: from the topology, and the same at every start."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from network.containers.continuity import continued
from network.containers.errors import ContainersError
from network.containers.plan import Plan, expanded, make_plan, project_name
from network.topology import Endpoint, Topology, default_topology


def test_a_single_orderer_becomes_a_cluster_of_three() -> None:
    addresses = expanded(default_topology()).orderer.addresses
    assert [str(each) for each in addresses] == ["127.0.0.1:7050", "127.0.0.1:8050", "127.0.0.1:9050"]


def test_smartbft_has_four_orderers() -> None:
    topology = expanded(default_topology(), consensus="bft")
    assert (topology.orderer.consensus, len(topology.orderer.addresses)) == ("bft", 4)


def test_smartbft_with_too_few_orderers_is_refused() -> None:
    plain = default_topology()
    three = replace(plain.orderer, addresses=tuple(Endpoint("127.0.0.1", port) for port in (7050, 8050, 9050)))
    with pytest.raises(ContainersError, match=r"orderer\.addresses: SmartBFT needs at least 4, not 3"):
        expanded(replace(plain, orderer=three), consensus="bft")


def test_two_peers_each_have_names_and_ports_of_their_own() -> None:
    member = expanded(default_topology(), peers=2).organisations[0]
    assert [(name, str(at)) for name, at in member.peers] == [
        ("peer0.hospital.example", "127.0.0.1:7051"),
        ("peer1.hospital.example", "127.0.0.1:7071"),
    ]


def test_expanding_twice_changes_nothing() -> None:
    once = expanded(default_topology(), peers=2, consensus="bft")
    assert expanded(once, peers=2, consensus="bft") == once
    assert expanded(once) == once


def test_every_published_port_is_chosen_once_and_kept(tmp_path: Path) -> None:
    topology = expanded(default_topology(any_port=True), peers=2)
    first, again = (list(make_plan(topology, tmp_path).published()) for _ in range(2))
    assert first == again
    ports = [endpoint.port for _, endpoint in first]
    assert len(set(ports)) == len(ports)
    assert all(port > 0 for port in ports)


def test_usual_ports_are_taken_where_they_are_free_and_others_where_not(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        peer = Endpoint("127.0.0.1", other.getsockname()[1] - 3)  # its CA would stand three ports on
        plain = default_topology(any_port=True)
        members = (replace(plain.organisations[0], peer=peer), *plain.organisations[1:])
        made = make_plan(expanded(replace(plain, organisations=members)), tmp_path)
        assert made.authorities[0].port not in (0, peer.port + 3)


def test_inside_every_node_has_its_own_name_and_the_same_port(plan: Plan) -> None:
    inside = plan.inside()
    outside = plan.topology
    assert [str(each) for each in inside.orderer.addresses] == [
        f"{name}:{at.port}" for name, at in zip(outside.orderer.node_names, outside.orderer.addresses, strict=True)
    ]
    lab, seen = outside.organisation("lab"), inside.organisation("lab")
    assert str(seen.peer) == f"peer0.lab.example:{lab.peer.port}"
    assert str(seen.chaincode) == "chaincode.lab.example:7052"


def test_a_host_name_to_publish_on_is_refused(tmp_path: Path) -> None:
    plain = default_topology(any_port=True)
    members = (replace(plain.organisations[0], peer=Endpoint("lab.local", 7051)), *plain.organisations[1:])
    with pytest.raises(ContainersError, match=r"organisations\[0\]\.peer: 'lab.local' is not an IPv4 address"):
        make_plan(replace(plain, organisations=members), tmp_path)


def test_damaged_ports_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "ports.json").write_text("{", encoding="ascii")
    with pytest.raises(ContainersError, match=r"ports\.json is not JSON"):
        make_plan(default_topology(any_port=True), tmp_path)


def test_two_directories_of_one_name_are_two_projects() -> None:
    one, other = project_name(Path("/a/net")), project_name(Path("/b/net"))
    assert one != other
    assert one.startswith("pedigree-net-")


def test_a_remembered_topology_makes_the_same_plan(plan: Plan) -> None:
    from network.topology import loads

    kept = loads(json.dumps(plan.topology.to_json()))
    assert make_plan(expanded(kept), plan.directory) == plan


class TestContinuity:
    """A network that exists keeps what its channels were made with."""

    @pytest.fixture
    def former(self) -> Topology:
        return expanded(default_topology())

    def test_open_ports_become_the_former_ones(self, former: Topology) -> None:
        assert continued(expanded(default_topology(any_port=True)), former) == replace(
            former,
            organisations=tuple(replace(member, chaincode=Endpoint("127.0.0.1", 0)) for member in former.organisations),
        )

    def test_another_consensus_is_refused(self, former: Topology) -> None:
        with pytest.raises(ContainersError, match="were made with raft; remove them first with"):
            continued(expanded(default_topology(), consensus="bft"), former)

    def test_another_port_of_an_orderer_is_refused(self, former: Topology) -> None:
        plain = default_topology()
        moved = replace(plain.orderer, addresses=(Endpoint("127.0.0.1", 17050),))
        with pytest.raises(ContainersError, match=r"orderer\.addresses\[0\]: is 127\.0\.0\.1:17050, .* port 7050"):
            continued(expanded(replace(plain, orderer=moved)), former)

    def test_peers_may_be_added(self, former: Topology) -> None:
        more = expanded(default_topology(), peers=2)
        assert continued(more, former) == more
