# SPDX-License-Identifier: Apache-2.0
"""Persons sign statements for their organisation with keys of their own, away from its gateway (F5)."""

from __future__ import annotations

import base64
import json
import os
import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from authorities import Holder, issue
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.demo.consortium import Consortium
from gateway.demo.containers import Containers
from gateway.verifier.declarations import declaration_of
from gateway.verifier.transactions import verify_transaction
from pedigree import Pedigree, PedigreeError

_names = count(1)
NOW = datetime.now(UTC)
CA = issue("research-ca", authority=True, start=NOW - timedelta(days=9))
REVOKED = issue("dr-gone", CA)
STRANGERS = issue("strangers-ca", authority=True)


class Desk:
    """The hospital's people: they prepare at their gateway, and sign where no gateway is."""

    def __init__(self, consortium: Consortium | Containers, clients: dict[str, Pedigree], folder: Path) -> None:
        self.clients = clients
        self.given = ["--url", consortium.url("hospital"), "--key", consortium.key("hospital")]
        self.folder = folder
        material = Path(os.environ.get("PEDIGREE_NETWORK") or consortium.directory)
        (member,) = (each for each in consortium.network()["organisations"] if each["name"] == "hospital")
        self.msp = material / member["msp"]
        self.admin = material / member["user_msp"].replace("User1@", "Admin@")

    def model(self) -> str:
        """A model of the lab's that awaits a word."""
        lab, name = self.clients["lab"], f"own-keys-{next(_names)}"
        files = self.folder / name
        files.mkdir()
        (files / "weights.json").write_text(name)
        lab.register_model(name, title="A model")
        lab.record_model_version(name, files, number=1, licence="Apache-2.0")
        made = lab.submit(f"model-version:{name}:1")
        self.clients["hospital"].at_least(made.height)
        return f"model-version:{name}:1"

    def cli(self, *words: str | Path) -> Result:
        return CliRunner().invoke(main, [*map(str, words), *self.given])

    def prepared(self, *words: str) -> Path:
        file = self.folder / f"prepared-{next(_names)}.json"
        result = self.cli(*words, "--prepare", file)
        assert result.exit_code == 0, result.output
        return file

    def sign(self, file: Path, signer: Holder, *above: Holder) -> Result:
        key, certificate = self.folder / "key.pem", self.folder / "cert.pem"
        key.write_bytes(signer.key_pem)
        certificate.write_bytes(b"".join(each.pem for each in (signer, *above)))
        result = CliRunner().invoke(main, ["sign", str(file), "--key", str(key), "--cert", str(certificate), "--yes"])
        assert result.exit_code == 0, result.output
        return result

    def declare(self, *, revoked: tuple[str, ...] = ()) -> None:
        """Those of the MSP speak for the hospital, and those of its research department."""
        fields = declaration_of(self.msp, revoked)
        root = {"der": base64.b64encode(CA.der).decode()}
        self.clients["hospital"].declare_roots(**{**fields, "roots": [*fields["roots"], root]})

    def words_of(self, file: Path) -> dict[str, Any]:
        """What a signed file gives to the SDK, whole as it is."""
        value = json.loads(file.read_text())
        return {"envelope": value["envelope"], "chain": value["chain"]}


@pytest.fixture
def desk(consortium: Consortium, clients: dict[str, Pedigree], tmp_path: Path) -> Desk:
    made = Desk(consortium, clients, tmp_path)
    made.declare(revoked=(REVOKED.serial,))
    return made


@pytest.mark.story("F5", "A person endorses with a key of their own, away from the gateway, and the evidence says who")
def test_a_person_endorses_away_from_the_gateway(desk: Desk, tmp_path: Path) -> None:
    reference = desk.model()
    file = desk.prepared("endorse", reference)
    key = next((desk.admin / "keystore").iterdir())
    certificate = next((desk.admin / "signcerts").iterdir())
    # No gateway is asked: the command has no address of one.
    words = ["sign", str(file), "--key", str(key), "--cert", str(certificate), "--yes"]
    signed = CliRunner().invoke(main, words, env={"PEDIGREE_URL": ""})
    assert signed.exit_code == 0, signed.output
    assert f"HospitalMSP endorses {reference} for the stage 'approved'." in signed.output
    done = desk.cli("endorse", "--signed", file, "--json")
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    record = tmp_path / "record.json"
    record.write_text(json.dumps(outcome))
    verified = CliRunner().invoke(main, ["verify", str(record), "--msp", str(desk.msp)])
    assert verified.exit_code == 0, verified.output
    assert "CN=Admin@hospital.example" in verified.output
    alone = CliRunner().invoke(main, ["verify", str(record)])
    assert alone.exit_code == Exit.UNPROVEN
    regulator = desk.clients["regulator"]
    regulator.at_least(outcome["transaction"]["block"] + 1)
    genesis = bytes.fromhex(regulator.ledger()["genesis_hash"])
    verdict = verify_transaction(regulator.transaction_evidence(outcome["transaction"]["id"]), trusted=genesis)
    assert any("CN=Admin@hospital.example" in each and "Said by a person" in each for each in verdict.proven)


