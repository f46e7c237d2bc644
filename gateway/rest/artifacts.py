# SPDX-License-Identifier: Apache-2.0
"""Artifacts on their way to approval, and the inbox of this organisation."""

from chaincode.domain.evidence import Decision
from chaincode.domain.policy import Stage
from gateway.rest import schemas
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import PAGING, Call, Reply, Route, View, recorded
from gateway.rest.schemas import Schema
from gateway.services.artifacts import Artifacts

_DIGEST: Schema = {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "The digest that was examined; the recorded one by default.",
}
_STATUS: Schema = {
    "type": "object",
    "required": ["artifact", "record", "transaction", "stage", "standing", "status", "endorsements", "rejections"],
    "properties": {
        "artifact": {"type": "string"},
        "record": schemas.ANY_OBJECT,
        "transaction": schemas.TRANSACTION,
        "stage": {"enum": [stage.value for stage in Stage]},
        "standing": {"type": ["object", "null"]},
        "status": {"type": ["object", "null"], "description": "The count for the stage; null while no policy is set."},
        "endorsements": {"type": "array", "items": schemas.shown("endorsement")},
        "rejections": {"type": "array", "items": schemas.shown("rejection")},
    },
}
_INBOX: Schema = {
    "type": "object",
    "required": ["organisation", "items", "next"],
    "properties": {
        "organisation": {"type": "string"},
        "items": {
            "type": "array",
            "items": {"type": "object", "required": ["artifact", "owner", "since", "status"]},
        },
        "next": {
            "type": ["string", "null"],
            "description": "Pass it as `cursor` for the page after this one; a page may hold few items and have one.",
        },
    },
}


def routes(artifacts: Artifacts) -> tuple[Route, ...]:
    """The operations on artifacts."""

    def show(call: Call) -> Reply:
        stage = call.query.get("stage", Stage.APPROVED.value)
        if stage not in set(Stage):
            raise HttpProblem(400, "invalid-parameter", "stage is none of the stages.", parameter="stage")
        return Reply(artifacts.status(call.path["reference"], stage))

    def inbox(call: Call) -> Reply:
        return Reply(artifacts.inbox(cursor=call.query.get("cursor"), limit=call.limit))

    def submit(call: Call) -> Reply:
        return recorded(artifacts.submit(call.recording, call.path["reference"], call.json))

    def deciding(decision: Decision) -> View:
        return lambda call: recorded(artifacts.decide(call.recording, call.path["reference"], call.json, decision))

    def applying(function: str) -> View:
        return lambda call: recorded(artifacts.apply(call.recording, function, call.path["reference"], call.json))

    def step(path: str, name: str, summary: str, function: str, role: str, *kinds: str) -> Route:
        return Route(
            "POST", f"/v1/artifacts/{{reference}}/{path}", name, summary, applying(function),
            answers=schemas.committed(*kinds), takes=schemas.command(function, "artifact"),
            role=role, records=True, status=201,
        )  # fmt: skip

    def statement(path: str, name: str, summary: str, decision: Decision, kind: str) -> Route:
        return Route(
            "POST", f"/v1/artifacts/{{reference}}/{path}", name, summary, deciding(decision),
            answers=schemas.committed(kind), takes=_with_digest(f"endorsement:{decision.value}", optional="envelope"),
            role="endorser", records=True, status=201,
        )  # fmt: skip

    one = "/v1/artifacts/{reference}"
    return (
        Route("GET", one, "getArtifact", "Where an artifact stands, who vouches for it, and who is missing.", show,
              answers=_STATUS, parameters={"stage": "The stage that is counted for; `approved` by default."}),
        Route("GET", "/v1/inbox", "getInbox", "What awaits this organisation's endorsement.", inbox, answers=_INBOX,
              parameters=PAGING),
        Route("POST", one + "/submission", "submitArtifact", "Ask the consortium to endorse your artifact.", submit,
              answers=schemas.committed("artifact-stage"), takes=_with_digest("endorsement:submit", optional="digest"),
              role="recorder", records=True, status=201),
        statement("endorsements", "endorseArtifact", "Vouch for an artifact; the gateway signs the statement.",
                  Decision.ENDORSE, "endorsement"),
        statement("rejections", "rejectArtifact", "Say that an artifact must not reach a stage.",
                  Decision.REJECT, "rejection"),
        step("withdrawal", "withdrawEndorsement", "Take your endorsement back.", "endorsement:withdraw", "endorser",
             "endorsement", "artifact-stage"),
        step("quarantine", "quarantineArtifact", "Stop an artifact at whatever stage it is.",
             "endorsement:quarantine", "endorser", "artifact-stage"),
        step("release", "releaseArtifact", "End a quarantine that your organisation imposed.",
             "endorsement:release", "endorser", "artifact-stage"),
        step("stage", "advanceArtifact", "Move your artifact to its next stage.",
             "endorsement:advance", "recorder", "artifact-stage"),
    )  # fmt: skip


def _with_digest(function: str, *, optional: str) -> Schema:
    """A command's schema without what the gateway fills in, and with the digest that the caller may name."""
    schema = schemas.command(function, "artifact")
    schema["properties"]["digest"] = _DIGEST
    schema["required"] = [name for name in schema["required"] if name != optional]
    return schema
