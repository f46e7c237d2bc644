# SPDX-License-Identifier: Apache-2.0
"""Gateways that run keep serving while members join and leave, and know who is one also after a restart."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import configtx_pb2
from fabric_protos.msp import msp_config_pb2

from gateway.demo.consortium import ORGANISATIONS, Consortium, ready
from gateway.demo.founding import found
from gateway.demo.processes import Program, command
from network import native
from network.config.growth import Network

MAKER = ("add-org", "maker", "--mspid", "MakerMSP", "--domain", "maker.example", "--peer", "127.0.0.1:0")


@pytest.fixture(params=["embedded", pytest.param("fabric", marks=[pytest.mark.fabric, pytest.mark.slow])])
def consortium(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Consortium]:
    if request.param == "fabric":
        try:
            native.Binaries.find()
        except native.NativeError as error:
            pytest.skip(f"NOT RUN: {error}")
    running = Consortium(tmp_path / "net", request.param, any_port=True)
    try:
        running.start()
        found(running)
        yield running
    finally:
        running.stop()
        native.down(running.directory)


def change(consortium: Consortium, *arguments: str) -> None:
    done = subprocess.run(
        [command("pedigree-network"), *arguments, "--dir", str(consortium.directory)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "restart" not in done.stdout


def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    give_up = time.monotonic() + within
    while not condition():
        assert time.monotonic() < give_up, "not within 20 s"
        time.sleep(0.05)


def follows(consortium: Consortium, name: str, sequence: int) -> bool:
    """Whether an organisation's gateway is under this configuration."""
    with urllib.request.urlopen(f"http://127.0.0.1:{consortium.ports[name].health}/metrics", timeout=5) as answer:
        return f"\npedigree_config_sequence {sequence}.0\n" in answer.read().decode()


def gateway(consortium: Consortium, name: str) -> Program:
    return next(each for each in consortium.programs if each.name == f"gateway-{name}")


def test_members_join_and_leave_and_no_gateway_is_restarted(consortium: Consortium) -> None:
    stale = (consortium.directory / "network.json").read_bytes()
    with consortium.client("lab") as lab:
        for sequence, arguments in enumerate((MAKER, ("remove-org", "maker"), MAKER), start=1):
            change(consortium, *arguments)
            for name in ORGANISATIONS:
                until(partial(follows, consortium, name, sequence))
            lab.register_model(f"after-{sequence}", title="Followed")
        lab_gateway = gateway(consortium, "lab")
        said = lab_gateway.log.read_text(encoding="utf-8")
        assert said.count(": MakerMSP has joined") == 2
        assert said.count(": MakerMSP has left") == 1

        lab_gateway.kill()
        (consortium.directory / "network.json").write_bytes(stale)  # pins from before anybody joined
        lab_gateway.start()
        lab_gateway.wait_until(partial(ready, consortium.ports["lab"].health), within=60)
        assert follows(consortium, "lab", 3)
        again = lab_gateway.log.read_text(encoding="utf-8").removeprefix(said)
        assert "members HospitalMSP, LabMSP, MakerMSP, OrdererMSP, RegulatorMSP, rather than those that are" in again
        assert "block 0:" not in again, "the read model was made anew"
        lab.register_model("after-the-restart", title="Followed")


def odd_msp(msp: Any, *, oversized: bool) -> None:
    """What an administrator may write into the MSP of its organisation, and peers take."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another ca")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    root = x509.CertificateBuilder(name, name, key.public_key(), 1, at, at.replace(year=2046))
    root = root.add_extension(x509.BasicConstraints(True, None), critical=True)
    root = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    x400 = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3006a30430020500"))
    pem = root.add_extension(x400, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    msp.root_certs.append(pem + b"\n" * (70_000 if oversized else 0))
    strangers = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(strangers.public_key())
    crl = x509.CertificateRevocationListBuilder(name, at, at.replace(year=2046)).add_extension(identifier, False)
    msp.revocation_list.append(crl.sign(strangers, hashes.SHA256()).public_bytes(Encoding.PEM))
    for unit in ("peer", "client", "admin"):
        msp.organizational_unit_identifiers.add(organizational_unit_identifier=unit, certificate=msp.root_certs[0])


def readiness(consortium: Consortium, name: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{consortium.ports[name].health}/readyz", timeout=5) as answer:
        return json.load(answer)


def test_what_an_administrator_writes_into_its_own_msp_stops_no_gateway(
    consortium: Consortium, request: pytest.FixtureRequest
) -> None:
    # Fabric takes a certificate of any length; the embedded network's bound is ours, so nothing is disabled there.
    oversized = "fabric" in request.node.name

    def wanted(config: configtx_pb2.Config) -> configtx_pb2.Config:
        changed = configtx_pb2.Config()
        changed.CopyFrom(config)
        for group in changed.channel_group.groups["Application"].groups.values():
            outer = msp_config_pb2.MSPConfig.FromString(group.values["MSP"].value)
            inner = msp_config_pb2.FabricMSPConfig.FromString(outer.config)
            if inner.name == "HospitalMSP":
                odd_msp(inner, oversized=oversized)
                outer.config = inner.SerializeToString()
                group.values["MSP"].value = outer.SerializeToString()
        return changed

    with consortium.client("lab") as lab:
        Network.running(consortium.directory, lambda _: None).change(wanted, ("hospital",))
        for name in ("lab", "regulator"):
            until(partial(follows, consortium, name, 1))
        for number in range(6):  # whichever layouts the peer prefers
            lab.register_model(f"after-{number}", title="Still recorded")
        disabled = [each["organisation"] for each in readiness(consortium, "lab")["disabled_members"]]
        assert disabled == (["HospitalMSP"] if oversized else [])

        lab_gateway = gateway(consortium, "lab")
        lab_gateway.kill()
        lab_gateway.start()
        lab_gateway.wait_until(partial(ready, consortium.ports["lab"].health), within=60)
        lab.register_model("after-the-restart", title="Still recorded")
