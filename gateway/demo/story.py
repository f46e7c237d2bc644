# SPDX-License-Identifier: Apache-2.0
"""The steps of the main job. Each does real work through the organisations' gateways and checks what comes back.

A step that finds anything else than it should raises `Disagreement`; nothing is printed as done that was not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from gateway.demo.attacking import attack
from gateway.demo.consenting import judge, withdraw
from gateway.demo.founding import FOUNDING_POLICY as FOUNDING_POLICY
from gateway.demo.founding import ORIGIN as ORIGIN
from gateway.demo.founding import found as found
from gateway.demo.granting import deny, grant
from gateway.demo.making import endorse, supply, trace, train
from gateway.demo.stage import Stage
from gateway.demo.surviving import survive

_STEPS: Final[list[tuple[str, Callable[[Stage], None]]]] = [
    ("The hospital registers 569 real patient records and commits to every one of them", supply),
    ("The lab asks for access, trains a model on them, and records the run and every file", train),
    ("The lab submits the model; a person of the regulator's endorses it, and the hospital does", endorse),
    ("Anyone asks where the model came from; the regulator checks a record and the files", trace),
    ("A record is altered, an endorsement forged, a write made by one organisation alone", attack),
    ("The hospital grants the lab five seconds of access for research", grant),
    ("The regulator sets a bar before a training, which is judged by it; a later bar is refused", judge),
    ("One patient withdraws: what was made with the record, and who has to do what", withdraw),
    ("The five seconds are over: the lab is denied, and the regulator sees it on the ledger", deny),
    ("Everything is killed with kill -9; evidence and a receipt are checked; all of it is started again", survive),
]


class Story(Stage):
    """The main job on a running consortium."""

    @property
    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """The steps, in order, each with the sentence that announces it."""
        return [(title, partial(step, self)) for title, step in _STEPS]
