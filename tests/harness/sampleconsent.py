# SPDX-License-Identifier: Apache-2.0
"""Evidence of consent in a small map, made with the law's own values and a plain tree, for tests of SDK and command."""

import base64
from hashlib import sha256
from typing import Any

from sparsemap import proof_of, root_of

from chaincode.domain.consent import ConsentStatus, Indication
from chaincode.domain.values import Purposes, SignedInstant

AT = 1_795_397_861_506


def reference_of(subject: str) -> bytes:
    """The reference of a subject, which is always the same."""
    return sha256(subject.encode()).digest()


GIVEN = Indication(ConsentStatus.GIVEN, Purposes(0b11), SignedInstant(AT))
WITHDRAWN = Indication(ConsentStatus.WITHDRAWN, Purposes(0), SignedInstant(AT))
MAP = {f"s{number}": WITHDRAWN if number == 4 else GIVEN for number in range(9)}
"""What each subject of the map indicated; of `s4`, that consent was withdrawn."""


def leaves_of(indications: dict[str, Indication]) -> dict[bytes, bytes]:
    """The keys and values of a map."""
    return {reference_of(subject): indication.value() for subject, indication in indications.items()}


def evidence_of_consent(subject: str, indications: dict[str, Indication] = MAP) -> dict[str, Any]:
    """The evidence of one subject, whether it is in the map or not, as its controller's gateway writes it."""
    leaves = leaves_of(indications)
    proof = proof_of(leaves, reference_of(subject))
    found = indications.get(subject)
    return {
        "kind": "consent-evidence",
        "schema": 1,
        "channel": "pedigree",
        "version": {
            "kind": "consent-map-version",
            "schema": 1,
            "at": AT,
            "changed": 1,
            "counts": [{"status": "ConsentWithdrawn", "count": 1}],
            "dataset": "visits",
            "number": 2,
            "owner": "HospitalMSP",
            "previous_root": "ab" * 32,
            "root": root_of(leaves).hex(),
            "size": len(leaves),
        },
        "transaction": {"id": "cd" * 32, "block": 18, "at": "2026-11-23T01:37:41.506713Z"},
        "subject": reference_of(subject).hex(),
        "status": None
        if found is None
        else {
            "status": found.status.value,
            "purposes": str(found.purposes),
            "indicated_at": int(found.indicated_at),
        },
        "proof": {
            "siblings": base64.b64encode(proof.siblings).decode(),
            "leaf": base64.b64encode(proof.leaf).decode(),
        },
    }
