# SPDX-License-Identifier: Apache-2.0
"""`rotate-tls` on an embedded network, and what it refuses."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from network.material import Material


def shown(described: dict[str, Any]) -> list[x509.Certificate]:
    """What the peers of a running network show."""
    found = []
    for entry in described["organisations"]:
        host, _, port = entry["peer"].rpartition(":")
        pem = ssl.get_server_certificate((host, int(port)), ca_certs=entry["tls_ca"])
        found.append(x509.load_pem_x509_certificate(pem.encode()))
    return found


def description(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "network.json").read_text(encoding="utf-8"))
    return found


def test_an_embedded_network_shows_new_certificates_after_its_next_start(
    tmp_path: Path, topology_file: Path, run: Any
) -> None:
    directory = tmp_path / "net"
    assert run("up", "--detach", "--dir", directory, "--topology", topology_file).exit_code == 0
    try:
        before = shown(description(directory))
        refused = run("rotate-tls", "--dir", directory)
        assert refused.exit_code == 1
        assert "reads its certificates when it starts: stop it with: pedigree-network down" in refused.output
        run("down", "--dir", directory)
        done = run("rotate-tls", "--dir", directory, "--json")
        assert done.exit_code == 0, done.output
        assert "peer0.lab.example" in json.loads(done.stdout)["renewed"]
        assert run("up", "--detach", "--dir", directory).exit_code == 0
        after = shown(description(directory))
    finally:
        run("down", "--dir", directory)
    assert len(before) == len(after) == 3
    for former, now in zip(before, after, strict=True):
        assert (now.subject, now.issuer) == (former.subject, former.issuer)
        assert now.public_key() != former.public_key()


def test_one_organisation_is_named_by_name_msp_id_or_domain(tmp_path: Path, topology_file: Path, run: Any) -> None:
    directory = tmp_path / "net"
    assert run("up", "--detach", "--dir", directory, "--topology", topology_file).exit_code == 0
    run("down", "--dir", directory)
    folder = Material(directory / "organizations").peer("hospital.example") / "tls"
    former = (folder / "server.crt").read_bytes()
    expected = ["peer0.lab.example", "Admin@lab.example", "User1@lab.example"]
    for name in ("lab", "LabMSP", "lab.example"):
        done = run("rotate-tls", "--org", name, "--dir", directory, "--json")
        assert json.loads(done.stdout)["renewed"] == expected
    assert (folder / "server.crt").read_bytes() == former
    done = run("rotate-tls", "--org", "orderer.example", "--dir", directory)
    assert "renewed the TLS certificates of 2 programs and users" in done.output
    done = run("rotate-tls", "--org", "stranger", "--dir", directory)
    assert done.exit_code == 1
    assert "--org: no organisation is called 'stranger'; there are hospital, lab, regulator, orderer" in done.output


@pytest.mark.parametrize(
    ("described", "problem"),
    [
        (None, "has no network; start one with: pedigree-network up"),
        ({"ledger": "fabric"}, "no network runs on"),
    ],
)
def test_what_cannot_be_renewed_is_one_line(
    described: dict[str, Any] | None, problem: str, tmp_path: Path, run: Any
) -> None:
    if described is not None:
        (tmp_path / "network.json").write_text(json.dumps(described), encoding="ascii")
    done = run("rotate-tls", "--dir", tmp_path)
    assert done.exit_code == 1
    assert problem in done.output
    assert len(done.output.strip().splitlines()) == 1
