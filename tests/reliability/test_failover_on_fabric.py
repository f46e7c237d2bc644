# SPDX-License-Identifier: Apache-2.0
"""Real Fabric, one organisation with two peers: each of them killed and stopped under load, and both at once.

The second peer is a process of this test's own: the network's tool runs one peer for each organisation and goes down
with it, so what may die here is the peer that the gateway prefers and the tool does not know.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.demo.consortium import CHAINCODE, Consortium, held_ports
from gateway.demo.founding import found
from gateway.fabric import Gateway, Identity, Signer, Trust, connect
from network import native
from network.lifecycle import packages_for
from network.metrics import node_metric
from network.native import channel, render
from network.native.plan import OrdererNode, PeerNode, Plan, make_plan
from network.native.processes import start, wait_for_port
from network.topology import Endpoint, load

pytestmark = [pytest.mark.fabric, pytest.mark.slow]


class SecondPeer(PeerNode):
    """A peer beside the first one of its organisation."""

    @property
    def host(self) -> str:
        return f"peer1.{self.domain}"


class TwoPeers(Consortium):
    """The consortium with a second peer of the lab's, which has joined before anything is deployed."""

    pid: int | None = None
    limit = 500
    """Calls that the second peer's Gateway service takes at once."""

    def _topology(self) -> list[str]:
        path = self.directory / "topology.json"
        if not path.exists():
            super()._topology()
            described = json.loads(path.read_text(encoding="utf-8"))
            described["organisations"][1]["further_peers"] = ["127.0.0.1:0"]
            path.write_text(json.dumps(described), encoding="utf-8")
        return ["--topology", str(path)]

    def _start_network(self) -> None:
        super()._start_network()
        plan = make_plan(load(self.directory / "topology.json"), self.directory)
        lab = next(one for one in plan.organisations if one.name == "lab")
        port = self._free()
        self.node = SecondPeer(lab.mspid, lab.domain, port, self._free(), self._free())
        self.plan: Plan = plan
        tree = render.core(plan, self.node, self.directory / "fabric" / "builder")
        tree["peer"]["limits"]["concurrency"]["gatewayService"] = self.limit  # type: ignore[index]
        text = yaml.safe_dump(tree).replace(f"peers/peer0.{lab.domain}", f"peers/peer1.{lab.domain}")
        home = plan.home(self.node)
        home.mkdir(parents=True, exist_ok=True)
        (home / "core.yaml").write_text(text, encoding="utf-8")
        self.start_peer()
        channel.join_peer(plan, native.Binaries.find(), replace(lab, peer=self.node))
        deadline = time.monotonic() + 60
        while self._known_peers() < 2:
            assert time.monotonic() < deadline, "the second peer sees nobody"
            time.sleep(0.1)

    def _known_peers(self) -> float:
        text = httpx.get(f"http://127.0.0.1:{self.node.operations_port}/metrics", timeout=5).text
        found = [line for line in text.splitlines() if line.startswith("gossip_membership_total_peers_known{")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    @staticmethod
    def _free() -> int:
        with held_ports(1) as (port,):
            return port

    def start_peer(self) -> None:
        """Start it, or start it again on what it has."""
        self.pid = start(
            [str(native.Binaries.find().folder / "peer"), "node", "start"],
            log=self.plan.log(self.node),
            pid_file=self.directory / "second-peer.pid",
            environment={"FABRIC_CFG_PATH": str(self.plan.home(self.node)), "FABRIC_LOGGING_SPEC": "info:grpc=error"},
        )
        wait_for_port(self.node.port, who=self.node.host, log=self.plan.log(self.node), pid=self.pid)

    def install(self) -> None:
        """Install on it the very package that the first peer has."""
        address = Endpoint("127.0.0.1", self.ports["lab"].chaincode)
        package = packages_for(CHAINCODE, "1.0", {"LabMSP": address})["LabMSP"]
        known = json.loads((self.directory / "chaincodes" / f"{CHAINCODE}.id").read_text(encoding="utf-8"))
        assert known["LabMSP"] == package.package_id
        file = self.directory / "second-peer.tar.gz"
        file.write_bytes(package.content)
        admin = self.plan.material.user(self.node.domain, "Admin")
        native.Binaries.find().run(
            "peer", "lifecycle", "chaincode", "install", str(file),
            environment={
                "FABRIC_CFG_PATH": str(self.plan.home(self.node)),
                "CORE_PEER_LOCALMSPID": self.node.mspid,
                "CORE_PEER_TLS_ENABLED": "true",
                "CORE_PEER_TLS_ROOTCERT_FILE": str(self.plan.material.peer(self.node.domain) / "tls" / "ca.crt"),
                "CORE_PEER_MSPCONFIGPATH": str(admin / "msp"),
                "CORE_PEER_ADDRESS": self.node.address,
            },
        )  # fmt: skip

    def leads(self, node: OrdererNode) -> bool:
        """Whether an orderer, which the tool has started on ports of its choice, leads the channel."""
        settings = yaml.safe_load((self.plan.home(node) / "orderer.yaml").read_text(encoding="utf-8"))
        metric = "consensus_etcdraft_is_leader"
        return bool(node_metric(settings["Operations"]["ListenAddress"], metric, self.network()["channel"]))

    def signal_peer(self, number: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)

    def first_peer(self) -> int:
        """The process of the peer that the tool runs."""
        return int((self.directory / "run" / "peer0.lab.example.pid").read_text(encoding="utf-8").split()[0])

    def stop(self) -> None:
        for pid, number in (
            (self.first_peer(), signal.SIGCONT),
            (self.pid, signal.SIGCONT),
            (self.pid, signal.SIGKILL),
        ):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        super().stop()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoPeers]:
    try:
        native.Binaries.find()
    except native.NativeError as error:
        pytest.skip(f"NOT RUN: {error}")
    running = TwoPeers(tmp_path_factory.mktemp("two-peers"), "fabric", any_port=True)
    running.limit = 20
    try:
        running.start()
        running.install()
        found(running)
        yield running
    finally:
        running.stop()


