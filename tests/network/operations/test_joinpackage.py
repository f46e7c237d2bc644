# SPDX-License-Identifier: Apache-2.0
"""Join packages: two directories that act as two hosts, and everything that may be wrong with what one sends."""

import base64
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hostilefiles.packages import signed_anew

from network.material import Material, ensure_material
from network.operations.errors import OperationsError
from network.operations.joinpackage import _canonical, export, read, store
from network.publicfiles import PublicFileError
from network.topology import Topology


@pytest.fixture
def package(tmp_path: Path, shared_topology: Topology, shared_material: Material) -> Path:
    path = tmp_path / "lab.join"
    path.write_bytes(export(shared_topology, shared_material.root.parent, "lab", "pedigree_1.0"))
    return path


def test_what_one_host_exports_another_imports(
    package: Path, tmp_path: Path, shared_topology: Topology, shared_material: Material
) -> None:
    joining = read(package)
    assert joining.organisation == shared_topology.organisation("lab")
    assert joining.chaincode == "pedigree_1.0"
    assert store(joining, tmp_path / "other")
    assert not store(joining, tmp_path / "other"), "a second time changes nothing"
    theirs, ours = Material(tmp_path / "other/organizations"), shared_material
    assert theirs.tls_ca("lab.example").read_bytes() == ours.tls_ca("lab.example").read_bytes()
    for path in (ours.organisation("lab.example") / "msp").rglob("*"):
        copy = theirs.organisation("lab.example") / "msp" / path.relative_to(ours.organisation("lab.example") / "msp")
        assert path.is_dir() or copy.read_bytes() == path.read_bytes()
    assert b"PRIVATE KEY" not in package.read_bytes()
    assert not list((tmp_path / "other").rglob("*_sk"))
    assert read(package, fingerprint=joining.fingerprint.replace(" ", ":").upper()) == joining


def test_another_root_of_the_same_domain_is_never_taken_over(
    package: Path, tmp_path: Path, shared_topology: Topology
) -> None:
    ensure_material(shared_topology, tmp_path / "stranger")
    with pytest.raises(OperationsError, match="holds another organisation of the domain lab"):
        store(read(package), tmp_path / "stranger")
    with pytest.raises(OperationsError, match="its root has the fingerprint"):
        read(package, fingerprint="00" * 32)


def changed(package: Path, change: Callable[[Any], None]) -> Path:
    document = json.loads(package.read_text())
    change(document)
    package.write_text(json.dumps(document))
    return package


def test_anything_that_is_not_what_was_signed_is_refused(
    package: Path, tmp_path: Path, shared_topology: Topology, shared_material: Material
) -> None:
    original = package.read_text()
    ensure_material(shared_topology, tmp_path / "stranger")
    stranger = json.loads(export(shared_topology, tmp_path / "stranger", "lab", "pedigree_1.0"))
    user = shared_material.user("lab.example") / "msp/signcerts/User1@lab.example-cert.pem"
    changes: list[tuple[str, Callable[[Any], None]]] = [
        ("was changed after it was signed", lambda d: d["content"]["organisation"].update(peer="127.0.0.1:1")),
        ("was changed after it was signed", lambda d: d["content"].update(chaincode="other_1.0")),
        ("was changed after it was signed", lambda d: d.update(signature=stranger["signature"])),
        ("is not certified by the root", lambda d: d.update(certificate=stranger["certificate"])),
        ("is not certified by the root", lambda d: d["content"].update(msp=stranger["content"]["msp"])),
        ("is not signed by an administrator", lambda d: d.update(certificate=user.read_text())),
        ("does not belong into a public MSP", lambda d: d["content"]["msp"].update({"keystore/x_sk": "x"})),
        ("does not belong into a public MSP", lambda d: d["content"]["msp"].update({"../x.pem": "x"})),
        ("is of another format", lambda d: d["content"].update(format="other")),
        ("is not a join package", lambda d: d.pop("signature")),
        ("is not a join package", lambda d: d.update(signature="%")),
        ("is not a join package", lambda d: d["content"].update(msp={})),
        ("organisations[0].mspid", lambda d: d["content"]["organisation"].update(mspid="A B")),
    ]
    for words, change in changes:
        package.write_text(original)
        with pytest.raises(OperationsError) as refusal:
            read(changed(package, change))
        assert words in str(refusal.value)
    for nested in (
        "[" * 100_000,
        '{"content": {"format": "pedigree-join-1", "msp": {}, "x": ' + "[" * 900 + "]" * 900 + "}}",
    ):
        package.write_text(nested)
        with pytest.raises(OperationsError, match="is not a join package"):
            read(package)
    package.write_text("{")
    with pytest.raises(OperationsError, match="is not a join package"):
        read(package)
    package.write_text(original)
    with pytest.raises(OperationsError, match="is not valid now"):
        read(package, at=datetime.now(UTC) + timedelta(days=3700))
    assert read(package).organisation.name == "lab"


