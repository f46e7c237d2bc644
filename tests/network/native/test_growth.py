# SPDX-License-Identifier: Apache-2.0
"""The same changes of a running network on both ledgers: the embedded one, and Fabric's own programs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from network import native
from network.embedded.fsck import fsck
from network.topology import default_topology
from network.wire import Administrator, Member, WireError

MAKER = ("add-org", "maker", "--mspid", "MakerMSP", "--domain", "maker.example", "--peer", "127.0.0.1:0")
ALL = ("hospital", "lab", "regulator", "maker")


class Net:
    """A network in the background, changed by the command line alone."""

    def __init__(self, ledger: str, directory: Path) -> None:
        self.ledger = ledger
        self.directory = directory

    def run(self, *arguments: str, refused: bool = False) -> str:
        command = [sys.executable, "-m", "network.cli", *arguments, "--dir", str(self.directory)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode != 0) is refused, done.stderr
        return done.stderr if refused else done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    @property
    def described(self) -> Any:
        return json.loads((self.directory / "network.json").read_text())

    def user(self, name: str) -> Administrator:
        (entry,) = [each for each in self.described["organisations"] if each["name"] == name]
        host = f"peer0.{entry['domain']}"
        folder = Path(entry["user_msp"])
        return Administrator(Member(name, entry["mspid"], entry["peer"], host, Path(entry["tls_ca"]), folder))

    def reads(self, name: str) -> bool:
        """Whether an organisation's user may look at the channel, through his own peer."""
        with self.user(name) as user:
            try:
                user.query("pedigree", "qscc", b"GetChainInfo", b"pedigree")
            except WireError:
                return False
            return True

    def deploy(self, chaincode: str, *organisations: str) -> Any:
        """Agree on a chaincode; nobody has to run it for that."""
        addresses = [part for name in organisations for part in ("--address", f"{name}=127.0.0.1:9")]
        return self.json("deploy", chaincode, *addresses)


@pytest.fixture(params=["embedded", pytest.param("fabric", marks=[pytest.mark.fabric, pytest.mark.slow])])
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Net]:
    if request.param == "fabric":
        try:
            native.Binaries.find()
        except native.NativeError as error:
            pytest.skip(f"NOT RUN: {error}")
    topology = tmp_path / "topology.json"
    topology.write_text(json.dumps(default_topology(any_port=True).to_json()))
    net = Net(request.param, tmp_path / "net")
    try:
        net.run("up", "--ledger", net.ledger, "--topology", str(topology), "--detach")
        yield net
    finally:
        net.run("down")
        native.down(net.directory)


def test_a_fourth_member_joins_and_another_leaves_while_the_network_runs(net: Net) -> None:
    assert net.deploy("before", "hospital", "lab", "regulator")["sequence"] == 1

    done = net.json(*MAKER)
    assert (done["changed"], done["sequence"], done["chaincodes"]) == (True, 1, ["before"])
    assert done["members"] == ["HospitalMSP", "LabMSP", "MakerMSP", "RegulatorMSP"]
    assert net.json(*MAKER) == {**done, "changed": False}
    assert net.reads("maker")
    assert net.deploy("after", *ALL)["sequence"] == 1  # committed with the newcomer's endorsement

    domain = net.directory / "organizations" / "peerOrganizations" / "lab.example"
    (certificate,) = (domain / "users" / "User1@lab.example" / "msp" / "signcerts").iterdir()
    assert net.reads("lab")
    assert net.json("crl", "lab", "--revoke", str(certificate))["changed"]
    assert not net.json("crl", "lab", "--revoke", str(certificate))["changed"]
    assert (net.reads("lab"), net.reads("hospital")) == (False, True)
    (certificate,) = (domain / "peers" / "peer0.lab.example" / "msp" / "signcerts").iterdir()
    assert net.json("crl", "lab", "--revoke", str(certificate))["changed"]  # and nobody waits for lab's peer

    gone = net.json("remove-org", "lab")
    assert gone["members"] == ["HospitalMSP", "MakerMSP", "RegulatorMSP"]
    assert net.deploy("later", "hospital", "regulator", "maker")["sequence"] == 1

    net.run("down")
    net.run("up", "--ledger", net.ledger, "--detach")
    heights = {entry["name"]: entry["height"] for entry in net.json("status")["organisations"]}
    assert sorted(heights) == ["hospital", "maker", "regulator"]
    if net.ledger == "embedded":
        net.run("down")
        assert fsck(net.directory).findings == []