@pytest.mark.story("F5", "Any organisation lists who endorsed what, and with which key")
def test_who_endorsed_what_and_with_which_key(desk: Desk) -> None:
    reference = desk.model()
    file = desk.prepared("endorse", reference)
    certificate = next((desk.admin / "signcerts").iterdir())
    key = next((desk.admin / "keystore").iterdir())
    words = ["sign", str(file), "--key", str(key), "--cert", str(certificate), "--yes"]
    assert CliRunner().invoke(main, words, env={"PEDIGREE_URL": ""}).exit_code == 0
    desk.cli("endorse", "--signed", file)
    regulator, hospital = desk.clients["regulator"], desk.clients["hospital"]
    regulator.endorse(reference)
    gone = regulator.withdraw(reference, reason="the files were looked at again")
    hospital.at_least(gone.height)
    listed = {each["record"]["by"]: each for each in hospital.endorsements(artifact=reference)["items"]}
    keys = {by: each["record"]["envelope"]["signatures"][0]["keyid"] for by, each in listed.items()}
    assert set(keys) == {"HospitalMSP", "RegulatorMSP"}
    # A person's is the certificate that travels with the statement, a gateway's that which signed the transaction.
    assert keys["HospitalMSP"] == sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    made = hospital.transactions(identity=keys["RegulatorMSP"], about=reference)["items"]
    assert gone.transaction_id in {each["id"] for each in made}
    assert "withdrawn_at" in listed["RegulatorMSP"]["record"]
    assert "withdrawn_at" not in listed["HospitalMSP"]["record"]
    shown = desk.cli("artifact", reference).output
    assert f"by certificate {keys['HospitalMSP']} of CN=Admin@hospital.example" in shown
    assert f"by certificate {keys['RegulatorMSP']} of its gateway, and withdrew that on" in shown
    table = desk.cli("list", "endorsements", "--by", "RegulatorMSP", "--artifact", reference).output
    assert keys["RegulatorMSP"][:16] in table


@pytest.mark.story("F5", "Those of a department speak where their organisation declares its authority")
def test_a_department_speaks_where_its_authority_is_declared(desk: Desk) -> None:
    reference = desk.model()
    file = desk.prepared("reject", reference, "--reason", "too few patients")
    desk.sign(file, issue("dr-ada", CA))
    done = desk.cli("reject", "--signed", file, "--json")
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    regulator = desk.clients["regulator"]
    regulator.at_least(outcome["transaction"]["block"] + 1)
    genesis = bytes.fromhex(regulator.ledger()["genesis_hash"])
    verdict = verify_transaction(regulator.transaction_evidence(outcome["transaction"]["id"]), trusted=genesis)
    # The organisation says so, and the channel's configuration does not.
    assert any("dr-ada" in each for each in verdict.not_proven)


@pytest.mark.story("F5", "A person withdraws an endorsement with a key of their own, and the reason is signed")
def test_a_person_withdraws_away_from_the_gateway(desk: Desk, tmp_path: Path) -> None:
    reference, ada, bob = desk.model(), issue("dr-ada", CA), issue("dr-bob", CA)
    file = desk.prepared("endorse", reference)
    desk.sign(file, ada)
    assert desk.cli("endorse", "--signed", file).exit_code == 0
    file = desk.prepared("withdraw", reference, "--reason", "the labels were wrong")
    shown = " ".join(desk.sign(file, bob).output.split())
    assert f"HospitalMSP withdraws its endorsement of {reference}" in shown
    assert "The reason: the labels were wrong" in shown
    done = desk.cli("withdraw", "--signed", file, "--json")
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    record = tmp_path / "record.json"
    record.write_text(json.dumps(outcome))
    (certificate := tmp_path / "bob.pem").write_bytes(bob.pem)
    verified = CliRunner().invoke(main, ["verify", str(record), "--certificate", str(certificate)])
    assert verified.exit_code == 0, verified.output
    regulator = desk.clients["regulator"]
    regulator.at_least(outcome["transaction"]["block"] + 1)
    genesis = bytes.fromhex(regulator.ledger()["genesis_hash"])
    verdict = verify_transaction(regulator.transaction_evidence(outcome["transaction"]["id"]), trusted=genesis)
    told = " ".join((*verdict.proven, *verdict.not_proven))
    assert ("dr-bob" in told, "dr-ada" in told) == (True, False)
    (given,) = regulator.artifact(reference)["endorsements"]
    assert given["record"]["reason"] == "the labels were wrong"


