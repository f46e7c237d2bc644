# SPDX-License-Identifier: Apache-2.0
"""Kubernetes's published definitions, parts with fixed files, and Helm where it is installed."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from jsonschema import Draft202012Validator

from network.kubernetes.export import CHART
from network.kubernetes.part import Part
from network.topology import Topology, default_topology

Render = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def problems() -> Callable[[dict[str, Any]], list[str]]:
    """What the published definitions of release 1.33 find wrong with an object; unknown fields are wrong too."""
    definitions = json.loads((Path(__file__).parent / "kubernetes-1.33.json").read_text(encoding="utf-8"))

    def find(document: dict[str, Any]) -> list[str]:
        reference = {"$ref": f"#/$defs/{definitions['kinds'][document['kind']]}", "$defs": definitions["$defs"]}
        errors = Draft202012Validator(reference).iter_errors(document)
        return [f"{document['kind']} {'.'.join(map(str, error.path))}: {error.message}" for error in errors]

    return find


@pytest.fixture(scope="session")
def fixed_topology() -> Topology:
    return default_topology()


@pytest.fixture(scope="session")
def fixed_directory(tmp_path_factory: pytest.TempPathFactory, fixed_topology: Topology) -> Path:
    """Key material in which every file says where it lies, so that what is rendered from it is always the same."""
    directory = tmp_path_factory.mktemp("fixed")
    domains = [("peerOrganizations", member.domain) for member in fixed_topology.organisations]
    for kind, domain in [*domains, ("ordererOrganizations", fixed_topology.orderer.domain)]:
        base = directory / "organizations" / kind / domain
        node = f"orderers/orderer1.{domain}" if kind.startswith("orderer") else f"peers/peer0.{domain}"
        files = [f"msp/cacerts/ca.{domain}-cert.pem", f"msp/tlscacerts/tlsca.{domain}-cert.pem", "msp/config.yaml"]
        files += [f"ca/ca.{domain}-cert.pem", "ca/priv_sk", f"tlsca/tlsca.{domain}-cert.pem"]
        for owner, side in ((node, "server"), (f"users/User1@{domain}", "client")):
            files += [f"{owner}/msp/{name}" for name in ("cacerts/ca.pem", "tlscacerts/tlsca.pem", "signcerts/it.pem")]
            files += [f"{owner}/msp/keystore/priv_sk", f"{owner}/tls/ca.crt"]
            files += [f"{owner}/tls/{side}.crt", f"{owner}/tls/{side}.key"]
        if kind.startswith("peer"):
            service = "services/" + Part.of(fixed_topology, directory, domain.partition(".")[0]).chaincode
            files += [f"{service}/tls/{name}" for name in ("ca.crt", "server.crt", "server.key")]
        for name in files:
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text(_fixed(f"{domain}/{name}"), encoding="ascii")
    return directory


def _fixed(path: str) -> str:
    """What a file holds: a certificate where one is shown to others, else where it lies, as a comment of YAML."""
    if not re.search(r"/msp/(tls)?cacerts/.*-cert\.pem|/tlsca/.*-cert\.pem", path):
        return f"# {path}\n"
    key = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(path.encode()).digest())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.rpartition("/")[2])])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    certificate = builder.not_valid_after(datetime(2036, 1, 1, tzinfo=UTC)).sign(key, None)
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture(scope="session")
def helm() -> Render:
    """Renders the chart with a file of values; the test is skipped where Helm is not installed."""
    program = shutil.which("helm")
    if program is None:
        pytest.skip("helm is not installed: the committed manifests stand in for what it would render")

    def render(values: Path) -> list[dict[str, Any]]:
        given = [str(CHART), "-f", str(values)]
        subprocess.run([program, "lint", "--strict", *given], check=True, capture_output=True)
        command = [program, "template", "release", *given, "--kube-version", "1.33.0"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [document for document in yaml.safe_load_all(text) if document]

    return render
