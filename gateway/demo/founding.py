# SPDX-License-Identifier: Apache-2.0
"""What the story begins with: the law that the organisations agree on, and where the hospital's records are from."""

from __future__ import annotations

from typing import Any

from gateway.demo.consortium import Consortium
from pedigree.documents import Origin

ORIGIN: Origin = {
    "source": "University of Wisconsin Hospitals, Madison; as distributed with scikit-learn",
    "method": "features computed from digitised images of fine needle aspirates",
    "geography": ["US-WI"],
}
FOUNDING_POLICY: dict[str, Any] = {
    "number": 1,
    "members": [
        {"organisation": "HospitalMSP", "roles": ["supplier"]},
        {"organisation": "LabMSP", "roles": ["trainer"]},
        {"organisation": "RegulatorMSP", "roles": ["auditor"]},
    ],
    "rules": [{"artifact_kind": "model-version", "threshold": 2, "required_roles": ["auditor"]}],
    "amendment_threshold": 2,
}


def found(consortium: Consortium) -> None:
    """Have the members whose votes it takes make the founding policy the law; nothing is recorded before."""
    for name in ("hospital", "regulator"):
        with consortium.client(name) as member:
            member.set_policy(**FOUNDING_POLICY)
