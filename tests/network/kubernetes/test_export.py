# SPDX-License-Identifier: Apache-2.0
"""The folder that `pedigree-network kubernetes` writes: complete, private, and what the programs accept."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from chaincode.shim import settings_from_environment
from gateway.server.options import Options
from gateway.server.preflight import check
from gateway.server.settings import Settings
from network.cli import main
from network.kubernetes.part import KubernetesError, Part
from network.material import Material
from network.profiles import write_json
from network.topology import Endpoint, Topology, default_topology

GENESIS_HASH = "ab" * 32


@pytest.fixture
def directory(tmp_path: Path, shared_topology: Topology, shared_material: Material) -> Path:
    """A network's directory as a start left it."""
    place = tmp_path / "network"
    shutil.copytree(shared_material.root, place / "organizations")
    write_json(place / "topology.json", shared_topology.to_json())
    write_json(place / "network.json", {"genesis_hash": GENESIS_HASH})
    return place


def run(directory: Path, *arguments: str) -> Any:
    return CliRunner().invoke(main, ["kubernetes", "--dir", str(directory), *arguments])


def exported(directory: Path, name: str) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """The values, and the Secrets' files by name."""
    result = run(directory, "--org", name)
    assert result.exit_code == 0, result.output
    folder = directory / "kubernetes" / name
    secrets = list(yaml.safe_load_all((folder / "secrets.yaml").read_text(encoding="utf-8")))
    values = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))
    return values, {each["metadata"]["name"]: each["stringData"] for each in secrets}


def put(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="ascii")


MSP = {
    "ca.pem": "cacerts/ca.pem",
    "tlsca.pem": "tlscacerts/tlsca.pem",
    "cert.pem": "signcerts/cert.pem",
    "key.pem": "keystore/key.pem",
    "config.yaml": "config.yaml",
}


def test_the_gateway_accepts_the_files_that_its_pod_is_given(directory: Path, tmp_path: Path) -> None:
    values, secrets = exported(directory, "hospital")
    pod = tmp_path / "pod"
    put(pod / "network", values["gateway"]["files"])
    put(pod / "msp", {MSP[key]: text for key, text in secrets["hospital-gateway-msp"].items()})
    client = {"tls.crt": "client.crt", "tls.key": "client.key", "ca.crt": "ca.crt"}
    put(pod / "tls", {client[key]: text for key, text in secrets["hospital-gateway-tls"].items()})
    options = Options(data=tmp_path / "data", port=0, health_port=0, in_flight=values["gateway"].get("inFlight", 256))
    settings = Settings.build(pod / "network" / "network.json", "hospital", options)
    check(settings)
    assert settings.network.genesis_hash == GENESIS_HASH
    (peer,) = settings.organisation.peers
    assert (peer.address, peer.server_name) == ("hospital-peer:7051", "peer0.hospital.example")


def test_the_chaincode_accepts_its_environment(directory: Path, tmp_path: Path) -> None:
    values, secrets = exported(directory, "lab")
    put(tmp_path, secrets["lab-chaincode-tls"])
    settings = settings_from_environment(
        {
            "CHAINCODE_SERVER_ADDRESS": "0.0.0.0:7052",
            "CHAINCODE_ID": values["chaincode"]["packageId"],
            "CORE_PEER_LOCALMSPID": values["organisation"]["mspId"],
            "CHAINCODE_TLS_CERT_FILE": str(tmp_path / "tls.crt"),
            "CHAINCODE_TLS_KEY_FILE": str(tmp_path / "tls.key"),
            "CHAINCODE_CLIENT_CA_CERT_FILE": str(tmp_path / "ca.crt"),
        }
    )
    assert settings.tls is not None
    assert settings.tls.roots is not None


def test_the_package_that_the_peer_installs_is_the_one_that_the_chaincode_registers_with(directory: Path) -> None:
    values, _ = exported(directory, "hospital")
    content = (directory / "kubernetes" / "hospital" / "pedigree_1.0.tar.gz").read_bytes()
    assert values["chaincode"]["packageId"] == f"pedigree_1.0:{hashlib.sha256(content).hexdigest()}"


def test_writing_again_changes_nothing(directory: Path) -> None:
    folder = directory / "kubernetes" / "hospital"
    exported(directory, "hospital")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    exported(directory, "hospital")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_secrets_are_for_their_owner_alone(directory: Path) -> None:
    exported(directory, "hospital")
    assert (directory / "kubernetes" / "hospital" / "secrets.yaml").stat().st_mode & 0o777 == 0o600