def test_organisations_on_hosts_of_their_own_sign_a_file_one_after_the_other(net: Net, tmp_path: Path) -> None:
    file = tmp_path / "update.pb"
    net.run("config", "propose", "batch", "--max-messages", "7", "--out", str(file))
    assert "0 sub-policies were satisfied" in net.run("config", "submit", str(file), refused=True)
    assert "HospitalMSP" in net.run("config", "sign", str(file), "--org", "hospital", "--yes")
    for again in (("propose", "batch", "--max-messages", "8", "--out"), ("export",)):  # or the approval would be lost
        assert "exists already: name a new file" in net.run("config", *again, str(file), refused=True)
    assert "0 sub-policies were satisfied" in net.run("config", "submit", str(file), refused=True)
    if net.ledger == "fabric":
        sign_by_fabrics_own_tool(net, file)
    else:
        net.run("config", "sign", str(file), "--org", "OrdererMSP", "--yes")
    net.run("config", "submit", str(file))
    assert "but key is at version 1" in net.run("config", "submit", str(file), refused=True)
    assert json.loads(net.run("config", "show"))["ordering"]["batch"]["max_messages"] == 7


def sign_by_fabrics_own_tool(net: Net, file: Path) -> None:
    orderer = net.directory / "organizations" / "ordererOrganizations" / "orderer.example"
    environment = os.environ | {
        "FABRIC_CFG_PATH": str(net.directory / "fabric" / "peer0.hospital.example"),
        "CORE_PEER_LOCALMSPID": "OrdererMSP",
        "CORE_PEER_MSPCONFIGPATH": str(orderer / "users" / "Admin@orderer.example" / "msp"),
    }
    program = str(native.Binaries.find().folder / "peer")
    subprocess.run([program, "channel", "signconfigtx", "-f", str(file)], env=environment, check=True)


def test_an_ordering_node_follows_and_then_takes_part(net: Net) -> None:
    if net.ledger == "embedded":
        assert "orders in one process" in net.run("add-orderer", "127.0.0.1:0", refused=True)
        return
    address = f"127.0.0.1:{free_port()}"
    for _ in range(2):  # the second time the node comes back to a channel that it was taken out of
        assert net.json("add-orderer", address)["changed"]
        log = net.directory / "logs" / "orderer4.orderer.example.log"
        wait_for(log, "Raft leader changed: 0 ->")
        log.unlink()
        assert len(json.loads(net.run("config", "show"))["ordering"]["consenters"]) == 4
        assert net.json("remove-orderer", address)["changed"]
    assert net.deploy("after", "hospital", "lab", "regulator")["sequence"] == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(log: Path, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, f"{log} never says {words!r}"
        time.sleep(0.2)


REFUSED = {
    ("add-org", "lab", "--mspid", "XMSP", "--domain", "x.example", "--peer", "127.0.0.1:0"): "is there already",
    ("add-org", "x", "--mspid", "LabMSP", "--domain", "x.example", "--peer", "127.0.0.1:0"): "is used twice",
    (*MAKER, "--sign-with", "nobody"): "has no administrator of 'nobody'",
    (*MAKER, "--sign-with", "lab"): "requires 2 of the 'Admins' sub-policies",
    ("remove-org", "nobody"): "no organisation is called 'nobody'",
    ("crl", "lab"): "name a revocation list",
}


def test_what_cannot_be_done_is_refused_in_one_line_and_leaves_a_network_that_starts(net: Net) -> None:
    for arguments, problem in REFUSED.items():
        said = net.run(*arguments, refused=True)
        assert problem in said
        assert said.strip().splitlines()[-1].startswith("Error: ")
    assert len(json.loads(net.run("config", "show"))["members"]) == 3
    net.run("down")
    net.run("up", "--ledger", net.ledger, "--detach")
    assert json.loads(net.run("config", "show"))["sequence"] == 0
