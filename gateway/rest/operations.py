# SPDX-License-Identifier: Apache-2.0
"""Operations: what became of a submission that was answered 202."""

from gateway.rest import schemas
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, Route
from gateway.services.progress import Stage
from gateway.services.submitter import Submitter

_OPERATION: schemas.Schema = {
    "type": "object",
    "required": ["id", "state", "attempt"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["pending", "succeeded", "failed"]},
        "attempt": {"type": "integer"},
        "transaction_id": {"type": ["string", "null"]},
        "status": {"type": ["integer", "null"], "description": "HTTP status of the final answer."},
        "progress": {
            "type": "object",
            "description": "How far an upload has come that is read after the request was answered.",
            "properties": {
                "stage": {"enum": [str(stage) for stage in Stage]},
                "bytes": {"type": "integer", "description": "Size of the upload."},
                "bytes_read": {"type": "integer"},
                "records": {"type": "integer", "description": "Records read and hashed."},
            },
        },
        "result": {"type": ["object", "null"], "description": "Body of the final answer."},
    },
}


def routes(submitter: Submitter) -> tuple[Route, ...]:
    """The operations on operations."""

    def show(call: Call) -> Reply:
        found = submitter.operation(call.path["operation"], call.client.id)
        if found is None:
            raise HttpProblem(404, "no-such-operation", "There is no such operation of yours.")
        response = found.response
        state = "pending" if response is None else "succeeded" if response.status < 400 else "failed"
        headers = {"Retry-After": "1"} if response is None else {}
        body = {
            "id": found.id,
            "state": state,
            "attempt": found.attempt,
            "transaction_id": found.transaction_id,
            "status": None if response is None else response.status,
            "result": None if response is None else response.body,
        }
        progress = submitter.progress(found.id)
        return Reply(body if progress is None else {**body, "progress": progress.as_json()}, headers=headers)

    return (
        Route("GET", "/v1/operations/{operation}", "getOperation", "What became of a submission.", show,
              answers=_OPERATION, codes={404: ("no-such-operation",)}),
    )  # fmt: skip
