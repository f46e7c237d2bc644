# SPDX-License-Identifier: Apache-2.0
"""Reminders by events: what awaits an organisation, what ends soon, and what has ended (F5)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from gateway.cli import main

if TYPE_CHECKING:
    from scenarios.conftest import World

    from gateway.demo.consortium import Consortium
    from gateway.demo.containers import Containers

_names = count(1)
VALID = 20
"""Seconds for which an endorsement counts here: long beside two of them, short beside a test."""


def reminded(world: World, organisation: str, artifact: str) -> list[Any]:
    """All that an organisation was reminded of about an artifact, as a program reads it: from number to number."""
    found: list[Any] = []
    after: int | None = None
    while True:
        answer: Any = world.as_(organisation).reminders(after=after)
        if not answer["items"]:
            return [each for each in found if each["artifact"] == artifact]
        found += answer["items"]
        after = answer["next"]


def until(said: Callable[[], Any], within: float = 90.0) -> Any:
    deadline = time.monotonic() + within
    while not (found := said()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.3)
    return found


def kinds(world: World, organisation: str, artifact: str, *, due: bool) -> list[str]:
    listed = reminded(world, organisation, artifact)
    return sorted(each["kind"] for each in listed if (each["ended_at"] is None) is due)


@pytest.fixture
def submitted(world: World) -> str:
    lab, name = world.as_("lab"), f"reminded-{next(_names)}"
    lab.register_model(name, title="A model")
    lab.record_model_version(name, world.files(name), number=1, licence="Apache-2.0")
    lab.submit(f"model-version:{name}:1")
    return f"model-version:{name}:1"


@pytest.mark.story("F5", "A gateway reminds its organisation once of what awaits its word, until the word is given")
def test_what_awaits_a_word_is_reminded_of_once(
    world: World, submitted: str, consortium: Consortium | Containers
) -> None:
    until(lambda: kinds(world, "hospital", submitted, due=True) == ["awaits-endorsement"])
    until(lambda: kinds(world, "regulator", submitted, due=True) == ["awaits-endorsement"])
    assert reminded(world, "lab", submitted) == [], "its owner's word does not count"
    given = ["--url", consortium.url("hospital"), "--key", consortium.key("hospital")]
    listed = CliRunner().invoke(
        main, ["reminders", "--about", "awaits-endorsement", "--state", "due", "--json", *given]
    )
    assert listed.exit_code == 0, listed.output
    assert submitted in [each["artifact"] for each in json.loads(listed.output)["items"]]
    world.as_("hospital").endorse(submitted)
    until(lambda: kinds(world, "hospital", submitted, due=False) == ["awaits-endorsement"])
    # Blocks go on, and nobody is reminded again.
    world.as_("regulator").endorse(submitted)
    until(lambda: kinds(world, "regulator", submitted, due=False) == ["awaits-endorsement"])
    for organisation in ("hospital", "regulator"):
        assert len(reminded(world, organisation, submitted)) == 1


@pytest.fixture
def expiring(world: World) -> Iterator[None]:
    """Endorsements count for a while only; what was in force before is so again afterwards."""
    before = world.as_("hospital").policy()["record"]["rules"]
    _amend(world, [{**each, "valid_seconds": VALID} for each in before])
    yield
    _amend(world, before)


def _amend(world: World, rules: list[dict[str, Any]]) -> None:
    now = world.as_("hospital").policy()["record"]
    kept = ("members", "amendment_threshold", "amendment_roles", "taint")
    fields = {name: now[name] for name in kept if name in now}
    for name in ("hospital", "regulator"):
        world.as_(name).set_policy(number=now["number"] + 1, rules=rules, **fields)


@pytest.mark.story("F5", "A gateway reminds of an approval that ends soon, and of one that has lost its quorum")
def test_an_approval_that_ends_is_reminded_of_before_and_after(world: World, expiring: None, submitted: str) -> None:
    for name in ("hospital", "regulator"):
        world.as_(name).endorse(submitted)
    ends = until(lambda: [each for each in reminded(world, "lab", submitted) if each["kind"] == "approval-expires"])
    assert ends[0]["at"] < ends[0]["ends_at"] <= int(time.time() * 1_000) + VALID * 1_000
    # No block says that it has ended: its time has come.
    until(lambda: kinds(world, "lab", submitted, due=True) == ["quorum-lost"])
    assert kinds(world, "lab", submitted, due=False) == ["approval-expires"]
    until(lambda: "awaits-endorsement" in kinds(world, "hospital", submitted, due=True))
    assert "quorum-lost" in kinds(world, "hospital", submitted, due=True)
