# SPDX-License-Identifier: Apache-2.0
"""What this organisation was reminded of, so that a program can go on from where it was."""

from collections.abc import Mapping

from gateway.api.operations import HIGHEST
from gateway.rest.routing import Call, Reply, View
from gateway.services.reminders import Reminders


def views(reminders: Reminders) -> Mapping[str, View]:
    """The operation on reminders, by name."""

    def listed(call: Call) -> Reply:
        state = call.query.get("state")
        ended = None if state is None else state == "over"
        return Reply(reminders.page(after=call.number("after", HIGHEST), kind=call.query.get("about"), ended=ended))

    return {"listReminders": listed}
