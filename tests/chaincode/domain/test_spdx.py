# SPDX-License-Identifier: Apache-2.0
"""Licence expressions: which exist, how they are spelt, and which one allows more than another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.errors import LicenceMalformed, LicenceUnknown
from chaincode.domain.spdx import Licence, conditions
from chaincode.domain.spdx_ids import EXCEPTIONS, LICENCES

terms = st.sampled_from(["MIT", "CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "GPL-3.0-only", "LicenseRef-a", "LicenseRef-b"])
expressions = st.recursive(
    terms,
    lambda inner: st.builds(lambda a, word, b: f"({a} {word} {b})", inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=5,
).map(Licence)


@pytest.mark.parametrize("identifier", sorted(LICENCES))
def test_every_listed_licence_is_known(identifier):
    assert Licence(identifier) == identifier


@pytest.mark.parametrize("identifier", sorted(EXCEPTIONS))
def test_every_listed_exception_is_known(identifier):
    assert Licence(f"GPL-2.0-only WITH {identifier}") == f"GPL-2.0-only WITH {identifier}"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("mit", "MIT"),
        (" mit  AND\tisc ", "MIT AND ISC"),
        ("apache-2.0+", "Apache-2.0+"),
        ("GPL-2.0+", "GPL-2.0+"),
        ("gpl-2.0-or-later with classpath-exception-2.0", None),
        ("GPL-2.0-or-later WITH classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"),
        ("(MIT OR (ISC AND 0BSD))", "(MIT OR (ISC AND 0BSD))"),
        ("LicenseRef-Consortium-1", "LicenseRef-Consortium-1"),
        ("DocumentRef-card:LicenseRef-x.y", "DocumentRef-card:LicenseRef-x.y"),
        ("ODbL-1.0", "ODbL-1.0"),
    ],
)
def test_an_expression_has_one_spelling(text, canonical):
    if canonical is None:
        with pytest.raises(LicenceMalformed):
            Licence(text)
    else:
        assert Licence(text) == Licence(Licence(text)) == canonical


@pytest.mark.parametrize(
    "text", ["OpenRAIL-M", "Llama-3", "MIT AND Nothing-1.0", "NONE", "MIT WITH Nothing", "LicenseRef-", "+"]
)
def test_an_unknown_licence_is_refused(text):
    with pytest.raises(LicenceUnknown):
        Licence(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "MIT AND", "AND MIT", "MIT ISC", "(MIT", "MIT)", "()", "MIT WITH", "MIT/ISC", "MIT, ISC", "ä",
     " AND ".join(["MIT"] * 13), "(" * 13 + "MIT" + ")" * 13, "(" * 300 + "MIT", "M" * 513],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(LicenceMalformed):
        Licence(text)


@given(st.text(max_size=30))
def test_any_text_is_an_expression_or_refused(text):
    try:
        licence = Licence(text)
    except (LicenceMalformed, LicenceUnknown):
        return
    assert Licence(licence) == licence


@pytest.mark.parametrize(
    ("licence", "ancestor", "wider"),
    [
        ("Apache-2.0", "CC-BY-4.0", False),
        ("CC0-1.0", "CC-BY-4.0", True),
        ("CC-BY-4.0", "CC0-1.0", False),
        ("MIT", "CC-BY-NC-4.0", True),
        ("CC-BY-NC-4.0", "CC-BY-4.0", False),
        ("CC-BY-4.0", "CC-BY-SA-4.0", True),
        ("ODbL-1.0", "CC-BY-SA-4.0", False),
        ("CC-BY-ND-4.0", "CC-BY-4.0", False),
        ("CC-BY-NC-4.0", "CC-BY-NC-ND-4.0", True),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", False),
        ("MIT", "LicenseRef-private", True),
        ("LicenseRef-private", "LicenseRef-private", False),
        ("MIT AND LicenseRef-private", "LicenseRef-private", False),
        ("MIT OR LicenseRef-private", "LicenseRef-private", True),
        ("MIT", "MIT OR LicenseRef-private", False),
        ("CC0-1.0", "MIT OR LicenseRef-private", True),
        ("Elastic-2.0", "Elastic-2.0", False),
        ("MIT", "Elastic-2.0", True),
        ("Apache-2.0+", "Apache-2.0", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", False),
    ],
)
def test_a_licence_is_wider_when_complying_with_it_can_break_the_ancestor(licence, ancestor, wider):
    assert Licence(licence).is_wider_than(Licence(ancestor)) is wider


@given(expressions)
def test_no_licence_is_wider_than_itself(licence):
    assert not licence.is_wider_than(licence)


@given(expressions, expressions, expressions)
def test_not_wider_is_transitive(child, parent, ancestor):
    """On this rests that comparing with direct parents is enough."""
    if not child.is_wider_than(parent) and not parent.is_wider_than(ancestor):
        assert not child.is_wider_than(ancestor)


@given(expressions, expressions)
def test_both_together_are_no_wider_than_either_and_a_choice_is_as_wide_as_both(one, other):
    both, choice = Licence(f"({one}) AND ({other})"), Licence(f"({one}) OR ({other})")
    assert not both.is_wider_than(one)
    assert not both.is_wider_than(other)
    assert not one.is_wider_than(choice)
    assert not other.is_wider_than(choice)


def test_a_licence_that_is_not_classified_asks_for_itself():
    assert conditions("Elastic-2.0") == {"Elastic-2.0"}
