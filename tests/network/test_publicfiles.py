# SPDX-License-Identifier: Apache-2.0
"""Folders of other organisations that name, link to or hold what is private: none of it may get into what is shown."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hostilefiles.folders import TRICKS, Trick
from hypothesis import given
from hypothesis import strategies as st

from network.config.groups import peer_organisation
from network.embedded.genesis import genesis_block
from network.embedded.identity import Signer
from network.embedded.mspconfig import msp_config_from_folder
from network.kubernetes.values import _folder
from network.material import Material
from network.packaging import ServiceTls
from network.profiles import connection_profile
from network.publicfiles import (
    ConfigYaml,
    PublicFileError,
    certificate_of,
    certificates_in,
    public_msp,
    read_inside,
    revocation_lists_in,
)
from network.topology import Topology


@pytest.fixture
def material(tmp_path: Path, shared_material: Material) -> Material:
    shutil.copytree(shared_material.root, tmp_path / "organizations")
    return Material(tmp_path / "organizations")


@pytest.fixture
def key(material: Material) -> Path:
    """The private key that must not get out: of another organisation's CA."""
    return material.organisation("hospital.example") / "ca" / "priv_sk"


@pytest.fixture
def msp(material: Material) -> Path:
    return material.organisation("lab.example") / "msp"


@pytest.mark.parametrize("trick", TRICKS)
def test_a_foreign_folder_never_brings_a_key_into_what_is_shown(
    trick: Trick, material: Material, shared_topology: Topology, msp: Path, key: Path
) -> None:
    trick(msp, key)
    for show in (
        lambda: public_msp(msp),
        lambda: msp_config_from_folder(msp, "LabMSP"),
        lambda: peer_organisation("LabMSP", msp, []),
        lambda: genesis_block(shared_topology, material),
    ):
        with pytest.raises(PublicFileError) as refusal:
            show()
        assert "\n" not in str(refusal.value)
        assert key.read_text().splitlines()[1] not in str(refusal.value)
    with pytest.raises(Exception, match=r"private key|leads out|inside this folder|something else than"):
        _folder(msp, "lab.example/msp")


def test_links_inside_a_folder_are_followed_as_volumes_of_kubernetes_need(msp: Path) -> None:
    before = public_msp(msp)
    (msp / "cacerts").rename(msp / "..data")
    (msp / "cacerts").symlink_to("..data")
    assert public_msp(msp) == before


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", "a/../../x", "a\0b", "cacerts"])
def test_what_is_no_name_of_a_file_inside_is_refused(msp: Path, name: str) -> None:
    with pytest.raises(PublicFileError):
        read_inside(msp, name)


def test_devices_pipes_and_large_files_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PublicFileError, match="is not a plain file"):
        read_inside(tmp_path, "pipe")
    (tmp_path / "large").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(PublicFileError, match="is larger than 1 MiB"):
        read_inside(tmp_path, "large")
    with pytest.raises(FileNotFoundError):
        read_inside(tmp_path, "absent")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises((PublicFileError, OSError)):
        read_inside(tmp_path, "round")


def test_what_stands_round_a_certificate_is_left_out(msp: Path) -> None:
    (file,) = (msp / "cacerts").iterdir()
    content = file.read_bytes()
    assert certificates_in(b"Subject: somebody\r\n" + content.replace(b"\n", b"\r\n") + b"secret words", "x") == content
    assert certificates_in(content * 2, "x") == content * 2


@pytest.mark.parametrize("label", ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY",
                                   "TRUSTED CERTIFICATE", "PUBLIC KEY", " CERTIFICATE REQUEST"])  # fmt: skip
def test_any_other_block_is_refused(msp: Path, label: str) -> None:
    (file,) = (msp / "cacerts").iterdir()
    block = f"-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n".encode()
    for content in (block, file.read_bytes() + block, block + file.read_bytes()):
        with pytest.raises(PublicFileError):
            certificates_in(content, "x")


