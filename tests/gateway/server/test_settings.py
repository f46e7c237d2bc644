# SPDX-License-Identifier: Apache-2.0
"""Which peers a gateway uses, from the network file and the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.server.options import Options
from gateway.server.settings import PeerAddress, Settings, SettingsError


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network file of one organisation with one peer, and the files that it names."""
    for name in ("tls.pem", "msp", "user", "orderer"):
        (tmp_path / name).touch()
    described = {
        "channel": "pedigree",
        "organisations": [
            {
                "name": "lab", "mspid": "LabMSP", "domain": "lab.example", "peer": "127.0.0.1:7051",
                "tls_ca": "tls.pem", "msp": "msp", "user_msp": "user",
            }
        ],
        "orderer": {"mspid": "OrdererMSP", "msp": "orderer"},
        "genesis_hash": "ab" * 32,
    }  # fmt: skip
    path = tmp_path / "network.json"
    path.write_text(json.dumps(described), encoding="utf-8")
    return path


def build(network: Path, *peers: str, **options: Any) -> Settings:
    return Settings.build(network, "lab", Options(peers=peers, **options))


def with_peers(network: Path, peers: object) -> Path:
    described = json.loads(network.read_text(encoding="utf-8"))
    described["organisations"][0]["peers"] = peers
    network.write_text(json.dumps(described), encoding="utf-8")
    return network


def test_one_peer_is_named_as_before(network: Path) -> None:
    assert build(network).organisation.peers == (PeerAddress("127.0.0.1:7051", "peer0.lab.example"),)


def test_the_network_file_may_name_several_in_order(network: Path) -> None:
    with_peers(network, ["127.0.0.1:7051", "peer7.lab.example:7051", "other.example=10.0.0.7:7051", "10.0.0.8:7051"])
    assert build(network).organisation.peers == (
        PeerAddress("127.0.0.1:7051", "peer0.lab.example"),
        PeerAddress("peer7.lab.example:7051", "peer7.lab.example"),
        PeerAddress("10.0.0.7:7051", "other.example"),
        PeerAddress("10.0.0.8:7051", "peer3.lab.example"),
    )


def test_the_command_line_replaces_them_and_keeps_names_that_are_known(network: Path) -> None:
    with_peers(network, ["127.0.0.1:7051", "127.0.0.1:7052"])
    assert build(network, "127.0.0.1:7052", "127.0.0.1:7051", "x.example=127.0.0.1:9").organisation.peers == (
        PeerAddress("127.0.0.1:7052", "peer1.lab.example"),
        PeerAddress("127.0.0.1:7051", "peer0.lab.example"),
        PeerAddress("127.0.0.1:9", "x.example"),
    )


@pytest.mark.parametrize(
    ("peers", "says"),
    [
        (["nonsense"], "--peer: 'nonsense' is not [NAME=]HOST:PORT"),
        (["=127.0.0.1:1"], "is not [NAME=]HOST:PORT"),
        (["127.0.0.1:1", "127.0.0.1:1"], "--peer: the same address is named twice"),
    ],
)
def test_a_peer_that_is_none_is_refused(network: Path, peers: list[str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(network, *peers)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("peers", "says"),
    [
        ([], "organisations[0].peers must be a list with at least one entry"),
        ("127.0.0.1:1", "organisations[0].peers must be a list with at least one entry"),
        (["127.0.0.1:1", 7], "organisations[0].peers[1] must be [NAME=]HOST:PORT"),
    ],
)
def test_a_list_of_peers_that_is_none_is_refused_by_its_field(network: Path, peers: object, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(with_peers(network, peers))
    assert says in str(caught.value)


def test_the_limit_of_calls_leaves_a_reserve(network: Path) -> None:
    assert (build(network).options.peer_slots, build(network).reserved_slots) == (400, 64)
    assert build(network, peer_slots=16).reserved_slots == 4
    with pytest.raises(ValueError, match="peer-slots must be from 8"):
        build(network, peer_slots=7)
