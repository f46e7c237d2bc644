# SPDX-License-Identifier: Apache-2.0
"""Fabric's own clients on the consortium: the official Node client and the `peer` command line see what ours sees."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from containerharness import engine
from containerharness.chains import Chains, member
from containerharness.consortium import Consortium

from chaincode.domain import codec
from chaincode.domain.codec import Document
from chaincode.domain.model import RegisterModel
from chaincode.domain.reading import GetRecord
from chaincode.domain.values import Name, Text
from network.containers.plan import Images

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))  # where the official Node client is installed

from fabricharness import node

pytestmark = [pytest.mark.fabric, pytest.mark.node]

_KEYS = "/etc/pedigree/organizations"
_CORE = "peer: {BCCSP: {Default: SW, SW: {Hash: SHA2, Security: 256}}}\n"


@dataclass(frozen=True)
class NodeClient:
    """The official Node client as User1 of an organisation, on this machine."""

    folder: Path
    consortium: Consortium
    organisation: str

    def __call__(self, scenario: str, *args: str) -> Any:
        network, found = self.consortium.network, self.consortium.organisation(self.organisation)
        proof = {name: found[name] for name in ("peer", "tls_ca", "mspid", "user_msp", "tls_client")}
        names = {"channel": network["channel"], "chaincode": network["chaincode_default"]}
        described = {**proof, **names, "server_name": f"peer0.{found['domain']}", "args": args}
        return node.drive(self.folder, scenario, described)


@dataclass(frozen=True)
class CommandLine:
    """The `peer` command line as User1 of an organisation, in a container beside the consortium's."""

    folder: Path
    consortium: Consortium
    organisation: str

    def height(self) -> int:
        said = self._run("channel", "getinfo", "--channelID", self.consortium.network["channel"])
        return int(json.loads(said.partition("Blockchain info:")[2])["height"])

    def query(self, *args: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._run("chaincode", "query", *self._call(args)))
        return found

    def invoke(self, *args: str) -> None:
        """Endorsed by every organisation's peer; returns when User1's own peer has committed it as valid."""
        orderer = self.consortium.network["orderer"]
        port = orderer["addresses"][0].rpartition(":")[2]
        ordering = ["--orderer", f"orderer1.{orderer['domain']}:{port}", "--tls", "--cafile", self._inside("orderer")]
        proof = ["--clientauth", "--certfile", self._client("crt"), "--keyfile", self._client("key")]
        peers = [
            argument
            for one in self.consortium.network["organisations"]
            for argument in ("--peerAddresses", self._peer(one), "--tlsRootCertFiles", self._inside(one["name"]))
        ]
        self._run("chaincode", "invoke", *ordering, *proof, *self._call(args), *peers, "--waitForEvent")

    def _call(self, args: tuple[str, ...]) -> list[str]:
        network = self.consortium.network
        call = json.dumps({"Args": args})
        return ["--channelID", network["channel"], "--name", network["chaincode_default"], "--ctor", call]

    def _peer(self, found: dict[str, Any]) -> str:
        return f"peer0.{found['domain']}:{found['peer'].rpartition(':')[2]}"

    def _inside(self, owner: str) -> str:
        """An organisation's TLS root certificate, as the container sees it."""
        network = self.consortium.network
        found = network["orderer"] if owner == "orderer" else self.consortium.organisation(owner)
        return self._mounted(found["tls_ca"])

    def _client(self, kind: str) -> str:
        found = self.consortium.organisation(self.organisation)
        return self._mounted(f"{found['tls_client']}/client.{kind}")

    def _mounted(self, path: str) -> str:
        return f"{_KEYS}/{Path(path).relative_to(self.consortium.directory / 'organizations')}"

    def _run(self, *arguments: str) -> str:
        found = self.consortium.organisation(self.organisation)
        environment = {
            "FABRIC_CFG_PATH": "/etc/pedigree/tool",
            "FABRIC_LOGGING_SPEC": "error",
            "CORE_PEER_LOCALMSPID": found["mspid"],
            "CORE_PEER_MSPCONFIGPATH": self._mounted(found["user_msp"]),
            "CORE_PEER_ADDRESS": self._peer(found),
            "CORE_PEER_TLS_ENABLED": "true",
            "CORE_PEER_TLS_ROOTCERT_FILE": self._inside(self.organisation),
            "CORE_PEER_TLS_CLIENTAUTHREQUIRED": "true",
            "CORE_PEER_TLS_CLIENTCERT_FILE": self._client("crt"),
            "CORE_PEER_TLS_CLIENTKEY_FILE": self._client("key"),
        }
        (self.folder / "core.yaml").write_text(_CORE, encoding="ascii")
        where = ["--network", f"{self.consortium.network['compose_project']}_consortium"]
        who = ["--user", f"{os.getuid()}:{os.getgid()}", "--cap-drop", "ALL", "--read-only"]
        keys = f"{self.consortium.directory / 'organizations'}:{_KEYS}:ro"
        what = ["--volume", keys, "--volume", f"{self.folder}:/etc/pedigree/tool:ro", "--entrypoint", "peer"]
        told = [argument for name, value in environment.items() for argument in ("--env", f"{name}={value}")]
        return engine.done("run", "--rm", *where, *who, *what, *told, Images().peer, *arguments)


@pytest.fixture(scope="module")
def node_folder() -> Path:
    if (problem := node.missing()) is not None:
        pytest.skip(f"NOT RUN: the official Node client on Fabric in containers, because {problem}")
    return node.installed()


def document(content: Document) -> str:
    """An argument of the chaincode."""
    return json.dumps(codec.to_plain(content))


def registered(answer: dict[str, Any]) -> tuple[str, str]:
    """Which model a record is, and whose."""
    return answer["record"]["model"], answer["record"]["owner"]


def test_foreign_clients_and_ours_see_the_same_ledger(
    consortium: Consortium, chains: Chains, node_folder: Path, tmp_path: Path
) -> None:
    consortium.found()
    javascript, tool = NodeClient(node_folder, consortium, "lab"), CommandLine(tmp_path, consortium, "hospital")
    javascript("submit", "model:register", document(RegisterModel(Name("by-node"), Text("Node"))))
    tool.invoke("model:register", document(RegisterModel(Name("by-tool"), Text("Tool"))))
    height = chains.settle()
    assert javascript("height") == tool.height() == height
    by_node, by_tool = (document(GetRecord(Text("model"), (Text(name),))) for name in ("by-node", "by-tool"))
    wanted = [("by-node", "LabMSP"), ("by-tool", "HospitalMSP")]
    assert registered(tool.query("record:get", by_node)) == wanted[0]
    assert registered(json.loads(javascript("evaluate", "record:get", by_tool))) == wanted[1]
    with member(consortium.network, "regulator") as ours:
        contract = ours.contract(consortium.network["chaincode_default"])
        assert [registered(json.loads(contract.evaluate("record:get", each))) for each in (by_node, by_tool)] == wanted
    assert chains.heights() == dict.fromkeys(chains.heights(), height)  # asking has left nothing behind
