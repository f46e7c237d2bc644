# SPDX-License-Identifier: Apache-2.0
"""The one place that gives an ending its HTTP status: every failure becomes problem+json (RFC 9457) here.

A problem carries `type` (a stable URN), `title`, `status`, `detail`, `code` (the last part of `type`),
`retryable` (the same request may be sent again, with the same Idempotency-Key) and `facts`.
"""

from collections.abc import Mapping
from http import HTTPStatus

from chaincode.domain.errors import LedgerError
from gateway.api.rows import RECORDED
from gateway.rest.replies import Reply
from gateway.services import ports
from gateway.services.callers import Unrecognised
from gateway.services.commits import Behind
from gateway.services.endings import failed
from gateway.services.ports import Category, Ending, Json, PortError, Recorded
from gateway.services.submitter import InProgress

PREFIX = "urn:pedigree:problem:"

STATUSES: Mapping[Category, int] = {
    Category.UNREADABLE: 400,
    Category.UNIDENTIFIED: 401,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.TOO_LARGE: 413,
    Category.UNACCEPTABLE: 422,
    Category.TOO_MANY: 429,
    Category.FAULT: 500,
    Category.NETWORK: 502,
    Category.UNAVAILABLE: 503,
    Category.TIMED_OUT: 504,
    Category.FULL: 507,
}
"""The status of every failure."""


class HttpProblem(Exception):
    """A failure of HTTP's own: a bad header, an unknown path, a missing credential."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.facts: Json = dict(facts)


def problem(status: int, code: str, detail: str, *, retryable: bool = False, facts: Json | None = None) -> Json:
    """The body of a problem."""
    return {
        "type": PREFIX + code,
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
        "facts": facts or {},
    }


def reply_for(ending: Ending) -> Reply:
    """How a request to record something is answered that ended so, the first time and when it is repeated."""
    if isinstance(ending, Recorded):
        return Reply(ending.body, RECORDED)
    status = STATUSES[ending.category]
    return Reply(problem(status, ending.code, ending.detail, retryable=ending.retryable, facts=ending.facts), status)


def response_for(error: PortError | LedgerError) -> Reply:
    """How a refusal or failure is answered."""
    return reply_for(failed(error))


def headers_for(error: Exception) -> dict[str, str]:
    """Header fields that belong to a failure: `Retry-After` wherever coming back makes sense."""
    if isinstance(error, HttpProblem):
        return error.headers
    if isinstance(error, Unrecognised):
        return {"WWW-Authenticate": 'Bearer realm="pedigree"'}
    if isinstance(error, ports.Unavailable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Behind | InProgress | ports.StorageFull | ports.StorageFailed):
        return {"Retry-After": "1"}
    return {}


def for_http(error: HttpProblem) -> Reply:
    """The answer to a failure of HTTP's own."""
    retryable = error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    body = problem(error.status, error.code, error.detail, retryable=retryable, facts=error.facts)
    return Reply(body, error.status)
