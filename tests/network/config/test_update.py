# SPDX-License-Identifier: Apache-2.0
"""Computed updates: equal to those of Fabric's own tool, and applied they give what was wanted."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import configtx_pb2, policies_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.config import changes
from network.config.groups import peer_organisation
from network.config.update import NothingChanges, compute_update
from network.embedded.configtree import flatten, rebuild
from network.material import Material
from network.topology import Batch, Endpoint

VECTORS = json.loads((Path(__file__).parent / "vectors" / "updates.json").read_text())
NAMES = st.sampled_from(["A", "B", "C.d", "E-f"])
OWNERS = st.sampled_from(["Admins", "/Channel/Admins", "Writers"])
VERSIONS = st.integers(0, 3)


@st.composite
def groups(draw: st.DrawFn, depth: int = 2) -> Any:
    group = configtx_pb2.ConfigGroup(version=draw(VERSIONS), mod_policy=draw(OWNERS))
    for name in draw(st.sets(NAMES, max_size=3)):
        value = group.values[name]
        value.version, value.mod_policy, value.value = draw(VERSIONS), draw(OWNERS), draw(st.binary(max_size=2))
    for name in draw(st.sets(NAMES, max_size=3)):
        policy = group.policies[name]
        policy.version, policy.mod_policy = draw(VERSIONS), draw(OWNERS)
        policy.policy.CopyFrom(policies_pb2.Policy(type=draw(st.integers(1, 3)), value=draw(st.binary(max_size=2))))
    if depth:
        for name in draw(st.sets(NAMES, max_size=2)):
            group.groups[name].CopyFrom(draw(groups(depth - 1)))
    return group


def edited(draw: Any, group: Any) -> Any:
    """A group that shares most of `group`."""
    other = configtx_pb2.ConfigGroup()
    other.CopyFrom(group)
    for leaves in (other.values, other.policies, other.groups):
        for name in list(leaves):
            if draw(st.integers(0, 4)) == 0:
                del leaves[name]
    for name in draw(st.sets(NAMES, max_size=1)):
        other.values[name].value = draw(st.binary(min_size=1, max_size=2))
        other.values[name].mod_policy = draw(OWNERS)
    for name in sorted(other.groups):
        other.groups[name].CopyFrom(edited(draw, other.groups[name]))
    return other


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    original = draw(groups())
    return configtx_pb2.Config(channel_group=original), configtx_pb2.Config(channel_group=edited(draw, original))


def applied(original: Any, update: Any) -> Any:
    """The update laid over the configuration as the ordering service does it, signatures aside."""
    read, written = flatten(update.read_set), flatten(update.write_set)
    present = flatten(original.channel_group)
    assert all(present[key].version == element.version for key, element in read.items())
    delta = {k: e for k, e in written.items() if k not in read or read[k].version != e.version}
    for key, element in delta.items():
        assert element.version == (present[key].version + 1 if key in present else 0)
    return configtx_pb2.Config(channel_group=rebuild(present | delta))


def without_versions(group: Any) -> Any:
    plain = configtx_pb2.ConfigGroup()
    plain.CopyFrom(group)
    for element in flatten(plain).values():
        element.message.version = 0
    return plain


@given(pairs())
@settings(deadline=None)
def test_an_update_turns_the_one_configuration_into_the_other(pair: tuple[Any, Any]) -> None:
    original, wanted = pair
    try:
        update = compute_update("pedigree", original, wanted)
    except NothingChanges:
        assert without_versions(original.channel_group) == without_versions(wanted.channel_group)
        return
    result = applied(original, update)
    assert without_versions(result.channel_group) == without_versions(wanted.channel_group)
    with pytest.raises(NothingChanges):
        compute_update("pedigree", result, wanted)


@given(pairs())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_update_equals_that_of_configtxlator(configtxlator: Callable[..., Any], pair: tuple[Any, Any]) -> None:
    original, wanted = pair
    try:
        ours = compute_update("pedigree", original, wanted)
    except NothingChanges:
        return
    assert ours == configtxlator(original, wanted)


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_an_update_equals_the_one_that_fabric_made(name: str) -> None:
    raw = {part: base64.b64decode(text) for part, text in VECTORS[name].items()}
    original = configtx_pb2.Config.FromString(raw["original"])
    updated = configtx_pb2.Config.FromString(raw["updated"])
    assert compute_update("pedigree", original, updated) == configtx_pb2.ConfigUpdate.FromString(raw["update"])


CHANGES: dict[str, Callable[[Any, Material], Any]] = {
    "add-org": lambda c, m: changes.add_organisation(
        c, peer_organisation("MakerMSP", m.organisation("lab.example") / "msp", [Endpoint("127.0.0.1", 7051)])
    ),
    "remove-org": lambda c, m: changes.remove_organisation(c, "LabMSP"),
    "anchor": lambda c, m: changes.set_anchors(c, "LabMSP", [Endpoint("peer0.lab.example", 7051)]),
    "batch": lambda c, m: changes.set_batch(c, Batch(timeout_ms=2000, max_messages=10)),
    "tls-roots": lambda c, m: changes.set_tls_roots(
        c, "LabMSP", [m.tls_ca("lab.example").read_bytes(), m.tls_ca("hospital.example").read_bytes()]
    ),
    "add-orderer": lambda c, m: changes.add_consenter(
        c, "OrdererMSP", Endpoint("127.0.0.1", 7060), m.orderer_tls_ca("orderer.example").read_bytes()
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_computed_as_fabric_does(
    name: str, config: Any, shared_material: Material, configtxlator: Callable[..., Any]
) -> None:
    wanted = CHANGES[name](config, shared_material)
    assert compute_update("pedigree", config, wanted) == configtxlator(config, wanted)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_made_twice_is_made_once(name: str, config: Any, shared_material: Material) -> None:
    once = CHANGES[name](config, shared_material)
    assert once != config
    assert CHANGES[name](once, shared_material) == once
    with pytest.raises(NothingChanges):
        compute_update("pedigree", once, CHANGES[name](once, shared_material))
