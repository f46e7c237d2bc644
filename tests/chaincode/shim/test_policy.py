# SPDX-License-Identifier: Apache-2.0
"""Key-level endorsement policies: expressions, builder and bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.shim import wire
from chaincode.shim.policy import (
    OutOf,
    Policy,
    PolicyError,
    Principal,
    all_of,
    any_of,
    compile_expression,
    decode,
    encode,
    parse,
    render,
)

principals = st.builds(
    Principal,
    st.from_regex(r"[0-9A-Za-z.-]{1,8}", fullmatch=True),
    st.sampled_from(["member", "admin", "client", "peer", "orderer"]),
)


def groups(inner: st.SearchStrategy[Policy]) -> st.SearchStrategy[Policy]:
    return st.lists(inner, min_size=1, max_size=4).flatmap(
        lambda rules: st.integers(1, len(rules)).map(lambda n: OutOf(n, tuple(rules)))
    )


policies = st.recursive(principals, groups, max_leaves=12)


@given(policies)
def test_an_expression_says_the_same_after_a_round_trip(policy: Policy) -> None:
    assert parse(render(policy)) == policy


@given(policies)
def test_the_compiled_bytes_say_the_same_after_a_round_trip(policy: Policy) -> None:
    expected = any_of(policy) if isinstance(policy, Principal) else policy
    assert decode(encode(policy)) == expected
    assert compile_expression(render(policy)) == encode(policy)


@given(st.text(alphabet="ANDOROutOf(),'\" 0123.peermX", max_size=40))
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    try:
        policy = parse(text)
    except PolicyError as error:
        assert "character" in str(error) or "out of" in str(error)  # noqa: PT017
    else:
        assert parse(render(policy)) == policy


@given(st.binary(max_size=60))
def test_any_bytes_are_a_policy_or_a_policy_error(data: bytes) -> None:
    try:
        policy = decode(data)
    except PolicyError:
        return
    assert parse(render(policy)) == policy


@pytest.mark.parametrize(
    ("expression", "golden"),
    [
        # What policydsl.FromString of Fabric 3.1 makes of it: a gate's principals come after those of its inner gates.
        ("OR('A.member')", "120812060801120208001a05120 30a0141"),
        ("OR('A.peer')", "120812060801120208001a071205 0a01411003"),
        (
            "OutOf(2,'A.peer',OR('B.peer','C.member'))",
            "12161214080212020802120c120a080112020800120208011a0712050a014210031a0512030a01431a0712050a01411003",
        ),
        (
            "AND('A.admin',OutOf(1,'B.client',AND('C.peer','D.orderer')),'E.peer')",
            """
            1224122208031202080312161214080112020802120c120a08021202080012020801120208041a0712050a01431003 1a071
            2050a014410041a0712050a014210021a0712050a014110011a0712050a01451003
            """,
        ),
        (
            "OR(AND('A.peer','B.peer'),AND('C.peer','A.peer'))",
            """
            1220121e0801120c120a08021202080012020801120c120a080212020802120208031a0712050a014110031a0712050a01421003
            1a0712050a014310031a0712050a01411003
            """,
        ),
    ],
)
def test_the_encoding_is_pinned_byte_by_byte(expression: str, golden: str) -> None:
    assert compile_expression(expression) == bytes.fromhex("".join(golden.split()))


def test_all_of_sorted_organisations_is_what_the_go_shim_makes_of_them() -> None:
    golden = "120c120a080212020800120208011a11120f0a0b486f73706974616c4d535010031a0c120a0a064c61624d53501003"
    members = sorted(("LabMSP", "HospitalMSP"))
    assert encode(all_of(*(Principal(msp_id, "peer") for msp_id in members))) == bytes.fromhex(golden)


def test_spelling_and_spaces_of_an_expression_are_free() -> None:
    assert parse(" and( \"A.peer\" , oR('B.peer') ) ") == all_of(Principal("A"), any_of(Principal("B")))
    assert parse("'A.admin'") == Principal("A", "admin")


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "expression ends"),
        ("AND()", "quoted principal is expected"),
        ("AND('A.peer'", "expression ends"),
        ("AND('A.peer' 'B.peer')", "comma or a closing bracket"),
        ("AND 'A.peer'", "'\\(' is expected"),
        ("XOR('A.peer')", "AND, OR, OutOf"),
        ("OutOf('A.peer')", "number is expected"),
        ("OutOf(1 'A.peer')", "',' is expected"),
        ("OutOf(0,'A.peer')", "0 out of 1"),
        ("OutOf(3,'A.peer','B.peer')", "3 out of 2"),
        ("OR('A')", "MSP.role"),
        ("OR('A.king')", "MSP.role"),
        ("OR('A.peer') x", "nothing more"),
        ("OR(" * 40 + "'A.peer'" + ")" * 40, "nested"),
    ],
)
def test_a_malformed_expression_is_refused_with_its_place(expression: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        parse(expression)


def test_principals_are_checked_when_they_are_made() -> None:
    with pytest.raises(PolicyError, match="MSP id"):
        Principal("A B")
    with pytest.raises(PolicyError, match="roles"):
        Principal("A", "king")


def test_foreign_policies_are_refused_unless_they_are_of_roles() -> None:
    with pytest.raises(PolicyError, match="not a signature policy"):
        decode(b"\xff")
    unit = wire.SignaturePolicyEnvelope(identities=[wire.MSPPrincipal(principal_classification=1)])
    with pytest.raises(PolicyError, match="ROLE"):
        decode(unit.SerializeToString())
    strange = wire.MSPPrincipal(principal=wire.MSPRole(msp_identifier="A", role=9).SerializeToString())
    with pytest.raises(PolicyError, match="number of a role"):
        decode(wire.SignaturePolicyEnvelope(identities=[strange]).SerializeToString())
    with pytest.raises(PolicyError, match="no identity"):
        decode(wire.SignaturePolicyEnvelope(rule={"signed_by": 1}).SerializeToString())
    deep = wire.SignaturePolicy(signed_by=0)
    for _ in range(40):
        deep = wire.SignaturePolicy(n_out_of={"n": 1, "rules": [deep]})
    one = wire.MSPPrincipal(principal=wire.MSPRole(msp_identifier="A").SerializeToString())
    with pytest.raises(PolicyError, match="nested"):
        decode(wire.SignaturePolicyEnvelope(rule=deep, identities=[one]).SerializeToString())
