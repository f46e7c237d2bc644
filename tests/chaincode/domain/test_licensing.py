# SPDX-License-Identifier: Apache-2.0
"""Whether what was made keeps the licence of its source, as far as the law can tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.errors import DerivativesForbidden, LicenceTooWide, LicenceUnclassified
from chaincode.domain.licensing import (
    ATTRIBUTION,
    NO_DERIVATIVES,
    NON_COMMERCIAL,
    SHARE_ALIKE,
    Asked,
    Weight,
    asks,
    check_licence,
    conditions,
    meet,
    objection,
    terms_of,
)
from chaincode.domain.spdx import Licence
from chaincode.domain.values import Ref, model_version_ref

KEPT, UNCLASSIFIED, BROKEN, FORBIDDEN = None, Weight.UNCLASSIFIED, Weight.BROKEN, Weight.FORBIDDEN
KNOWN = [
    "MIT",
    "Apache-2.0",
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-SA-4.0",
    "ODbL-1.0",
    "GPL-2.0-only",
    "GPL-3.0-or-later",
    "LGPL-2.1-only",
    "MPL-2.0",
    "GPL-2.0-only WITH Classpath-exception-2.0",
]
terms = st.sampled_from([*KNOWN, "LicenseRef-a", "LicenseRef-b", "Elastic-2.0", "MIT WITH AdditionRef-c"])
expressions = st.recursive(
    terms,
    lambda inner: st.builds(lambda a, word, b: f"({a} {word} {b})", inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=5,
).map(Licence)


def weight(licence, source):
    found = objection(Licence(licence), Licence(source))
    return None if found is None else found.weight


@pytest.mark.parametrize(
    ("licence", "source", "expected"),
    [
        # Attribution and non-commercial use.
        ("Apache-2.0", "CC-BY-4.0", KEPT),
        ("OpenMDW-1.0", "CC-BY-4.0", KEPT),
        ("CC0-1.0", "CC-BY-4.0", BROKEN),
        ("CC-BY-4.0", "CC0-1.0", KEPT),
        ("MIT", "CC-BY-NC-4.0", BROKEN),
        ("CC-BY-NC-4.0", "CC-BY-4.0", KEPT),
        ("CC-BY-ND-4.0", "CC-BY-4.0", KEPT),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", KEPT),
        ("Apache-2.0+", "Apache-2.0", KEPT),
        # Share-alike is met by the same licence or by one that its steward lists.
        ("CC-BY-4.0", "CC-BY-SA-4.0", BROKEN),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0", KEPT),
        ("ODbL-1.0", "CC-BY-SA-4.0", BROKEN),
        ("GPL-2.0-only", "CC-BY-SA-4.0", BROKEN),
        ("MPL-2.0", "CC-BY-SA-4.0", BROKEN),
        ("CC-BY-SA-4.0", "ODbL-1.0", BROKEN),
        ("GPL-3.0-only", "ODbL-1.0", BROKEN),
        ("CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", BROKEN),
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0", BROKEN),
        ("GPL-3.0-only", "CC-BY-SA-4.0", KEPT),
        ("GPL-3.0-or-later", "CC-BY-SA-4.0", BROKEN),
        ("CC-BY-SA-4.0", "GPL-3.0-only", BROKEN),
        ("LAL-1.3", "CC-BY-SA-4.0", KEPT),
        ("CC-BY-SA-4.0", "LAL-1.3", KEPT),
        ("GPL-3.0-only", "CC-BY-SA-3.0", BROKEN),
        ("CC-BY-SA-4.0", "CC-BY-SA-3.0", KEPT),
        ("CC-BY-SA-4.0", "CC-BY-SA-2.0-UK", KEPT),
        ("CC-BY-SA-3.0-DE", "CC-BY-SA-3.0", KEPT),
        ("CC-BY-SA-3.0", "CC-BY-SA-4.0", BROKEN),
        ("CC-BY-SA-4.0", "CC-BY-SA-1.0", BROKEN),
        ("CC-BY-SA-4.0 AND MIT", "CC-BY-SA-4.0", KEPT),
        ("CC-BY-SA-4.0 OR MIT", "CC-BY-SA-4.0", BROKEN),
        ("CDLA-Sharing-1.0", "CDLA-Sharing-1.0", KEPT),
        ("ODbL-1.0", "CDLA-Sharing-1.0", BROKEN),
        ("GFDL-1.3-no-invariants-only", "GFDL-1.3-only", BROKEN),
        # Later versions where the author said so.
        ("GPL-3.0-only", "GPL-2.0-only", BROKEN),
        ("GPL-2.0-or-later", "GPL-2.0-only", BROKEN),
        ("GPL-2.0", "GPL-2.0-only", KEPT),
        ("GPL-2.0+", "GPL-2.0-or-later", KEPT),
        ("GPL-2.0-only", "GPL-2.0-or-later", KEPT),
        ("GPL-3.0-only", "GPL-2.0-or-later", KEPT),
        ("GPL-3.0-or-later", "GPL-2.0-or-later", KEPT),
        ("GPL-2.0-or-later", "GPL-3.0-or-later", BROKEN),
        ("AGPL-3.0-only", "GPL-3.0-only", BROKEN),
        ("GPL-2.0-only", "LGPL-2.1-only", KEPT),
        ("GPL-3.0-or-later", "LGPL-2.1-only", KEPT),
        ("LGPL-3.0-only", "LGPL-2.1-only", BROKEN),
        ("LGPL-3.0-only", "LGPL-2.1-or-later", KEPT),
        ("GPL-3.0-only", "LGPL-3.0-only", KEPT),
        ("GPL-2.0-only", "LGPL-3.0-only", BROKEN),
        ("GPL-3.0-or-later", "MPL-2.0", KEPT),
        ("AGPL-3.0-only", "MPL-2.0", KEPT),
        ("GPL-3.0-only", "MPL-2.0-no-copyleft-exception", BROKEN),
        ("MPL-2.0", "MPL-1.1", KEPT),
        ("MPL-1.1", "MPL-2.0", BROKEN),
        ("EPL-2.0", "EPL-1.0", KEPT),
        ("GPL-3.0-only", "EUPL-1.2", KEPT),
        ("CC-BY-SA-3.0", "EUPL-1.2", KEPT),
        ("CC-BY-SA-4.0", "EUPL-1.2", BROKEN),
        ("EUPL-1.2", "GPL-3.0-only", BROKEN),
        ("GPL-3.0-only", "EUPL-1.1", BROKEN),
        ("EUPL-1.2", "EUPL-1.1", KEPT),
        ("CC-BY-SA-3.0-DE", "EUPL-1.2", BROKEN),
        ("CC-BY-SA-3.0", "CC-BY-SA-2.1-JP", KEPT),
        ("GPL-3.0-or-later", "LGPL-3.0-or-later", KEPT),
        ("GPL-3.0-or-later", "LGPL-3.0-only", BROKEN),
        ("MPL-2.0-no-copyleft-exception", "MPL-1.1", KEPT),
        ("MPL-2.0-no-copyleft-exception", "MPL-2.0", BROKEN),
        ("MPL-2.0", "MPL-2.0-no-copyleft-exception", BROKEN),
        ("GPL-3.0-only", "MPL-1.1", BROKEN),
        ("GPL-3.0-only", "MPL-1.1+", BROKEN),
        ("MPL-2.0", "MPL-1.1+", KEPT),
        ("LAL-1.3", "LAL-1.2", KEPT),
        ("CC-BY-SA-4.0", "LAL-1.2", BROKEN),
        ("GPL-2.0-or-later", "EPL-2.0", BROKEN),
        ("GPL-2.0-or-later", "EPL-2.0 OR GPL-2.0-or-later", KEPT),
        ("OSL-3.0", "OSL-2.1", BROKEN),
        ("AGPL-3.0-only AND GPL-3.0-only", "GPL-3.0-only", KEPT),
        # A copyleft licence must admit what the source adds: patents and contracts.
        ("GPL-2.0-only", "Apache-2.0", BROKEN),
        ("GPL-2.0-or-later", "Apache-2.0", BROKEN),
        ("LGPL-2.1-only", "Apache-2.0", BROKEN),
        ("AGPL-1.0-only", "Apache-2.0", BROKEN),
        ("GPL-3.0-only", "Apache-2.0", KEPT),
        ("GPL-3.0-or-later", "Apache-2.0", KEPT),
        ("AGPL-3.0-only", "Apache-2.0", KEPT),
        ("MPL-2.0", "Apache-2.0", KEPT),
        ("GPL-2.0-only", "Apache-2.0 OR MIT", KEPT),
        ("GPL-2.0-only AND Apache-2.0", "Apache-2.0", KEPT),
        ("GPL-2.0-only", "ECL-2.0", BROKEN),
        ("GPL-3.0-only", "AFL-3.0", BROKEN),
        ("OSL-3.0", "AFL-3.0", KEPT),
        ("GPL-2.0-only", "MIT", KEPT),
        # Exceptions grant more: they may be left out, not added.
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", BROKEN),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", KEPT),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0", KEPT),
        ("MIT WITH Classpath-exception-2.0", "MIT", KEPT),
        # No derivatives.
        ("CC-BY-NC-ND-4.0", "CC-BY-NC-ND-4.0", FORBIDDEN),
        ("CC-BY-NC-4.0", "CC-BY-NC-ND-4.0", FORBIDDEN),
        ("LicenseRef-x", "CC-BY-ND-3.0-DE", FORBIDDEN),
        ("CC-BY-ND-4.0 AND LicenseRef-permission", "CC-BY-ND-4.0 OR LicenseRef-permission", KEPT),
        ("MIT", "CC-BY-ND-4.0 OR LicenseRef-permission", UNCLASSIFIED),
        # What is not classified cannot be compared with anything but itself.
        ("MIT", "LicenseRef-private", UNCLASSIFIED),
        ("LicenseRef-private", "LicenseRef-Private", KEPT),
        ("MIT AND LicenseRef-private", "LicenseRef-private", KEPT),
        ("MIT OR LicenseRef-private", "LicenseRef-private", UNCLASSIFIED),
        ("MIT", "MIT OR LicenseRef-private", KEPT),
        ("CC0-1.0", "MIT OR LicenseRef-private", UNCLASSIFIED),
        ("LicenseRef-private", "CC-BY-4.0", UNCLASSIFIED),
        ("LicenseRef-private", "CC0-1.0", KEPT),
        ("LicenseRef-private AND CC-BY-4.0", "CC-BY-4.0", KEPT),
        ("LicenseRef-private", "CC-BY-SA-4.0", UNCLASSIFIED),
        ("Elastic-2.0", "Elastic-2.0", KEPT),
        ("MIT", "Elastic-2.0", UNCLASSIFIED),
        ("Elastic-2.0", "Elastic-2.0+", KEPT),
        ("Elastic-2.0+", "Elastic-2.0", UNCLASSIFIED),
        ("Apache-2.0", "Apache-2.0 WITH AdditionRef-rail", UNCLASSIFIED),
        ("Apache-2.0 WITH AdditionRef-Rail", "Apache-2.0 WITH AdditionRef-rail", KEPT),
        ("Apache-2.0 WITH AdditionRef-rail", "Apache-2.0", UNCLASSIFIED),
        ("MIT", "CC-BY-NC-4.0 AND LicenseRef-private", BROKEN),
    ],
)
def test_a_licence_keeps_what_the_source_asks_for(licence, source, expected):
    assert weight(licence, source) == expected


@given(expressions)
def test_the_same_licence_keeps_itself_where_anything_may_be_made(licence):
    assert objection(licence, licence) is None


@given(expressions, expressions)
def test_both_together_keep_either_and_either_keeps_a_choice(one, other):
    both, choice = Licence(f"({one}) AND ({other})"), Licence(f"({one}) OR ({other})")
    assert objection(both, one) is objection(both, other) is None
    assert objection(one, choice) is objection(other, choice) is None


@given(expressions, expressions, expressions)
def test_credit_and_non_commercial_use_last_through_every_step(child, parent, source):
    """Direct sources are compared; these two conditions of a source reach whatever is made in steps from it."""
    if objection(child, parent) is not None or objection(parent, source) is not None:
        return
    for way in child.ways:
        if any(conditions(term) is None for term in way):
            continue
        kept = frozenset().union(*(conditions(term) for term in way))
        asked = [frozenset().union(*(conditions(term) or () for term in way)) for way in source.ways]
        assert any(each & {ATTRIBUTION, NON_COMMERCIAL} <= kept for each in asked)


def test_a_refusal_says_what_is_missing_and_who_decides():
    net, base = model_version_ref("net", 1), model_version_ref("base", 1)

    def refused(kind, licence, source):
        with pytest.raises(kind) as caught:
            check_licence(Licence(licence), net, [((base,), Licence("CC0-1.0")), ((base,), Licence(source))])
        return caught.value

    wide = refused(LicenceTooWide, "MIT", "CC-BY-NC-SA-4.0")
    missing = "non-commercial use, the same licence as CC-BY-NC-SA-4.0 or a compatible one"
    assert wide == LicenceTooWide("MIT", "CC-BY-NC-SA-4.0", missing, (net, base))
    odd = refused(LicenceUnclassified, "MIT", "LicenseRef-Llama-3")
    assert odd == LicenceUnclassified("MIT", "LicenseRef-Llama-3", "LicenseRef-Llama-3", base, (net, base))
    assert "wider" not in str(odd)
    assert f"owner of '{base}' decides" in str(odd)
    closed = refused(DerivativesForbidden, "CC-BY-ND-4.0", "CC-BY-ND-4.0")
    assert closed == DerivativesForbidden(base, "CC-BY-ND-4.0", (net, base))
    assert "CC-BY-ND-4.0 OR LicenseRef-NAME" in str(closed)


@pytest.mark.parametrize(
    ("licence", "source", "expected"),
    [
        ("MIT", "CDLA-Sharing-1.0", KEPT),
        ("CC0-1.0", "CDLA-Permissive-1.0", KEPT),
        ("CC0-1.0", "CDLA-Permissive-2.0", KEPT),
        ("LicenseRef-own", "O-UDA-1.0", KEPT),
        ("MIT", "CDLA-Sharing-1.0 AND CC-BY-4.0", KEPT),
        ("CC0-1.0", "CDLA-Sharing-1.0 AND CC-BY-4.0", BROKEN),
        ("MIT", "CC-BY-SA-4.0", BROKEN),
        ("MIT", "ODbL-1.0", BROKEN),
    ],
)
def test_some_licences_of_data_ask_nothing_of_a_model_trained_on_it(licence, source, expected):
    made, data = Licence(licence), [((Ref("run:r"), Ref("dataset-version:d:1")), Licence(source))]
    found = objection(made, data[0][1], result=True)
    assert (None if found is None else found.weight) == expected
    if expected is None:
        check_licence(made, model_version_ref("net", 1), data)
    else:
        with pytest.raises(LicenceTooWide):
            check_licence(made, model_version_ref("net", 1), data)


def test_data_made_from_data_is_no_result():
    data = [((Ref("dataset-version:d:1"),), Licence("CDLA-Sharing-1.0"))]
    with pytest.raises(LicenceTooWide):
        check_licence(Licence("MIT"), Ref("dataset-version:e:1"), data)
    model = [((model_version_ref("base", 1),), Licence("CDLA-Sharing-1.0"))]
    with pytest.raises(LicenceTooWide):
        check_licence(Licence("MIT"), model_version_ref("net", 1), model)


def test_a_refusal_says_which_terms_cannot_be_added():
    with pytest.raises(LicenceTooWide, match=r"its own terms, which GPL-2\.0-only does not allow to be added"):
        check_licence(
            Licence("GPL-2.0-only"),
            Ref("model-version:net:1"),
            [((Ref("model-version:base:1"),), Licence("Apache-2.0"))],
        )


def test_what_has_no_source_may_be_under_any_licence():
    check_licence(Licence("LicenseRef-x"), Ref("model-version:net:1"), [])


# --- What several come to ---------------------------------------------------------------------------------------


def met(*licences, result=()):
    return meet([Asked(Licence(each), each in result) for each in licences])


@pytest.mark.parametrize(
    ("licences", "expected", "decided"),
    [
        ((), None, True),
        (("MIT",), "MIT", True),
        (("MIT", "CC-BY-NC-4.0", "CC-BY-4.0"), "CC-BY-NC-4.0", True),
        (("CC-BY-NC-SA-4.0", "MIT", "CC-BY-NC-4.0"), "CC-BY-NC-SA-4.0", True),
        (("MIT", "LGPL-2.1-only", "MPL-2.0", "GPL-2.0-only"), "GPL-2.0-only", True),
        (("CC-BY-SA-4.0", "CC-BY-NC-4.0"), None, True),
        # No licence is made up: GPL 2.0 would keep both.
        (("LGPL-2.1-only", "EUPL-1.1"), None, True),
        (("LGPL-2.1-only", "EUPL-1.1", "GPL-2.0-only"), "GPL-2.0-only", True),
        (("CC-BY-ND-4.0",), None, True),
        # MPL 2.0 admits the terms of Apache 2.0, and GPL 2.0 may be taken instead of it; GPL 2.0 shuts them out.
        (("GPL-2.0-only", "MPL-2.0", "Apache-2.0"), None, True),
        # What cannot be compared decides nothing, unless everything else is out of the question anyway.
        (("MIT", "LicenseRef-x"), None, False),
        (("LicenseRef-x", "LicenseRef-X"), "LicenseRef-x", True),
        (("LicenseRef-x", "CC-BY-SA-4.0", "CC-BY-NC-4.0"), None, False),
        (("LicenseRef-x", "CC-BY-ND-4.0"), None, True),
        (("LicenseRef-x AND CC-BY-4.0", "CC-BY-4.0", "LicenseRef-x"), "LicenseRef-x AND CC-BY-4.0", True),
    ],
)
def test_licences_come_to_the_first_of_them_that_keeps_all(licences, expected, decided):
    found = met(*licences)
    assert (found.licence, found.decided) == (expected, decided)


def test_licences_of_data_that_ask_nothing_of_a_result_do_not_count():
    assert met("MIT", "CDLA-Sharing-1.0").licence == "CDLA-Sharing-1.0"
    assert met("MIT", "CDLA-Sharing-1.0", result=["CDLA-Sharing-1.0"]).licence == "MIT"


@given(st.lists(expressions, min_size=1, max_size=4))
def test_what_licences_come_to_is_one_of_them_and_keeps_each(licences):
    found = meet(list(map(Asked, licences)))
    keeping = [each for each in licences if all(objection(each, other) is None for other in licences)]
    assert found.licence == (keeping[0] if keeping else None)
    assert found.decided or found.licence is None
    # Whichever comes first, they are the same to each other.
    assert all(objection(one, other) is None for one in keeping for other in keeping)


@pytest.mark.parametrize(
    ("licence", "expected", "terms"),
    [
        ("MIT", {ATTRIBUTION}, 1),
        ("CC0-1.0", set(), 1),
        ("CC-BY-NC-SA-4.0", {ATTRIBUTION, NON_COMMERCIAL, SHARE_ALIKE}, 1),
        ("CC-BY-NC-4.0 OR CC-BY-ND-4.0", {ATTRIBUTION}, 2),
        ("CC-BY-NC-4.0 AND CC-BY-ND-4.0", {ATTRIBUTION, NON_COMMERCIAL, NO_DERIVATIVES}, 2),
        ("MIT OR LicenseRef-x", None, 2),
        ("(MIT OR ISC) AND (MIT OR CC0-1.0)", {ATTRIBUTION}, 7),
    ],
)
def test_a_licence_asks_for_what_every_way_asks_for(licence, expected, terms):
    assert asks(Licence(licence)) == expected
    assert terms_of(Licence(licence)) == terms
