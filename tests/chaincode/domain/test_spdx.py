# SPDX-License-Identifier: Apache-2.0
"""Licence expressions: which exist and how they are spelt (SPDX 3.0.1, annex "SPDX license expressions")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from chaincode.domain.errors import LicenceMalformed, LicenceUnknown
from chaincode.domain.spdx import Licence
from chaincode.domain.spdx_ids import EXCEPTIONS, LICENCES, LIST_VERSION


@pytest.mark.parametrize("identifier", sorted(LICENCES))
def test_every_listed_licence_is_known(identifier):
    assert Licence(identifier) == Licence(identifier.lower()) == identifier


@pytest.mark.parametrize("identifier", sorted(EXCEPTIONS))
def test_every_listed_exception_is_known(identifier):
    assert Licence(f"GPL-2.0-only WITH {identifier.upper()}") == f"GPL-2.0-only WITH {identifier}"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("mit", "MIT"),
        (" mit  AND isc ", "MIT AND ISC"),
        ("apache-2.0 or mit", "Apache-2.0 OR MIT"),
        ("MIT and (BSD-3-Clause or ISC)", "MIT AND (BSD-3-Clause OR ISC)"),
        ("GPL-2.0-only with Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("Apache-2.0 WITH AdditionRef-Model-1", "Apache-2.0 WITH AdditionRef-Model-1"),
        ("MIT with DocumentRef-card:AdditionRef-x.1", "MIT WITH DocumentRef-card:AdditionRef-x.1"),
        ("LicenseRef-own WITH classpath-exception-2.0", "LicenseRef-own WITH Classpath-exception-2.0"),
        ("epl-1.0+ WITH AdditionRef-x", "EPL-1.0+ WITH AdditionRef-x"),
        ("apache-2.0+", "Apache-2.0+"),
        ("gpl-2.0+", "GPL-2.0+"),
        ("(MIT OR (ISC AND 0BSD))", "(MIT OR (ISC AND 0BSD))"),
        ("( MIT )AND( ISC )", None),
        ("( MIT ) AND ( ISC )", "(MIT) AND (ISC)"),
        ("LicenseRef-Consortium-1", "LicenseRef-Consortium-1"),
        ("DocumentRef-card:LicenseRef-x.y", "DocumentRef-card:LicenseRef-x.y"),
        ("openmdw-1.0", "OpenMDW-1.0"),
    ],
)
def test_an_expression_has_one_spelling(text, canonical):
    if canonical is None:
        with pytest.raises(LicenceMalformed, match="space on both sides"):
            Licence(text)
    else:
        assert Licence(text) == Licence(Licence(text)) == canonical


def test_references_are_compared_without_case_and_keep_theirs():
    one, other = Licence("DocumentRef-D:LicenseRef-Consortium-2"), Licence("DocumentRef-d:LicenseRef-consortium-2")
    assert one != other
    assert one.ways == other.ways
    assert Licence("MIT WITH AdditionRef-A").ways == Licence("mit with AdditionRef-a").ways


@pytest.mark.parametrize(
    "text", ["OpenRAIL-M", "Llama-3", "MIT AND Nothing-1.0", "NONE", "MIT WITH Nothing", "LicenseRef-", "+",
             "licenseref-x", "LicenseRef-x+", "MIT WITH additionref-x", "AdditionRef-x", "MIT WITH LicenseRef-x"]
)  # fmt: skip
def test_an_unknown_licence_is_refused_with_the_version_of_the_list_and_the_way_out(text):
    with pytest.raises(LicenceUnknown, match=rf"SPDX licence list {LIST_VERSION}\. .* LicenseRef-NAME") as refused:
        Licence(text)
    assert refused.value.list_version == LIST_VERSION


@pytest.mark.parametrize(
    "text",
    ["", " ", "MIT AND", "AND MIT", "and MIT", "MIT ISC", "(MIT", "MIT)", "()", "MIT WITH", "MIT/ISC", "MIT, ISC", "ä",
     "MIT And ISC", "MIT aND ISC", "MIT Or ISC", "MIT With Classpath-exception-2.0", "MIT AND(ISC)", "(MIT)OR ISC",
     "MIT\nAND ISC", "MIT\tAND ISC", "MIT\u00a0AND ISC", "MIT +", "MIT WITH (ISC)", "(MIT OR ISC) WITH AdditionRef-x",
     " AND ".join(["MIT"] * 13), "(" * 13 + "MIT" + ")" * 13, "(" * 300 + "MIT", "M" * 513],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text):
    with pytest.raises((LicenceMalformed, LicenceUnknown)) as refused:
        Licence(text)
    assert isinstance(refused.value, LicenceMalformed) or text in {"MIT +", "MIT WITH (ISC)"}


@pytest.mark.parametrize("text", ["MIT\x1b[2J", "\u202eTIM", "x" * 600 + "\x1b"])
def test_a_refusal_repeats_nothing_that_a_terminal_obeys(text):
    with pytest.raises(LicenceMalformed) as refused:
        Licence(text)
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()


@given(st.text(max_size=30))
def test_any_text_is_an_expression_or_refused(text):
    try:
        licence = Licence(text)
    except (LicenceMalformed, LicenceUnknown):
        return
    assert Licence(licence) == licence


def test_ways_are_what_a_licensee_may_choose_from():
    ways = Licence("MIT AND (ISC OR 0BSD) OR ISC AND MIT").ways
    assert [{term.identifier for term in way} for way in ways] == [{"MIT", "ISC"}, {"MIT", "0BSD"}]
    assert len(Licence(" AND ".join("(MIT OR ISC)" for _ in range(6))).ways) == 3


_TERMS = ("MIT", "ISC", "0BSD", "GPL-2.0-only WITH Classpath-exception-2.0")
_EXPRESSIONS = st.recursive(
    st.sampled_from(_TERMS),
    lambda parts: st.builds(
        lambda operator, operands, wrapped: f"({text})" if (text := operator.join(operands)) and wrapped else text,
        st.sampled_from((" AND ", " and ", " OR ", " or ")),
        st.lists(parts, min_size=2, max_size=3),
        st.booleans(),
    ),
    max_leaves=8,
)
_SPDX = get_spdx_licensing()


def _is_met(tree, held):
    if isinstance(tree, _SPDX.AND):
        return all(_is_met(each, held) for each in tree.args)
    if isinstance(tree, _SPDX.OR):
        return any(_is_met(each, held) for each in tree.args)
    return tree.render() in held


@given(_EXPRESSIONS)
def test_license_expression_reads_the_same_choices(text):
    ways = [{_spelt(term) for term in way} for way in Licence(text).ways]
    tree = _SPDX.parse(text, validate=True, strict=True)
    for bits in range(1 << len(_TERMS)):
        held = {term for index, term in enumerate(_TERMS) if bits >> index & 1}
        assert any(way <= held for way in ways) == _is_met(tree, held)


def _spelt(term):
    return term.identifier if term.addition is None else f"{term.identifier} WITH {term.addition}"
