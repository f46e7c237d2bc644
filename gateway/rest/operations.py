# SPDX-License-Identifier: Apache-2.0
"""Operations: what became of a submission that was answered 202."""

from collections.abc import Mapping

from gateway.api.permissions import PERMISSIONS
from gateway.rest import batches
from gateway.rest.auth import sees_others
from gateway.rest.problems import HttpProblem, reply_for
from gateway.rest.routing import KEY, Call, Reply, View
from gateway.services.batches import WHOLE
from gateway.services.filters import InvalidParameter
from gateway.services.ports import Ending, Recorded, Submission
from gateway.services.submitter import Submitter


def views(submitter: Submitter) -> Mapping[str, View]:
    """The operations on submissions, by name."""

    def find(call: Call) -> Reply:
        key = call.query.get("idempotency-key", "")
        if KEY.fullmatch(key) is None:
            raise InvalidParameter("idempotency-key", "it must be 1 to 200 visible ASCII characters")
        return shown(submitter.operation_of(key, call.client.id))

    def show(call: Call) -> Reply:
        found = submitter.operation(call.path["operation"])
        own = found is not None and found.client == call.client.id
        return shown(found if own or sees_others(call.client, PERMISSIONS["getOperation"]) else None)

    def shown(found: Submission | None) -> Reply:
        if found is None:
            raise HttpProblem(404, "no-such-operation", "There is no such operation of yours.")
        ended = None if found.ending is None else _ended(found, found.ending)
        state = "pending" if ended is None else "succeeded" if isinstance(found.ending, Recorded) else "failed"
        headers = {"Retry-After": "1"} if ended is None else {}
        body = {
            "id": found.id,
            "state": state,
            "attempt": found.attempt,
            "transaction_id": found.transaction_id,
            "status": None if ended is None else ended.status,
            "result": None if ended is None else ended.body,
        }
        progress = submitter.progress(found.id)
        return Reply(body if progress is None else {**body, "progress": progress.as_json()}, headers=headers)

    return {"findOperation": find, "getOperation": show}


def _ended(found: Submission, ending: Ending) -> Reply:
    if found.function == WHOLE and isinstance(ending, Recorded):
        return Reply(batches.shown(ending))
    return reply_for(ending)
