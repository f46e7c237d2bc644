# SPDX-License-Identifier: Apache-2.0
"""Batches: several commands in one transaction are what the same commands are one after another."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaincode.contracts import layers
from chaincode.domain import batch, codec
from chaincode.domain.canonical import encode
from chaincode.domain.errors import AlreadyRecorded, InvalidField, LedgerError, TokenReused, UnknownKind, UnknownSchema
from chaincode.domain.idempotency import Idempotency
from chaincode.domain.keys import key
from chaincode.domain.model import Model, RegisterModel
from chaincode.domain.policy import Policy
from chaincode.domain.reading import GetRecord
from chaincode.domain.submission import Submit
from chaincode.domain.values import Command, Digest, Name, Ref, Text

LAB = "LabMSP"
NET = Ref("model-version:net:1")


def token_of(number: int) -> Digest:
    return Digest(sha256(b"token %d" % number).digest())


def document(*commands: Command, start: int = 0) -> bytes:
    entries = [batch.Entry(token_of(start + at), codec.to_plain(each)) for at, each in enumerate(commands)]
    return batch.document_of(entries)


class Batches:
    """The lab's batches in a world."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def simulate(self, data: bytes, token: bytes | None = None, client: bytes | None = None) -> Any:
        return self.world.simulate(LAB, data, batch.FUNCTION, token=token, client=client)

    def submit(self, *commands: Command, start: int = 0) -> list[dict[str, Any]]:
        simulation = self.simulate(document(*commands, start=start))
        assert not simulation.writes or self.world.commit(simulation)
        outcomes: list[dict[str, Any]] = self.world.answer["outcomes"]
        assert [each["token"] for each in outcomes] == [str(token_of(start + at)) for at in range(len(commands))]
        return outcomes

    def refusal(self, data: bytes, **more: bytes) -> LedgerError:
        with pytest.raises(LedgerError) as caught:
            self.simulate(data, **more)
        return caught.value


@pytest.fixture
def batches(world: Any) -> Batches:
    return Batches(world)


def model(name: str) -> RegisterModel:
    return RegisterModel(Name(name), Text(name))


def codes(outcomes: list[dict[str, Any]]) -> list[str]:
    return [each["refusal"]["code"] if "refusal" in each else "" for each in outcomes]


def test_commands_of_a_batch_see_what_those_before_them_wrote(batches: Batches) -> None:
    world = batches.world
    made = world.record_model_version("net")
    outcomes = batches.submit(model("net"), made, Submit(Ref("model-version:net:1"), made.digest))
    assert codes(outcomes) == ["", "", ""]
    assert [each["event"]["name"] for each in outcomes] == [
        "ModelRegistered", "ModelVersionRecorded", "ArtifactSubmitted",
    ]  # fmt: skip
    assert world.shown("model-version", "net", 1)["digest"] == str(made.digest)


def test_a_refused_command_writes_nothing_and_hinders_no_other(batches: Batches) -> None:
    outcomes = batches.submit(model("net"), model("net"), batches.world.commit_version("nobodys"), model("other"))
    assert codes(outcomes) == ["", "already-exists", "not-found", ""]
    assert outcomes[1]["refusal"]["facts"] == {"reference": "model:net"}
    remembered = [each.token for each in batches.world.records() if isinstance(each, Idempotency)]
    assert set(remembered) == {token_of(0), token_of(3)}


def test_one_event_has_the_events_of_all(batches: Batches) -> None:
    simulation = batches.simulate(document(model("a"), model("b")))
    ((name, payload),) = simulation.events
    assert name == batch.EVENT
    assert [each["model"] for each in json.loads(payload)["events"]] == ["a", "b"]
    assert {key(Model, Name("a")), key(Model, Name("b"))} <= set(simulation.policies)


def test_where_all_are_refused_nothing_is_written_and_announced(batches: Batches) -> None:
    batches.submit(model("net"))
    simulation = batches.simulate(document(model("net"), start=7), token=str(token_of(99)).encode())
    assert not simulation.writes
    assert not simulation.events
    assert codes(batches.world.answer["outcomes"]) == ["already-exists"]