@pytest.mark.story("F5", "A withdrawal for another reason than was signed is refused", refused="statement-invalid")
def test_a_withdrawal_for_another_reason_is_refused(desk: Desk) -> None:
    reference = desk.model()
    desk.clients["hospital"].endorse(reference)
    file = desk.prepared("withdraw", reference, "--reason", "the labels were wrong")
    desk.sign(file, issue("dr-ada", CA))
    with pytest.raises(PedigreeError) as caught:
        desk.clients["hospital"].withdraw(reference, "a whim", **desk.words_of(file))
    assert caught.value.code == "statement-invalid"


@pytest.mark.story("F5", "A person makes a counter-claim with a key of their own, and the evidence says who")
def test_a_person_makes_a_counter_claim_away_from_the_gateway(desk: Desk, tmp_path: Path) -> None:
    reference, ada, letter = desk.model(), issue("dr-ada", CA), sha256(b"letter").hexdigest()
    reason = "the test data overlap the training data"
    file = desk.prepared("claim", "state", reference, "--reason", reason, "--evidence-digest", letter)
    shown = " ".join(desk.sign(file, ada).output.split())
    assert f"HospitalMSP makes a counter-claim against {reference}" in shown
    assert reason in shown
    done = desk.cli("claim", "state", "--signed", file, "--json")
    assert done.exit_code == 0, done.output
    outcome = json.loads(done.stdout)
    record, certificate = tmp_path / "record.json", tmp_path / "ada.pem"
    record.write_text(json.dumps(outcome))
    certificate.write_bytes(ada.pem)
    verified = CliRunner().invoke(main, ["verify", str(record), "--certificate", str(certificate)])
    assert verified.exit_code == 0, verified.output
    regulator = desk.clients["regulator"]
    regulator.at_least(outcome["transaction"]["block"] + 1)
    genesis = bytes.fromhex(regulator.ledger()["genesis_hash"])
    verdict = verify_transaction(regulator.transaction_evidence(outcome["transaction"]["id"]), trusted=genesis)
    assert any("dr-ada" in each for each in (*verdict.proven, *verdict.not_proven))
    (claim,) = regulator.artifact(reference)["counter_claims"]
    assert (claim["record"]["by"], claim["record"]["evidence_digest"]) == ("HospitalMSP", letter)
    # It is a claim like any other: its owner answers, and the organisation takes it back.
    lab = desk.clients["lab"]
    lab.at_least(regulator.height)
    assert reference in [each["artifact"] for each in lab.inbox()["claims"]]
    lab.answer_claim(reference, "HospitalMSP", "they do not: see the splits")
    desk.clients["hospital"].withdraw_claim(reference, "so it is")


@pytest.mark.story("F5", "A counter-claim of other words than a person signed is refused", refused="statement-invalid")
def test_a_counter_claim_of_other_words_is_refused(desk: Desk) -> None:
    reference = desk.model()
    file = desk.prepared("claim", "state", reference, "--reason", "the data overlap")
    desk.sign(file, issue("dr-ada", CA))
    hospital, words = desk.clients["hospital"], desk.words_of(file)
    for changed in ({"reason": "a whim"}, {"reason": "the data overlap", "evidence_digest": "ab" * 32}):
        with pytest.raises(PedigreeError) as caught:
            hospital.state_claim(reference, **changed, **words)  # type: ignore[arg-type]
        assert caught.value.code == "statement-invalid"
    assert hospital.artifact(reference)["counter_claims"] == []


@pytest.mark.story("F5", "A counter-claim under a revoked certificate is refused", refused="signer-revoked")
def test_a_counter_claim_under_a_revoked_certificate_is_refused(desk: Desk) -> None:
    reference = desk.model()
    file = desk.prepared("claim", "state", reference, "--reason", "the data overlap")
    desk.sign(file, REVOKED)
    with pytest.raises(PedigreeError) as caught:
        desk.clients["hospital"].state_claim(reference, "the data overlap", **desk.words_of(file))
    assert caught.value.code == "signer-revoked"


def refused(desk: Desk, signer: Holder, *above: Holder) -> str:
    reference = desk.model()
    file = desk.prepared("endorse", reference)
    desk.sign(file, signer, *above)
    with pytest.raises(PedigreeError) as caught:
        desk.clients["hospital"].endorse(reference, **desk.words_of(file))
    return str(caught.value.code)


