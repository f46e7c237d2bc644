# SPDX-License-Identifier: Apache-2.0
"""One question for every kind of record, on a ledger that holds each of them."""

import json

import pytest

from chaincode.domain import codec, errors
from chaincode.domain.keys import key_of
from chaincode.domain.register import KIND_OF, RECORDS

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"


@pytest.fixture
def full_world(vectors, world):
    """A ledger with one record of each kind, beside the policy in force."""
    for vector in vectors:
        record = codec.from_json(vector["json"].encode())
        if "key" in vector:
            world.state[key_of(record)] = (vector["json"].encode(), 1)
    return world


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.name)
def test_every_kind_of_record_is_read_by_its_key(full_world, vectors, kind):
    vector = next(each for each in vectors if each["kind"] == kind.name)
    record = codec.from_json(vector["json"].encode())
    shown = full_world.shown(kind.name, *KIND_OF[type(record)].parts_of(record))
    assert shown == json.loads(vector["json"])


@pytest.mark.parametrize(
    ("kind", "key", "reference"),
    [
        ("dataset", ["x"], "dataset:x"),
        ("dataset-version", ["x", "1"], "dataset-version:x:1"),
        ("model-version", ["x", "2"], "model-version:x:2"),
        ("training-run", ["x"], "run:x"),
        ("evaluation", ["x"], "evaluation:x"),
        ("policy-vote", ["2", "LabMSP"], "policy-vote:2:LabMSP"),
        (
            "endorsement",
            ["model-version:net:1", "approved", "LabMSP"],
            "endorsement:model-version:net:1:approved:LabMSP",
        ),
    ],
)
def test_what_is_not_there_is_not_found(world, kind, key, reference):
    assert world.refused(LAB, world.one(kind, *key)) == errors.RecordNotFound(reference)


def test_anyone_on_the_channel_may_ask(world):
    world.dataset(LAB, "wdbc")
    assert world.ask(world.one("dataset", "wdbc"), "StrangerMSP")["owner"] == LAB


@pytest.mark.parametrize(
    ("kind", "key", "pointer"),
    [
        ("get-record", [], "/record"),
        ("run", ["x"], "/record"),
        ("dataset", [], "/key"),
        ("policy", ["1"], "/key"),
        ("dataset-version", ["x", "0"], "/key/1"),
        ("dataset-version", ["x", "01"], "/key/1"),
        ("dataset", ["X"], "/key/0"),
        ("edge", ["model-version:net:1", "model-version:net"], "/key/1"),
        ("root-claim", ["AB"], "/key/0"),
        ("endorsement", ["model-version:net:1", "loved", "LabMSP"], "/key/1"),
    ],
)
def test_what_is_no_kind_or_no_key_of_it_is_refused_with_its_place(world, kind, key, pointer):
    refusal = world.refused(LAB, world.one(kind, *key))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == pointer
