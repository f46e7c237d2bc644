# SPDX-License-Identifier: Apache-2.0
"""Ancestry, impact and taint over what the contracts wrote."""

import pytest

from chaincode.domain import codec, errors, merkle
from chaincode.domain import lineage as domain_lineage
from chaincode.domain.derivation import Activity, Derivation
from chaincode.domain.evaluation import RecordEvaluation
from chaincode.domain.float64 import Float64
from chaincode.domain.keys import key_of
from chaincode.domain.lifecycle import Quarantine
from chaincode.domain.lineage import Ancestry, Edge, Impact
from chaincode.domain.model import DeclareParent, ModelParent, Relation
from chaincode.domain.policy import DEFAULT_LAPSE
from chaincode.domain.provenance import Change
from chaincode.domain.training import Code, Environment, RecordRun
from chaincode.domain.usage import InputRole, Metric, RunInput
from chaincode.domain.values import Count, Digest, Name, Ref, Text

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"
DATA, RUN, NET = Ref("dataset-version:wdbc:1"), Ref("run:r-1"), Ref("model-version:net:1")
SMALL, JUDGED = Ref("model-version:small:1"), Ref("evaluation:e-1")
ZERO = Digest(bytes(32))


@pytest.fixture
def chain(world):
    """wdbc → r-1 → net → small, and an evaluation of small on wdbc."""
    world.dataset(HOSPITAL, "wdbc")
    data = world.dataset_version(HOSPITAL, "wdbc")
    used = RunInput(DATA, data.root)
    world.submit(LAB, RecordRun(Name("r-1"), Code(ZERO), Environment(ZERO), world.at, world.at, (used,)))
    world.model_version(LAB, "net", run=Name("r-1"))
    small = world.model_version(LAB, "small", parents=(ModelParent(NET, Relation.DISTILLED),))
    metrics = (Metric(Text("auc"), Float64("1")),)
    tested = RunInput(DATA, data.root, InputRole.TEST)
    world.submit(HOSPITAL, RecordEvaluation(Name("e-1"), SMALL, small.digest, tested, metrics, world.at))
    return world


def names(lineage):
    return [node["reference"] for node in lineage["nodes"]]


def test_ancestry_goes_up_to_the_data(chain):
    lineage = chain.ask(Ancestry(SMALL))
    assert names(lineage) == [SMALL, NET, RUN, DATA]
    assert [node["distance"] for node in lineage["nodes"]] == [0, 1, 2, 3]
    assert {(edge["parent"], edge["child"]) for edge in lineage["edges"]} == {(NET, SMALL), (RUN, NET), (DATA, RUN)}
    assert lineage["complete"]
    assert names(chain.ask(Ancestry(JUDGED))) == [JUDGED, SMALL, DATA, NET, RUN]


def test_impact_goes_down_to_whatever_was_made(chain):
    lineage = chain.ask(Impact(DATA))
    assert names(lineage) == [DATA, JUDGED, RUN, NET, SMALL]
    assert lineage["complete"]


def test_a_declared_parent_is_part_of_the_lineage(chain):
    chain.model_version(LAB, "base")
    base = Ref("model-version:base:1")
    chain.submit(LAB, DeclareParent(NET, base, Relation.FINE_TUNED))
    assert base in names(chain.ask(Ancestry(SMALL)))
    assert names(chain.ask(Impact(base)))[:2] == [base, NET]


def test_a_walk_says_when_it_was_cut_short(chain):
    lineage = chain.ask(Impact(DATA, Count(2)))
    assert (len(lineage["nodes"]), lineage["complete"]) == (2, False)


def test_what_descends_from_a_quarantined_artifact_requires_review(chain):
    chain.submit(REGULATOR, Quarantine(NET, Text("leaks training data")))
    nodes = {node["reference"]: node for node in chain.ask(Impact(DATA))["nodes"]}
    assert nodes[SMALL]["review_path"] == [SMALL, NET]
    assert nodes[JUDGED]["review_path"] == [JUDGED, SMALL, NET]
    assert nodes[NET]["quarantined"]
    assert [nodes[clean]["review_path"] for clean in (DATA, RUN, NET)] == [[], [], []]
    upstream = {node["reference"]: node for node in chain.ask(Ancestry(SMALL))["nodes"]}
    assert upstream[SMALL]["review_path"] == [SMALL, NET]


def test_a_quarantine_that_lapsed_taints_nothing(chain):
    chain.submit(REGULATOR, Quarantine(NET, Text("leaks training data")))
    chain.wait(seconds=DEFAULT_LAPSE)
    nodes = chain.ask(Impact(DATA))["nodes"]
    assert [(node["quarantined"], node["review_path"]) for node in nodes] == [(False, [])] * 5


@pytest.mark.parametrize("query", [Ancestry, Impact])
@pytest.mark.parametrize("gone", ["model-version:gone:1", "dataset:wdbc", "model:net", "run:gone", "evaluation:gone"])
def test_lineage_is_asked_of_versions_runs_and_evaluations_that_exist(chain, query, gone):
    assert chain.refused(LAB, query(Ref(gone))) == errors.RecordNotFound(gone)


