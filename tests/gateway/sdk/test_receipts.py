# SPDX-License-Identifier: Apache-2.0
"""Consent receipts: what they say is what their evidence shows, or they are refused with a sentence of their own."""

import copy
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sampleconsent import AT, evidence_of_consent
from samplereceipt import MAP, OWN, receipt_of

from chaincode.domain import purposes as law
from gateway.services import receipts as making
from gateway.services.receipts import NothingIndicated
from pedigree import InvalidEvidence, read_evidence, verify_receipt
from pedigree.consentproofs import time_of
from pedigree.receipts import CONTEXT, PROFILE, PURPOSE_IRIS, is_receipt

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs" / "guide" / "consent-receipt.schema.json").read_text())
VECTORS = sorted((ROOT / "tests" / "vectors" / "receipts").glob("*.json"))
REGISTERED: dict[str, Any] = {
    "record": {"kind": "purpose", "schema": 1, "owner": "HospitalMSP", "bit": 33, "iri": OWN, "registered_at": 7},
    "transaction": {"id": "ef" * 32, "block": 3, "at": "2026-11-23T01:00:00Z"},
}


def root(receipt: dict[str, Any]) -> str:
    return str(receipt["pedigree:evidence"]["version"]["root"])


@pytest.mark.parametrize(("subject", "status"), [("ann", "ConsentGiven"), ("bob", "ConsentWithdrawn")])
def test_a_receipt_has_the_form_and_verifies(subject: str, status: str) -> None:
    receipt = receipt_of(subject)
    jsonschema.validate(receipt, SCHEMA)
    assert is_receipt(receipt)
    verdict = verify_receipt(receipt, root=root(receipt))
    assert verdict.verified
    assert verdict.indicated is not None
    assert verdict.indicated.status == status
    assert verdict.proven[0] == "What the receipt says of the consent is what its evidence shows."
    assert not verify_receipt(receipt).verified
    whole = verify_receipt(receipt, version=receipt["pedigree:evidence"]["version"])
    assert whole.verified
    assert "The legal basis is 'dpv:Consent'." in whole.said
    assert "The jurisdictions are 'US'." in whole.said


def test_purposes_of_the_controllers_own_are_named_and_said_not_to_be_shown() -> None:
    receipt = receipt_of("ann")
    named = [each["@id"] for each in receipt["dct:hasPart"]["dpv:hasProcess"]["dpv:hasPurpose"]]
    assert named == [*PURPOSE_IRIS[:2], OWN, "urn:pedigree:purpose:HospitalMSP:40"]
    assert f"The purpose with the bit 33 is '{OWN}'." in verify_receipt(receipt).said


def test_what_the_evidence_names_is_not_repeated_and_not_contradicted() -> None:
    receipt = receipt_of("ann")
    receipt["pedigree:evidence"]["purposes"] = [copy.deepcopy(REGISTERED)]
    jsonschema.validate(receipt, SCHEMA)
    verdict = verify_receipt(receipt)
    assert [each for each in verdict.said if "the bit 33" in each] == [
        (
            f"The purpose with the bit 33 is '{OWN}', which 'HospitalMSP' has registered, by the transaction "
            f"'{'ef' * 32}' in block 3, '2026-11-23T01:00:00Z'."
        )
    ]
    asked = verify_receipt(receipt, purposes={"items": [REGISTERED], "next": None})
    assert any(OWN in each for each in asked.recorded)
    assert not any(OWN in each for each in asked.said)
    receipt["dct:hasPart"]["dpv:hasProcess"]["dpv:hasPurpose"][2]["@id"] = "https://hospital.example/purposes#Other"
    with pytest.raises(InvalidEvidence, match="by the name of another one"):
        verify_receipt(receipt)


def test_nothing_is_given_for_a_subject_that_is_not_in_the_map() -> None:
    with pytest.raises(NothingIndicated, match="not in version 2"):
        receipt_of("eve")


def test_the_terms_are_those_of_the_law_and_of_the_gateway() -> None:
    assert tuple(iri for _, iri in law.PURPOSES) == PURPOSE_IRIS
    assert (CONTEXT, PROFILE) == (making.CONTEXT, making.PROFILE)
    for at in (0, -1, AT, -62_135_596_800_000, 253_402_300_799_999):
        assert making.time_of(at) == time_of(at)


