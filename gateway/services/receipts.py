# SPDX-License-Identifier: Apache-2.0
"""Consent receipts: what a data subject is given, in the terms of ISO/IEC TS 27560 as the Data Privacy Vocabulary has
them (profile dpv-27560), with the proof that the consent map says so.

A receipt needs an identifier and the profile that it follows; beside these it has what the ledger knows of the consent
record. What the ledger does not know (notice, recipients, storage) is left out and not made up.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chaincode.domain.purposes import FIRST_OWN, LAST, PURPOSES
from chaincode.domain.values import Name
from gateway.services.catalogue import Catalogue
from gateway.services.consenting import Consents
from gateway.services.failures import Category, PortError
from gateway.services.ports import Clock, Json

PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt"
CONTEXT: Final[Json] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "pedigree": "https://pedigree.example/consent-receipt/v1#",
    "pedigree:evidence": {"@type": "@json"},
}
"""The terms of a receipt; the evidence is kept as the JSON that it is."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BASES: Final = {"consent": "dpv:Consent"}
"""Lawful bases in the vocabulary's terms, where it has one."""


class NothingIndicated(PortError):
    """The subject is not in that version of the map: there is nothing to give a receipt for."""

    code = "nothing-indicated"
    category = Category.NOT_FOUND


class Receipts:
    """Makes receipts of what this organisation's data subjects indicated; records nothing."""

    def __init__(self, consents: Consents, catalogue: Catalogue, clock: Clock) -> None:
        self._consents = consents
        self._catalogue = catalogue
        self._clock = clock

    def of(self, dataset: Name, subject: str, number: int | None = None) -> Json:
        """The receipt of a subject's consent in a version of the map, the last one by default.

        Raises `NothingIndicated`, and what `Consents.proof` raises.
        """
        evidence = self._consents.proof(dataset, subject, number)
        version, status = evidence["version"], evidence["status"]
        if status is None:
            raise NothingIndicated(
                f"the subject is not in version {version['number']} of the consent map of {dataset}",
                dataset=dataset,
                number=version["number"],
            )
        registered = self._catalogue.get("dataset", f"dataset:{dataset}", dataset=dataset)["record"]
        identifier = f"urn:pedigree:consent-receipt:{dataset}:{version['number']}:{evidence['subject']}"
        record: Json = {
            "@type": "dpv:ConsentRecord",
            "dpv:hasDataSubject": {"@id": f"urn:pedigree:subject:{evidence['subject']}", "@type": "dpv:DataSubject"},
            "dpv:hasDataController": {"@type": "dpv:DataController", "dct:identifier": version["owner"]},
            "dpv:hasProcess": {
                "@type": "dpv:Process",
                "dpv:hasPurpose": [{"@id": iri} for iri in self._purposes(version["owner"], status["purposes"])],
                "dpv:hasPersonalData": {"@type": "dpv:PersonalData", "dct:identifier": dataset},
            },
            "dpv:hasConsentStatus": {"@id": f"dpv:{status['status']}"},
            "dpv:isIndicatedAtTime": time_of(status["indicated_at"]),
            "dpv:isIndicatedBy": {"@id": f"urn:pedigree:subject:{evidence['subject']}"},
        }
        basis = _BASES.get(registered.get("basis"))
        if basis is not None:
            record["dpv:hasLegalBasis"] = {"@id": basis}
        if registered.get("jurisdictions"):
            record["dpv:hasJurisdiction"] = list(registered["jurisdictions"])
        receipt = {
            "@context": CONTEXT,
            "@id": identifier,
            "@type": "dpv:ConsentReceipt",
            "dct:identifier": identifier,
            "dct:conformsTo": {"@id": PROFILE},
            "dct:issued": time_of(int(self._clock() * 1_000)),
            "dct:hasPart": record,
            "pedigree:evidence": evidence,
        }
        return {"dataset": dataset, "number": version["number"], "receipt": receipt}

    def _purposes(self, owner: str, purposes: str) -> Iterator[str]:
        """The IRIs of a set of purposes, in the order of their bits."""
        bits = int(purposes, 16)
        own: dict[int, str] = {}
        if bits >> FIRST_OWN:
            found: list[Any] = self._catalogue.all("purpose", owner=owner)
            own = {int(each["record"]["bit"]): str(each["record"]["iri"]) for each in found}
        for bit in range(LAST + 1):
            if bits >> bit & 1:
                known = str(PURPOSES[bit][1]) if bit < len(PURPOSES) else own.get(bit)
                yield known or f"urn:pedigree:purpose:{owner}:{bit}"


def time_of(milliseconds: int) -> str:
    """An instant of the years 1 to 9999 (milliseconds since 1970) in RFC 3339, to the millisecond."""
    at = _EPOCH + timedelta(milliseconds=milliseconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
