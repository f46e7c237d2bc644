# SPDX-License-Identifier: Apache-2.0
"""Policies decide as Fabric's do, and their text form is read as Fabric's tools read it (V-20 to V-23)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import policies_pb2
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from network.embedded.channelconfig import ChannelConfig
from network.embedded.identity import Msps, Signer
from network.embedded.policy import (
    ImplicitMetaPolicy,
    MalformedPolicy,
    Policy,
    PolicyNotSatisfied,
    SignaturePolicy,
    SignedData,
    parse,
    render,
    to_signature_policy,
    verified_identities,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "fabric" / "policy_eval.json").read_text())
MESSAGE = b"proposal response"
ALL_PEERS = "OutOf(2, 'HospitalMSP.peer', 'LabMSP.peer', 'RegulatorMSP.peer')"


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{n}-{v['Policy']}" for n, v in enumerate(VECTORS)])
def test_fabrics_verdict_is_ours(
    vector: dict[str, Any], authority: Callable[..., Any], make_msp: Callable[..., Any]
) -> None:
    roots = {msp_id: authority(msp_id) for msp_id in "ABC"}
    msps = Msps([make_msp(msp_id, root) for msp_id, root in roots.items()])
    enrolled: dict[str, Signer] = {}
    for entry in vector["Sigs"]:
        msp_id, role, name = entry["ID"].split(".")
        if entry["ID"] not in enrolled:
            issued = roots[msp_id].issue(name, [role.lower()])
            enrolled[entry["ID"]] = Signer(msp_id, issued.pem, issued.key)
    signed = []
    for entry in vector["Sigs"]:
        signer = enrolled[entry["ID"]]
        signature = signer.sign(MESSAGE if entry["Sig"] == "ok" else b"something else")
        signed.append(SignedData(MESSAGE, signer.serialized, signature))
    policy = SignaturePolicy(parse(vector["Policy"]), msps)
    assert _holds(policy, signed) is vector["OK"]


def _holds(policy: Policy, signed: Sequence[SignedData]) -> bool:
    try:
        policy.evaluate(signed)
    except PolicyNotSatisfied:
        return False
    return True


def _signed(signers: dict[str, Signer], *names: str) -> list[SignedData]:
    return [SignedData(MESSAGE, signers[name].serialized, signers[name].sign(MESSAGE)) for name in names]


def test_unusable_and_repeated_entries_are_left_out(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    good = _signed(signers, "lab.peer", "hospital.peer", "lab.peer")
    forged = SignedData(MESSAGE, signers["regulator.peer"].serialized, b"forged")
    rubbish = SignedData(MESSAGE, b"nobody", b"")
    found = verified_identities([rubbish, forged, *good], channel_config.msps)
    assert [identity.msp_id for identity in found] == ["LabMSP", "HospitalMSP"]


def test_the_cause_of_a_refusal_is_fabrics_text(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    policy = SignaturePolicy(parse(ALL_PEERS), channel_config.msps)
    with pytest.raises(PolicyNotSatisfied, match=r"^signature set did not satisfy policy$"):
        policy.evaluate(_signed(signers, "lab.peer"))
    with pytest.raises(PolicyNotSatisfied) as refusal:
        channel_config.policy("/Channel/Application/Endorsement").evaluate(_signed(signers, "lab.peer"))
    assert str(refusal.value) == (
        "implicit policy evaluation failed - 1 sub-policies were satisfied, "
        "but this policy requires 2 of the 'Endorsement' sub-policies to be satisfied"
    )


@pytest.mark.parametrize(
    ("rule", "groups", "threshold"),
    [("ANY", 3, 1), ("ALL", 3, 3), ("MAJORITY", 1, 1), ("MAJORITY", 2, 2), ("MAJORITY", 3, 2), ("MAJORITY", 4, 3)],
)
def test_thresholds_of_implicit_meta_policies(
    channel_config: ChannelConfig, rule: str, groups: int, threshold: int
) -> None:
    number = policies_pb2.ImplicitMetaPolicy.Rule.Value(rule)
    policy = ImplicitMetaPolicy(number, "Endorsement", [None] * groups, channel_config.msps)
    assert policy.threshold == threshold
    with pytest.raises(PolicyNotSatisfied, match="0 sub-policies were satisfied"):
        policy.evaluate([])


@pytest.mark.parametrize("rule", ["ANY", "ALL", "MAJORITY"])
def test_without_groups_an_implicit_meta_policy_is_satisfied(channel_config: ChannelConfig, rule: str) -> None:
    number = policies_pb2.ImplicitMetaPolicy.Rule.Value(rule)
    ImplicitMetaPolicy(number, "Endorsement", [], channel_config.msps).evaluate([])


def test_one_signer_counts_in_every_group(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    anyone = SignaturePolicy(parse("OR('LabMSP.peer')"), channel_config.msps)
    everyone = ImplicitMetaPolicy(policies_pb2.ImplicitMetaPolicy.ALL, "X", [anyone, anyone], channel_config.msps)
    everyone.evaluate(_signed(signers, "lab.peer"))


def test_a_remembered_verdict_is_that_of_the_same_signers(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    majority = channel_config.policy("/Channel/Application/Endorsement")
    for _ in range(2):
        majority.evaluate(_signed(signers, "lab.peer", "hospital.peer"))
        for too_few in (("lab.peer",), ("lab.peer", "lab.peer"), ()):
            with pytest.raises(PolicyNotSatisfied, match=f"{min(1, len(too_few))} sub-policies were satisfied"):
                majority.evaluate(_signed(signers, *too_few))


def test_an_implicit_meta_policy_becomes_one_signature_policy(channel_config: ChannelConfig) -> None:
    merged = to_signature_policy(channel_config.policy("/Channel/Application/Endorsement"))
    assert render(merged) == "OutOf(2, OR('HospitalMSP.peer'), OR('LabMSP.peer'), OR('RegulatorMSP.peer'))"


def test_principals_are_numbered_as_configtxgen_numbers_them() -> None:
    """Order and repetition of principals, as configtxgen 3.1.5 encodes this expression."""
    envelope = parse("AND('A.admin', OutOf(1, 'A.peer', 'A.admin'), OR('A.client', \"A.admin\"))")
    assert [render(_one(envelope, index)) for index in range(5)] == [
        "OR('A.peer')",
        "OR('A.admin')",
        "OR('A.client')",
        "OR('A.admin')",
        "OR('A.admin')",
    ]
    rules = envelope.rule.n_out_of.rules
    assert rules[0].signed_by == 4
    assert [rule.signed_by for rule in rules[1].n_out_of.rules] == [0, 1]
    assert [rule.signed_by for rule in rules[2].n_out_of.rules] == [2, 3]


def _one(envelope: Any, index: int) -> Any:
    rule = policies_pb2.SignaturePolicy(signed_by=0)
    gate = policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=1, rules=[rule]))
    return policies_pb2.SignaturePolicyEnvelope(rule=gate, identities=[envelope.identities[index]])


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "expected AND, OR or OutOf"),
        ("   ", "expected AND, OR or OutOf"),
        ("'A.peer'", "expected AND, OR or OutOf"),
        ("XOR('A.peer')", "found 'XOR'"),
        ("or('A.peer')", "found 'or'"),
        ("AND", "expected '('"),
        ("AND(", "expected AND, OR or OutOf"),
        ("AND()", "expected AND, OR or OutOf"),
        ("AND('A.peer'", "expected ',' or ')'"),
        ("AND('A.peer',)", "expected AND, OR or OutOf"),
        ("AND('A.peer' 'B.peer')", "expected ',' or ')'"),
        ("AND('A.peer'))", "after the end"),
        ("AND('A')", "is not 'MSP.role'"),
        ("AND('A.king')", "is not 'MSP.role'"),
        ("AND('A_B.peer')", "is not 'MSP.role'"),
        ("AND(A.peer)", "cannot be read"),
        ("AND('A.peer)", "cannot be read"),
        ("OutOf('A.peer', 'B.peer')", "OutOf needs a number"),
        ("OutOf(-1, 'A.peer')", "cannot be read"),
        ("OutOf(3, 'A.peer')", "requires 3 of 1"),
        ("OutOf(1)", "expected ','"),
        ("OutOf(99999999, 'A.peer')", "OutOf needs a number"),
        ("AND(" * 40 + "'A.peer'" + ")" * 40, "nested more than"),
        ("AND('" + "A" * 70_000 + ".peer')", "longer than"),
    ],
)
def test_a_malformed_expression_is_refused_with_its_place(expression: str, problem: str) -> None:
    with pytest.raises(MalformedPolicy) as refusal:
        parse(expression)
    assert problem in str(refusal.value)


def test_impossible_and_free_thresholds_are_fabrics() -> None:
    assert parse("OutOf(2, 'A.peer')").rule.n_out_of.n == 2  # one more than there are: never satisfied
    assert parse("OutOf(0, 'A.peer')").rule.n_out_of.n == 0
    assert parse("OutOf('1', 'A.peer')") == parse("OutOf(1, 'A.peer')")


def test_an_envelope_that_makes_no_sense_is_refused(channel_config: ChannelConfig) -> None:
    good = parse("OR('A.peer')")
    for change in (
        lambda e: e.rule.n_out_of.rules[0].__setattr__("signed_by", 1),
        lambda e: e.rule.n_out_of.rules[0].__setattr__("signed_by", -1),
        lambda e: e.rule.Clear(),
        lambda e: e.__setattr__("version", 1),
    ):
        bad = policies_pb2.SignaturePolicyEnvelope()
        bad.CopyFrom(good)
        change(bad)
        with pytest.raises(MalformedPolicy):
            SignaturePolicy(bad, channel_config.msps)
    with pytest.raises(MalformedPolicy):
        ImplicitMetaPolicy(7, "Readers", [], channel_config.msps)


_PRINCIPALS = st.builds(
    lambda msp_id, role, quote: f"{quote}{msp_id}.{role}{quote}",
    st.sampled_from(["A", "Lab-MSP", "x.y", "7"]),
    st.sampled_from(["member", "admin", "client", "peer", "orderer"]),
    st.sampled_from(["'", '"']),
)


def _gates(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(inner, min_size=1, max_size=4)
    joined = parts.map(lambda texts: " , ".join(texts))
    plain = st.builds(lambda gate, text: f"{gate}({text})", st.sampled_from(["AND", "OR", "And", "Or"]), joined)
    counted = parts.flatmap(
        lambda texts: st.integers(0, len(texts) + 1).map(lambda n: f"OutOf({n}, {', '.join(texts)})")
    )
    return plain | counted


_EXPRESSIONS = _gates(st.recursive(_PRINCIPALS, _gates, max_leaves=12))


@given(_EXPRESSIONS)
def test_what_is_rendered_reads_back_equal(expression: str) -> None:
    envelope = parse(expression)
    assert parse(render(envelope)) == envelope


@given(st.text(alphabet="ANDORutf()', \"0123456789.peradmin\n\t\u20ac", max_size=60) | st.text(max_size=60))
def test_any_text_is_a_policy_or_malformed(expression: str) -> None:
    try:
        envelope = parse(expression)
    except MalformedPolicy:
        return
    assert parse(render(envelope)) == envelope


@given(st.binary(max_size=80))
def test_any_envelope_is_compiled_or_malformed(channel_config: ChannelConfig, raw: bytes) -> None:
    try:
        policy = SignaturePolicy(policies_pb2.SignaturePolicyEnvelope.FromString(raw), channel_config.msps)
    except (DecodeError, MalformedPolicy):
        return
    if _holds(policy, []):
        assert policy.envelope.rule.WhichOneof("Type") == "n_out_of"  # a single signer cannot be missing
