# SPDX-License-Identifier: Apache-2.0
"""The table of functions: complete, one argument each, and honest about what is a refusal and what is a fault."""

import json
from datetime import UTC, datetime

import pytest

from chaincode.contracts import table
from chaincode.contracts.state import CorruptEntryError
from chaincode.domain import batch, errors
from chaincode.domain.derivation import Activity, Derivation
from chaincode.domain.register import COMMANDS, FUNCTION_OF, QUERIES
from chaincode.domain.values import Ref

LAB = "LabMSP"


def test_every_function_that_the_law_names_has_a_contract(world):
    assert set(world.functions) == {*COMMANDS, *QUERIES, batch.FUNCTION}
    assert {*FUNCTION_OF.values(), batch.FUNCTION} == set(world.functions)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("dataset:register", ()),
        ("dataset:register", (b"{}", b"{}", b"{}", b"{}")),
        ("record:get", ()),
        ("record:get", (b"{}", b"0" * 64)),
    ],
)
def test_a_function_takes_one_document_and_a_command_a_token(world, function, args):
    with pytest.raises(errors.WrongArguments) as caught:
        world.functions[function](None, args)
    assert caught.value == errors.WrongArguments(function, len(args))


def test_the_answer_to_a_command_is_its_record_and_its_event(world):
    simulation = world.simulate(LAB, world.register_dataset("wdbc"))
    assert set(world.answer) == {"record", "event"}
    assert world.answer["record"]["kind"] == "dataset"
    assert json.loads(simulation.writes["\x00dataset\x00wdbc\x00"]) == world.answer["record"]
    assert [json.loads(payload) for _, payload in simulation.events] == [world.answer["event"]]


def test_a_refusal_is_written_with_its_code_and_its_facts():
    text = table.refusal(errors.LineageCycle(("run:a", "run:b")))
    assert text == (
        '{"code":"lineage-cycle","facts":{"path":["run:a","run:b"]},'
        '"message":"This would close a circle: run:a → run:b."}'
    )


def test_a_fault_is_no_refusal():
    assert table.refusal(KeyError("secret")) is None


def test_an_entry_that_cannot_be_read_is_a_fault(world):
    world.dataset(LAB, "wdbc")
    world.state["\x00dataset\x00wdbc\x00"] = (b'{"kind":"dataset"}', 9)
    with pytest.raises(CorruptEntryError):
        world.simulate(LAB, world.one("dataset", "wdbc"))


@pytest.mark.parametrize(
    "argument",
    [
        '{"\\ud800":1}',
        '{"\\ud800":1,"\\ud800":2}',
        '{"e\u0301":1}',
        '{"kind":"\\u00e9","schema":1}',
        '{"%s":1}' % ("n" * 100_000),
        '{"kind":"%s","schema":1}' % ("n" * 100_000),
        '{"kind":"get-record","schema":1,"%s":1}' % ("n" * 100_000),
    ],
)
def test_a_refusal_of_any_input_can_be_written_and_stays_short(world, argument):
    world.refused(LAB, argument.encode(), "record:get")
    with pytest.raises(errors.Malformed) as caught:
        world.functions["record:get"](None, (argument.encode(),))
    assert len(table.refusal(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("text", "members"), [("", None), (" ", None), ("A,B", {"A", "B"}), ("A, B.example", {"A", "B.example"})]
)
def test_members_are_named_with_commas_between(text, members):
    assert table.members(text) == members


def test_nobody_founds_a_consortium_alone():
    with pytest.raises(ValueError, match="at least two"):
        table.members("A,A")


def test_what_is_no_member_is_said_so():
    with pytest.raises(ValueError, match="MSP ids separated by commas"):
        table.members("A,,B")


@pytest.mark.parametrize(
    "damage",
    [
        lambda state, policies: state.pop("\x00edge\x00dataset-version:wdbc:1\x00dataset-version:train:1\x00"),
        lambda state, policies: state.pop("\x00dataset-version\x00wdbc\x000000000001\x00"),
        lambda state, policies: policies.popitem(),
        lambda state, policies: policies.update({"\x00policy\x00": "OutOf(2,'LabMSP.peer')"}),
        lambda state, policies: state.update({"\x00dataset\x00other\x00": state["\x00dataset\x00wdbc\x00"]}),
        lambda state, policies: state.pop("\x00policy-version\x000000000001\x00"),
    ],
)
def test_the_check_that_runs_after_every_step_sees_damage(world, ledger_check, damage):
    world.dataset(LAB, "wdbc")
    world.dataset_version(LAB, "wdbc")
    world.dataset(LAB, "train")
    parent = Ref("dataset-version:wdbc:1")
    world.dataset_version(LAB, "train", derivation=Derivation(Activity.SPLIT, (parent,)))
    damage(world.state, world.policies)
    with pytest.raises((AssertionError, KeyError)):
        ledger_check(world.state, world.policies)


def test_a_proposal_dated_before_1970_is_refused_at_its_timestamp(world):
    world.now = datetime(1969, 12, 31, tzinfo=UTC)
    refusal = world.refused("LabMSP", world.register_dataset("mine"))
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == "/timestamp"