@pytest.mark.story("F5", "A statement under an expired certificate is refused", refused="signer-expired")
def test_an_expired_certificate_is_refused(desk: Desk) -> None:
    past = issue("dr-past", CA, start=NOW - timedelta(days=2), end=NOW - timedelta(days=1))
    assert refused(desk, past) == "signer-expired"


@pytest.mark.story("F5", "A statement under a certificate of tomorrow is refused", refused="signer-not-yet-valid")
def test_a_certificate_of_tomorrow_is_refused(desk: Desk) -> None:
    assert refused(desk, issue("dr-next", CA, start=NOW + timedelta(days=1))) == "signer-not-yet-valid"


@pytest.mark.story("F5", "A statement under a revoked certificate is refused", refused="signer-revoked")
def test_a_revoked_certificate_is_refused(desk: Desk) -> None:
    assert refused(desk, REVOKED) == "signer-revoked"


@pytest.mark.story("F5", "A statement under another authority's certificate is refused", refused="signer-unrooted")
def test_another_authority_is_refused(desk: Desk) -> None:
    assert refused(desk, issue("dr-stranger", STRANGERS)) == "signer-unrooted"


@pytest.mark.story("F5", "A person of another organisation is refused", refused="signer-of-another")
def test_a_person_of_another_organisation_is_refused(desk: Desk) -> None:
    roots = [{"der": base64.b64encode(STRANGERS.der).decode()}]
    made = desk.clients["regulator"].declare_roots(roots=roots)
    desk.clients["hospital"].at_least(made.height)
    assert refused(desk, issue("auditor", STRANGERS)) == "signer-of-another"
    own = declaration_of(desk.msp.parents[1] / "regulator.example" / "msp")
    desk.clients["regulator"].declare_roots(**own)


@pytest.mark.story("F5", "A node of the organisation signs no statement", refused="signer-without-unit")
def test_a_node_signs_no_statement(desk: Desk) -> None:
    assert refused(desk, issue("peer0", CA, units=("peer",))) == "signer-without-unit"


@pytest.mark.story("F5", "An organisation that declared nothing speaks by its gateway alone", refused="roots-missing")
def test_without_a_declaration_the_gateway_speaks_alone(desk: Desk, consortium: Consortium) -> None:
    hospital = desk.clients["hospital"]
    hospital.register_model(name := f"own-keys-{next(_names)}", title="A model")
    (files := desk.folder / name).mkdir()
    (files / "weights.json").write_text(name)
    hospital.record_model_version(name, files, number=1, licence="Apache-2.0")
    made = hospital.submit(f"model-version:{name}:1")
    desk.clients["lab"].at_least(made.height)
    desk.given = ["--url", consortium.url("lab"), "--key", consortium.key("lab")]
    file = desk.prepared("endorse", f"model-version:{name}:1")
    desk.sign(file, issue("dr-ada", CA))
    with pytest.raises(PedigreeError) as caught:
        desk.clients["lab"].endorse(f"model-version:{name}:1", **desk.words_of(file))
    assert caught.value.code == "roots-missing"


@pytest.mark.story("F5", "Another's signature beside a person's certificate is refused", refused="bad-signature")
def test_another_s_signature_is_refused(desk: Desk) -> None:
    reference = desk.model()
    file = desk.prepared("endorse", reference)
    desk.sign(file, issue("dr-ada", CA))
    genuine = desk.words_of(file)
    desk.sign(file, issue("dr-bob", CA))
    with pytest.raises(PedigreeError) as caught:
        desk.clients["hospital"].endorse(reference, envelope=desk.words_of(file)["envelope"], chain=genuine["chain"])
    assert caught.value.code == "bad-signature"


@pytest.mark.parametrize(
    ("member", "other"),
    [("channel", "another"), ("stage", "deployed"), ("policy", 99), ("organisation", "RegulatorMSP")],
)
@pytest.mark.story(
    "F5", "A statement for another channel, stage, policy or organisation is refused", refused="statement-invalid"
)
def test_a_statement_for_elsewhere_is_refused(desk: Desk, member: str, other: str | int) -> None:
    """Truly signed, by somebody who may speak: what it says is of somewhere else."""
    reference = desk.model()
    before = desk.clients["hospital"].artifact(reference)
    file = desk.prepared("endorse", reference)
    prepared = json.loads(file.read_text())
    statement = json.loads(base64.b64decode(prepared["envelope"]["payload"]))
    statement["predicate"][member] = other
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    prepared["envelope"]["payload"] = base64.b64encode(payload).decode()
    file.write_text(json.dumps(prepared))
    desk.sign(file, issue("dr-ada", CA))
    with pytest.raises(PedigreeError) as caught:
        desk.clients["hospital"].endorse(reference, **desk.words_of(file))
    assert caught.value.code == "statement-invalid"
    assert desk.clients["hospital"].artifact(reference) == before
