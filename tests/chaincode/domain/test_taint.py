# SPDX-License-Identifier: Apache-2.0
"""Looking up for what taints: nearest first, bounded, with the path."""

from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chaincode.domain import errors
from chaincode.domain.lineage import LONGEST_PATH, MOST_ANCESTORS
from chaincode.domain.policy import Step, TaintRules
from chaincode.domain.taint import MOST_MARKS, Cause, Seen, Taint, is_refused, look_up, refuse_tainted
from chaincode.domain.values import Ref

NODES = [Ref(f"run:n{number}") for number in range(12)]
OF = Ref("model-version:net:1")


def looking(parents, causes):
    return lambda level: [Seen(tuple(parents.get(one, ())), causes.get(one)) for one in level]


@given(
    edges=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1])),
    stopped=st.sets(st.integers(0, 11)),
)
def test_exactly_the_stopped_ancestors_are_found_by_real_paths(edges, stopped):
    parents = {}
    for child, parent in sorted(edges):
        parents.setdefault(NODES[child], []).append(NODES[parent])
    causes = {NODES[number]: Cause.QUARANTINED for number in stopped}
    above, waiting = set(), list(parents.get(NODES[0], ()))
    while waiting:
        if (here := waiting.pop()) not in above:
            above.add(here)
            waiting += parents.get(here, ())
    found = look_up(NODES[0], parents.get(NODES[0], ()), looking(parents, causes))
    assert {taint.path[-1] for taint in found} == above & set(causes)
    assert [len(taint.path) for taint in found] == sorted(len(taint.path) for taint in found)
    for taint in found:
        assert taint.path[0] == NODES[0]
        assert all(up in parents[down] for down, up in pairwise(taint.path))


def test_more_ancestors_than_the_bound_are_said_not_to_be_looked_at():
    chain = [Ref(f"run:c{number}") for number in range(MOST_ANCESTORS + 1)]
    parents = {child: (parent,) for child, parent in pairwise(chain)}
    (taint,) = look_up(OF, chain[:1], looking(parents, {}))
    assert taint == Taint(Cause.UNSEEN, (OF, *chain[: LONGEST_PATH - 2], chain[-1]))
    assert look_up(OF, chain[:1], looking({**parents, chain[-2]: ()}, {})) == ()
    with pytest.raises(errors.AncestryTooLarge) as refused:
        refuse_tainted(Step.SUBMIT, OF, (taint,), TaintRules())
    assert refused.value == errors.AncestryTooLarge(OF, "submit", MOST_ANCESTORS, taint.path)


def test_the_bound_is_met_within_a_level_and_what_was_counted_is_still_looked_at():
    wide = [Ref(f"run:w{number}") for number in range(5)]
    found = look_up(OF, [*wide, wide[0]], looking({}, {wide[1]: Cause.QUARANTINED}), most=3)
    assert found == (Taint(Cause.QUARANTINED, (OF, wide[1])), Taint(Cause.UNSEEN, (OF, wide[3])))
    assert look_up(OF, wide, looking({}, {}), most=0) == (Taint(Cause.UNSEEN, (OF, wide[0])),)


def test_a_record_names_the_nearest_only():
    wide = [Ref(f"run:w{number}") for number in range(MOST_MARKS + 4)]
    causes = dict.fromkeys(wide, Cause.QUARANTINED)
    assert len(look_up(OF, wide, looking({}, causes))) == MOST_MARKS


def test_the_policy_says_what_is_refused_for_which_cause():
    rules = TaintRules(quarantined=(Step.SUBMIT,), withdrawn=(Step.RECORD,))
    refused = {(step, cause) for step in Step for cause in Cause if is_refused(step, cause, rules)}
    assert refused == {
        (Step.SUBMIT, Cause.QUARANTINED),
        (Step.RECORD, Cause.WITHDRAWN),
        (Step.SUBMIT, Cause.UNSEEN),
        (Step.RECORD, Cause.UNSEEN),
    }
    taints = (Taint(Cause.QUARANTINED, (OF, NODES[0])), Taint(Cause.WITHDRAWN, (OF, NODES[1])))
    with pytest.raises(errors.Tainted) as caught:
        refuse_tainted(Step.RECORD, OF, taints, rules)
    assert caught.value == errors.Tainted(OF, "record", NODES[1], "withdrawn", (OF, NODES[1]))
    refuse_tainted(Step.ENDORSE, OF, taints, rules)
