# SPDX-License-Identifier: Apache-2.0
"""Artifacts on their way to approval, and the inbox of this organisation."""

from collections.abc import Callable, Mapping

from chaincode.domain.evidence import Decision
from chaincode.domain.policy import Stage
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View, recorded
from gateway.services.artifacts import Artifacts
from gateway.services.ports import Clock, Json


def views(artifacts: Artifacts, due: Callable[[int], tuple[list[Json], bool]], clock: Clock) -> Mapping[str, View]:
    """The operations on artifacts that do not follow from their rows, by name.

    `due` answers which deployments of this organisation must stop at a time in milliseconds, and whether those are all.
    """

    def show(call: Call) -> Reply:
        stage = call.query.get("stage", Stage.APPROVED.value)
        if stage not in set(Stage):
            raise HttpProblem(400, "invalid-parameter", "stage is none of the stages.", parameter="stage")
        return Reply(artifacts.status(call.path["reference"], stage))

    def draft(call: Call) -> Reply:
        decision = Decision(call.query.get("decision", Decision.ENDORSE.value))
        return Reply(artifacts.draft(call.path["reference"], decision, call.query))

    def inbox(call: Call) -> Reply:
        page = artifacts.inbox(cursor=call.query.get("cursor"), limit=call.limit, filters=call.filters)
        stopping, complete = due(int(clock() * 1000))
        return Reply({**page, "must_stop": stopping, "must_stop_complete": complete})

    def submit(call: Call) -> Reply:
        return recorded(artifacts.submit(call.recording, call.path["reference"], call.json))

    def deciding(decision: Decision) -> View:
        return lambda call: recorded(artifacts.decide(call.recording, call.path["reference"], call.json, decision))

    return {
        "getArtifact": show,
        "draftStatement": draft,
        "getInbox": inbox,
        "submitArtifact": submit,
        "endorseArtifact": deciding(Decision.ENDORSE),
        "rejectArtifact": deciding(Decision.REJECT),
        "withdrawEndorsement": deciding(Decision.WITHDRAW),
        "stateClaim": deciding(Decision.COUNTER_CLAIM),
    }
