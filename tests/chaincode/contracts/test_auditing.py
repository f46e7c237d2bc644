# SPDX-License-Identifier: Apache-2.0
"""Anchors of audit logs: they follow one another, grow, and are each organisation's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import errors
from chaincode.domain.auditing import AnchorAudit, AuditAnchor, anchor_audit
from chaincode.domain.values import Count, Digest, Instant, Number, OrgId

HOSPITAL, LAB = OrgId("HospitalMSP"), OrgId("LabMSP")
LOG, OTHER = Digest(b"l" * 32), Digest(b"o" * 32)
FIRST, SECOND = Digest(b"1" * 32), Digest(b"2" * 32)


@pytest.fixture
def consortium(empty_world):
    empty_world.found()
    return empty_world


def anchoring(number=1, size=3, root=FIRST, previous=None, log=LOG):
    return AnchorAudit(log, Number(number), Count(size), root, previous)


def test_a_log_is_anchored_as_it_grows(consortium):
    event = consortium.submit(LAB, anchoring())
    assert event == {
        "name": "AuditAnchored", "schema": 1, "owner": LAB, "log": str(LOG), "number": 1, "size": 3, "root": str(FIRST),
    }  # fmt: skip
    consortium.submit(LAB, anchoring(2, 4, SECOND, FIRST))
    found = consortium.read(AuditAnchor, LAB, LOG, Number(2))
    assert found == AuditAnchor(LAB, LOG, Number(2), consortium.at, Count(4), SECOND, FIRST)


def test_each_organisation_and_each_log_has_anchors_of_its_own(consortium):
    for by, log in ((LAB, LOG), (LAB, OTHER), (HOSPITAL, LOG)):
        consortium.submit(by, anchoring(log=log))
    anchors = [each for each in consortium.records() if isinstance(each, AuditAnchor)]
    assert {(each.owner, each.log) for each in anchors} == {(LAB, LOG), (LAB, OTHER), (HOSPITAL, LOG)}


@pytest.mark.parametrize(
    ("given_", "refusal"),
    [
        ({}, errors.AlreadyExists(f"audit-anchor 1 of {LOG} of LabMSP")),
        (
            {"number": 3, "size": 9, "previous": FIRST},
            errors.VersionOutOfOrder(f"audit-anchors of {LOG} of LabMSP", 3, 2),
        ),
        ({"number": 2, "size": 3, "previous": FIRST}, "/size"),
        ({"number": 2, "size": 2, "previous": FIRST}, "/size"),
        ({"number": 2, "size": 4, "previous": SECOND}, "/previous"),
        ({"number": 2, "size": 4}, "/previous"),
        ({"log": OTHER, "previous": FIRST}, "/previous"),
        ({"log": OTHER, "size": 0}, "/size"),
    ],
)
def test_what_does_not_go_on_from_the_anchor_before_is_refused(consortium, given_, refusal):
    consortium.submit(LAB, anchoring())
    before = dict(consortium.state)
    found = consortium.refused(LAB, anchoring(**given_))
    if isinstance(refusal, str):
        assert isinstance(found, errors.InvalidField)
        assert found.pointer == refusal
    else:
        assert found == refusal
    assert consortium.state == before


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9), st.sampled_from((FIRST, SECOND)), st.booleans())))
def test_whatever_is_tried_the_anchors_of_a_log_are_one_growing_chain(tried):
    kept: dict[int, AuditAnchor] = {}
    for number, size, root, knows in tried:
        previous = kept.get(number - 1)
        said = previous.root if knows and previous is not None else None
        try:
            outcome = anchor_audit(
                anchoring(number, size, root, said), by=LAB, at=Instant(0), existing=kept.get(number), previous=previous
            )
        except errors.LedgerError:
            continue
        (anchor,) = outcome.writes
        assert isinstance(anchor, AuditAnchor)
        kept[number] = anchor
    assert sorted(kept) == list(range(1, len(kept) + 1))
    for number, anchor in kept.items():
        before = kept.get(number - 1)
        assert anchor.size > (0 if before is None else before.size)
        assert anchor.previous == (None if before is None else before.root)
