# SPDX-License-Identifier: Apache-2.0
"""Notes every refusal in the audit log before it is answered: who asked for what, and the code of what was said."""

import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response, g, request

from chaincode.domain.errors import LedgerError
from chaincode.domain.register import ACTION, locate
from chaincode.domain.values import Ref
from gateway.api.operations import OPERATIONS
from gateway.api.rows import Operation
from gateway.services.auditlog import FAILED, REFUSED, AuditLog, Refusal
from gateway.services.ports import Category, Failed, Submission

REQUEST_ID: Final = "Request-Id"
"""The header field with the id under which a refusal is in the log."""
_OPERATION: Final = {operation.name: operation for operation in OPERATIONS}
_RECORDS: Final = {operation.body.command: operation.name for operation in OPERATIONS if operation.body is not None}
_FAILURES: Final = frozenset(
    {Category.FAULT, Category.NETWORK, Category.UNAVAILABLE, Category.TIMED_OUT, Category.FULL}
)


class Auditor:
    """Puts what was refused into the log."""

    def __init__(self, log: AuditLog, acting: Callable[[str], str]) -> None:
        """Assign.

        Args:
            acting: what the ledger calls a client of this gateway.
        """
        self._log = log
        self._acting = acting

    def answered(self, response: Response) -> Response:
        """Note what a request was refused, if it was, and tell its id; called with the answer before it is sent.

        That a reader asked for something that is not there is not a refusal. Where it may not learn whether that is so,
        the log says `not-visible`, and the answer is the same.
        """
        code = g.get("code")
        client = g.get("client")
        hidden = g.get("hidden", False)
        absent = response.status_code == HTTPStatus.NOT_FOUND and request.method == "GET" and client
        if code is None or (absent and not hidden):
            return response
        name = (request.endpoint or "").rpartition(".")[2] or None
        operation = None if name is None else _OPERATION.get(name)
        identifier = secrets.token_hex(8)
        self._log.note(
            Refusal(
                client=None if client is None else self._acting(client.id),
                operation=name,
                outcome=FAILED if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else REFUSED,
                code="not-visible" if hidden else code,
                target=None if operation is None else target_of(operation, request.view_args or {}, g.get("received")),
                request=identifier,
            )
        )
        if not hidden:
            response.headers[REQUEST_ID] = identifier
        return response

    def ended(self, submission: Submission, ending: Failed) -> None:
        """Note how a submission ended whose request was answered before; its id is that of the operation."""
        self._log.note(
            Refusal(
                client=self._acting(submission.client),
                operation=_RECORDS.get(submission.function),
                outcome=FAILED if ending.category in _FAILURES else REFUSED,
                code=ending.code,
                request=submission.id,
            )
        )


def target_of(operation: Operation, path: Mapping[str, str], body: Any) -> str | None:
    """The reference of the record that a request is about; `None` where it names none that could be.

    It is what the path names, or else what a command's record would be called.
    """
    text = operation.about.format_map(path) if operation.about else _new(operation, path, body)
    try:
        locate(Ref(text))
    except LedgerError:
        return None
    return text


def _new(operation: Operation, path: Mapping[str, str], body: Any) -> str:
    if operation.body is None:
        return ""
    kind, _ = ACTION[operation.body.command]
    said = {**body, **path} if isinstance(body, dict) else path
    parts = [str(said.get(name, "")) for name in kind.key]
    return ":".join((kind.reference, *parts)) if kind.reference else ""
