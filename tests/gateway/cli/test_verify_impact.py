# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify` of a signed impact: whose word it is, and that nothing altered passes."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sampleimpact import MODEL, signed, statement

from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.rest.reports import REPORTS
from gateway.services.impactstatements import IMPACT_PREDICATE
from gateway.verifier import impacts
from network.material import ensure_material
from network.topology import default_topology


class Org(NamedTuple):
    """What is known of an organisation: its MSP, and a user's certificate and key."""

    msp: Path
    certificate: Path
    key: Any


@pytest.fixture(scope="module")
def orgs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Org]:
    topology = default_topology()
    material = ensure_material(topology, tmp_path_factory.mktemp("consortium"))
    found = {}
    for organisation in topology.organisations:
        folder = material.organisation(organisation.domain)
        user = folder / "users" / f"User1@{organisation.domain}" / "msp"
        key = load_pem_private_key(next((user / "keystore").iterdir()).read_bytes(), None)
        found[organisation.msp_id] = Org(folder / "msp", next((user / "signcerts").iterdir()), key)
    return found


@pytest.fixture
def verify(tmp_path: Path) -> Any:
    def run(document: Any, *options: str | Path) -> Result:
        file = tmp_path / "impact.json"
        file.write_text(json.dumps(document))
        return CliRunner().invoke(main, ["verify", str(file), *map(str, options)])

    return run


def test_without_a_certificate_nothing_is_proven(verify: Any, orgs: dict[str, Org]) -> None:
    answer = verify(signed(orgs["HospitalMSP"].key, statement()))
    assert answer.exit_code == Exit.UNPROVEN, answer.output
    assert "Nothing is proven yet" in answer.stdout
    assert f"{MODEL}: the record reached training; LabMSP: retrain-or-document." in answer.stdout
    assert "run:r: the record was held out only (it cannot be ruled out)." in answer.stdout
    assert "1 more artifacts." in answer.stdout


def test_certificate_and_msp_prove_whose_word_it_is(verify: Any, orgs: dict[str, Org]) -> None:
    hospital = orgs["HospitalMSP"]
    answer = verify(signed(hospital.key, statement()), "--certificate", hospital.certificate, "--msp", hospital.msp)
    assert answer.exit_code == 0, answer.output
    proven, _, rest = answer.stdout.partition("The report says, and nothing here shows it:")
    assert "CN=User1@hospital.example" in proven
    assert "It is a certificate of HospitalMSP" in proven
    assert "That nothing else was made with them" in rest
    report = json.loads(
        verify(signed(hospital.key, statement()), "--certificate", hospital.certificate, "--json").stdout
    )
    assert (report["verified"], report["report"]["count"]) == (True, 3)


def test_the_predicate_and_the_duties_are_those_that_gateways_sign() -> None:
    assert impacts.IMPACT_PREDICATE == IMPACT_PREDICATE
    assert list(impacts.DUTIES) == REPORTS["ImpactWord"]["enum"]


def _predicate(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["predicate"].update({name: value})


def _item(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["predicate"]["items"][0].update({name: value})


ALTERED: tuple[tuple[Callable[[dict[str, Any]], object], str], ...] = (
    (lambda said: said.update(_type="https://in-toto.io/Statement/v0"), "its _type is not"),
    (lambda said: said["subject"].pop(), "its subjects are not the versions that it speaks of"),
    (lambda said: said["subject"][0].update(digest={"sha256": "00" * 32}), "another root than the consent map"),
    (_item("role", "tested"), "has a role that is none of train, held-out, data"),
    (_item("role", []), "has a role that is none of train"),
    (_item("duty", "destroy"), "has a duty that is none of leave-out, stop-using"),
    (_item("certain", "yes"), "does not say whether it is certain"),
    (_predicate("count", 1), "it names more artifacts than it counts"),
    (_predicate("as_of", "12"), "its 'as_of' must be a whole number"),
    (_predicate("permitted", None), "its 'permitted' must be true or false"),
    (_predicate("channel", 7), "its 'channel' must be a text"),
    (_predicate("items", [7]), "its 'items' must be a list of objects"),
    (_predicate("map", 7), "its 'map' must be an object"),
    (lambda said: said.update(predicate=[]), "its predicate is not an object"),
    (_predicate("organisation", "LabMSP"), "the certificate is not one of LabMSP"),
)  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), ALTERED, ids=[said for _, said in ALTERED])
def test_each_altered_copy_is_refused_with_its_own_sentence(
    verify: Any, orgs: dict[str, Org], change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    said = copy.deepcopy(statement())
    change(said)
    hospital, lab = orgs["HospitalMSP"], orgs["LabMSP"]
    msp = lab.msp if "LabMSP" in sentence else hospital.msp
    answer = verify(signed(hospital.key, said), "--certificate", hospital.certificate, "--msp", msp)
    assert answer.exit_code == Exit.DISAGREES, answer.output
    assert answer.stdout == ""
    assert sentence in " ".join(answer.stderr.split())


def test_an_envelope_that_was_altered_is_refused(verify: Any, orgs: dict[str, Org]) -> None:
    hospital = orgs["HospitalMSP"]
    genuine = signed(hospital.key, statement())
    other = signed(hospital.key, {**statement(), "predicate": {**statement()["predicate"], "as_of": 13}})
    for envelope, sentence in (
        ({**genuine, "payload": other["payload"]}, "did not sign it"),
        ({**genuine, "payloadType": "text/plain"}, "its payloadType is not"),
        ({**genuine, "signatures": genuine["signatures"] * 2}, "it must bear one signature"),
        ({**genuine, "signatures": []}, "/signatures must be a list of signatures"),
        ({**genuine, "signatures": [{"sig": "!"}]}, "its sig must be base64"),
        ({**genuine, "payload": "!"}, "its payload must be base64"),
    ):
        answer = verify(envelope, "--certificate", hospital.certificate)
        assert answer.exit_code == Exit.DISAGREES, answer.output
        assert sentence in " ".join(answer.stderr.split())
    assert verify(signed(orgs["LabMSP"].key, statement()), "--certificate", hospital.certificate).exit_code == 1
