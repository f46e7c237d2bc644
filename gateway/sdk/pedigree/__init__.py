# SPDX-License-Identifier: Apache-2.0
"""What applications import to use a gateway.

    with Pedigree("http://127.0.0.1:8102", key="id.secret") as pedigree:
        pedigree.register_model("screening", title="Screening of biopsies")
        with pedigree.run("screening-1", datasets=["dataset-version:wdbc:1"], code=Path("train.py")) as run:
            run.log_parameter("C", 1.0)
            run.log_metric("accuracy", "0.9736")

Recording methods return only after the transaction is committed and valid. They may be called again with the same
`idempotency_key` after any loss; within one call that happens by itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pedigree.auditlogs import AuditVerdict, verify_audit_log
    from pedigree.client import Pedigree
    from pedigree.consentproofs import ConsentVerdict, verify_consent
    from pedigree.errors import (
        Conflict,
        Disagreement,
        Forbidden,
        InvalidBundle,
        InvalidEvidence,
        InvalidInput,
        InvalidRequest,
        LedgerFault,
        NotFound,
        OutcomeUnknown,
        PedigreeError,
        Refused,
        Unauthenticated,
        Unavailable,
        Unmet,
        Unreachable,
    )
    from pedigree.evidence import parse_evidence, read_evidence
    from pedigree.files import digest_file, digest_files, manifest_digest
    from pedigree.folders import CODE_NAMES, GIT_PATHS
    from pedigree.logreceipts import verify_log_receipt
    from pedigree.proofs import Verdict, verify_record
    from pedigree.receipts import verify_receipt
    from pedigree.recorded import Recorded
    from pedigree.runs import Run
    from pedigree.uploads import Progress
    from pedigree.using import Used
    from pedigree.verifying import verify_copy

__all__ = [
    "CODE_NAMES",
    "GIT_PATHS",
    "AuditVerdict",
    "Conflict",
    "ConsentVerdict",
    "Disagreement",
    "Forbidden",
    "InvalidBundle",
    "InvalidEvidence",
    "InvalidInput",
    "InvalidRequest",
    "LedgerFault",
    "NotFound",
    "OutcomeUnknown",
    "Pedigree",
    "PedigreeError",
    "Progress",
    "Recorded",
    "Refused",
    "Run",
    "Unauthenticated",
    "Unavailable",
    "Unmet",
    "Unreachable",
    "Used",
    "Verdict",
    "digest_file",
    "digest_files",
    "manifest_digest",
    "parse_evidence",
    "read_evidence",
    "verify_audit_log",
    "verify_consent",
    "verify_copy",
    "verify_log_receipt",
    "verify_receipt",
    "verify_record",
]

_NAMES = {
    "pedigree.client": ("Pedigree",),
    "pedigree.errors": (
        "Conflict",
        "Disagreement",
        "Forbidden",
        "InvalidBundle",
        "InvalidEvidence",
        "InvalidInput",
        "InvalidRequest",
        "LedgerFault",
        "NotFound",
        "OutcomeUnknown",
        "PedigreeError",
        "Refused",
        "Unauthenticated",
        "Unavailable",
        "Unmet",
        "Unreachable",
    ),
    "pedigree.evidence": ("parse_evidence", "read_evidence"),
    "pedigree.files": ("digest_file", "digest_files", "manifest_digest"),
    "pedigree.folders": ("CODE_NAMES", "GIT_PATHS"),
    "pedigree.auditlogs": ("AuditVerdict", "verify_audit_log"),
    "pedigree.consentproofs": ("ConsentVerdict", "verify_consent"),
    "pedigree.logreceipts": ("verify_log_receipt",),
    "pedigree.proofs": ("Verdict", "verify_record"),
    "pedigree.receipts": ("verify_receipt",),
    "pedigree.recorded": ("Recorded",),
    "pedigree.runs": ("Run",),
    "pedigree.uploads": ("Progress",),
    "pedigree.using": ("Used",),
    "pedigree.verifying": ("verify_copy",),
}
"""Where each public name is; `make generate` writes the imports and `__all__` above out of it.

A module is imported when one of its names is first asked for (PEP 562), so that a command which only prints its help
does not wait for the client.
"""
_MODULE = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
