# SPDX-License-Identifier: Apache-2.0
"""The thread that reminds, put together."""

import time
from collections.abc import Callable

from gateway.server.app import Metrics
from gateway.server.gauges import of_the_reminders
from gateway.services.artifacts import Artifacts
from gateway.services.catalogue import Catalogue
from gateway.services.duties import DutyFinder
from gateway.services.projector import Projector
from gateway.services.reminders import Reminders, ReminderStore


def make_reminders(
    judge: Artifacts, catalogue: Catalogue, store: ReminderStore, projector: Projector, metrics: Metrics,
    organisation: str, leads: Callable[[], bool],
) -> Reminders:  # fmt: skip
    """Reminders of an organisation, and the gauges of what is due; `judge` says how an artifact stands for it."""
    duties = DutyFinder(judge, catalogue, organisation, time.time)
    made = Reminders(
        duties.find, store, caught_up=lambda: projector.progress().caught_up, meter=metrics,
        organisation=organisation, clock=time.time, leads=leads,
    )  # fmt: skip
    of_the_reminders(metrics, made)
    return made
