# SPDX-License-Identifier: Apache-2.0
"""Many commands in one request: few transactions, and an outcome for each command (F7)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.program import main as pedigree_command
from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from gateway.verifier.transactions import verify_transaction
from pedigree import Pedigree, PedigreeError, Recorded
from pedigree.exits import Exit

_names = itertools.count(1)


def model(name: str, **more: str) -> dict[str, Any]:
    return {"function": "model:register", "command": {"model": name, "title": "Of a batch"}, **more}


@pytest.fixture
def named() -> Callable[[str], str]:
    """Names of this scenario's own."""
    number = next(_names)
    return lambda word: f"batches-{number}-{word}"


def codes(outcomes: list[Recorded[Any] | PedigreeError]) -> list[str]:
    return ["" if isinstance(each, Recorded) else each.code for each in outcomes]


def recorded(outcomes: list[Recorded[Any] | PedigreeError]) -> list[Recorded[Any]]:
    return [each for each in outcomes if isinstance(each, Recorded)]


@pytest.mark.story("F7", "A thousand commands are recorded by a few transactions, each with its own outcome")
def test_a_thousand_commands_are_recorded_by_a_few_transactions(
    clients: dict[str, Pedigree], named: Callable[[str], str]
) -> None:
    lab, regulator = clients["lab"], clients["regulator"]
    commands = [model(named(str(at))) for at in range(999)]
    outcomes = lab.batch([*commands[:500], commands[0], *commands[500:]])
    assert codes(outcomes) == [*[""] * 500, "already-exists", *[""] * 499]
    transactions = dict.fromkeys(each.transaction_id for each in recorded(outcomes))
    assert len(transactions) <= 4
    regulator.at_least(lab.height)
    assert regulator.model(named("998"))["record"]["owner"] == "LabMSP"
    listed = regulator.transactions(about=f"model:{named('0')}")["items"]
    assert [each["id"] for each in listed] == [next(iter(transactions))]
    assert (listed[0]["function"], listed[0]["event"]) == ("batch:record", "BatchRecorded")
    assert f"model:{named('1')}" in listed[0]["about"]


@pytest.mark.story("F7", "What a batch recorded verifies offline, record by record")
def test_a_record_of_a_batch_verifies_offline(clients: dict[str, Pedigree], named: Callable[[str], str]) -> None:
    lab, regulator = clients["lab"], clients["regulator"]
    first, second = recorded(lab.batch([model(named("a")), model(named("b"))]))
    assert first.transaction_id == second.transaction_id
    regulator.at_least(lab.height)
    reply = regulator.transaction(first.transaction_id)["reply"]
    assert reply is not None
    assert [each["record"]["model"] for each in reply["outcomes"]] == [named("a"), named("b")]  # type: ignore[typeddict-item]
    genesis = bytes.fromhex(regulator.ledger()["genesis_hash"])
    verdict = verify_transaction(regulator.evidence(f"model:{named('b')}"), trusted=genesis)
    assert verdict.complete
    assert {f"model:{named('a')}", f"model:{named('b')}"} <= {each.reference for each in verdict.written}


@pytest.mark.story("F7", "A command is recorded once under its key, in batches and alone")
def test_a_command_is_recorded_once_under_its_key(clients: dict[str, Pedigree], named: Callable[[str], str]) -> None:
    lab, key = clients["lab"], named("key")
    alone = lab.register_model(named("a"), title="Of a batch", idempotency_key=key)
    again, other = recorded(lab.batch([model(named("a"), key=key), model(named("b"), key=f"{key}-b")]))
    assert again.transaction_id == alone.transaction_id != other.transaction_id
    then = lab.register_model(named("b"), title="Of a batch", idempotency_key=f"{key}-b")
    assert then.transaction_id == other.transaction_id
    batch = [model(named("c")), model(named("d"))]
    first = lab.batch(batch, idempotency_key=f"{key}-batch")
    repeated = lab.batch(batch, idempotency_key=f"{key}-batch")
    assert [each.transaction_id for each in recorded(first)] == [each.transaction_id for each in recorded(repeated)]
    assert all(each.replayed for each in recorded(repeated))


@pytest.mark.story("F7", "The command line records a file of commands")
def test_the_command_line_records_a_file(
    consortium: Consortium | Containers, clients: dict[str, Pedigree], named: Callable[[str], str], tmp_path: Path
) -> None:
    file = tmp_path / "commands.jsonl"
    lines = [model(named("a")), model(named("a")), model(named("b"))]
    file.write_text("\n\n".join(json.dumps(each) for each in lines))
    words = ["batch", str(file), "--url", consortium.url("lab"), "--key", consortium.key("lab")]
    told = CliRunner().invoke(pedigree_command, words)
    assert told.exit_code == Exit.REFUSED, told.output
    assert f"{file}:3: " in told.output
    assert "2 recorded in 1 transactions, 1 failed" in told.output


@pytest.mark.story(
    "F7", "What is wrong with a command is refused alone, and the others are recorded", refused="invalid-field"
)
def test_what_is_wrong_with_a_command_is_its_own_outcome(
    clients: dict[str, Pedigree], named: Callable[[str], str]
) -> None:
    outcomes = clients["lab"].batch([{"function": "nobody:knows", "command": {}}, model(named("a")), model("A B")])
    assert codes(outcomes) == ["invalid-field", "", "invalid-field"]


@pytest.mark.story("F7", "A batch with something else than commands in it is refused whole", refused="invalid-field")
def test_what_is_no_batch_is_refused(clients: dict[str, Pedigree], named: Callable[[str], str]) -> None:
    with pytest.raises(PedigreeError) as caught:
        clients["lab"].batch([model(named("a")), model(named("b"), key="with space")])
    assert (caught.value.code, caught.value.facts["pointer"]) == ("invalid-field", "/1/key")
    with pytest.raises(PedigreeError) as missing:
        clients["lab"].model(named("a"))
    assert missing.value.code == "not-found"
