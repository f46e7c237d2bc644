# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between an application and a gateway.

PedigreeError
├─ Refused              the ledger's rules or the gateway said no; the same request will be refused again
│  └─ NotFound          there is no such record
├─ Unavailable          the gateway or the network could not do it in the time allowed
├─ Unreachable          no gateway answered
├─ Disagreement         what was checked differs from the ledger; `report` says where
│  └─ InvalidEvidence   a file does not prove what it says
└─ InvalidInput         an argument that will not be recorded; nothing was sent (also a ValueError)

The `pedigree` command has one exit code for each of them.
"""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
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

    saved_to: Path | None = None
    """The file to which a run was saved that could not be recorded; `pedigree run record FILE` takes it."""

    @property
    def transaction_id(self) -> str | None:
        """The transaction that was ordered and found invalid, if there is one."""
        value = self.facts.get("transaction_id")
        return value if isinstance(value, str) else None

    def __str__(self) -> str:
        kept = "" if self.saved_to is None else f"; the run is kept in {self.saved_to}"
        return f"{self.detail} [{self.code}]{kept}"


class Refused(PedigreeError):
    """The request was understood and refused; sending it again changes nothing."""


class NotFound(Refused):
    """There is no such record, or none that this gateway may show."""


class Unavailable(PedigreeError):
    """It could not be done in the time allowed; the same request may succeed later, with the same key."""


class Unreachable(PedigreeError):
    """No gateway answered at that address."""


class Disagreement(PedigreeError):
    """What was checked is not what the ledger names; `report` says what differs."""

    def __init__(self, detail: str, *, code: str = "disagrees", report: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail, code=code, facts=report)

    @property
    def report(self) -> dict[str, Any]:
        """What `verify_dataset` and `verify_model` answer."""
        return self.facts


class InvalidEvidence(Disagreement):
    """A file does not prove what it says; the text says which check failed."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="invalid-evidence")


class InvalidInput(PedigreeError, ValueError):
    """An argument that the ledger would refuse, found before anything was sent; the text names it."""

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__(detail, code="invalid-input", facts={"field": field})


def from_problem(status: int, body: Any) -> PedigreeError:
    """The error for a problem+json answer, or for whatever came in its place."""
    if not isinstance(body, dict) or "code" not in body:
        return Unavailable(f"The gateway answered {status} without a problem.", code="no-problem", status=status)
    retryable = bool(body.get("retryable"))
    return _kind(status, str(body["code"]), retryable=retryable)(
        str(body.get("detail", body["code"])),
        code=str(body["code"]),
        status=status,
        retryable=retryable,
        facts=body.get("facts"),
    )


def _kind(status: int, code: str, *, retryable: bool) -> type[PedigreeError]:
    if retryable or code == "internal":
        return Unavailable
    return NotFound if status == HTTPStatus.NOT_FOUND else Refused
