# SPDX-License-Identifier: Apache-2.0
"""What clients read about a running network."""

import json
from pathlib import Path

from network.material import Material
from network.profiles import Genesis, connection_profile, describe, write_connection_profiles, write_json
from network.topology import Topology


def test_a_connection_profile_says_how_to_reach_the_own_peer(
    shared_topology: Topology, shared_material: Material
) -> None:
    lab = shared_topology.organisation("lab")
    profile = connection_profile(shared_topology, shared_material, lab)
    assert profile["version"] == "1.0.0"
    assert profile["client"]["organization"] == "lab"
    assert profile["organizations"]["lab"] == {"mspid": "LabMSP", "peers": ["peer0.lab.example"]}
    peer = profile["peers"]["peer0.lab.example"]
    assert peer["url"] == "grpcs://127.0.0.1:8051"
    assert peer["tlsCACerts"]["pem"].encode() == shared_material.tls_ca("lab.example").read_bytes()
    assert peer["grpcOptions"]["ssl-target-name-override"] == "peer0.lab.example"


def test_every_organisation_gets_a_profile(
    shared_topology: Topology, shared_material: Material, tmp_path: Path
) -> None:
    write_connection_profiles(shared_topology, shared_material, tmp_path)
    written = {path.name for path in (tmp_path / "connections").iterdir()}
    assert written == {"hospital.example.json", "lab.example.json", "regulator.example.json"}
    assert json.loads((tmp_path / "connections" / "lab.example.json").read_text())["name"] == "pedigree-lab"


def test_network_json_names_files_that_exist(
    shared_topology: Topology, shared_material: Material, tmp_path: Path
) -> None:
    block = tmp_path / "pedigree.block"
    block.write_bytes(b"block")
    described = describe(shared_topology, shared_material, Genesis(block, "00ff"), ledger="embedded", pid=7)
    assert described["channel"] == "pedigree"
    assert described["chaincode_default"] == "pedigree"
    assert (described["ledger"], described["pid"], described["genesis_hash"]) == ("embedded", 7, "00ff")
    assert [entry["peer"] for entry in described["organisations"]] == [
        "127.0.0.1:7051",
        "127.0.0.1:8051",
        "127.0.0.1:9051",
    ]
    for entry in described["organisations"]:
        for key in ("tls_ca", "msp", "user_msp", "admin_msp"):
            assert Path(entry[key]).is_absolute()
            assert Path(entry[key]).exists()
    assert Path(described["orderer"]["tls_ca"]).is_file()
    assert Path(described["orderer"]["msp"]).is_dir()
    assert described["orderer"]["addresses"] == ["127.0.0.1:7050"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.json"]
