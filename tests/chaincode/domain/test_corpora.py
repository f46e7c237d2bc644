# SPDX-License-Identifier: Apache-2.0
"""The law over input that is bad on purpose: taken exactly or refused with a place, and never without an end."""

import pytest
from corpora import DOCUMENTS, WORDS, Document, Word, chain, diamonds, edges, fan, ring
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import lineage, taint
from chaincode.domain.canonical import encode, parse
from chaincode.domain.errors import AncestryTooLarge, LedgerError, LineageCycle, Malformed, SelfParent, TooLarge
from chaincode.domain.keys import key_of
from chaincode.domain.lineage import Edge, refuse_circle, walk
from chaincode.domain.policy import Step, TaintRules
from chaincode.domain.taint import Cause, Seen, look_up, refuse_tainted
from chaincode.domain.text import FilePath, Setting
from chaincode.domain.values import Name, OrgId, Ref, Text, run_ref

named = pytest.mark.parametrize("document", DOCUMENTS, ids=[each.name for each in DOCUMENTS])
words = pytest.mark.parametrize("word", WORDS, ids=[each.name for each in WORDS])


def check(refusal: LedgerError) -> None:
    """A refusal is one sentence that a terminal can show."""
    assert str(refusal).isprintable()
    assert len(str(refusal)) < 400


@named
def test_a_document_is_read_exactly_or_refused_with_a_sentence(document: Document) -> None:
    if document.plain:
        value = parse(document.content)
        assert parse(encode(value)) == value
        return
    with pytest.raises(Malformed) as refusal:
        parse(document.content)
    check(refusal.value)


@given(st.sampled_from([each for each in DOCUMENTS if len(each.content) < 1_000]), st.integers(0, 200), st.binary())
def test_a_document_with_bytes_put_into_it_is_read_or_refused(document: Document, place: int, more: bytes) -> None:
    try:
        value = parse(document.content[:place] + more + document.content[place:])
    except Malformed as refusal:
        check(refusal)
    else:
        assert parse(encode(value)) == value


@words
def test_a_word_is_taken_as_it_is_or_refused(word: Word) -> None:
    for kind in (Name, OrgId, Ref, Text, Setting, FilePath):
        try:
            made = kind(word.text)
        except LedgerError as refusal:
            check(refusal)
        else:
            assert str(made) == word.text


def test_no_two_edges_have_one_key_whatever_they_are_between() -> None:
    """Keys are made of parts with separators between them, so a part must never hold one."""
    taken = {}
    for word in WORDS:
        try:
            reference = Ref(word.text)
        except LedgerError:
            continue
        taken[reference] = key_of(Edge(reference, run_ref("r"), Text("x")))
    assert len(set(taken.values())) == len(taken)


# -- graphs ----------------------------------------------------------------------------------------------------------


def refs(graph):
    return {run_ref(child): [run_ref(parent) for parent in parents] for child, parents in graph.items()}


def parents_in(graph):
    """The parents of a node, and how often they were asked for."""
    known = refs(graph)
    asked = []

    def parents_of(node):
        asked.append(node)
        return known.get(node, [])

    return parents_of, asked


N0, END = run_ref("n0"), run_ref("end")


def test_an_edge_to_itself_or_into_a_ring_is_refused_with_the_way_round() -> None:
    parents_of, _ = parents_in(ring(50))
    with pytest.raises(SelfParent):
        refuse_circle(N0, N0, parents_of)
    with pytest.raises(LineageCycle) as caught:
        refuse_circle(N0, run_ref("n1"), parents_of)
    assert (caught.value.path[0], caught.value.path[-1]) == (N0, N0)
    refuse_circle(run_ref("x"), N0, parents_of)  # a ring that is there already is walked once


@pytest.mark.parametrize("graph", [diamonds(30), diamonds(8, width=100)], ids=["2**30 ways", "100**8 ways"])
def test_a_diamond_is_walked_once_however_many_ways_lead_through_it(graph) -> None:
    parents_of, asked = parents_in(graph)
    refuse_circle(run_ref("x"), N0, parents_of)
    assert len(asked) == len(set(asked))
    with pytest.raises(LineageCycle) as caught:
        refuse_circle(END, N0, parents_of)
    assert caught.value.path[-1] == END
    known = refs(graph)
    found = walk(
        N0,
        limit=10_000,
        edges_of=lambda node: [Edge(parent, node, Text("x")) for parent in known.get(node, ())],
        quarantined=END.__eq__,
        withdrawn=lambda _: False,
        superseded_by=lambda _: None,
        lost=lambda _: False,
    )
    assert found.complete
    assert len(found.nodes) == len({node for edge in edges(graph) for node in edge})
    assert len(found.edges) == len(list(edges(graph)))
    (marked,) = look_up(run_ref("x"), [N0], seen_in(known, END))
    assert (marked.cause, marked.path[-1]) == (Cause.QUARANTINED, END)


def seen_in(known, stopped):
    """What the law sees of ancestors, one of which is quarantined."""
    return lambda level: [
        Seen(tuple(known.get(node, ())), Cause.QUARANTINED if node == stopped else None) for node in level
    ]


@pytest.mark.parametrize("graph", [chain(100_000), fan(100_000)], ids=["depth 100,000", "100,000 parents"])
def test_what_cannot_be_looked_at_to_its_end_is_refused_and_never_taken_for_sound(graph) -> None:
    parents_of, asked = parents_in(graph)
    with pytest.raises(TooLarge):
        refuse_circle(run_ref("x"), N0, parents_of)
    assert len(asked) <= lineage.MOST_ANCESTORS
    found = look_up(run_ref("x"), [N0], seen_in(refs(graph), None))
    assert found[-1].cause is Cause.UNSEEN
    assert len(found[-1].path) <= lineage.LONGEST_PATH
    with pytest.raises(AncestryTooLarge):
        refuse_tainted(Step.SUBMIT, run_ref("x"), found, TaintRules())
    assert len(found) <= taint.MOST_MARKS