def test_the_chart_is_copied_whole(directory: Path) -> None:
    exported(directory, "orderer")
    from network.kubernetes.export import CHART

    for path in (path for path in CHART.rglob("*") if path.is_file()):
        copy = directory / "kubernetes" / "orderer" / "chart" / path.relative_to(CHART)
        assert copy.read_bytes() == path.read_bytes()


def test_every_organisation_is_found_by_name_and_by_msp_id(directory: Path) -> None:
    for name, mspid in (("regulator", "RegulatorMSP"), ("orderer", "OrdererMSP")):
        assert exported(directory, name)[0]["organisation"]["mspId"] == mspid
        assert run(directory, "--org", mspid, "--out", str(directory / "out")).exit_code == 0


def test_what_helm_makes_of_a_fresh_network_is_valid(
    directory: Path, helm: Callable[[Path], list[dict[str, Any]]], problems: Callable[[dict[str, Any]], list[str]]
) -> None:
    for name in ("lab", "orderer"):
        exported(directory, name)
        objects = helm(directory / "kubernetes" / name / "values.yaml")
        assert [problem for each in objects for problem in problems(each)] == []


def test_json_for_programs(directory: Path) -> None:
    result = run(directory, "--org", "hospital", "--json")
    answer = json.loads(result.stdout)
    assert answer["files"] == ["chart/", "values.yaml", "secrets.yaml", "pedigree_1.0.tar.gz"]
    assert answer["commands"][0].startswith("kubectl apply")
    assert "loopback" in result.stderr


MEMBERS = "organizations/peerOrganizations"
USER_TLS = f"{MEMBERS}/lab.example/users/User1@lab.example/tls"


@pytest.mark.parametrize(
    ("arguments", "spoilt", "told"),
    [
        (["--org", "clinic"], None, "--org: no organisation is called 'clinic'; there are hospital, lab, regulator"),
        (["--org", "lab", "--version", "1/0"], None, "--version: '1/0' may hold"),
        (["--org", "lab"], "network.json", "first block is not known here"),
        (["--org", "lab"], f"{MEMBERS}/lab.example/tlsca/priv_sk", "tlsca/priv_sk: is missing"),
        (["--org", "lab"], f"{MEMBERS}/hospital.example/msp/config.yaml", "config.yaml: is missing"),
        (["--org", "lab"], f"{USER_TLS}/client.key", "client.key: is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(
    directory: Path, arguments: list[str], spoilt: str | None, told: str
) -> None:
    if spoilt is not None:
        (directory / spoilt).unlink()
    result = run(directory, *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (directory / "kubernetes").exists()


def test_a_second_key_is_refused_rather_than_chosen_from(directory: Path) -> None:
    keystore = directory / "organizations/peerOrganizations/lab.example/peers/peer0.lab.example/msp/keystore"
    (keystore / "other").write_text("key", encoding="ascii")
    assert "2 files match, one is wanted" in run(directory, "--org", "lab").stderr


def test_names_that_make_no_objects_are_refused(tmp_path: Path) -> None:
    topology = default_topology()
    first = topology.organisations[0]
    for name in ("9lives", "x" * 60, "Orderer"):
        changed = replace(topology, organisations=(replace(first, name=name), *topology.organisations[1:]))
        with pytest.raises(KubernetesError, match="makes no name"):
            Part.of(changed, tmp_path, name)
    changed = replace(topology, organisations=(replace(first, name="St_Mary.North"),))
    assert Part.of(changed, tmp_path, "St_Mary.North").prefix == "st-mary-north"


def test_couchdb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KubernetesError, match="state_database"):
        Part.of(replace(default_topology(), state_database="couchdb"), tmp_path, "lab")


def test_addresses_of_the_topology_are_kept_where_others_can_reach_them(directory: Path) -> None:
    topology = default_topology()
    first = replace(topology.organisations[0], peer=Endpoint("fabric.hospital.org", 443))
    changed = replace(topology, organisations=(first, *topology.organisations[1:]))
    write_json(directory / "topology.json", changed.to_json())
    values, _ = exported(directory, "hospital")
    assert values["peer"]["config"]["peer"]["gossip"]["externalEndpoint"] == "fabric.hospital.org:443"
    described = json.loads(exported(directory, "lab")[0]["gateway"]["files"]["network.json"])
    peers = {member["name"]: member["peer"] for member in described["organisations"]}
    assert peers == {
        "hospital": "fabric.hospital.org:443",
        "lab": "lab-peer:8051",
        "regulator": "peer0.regulator.example:9051",
    }
