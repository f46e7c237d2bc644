# SPDX-License-Identifier: Apache-2.0
"""Key material comes in cryptogen's layout, once, and is good for TLS and for signing."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from network.embedded.certificates import curve_order
from network.material import Material, ensure_material
from network.topology import Endpoint, Topology, default_topology


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_layout_is_cryptogens(shared_material: Material) -> None:
    root = shared_material.root / "peerOrganizations" / "lab.example"
    files = set(_snapshot(root))
    msp = {"cacerts/ca.lab.example-cert.pem", "tlscacerts/tlsca.lab.example-cert.pem", "config.yaml"}
    expected = {
        "ca/ca.lab.example-cert.pem",
        "ca/priv_sk",
        "tlsca/tlsca.lab.example-cert.pem",
        "tlsca/priv_sk",
        *(f"msp/{name}" for name in msp),
    }
    members = {
        "peers/peer0.lab.example": "server",
        "users/Admin@lab.example": "client",
        "users/User1@lab.example": "client",
    }
    for member, kind in members.items():
        name = member.partition("/")[2]
        expected |= {f"{member}/msp/{each}" for each in msp}
        expected |= {f"{member}/msp/signcerts/{name}-cert.pem", f"{member}/msp/keystore/priv_sk"}
        expected |= {f"{member}/tls/{each}" for each in ("ca.crt", f"{kind}.crt", f"{kind}.key")}
    assert files == expected
    orderer = (
        shared_material.root / "ordererOrganizations" / "orderer.example" / "orderers" / "orderer1.orderer.example"
    )
    assert (orderer / "tls" / "server.key").is_file()


def test_all_of_it_is_on_the_disk_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[int] = set()
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    root = ensure_material(default_topology(), tmp_path / "network").root
    made = [root, *root.rglob("*")]
    assert len(made) > 100
    assert [path for path in made if path.stat().st_ino not in synced] == []


def test_private_keys_and_folders_are_closed_to_others(shared_material: Material) -> None:
    secrets = [p for p in shared_material.root.rglob("*") if p.name == "priv_sk" or p.suffix == ".key"]
    assert len(secrets) == 3 * (2 + 3 * 2) + 2 + 2 * 2
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    folders = [path for path in shared_material.root.rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o077 for path in folders} == {0}


def test_every_key_is_p256_and_belongs_to_its_certificate(shared_material: Material) -> None:
    msp = shared_material.user("lab.example") / "msp"
    key = serialization.load_pem_private_key((msp / "keystore" / "priv_sk").read_bytes(), password=None)
    certificate = _certificate(msp / "signcerts" / "User1@lab.example-cert.pem")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert certificate.public_key() == key.public_key()


@pytest.mark.parametrize(("user", "unit"), [("User1", "client"), ("Admin", "admin")])
def test_the_unit_of_a_certificate_is_its_role(shared_material: Material, user: str, unit: str) -> None:
    folder = shared_material.user("lab.example", user) / "msp" / "signcerts"
    names = _certificate(next(folder.iterdir())).subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert [name.value for name in names] == [unit]


def test_tls_certificates_name_every_way_to_reach_the_peer(shared_material: Material) -> None:
    tls = shared_material.peer("lab.example") / "tls"
    certificate = _certificate(tls / "server.crt")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["peer0.lab.example", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("127.0.0.1")]
    root = _certificate(shared_material.tls_ca("lab.example"))
    certificate.verify_directly_issued_by(root)
    assert _certificate(tls / "ca.crt") == root


def test_the_host_that_a_peer_serves_on_is_named_too(tmp_path: Path) -> None:
    topology = default_topology()
    lab = replace(topology.organisations[1], peer=Endpoint("peer.lab.test", 7051))
    topology = replace(topology, organisations=(topology.organisations[0], lab, topology.organisations[2]))
    material = ensure_material(topology, tmp_path)
    certificate = _certificate(material.peer("lab.example") / "tls" / "server.crt")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "peer.lab.test" in names.get_values_for_type(x509.DNSName)


def test_signatures_of_certificates_have_low_s(shared_material: Material) -> None:
    half = curve_order(ec.SECP256R1()) // 2
    for path in [*shared_material.root.rglob("*.pem"), *shared_material.root.rglob("*.crt")]:
        assert decode_dss_signature(_certificate(path).signature)[1] <= half


def test_node_units_are_switched_on(shared_material: Material) -> None:
    text = (shared_material.organisation("lab.example") / "msp" / "config.yaml").read_text()
    units = yaml.safe_load(text)["NodeOUs"]
    assert units["Enable"] is True
    assert {units[f"{role}OUIdentifier"]["OrganizationalUnitIdentifier"] for role in ("Client", "Peer")} == {
        "client",
        "peer",
    }


def test_what_exists_is_kept_and_what_is_missing_is_added(tmp_path: Path) -> None:
    topology = default_topology()
    smaller = replace(topology, organisations=topology.organisations[:2])
    material = ensure_material(smaller, tmp_path)
    before = _snapshot(material.root)
    two_orderers = replace(topology.orderer, addresses=(*topology.orderer.addresses, Endpoint("127.0.0.1", 8050)))
    ensure_material(replace(topology, orderer=two_orderers), tmp_path)
    after = _snapshot(material.root)
    assert {name: after[name] for name in before} == before
    assert material.peer("regulator.example").is_dir()
    second = material.orderer("orderer.example", 2) / "tls" / "server.crt"
    _certificate(second).verify_directly_issued_by(_certificate(material.orderer_tls_ca("orderer.example")))


def test_a_start_that_was_killed_half_way_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "organizations" / "peerOrganizations"
    half = folder / ".lab.example.new" / "ca"
    half.mkdir(parents=True)
    (half / "priv_sk").write_text("half a key")
    material = ensure_material(default_topology(), tmp_path)
    assert b"PRIVATE KEY" in (material.organisation("lab.example") / "ca" / "priv_sk").read_bytes()
    assert not [path for path in material.root.rglob(".*") if path.is_dir()]


def test_certificates_begin_a_little_early_and_last_ten_years(tmp_path: Path) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    topology: Topology = default_topology()
    material = ensure_material(topology, tmp_path, at=at)
    certificate = _certificate(material.peer("lab.example") / "tls" / "server.crt")
    assert certificate.not_valid_before_utc == at - timedelta(minutes=5)
    assert certificate.not_valid_after_utc - at > timedelta(days=3640)
