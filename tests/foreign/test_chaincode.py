# SPDX-License-Identifier: Apache-2.0
"""Chaincode on the official Node runtime runs on the network; our own client calls it."""

import json

import pytest
from fabricharness.expect import ABORTED, UNKNOWN, refused
from fabricharness.networks import VALID, Network, in_parallel

pytestmark = pytest.mark.node


def test_it_writes_reads_and_lists(net: Network, key: str) -> None:
    for suffix in "ab":
        assert net.hospital.submit("assets", "create", key + suffix, "v").code == VALID
    found = json.loads(net.hospital.evaluate("assets", "list", key, f"{key}~"))
    assert found == [[f"{key}a", "v"], [f"{key}b", "v"]]


@pytest.mark.parametrize("count", [100, 101, 250])
def test_long_lists_are_complete(net: Network, key: str, count: int) -> None:
    prefix = f"long{count}-"
    net.hospital.submit("assets", "createMany", prefix, str(count))
    assert len(json.loads(net.hospital.evaluate("assets", "list", prefix, f"{prefix}~"))) == count


def test_pages_have_bookmarks(net: Network, key: str) -> None:
    net.hospital.submit("assets", "createMany", key, "15")
    first = json.loads(net.hospital.evaluate("assets", "page", key, f"{key}~", "10", ""))
    assert (len(first["keys"]), first["fetched"], first["bookmark"]) == (10, 10, f"{key}00010")
    second = json.loads(net.hospital.evaluate("assets", "page", key, f"{key}~", "10", first["bookmark"]))
    assert (len(second["keys"]), second["bookmark"]) == (5, "")


def test_history_is_newest_first(net: Network, key: str) -> None:
    created = net.hospital.submit("assets", "create", key, "1")
    updated = net.hospital.submit("assets", "update", key, "2")
    removed = net.hospital.submit("assets", "remove", key)
    found = json.loads(net.hospital.evaluate("assets", "history", key))
    expected = [(removed, "", True), (updated, "2", False), (created, "1", False)]
    assert [(entry["transaction"], entry["value"], entry["deleted"]) for entry in found] == [
        (done.transaction_id, value, deleted) for done, value, deleted in expected
    ]


def test_ten_requests_of_one_transaction_at_once(net: Network, key: str) -> None:
    """C-046."""
    net.hospital.submit("assets", "createMany", key, "10")
    assert json.loads(net.hospital.evaluate("assets", "readTenAtOnce", key)) == ["v"] * 10


def test_many_transactions_at_once(net: Network, key: str) -> None:
    net.hospital.submit("assets", "create", key, "v")
    assert in_parallel([lambda: net.hospital.evaluate("assets", "read", key)] * 50) == [b"v"] * 50


def test_an_error_reaches_the_client(net: Network, key: str) -> None:
    said = f"the asset {key} does not exist"
    evaluated = refused(net.hospital.evaluate, "assets", "update", key, "v")
    submitted = refused(net.hospital.submit, "assets", "update", key, "v")
    assert (evaluated.code, submitted.code) == (UNKNOWN, ABORTED)
    assert said in evaluated.text
    assert said in submitted.text


def test_it_knows_who_calls_and_who_runs_it(net: Network) -> None:
    for org in net.orgs:
        found = json.loads(net.hospital.evaluate("assets", "who", endorsing_organisations=[org.mspid]))
        assert found == {"msp": "HospitalMSP", "peer": org.mspid, "channel": "pedigree"}


def test_private_data(net: Network, key: str) -> None:
    outcome = net.settle(net.hospital.submit("assets", "hide", "pair", key, transient={"value": b"secret"}))
    assert outcome.code == VALID
    for org in (net.hospital, net.lab):
        own = {"endorsing_organisations": [org.mspid]}
        assert org.evaluate("assets", "reveal", "pair", key, **own) == b"secret"
    assert len(net.regulator.evaluate("assets", "hashOf", "pair", key)) == 64


def test_a_key_level_policy(net: Network, key: str) -> None:
    net.hospital.submit("assets", "create", key, "1")
    assert net.hospital.submit("assets", "guard", key, json.dumps(["HospitalMSP", "LabMSP"])).code == VALID
    alone = {"endorsing_organisations": ["HospitalMSP"]}
    assert net.hospital.submit("assets", "update", key, "2", **alone).code == "ENDORSEMENT_POLICY_FAILURE"
    assert net.hospital.submit("assets", "update", key, "3").code == VALID
    assert net.hospital.evaluate("assets", "read", key) == b"3"


def test_it_calls_python_chaincode(net: Network, key: str) -> None:
    outcome = net.hospital.submit("assets", "call", "callee", json.dumps(["put", key, "v"]))
    assert outcome.code == VALID
    assert json.loads(outcome.result)["status"] == 200
    assert json.loads(net.hospital.evaluate("callee", "get", key)) == "v"


def test_the_default_policy_takes_two_organisations(net: Network, key: str) -> None:
    assert net.hospital.submit("shared", "create", key, "v").code == VALID
    alone = {"endorsing_organisations": ["HospitalMSP"]}
    assert net.hospital.submit("shared", "create", f"{key}!", "v", **alone).code == "ENDORSEMENT_POLICY_FAILURE"
