# SPDX-License-Identifier: Apache-2.0
"""Ancestry, impact and taint over what the contracts wrote."""

import pytest

from chaincode.domain import errors
from chaincode.domain.float64 import Float64
from chaincode.domain.lifecycle import Quarantine
from chaincode.domain.lineage import Ancestry, Impact
from chaincode.domain.model import DeclareParent, ModelParent, Relation
from chaincode.domain.training import Code, Environment, InputRole, Metric, RecordEvaluation, RecordRun, RunInput
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


@pytest.mark.parametrize("query", [Ancestry, Impact])
@pytest.mark.parametrize("gone", ["model-version:gone:1", "dataset:wdbc", "model:net", "run:gone", "evaluation:gone"])
def test_lineage_is_asked_of_versions_runs_and_evaluations_that_exist(chain, query, gone):
    assert chain.refused(LAB, query(Ref(gone))) == errors.RecordNotFound(gone)


@pytest.mark.parametrize("limit", [0, 10_001])
def test_the_limit_is_bounded(chain, limit):
    refusal = chain.refused(LAB, Ancestry(DATA, Count(limit)))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == "/limit"