def test_a_command_that_was_recorded_before_is_not_recorded_again(batches: Batches) -> None:
    world = batches.world
    token = str(token_of(5)).encode()
    single = world.simulate(LAB, model("alone"), token=token)
    assert world.commit(single)
    outcomes = batches.submit(model("alone"), model("new"), start=5)
    assert codes(outcomes) == [AlreadyRecorded.code, ""]
    assert outcomes[0]["refusal"]["facts"]["transaction"] == single.transaction_id
    # And the other way round: what a batch recorded is found by a single command.
    with pytest.raises(AlreadyRecorded) as again:
        world.simulate(LAB, model("new"), token=str(token_of(6)).encode())
    assert again.value.transaction != single.transaction_id
    with pytest.raises(TokenReused) as other:
        world.simulate(LAB, model("another"), token=str(token_of(6)).encode())
    assert other.value.transaction == again.value.transaction


def test_a_token_that_stands_twice_names_one_command(batches: Batches) -> None:
    same = batch.Entry(token_of(1), codec.to_plain(model("net")))
    other = batch.Entry(token_of(1), codec.to_plain(model("other")))
    simulation = batches.simulate(batch.document_of([same, same, other]))
    outcomes = batches.world.answer["outcomes"]
    assert codes(outcomes) == ["", AlreadyRecorded.code, TokenReused.code]
    assert outcomes[1]["refusal"]["facts"]["transaction"] == simulation.transaction_id


def test_the_repetition_of_a_batch_is_found_by_its_own_token(batches: Batches) -> None:
    token = str(token_of(99)).encode()
    first = batches.simulate(document(model("net")), token=token, client=b"a" * 32)
    assert batches.world.commit(first)
    refused = batches.refusal(document(model("net")), token=token)
    assert isinstance(refused, AlreadyRecorded)
    assert refused.transaction == first.transaction_id


def test_what_is_wrong_with_a_command_is_its_own_outcome(batches: Batches) -> None:
    nested = json.loads(document(model("inner")))
    question = codec.to_plain(GetRecord(Text("policy"), ()))
    record = codec.to_plain(batches.world.read(Policy))
    wrong: list[Any] = [nested, question, record, 7, None, {"kind": "register-model", "schema": 1}]
    entries = [batch.Entry(token_of(at), each) for at, each in enumerate(wrong)]
    simulation = batches.simulate(batch.document_of([*entries, batch.Entry(token_of(50), codec.to_plain(model("m")))]))
    assert codes(batches.world.answer["outcomes"]) == [
        "unknown-kind", "unknown-kind", "unknown-kind", "invalid-field", "invalid-field", "missing-field", "",
    ]  # fmt: skip
    assert batches.world.commit(simulation)


def test_the_commands_before_it_may_change_what_a_command_is_judged_by(batches: Batches) -> None:
    world = batches.world
    outcomes = batches.submit(
        world.register_dataset("visits"), world.commit_version("visits", 1), world.commit_version("visits", 3)
    )
    assert codes(outcomes) == ["", "", "version-out-of-order"]


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ([], UnknownKind),
        ({"kind": "register-model"}, UnknownKind),
        ({"kind": "batch", "schema": 1}, InvalidField),
        ({"kind": "batch", "schema": 1, "commands": [], "more": 1}, InvalidField),
        ({"kind": "batch", "schema": 2, "commands": []}, UnknownSchema),
        ({"kind": "batch", "schema": True, "commands": []}, UnknownSchema),
        ({"kind": "batch", "schema": "1", "commands": []}, UnknownSchema),
        ({"kind": "batch", "schema": 1, "commands": {}}, InvalidField),
        ({"kind": "batch", "schema": 1, "commands": []}, InvalidField),
        ({"kind": "batch", "schema": 1, "commands": [{}] * 1001}, InvalidField),
        ({"kind": "batch", "schema": 1, "commands": [3]}, InvalidField),
        ({"kind": "batch", "schema": 1, "commands": [{"token": "ab", "command": {}}]}, InvalidField),
        ({"kind": "batch", "schema": 1, "commands": [{"token": 3, "command": {}}]}, InvalidField),
        ({"kind": "batch", "schema": 1, "commands": [{"token": "0" * 64}]}, InvalidField),
    ],
)
def test_what_is_no_batch_is_refused_whole(batches: Batches, value: Any, refusal: type[LedgerError]) -> None:
    assert isinstance(batches.refusal(encode(value)), refusal)


