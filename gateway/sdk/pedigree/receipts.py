# SPDX-License-Identifier: Apache-2.0
"""Consent receipts (ISO/IEC TS 27560, in the terms of the Data Privacy Vocabulary), checked offline.

A receipt repeats in words for the subject what the evidence in it proves. What the words say is compared with the
evidence, member by member, and the evidence with a root or a version that the caller has from a ledger.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pedigree.consentproofs import ConsentEvidence, ConsentVerdict, Indicated, time_of, verify_consent
from pedigree.errors import InvalidEvidence
from pedigree.fields import Fields
from pedigree.given import quoted

RECEIPT_TYPE: Final = "dpv:ConsentReceipt"
PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt"
CONTEXT: Final[Mapping[str, Any]] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "pedigree": "https://pedigree.example/consent-receipt/v1#",
    "pedigree:evidence": {"@type": "@json"},
}
"""What the terms of a receipt mean."""
PURPOSE_IRIS: Final = (
    "https://w3id.org/dpv#ScientificResearch",
    "https://pedigree.example/purposes#ModelTraining",
    "https://pedigree.example/purposes#ModelEvaluation",
    "https://w3id.org/dpv/sector/health#PrimaryCareManagement",
    "https://pedigree.example/purposes#PublicHealth",
    "https://w3id.org/dpv#CommercialPurpose",
)
"""The purposes that are the same for everybody, by their bit."""
_KIND: Final = "consent receipt"
_MEMBERS: Final = "@context @id @type dct:identifier dct:conformsTo dct:issued dct:hasPart pedigree:evidence"
_OF_RECORD: Final = (
    "@type dpv:hasDataSubject dpv:hasDataController dpv:hasProcess dpv:hasConsentStatus dpv:isIndicatedAtTime "
    "dpv:isIndicatedBy"
)
_SAID_ONLY: Final = "dpv:hasLegalBasis dpv:hasJurisdiction"
_PURPOSES: Final = "/dct:hasPart/dpv:hasProcess/dpv:hasPurpose"
_MOST_TERRITORIES: Final = 1_000


def is_receipt(value: Mapping[str, Any]) -> bool:
    """Whether a file is meant to be a receipt."""
    return value.get("@type") == RECEIPT_TYPE


def verify_receipt(
    receipt: Any,
    *,
    root: str | None = None,
    version: Mapping[str, Any] | None = None,
    purposes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
) -> ConsentVerdict:
    """Check a consent receipt offline; raises `InvalidEvidence` where it is refuted or malformed.

    Args:
        receipt: the document, as `consent_receipt` gives it or `read_evidence` reads it.
        root: the root of the map's version in hex, read from a ledger that the caller trusts.
        version: instead, the ledger's answer for the version (`Pedigree.consent_version`).
        purposes: the ledger's answer for registered purposes (`Pedigree.purposes`), or several.

    Without either the verdict is not `verified`. Raises `InvalidInput` where what the caller gave is malformed.
    """
    if not isinstance(receipt, dict) or not is_receipt(receipt):
        raise InvalidEvidence(f"it is not a {_KIND} (field /@type)")
    whole = Fields(receipt, "", _MEMBERS, kind=_KIND)
    if receipt["@context"] != CONTEXT:
        raise InvalidEvidence("the field /@context gives its terms another meaning than a receipt of Pedigree has")
    whole.inner("dct:conformsTo", "@id").expect("@id", PROFILE)
    verdict = verify_consent(receipt["pedigree:evidence"], root=root, version=version, purposes=purposes)
    found = ConsentEvidence.of(receipt["pedigree:evidence"])
    if found.indicated is None:
        raise InvalidEvidence("its evidence is of a subject that is not in the map, and it says what that indicated")
    _identified(whole, found)
    record = whole.inner("dct:hasPart", _OF_RECORD, _SAID_ONLY)
    _said_of_record(record, found, found.indicated)
    named = [*_purposes(record, found, found.indicated)]
    return replace(
        verdict,
        proven=("What the receipt says of the consent is what its evidence shows.", *verdict.proven),
        said=(*verdict.said, *_repeated(whole, record, named)),
    )


def _identified(whole: Fields, found: ConsentEvidence) -> None:
    wanted = f"urn:pedigree:consent-receipt:{found.dataset}:{found.number}:{found.subject.hex()}"
    for name in ("@id", "dct:identifier"):
        if whole.text(name) != wanted:
            raise InvalidEvidence(f"the field /{name} does not name the subject and version of its evidence")


def _said_of_record(record: Fields, found: ConsentEvidence, indicated: Indicated) -> None:
    """Compare what the words say with the evidence; each difference has its own sentence."""
    record.expect("@type", "dpv:ConsentRecord")
    subject = f"urn:pedigree:subject:{found.subject.hex()}"
    if _typed(record, "dpv:hasDataSubject", "dpv:DataSubject", "@id").text("@id") != subject:
        raise InvalidEvidence("it names another data subject than its evidence")
    if record.inner("dpv:isIndicatedBy", "@id").text("@id") != subject:
        raise InvalidEvidence("it says that another one indicated the consent than its data subject")
    controller = _typed(record, "dpv:hasDataController", "dpv:DataController", "dct:identifier")
    if controller.text("dct:identifier") != found.owner:
        raise InvalidEvidence("it names another controller than the owner of the map in its evidence")
    if record.inner("dpv:hasConsentStatus", "@id").text("@id") != f"dpv:{indicated.status}":
        raise InvalidEvidence("it says another status than its evidence")
    if record.text("dpv:isIndicatedAtTime") != time_of(indicated.at):
        raise InvalidEvidence("it says another time of the indication than its evidence")
    data = _typed(_process(record), "dpv:hasPersonalData", "dpv:PersonalData", "dct:identifier")
    if data.text("dct:identifier") != found.dataset:
        raise InvalidEvidence("it names another data set than its evidence")


def _purposes(record: Fields, found: ConsentEvidence, indicated: Indicated) -> Iterator[str]:
    """The controller's own purposes that the evidence does not name, as the receipt calls them; others are compared."""
    known = {each.bit: each.iri for each in found.registered}
    listed = _process(record).value.get("dpv:hasPurpose")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InvalidEvidence(f"the field {_PURPOSES} must be a list of purposes")
    iris = [Fields(each, _PURPOSES, "@id", kind=_KIND).text("@id") for each in listed]
    bits = [bit for bit in range(64) if indicated.purposes >> bit & 1]
    if len(iris) != len(bits):
        raise InvalidEvidence("it names another number of purposes than its evidence has")
    for bit, iri in zip(bits, iris, strict=True):
        if bit < len(PURPOSE_IRIS):
            if iri != PURPOSE_IRIS[bit]:
                raise InvalidEvidence("it names another purpose than its evidence has")
        elif iri in PURPOSE_IRIS or iri != known.get(bit, iri):
            raise InvalidEvidence("it calls a purpose of the controller's own by the name of another one")
        elif bit not in known:
            yield f"The purpose with the bit {bit} is {quoted(iri)}."


def _process(record: Fields) -> Fields:
    return _typed(record, "dpv:hasProcess", "dpv:Process", "dpv:hasPurpose dpv:hasPersonalData")


def _typed(fields: Fields, name: str, kind: str, names: str) -> Fields:
    """An object of the receipt that is of a type."""
    found = fields.inner(name, f"@type {names}")
    found.expect("@type", kind)
    return found


def _repeated(whole: Fields, record: Fields, named: list[str]) -> Iterator[str]:
    yield f"It was issued at {quoted(whole.text('dct:issued'))}."
    yield from named
    if record.has("dpv:hasLegalBasis"):
        yield f"The legal basis is {quoted(record.inner('dpv:hasLegalBasis', '@id').text('@id'))}."
    if record.has("dpv:hasJurisdiction"):
        found = record.texts("dpv:hasJurisdiction", _MOST_TERRITORIES, lambda _: True)
        yield f"The jurisdictions are {', '.join(map(quoted, found))}."