@given(st.binary(max_size=200) | st.text("-BEGIN CERTIFICATE\nAZaz=", max_size=200).map(str.encode))
def test_whatever_a_file_holds_it_is_certificates_or_refused(content: bytes) -> None:
    for read in (certificates_in, revocation_lists_in):
        with pytest.raises(PublicFileError):
            read(content, "x")


@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_whatever_config_yaml_holds_it_is_read_or_refused(content: bytes) -> None:
    try:
        config = ConfigYaml("config.yaml", content)
        named = config.certificates()
    except PublicFileError:
        return
    assert all(isinstance(name, str) for name in named)


@pytest.mark.parametrize("text", ["[]", "NodeOUs: 3", "NodeOUs: {Enable: true, PeerOUIdentifier: x}", "a: [", "\xff",
                                  "OrganizationalUnitIdentifiers: x", "OrganizationalUnitIdentifiers: [1]",
                                  "OrganizationalUnitIdentifiers: [{Certificate: 3}]", "NodeOUs: {}\nNodeOUs: {}",
                                  "a: " + "[" * 3000])  # fmt: skip
def test_a_config_of_another_form_is_refused(msp: Path, text: str) -> None:
    (msp / "config.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(PublicFileError):
        public_msp(msp)


def test_units_of_a_folder_come_into_the_configuration(msp: Path) -> None:
    with (msp / "config.yaml").open("a") as file:
        file.write("OrganizationalUnitIdentifiers:\n  - {OrganizationalUnitIdentifier: ward}\n")
    config = msp_config_from_folder(msp, "LabMSP")
    (unit,) = config.organizational_unit_identifiers
    assert (unit.organizational_unit_identifier, unit.certificate) == ("ward", b"")
    roles = config.fabric_node_ous
    assert roles.enable
    assert roles.peer_ou_identifier.organizational_unit_identifier == "peer"
    assert roles.peer_ou_identifier.certificate == config.root_certs[0]


def with_key_beside(certificate: Path, key: Path) -> None:
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())


def test_a_key_beside_a_certificate_is_not_sent_with_every_message(material: Material) -> None:
    """`signcerts` is the creator of all that an identity signs."""
    folder = material.user("lab.example") / "msp"
    (certificate,) = (folder / "signcerts").iterdir()
    with_key_beside(certificate, folder / "keystore" / "priv_sk")
    with pytest.raises(PublicFileError, match="holds a private key"):
        Signer.from_folder(folder, "LabMSP")


def test_profiles_packages_and_consenters_take_certificates_alone(
    material: Material, shared_topology: Topology
) -> None:
    lab, folder = shared_topology.organisation("lab"), material.organisation("lab.example")
    user = material.user("lab.example") / "tls"
    with_key_beside(user / "client.crt", user / "client.key")
    with pytest.raises(PublicFileError, match=r"client\.crt: holds a private key"):
        ServiceTls.from_folder(user)
    with_key_beside(material.tls_ca("lab.example"), folder / "tlsca" / "priv_sk")
    with pytest.raises(PublicFileError, match="holds a private key"):
        connection_profile(shared_topology, material, lab)
    node = material.orderer("orderer.example") / "tls"
    with_key_beside(node / "server.crt", node / "server.key")
    with pytest.raises(PublicFileError, match=r"server\.crt: holds a private key"):
        genesis_block(shared_topology, material)
    with pytest.raises(PublicFileError):
        certificate_of(node, "server.key")


def test_a_revocation_list_is_taken_without_what_follows_it() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now)
    crl = builder.next_update(now + timedelta(days=1)).sign(key, hashes.SHA256())
    pem = crl.public_bytes(serialization.Encoding.PEM)
    assert revocation_lists_in(b"text\n" + pem + b"more", "x") == pem
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with pytest.raises(PublicFileError, match="holds a private key"):
        revocation_lists_in(pem + key.private_bytes(serialization.Encoding.PEM, *form), "x")
