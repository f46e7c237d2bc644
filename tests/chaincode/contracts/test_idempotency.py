# SPDX-License-Identifier: Apache-2.0
"""A command with a token is recorded once, whoever of the organisation signs it and however often it is sent."""

import pytest

from chaincode.domain import errors
from chaincode.domain.idempotency import Idempotency
from chaincode.domain.lifecycle import Quarantine, Release
from chaincode.domain.values import Digest, Ref, Text

HOSPITAL, LAB = "HospitalMSP", "LabMSP"
NET = Ref("model-version:net:1")
TOKEN = b"7e" * 32


def again(world, org, command, token=TOKEN):
    with pytest.raises(errors.LedgerError) as caught:
        world.simulate(org, command, token=token)
    return caught.value


def test_a_token_remembers_the_transaction_that_recorded_the_command(world):
    command = world.register_dataset("wdbc")
    first = world.simulate(LAB, command, token=TOKEN)
    assert world.answer["record"]["kind"] == "dataset"
    assert world.commit(first)
    row = world.read(Idempotency, LAB, Digest.parse(TOKEN.decode()))
    assert (row.by, str(row.transaction), row.at) == (LAB, first.transaction_id, world.at)
    assert again(world, LAB, command) == errors.AlreadyRecorded(first.transaction_id)


def test_a_repeat_is_found_before_any_rule_is_asked(case):
    world = case.world
    world.commit(world.simulate(HOSPITAL, Quarantine(NET, Text("stop")), token=TOKEN))
    world.submit(HOSPITAL, Release(NET, Text("go on")))
    assert again(world, HOSPITAL, Quarantine(NET, Text("stop"))).code == "already-recorded"


def test_a_token_names_one_command(world):
    first = world.simulate(LAB, world.register_dataset("wdbc"), token=TOKEN)
    world.commit(first)
    assert again(world, LAB, world.register_dataset("other")) == errors.TokenReused(first.transaction_id)


def test_a_token_is_an_organisations_own(world):
    world.commit(world.simulate(LAB, world.register_dataset("one"), token=TOKEN))
    assert world.commit(world.simulate(HOSPITAL, world.register_dataset("two"), token=TOKEN))


def test_of_two_at_once_one_is_invalid_and_then_finds_the_other(case):
    world, command = case.world, Quarantine(NET, Text("stop"))
    one = world.simulate(HOSPITAL, command, token=TOKEN)
    other = world.simulate(HOSPITAL, command, token=TOKEN)
    assert (world.commit(one), world.commit(other)) == (True, False)
    assert again(world, HOSPITAL, command) == errors.AlreadyRecorded(one.transaction_id)


def test_a_refused_command_uses_no_token(world):
    world.submit(HOSPITAL, world.register_dataset("wdbc"))
    assert again(world, LAB, world.register_dataset("wdbc")).code == "already-exists"
    assert world.commit(world.simulate(LAB, world.register_dataset("other"), token=TOKEN))


def test_without_a_token_nothing_is_remembered(world):
    world.dataset(LAB, "wdbc")
    assert not [record for record in world.records() if isinstance(record, Idempotency)]


@pytest.mark.parametrize("token", [b"", b"7E" * 32, b"7e" * 31, b"7e" * 33, b"\xff" * 64, b"7e" * 32 + b"\n"])
def test_a_token_is_a_digest(world, token):
    refusal = again(world, LAB, world.register_dataset("wdbc"), token)
    assert isinstance(refusal, errors.InvalidField)
    assert refusal.pointer == "/idempotency_token"


CLIENT = b"5e" * 16


def test_an_acting_client_changes_nothing_that_is_written_or_answered(world):
    command = world.register_dataset("wdbc")
    without = world.simulate(LAB, command, token=TOKEN)
    answer = world.answer
    acting = world.simulate(LAB, command, token=TOKEN, client=CLIENT)
    assert world.answer == answer
    own = "\x00idempotency\x00"
    assert {key: value for key, value in acting.writes.items() if not key.startswith(own)} == {
        key: value for key, value in without.writes.items() if not key.startswith(own)
    }
    assert not any(CLIENT in value for value in acting.writes.values())
    assert world.commit(acting)


def test_a_repeat_by_another_client_is_a_repeat(world):
    command = world.register_dataset("wdbc")
    world.commit(world.simulate(LAB, command, token=TOKEN, client=CLIENT))
    with pytest.raises(errors.AlreadyRecorded):
        world.simulate(LAB, command, token=TOKEN, client=b"00" * 16)


@pytest.mark.parametrize(
    "client", [b"", b"5E" * 16, b"5e" * 15, b"5e" * 17, b"\xff" * 32, b"5e" * 16 + b"\n", b"x" * 9999]
)
def test_an_acting_client_has_32_digits(world, client):
    with pytest.raises(errors.InvalidField) as caught:
        world.simulate(LAB, world.register_dataset("wdbc"), token=TOKEN, client=client)
    assert caught.value.pointer == "/acting_client"
