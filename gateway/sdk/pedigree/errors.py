# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between an application and a gateway.

PedigreeError
├─ Refused              the ledger's rules or the gateway said no; the same request will be refused again
│  ├─ InvalidRequest    what was sent has the wrong form, or is too large
│  ├─ Unauthenticated   the key, or the gateway's own identity, is not accepted
│  ├─ Forbidden         others may do it, this organisation or this key may not
│  ├─ NotFound          there is no such record
│  ├─ Conflict          what is recorded already is in the way
│  ├─ Unmet             a rule of the ledger asks for something that is not there
│  └─ LedgerFault       the gateway, its peers or its store did something wrong: an operator should look
├─ Unavailable          the gateway or the network could not do it in the time allowed
│  └─ OutcomeUnknown    it may have been recorded: the same request with the same key says
├─ Unreachable          no gateway answered
├─ Disagreement         what was checked differs from the ledger; `report` says where
│  └─ InvalidEvidence   a file does not prove what it says
├─ InvalidBundle        a bundle is damaged, or not of the version on the ledger: nothing was compared
└─ InvalidInput         an argument that will not be recorded; nothing was sent (also a ValueError)

`code` tells apart what one class holds. The `pedigree` command has an exit code for each class below PedigreeError.
"""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from pedigree.comparisons import CopyComparison, ModelComparison, RunComparison
from pedigree.documents import UNMET, DatasetComparison, Facts

AnyComparison = DatasetComparison | CopyComparison | ModelComparison | RunComparison


class PedigreeError(Exception):
    """Base of every error of this package; `code` is permanent, `facts` are for programs."""

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int | None = None,
        retryable: bool = False,
        facts: Facts | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.retryable = retryable
        self.facts: Facts = {**facts} if facts else {}

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


class InvalidRequest(Refused):
    """What was sent has the wrong form or is too large; the detail names the field."""


class Unauthenticated(Refused):
    """The API key is not accepted, or the gateway's own identity no longer is on the channel."""


class Forbidden(Refused):
    """Others may do this; this organisation, or this API key with its role, may not."""


class NotFound(Refused):
    """There is no such record, or none that this gateway may show."""


class Conflict(Refused):
    """What is recorded already is in the way, such as a record of the same name."""


class Unmet(Refused):
    """The request is well formed, and a rule of the ledger asks for something that is not there, such as a quorum."""


class LedgerFault(Refused):
    """The gateway, its peers or its store did something wrong, which the same request would meet again."""


class Unavailable(PedigreeError):
    """It could not be done in the time allowed; the same request may succeed later, with the same key."""


class OutcomeUnknown(Unavailable):
    """It may have been recorded; the same request with the same idempotency key, which `facts` has, says."""


class Unreachable(PedigreeError):
    """No gateway answered at that address."""


class Disagreement(PedigreeError):
    """What was checked is not what the ledger names; `report` says what differs."""

    def __init__(self, detail: str, *, code: str = "disagrees", report: AnyComparison | None = None) -> None:
        super().__init__(detail, code=code, facts=cast("Facts | None", report))

    @property
    def report(self) -> AnyComparison:
        """What `verify_dataset`, `verify_copy`, `verify_model` or `verify_run` answers; empty for all other checks."""
        return cast("AnyComparison", self.facts)


class InvalidEvidence(Disagreement):
    """A file does not prove what it says; the text says which check failed."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="invalid-evidence")


class InvalidBundle(PedigreeError):
    """A bundle cannot be used: it is cut off, altered or of another version, and says nothing about any copy."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="invalid-bundle")


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


_KINDS: Mapping[int, type[Refused]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
}


def _kind(status: int, code: str, *, retryable: bool) -> type[PedigreeError]:
    if code in {"outcome-unknown", "pending"}:
        return OutcomeUnknown
    if retryable or code == "internal":
        return Unavailable
    if code in UNMET:
        return Unmet
    return _KINDS.get(status, LedgerFault if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InvalidRequest)