def _record(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda receipt: receipt["dct:hasPart"].update({name: value})


def _type(*names: str) -> Callable[[dict[str, Any]], object]:
    """The object in the record that these names lead to is of another type."""

    def change(receipt: dict[str, Any]) -> None:
        reduce(lambda value, name: value[name], names, receipt["dct:hasPart"]).update({"@type": "dpv:Other"})

    return change


def _purposes(*iris: str) -> Callable[[dict[str, Any]], object]:
    listed = [{"@id": each} for each in iris]
    return lambda receipt: receipt["dct:hasPart"]["dpv:hasProcess"].update({"dpv:hasPurpose": listed})


OTHER = {"@id": "urn:pedigree:subject:" + "00" * 32}
ALTERED: tuple[tuple[Callable[[dict[str, Any]], object], str], ...] = (
    (lambda r: r.update({"@type": "dpv:ConsentNotice"}), "it is not a consent receipt"),
    (lambda r: r["@context"].update({"dpv": "https://example.org/#"}), "gives its terms another meaning"),
    (lambda r: r["dct:conformsTo"].update({"@id": "https://example.org/"}), "/dct:conformsTo/@id must be"),
    (lambda r: r.update({"dct:identifier": "urn:x"}), "/dct:identifier does not name the subject and version"),
    (lambda r: r.update({"@id": "urn:x"}), "/@id does not name the subject and version"),
    (_record("dpv:hasDataSubject", {**OTHER, "@type": "dpv:DataSubject"}), "it names another data subject"),
    (_record("dpv:isIndicatedBy", OTHER), "another one indicated the consent than its data subject"),
    (lambda r: r["dct:hasPart"]["dpv:hasDataController"].update({"dct:identifier": "LabMSP"}), "another controller"),
    (_record("dpv:hasConsentStatus", {"@id": "dpv:ConsentWithdrawn"}), "another status than its evidence"),
    (_record("dpv:isIndicatedAtTime", "2020-01-01T00:00:00.000Z"), "another time of the indication"),
    (lambda r: r["dct:hasPart"]["dpv:hasProcess"]["dpv:hasPersonalData"].update({"dct:identifier": "x"}),
     "it names another data set than its evidence"),
    (_purposes(*PURPOSE_IRIS[:2]), "another number of purposes than its evidence has"),
    (_purposes(*PURPOSE_IRIS[1:3], OWN, "urn:x"), "it names another purpose than its evidence has"),
    (_purposes(*PURPOSE_IRIS[:2], PURPOSE_IRIS[5], "urn:x"), "by the name of another one"),
    (_record("dpv:hasRecipient", "LabMSP"), "/dct:hasPart/dpv:hasRecipient is not one of a consent receipt"),
    (_record("@type", "dpv:Consent"), "/dct:hasPart/@type must be 'dpv:ConsentRecord'"),
    (_type("dpv:hasDataSubject"), "/dct:hasPart/dpv:hasDataSubject/@type must be 'dpv:DataSubject'"),
    (_type("dpv:hasDataController"), "/dct:hasPart/dpv:hasDataController/@type must be 'dpv:DataController'"),
    (_type("dpv:hasProcess"), "/dct:hasPart/dpv:hasProcess/@type must be 'dpv:Process'"),
    (_type("dpv:hasProcess", "dpv:hasPersonalData"), "/dpv:hasPersonalData/@type must be 'dpv:PersonalData'"),
    (lambda r: r["pedigree:evidence"]["status"].update({"status": "ConsentRefused"}), "than the leaf at the end"),
    (lambda r: r.update({"pedigree:evidence": evidence_of_consent("eve", MAP)}), "a subject that is not in the map"),
    (lambda r: r["dct:hasPart"]["dpv:hasProcess"].update({"dpv:hasPurpose": "all"}), "must be a list of purposes"),
)  # fmt: skip


@pytest.mark.parametrize(("change", "said"), ALTERED, ids=[said for _, said in ALTERED])
def test_each_altered_copy_is_refused_with_its_own_sentence(
    change: Callable[[dict[str, Any]], object], said: str
) -> None:
    receipt = copy.deepcopy(receipt_of("ann"))
    change(receipt)
    with pytest.raises(InvalidEvidence) as refused:
        verify_receipt(receipt)
    assert said in refused.value.detail


def test_the_sentences_differ() -> None:
    assert len({said for _, said in ALTERED}) == len(ALTERED) >= 10


@pytest.mark.parametrize("vector", VECTORS, ids=lambda path: path.stem)
def test_vectors(vector: Path) -> None:
    receipt = read_evidence(vector)
    if vector.stem.startswith("refused"):
        with pytest.raises(InvalidEvidence):
            verify_receipt(receipt)
        return
    jsonschema.validate(receipt, SCHEMA)
    assert verify_receipt(receipt, root=root(receipt)).verified


def test_there_are_vectors() -> None:
    assert {path.stem for path in VECTORS} >= {"given", "withdrawn", "refused-status"}
