# SPDX-License-Identifier: Apache-2.0
"""Which problems each operation can be answered with, by HTTP status; the OpenAPI document lists them.

They follow from what an operation is: whether it takes a body, has a place in its path, records. What only one of them
can answer is in its row. A test compares the answers of the whole API with this list.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import ModuleType

from chaincode.domain import errors
from chaincode.domain.errors import LedgerError, common, form
from gateway.api.rows import Operation
from gateway.api.scopes import ANY_CLIENT, ROLES
from gateway.rest import problems
from gateway.services import dispositions
from gateway.services.endings import category_of
from gateway.services.recording import names_purpose, names_purposes

Codes = dict[int, set[str]]

_SERVER: Mapping[int, tuple[str, ...]] = {
    400: ("malformed-request", "tls-needed"),
    408: ("request-timeout",),
    414: ("uri-too-long",),
    417: ("expectation-failed",),
    429: ("too-many-connections", "quota-exceeded"),
    431: ("headers-too-large",),
    500: ("internal",),
    501: ("unsupported-transfer-coding",),
}
_EVERY: Mapping[int, tuple[str, ...]] = {
    400: ("unknown-parameter", "repeated-parameter", "invalid-header"),
    401: ("unauthenticated", "unknown-certificate", "credentials-disagree", "credential-expired"),
    403: ("no-role",),
    502: ("blob-integrity",),
    503: ("behind", "storage-failed", "issuer-unavailable"),
}
_PARAMETERS: Mapping[int, tuple[str, ...]] = {400: ("invalid-parameter",)}
_PLACE: Mapping[int, tuple[str, ...]] = {404: ("no-such-path", "not-found")}
_NO_BODY: Mapping[int, tuple[str, ...]] = {400: ("unexpected-body",)}
_BODY: Mapping[int, tuple[str, ...]] = {
    400: ("body-incomplete", "invalid-body", "digest-mismatch"),
    413: ("body-too-large",),
    415: ("unsupported-media-type", "unsupported-encoding"),
    429: ("too-many-requests",),
    503: ("capacity",),
}
_UPLOAD: Mapping[int, tuple[str, ...]] = {
    422: ("unreadable-records", "record-id-repeated", "unknown-term", "unknown-delimiter"),
    507: ("storage-full",),
}
_PURPOSE: Mapping[int, tuple[str, ...]] = {422: ("unknown-term",)}
_TAGGED: Mapping[int, tuple[str, ...]] = {412: ("precondition-failed",)}
_ASKING: Mapping[int, tuple[str, ...]] = {
    # What `from=ledger` adds: the peer is asked, and may not answer.
    401: ("identity-expired",),
    403: ("identity-refused",),
    413: ("transaction-too-large",),
    502: ("ledger-protocol", "endorsement-refused"),
    503: (
        "catching-up", "chaincode-undefined", "chaincode-unavailable", "clock-skew", "endorsers-unavailable",
        "not-ordered", "peer-behind", "peer-capacity", "peer-timeout", "peer-unavailable",
        "signing-key-unavailable",
    ),
    504: ("chaincode-timeout",),
}  # fmt: skip
_RECORDING: Mapping[int, tuple[str, ...]] = {
    400: ("idempotency-key-missing",),
    401: ("identity-expired",),
    403: ("identity-refused",),
    409: ("in-progress",),
    413: ("transaction-too-large",),
    422: ("idempotency-key-reused", "endorsing-organisations-required"),
    502: ("endorsement-mismatch", "endorsement-refused", "ledger-protocol"),
    503: (
        "catching-up", "chaincode-undefined", "chaincode-unavailable", "clock-skew", "endorsers-timeout",
        "endorsers-unavailable", "not-ordered", "outcome-unknown", "peer-behind", "peer-capacity", "peer-timeout",
        "peer-unavailable",
        "signing-key-unavailable",
    ),
    504: ("chaincode-timeout",),
    507: ("storage-full",),
}  # fmt: skip


def codes_of(operation: Operation) -> Mapping[int, list[str]]:
    """The codes that an operation can be refused with, sorted, by status."""
    found: Codes = defaultdict(set)
    for table in (_SERVER, _EVERY, operation.codes, *_by_kind(operation)):
        for status, codes in table.items():
            found[status].update(codes)
    found[403].update(_of_the_permissions(operation))
    for refusal in _of_the_law(operation):
        found[problems.STATUSES[category_of(refusal)]].add(refusal.code)
    if operation.records or operation.elsewhere:
        for disposition in dispositions.FAILURES:
            found[problems.STATUSES[disposition.category]].add(disposition.code)
    return {status: sorted(found[status]) for status in sorted(found)}


def _of_the_permissions(operation: Operation) -> Iterable[str]:
    """What the table of permissions refuses an operation with."""
    if operation.scope != ANY_CLIENT or "{reference}" in operation.path:
        yield "scope-missing"
    if operation.role != ROLES[0]:
        yield "role-too-low"
    if not operation.narrowed:
        yield "beyond-owners"


def _by_kind(operation: Operation) -> Iterable[Mapping[int, tuple[str, ...]]]:
    yield _NO_BODY if not operation.media_types else _BODY
    if operation.taken:
        yield _PARAMETERS
    if "{" in operation.path:
        yield _PLACE
    if operation.tagged:
        yield _TAGGED
    if any(parameter.name == "from" for parameter in operation.parameters):
        yield _ASKING
    if operation.uploads:
        yield _UPLOAD
    if operation.keyed or operation.elsewhere:
        yield _RECORDING
    command = None if operation.body is None else operation.body.command
    if command is not None and (names_purpose(command) or names_purposes(command)):
        yield _PURPOSE


def _of_the_law(operation: Operation) -> Iterable[type[LedgerError]]:
    """Refusals by the law: of any input's form; of commands, those of the chapter that they belong to."""
    yield from _defined_in(form)
    if not operation.records and not operation.elsewhere:
        return
    yield from _defined_in(common)
    chapters: Iterable[str] = () if operation.body is None else operation.body.refusals
    if operation.elsewhere:
        chapters = ("access", "claiming", "data", "judging", "speaking", "vouching")
    for chapter in chapters:
        yield from _defined_in(getattr(errors, chapter))


def _defined_in(module: ModuleType) -> Iterable[type[LedgerError]]:
    for thing in vars(module).values():
        if isinstance(thing, type) and issubclass(thing, LedgerError) and thing.__module__ == module.__name__:
            yield thing
