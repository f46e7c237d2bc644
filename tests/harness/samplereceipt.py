# SPDX-License-Identifier: Apache-2.0
"""Consent receipts as a gateway makes them, over evidence in a small map."""

import json
from typing import Any, cast

from sampleconsent import AT, evidence_of_consent

from chaincode.domain.consent import ConsentStatus, Indication
from chaincode.domain.values import Name, Purposes, SignedInstant
from gateway.services.catalogue import Catalogue
from gateway.services.consenting import Consents
from gateway.services.receipts import Receipts

OWN = "https://hospital.example/purposes#Registry"
MAP = {
    "ann": Indication(ConsentStatus.GIVEN, Purposes(0b11 | 1 << 33 | 1 << 40), SignedInstant(AT)),
    "bob": Indication(ConsentStatus.WITHDRAWN, Purposes(0), SignedInstant(-1_000)),
}


class Ledger:
    """A data set on consent, and one purpose that its owner registered."""

    def get(self, kind: str, reference: str, **where: str) -> dict[str, Any]:
        return {"record": {"dataset": "visits", "basis": "consent", "jurisdictions": ["US"]}}

    def all(self, kind: str, **where: str) -> list[dict[str, Any]]:
        assert (kind, where) == ("purpose", {"owner": "HospitalMSP"})
        return [{"record": {"bit": 33, "iri": OWN}}]


class Controller:
    def proof(self, dataset: str, subject: str, number: int | None) -> dict[str, Any]:
        return evidence_of_consent(subject, MAP)


def receipt_of(subject: str) -> dict[str, Any]:
    """A receipt as a gateway makes it."""
    made = Receipts(cast("Consents", Controller()), cast("Catalogue", Ledger()), lambda: 1_796_000_000.0)
    return cast("dict[str, Any]", json.loads(json.dumps(made.of(Name("visits"), subject)["receipt"])))
