# SPDX-License-Identifier: Apache-2.0
"""Policies are judged as Fabric judges them: its own reference cases, and the corners of the rules."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fabric import MalformedData, Trust, blocks, wire
from gateway.fabric.msp import Msps
from gateway.fabric.mspfolder import msp_from_config
from gateway.fabric.policy import (
    ChannelConfig,
    ImplicitMetaPolicy,
    PolicyNotSatisfied,
    SignaturePolicy,
    SignedData,
    policy_from_application,
    verified_members,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "fabric" / "policy_eval.json"
CASES = json.loads(VECTORS.read_text())
ROLE = wire.msp_principal.MSPRole


def principal_of(text):
    msp_id, role = text.rsplit(".", 1)
    value = ROLE(msp_identifier=msp_id, role=ROLE.MSPRoleType.Value(role.upper()))
    return wire.msp_principal.MSPPrincipal(
        principal_classification=wire.msp_principal.MSPPrincipal.ROLE, principal=value.SerializeToString()
    )


def envelope_of(expression):
    """The envelope of an expression such as `AND('A.peer',OR('B.peer','C.peer'))`."""
    envelope = wire.policies.SignaturePolicyEnvelope()

    def rule(part):
        if isinstance(part, wire.policies.SignaturePolicy):
            return part
        envelope.identities.append(principal_of(part))
        return wire.policies.SignaturePolicy(signed_by=len(envelope.identities) - 1)

    def out_of(n, *parts):
        result = wire.policies.SignaturePolicy()
        result.n_out_of.n = n
        result.n_out_of.rules.extend([rule(part) for part in parts])
        return result

    names = {
        "AND": lambda *parts: out_of(len(parts), *parts),
        "OR": lambda *parts: out_of(1, *parts),
        "OutOf": out_of,
    }
    envelope.rule.CopyFrom(rule(eval(expression, {"__builtins__": {}}, names)))
    return envelope


@pytest.fixture(scope="module")
def abc(kit, tmp_path_factory):
    """Organisations A, B and C with the people whom the reference cases name."""
    organisations = {name: kit.Organisation(name) for name in "ABC"}
    people = {}
    for name, organisation in organisations.items():
        lower = name.lower()
        people[f"{name}.PEER.{lower}1"] = organisation.issue(f"{lower}1", "peer")
        people[f"{name}.PEER.{lower}2"] = organisation.issue(f"{lower}2", "peer")
        people[f"{name}.ADMIN.adm"] = organisation.issue("adm", "admin")
    root = tmp_path_factory.mktemp("abc")
    folders = {name: organisation.write_msp(root / name) for name, organisation in organisations.items()}
    return people, Trust.from_msp_folders(folders, b"\0" * 32).msps


def signed_by(people, *names, bad=()):
    return [
        SignedData(b"data", people[name].identity.serialized, people[name].sign(b"other" if i in bad else b"data"))
        for i, name in enumerate(names)
    ]


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{case['Policy']}" for i, case in enumerate(CASES)])
def test_fabrics_reference_cases(abc, case):
    people, msps = abc
    bad = [i for i, signature in enumerate(case["Sigs"]) if signature["Sig"] != "ok"]
    members = verified_members(signed_by(people, *(s["ID"] for s in case["Sigs"]), bad=bad), msps)
    policy = SignaturePolicy.from_bytes(envelope_of(case["Policy"]).SerializeToString(), msps)
    if case["OK"]:
        policy.evaluate(members)
    else:
        with pytest.raises(PolicyNotSatisfied):
            policy.evaluate(members)


def test_there_are_as_many_cases_as_fabric_has():
    assert len(CASES) == 22


def test_unusable_identities_and_signatures_are_skipped(abc):
    people, msps = abc
    good = signed_by(people, "A.PEER.a1")
    rubbish = [SignedData(b"data", b"\xff", b""), SignedData(b"data", good[0].identity, b"\xff")]
    assert [m.msp_id for m in verified_members([*rubbish, *good, *good], msps)] == ["A"]


@pytest.mark.parametrize(
    "build",
    [
        lambda e: e.rule.Clear(),
        lambda e: e.rule.CopyFrom(wire.policies.SignaturePolicy(signed_by=1)),
        lambda e: e.rule.CopyFrom(wire.policies.SignaturePolicy(signed_by=-1)),
        lambda e: e.rule.n_out_of.rules.add(),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_when_it_is_read(abc, build):
    envelope = envelope_of("AND('A.peer','A.peer')")
    del envelope.identities[1:]
    build(envelope)
    with pytest.raises(MalformedData):
        SignaturePolicy(envelope, abc[1])


def test_rubbish_and_bottomless_policies_are_refused(abc):
    with pytest.raises(MalformedData):
        SignaturePolicy.from_bytes(b"\xff", abc[1])
    deep = wire.policies.SignaturePolicy(signed_by=0)
    for _ in range(40):
        outer = wire.policies.SignaturePolicy()
        outer.n_out_of.n = 1
        outer.n_out_of.rules.append(deep)
        deep = outer
    with pytest.raises(MalformedData, match="deep"):
        SignaturePolicy(wire.policies.SignaturePolicyEnvelope(rule=deep, identities=[principal_of("A.peer")]), abc[1])


@given(st.binary(max_size=60))
@settings(max_examples=200)
def test_any_bytes_are_a_policy_or_malformed(data):
    try:
        policy = SignaturePolicy.from_bytes(data, Msps(()))
    except MalformedData:
        return
    with contextlib.suppress(PolicyNotSatisfied):
        policy.evaluate([])


expressions = st.recursive(
    st.sampled_from(["'A.peer'", "'B.peer'", "'C.peer'", "'A.member'", "'B.admin'"]),
    lambda inner: st.builds(
        lambda n, parts: f"OutOf({min(n, len(parts))},{','.join(parts)})",
        st.integers(1, 3),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@given(expressions.filter(lambda e: e.startswith("OutOf")))
@settings(max_examples=60, deadline=None)
def test_nobody_satisfies_nothing_and_everybody_satisfies_more_than_the_first(abc, expression):
    people, msps = abc
    policy = SignaturePolicy(envelope_of(expression), msps)
    with pytest.raises(PolicyNotSatisfied):
        policy.evaluate([])
    members = [msps.member(person.identity.serialized) for person in people.values()]
    alone = members[:1]
    try:
        policy.evaluate(alone)
    except PolicyNotSatisfied:
        return
    policy.evaluate(members)


# Implicit meta policies and channel configurations


class Fixed:
    def __init__(self, holds):
        self.holds = holds

    def evaluate(self, members):
        if not self.holds:
            raise PolicyNotSatisfied("no")


def test_implicit_policies_say_how_many_were_satisfied():
    ImplicitMetaPolicy(1, [Fixed(False), Fixed(True)], "Endorsement").evaluate([])
    with pytest.raises(PolicyNotSatisfied, match="1 sub-policies were satisfied, but this policy requires 2"):
        ImplicitMetaPolicy(2, [Fixed(False), Fixed(True)], "Endorsement").evaluate([])


def config_msp(kit, organisation, **changes):
    config = wire.msp_config.FabricMSPConfig(name=organisation.msp_id, root_certs=[kit.pem_of(organisation.ca)])
    config.fabric_node_ous.enable = True
    for role in ("client", "peer", "admin", "orderer"):
        getattr(config.fabric_node_ous, f"{role}_ou_identifier").organizational_unit_identifier = role
    for name, value in changes.items():
        getattr(config, name).extend(value)
    return config


def channel_envelope(kit, organisations, rule="MAJORITY"):
    envelope = wire.configtx.ConfigEnvelope()
    root = envelope.config.channel_group
    application = root.groups["Application"]
    meta = wire.policies.ImplicitMetaPolicy(
        rule=wire.policies.ImplicitMetaPolicy.Rule.Value(rule), sub_policy="Endorsement"
    )
    policy = application.policies["Endorsement"].policy
    policy.type, policy.value = wire.policies.Policy.IMPLICIT_META, meta.SerializeToString()
    application.policies["Odd"].policy.type = 77
    broken = application.policies["Broken"].policy
    broken.type, broken.value = wire.policies.Policy.IMPLICIT_META, b"\xff"
    for organisation in organisations:
        group = application.groups[f"{organisation.msp_id}Org"]
        value = wire.msp_config.MSPConfig(config=config_msp(kit, organisation).SerializeToString())
        group.values["MSP"].value = value.SerializeToString()
        own = group.policies["Endorsement"].policy
        own.type = wire.policies.Policy.SIGNATURE
        own.value = envelope_of(f"OR('{organisation.msp_id}.peer','{organisation.msp_id}.admin')").SerializeToString()
    return envelope


@pytest.mark.parametrize(("rule", "enough", "too_few"), [("ANY", 1, 0), ("MAJORITY", 2, 1), ("ALL", 3, 2)])
def test_a_channels_default_policy_counts_organisations(kit, world, rule, enough, too_few):
    organisations = list(world.organisations.values())
    config = ChannelConfig(channel_envelope(kit, organisations, rule))
    assert config.organisations["LabMSPOrg"] == "LabMSP"
    policy = config.policy("/Channel/Application/Endorsement")
    members = [config.msps.member(o.peer.identity.serialized) for o in organisations]
    policy.evaluate(members[:enough])
    with pytest.raises(PolicyNotSatisfied):
        policy.evaluate(members[:too_few])
    with pytest.raises(PolicyNotSatisfied):
        policy.evaluate([config.msps.member(o.client.identity.serialized) for o in organisations])


def test_a_group_without_the_sub_policy_never_counts_and_no_group_asks_for_nothing(kit, world):
    envelope = channel_envelope(kit, world.organisations.values())
    del envelope.config.channel_group.groups["Application"].groups["LabMSPOrg"].policies["Endorsement"]
    config = ChannelConfig(envelope)
    members = [config.msps.member(o.peer.identity.serialized) for o in world.organisations.values()]
    config.policy("/Channel/Application/Endorsement").evaluate(members)
    with pytest.raises(PolicyNotSatisfied):
        config.policy("/Channel/Application/Endorsement").evaluate(members[:2])
    for rule in ("ANY", "MAJORITY", "ALL"):
        ChannelConfig(channel_envelope(kit, [], rule)).policy("/Channel/Application/Endorsement").evaluate([])


@pytest.mark.parametrize(
    "path",
    [
        "/Channel/Application/Nothing",
        "/Channel/Nowhere/Writers",
        "/Channel/Application/Odd",
        "/Channel/Application/Broken",
    ],
)
def test_policies_that_are_missing_or_unreadable_are_refused(kit, path):
    with pytest.raises(MalformedData):
        ChannelConfig(channel_envelope(kit, [])).policy(path)


def test_application_policies_are_inline_or_references(kit, world):
    organisations = list(world.organisations.values())
    config = ChannelConfig(channel_envelope(kit, organisations))
    member = config.msps.member(organisations[0].peer.identity.serialized)
    inline = wire.policies.ApplicationPolicy(signature_policy=envelope_of("OR('HospitalMSP.peer')"))
    policy_from_application(inline.SerializeToString(), config).evaluate([member])
    reference = wire.policies.ApplicationPolicy(channel_config_policy_reference="/Channel/Application/Endorsement")
    with pytest.raises(PolicyNotSatisfied):
        policy_from_application(reference.SerializeToString(), config).evaluate([member])
    for data in (b"", b"\xff"):
        with pytest.raises(MalformedData):
            policy_from_application(data, config)


def test_trust_can_come_from_the_genesis_block_itself(kit, world):
    envelope = channel_envelope(kit, world.organisations.values())
    header = wire.common.ChannelHeader(type=wire.common.CONFIG, channel_id="pedigree")
    payload = wire.common.Payload(
        header=wire.common.Header(channel_header=header.SerializeToString()), data=envelope.SerializeToString()
    )
    entry = wire.common.Envelope(payload=payload.SerializeToString()).SerializeToString()
    block = kit.next_block([], [entry], b"\0")
    pinned = blocks.header_hash(0, b"", block.header.data_hash)
    trust = Trust.from_genesis_block(block.SerializeToString(), pinned)
    assert trust.msps.ids == set(world.organisations)
    trust.msps.member(world.organisations["LabMSP"].peer.identity.serialized)


@pytest.mark.parametrize("value", [b"\xff", wire.msp_config.MSPConfig(config=b"\xff").SerializeToString(), b""])
def test_an_organisation_without_a_readable_msp_goes_by_its_groups_name_and_is_disabled(kit, world, value):
    envelope = channel_envelope(kit, world.organisations.values())
    envelope.config.channel_group.groups["Application"].groups["LabMSPOrg"].values["MSP"].value = value
    config = ChannelConfig(envelope)
    assert config.organisations["LabMSPOrg"] == "LabMSPOrg"
    assert set(config.msps.disabled) == {"LabMSPOrg"}
    config.msps.member(world.organisations["HospitalMSP"].peer.identity.serialized)


def test_msp_definitions_of_a_channel_are_read_whole_or_refused(kit, world):
    lab = world.organisations["LabMSP"]
    key = kit.make_key("p256")
    intermediate = kit.make_certificate("ica", key, (lab.ca.subject, lab.key), ca=True)
    config = config_msp(
        kit, lab, intermediate_certs=[kit.pem_of(intermediate)], admins=[kit.pem_of(lab.client.certificate)]
    )
    config.fabric_node_ous.peer_ou_identifier.certificate = kit.pem_of(intermediate)
    msps = Msps([msp_from_config(config)])
    granted = kit.Person("LabMSP", kit.make_certificate("p", key, (intermediate.subject, key), units=("peer",)), key)
    assert msps.member(granted.identity.serialized).role == "peer"
    with pytest.raises(MalformedData, match="may not grant"):
        msps.member(lab.peer.identity.serialized)
    config.fabric_node_ous.peer_ou_identifier.Clear()
    with pytest.raises(MalformedData, match="exactly one role"):
        Msps([msp_from_config(config)]).member(lab.peer.identity.serialized)
    config.fabric_node_ous.enable = False
    assert Msps([msp_from_config(config)]).member(lab.peer.identity.serialized).role is None
    config.organizational_unit_identifiers.add(
        organizational_unit_identifier="research", certificate=kit.pem_of(lab.ca)
    )
    units = Msps([msp_from_config(config)])
    assert units.member(lab.issue("r", "research").identity.serialized).msp_id == "LabMSP"
    with pytest.raises(MalformedData, match="none of the certificate's units"):
        units.member(lab.peer.identity.serialized)
    with pytest.raises(MalformedData, match="root_certs"):
        msp_from_config(wire.msp_config.FabricMSPConfig(name="X", root_certs=[b"x"]))
