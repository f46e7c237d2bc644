# SPDX-License-Identifier: Apache-2.0
"""Who did what, asked at any organisation's gateway: valid and invalid transactions, and for whom they were signed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pedigree import PedigreeError

if TYPE_CHECKING:
    from scenarios.conftest import World

PAIRS = 20


@pytest.mark.story("F7", "Any organisation lists who did what, when, for whom and to which record")
def test_every_organisation_lists_who_did_what(world: World) -> None:
    made = world.as_("lab").register_model(world.model, title="A model")
    reference = f"model:{world.model}"
    own, *_ = world.as_("lab").history(reference)["items"]
    world.clients["hospital"].at_least(made.height)
    seen, *_ = world.as_("hospital").history(reference)["items"]
    assert (seen["id"], seen["block"], seen["function"]) == (made.transaction_id, made.block, "model:register")
    assert (seen["organisation"], seen["valid"], seen["validity"]) == ("LabMSP", True, "VALID")
    assert reference in seen["about"]
    assert len(seen["endorsed_by"]) >= 2
    assert "LabMSP" in seen["endorsed_by"]
    assert seen["identity"] is not None
    assert seen["identity"]["subject"].startswith("CN=")
    assert seen["event"] is not None
    # The lab's own gateway knows which of its keys that was, and nobody else's does.
    assert own["client"] is not None
    assert seen["client"] is not None
    assert own["client"]["id"] == seen["client"]["id"]
    assert own["client"]["name"] is not None
    assert seen["client"]["name"] is None
    for filters in (
        {"client": seen["client"]["id"]}, {"identity": seen["identity"]["certificate"]},
        {"identity": seen["identity"]["subject"]}, {"organisation": "LabMSP"}, {"function": "model:register"},
        {"about": reference}, {"from_height": made.block, "until_height": made.block + 1}, {"since": seen["at"]},
    ):  # fmt: skip
        found = world.as_("hospital").iterate_transactions(**filters)  # type: ignore[arg-type]
        assert made.transaction_id in {each["id"] for each in found}, filters
    one = world.as_("regulator").transaction(made.transaction_id)
    assert {name: one[name] for name in seen} == {**seen, "client": one["client"]}  # type: ignore[literal-required]


@pytest.mark.story("F7", "What was found invalid is in the history of the record that it would have changed")
def test_an_invalid_transaction_is_in_the_history_of_what_it_would_have_written(world: World) -> None:
    """Two members register the same name at once: both are endorsed, and the second one in the block is invalid."""

    def register(organisation: str, name: str) -> None:
        with suppress(PedigreeError):
            world.clients[organisation].register_model(name, title="A model")

    with ThreadPoolExecutor(2) as pool:
        for attempt in range(PAIRS):
            name = f"{world.model}-{attempt}"
            list(pool.map(register, ("lab", "hospital"), (name, name)))
            history = world.as_("regulator").history(f"model:{name}")["items"]
            if len(history) == 2:
                break
    valid, invalid = sorted(history, key=lambda each: not each["valid"])
    assert valid["validity"] == "VALID"
    # In the same block it read what the first one wrote; in a later one the key has its owner's policy already.
    assert invalid["validity"] in {"MVCC_READ_CONFLICT", "ENDORSEMENT_POLICY_FAILURE"}
    assert {valid["organisation"], invalid["organisation"]} == {"LabMSP", "HospitalMSP"}
    asked = world.as_("regulator").iterate_transactions(validity="INVALID", about=f"model:{name}")
    assert [each["id"] for each in asked] == [invalid["id"]]
