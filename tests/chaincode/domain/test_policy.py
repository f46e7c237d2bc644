# SPDX-License-Identifier: Apache-2.0
"""Quorums: one more endorser never makes one less complete, and who does not count does not count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import errors
from chaincode.domain.keypolicy import key_policy
from chaincode.domain.lifecycle import Advance, Artifact, ArtifactStage, Quarantine, advance, quarantine
from chaincode.domain.policy import Member, Policy, QuorumRule, Stage, eligible, roles_of, rule_for, tally
from chaincode.domain.values import ArtifactKind, Count, Digest, Instant, Number, OrgId, Ref, Role, Text

ORGS = [OrgId(f"Org{letter}MSP") for letter in "ABCDE"]
ROLES = [Role("auditor"), Role("trainer"), Role("supplier")]
NET = Ref("model-version:net:1")

members = st.tuples(
    *(st.lists(st.sampled_from(ROLES), unique=True).map(tuple).map(lambda roles, org=org: Member(org, roles))
      for org in ORGS)
)  # fmt: skip
rules = st.builds(
    QuorumRule,
    st.just(ArtifactKind.MODEL_VERSION),
    st.integers(1, 5).map(Number),
    eligible_roles=st.lists(st.sampled_from(ROLES), unique=True, max_size=2).map(tuple),
    required_roles=st.lists(st.sampled_from(ROLES), unique=True, max_size=2).map(tuple),
    owner_counts=st.booleans(),
)
policies = st.builds(
    lambda members, rule: Policy(Number(1), Instant(0), members, (rule,), Number(2), ()), members, rules
)
crowds = st.sets(st.sampled_from([*ORGS, OrgId("StrangerMSP")]))


@given(policies, st.sampled_from(ORGS), crowds, crowds)
def test_a_quorum_is_monotone(policy, owner, some, more):
    rule = policy.rules[0]
    fewer, all_of_them = tally(rule, policy, owner, some), tally(rule, policy, owner, some | more)
    assert fewer.counted <= all_of_them.counted
    assert fewer.missing >= all_of_them.missing
    assert not fewer.complete or all_of_them.complete


@given(policies, st.sampled_from(ORGS), crowds)
def test_a_quorum_counts_only_those_who_may(policy, owner, some):
    rule = policy.rules[0]
    counted = tally(rule, policy, owner, some)
    roles = {member.organisation: set(member.roles) for member in policy.members}
    assert counted.counted == some & eligible(rule, policy, owner)
    assert OrgId("StrangerMSP") not in counted.counted
    assert rule.owner_counts or owner not in counted.counted
    if counted.complete:
        assert len(counted.counted) >= rule.threshold
        for role in rule.required_roles:
            assert any(role in roles[organisation] for organisation in counted.counted)


@given(policies, st.sampled_from(ORGS))
def test_whoever_registers_is_needed_and_never_enough(policy, owner):
    expression = key_policy(policy, owner)
    others = [f"'{organisation}.peer'" for organisation in ORGS if organisation != owner]
    assert expression == f"OutOf(2,'{owner}.peer',OutOf(2,{','.join(others)}))"


@pytest.mark.parametrize(
    ("size", "rest"),
    [
        (2, "'OrgBMSP.peer'"),
        (3, "OR('OrgBMSP.peer','OrgCMSP.peer')"),
        (4, "OutOf(2,'OrgBMSP.peer','OrgCMSP.peer','OrgDMSP.peer')"),
    ],
)
def test_a_registration_is_never_easier_to_change_than_by_a_majority(size, rest):
    policy = Policy(Number(1), Instant(0), tuple(map(Member, ORGS[:size])), (), Number(2), ())
    assert key_policy(policy, ORGS[0]) == f"OutOf(2,'OrgAMSP.peer',{rest})"


def test_what_the_policy_does_not_say():
    policy = Policy(Number(1), Instant(0), (Member(ORGS[0]), Member(ORGS[1])), (), Number(2), ())
    assert roles_of(policy, ORGS[2]) is None
    assert roles_of(policy, ORGS[0]) == frozenset()
    assert rule_for(policy, ArtifactKind.MODEL_VERSION, Stage.APPROVED) is None


def test_nothing_is_stopped_or_moved_without_a_policy():
    artifact = Artifact(NET, ORGS[0], Digest(bytes(32)))
    standing = ArtifactStage(NET, ORGS[0], artifact.digest, Stage.APPROVED, Instant(0), Count(1))
    with pytest.raises(errors.PolicyMissing):
        quarantine(Quarantine(NET, Text("x")), by=ORGS[0], at=Instant(0), artifact=artifact, standing=None, policy=None)
    with pytest.raises(errors.PolicyMissing):
        advance(
            Advance(NET, Stage.DEPLOYED),
            by=ORGS[0],
            at=Instant(0),
            standing=standing,
            policy=None,
            endorsers=list,
            assessment=None,
        )
