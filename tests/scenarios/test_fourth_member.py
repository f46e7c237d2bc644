# SPDX-License-Identifier: Apache-2.0
"""A fourth organisation joins the channel, and the quorum of the policy in force makes it a member (F5).

It has a consortium of its own: what the others share stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.consortium import CHAINCODE, Consortium, Ports, held_ports, listens, ready
from gateway.demo.founding import FOUNDING_POLICY
from gateway.demo.processes import command
from pedigree import Pedigree, PedigreeError

pytestmark = pytest.mark.timeout(300)
MEMBERS = ("HospitalMSP", "LabMSP", "RegulatorMSP", "MakerMSP")
_PEERS = ",".join(f"'{member}.peer'" for member in MEMBERS)
ENDORSING = f"OutOf(3,{_PEERS})"
"""The chaincode's policy once there are four: still a majority, and still nobody alone."""


class Growing(Consortium):
    """A consortium that a fourth organisation joins while it runs."""

    def grow(self) -> None:
        """Let the maker join: the channel, the chaincode that all approve anew, and programs of its own."""
        with held_ports(3) as numbers:
            self.ports["maker"] = Ports(*numbers)
        joining = ("--mspid", "MakerMSP", "--domain", "maker.example", "--peer", "127.0.0.1:0")
        self._run("add-org", "maker", *joining)
        addresses = [*self._addresses(), "--address", f"MakerMSP=127.0.0.1:{self.ports['maker'].chaincode}"]
        done = json.loads(self._run("deploy", CHAINCODE, *addresses, "--policy", ENDORSING, "--json"))
        assert done["sequence"] == 2
        settings = {
            "CHAINCODE_SERVER_ADDRESS": f"127.0.0.1:{self.ports['maker'].chaincode}",
            "CHAINCODE_ID": done["package_ids"]["MakerMSP"],
            "CORE_PEER_LOCALMSPID": "MakerMSP",
        }
        chaincode = self._launch("chaincode-maker", [command("python"), "-m", "chaincode"], settings)
        chaincode.wait_until(partial(listens, self.ports["maker"].chaincode), within=30)
        self.key("maker")
        self._launch_gateway("maker").wait_until(partial(ready, self.ports["maker"].health), within=60)


@pytest.fixture
def growing(ledger: str, tmp_path: Path) -> Iterator[Growing]:
    running = Growing(tmp_path / "growing", ledger, any_port=True)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def refused(action: Any) -> str:
    with pytest.raises(PedigreeError) as caught:
        action()
    return str(caught.value.code)


@pytest.mark.story("F5", "A fourth organisation joins, and the quorum of the policy in force makes it a member")
def test_a_fourth_organisation_becomes_a_member(growing: Growing, tmp_path: Path) -> None:
    clients: dict[str, Pedigree] = {name: growing.client(name) for name in ("hospital", "lab", "regulator")}

    def as_(name: str) -> Pedigree:
        clients[name].at_least(max(each.height for each in clients.values()))
        return clients[name]

    for name in ("hospital", "regulator"):
        as_(name).set_policy(**FOUNDING_POLICY)
    (weights := tmp_path / "net").mkdir()
    (weights / "weights.json").write_text("{}")
    as_("lab").register_model("device", title="A model")
    as_("lab").record_model_version("device", weights, number=1, licence="Apache-2.0")
    as_("lab").submit("model-version:device:1")

    growing.grow()
    clients["maker"] = growing.client("maker")
    assert as_("maker").ledger()["organisation"] == "MakerMSP"
    assert refused(lambda: as_("maker").register_model("own", title="Not yet")) == "not-a-member"
    assert refused(lambda: as_("maker").endorse("model-version:device:1")) == "not-a-member"

    members = [*FOUNDING_POLICY["members"], {"organisation": "MakerMSP", "roles": ["manufacturer"]}]
    rule = {**FOUNDING_POLICY["rules"][0], "threshold": 3}
    amended = {"number": 2, "members": members, "rules": [rule], "amendment_threshold": 3}
    # Whom a policy would make a member has no vote on it, and one vote is no quorum.
    assert refused(lambda: as_("maker").set_policy(**amended)) == "not-a-member"
    assert as_("hospital").set_policy(**amended).record["kind"] == "policy-vote"
    assert as_("maker").policy()["record"]["number"] == 1
    assert as_("regulator").set_policy(**amended).record["kind"] == "policy"

    assert as_("maker").policy()["record"]["number"] == 2
    assert "model-version:device:1" in [each["artifact"] for each in as_("maker").inbox()["items"]]
    for name, stage in (("hospital", "endorsed"), ("regulator", "endorsed"), ("maker", "approved")):
        as_(name).endorse("model-version:device:1")
        assert as_("lab").artifact("model-version:device:1")["stage"] == stage
    as_("maker").register_model("own", title="Its own")
    # What changes the policy now needs three of four: the quorum of the one in force.
    third = {**amended, "number": 3, "amendment_threshold": 2}
    assert [as_(name).set_policy(**third).record["kind"] for name in ("maker", "lab", "hospital")] == [
        "policy-vote", "policy-vote", "policy",
    ]  # fmt: skip
    for client in clients.values():
        client.close()
