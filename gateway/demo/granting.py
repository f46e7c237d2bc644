# SPDX-License-Identifier: Apache-2.0
"""Steps 6 and 9, access to data: a grant of five seconds, what it allows, and what is denied when it is over."""

from __future__ import annotations

import time
from typing import Any, Final

from gateway.demo.stage import Stage
from gateway.demo.telling import expect
from pedigree import Recorded
from pedigree.documents import AccessAttempt

RESEARCH: Final = "https://w3id.org/dpv#ScientificResearch"
_SECONDS: Final = 5
_MARGIN: Final = 0.2
"""Seconds after the end, so that clocks of this machine agree that it is over."""


def grant(stage: Stage) -> None:
    """Let the lab process the hospital's records for five seconds; the first attempt is allowed."""
    hospital, lab, names = stage.clients["hospital"], stage.clients["lab"], stage.names
    given = hospital.grant_access(
        names.grant, grantee="LabMSP", artifact=names.dataset_version, purpose=RESEARCH, actions=["process"],
        expires=time.time_ns() // 1_000_000 + 1_000 * _SECONDS,
    )  # fmt: skip
    stage.telling.say(f"the hospital grants the lab {_SECONDS} seconds, to process its records for research", given)
    lab.at_least(given.height)
    made = _attempt(stage)
    expect(made.record["decision"] == "allowed", f"the grant should allow it: {made.record}")
    stage.telling.say("the lab's attempt is allowed", made)
    stage.answers["expires"] = given.record["expires"]


def deny(stage: Stage) -> None:
    """Try again once the grant is over; the regulator lists both attempts, and finds the denied one."""
    time.sleep(max(0.0, stage.answers["expires"] / 1_000 + _MARGIN - time.time()))
    made = _attempt(stage)
    expect(
        made.record["decision"] == "denied" and made.record.get("reason") == "expired",
        f"the grant is over, and the ledger says: {made.record}",
    )
    stage.telling.denied(f"the lab's attempt after {_SECONDS} seconds", str(made.record.get("reason")), made)
    regulator = stage.clients["regulator"]
    regulator.at_least(made.height)
    listed: list[Any] = [each["record"] for each in regulator.iterate_access_attempts(grant=stage.names.grant)]
    expect([each["decision"] for each in listed] == ["allowed", "denied"], f"the regulator lists {listed}")
    denied = list(regulator.iterate_access_attempts(grant=stage.names.grant, access_decision="denied"))
    expect(len(denied) == 1, f"the regulator finds {len(denied)} denied attempts, not one")
    stage.telling.note("the regulator lists both attempts, and finds the one that was denied")


def _attempt(stage: Stage) -> Recorded[AccessAttempt]:
    names = stage.names
    return stage.clients["lab"].attempt_access(names.grant, names.dataset_version, action="process", purpose=RESEARCH)
