# SPDX-License-Identifier: Apache-2.0
"""What an organisation may be called is one rule, whoever reads the name first: the law, a network or a gateway."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincode.domain.errors import LedgerError
from chaincode.domain.values import OrgId
from gateway.server.settings import NetworkFile, SettingsError
from network.config.groups import peer_organisation
from network.topology import TopologyError, check_msp_id, default_topology, parse

REFUSED = (
    "",
    "-",
    "Hospital-MSP-",
    ".LabMSP",
    "L" * 65,
    '"LabMSP"',
    "Lab MSP",
    "Lab_MSP",
    "LabMSP\n",
    "Läb",
    "a/b",
    "x\x00",
)
TAKEN = ("L", "7", "LabMSP", "Hospital-MSP", "a..b", "L" * 64, "org1.example.com")
ANY = st.text(st.sampled_from("aZ09.-_ \"'/\n\u00e9"), max_size=66)


def taken_by_the_law(name: str) -> bool:
    try:
        OrgId(name)
    except LedgerError:
        return False
    return True


def taken_by_a_network(name: str) -> bool:
    try:
        check_msp_id(name, "mspid")
    except TopologyError:
        return False
    return True


def taken_by_a_gateway(name: str) -> bool:
    member = {"name": "lab", "mspid": name, "domain": "d", "peer": "h:1", "tls_ca": "t", "msp": "m", "user_msp": "u"}
    orderer = {"mspid": name, "msp": "m"}
    described = {"channel": "c", "organisations": [member], "orderer": orderer, "genesis_hash": "0" * 64}
    try:
        NetworkFile.parse(described, Path())
    except SettingsError:
        return False
    return True


@given(ANY)
@example("Hospital-MSP-")
@example("L" * 64)
def test_all_parts_take_the_same_names(name: str) -> None:
    assert taken_by_the_law(name) == taken_by_a_network(name) == taken_by_a_gateway(name)


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_a_name_is_taken(name: str) -> None:
    assert taken_by_the_law(name)
    assert taken_by_a_network(name)
    assert taken_by_a_gateway(name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_none_is_refused_where_it_is_first_written(name: str, tmp_path: Path) -> None:
    assert not taken_by_the_law(name)
    assert not taken_by_a_gateway(name)
    document = default_topology().to_json()
    document["organisations"][0]["mspid"] = name
    with pytest.raises(TopologyError, match=r"organisations\[0\].mspid: .* is not an MSP id: 1 to 64 letters"):
        parse(json.loads(json.dumps(document)))
    with pytest.raises(TopologyError, match="is not an MSP id"):
        peer_organisation(name, tmp_path, [])