@pytest.fixture
def gateway(two: TwoPeers, new_gateway: Callable[..., Any]) -> Any:
    """The lab's gateway, which prefers the second peer."""
    first = next(one for one in two.network()["organisations"] if one["name"] == "lab")["peer"]
    peers = ("--peer", f"peer1.lab.example={two.node.address}", "--peer", f"peer0.lab.example={first}")
    return new_gateway(two).start(*peers, "--peer-slots", "16")


@pytest.fixture
def recorded(two: TwoPeers, registrations: Callable[..., Any], prefix: str) -> Callable[[], list[Any]]:
    """This test's registrations, read from the blocks of another organisation's peer."""
    return lambda: [one for one in registrations(two.network()) if one.model.startswith(f"{prefix}-")]


def metrics(gateway: Any) -> dict[str, float]:
    text = httpx.get(f"{gateway.health}/metrics", timeout=5).text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("pedigree_")]
    return {name: float(value) for name, _, value in lines}


def usable(gateway: Any, count: int, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while metrics(gateway)["pedigree_peers_usable"] != count:
        assert time.monotonic() < deadline, f"never {count} usable peers:\n{gateway.log()[-3000:]}"
        time.sleep(0.1)


def run(load: Any, gateway: Any, prefix: str, each: int, trouble: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        troubled = pool.submit(trouble)
        load.run([gateway.target], clients=8, each=each, prefix=prefix, timeout=180.0)
        troubled.result()


def judge(load: Any, recorded: Callable[[], list[Any]], count: int, gateway: Any, report: Any) -> None:
    times = sorted(one.seconds for one in load.exchanges)
    events = {
        name.split('"')[1]: int(value)
        for name, value in metrics(gateway).items()
        if name.startswith("pedigree_events_total")
    }
    report(
        f"{len(load.acknowledged)} recorded in {load.seconds:.1f} s, statuses "
        f"{sorted({f'{one.status} {one.code}'.strip() for one in load.exchanges})}, "
        f"p50 {times[len(times) // 2] * 1000:.0f} ms, longest {times[-1]:.1f} s, {events}"
    )
    assert (len(load.acknowledged), load.unanswered) == (count, 0)
    load.judge(recorded())
    assert metrics(gateway)["pedigree_peers_distrusted"] == 0


def test_a_peer_killed_under_load_and_started_again(
    two: TwoPeers, gateway: Any, load: Any, recorded: Any, prefix: str, report: Any
) -> None:
    usable(gateway, 2)

    def trouble() -> None:
        for _ in range(2):
            time.sleep(3)
            two.signal_peer(signal.SIGKILL)
            time.sleep(3)
            two.start_peer()
            usable(gateway, 2)

    run(load, gateway, prefix, 60, trouble)
    judge(load, recorded, 480, gateway, report)
    assert [(one.status, one.code) for one in load.exchanges if one.status != 201] == []


def test_a_peer_stopped_under_load(
    two: TwoPeers, gateway: Any, load: Any, recorded: Any, prefix: str, report: Any
) -> None:
    usable(gateway, 2)

    def trouble() -> None:
        time.sleep(3)
        two.signal_peer(signal.SIGSTOP)
        time.sleep(15)
        two.signal_peer(signal.SIGCONT)
        usable(gateway, 2)

    run(load, gateway, prefix, 60, trouble)
    judge(load, recorded, 480, gateway, report)
    assert [(one.status, one.code) for one in load.exchanges if one.status != 201] == []


def test_a_peer_that_was_away_comes_back_when_it_has_caught_up(
    two: TwoPeers, gateway: Any, load: Any, recorded: Any, prefix: str, report: Any
) -> None:
    usable(gateway, 2)
    two.signal_peer(signal.SIGKILL)
    usable(gateway, 1)
    load.run([gateway.target], clients=1, each=20, prefix=prefix)
    two.start_peer()
    usable(gateway, 2)
    judge(load, recorded, 20, gateway, report)
    assert {one.status for one in load.exchanges} == {201}


def test_both_peers_stopped_is_told_and_passes(
    two: TwoPeers, gateway: Any, load: Any, recorded: Any, prefix: str, report: Any
) -> None:
    usable(gateway, 2)

    def trouble() -> None:
        time.sleep(3)
        both = (two.pid, two.first_peer())
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(20)
        for pid in both:
            os.kill(pid, signal.SIGCONT)
        usable(gateway, 2)

    run(load, gateway, prefix, 40, trouble)
    judge(load, recorded, 320, gateway, report)
    told = [one for one in load.exchanges if one.status == 503]
    assert {one.status for one in load.exchanges} <= {201, 202, 409, 503}
    assert all(one.retry_after for one in told)


def test_a_client_is_served_while_an_orderer_hangs(two: TwoPeers, prefix: str) -> None:
    """A peer that meets it first goes on to the next one while Fabric's clients still wait, as this bare one does."""
    described = two.network()
    lab = next(one for one in described["organisations"] if one["name"] == "lab")
    channel = connect(lab["peer"], tls_root=Path(lab["tls_ca"]).read_bytes(), server_name=f"peer0.{lab['domain']}")
    identity, signer = Identity.from_msp_folder(lab["mspid"], lab["user_msp"]), Signer.from_msp_folder(lab["user_msp"])
    folders = {one["mspid"]: one["msp"] for one in described["organisations"]}
    trust = Trust.from_msp_folders(folders, bytes.fromhex(described["genesis_hash"]))
    follower = next(node for node in two.plan.orderers if not two.leads(node))
    pid = int((two.directory / "run" / f"{follower.host}.pid").read_text(encoding="utf-8").split()[0])
    with closing(channel):
        contract = Gateway(channel, identity, signer, trust=trust).network(described["channel"]).contract(CHAINCODE)
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(8):  # one in three meets the one that hangs first
                command = {"kind": "register-model", "model": f"{prefix}-{number}", "schema": 1, "title": "Hanging"}
                document = json.dumps(command, sort_keys=True, separators=(",", ":"))
                contract.submit("model:register", document, secrets.token_hex(32))
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("slots", "refused"), [(16, False), (60, True)])
def test_a_peers_limit_is_kept_or_met_without_an_error(
    two: TwoPeers, new_gateway: Callable[..., Any], load: Any, recorded: Any, prefix: str, report: Any, slots: int,
    refused: bool,
) -> None:  # fmt: skip
    """The peer takes 20 calls at once; a gateway that keeps to 16 is never refused, one that tries 60 backs off."""
    only = ("--peer", f"peer1.lab.example={two.node.address}", "--peer-slots", str(slots))
    gateway = new_gateway(two).start(*only)
    load.run([gateway.target], clients=64, each=5, prefix=prefix, timeout=180.0)
    judge(load, recorded, 320, gateway, report)
    assert {one.status for one in load.exchanges} <= {201, 503}
    assert (metrics(gateway).get('pedigree_events_total{what="peer_limit"}', 0) > 0) == refused