@pytest.mark.parametrize("limit", [0, 1_001])
def test_the_limit_is_bounded(chain, limit):
    refusal = chain.refused(LAB, Ancestry(DATA, Count(limit)))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == "/limit"


# --- Successive versions ----------------------------------------------------------------------------------------


def tree(size):
    return merkle.Tree(b"".join(merkle.leaf_hash(b"%d" % index) for index in range(size)))


@pytest.fixture
def grown(world):
    """grown:2 extends grown:1, and a model was trained on it."""
    large = tree(5)
    first, second = Digest(large.root(3)), Digest(large.root())
    world.dataset(HOSPITAL, "grown")
    world.dataset_version(HOSPITAL, "grown", root=first, size=Count(3))
    world.dataset_version(
        HOSPITAL,
        "grown",
        2,
        root=second,
        size=Count(5),
        change=Change.EXTENDS,
        parent_root=first,
        consistency=tuple(map(Digest, large.consistency(3))),
    )
    used = RunInput(Ref("dataset-version:grown:2"), second)
    world.submit(LAB, RecordRun(Name("r-2"), Code(ZERO), Environment(ZERO), world.at, world.at, (used,)))
    world.model_version(LAB, "net", run=Name("r-2"))
    return world


def test_a_version_that_extends_a_quarantined_one_taints_what_was_made_from_it(grown):
    first, second, run = Ref("dataset-version:grown:1"), Ref("dataset-version:grown:2"), Ref("run:r-2")
    grown.submit(HOSPITAL, Quarantine(first, Text("consent was withdrawn")))
    for lineage in (grown.ask(Impact(first)), grown.ask(Ancestry(NET))):
        nodes = {node["reference"]: node for node in lineage["nodes"]}
        assert set(nodes) == {first, second, run, NET}
        assert nodes[NET]["review_path"] == [NET, run, second, first]
        assert all("superseded_by" not in node for node in nodes.values())
    assert Edge(first, second, Text("extends")) in grown.records()


def test_a_version_that_replaces_a_quarantined_one_supersedes_it_and_is_clean(world):
    world.dataset(HOSPITAL, "wdbc")
    first = world.dataset_version(HOSPITAL, "wdbc")
    world.dataset_version(HOSPITAL, "wdbc", 2, change=Change.REPLACES, parent_root=first.root)
    world.submit(HOSPITAL, Quarantine(DATA, Text("two patients stood in it twice")))
    second = Ref("dataset-version:wdbc:2")
    nodes = world.ask(Impact(DATA))["nodes"]
    assert [(node["reference"], node.get("superseded_by"), node["review_path"]) for node in nodes] == [
        (DATA, second, []),
        (second, None, []),
    ]
    assert names(world.ask(Ancestry(second))) == [second, DATA]


def test_a_version_derived_from_the_one_it_replaces_is_tainted_by_it(world):
    world.dataset(HOSPITAL, "wdbc")
    first = world.dataset_version(HOSPITAL, "wdbc")
    derivation = Derivation(Activity.FILTER, (DATA,))
    world.dataset_version(HOSPITAL, "wdbc", 2, change=Change.REPLACES, parent_root=first.root, derivation=derivation)
    world.submit(HOSPITAL, Quarantine(DATA, Text("forged")))
    lineage = world.ask(Ancestry(Ref("dataset-version:wdbc:2")))
    assert [edge["relation"] for edge in lineage["edges"]] == ["replaces+filter"]
    assert lineage["nodes"][0]["review_path"] == ["dataset-version:wdbc:2", DATA]


def test_a_parent_can_be_declared_above_very_many_versions(grown, monkeypatch):
    monkeypatch.setattr(domain_lineage, "MOST_ANCESTORS", 2)
    grown.model_version(LAB, "child")
    grown.submit(LAB, DeclareParent(Ref("model-version:child:1"), NET, Relation.FINE_TUNED))
    assert Ref("dataset-version:grown:1") in names(grown.ask(Ancestry(Ref("model-version:child:1"))))


def test_a_question_reads_a_bounded_part_of_very_many_edges(chain):
    """Ten entries for each node that the walk may visit, and one more to see that it is cut."""
    for number in range(200):
        edge = Edge(DATA, Ref(f"run:other-{number}"), Text("input:train"))
        chain.state[key_of(edge)] = (codec.to_json(edge), 1)
    for limit, most in ((1, 11), (5, 51), (19, 191)):
        simulation = chain.simulate(REGULATOR, Impact(DATA, Count(limit)))
        assert simulation.ranged <= most
        assert chain.answer["record"]["complete"] is False
    assert chain.simulate(REGULATOR, Impact(DATA, Count(1_000))).ranged > 200
    assert chain.answer["record"]["complete"] is True


def test_what_one_question_may_read_stays_below_where_a_peer_ends_a_range_in_silence():
    assert domain_lineage.EDGES_PER_NODE * domain_lineage.MOST_ASKED < 100_000
