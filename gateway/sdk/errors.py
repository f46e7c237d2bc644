# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between an application and a gateway.

PedigreeError
├─ Refused        the law or the door said no; the same request will be refused again
├─ Unavailable    the gateway or the network could not do it in the time allowed
├─ Unreachable    no gateway answered
└─ InvalidEvidence  a file does not prove what it says
"""

from collections.abc import Mapping
from typing import Any


class PedigreeError(Exception):
    """Base of every error of this package; `code` is permanent, `facts` are for programs."""

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int | None = None,
        retryable: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.retryable = retryable
        self.facts = dict(facts or {})

    @property
    def transaction_id(self) -> str | None:
        """The transaction that was ordered and found invalid, if there is one."""
        value = self.facts.get("transaction_id")
        return value if isinstance(value, str) else None

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}]"


class Refused(PedigreeError):
    """The request was understood and refused; sending it again changes nothing."""


class Unavailable(PedigreeError):
    """It could not be done in the time allowed; the same request may succeed later, with the same key."""


class Unreachable(PedigreeError):
    """No gateway answered at that address."""


class InvalidEvidence(PedigreeError):
    """A file does not prove what it says; the text says which check failed."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="invalid-evidence")


def from_problem(status: int, body: Any) -> PedigreeError:
    """The error for a problem+json answer, or for whatever stands in its place."""
    if not isinstance(body, dict) or "code" not in body:
        return Unavailable(f"The gateway answered {status} without a problem.", code="no-problem", status=status)
    retryable = bool(body.get("retryable"))
    kind = Unavailable if retryable or body["code"] == "internal" else Refused
    return kind(
        str(body.get("detail", body["code"])),
        code=str(body["code"]),
        status=status,
        retryable=retryable,
        facts=body.get("facts"),
    )
