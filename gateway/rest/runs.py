# SPDX-License-Identifier: Apache-2.0
"""Training runs: signed as they are recorded, and their statements."""

from collections.abc import Mapping

from chaincode.domain.values import Name
from gateway.rest.routing import Call, Reply, View, recorded
from gateway.services.runs import Runs


def views(runs: Runs) -> Mapping[str, View]:
    """The operations on runs that do not follow from their rows, by name."""

    def record(call: Call) -> Reply:
        return recorded(runs.record(call.recording, call.json))

    def statement(call: Call) -> Reply:
        return Reply(runs.statement(Name(call.path["run"]), call.source))

    return {"recordRun": record, "getRunStatement": statement}