def test_a_token_in_a_batch_is_named_by_its_place(batches: Batches) -> None:
    value = {"kind": "batch", "schema": 1, "commands": [{"token": "ab", "command": {}}]}
    refused = batches.refusal(encode(value))
    assert isinstance(refused, InvalidField)
    assert refused.pointer == "/commands/0/token"


def test_an_acting_client_is_checked_as_with_a_single_command(batches: Batches) -> None:
    data = document(model("net"))
    assert isinstance(batches.refusal(data, token=str(token_of(9)).encode(), client=b"nobody"), InvalidField)
    assert isinstance(batches.refusal(data, token=b"short"), InvalidField)


def test_a_thousand_commands_ask_the_peer_a_few_times(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    simulation_type = type(batches.simulate(document(model("probe"))))
    read = simulation_type.get_states
    monkeypatch.setattr(simulation_type, "get_states", lambda self, keys: calls.append(len(keys)) or read(self, keys))
    outcomes = batches.submit(*(model(f"m{at}") for at in range(batch.MOST)), start=100)
    assert codes(outcomes) == [""] * batch.MOST
    assert len(calls) <= 8


def test_what_was_not_rehearsed_is_read_when_it_is_asked_for(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_ROUNDS", 1)
    outcomes = batches.submit(model("a"), batches.world.record_model_version("a"))
    assert codes(outcomes) == ["", ""]


def test_a_statement_in_a_batch_is_checked_for_its_channel(batches: Batches, open_case: Any) -> None:
    data = document(open_case.endorsing("HospitalMSP"))
    assert batches.world.commit(batches.world.simulate("HospitalMSP", data, batch.FUNCTION))
    assert codes(batches.world.answer["outcomes"]) == [""]


def test_questions_read_through_the_layers(batches: Batches) -> None:
    layered = layers.Layered(batches.world.simulate(LAB, GetRecord(Text("policy"), ())))
    with layered.get_state_by_partial_composite_key("policy-version", []) as found:
        assert len(list(found)) == 1
    layered.start_write_batch()
    assert layered.channel_id == "pedigree"


class Names:
    """A few things that are made and made again, so that commands meet each other's."""

    NAMES = ("a", "b")

    @staticmethod
    def commands(world: Any) -> st.SearchStrategy[Command]:
        name, number = st.sampled_from(Names.NAMES), st.integers(1, 3)
        return st.one_of(
            name.map(model),
            name.map(world.register_dataset),
            st.builds(lambda name: world.commit_version(name, 2, parent_root=world.digest_of(f"{name}:1")), name),
            st.builds(world.commit_version, name, number),
            st.builds(world.record_model_version, name, number),
            st.builds(
                lambda name, number: Submit(
                    Ref(f"model-version:{name}:{number}"), world.record_model_version(name, number).digest
                ),
                name, number,
            ),
        )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_batch_is_what_its_commands_are_one_after_another(make_world_once: Any, data: st.DataObject) -> None:
    apart, together = make_world_once(), make_world_once()
    commands = data.draw(st.lists(Names.commands(apart), min_size=1, max_size=12))
    said: list[Any] = []
    for at, command in enumerate(commands):
        try:
            simulation = apart.simulate(LAB, command, token=str(token_of(at)).encode())
        except LedgerError as refused:
            said.append(refused.code)
        else:
            said.append([apart.answer["record"], apart.answer["event"]])
            assert apart.commit(simulation)
    batches = Batches(together)
    outcomes: list[dict[str, Any]] = []
    while len(outcomes) < len(commands):
        size = data.draw(st.integers(1, len(commands) - len(outcomes)))
        at = len(outcomes)
        outcomes += batches.submit(*commands[at : at + size], start=at)
    assert said == [
        each["refusal"]["code"] if "refusal" in each else [each["record"], each["event"]] for each in outcomes
    ]
    assert _without_transactions(apart) == _without_transactions(together)
    assert apart.policies == together.policies


@pytest.fixture
def make_world_once(make_world: Any) -> Any:
    def make() -> Any:
        world = make_world()
        world.found()
        return world

    return make


def _without_transactions(world: Any) -> dict[str, Any]:
    """The state, but for the transactions' ids, which the requests of two worlds do not share."""
    return {
        name: {field: it for field, it in json.loads(value).items() if field != "transaction"}
        for name, (value, _) in world.state.items()
    }
