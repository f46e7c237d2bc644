# SPDX-License-Identifier: Apache-2.0
"""Counter-claims: an organisation's objection to another's artifact or endorsement, and the answer to it (F5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.verifier.transactions import verify_transaction
from pedigree import PedigreeError

if TYPE_CHECKING:
    from scenarios.conftest import World

_names = count(1)
REASON = "the test data overlap the training data"


@pytest.fixture
def submitted(world: World) -> str:
    """A model of the lab's that awaits a word."""
    lab, name = world.as_("lab"), f"claimed-{next(_names)}"
    lab.register_model(name, title="A model")
    lab.record_model_version(name, world.files(name), number=1, licence="Apache-2.0")
    lab.submit(f"model-version:{name}:1")
    return f"model-version:{name}:1"


def refused(action: Any) -> str:
    with pytest.raises(PedigreeError) as caught:
        action()
    return str(caught.value.code)


@pytest.mark.story("F5", "An organisation objects to a model, its owner answers, and the claim is taken back")
def test_a_claim_is_stated_answered_and_taken_back(world: World, submitted: str, tmp_path: Any) -> None:
    letter = sha256(b"letter").hexdigest()
    made = world.as_("regulator").state_claim(submitted, REASON, evidence_digest=letter)
    lab = world.as_("lab")
    assert [each["by"] for each in lab.inbox()["claims"] if each["artifact"] == submitted] == ["RegulatorMSP"]
    hospital = world.as_("hospital")
    (item,) = (each for each in hospital.inbox(limit=100)["items"] if each["artifact"] == submitted)
    assert item["open_claims"] == ["RegulatorMSP"]
    lab.answer_claim(submitted, "RegulatorMSP", "they do not: see the splits")
    assert submitted not in [each["artifact"] for each in world.as_("lab").inbox()["claims"]]
    (claim,) = world.as_("hospital").artifact(submitted)["counter_claims"]
    assert (claim["record"]["reason"], claim["record"]["answer"]) == (REASON, "they do not: see the splits")
    world.as_("regulator").withdraw_claim(submitted, "so it is")
    (listed,) = world.as_("hospital").claims(artifact=submitted, by="RegulatorMSP")["items"]
    assert listed["record"]["withdrawn_because"] == "so it is"
    genesis = bytes.fromhex(world.as_("hospital").ledger()["genesis_hash"])
    evidence = world.as_("hospital").transaction_evidence(made.transaction_id)
    assert verify_transaction(evidence, trusted=genesis).verified
    file = tmp_path / "claim.json"
    file.write_text(json.dumps(listed))
    shown = CliRunner().invoke(main, ["verify", str(file)])
    assert shown.exit_code == Exit.UNPROVEN
    assert f"RegulatorMSP makes a counter-claim against {submitted}" in shown.output


@pytest.mark.story(
    "F5", "A counter-claim against an endorsement is for the endorser to answer", refused="not-the-answerer"
)
def test_a_claim_against_an_endorsement(world: World, submitted: str) -> None:
    world.as_("hospital").endorse(submitted)
    world.as_("regulator").state_claim(submitted, REASON, against="HospitalMSP")
    assert refused(lambda: world.as_("lab").answer_claim(submitted, "RegulatorMSP", "no")) == "not-the-answerer"
    world.as_("hospital").answer_claim(submitted, "RegulatorMSP", "we compared them")


@pytest.mark.story("F5", "Nobody makes a counter-claim against its own", refused="own-claim")
def test_nobody_claims_against_its_own(world: World, submitted: str) -> None:
    assert refused(lambda: world.as_("lab").state_claim(submitted, REASON)) == "own-claim"


@pytest.mark.story("F5", "One counter-claim of an organisation is open at a time", refused="claim-already-open")
def test_one_claim_is_open(world: World, submitted: str) -> None:
    world.as_("regulator").state_claim(submitted, REASON)
    assert refused(lambda: world.as_("regulator").state_claim(submitted, REASON)) == "claim-already-open"


@pytest.mark.story("F5", "A counter-claim is answered once", refused="already-answered")
def test_a_claim_is_answered_once(world: World, submitted: str) -> None:
    world.as_("regulator").state_claim(submitted, REASON)
    world.as_("lab").answer_claim(submitted, "RegulatorMSP", "no")
    assert refused(lambda: world.as_("lab").answer_claim(submitted, "RegulatorMSP", "no!")) == "already-answered"


@pytest.mark.story("F5", "What was taken back is not answered", refused="no-open-claim")
def test_what_was_taken_back_is_not_answered(world: World, submitted: str) -> None:
    world.as_("regulator").state_claim(submitted, REASON)
    world.as_("regulator").withdraw_claim(submitted, "so it is")
    assert refused(lambda: world.as_("lab").answer_claim(submitted, "RegulatorMSP", "no")) == "no-open-claim"


@pytest.fixture
def refusing(world: World) -> Iterator[None]:
    """The policy refuses approval while a counter-claim is open; what was in force before is so again afterwards."""
    before = world.as_("hospital").policy()["record"]["rules"]
    _amend(world, [{**each, "open_claims": "refuse"} for each in before])
    yield
    _amend(world, before)


def _amend(world: World, rules: list[dict[str, Any]]) -> None:
    now = world.as_("hospital").policy()["record"]
    kept = ("members", "amendment_threshold", "amendment_roles", "taint")
    fields = {name: now[name] for name in kept if name in now}
    for name in ("hospital", "regulator"):
        world.as_(name).set_policy(number=now["number"] + 1, rules=rules, **fields)


@pytest.mark.story(
    "F5", "Where the policy says so an open counter-claim keeps a model from being approved", refused="claims-open"
)
def test_an_open_claim_keeps_a_model_from_being_approved(world: World, refusing: None, submitted: str) -> None:
    world.as_("regulator").state_claim(submitted, REASON)
    world.as_("regulator").endorse(submitted)
    draft = world.as_("hospital").draft_statement(submitted)["refused"]
    assert draft is not None
    assert draft["code"] == "claims-open"
    assert refused(lambda: world.as_("hospital").endorse(submitted)) == "claims-open"
    world.as_("regulator").withdraw_claim(submitted, "so it is")
    world.as_("hospital").endorse(submitted)
    assert world.as_("lab").artifact(submitted)["stage"] == "approved"
