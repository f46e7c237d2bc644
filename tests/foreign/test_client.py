# SPDX-License-Identifier: Apache-2.0
"""The official Node client drives the network through everything that it can do."""

from collections.abc import Callable
from typing import Any

import pytest
from fabricharness import blocks
from fabricharness.networks import Network

pytestmark = pytest.mark.node
Drive = Callable[..., Any]

ABORTED, UNKNOWN = 10, 2
POLICY_FAILURE, MVCC_READ_CONFLICT = 10, 11


def test_it_submits_and_evaluates(drive: Drive, key: str) -> None:
    drive("submit", args=["create", key, "v"])
    assert drive("evaluate", args=["read", key]) == "v"


def test_it_goes_through_the_stages(net: Network, drive: Drive, key: str) -> None:
    drive("submit", args=["create", key, "old"])
    done = drive("stages", args=["update", key, "new"])
    assert (done["result"], done["successful"], done["sameId"], done["code"]) == ("old", True, True, 0)
    recorded = [
        entry.transaction_id
        for entry in blocks.transactions(*blocks.fetch(net.hospital, "pedigree", done["block"], done["block"]))
    ]
    assert done["transaction"] in recorded


def test_transient_data_reaches_the_chaincode(drive: Drive) -> None:
    assert drive("transient", args=["whisper", "k"], transientData={"k": "a secret"}) == "a secret"


def test_it_writes_private_data(net: Network, drive: Drive, key: str) -> None:
    drive("private", args=["hide", "pair", key], transientData={"value": "a secret"})
    assert drive("targeted", args=["reveal", "pair", key], organizations=["HospitalMSP"]) == "a secret"


def test_it_chooses_the_endorsing_organisation(drive: Drive) -> None:
    for mspid in ("HospitalMSP", "LabMSP", "RegulatorMSP"):
        assert f'"peer":"{mspid}"' in drive("targeted", args=["who"], organizations=[mspid])


def test_events_are_replayed_and_resumed_from_a_checkpoint(net: Network, drive: Drive, key: str) -> None:
    start = blocks.height(net.hospital)
    calls = [["create", f"{key}-{number}", "v"] for number in range(4)]
    events = drive("events", calls=calls, start=start)
    assert [event["payload"] for event in events] == [f"{key}-{number}" for number in range(4)]
    assert {(event["chaincode"], event["name"]) for event in events} == {("assets", "Created")}
    assert [event["block"] for event in events] == sorted(event["block"] for event in events)


def test_an_event_arrives_live(drive: Drive, key: str) -> None:
    (event,) = drive("live", args=["create", key, "v"])
    assert (event["name"], event["payload"]) == ("Created", key)


def test_blocks_arrive_in_three_forms(drive: Drive) -> None:
    found = drive("blocks", start=1, count=4)
    assert found["full"] == found["filtered"] == found["both"] == [1, 2, 3, 4]
    assert {code for codes in found["codes"] for code in codes} == {0}


def test_every_message_can_be_signed_elsewhere(net: Network, drive: Drive, key: str) -> None:
    start = blocks.height(net.hospital)
    done = drive("offline", args=["create", key, "v"], start=start)
    assert done["successful"]
    assert done["event"]["transaction"] == done["transaction"]
    assert done["block"] == start
    assert drive("evaluate", args=["read", key]) == "v"


def test_errors_carry_what_each_peer_said(drive: Drive, key: str) -> None:
    absent = ["update", key, "v"]
    found = drive(
        "errors",
        chaincode="shared",
        evaluated=absent,
        submitted=absent,
        insufficient=["create", key, "v"],
        organizations=["HospitalMSP"],
    )
    said = f"chaincode response 500, the asset {key} does not exist"
    assert (found["evaluate"]["type"], found["evaluate"]["code"]) == ("GatewayError", UNKNOWN)
    assert (found["endorse"]["type"], found["endorse"]["code"]) == ("EndorseError", ABORTED)
    for error in (found["evaluate"], found["endorse"]):
        (detail,) = error["details"]
        assert detail["mspId"] == "HospitalMSP"
        assert detail["address"]
        assert said in detail["message"]
    assert found["commit"]["type"] == "CommitError"
    assert found["commit"]["code"] == POLICY_FAILURE


def test_the_second_of_two_conflicting_updates_is_invalid(drive: Drive, key: str) -> None:
    drive("submit", args=["create", key, "0"])
    assert drive("conflict", args=["update", key, "1", "2"]) == [0, MVCC_READ_CONFLICT]
    assert drive("evaluate", args=["read", key]) == "1"


def test_other_organisations_clients_work_too(net: Network, drive: Drive, key: str) -> None:
    drive("submit", args=["create", key, "v"], chaincode="shared", org=net.regulator)
    assert drive("evaluate", args=["read", key], chaincode="shared", org=net.regulator) == "v"
