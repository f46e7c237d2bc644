# SPDX-License-Identifier: Apache-2.0
"""A topology is read whole or refused with one error that names the field."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from network.topology import (
    Endpoint,
    Topology,
    TopologyError,
    default_topology,
    load,
    loads,
    parse,
)


def test_the_default_network_has_three_organisations_on_the_agreed_ports() -> None:
    topology = default_topology()
    assert [o.msp_id for o in topology.organisations] == ["HospitalMSP", "LabMSP", "RegulatorMSP"]
    assert [o.domain for o in topology.organisations] == ["hospital.example", "lab.example", "regulator.example"]
    assert [str(o.peer) for o in topology.organisations] == ["127.0.0.1:7051", "127.0.0.1:8051", "127.0.0.1:9051"]
    assert topology.channels[0].name == "pedigree"
    assert topology.channels[0].batch.timeout_ms == 100
    assert topology.channels[0].batch.max_messages == 500
    assert topology.orderer.msp_id == "OrdererMSP"


def test_a_topology_survives_json_and_yaml() -> None:
    topology = default_topology(any_port=True)
    document = topology.to_json()
    assert parse(document) == topology
    assert loads(json.dumps(document)) == topology
    assert loads(yaml.safe_dump(document)) == topology


def test_the_shortest_description_names_organisations_only() -> None:
    text = """
    organisations:
      - {name: north, mspid: NorthMSP, domain: north.example, peer: "127.0.0.1:0"}
    """
    topology = loads(text)
    assert topology.channels[0].organisations == ("north",)
    assert topology.organisations[0].chaincode == Endpoint("127.0.0.1", 0)
    assert topology.orderer.node_names == ("orderer1.orderer.example",)


def test_there_may_be_a_second_channel_with_fewer_members() -> None:
    document = default_topology().to_json()
    document["channels"].append({"name": "side", "organisations": ["lab"], "batch": {"timeout": "2s"}})
    topology = parse(document)
    side = topology.channel("side")
    assert [member.msp_id for member in topology.members(side)] == ["LabMSP"]
    assert side.batch.timeout_ms == 2000
    assert side.batch.timeout_text == "2s"


def test_open_ports_are_chosen_free_and_all_different() -> None:
    resolved = default_topology(any_port=True).resolved()
    ports = [endpoint.port for _, endpoint in resolved.endpoints()]
    assert len(set(ports)) == 7
    assert 0 not in ports
    assert resolved.resolved() == resolved


def _changed(path: str, value: object) -> dict[str, Any]:
    document: Any = copy.deepcopy(default_topology().to_json())
    target = document
    *way, last = path.split("/")
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    key: Any = int(last) if last.isdigit() else last
    if value is _ABSENT:
        del target[key]
    else:
        target[key] = value
    return dict(document)


_ABSENT = object()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("organisations", _ABSENT, "topology.organisations"),
        ("organisations", [], "organisations"),
        ("organisations", "three", "organisations"),
        ("organisations/1", "lab", "organisations[1]"),
        ("organisations/1/name", _ABSENT, "organisations[1].name"),
        ("organisations/1/name", "", "organisations[1].name"),
        ("organisations/1/name", "hospital", "organisations[1].name"),
        ("organisations/0/name", "../x", "organisations[0].name"),
        ("organisations/2/mspid", 7, "organisations[2].mspid"),
        ("organisations/2/mspid", "Lab MSP", "organisations[2].mspid"),
        ("organisations/2/mspid", "LabMSP", "organisations[2].mspid"),
        ("organisations/2/mspid", "Hospital-MSP-", "organisations[2].mspid"),
        ("organisations/2/mspid", "L" * 65, "organisations[2].mspid"),
        ("organisations/2/mspid", '"LabMSP"', "organisations[2].mspid"),
        ("orderer/mspid", ".OrdererMSP", "orderer.mspid"),
        ("organisations/0/domain", "UPPER.example", "organisations[0].domain"),
        ("organisations/0/domain", "..", "organisations[0].domain"),
        ("organisations/0/domain", "d" * 51, "organisations[0].domain"),
        ("organisations/0/name", "n" * 65, "organisations[0].name"),
        ("organisations/0/peer", "h" * 254 + ":1", "organisations[0].peer"),
        ("orderer/domain", "d" * 51, "orderer.domain"),
        ("organisations/0/domain", "lab.example", "organisations[1].domain"),
        ("organisations/0/peer", "127.0.0.1", "organisations[0].peer"),
        ("organisations/0/peer", "127.0.0.1:70510", "organisations[0].peer"),
        ("organisations/0/peer", "127.0.0.1:-1", "organisations[0].peer"),
        ("organisations/0/peer", 7051, "organisations[0].peer"),
        ("organisations/0/peer", "127.0.0.1:8051", "organisations[1].peer"),
        ("organisations/0/chaincode", "nowhere", "organisations[0].chaincode"),
        ("organisations/0/peers", 2, "organisations[0].peers"),
        ("orderer", [], "orderer"),
        ("orderer/mspid", "LabMSP", "orderer.mspid"),
        ("orderer/domain", "lab.example", "orderer.domain"),
        ("orderer/addresses", [], "orderer.addresses"),
        ("orderer/addresses/0", "x", "orderer.addresses[0]"),
        ("orderer/raft", True, "orderer.raft"),
        ("channels", [], "channels"),
        ("channels/0/name", "Pedigree", "channels[0].name"),
        ("channels/0/name", "a" * 250, "channels[0].name"),
        ("channels/0/organisations", ["nobody"], "channels[0].organisations[0]"),
        ("channels/0/organisations", ["lab", "lab"], "channels[0].organisations[1]"),
        ("channels/0/organisations", [["lab"]], "channels[0].organisations[0]"),
        ("channels/0/batch/timeout", "soon", "channels[0].batch.timeout"),
        ("channels/0/batch/timeout", "0ms", "channels[0].batch.timeout"),
        ("channels/0/batch/timeout", 100, "channels[0].batch.timeout"),
        ("channels/0/batch/idle_cut", "never", "channels[0].batch.idle_cut"),
        ("channels/0/batch/max_messages", 0, "channels[0].batch.max_messages"),
        ("channels/0/batch/max_messages", True, "channels[0].batch.max_messages"),
        ("channels/0/batch/preferred_max_bytes", 2**30, "channels[0].batch.preferred_max_bytes"),
        ("channels/0/batch/size", 1, "channels[0].batch.size"),
        ("chaincode", "a b", "chaincode"),
        ("version", 1, "topology.version"),
    ],
)
def test_a_bad_field_is_named(path: str, value: object, field: str) -> None:
    with pytest.raises(TopologyError) as refusal:
        parse(_changed(path, value))
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}: ")
    assert "\n" not in str(refusal.value)


def _doubling(levels: int) -> str:
    """A list that holds ten lists of ten lists, and so on, in a few lines of YAML."""
    lines = ["  - &l0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"  - &l{level} [{','.join([f'*l{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "chaincode:\n" + "\n".join(lines) + "\norganisations:\n- {name: a, mspid: A, domain: a, peer: 'h:1'}\n"


@pytest.mark.parametrize(
    "text",
    [
        _doubling(12),
        "organisations: 0x" + "f" * 9000,
        "organisations: [{name: 0x" + "f" * 9000 + ", mspid: A, domain: a, peer: 'h:1'}]",
        json.dumps({"organisations": [{"name": "x" * 100_000, "mspid": "A", "domain": "a", "peer": "h:1"}]}),
        json.dumps({"organisations": [{"x\n" * 10_000: 1}]}),
        json.dumps({"organisations": [{"name": "a", "mspid": "A", "domain": "a", "peer": "9" * 100_000}]}),
        json.dumps({"organisations": [{"name": "a", "mspid": "A", "domain": "a", "peer": "h:" + "9" * 100_000}]}),
    ],
)
def test_a_refusal_is_one_short_line_whatever_is_refused(text: str) -> None:
    with pytest.raises(TopologyError) as refusal:
        loads(text)
    assert len(str(refusal.value)) < 500
    assert "\n" not in str(refusal.value)


def test_two_channels_of_one_name_are_refused() -> None:
    document = default_topology().to_json()
    document["channels"] *= 2
    with pytest.raises(TopologyError, match=r"channels\[1\]\.name"):
        parse(document)


@pytest.mark.parametrize("text", ["", "[]", "three", "{", "a: [", "!!python/object:os.system {}", "\x00"])
def test_text_that_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(TopologyError):
        loads(text)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(TopologyError, match=r"missing\.yaml"):
        load(missing)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(TopologyError, match="UTF-8"):
        load(binary)
    large = tmp_path / "large.yaml"
    large.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(TopologyError, match="1 MiB"):
        load(large)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
_ANYTHING = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
_NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "organisations": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "name": st.sampled_from(["a", "b", "", "é"]) | _ANYTHING,
                    "mspid": st.sampled_from(["AMSP", "BMSP"]) | _ANYTHING,
                    "domain": st.sampled_from(["a.example", "b.example"]) | _ANYTHING,
                    "peer": st.sampled_from(["127.0.0.1:0", "localhost:7051", "h:99999"]) | _ANYTHING,
                },
            )
            | _ANYTHING,
            max_size=3,
        ),
        "orderer": _ANYTHING,
        "channels": st.lists(
            st.fixed_dictionaries({"name": st.text(max_size=4)}, optional={"batch": _ANYTHING}) | _ANYTHING, max_size=2
        ),
    },
)


@given(_NEARLY | _ANYTHING)
def test_any_document_is_a_topology_or_refused(document: object) -> None:
    try:
        topology = parse(document)
    except TopologyError:
        return
    assert isinstance(topology, Topology)
    assert parse(topology.to_json()) == topology


@given(st.text(max_size=200))
def test_any_text_is_a_topology_or_refused(text: str) -> None:
    with pytest.raises(TopologyError):
        loads(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("organisations: []\norganisations: []\n", "'organisations' is there twice"),
        ('{"orderer": {}, "orderer": {}}', "'orderer' is there twice"),
        ("? [a]\n: b\n", "cannot be a key"),
        ("a: &a {b: *a}", "recursive"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
)
def test_a_document_that_would_be_read_otherwise_than_it_looks_is_refused(text: str, problem: str) -> None:
    with pytest.raises(TopologyError, match=problem):
        loads(text)
