# SPDX-License-Identifier: Apache-2.0
"""Approvals that lose their quorum: where the policy says so nobody deploys the model, and what runs must stop (F5)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from pedigree import PedigreeError

if TYPE_CHECKING:
    from scenarios.conftest import World

_names = count(1)
VALID = 20
"""Seconds for which an endorsement counts here: long beside two of them, short beside a test."""


def amend(world: World, rules: list[dict[str, Any]]) -> None:
    """Put the same policy in force with other rules."""
    now = world.as_("hospital").policy()["record"]
    kept = ("members", "amendment_threshold", "amendment_roles", "taint")
    fields = {name: now[name] for name in kept if name in now}
    for name in ("hospital", "regulator"):
        world.as_(name).set_policy(number=now["number"] + 1, rules=rules, **fields)


class Model:
    """A model of the lab's that two organisations approved, and where the hospital uses it."""

    def __init__(self, world: World) -> None:
        self.world, lab, name = world, world.as_("lab"), f"lost-quorum-{next(_names)}"
        lab.register_model(name, title="A model")
        lab.record_model_version(name, world.files(name), number=1, licence="Apache-2.0")
        self.reference, self.ward = f"model-version:{name}:1", f"ward-{name}"
        lab.submit(self.reference)
        self.approve()
        self.world.as_("hospital").record_deployment(self.ward, self.reference, location="ward 3")

    def approve(self) -> None:
        for name in ("hospital", "regulator"):
            self.world.as_(name).endorse(self.reference)
        assert self.world.as_("lab").artifact(self.reference)["quorum_lost"] is False

    def deploy(self) -> str | None:
        """Put it to use at the lab too; the code with which that is refused."""
        try:
            self.world.as_("lab").record_deployment(f"{self.ward}-{next(_names)}", self.reference, location="the lab")
        except PedigreeError as refusal:
            return str(refusal.code)
        return None

    def said(self) -> tuple[bool, list[str | None]]:
        """Whether the artifact is said to have lost its quorum, and what is due of the deployment."""
        hospital, deployment = self.world.as_("hospital"), f"deployment:{self.ward}"
        items = {each["reference"]: each["duty"] for each in hospital.impact(self.reference)["items"]}
        inbox = {each["deployment"]: each["duty"] for each in hospital.inbox()["must_stop"]}
        (node,) = (n for n in hospital.lineage(deployment)["nodes"] if n["reference"] == self.reference)
        lost = hospital.artifact(self.reference)["quorum_lost"]
        assert node.get("quorum_lost", False) is lost is hospital.deployment(self.ward)["quorum_lost"]
        return lost, [hospital.deployment(self.ward)["duty"], items[deployment], inbox.get(deployment)]


@pytest.fixture
def ruled(world: World) -> Iterator[Any]:
    """Changes the rule for models; what was in force before is in force again afterwards."""
    before = world.as_("hospital").policy()["record"]["rules"]
    (rule,) = (each for each in before if each["artifact_kind"] == "model-version")
    others = [each for each in before if each is not rule]
    yield lambda **changes: amend(world, [{**rule, **changes}, *others])
    amend(world, before)


MUST = (True, ["must-stop"] * 3)
HOLDS = (False, [None] * 3)


@pytest.mark.story(
    "F5", "A withdrawal that breaks the quorum stops deployments where the policy says so", refused="quorum-lost"
)
def test_a_withdrawal_stops_deployments(world: World, ruled: Any) -> None:
    ruled(on_quorum_lost="stop")
    model = Model(world)
    assert model.said() == HOLDS
    world.as_("regulator").withdraw(model.reference, "a complaint")
    assert model.said() == MUST
    assert model.deploy() == "quorum-lost"
    world.as_("lab").submit(model.reference)
    assert model.deploy() == "quorum-lost"
    model.approve()
    assert model.said() == HOLDS
    assert model.deploy() is None


@pytest.mark.story("F5", "An expiry that breaks the quorum stops deployments until the endorsements are renewed")
def test_an_expiry_stops_deployments(world: World, ruled: Any) -> None:
    ruled(on_quorum_lost="stop", valid_seconds=VALID)
    model = Model(world)
    ends = max(each["record"]["expires_at"] for each in world.as_("lab").artifact(model.reference)["endorsements"])
    world.as_("lab").advance(model.reference, "deployed")
    time.sleep(max(0.0, ends / 1000 - time.time()) + 0.1)
    assert model.said() == MUST
    assert model.deploy() == "quorum-lost"
    model.approve()
    assert model.said() == HOLDS
    assert model.deploy() is None


@pytest.mark.story("F5", "What must stop is due until it has ended")
def test_what_has_ended_is_not_due(world: World, ruled: Any) -> None:
    ruled(on_quorum_lost="stop")
    model = Model(world)
    world.as_("regulator").withdraw(model.reference, "a complaint")
    world.as_("hospital").end_deployment(model.ward, reason="stopped")
    assert model.said() == (True, [None] * 3)


@pytest.mark.story("F5", "Without such a rule a lost quorum is noted, and stops nothing")
def test_a_lost_quorum_is_noted(world: World) -> None:
    model = Model(world)
    world.as_("regulator").withdraw(model.reference, "a complaint")
    assert model.said() == (True, [None] * 3)
    assert model.deploy() is None
