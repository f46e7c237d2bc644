# SPDX-License-Identifier: Apache-2.0
"""A certificate revoked, the chaincode upgraded and a member added, all while applications record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from containerharness import engine
from containerharness.chains import Chains, member
from containerharness.consortium import ORGANISATIONS, Consortium

from gateway.fabric import GatewayError

pytestmark = pytest.mark.fabric


class Authority:
    """The lab's Fabric CA, asked by its registrar through the product's own command."""

    def __init__(self, consortium: Consortium, folder: Path) -> None:
        found = consortium.organisation("lab")
        self._secret = found["ca"]["registrar_secret"]
        ca = found["ca"]
        self._ca = ["--ca-url", ca["url"], "--ca-name", ca["name"], "--ca-tls-root", ca["tls_ca"]]
        self._wallet = ["--wallet", str(folder / "wallet")]
        self._folder = folder
        self("enrol", "admin", "--msp-id", "LabMSP", "--secret-file", self._secret)

    def __call__(self, verb: str, *arguments: str) -> str:
        done = engine.ours("pedigree", "identity", verb, *arguments, *self._wallet, *self._ca)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def enrolled(self, name: str) -> Path:
        """The MSP folder of a new application."""
        secret, msp = self._folder / f"{name}.secret", self._folder / name / "msp"
        self("register", name, "--as", "admin", "--secret-file", str(secret))
        self("enrol", name, "--msp-id", "LabMSP", "--secret-file", str(secret), "--msp", str(msp))
        return msp


def height_seen_by(consortium: Consortium, msp: Path) -> bytes:
    """What the ledger answers to whoever has this identity."""
    with member(consortium.network, "lab", msp) as chain:
        answer: bytes = chain.contract("qscc").evaluate("GetChainInfo", chain.name)
        return answer


def test_a_revoked_certificate_opens_nothing_any_more(
    consortium: Consortium, observe: Callable[..., None], tmp_path: Path
) -> None:
    authority = Authority(consortium, tmp_path)
    revoked, kept = authority.enrolled("leaving"), authority.enrolled("staying")
    assert height_seen_by(consortium, revoked)
    revocations = tmp_path / "crl.pem"

    def harm() -> None:
        authority("revoke", "leaving", "--as", "admin", "--crl", str(revocations))
        done = engine.ours("pedigree-network", "crl", "lab", str(revocations), "--dir", str(consortium.directory))
        assert done.returncode == 0, done.stderr

    observe("a certificate revoked, and the list put into the channel", harm)
    with pytest.raises(GatewayError):
        height_seen_by(consortium, revoked)
    assert height_seen_by(consortium, kept)


def test_the_chaincode_is_upgraded_under_load(consortium: Consortium, observe: Callable[..., None]) -> None:
    directory = str(consortium.directory)

    def harm() -> None:
        done = engine.ours("pedigree-network", "upgrade-chaincode", "pedigree", "--version", "next", "--dir", directory)
        assert done.returncode == 0, done.stderr

    observe("the chaincode upgraded", harm)
    report = json.loads(engine.ours("pedigree-network", "status", "--json", "--dir", directory).stdout)
    (deployed,) = report["chaincodes"]
    assert (deployed["name"], deployed["version"], deployed["sequence"]) == ("pedigree", "next", 2)


def test_an_organisation_joins_under_load(consortium: Consortium, chains: Chains, observe: Callable[..., None]) -> None:
    def harm() -> None:
        done = engine.ours(
            *["pedigree-network", "add-org", "maker", "--mspid", "MakerMSP", "--domain", "maker.example"],
            *["--peer", "127.0.0.1:0", "--dir", str(consortium.directory)],
        )
        assert done.returncode == 0, done.stderr
        chains.network = consortium.network

    gateways = [consortium.node(f"gateway.{name}.example") for name in ORGANISATIONS]
    before = [gateway.starts for gateway in gateways]
    observe("an organisation added", harm)
    assert [gateway.starts for gateway in gateways] == before
    assert len(chains.hashes["maker"]) == len(chains.hashes["lab"])


@pytest.mark.parametrize("organisation", ["hospital", "lab", "regulator", "maker"])
def test_after_all_of_it_the_ledger_is_sound(consortium: Consortium, organisation: str) -> None:
    network, data = consortium.directory / "network.json", consortium.directory / "gateways" / organisation
    done = engine.ours(
        "pedigree", "fsck", "--network", str(network), "--organisation", organisation, "--data", str(data)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 peers, a read model of " in done.stdout
    print(f"\n{organisation}: {done.stdout.strip()}")
