# SPDX-License-Identifier: Apache-2.0
"""Gateways follow the channel without restart: who joins may endorse, who is revoked or leaves may not any more."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import pytest
from containerharness import engine
from containerharness.chains import member
from containerharness.consortium import ORGANISATIONS, Consortium
from fabric_protos.msp import identities_pb2

from gateway.fabric import InvalidIdentity, Trust, decode_block
from gateway.fabric.following import Follower
from gateway.fabric.verify import BlockChecker
from pedigree import Pedigree, PedigreeError

pytestmark = pytest.mark.fabric
_ENDORSED = "endorsed-by-a-newcomer"
_WITH_MAKER = ["HospitalMSP", "LabMSP", "MakerMSP"]


class Reader:
    """The gateway's own judgement of the blocks that real orderers signed, from the pinned one on."""

    def __init__(self, consortium: Consortium) -> None:
        network = consortium.network
        self.network = network
        self.trust = Trust((), bytes.fromhex(network["genesis_hash"]))
        self._checker = BlockChecker(self.trust.genesis_hash, first=0)
        self._follower = Follower(network["channel"], self.trust)
        self._height = 0
        self.endorsers: dict[str, bytes] = {}
        """Who endorsed the model of this test, by MSP id, each found to be a peer of a member then."""

    def read_on(self) -> None:
        with member(self.network, "hospital") as chain:
            height = chain.height(5.0)
            with chain.block_events(start_block=self._height, stop_block=height - 1) as blocks:
                for message in blocks:
                    self._read(message)
            self._height = height

    def _read(self, message: object) -> None:
        block = decode_block(message)
        self._checker.check(message)
        self._follower.check(message, block)
        for one in block.transactions:
            if one.valid and any(_ENDORSED.encode() in each for each in one.arguments):
                for endorsement in one.endorsements:
                    found = self.trust.msps.member(endorsement.endorser)
                    assert found.role == "peer"
                    found.verify(one.response_payload + endorsement.endorser, endorsement.signature)
                    self.endorsers[found.msp_id] = endorsement.endorser


def network_verb(consortium: Consortium, *arguments: str) -> None:
    done = engine.ours("pedigree-network", *arguments, "--dir", str(consortium.directory))
    assert done.returncode == 0, done.stderr


def processes(consortium: Consortium) -> dict[str, tuple[str, str]]:
    """What would be another one if a first member's gateway, peer or chaincode, or an orderer, had been restarted."""
    status = engine.ours("pedigree-network", "status", "--json", "--dir", str(consortium.directory))
    kinds = ("gateway", "peer0", "chaincode")  # an upgraded chaincode has a number behind it
    nodes = [
        name
        for name in (each["name"] for each in json.loads(status.stdout)["containers"])
        if name.startswith(kinds) and name.endswith(tuple(f".{member}.example" for member in ORGANISATIONS))
    ]
    assert len(nodes) >= len(kinds) * len(ORGANISATIONS)
    return {name: consortium.node(name).starts for name in [*nodes, *consortium.orderers()]}


def followed(consortium: Consortium) -> int:
    """Wait until every first member's gateway follows the configuration in force; answers its number."""
    show = engine.ours("pedigree-network", "config", "show", "--json", "--dir", str(consortium.directory))
    sequence: int = json.loads(show.stdout)["sequence"]
    give_up = time.monotonic() + 20
    for name in ORGANISATIONS:
        address = f"{consortium.organisation(name)['gateway_health']}/metrics"
        wanted = f"\npedigree_config_sequence {sequence:.1f}\n"
        while wanted not in _read(address):
            assert time.monotonic() < give_up, f"the gateway of {name} does not follow configuration {sequence}"
            time.sleep(0.2)
    return sequence


def _read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def record(client: Pedigree, model: str, within: float = 30.0, **more: object) -> None:
    """Record a model; a newcomer's peer may still be making itself known."""
    give_up = time.monotonic() + within
    while True:
        try:
            client.register_model(model, title="Followed", idempotency_key=f"key-{model}", **more)
            return
        except PedigreeError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


def test_gateways_follow_who_joins_who_is_revoked_and_who_leaves(consortium: Consortium) -> None:
    consortium.found()
    running = processes(consortium)
    reader = Reader(consortium)
    if "maker" not in [each["name"] for each in consortium.network["organisations"]]:
        newcomer = ["--mspid", "MakerMSP", "--domain", "maker.example", "--peer", "127.0.0.1:0"]
        network_verb(consortium, "add-org", "maker", *newcomer)
    before = followed(consortium)
    with consortium.client("lab", timeout=10.0) as lab:
        record(lab, _ENDORSED, endorsing_organisations=_WITH_MAKER)
        reader.read_on()
        assert set(reader.endorsers) == set(_WITH_MAKER)
        makers = reader.endorsers["MakerMSP"]

        (certificate,) = (Path(consortium.organisation("maker")["user_msp"]) / "signcerts").iterdir()
        user = identities_pb2.SerializedIdentity(mspid="MakerMSP", id_bytes=certificate.read_bytes())
        assert reader.trust.msps.member(user.SerializeToString()).role == "client"
        network_verb(consortium, "crl", "maker", "--revoke", str(certificate))
        assert followed(consortium) == before + 1
        reader.read_on()
        with pytest.raises(InvalidIdentity, match="is revoked"):
            reader.trust.msps.member(user.SerializeToString())
        assert reader.trust.msps.member(makers).role == "peer"

        network_verb(consortium, "remove-org", "maker")
        assert followed(consortium) == before + 2
        reader.read_on()
        with pytest.raises(InvalidIdentity, match="'MakerMSP' is not among the trusted members"):
            reader.trust.msps.member(makers)
        with pytest.raises(PedigreeError):
            record(lab, "endorsed-by-nobody", 0.0, endorsing_organisations=_WITH_MAKER)
        record(lab, "endorsed-by-those-who-stay")
    assert processes(consortium) == running