def test_an_administrators_certificate_that_cannot_be_read_is_refused(package: Path) -> None:
    """Its key and its name are read only when they are asked for: both are spoilt here, where the outside is whole."""
    certificate = x509.load_pem_x509_certificate(json.loads(package.read_text())["certificate"].encode())
    der = certificate.public_bytes(serialization.Encoding.DER)
    curve, common_name = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("0603550403")
    spoilt = [
        der.replace(curve, bytes.fromhex("06082a8648ce3d030177")),
        der.replace(common_name + b"\x0c", common_name + b"\x1e"),
        der.replace(common_name + b"\x13", common_name + b"\x1e"),
    ]
    tried = 0
    original = package.read_text()
    for each in spoilt:
        if each == der:
            continue
        package.write_text(original)
        pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(each) + b"-----END CERTIFICATE-----\n"
        with pytest.raises(OperationsError):
            read(changed(package, lambda document, pem=pem: document.update(certificate=pem.decode())))  # type: ignore[misc]
        tried += 1
    assert tried == 2


def test_a_package_whose_owner_signed_for_what_is_not_public_is_refused(
    tmp_path: Path, shared_topology: Topology, shared_material: Material
) -> None:
    """The attacker is a member: the signature and the root are its own, and good."""
    shutil.copytree(shared_material.root, tmp_path / "theirs" / "organizations")
    theirs = tmp_path / "theirs"
    key = (Material(theirs / "organizations").organisation("lab.example") / "ca" / "priv_sk").read_text()
    victim = "../../../peerOrganizations/hospital.example/ca/priv_sk"

    def settings(named: str) -> str:
        return (
            f"NodeOUs:\n  Enable: true\n  PeerOUIdentifier: {{Certificate: {named}, OrganizationalUnitIdentifier: p}}\n"
        )

    changes: list[tuple[str, Callable[[Any], Any]]] = [
        ("which is not among its certificates", lambda msp: msp.update({"config.yaml": settings(victim)})),
        ("which is not among its certificates", lambda msp: msp.update({"config.yaml": settings("/etc/shadow")})),
        ("which is not among its certificates", lambda msp: msp.update({"config.yaml": settings("cacerts/..")})),
        ("holds a private key", lambda msp: msp.update({"config.yaml": key})),
        ("holds a private key", lambda msp: msp.update({"tlscacerts/x.pem": key})),
        ("holds a private key", lambda msp: msp.update({"crls/x.pem": key})),
        ("something else than certificates", lambda msp: msp.update({"tlscacerts/x.pem": "-----BEGIN X-----"})),
        ("is not YAML", lambda msp: msp.update({"config.yaml": "a: ["})),
        ("must be a mapping", lambda msp: msp.update({"config.yaml": "NodeOUs: [1]"})),
        ("two of one name", lambda msp: msp.update({"TLSCACERTS/x.pem": "", "tlscacerts/X.PEM": ""})),
        ("does not belong into a public MSP", lambda msp: msp.update({"tlscacerts/a/../../../x.pem": "x"})),
        ("does not belong into a public MSP", lambda msp: msp.update({"tlscacerts/x.pem": 7})),
    ]
    for words, change in changes:
        package = signed_anew(theirs, shared_topology, change)
        with pytest.raises(OperationsError) as refusal:
            read(package)
        assert words in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_what_stands_round_certificates_is_left_behind(
    tmp_path: Path, shared_topology: Topology, shared_material: Material
) -> None:
    shutil.copytree(shared_material.root, tmp_path / "theirs" / "organizations")

    def chatter(msp: dict[str, str]) -> None:
        msp.update(
            {name: f"secret words\r\n{text}more" for name, text in msp.items() if name.startswith("tlscacerts/")}
        )

    joining = read(signed_anew(tmp_path / "theirs", shared_topology, chatter))
    assert joining.msp == read_own(tmp_path / "theirs", shared_topology)
    assert store(joining, tmp_path / "ours")
    assert not store(joining, tmp_path / "ours"), "it is known, though it came with other words"


