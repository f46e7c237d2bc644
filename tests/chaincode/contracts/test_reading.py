# SPDX-License-Identifier: Apache-2.0
"""One question for every kind of record."""

import pytest

from chaincode.domain import codec, errors
from chaincode.domain.keys import key_of
from chaincode.domain.register import RECORDS
from tests.chaincode.samples import sample

HOSPITAL, LAB, REGULATOR = "HospitalMSP", "LabMSP", "RegulatorMSP"


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.name)
def test_every_kind_of_record_is_read_by_its_key(empty_world, kind):
    for each in RECORDS:
        record = sample(each.name)
        empty_world.state[key_of(record)] = (codec.to_json(record), 1)
    asked = sample(kind.name)
    assert empty_world.shown(kind.name, *kind.parts_of(asked)) == codec.to_plain(asked)


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
