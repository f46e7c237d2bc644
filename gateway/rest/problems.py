# SPDX-License-Identifier: Apache-2.0
"""The one place that names a 4xx or 5xx: every failure becomes problem+json (RFC 9457) here.

A problem carries `type` (a stable URN), `title`, `status`, `detail`, `code` (the last part of `type`),
`retryable` (the same request may be sent again, with the same Idempotency-Key) and `facts`.
"""

from collections.abc import Mapping
from http import HTTPStatus

from chaincode.domain import errors as law
from gateway.services import ports
from gateway.services.attempts import Invalidated
from gateway.services.commits import Behind
from gateway.services.consent import UnknownTerm
from gateway.services.dispositions import Disposition
from gateway.services.filters import InvalidParameter
from gateway.services.ports import Json, PortError, Response
from gateway.services.shares import ShareTaken
from gateway.services.submitter import InProgress, KeyReused
from gateway.services.tables import UnknownDelimiter, UnreadableRecords
from gateway.services.trees import NotHeld

PREFIX = "urn:pedigree:problem:"

_LAW: tuple[tuple[type[law.LedgerError], int], ...] = (
    (law.Malformed, 422),
    (law.NotFound, 404),
    (law.Conflict, 409),
    (law.Forbidden, 403),
    (law.Unmet, 422),
)
# What cannot even be read is a bad request; what reads well but says something wrong is unprocessable.
_UNREADABLE = (law.InvalidJson, law.DuplicateName, law.TooDeep, law.NotANumber, law.FloatRefused,
               law.IntegerOutOfRange)  # fmt: skip
_PORTS: tuple[tuple[type[PortError], int, bool], ...] = (
    (ports.Refused, 422, False),
    (ShareTaken, 429, True),
    (ports.Unavailable, 503, True),
    (ports.EndorsementMismatch, 502, True),
    (ports.EndorsementRefused, 502, True),
    (ports.TimedOut, 504, True),
    (ports.Forbidden, 403, False),
    (ports.IdentityExpired, 401, False),
    (ports.TooLarge, 413, False),
    (ports.OrganisationsRequired, 422, False),
    (ports.LedgerMisuse, 502, False),
    (ports.NothingOrdered, 503, True),
    (ports.OutcomeUnknown, 503, True),
    (ports.StorageFull, 507, True),
    (ports.StorageFailed, 503, True),
    (ports.Damaged, 502, False),
    (InvalidParameter, 400, False),
    (UnknownTerm, 422, False),
    (UnknownDelimiter, 422, False),
    (UnreadableRecords, 422, False),
    (NotHeld, 404, False),
    (KeyReused, 422, False),
    (InProgress, 409, True),
    (Behind, 503, True),
)
_DISPOSITIONS: Mapping[str, int] = {
    "conflict": 409,
    "endorsement-policy": 502,
    "chaincode-upgrading": 503,
    "transaction-id-taken": 503,
    "transaction-invalid": 500,
}


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


def response_for(error: PortError | law.LedgerError) -> Response:
    """How a refusal or failure is answered, and stored where it is the final answer to a submission."""
    if isinstance(error, law.LedgerError):
        facts: Json = {name: list(f) if isinstance(f, tuple) else f for name, f in error.facts().items()}
        status = law_status(type(error))
        return Response(status, problem(status, error.code, str(error), facts=facts))
    if isinstance(error, Invalidated):
        status, retryable = disposition_status(error.ended), error.ended.retryable
    else:
        status, retryable = _port_status(error)
    return Response(status, problem(status, error.code, error.message, retryable=retryable, facts=error.facts))


def headers_for(error: Exception) -> dict[str, str]:
    """Header fields that belong to a failure: `Retry-After` wherever coming back makes sense."""
    if isinstance(error, HttpProblem):
        return error.headers
    if isinstance(error, ports.Unavailable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Behind | InProgress | ports.StorageFull | ports.StorageFailed):
        return {"Retry-After": "1"}
    return {}


def for_http(error: HttpProblem) -> Response:
    """The answer to a failure of HTTP's own."""
    retryable = error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return Response(
        error.status, problem(error.status, error.code, error.detail, retryable=retryable, facts=error.facts)
    )


def law_status(refusal: type[law.LedgerError]) -> int:
    """The status of a refusal by the law."""
    if issubclass(refusal, _UNREADABLE):
        return 400
    return next((status for family, status in _LAW if issubclass(refusal, family)), 422)


def disposition_status(ended: Disposition) -> int:
    """The status of a transaction that was ordered and is not valid."""
    return _DISPOSITIONS[ended.code]


def _port_status(error: PortError) -> tuple[int, bool]:
    return next(((status, again) for family, status, again in _PORTS if isinstance(error, family)), (500, False))