def read_own(directory: Path, topology: Topology) -> Any:
    return json.loads(export(topology, directory, "lab", "pedigree_1.0"))["content"]["msp"]


def test_a_key_among_ones_own_public_files_is_not_exported(
    tmp_path: Path, shared_topology: Topology, shared_material: Material
) -> None:
    shutil.copytree(shared_material.root, tmp_path / "organizations")
    folder = Material(tmp_path / "organizations").organisation("lab.example")
    (folder / "msp" / "tlscacerts" / "x.pem").write_bytes((folder / "tlsca" / "priv_sk").read_bytes())
    with pytest.raises(PublicFileError, match="holds a private key"):
        export(shared_topology, tmp_path, "lab", "pedigree_1.0")


def test_a_refused_import_changes_nothing(package: Path, tmp_path: Path, shared_topology: Topology) -> None:
    ensure_material(shared_topology, tmp_path / "stranger")
    before = {path: path.is_dir() or path.read_bytes() for path in (tmp_path / "stranger").rglob("*")}
    with pytest.raises(OperationsError, match="nothing was changed"):
        store(read(package), tmp_path / "stranger")
    assert {path: path.is_dir() or path.read_bytes() for path in (tmp_path / "stranger").rglob("*")} == before


def test_the_verbs_say_the_fingerprint_and_refuse_in_one_line(
    tmp_path: Path, shared_topology: Topology, run: Callable[..., Any]
) -> None:
    ensure_material(shared_topology, tmp_path / "one")
    result = run("export-msp", "lab", tmp_path / "lab.join", "--dir", tmp_path / "one")
    assert result.exit_code == 0, result.output
    fingerprint = result.output.strip().partition("root: ")[2]
    assert len(fingerprint.split()) == 16
    options = ("--dir", tmp_path / "two")
    assert run("import-msp", tmp_path / "lab.join", "--fingerprint", "00", *options).exit_code == 1
    assert not (tmp_path / "two").exists()
    assert f"compare the fingerprint of its root with the organisation itself: {fingerprint}" in run(
        "import-msp", tmp_path / "lab.join", *options
    ).output  # fmt: skip
    again = run("import-msp", tmp_path / "lab.join", "--fingerprint", fingerprint, "--json", *options)
    assert json.loads(again.output)["new"] is False
    for arguments, words in (
        (("nobody", tmp_path / "x"), "no organisation is called 'nobody'; there are hospital, lab, regulator"),
        (("lab", tmp_path / "lab.join"), "exists already: name a new file"),
    ):
        refusal = run("export-msp", *arguments, "--dir", tmp_path / "one")
        assert refusal.exit_code == 1
        assert words in refusal.stderr


def test_what_is_signed_does_not_depend_on_the_order_of_keys() -> None:
    assert _canonical({"b": 1, "a": "é"}) == _canonical({"a": "é", "b": 1}) == b'{"a":"\\u00e9","b":1}'
