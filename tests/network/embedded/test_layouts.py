# SPDX-License-Identifier: Apache-2.0
"""Which organisations must endorse: Fabric's layouts, and its words when there are none (G-20 to G-22)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import proposal_response_pb2
from hypothesis import given
from hypothesis import strategies as st

from network.embedded.channelconfig import ChannelConfig
from network.embedded.definitions import Collection, UnusableDefinitionError, any_member
from network.embedded.identity import Signer
from network.embedded.layouts import Candidate, NoLayout, plan
from network.embedded.policy import Policy, PolicyNotSatisfied, SignaturePolicy, parse
from network.embedded.principals import PrincipalSet, merged_sets, principal_sets

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "fabric" / "layouts.json").read_text())
PREFIX = "no combination of peers can be derived which satisfy the endorsement policy: "
ORGANISATIONS = ("hospital", "lab", "regulator")


def _text(principals: PrincipalSet) -> str:
    roles = [msp_principal_pb2.MSPRole.FromString(raw) for _, raw in principals]
    names = [f"{role.msp_identifier}.{msp_principal_pb2.MSPRole.MSPRoleType.Name(role.role).lower()}" for role in roles]
    return "+".join(sorted(names))


@pytest.mark.parametrize("vector", VECTORS, ids=[" & ".join(v["Policies"]) for v in VECTORS])
def test_fabrics_principal_sets_are_ours(vector: dict[str, Any]) -> None:
    sets = merged_sets([principal_sets(parse(policy)) for policy in vector["Policies"]])
    assert sorted(map(_text, sets)) == sorted(vector["Sets"])


def test_a_policy_with_very_many_solutions_stays_affordable() -> None:
    principals = ", ".join(f"'M{number}.peer'" for number in range(40))
    sets = principal_sets(parse(f"OutOf(20, {principals})"))
    assert len(sets) == 4096
    assert all(len(each) == 20 for each in sets)


def test_what_nobody_can_satisfy_is_not_expanded() -> None:
    principals = ", ".join(f"'M{number}.peer'" for number in range(40))
    possible = {f"M{number}" for number in range(38, 40)}
    sets = principal_sets(
        parse(f"OutOf(2, {principals})"),
        lambda principal: msp_principal_pb2.MSPRole.FromString(principal[1]).msp_identifier in possible,
    )
    assert list(map(_text, sets)) == ["M38.peer+M39.peer"]


class _Definitions:
    """Policies by chaincode, and collections by (chaincode, name)."""

    def __init__(self, config: ChannelConfig, policies: Mapping[str, str], collections: Any = None) -> None:
        self._config = config
        self._policies = policies
        self._collections: Mapping[tuple[str, str], tuple[Sequence[str], str | None]] = collections or {}

    def policy(self, chaincode: str) -> Policy:
        if chaincode not in self._policies:
            raise UnusableDefinitionError(f"chaincode {chaincode} not found")
        expression = self._policies[chaincode]
        return self._config.policy(expression) if expression.startswith("/") else self._compiled(expression)

    def collection(self, chaincode: str, name: str) -> Collection:
        members, endorsement = self._collections[chaincode, name]
        policy = SignaturePolicy(any_member(members[0]), self._config.msps)
        own = None if endorsement is None else self._compiled(endorsement)
        return Collection(name, frozenset(members), policy, endorsement_policy=own)

    def _compiled(self, expression: str) -> Policy:
        return SignaturePolicy(parse(expression), self._config.msps)


def _candidates(
    config: ChannelConfig, signers: dict[str, Signer], serving: Sequence[str] = ORGANISATIONS
) -> list[Candidate]:
    return [
        Candidate(config.msps.deserialise(signers[f"{name}.peer"].serialized), lambda _cc, s=name in serving: s)
        for name in ORGANISATIONS
    ]


def _interest(*calls: dict[str, Any]) -> Any:
    return proposal_response_pb2.ChaincodeInterest(
        chaincodes=[proposal_response_pb2.ChaincodeCall(**call) for call in calls]
    )


def _plan(config: ChannelConfig, signers: dict[str, Signer], interest: Any, definitions: Any, **more: Any) -> Any:
    return [
        set(layout)
        for layout in plan(interest, definitions, config.msps, "pedigree", _candidates(config, signers, **more))
    ]


def test_the_default_policy_needs_any_two_of_three(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    definitions = _Definitions(channel_config, {"cc": "/Channel/Application/Endorsement"})
    found = _plan(channel_config, signers, _interest({"name": "cc"}), definitions)
    assert len(found) == 3
    assert all(len(layout) == 2 for layout in found)


def test_the_smallest_layout_comes_first(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    definitions = _Definitions(channel_config, {"cc": "OR(AND('HospitalMSP.peer','LabMSP.peer'),'RegulatorMSP.peer')"})
    found = _plan(channel_config, signers, _interest({"name": "cc"}), definitions)
    assert found == [{"RegulatorMSP"}, {"HospitalMSP", "LabMSP"}]


def test_policies_of_all_chaincodes_called_are_combined(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    definitions = _Definitions(
        channel_config, {"a": "OR('HospitalMSP.member')", "b": "AND('LabMSP.peer','HospitalMSP.member')"}
    )
    found = _plan(channel_config, signers, _interest({"name": "a"}, {"name": "b"}), definitions)
    assert found == [{"HospitalMSP", "LabMSP"}]


def test_key_policies_add_to_the_chaincodes_or_replace_it(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    definitions = _Definitions(channel_config, {"cc": "OR('HospitalMSP.peer')"})
    key = parse("OR('LabMSP.peer')")
    both = _interest({"name": "cc", "key_policies": [key]})
    assert _plan(channel_config, signers, both, definitions) == [{"HospitalMSP", "LabMSP"}]
    alone = _interest({"name": "cc", "key_policies": [key], "disregard_namespace_policy": True})
    assert _plan(channel_config, signers, alone, definitions) == [{"LabMSP"}]


def test_a_collection_has_its_own_policy_or_the_chaincodes(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    collections = {("cc", "own"): (["LabMSP"], "OR('LabMSP.peer')"), ("cc", "plain"): (["LabMSP"], None)}
    definitions = _Definitions(channel_config, {"cc": "OR('HospitalMSP.peer')"}, collections)
    own = _interest({"name": "cc", "collection_names": ["own"], "no_private_reads": True})
    plain = _interest({"name": "cc", "collection_names": ["plain"], "no_private_reads": True})
    assert _plan(channel_config, signers, own, definitions) == [{"LabMSP"}]
    assert _plan(channel_config, signers, plain, definitions) == [{"HospitalMSP"}]


def test_cleartext_is_read_by_members_only(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    collections = {("cc", "c"): (["LabMSP", "RegulatorMSP"], None)}
    definitions = _Definitions(channel_config, {"cc": "/Channel/Application/Endorsement"}, collections)
    interest = _interest({"name": "cc", "collection_names": ["c"]})
    assert _plan(channel_config, signers, interest, definitions) == [{"LabMSP", "RegulatorMSP"}]


@pytest.mark.parametrize(
    ("policy", "calls", "serving", "problem"),
    [
        (None, [{"name": "cc"}], ORGANISATIONS, "No metadata was found for chaincode cc in channel pedigree"),
        (
            "AND('HospitalMSP.peer','MakerMSP.peer')",
            [{"name": "cc"}],
            ORGANISATIONS,
            "no peer combination can satisfy the endorsement policy",
        ),
        (
            "AND('LabMSP.member','LabMSP.member')",
            [{"name": "cc"}],
            ORGANISATIONS,
            "no peer combination can satisfy the endorsement policy",
        ),
        (
            "OR('LabMSP.client')",
            [{"name": "cc"}],
            ORGANISATIONS,
            "no peer combination can satisfy the endorsement policy",
        ),
        (
            "/Channel/Application/Endorsement",
            [{"name": "cc"}],
            ("lab",),
            "required chaincodes are not installed on sufficient peers",
        ),
    ],
)
def test_why_there_is_no_layout(
    channel_config: ChannelConfig,
    signers: dict[str, Signer],
    policy: str | None,
    calls: list[dict[str, Any]],
    serving: Sequence[str],
    problem: str,
) -> None:
    definitions = _Definitions(channel_config, {} if policy is None else {"cc": policy})
    with pytest.raises(NoLayout) as refusal:
        _plan(channel_config, signers, _interest(*calls), definitions, serving=serving)
    assert str(refusal.value) == PREFIX + problem


def test_a_key_policy_that_makes_no_sense_cannot_be_satisfied(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    definitions = _Definitions(channel_config, {"cc": "OR('LabMSP.peer')"})
    bad = parse("OR('LabMSP.peer')")
    bad.rule.n_out_of.rules[0].signed_by = 9
    with pytest.raises(NoLayout, match="no peer combination"):
        _plan(channel_config, signers, _interest({"name": "cc", "key_policies": [bad]}), definitions)


_PRINCIPALS = st.sampled_from(
    [f"'{org}.{role}'" for org in ("HospitalMSP", "LabMSP", "RegulatorMSP") for role in ("peer", "member", "client")]
)


def _gates(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(inner, min_size=1, max_size=3)
    return parts.flatmap(lambda texts: st.integers(1, len(texts)).map(lambda n: f"OutOf({n}, {', '.join(texts)})"))


@given(expressions=st.lists(_gates(st.recursive(_PRINCIPALS, _gates, max_leaves=5)), min_size=1, max_size=2))
def test_layouts_cover_what_any_subset_of_peers_could_satisfy(
    channel_config: ChannelConfig, signers: dict[str, Signer], expressions: list[str]
) -> None:
    """Naive check: an endorsing set that the evaluator accepts implies that a layout exists."""
    definitions = _Definitions(channel_config, {f"cc{n}": text for n, text in enumerate(expressions)})
    interest = _interest(*({"name": f"cc{n}"} for n in range(len(expressions))))
    identities = [peer.identity for peer in _candidates(channel_config, signers)]
    try:
        found = _plan(channel_config, signers, interest, definitions)
    except NoLayout:
        found = []
    for chosen in range(8):
        some = [identity for position, identity in enumerate(identities) if chosen >> position & 1]
        if all(_satisfied(definitions.policy(f"cc{n}"), some) for n in range(len(expressions))):
            present = {identity.msp_id for identity in some}
            assert any(layout <= present for layout in found)


def _satisfied(policy: Policy, identities: Any) -> bool:
    try:
        policy.evaluate_identities(identities)
    except PolicyNotSatisfied:
        return False
    return True
