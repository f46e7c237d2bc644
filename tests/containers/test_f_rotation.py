# SPDX-License-Identifier: Apache-2.0
"""TLS certificates renewed while applications record: of every kind of program, and of all orderers."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from socket import create_connection

import pytest
from containerharness import engine
from containerharness.consortium import Consortium

pytestmark = pytest.mark.fabric

ROLES = ("ca", "chaincode", "gateway", "peer0")
CLIENTS = ("users/Admin@lab.example", "users/User1@lab.example", "services/gateway.lab.example")


def shown(address: str, root: Path, client: Path) -> bytes:
    """The certificate that a server shows to a member of the consortium."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=str(root))
    context.load_cert_chain(client / "client.crt", client / "client.key")
    with (
        create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as on,
    ):
        found = on.getpeercert(binary_form=True)
    assert found is not None
    return found


def certificates(consortium: Consortium) -> dict[str, bytes]:
    """What the lab's and the ordering organisation's servers show, and with what their clients prove themselves."""
    lab, orderer = consortium.organisation("lab"), consortium.network["orderer"]
    own, theirs = Path(lab["tls_client"]), Path(orderer["admin_tls"])
    root, ordering_root = Path(lab["tls_ca"]), Path(orderer["tls_ca"])
    found = {lab["peer"]: shown(lab["peer"], root, own)}
    for of, ca_root, client in ((lab, root, own), (orderer, ordering_root, theirs)):
        address = of["ca"]["url"].removeprefix("https://")
        found[address] = shown(address, ca_root, client)
    for address in (*orderer["addresses"], *orderer["admin_addresses"]):
        found[address] = shown(address, ordering_root, theirs)
    folder = consortium.directory / "organizations" / "peerOrganizations" / "lab.example"
    for client_of in CLIENTS:
        found[client_of] = (folder / client_of / "tls" / "client.crt").read_bytes()
    return found


def rotate(consortium: Consortium, organisation: str) -> list[str]:
    done = engine.ours(
        *["pedigree-network", "rotate-tls", "--org", organisation, "--json", "--dir", str(consortium.directory)],
        within=300,
    )
    assert done.returncode == 0, done.stderr
    renewed: list[str] = json.loads(done.stdout)["renewed"]
    return renewed


def test_certificates_are_renewed_under_load(consortium: Consortium, observe: Callable[..., None]) -> None:
    before, starts = certificates(consortium), {}
    chaincode = next(one for one in _containers(consortium) if one.startswith("chaincode") and "lab.example" in one)
    names = [chaincode, *(f"{role}.lab.example" for role in ROLES if role != "chaincode"), *consortium.orderers()]
    names.append("ca.orderer.example")
    for name in names:
        starts[name] = consortium.node(name).starts
    untouched = consortium.node("peer0.hospital.example").starts
    renewed: list[str] = []

    def harm() -> None:
        for organisation in ("lab", "orderer.example"):
            renewed.extend(rotate(consortium, organisation))

    observe("TLS certificates of the lab and of all orderers renewed", harm)
    users = ["Admin@lab.example", "User1@lab.example", "Admin@orderer.example"]
    assert sorted(renewed) == sorted([*names, *users])
    after = certificates(consortium)
    assert after.keys() == before.keys()
    assert not [name for name in before if after[name] == before[name]], "each proves itself with another certificate"
    assert not [name for name in names if consortium.node(name).starts == starts[name]]
    assert consortium.node("peer0.hospital.example").starts == untouched


def test_another_up_finds_nothing_to_replace(consortium: Consortium) -> None:
    names = [name for name in _containers(consortium) if not name.startswith("enrolment")]
    starts = {name: consortium.node(name).starts for name in names}
    consortium.up()
    assert {name: consortium.node(name).starts for name in names} == starts


@pytest.mark.parametrize("organisation", ["hospital", "lab"])
def test_after_it_the_ledger_is_sound(consortium: Consortium, organisation: str) -> None:
    network, data = consortium.directory / "network.json", consortium.directory / "gateways" / organisation
    done = engine.ours(
        "pedigree", "fsck", "--network", str(network), "--organisation", organisation, "--data", str(data)
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _containers(consortium: Consortium) -> list[str]:
    done = engine.ours("pedigree-network", "status", "--json", "--dir", str(consortium.directory))
    return [each["name"] for each in json.loads(done.stdout)["containers"]]
