# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify` of a signed statement: what its certificate proves, and that nothing altered passes."""

import base64
import copy
import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode.domain.evidence import PAYLOAD_TYPE, Decision, pre_authentication_encoding, statement_about
from chaincode.domain.intoto import encode_statement
from chaincode.domain.policy import Stage
from chaincode.domain.values import Digest, Instant, OrgId, Ref, Text
from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.fabric.certificates import load_certificate
from gateway.verifier.statements import RefutedStatement, verify_statement
from network.material import ensure_material
from network.topology import default_topology

REF, ROOT = "model-version:net:1", "cd" * 32


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


def signed(key: Any, decision: Decision = Decision.ENDORSE, **changed: Any) -> dict[str, Any]:
    """An envelope as a gateway makes it."""
    said = {
        "channel": "pedigree",
        "organisation": OrgId("LabMSP"),
        "round_": 3,
        "policy": 4,
        "at": Instant(5),
        **changed,
    }
    statement = statement_about(
        Ref(REF), Digest.parse(ROOT), Stage.APPROVED, decision, genesis=Digest.parse("ab" * 32), **said
    )
    return enveloped(key, encode_statement(statement))


def signed_before(key: Any, decision: Decision) -> dict[str, Any]:
    """An envelope of version 1, which had neither time nor reason."""
    envelope = signed(key, decision, at=None)
    payload = base64.b64decode(envelope["payload"]).replace(b"endorsement/v2", b"endorsement/v1")
    return enveloped(key, payload)


def enveloped(key: Any, payload: bytes) -> dict[str, Any]:
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": "00"}],
    }


def recorded(envelope: dict[str, Any]) -> dict[str, Any]:
    """The record of an endorsement around its envelope."""
    return {
        "kind": "endorsement", "schema": 1, "artifact": REF, "stage": "approved", "by": "LabMSP", "at": 5, "round": 3,
        "policy": 4, "envelope": envelope,
    }  # fmt: skip


@pytest.fixture
def verify(tmp_path: Path) -> Any:
    def run(document: Any, *options: str | Path) -> Result:
        file = tmp_path / "statement.json"
        file.write_text(json.dumps(document))
        return CliRunner().invoke(main, ["verify", str(file), *map(str, options)])

    return run


def test_without_a_certificate_nothing_is_proven(verify: Any, orgs: dict[str, Org]) -> None:
    answer = verify(signed(orgs["LabMSP"].key))
    assert answer.exit_code == Exit.UNPROVEN
    assert "Nothing is proven yet" in answer.stdout
    assert "Shown by the signature" not in answer.stdout
    assert f"LabMSP endorses {REF} with the SHA-256 {ROOT} for the stage 'approved', in round 3" in answer.stdout
    report = json.loads(verify(signed(orgs["LabMSP"].key), "--json").stdout)
    assert (report["verified"], report["proven"], report["signer"]) == (False, [], None)


def test_a_certificate_proves_who_signed_and_not_for_whom(verify: Any, orgs: dict[str, Org]) -> None:
    lab = orgs["LabMSP"]
    answer = verify(signed(lab.key), "--certificate", lab.certificate)
    assert answer.exit_code == 0, answer.output
    proven, _, rest = answer.stdout.partition("The file says, and nothing here shows it:")
    assert "CN=User1@lab.example" in proven
    assert "That the signer speaks for LabMSP." in rest
    assert "give that organisation's MSP folder with --msp" in rest
    assert "on the channel 'pedigree', whose first block is " + "ab" * 32 in rest
    # Anybody's key can sign what it likes in the name of another organisation.
    others = orgs["HospitalMSP"]
    assert verify(signed(others.key), "--certificate", others.certificate).exit_code == 0


def test_the_msp_proves_for_whom(verify: Any, orgs: dict[str, Org]) -> None:
    lab, others = orgs["LabMSP"], orgs["HospitalMSP"]
    for form in (signed(lab.key), recorded(signed(lab.key)), {"record": recorded(signed(lab.key)), "transaction": {}}):
        answer = verify(form, "--certificate", lab.certificate, "--msp", lab.msp)
        assert answer.exit_code == 0, answer.output
        proven, _, rest = answer.stdout.partition("The file says, and nothing here shows it:")
        assert "It is a certificate of LabMSP by the MSP that you gave" in proven
        assert "speaks for" not in rest
        assert "That a ledger accepted it and that it still counts" in rest
    refused = verify(signed(others.key), "--certificate", others.certificate, "--msp", lab.msp)
    assert refused.exit_code == Exit.DISAGREES
    assert "the certificate is not one of LabMSP" in refused.stderr
    assert verify(signed(lab.key), "--certificate", others.certificate).exit_code == Exit.DISAGREES


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"by": "HospitalMSP"}, "'by'"),
        ({"artifact": "model-version:net:2"}, "'artifact'"),
        ({"round": 4}, "'round'"),
        ({"policy": 5}, "'policy'"),
        ({"stage": "deployed"}, "'stage'"),
        ({"kind": "rejection"}, "of the kind rejection"),
        ({"envelope": "x"}, "/envelope must be an object"),
    ],
)
def test_a_record_that_says_something_else_is_refuted(
    verify: Any, orgs: dict[str, Org], changed: dict[str, Any], problem: str
) -> None:
    lab = orgs["LabMSP"]
    answer = verify({**recorded(signed(lab.key)), **changed}, "--certificate", lab.certificate)
    assert answer.exit_code == Exit.DISAGREES
    assert problem in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_rejection_is_one(verify: Any, orgs: dict[str, Org]) -> None:
    lab = orgs["LabMSP"]
    record = {**recorded(signed_before(lab.key, Decision.REJECT)), "kind": "rejection", "reason": "un\u202esafe"}
    answer = verify(record, "--certificate", lab.certificate)
    assert answer.exit_code == 0, answer.output
    assert f"LabMSP rejects {REF}" in answer.stdout
    assert "The record's 'reason' is un\\u202esafe." in answer.stdout


def test_of_an_endorsement_that_was_withdrawn_the_withdrawal_is_checked(verify: Any, orgs: dict[str, Org]) -> None:
    lab, others = orgs["LabMSP"], orgs["HospitalMSP"]
    withdrawal = signed(lab.key, Decision.WITHDRAW, reason=Text("unsafe"), policy=5)
    record = {**recorded(signed(lab.key)), "withdrawn_at": 9, "reason": "unsafe", "withdrawal": withdrawal}
    answer = verify(record, "--certificate", lab.certificate, "--msp", lab.msp)
    assert answer.exit_code == 0, answer.output
    assert f"LabMSP withdraws its endorsement of {REF}" in answer.stdout
    for changed, problem in (
        ({"reason": "another"}, "'reason'"),
        ({"round": 4}, "'round'"),
        ({"withdrawal": record["envelope"]}, "says otherwise"),
        ({"withdrawal": signed(others.key, Decision.WITHDRAW, reason=Text("unsafe"))}, "did not sign it"),
        ({"withdrawal": "x"}, "/envelope must be an object"),
    ):
        refuted = verify({**record, **changed}, "--certificate", lab.certificate)
        assert (refuted.exit_code, problem in refuted.stderr) == (Exit.DISAGREES, True), refuted.output


def test_what_is_not_an_endorsement_statement_is_refuted(verify: Any, orgs: dict[str, Org]) -> None:
    key = orgs["LabMSP"].key
    whole = json.loads(base64.b64decode(signed(key)["payload"]))
    for change, problem in (
        ({"subject": whole["subject"] * 2}, "subject is not its artifact alone"),
        ({"subject": [{**whole["subject"][0], "name": "model-version:net:2"}]}, "subject is not its artifact alone"),
        ({"predicateType": "https://in-toto.io/attestation/test-result/v0.1"}, "not an endorsement statement"),
        ({"predicate": {**whole["predicate"], "decision": "adore"}}, "decision"),
        ({"predicate": []}, "'predicate' is not an object"),
    ):
        answer = verify(enveloped(key, json.dumps({**whole, **change}).encode()))
        assert (answer.exit_code, problem in answer.stderr) == (Exit.DISAGREES, True), answer.output
    envelope = signed(key)
    for change, problem in (
        ({"payloadType": "text/plain"}, "payloadType"),
        ({"payload": "%"}, "payload must be base64"),
        ({"signatures": []}, "/signatures"),
        ({"signatures": envelope["signatures"] * 2}, "one signature"),
        ({"signatures": [{"sig": 5}]}, "sig must be base64"),
        ({"payload": base64.b64encode(b" " * 70_000).decode()}, "more than 65536 bytes"),
        ({"endorsements": []}, "take one item"),
    ):
        answer = verify({**envelope, **change})
        assert (answer.exit_code, problem in answer.stderr) == (Exit.DISAGREES, True), answer.output


def test_options_are_for_the_kind_of_file_that_they_are_for(verify: Any, orgs: dict[str, Org], tmp_path: Path) -> None:
    lab = orgs["LabMSP"]
    assert verify(signed(lab.key), "--root", ROOT).exit_code == Exit.USAGE
    assert verify(signed(lab.key), "--msp", lab.msp).exit_code == Exit.USAGE
    assert verify({"kind": "record-evidence"}, "--certificate", lab.certificate).exit_code == Exit.USAGE
    assert verify({"kind": "record-evidence"}).exit_code == Exit.DISAGREES
    (tmp_path / "none.pem").write_text("nothing")
    assert "no usable certificate" in verify(signed(lab.key), "--certificate", tmp_path / "none.pem").stderr
    empty = verify(signed(lab.key), "--certificate", lab.certificate, "--msp", tmp_path)
    assert (empty.exit_code, "no root certificate" in empty.stderr) == (Exit.FAILED, True)


@settings(deadline=None)
@given(place=st.sampled_from(["payload", "sig"]), at=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_changed_byte_is_never_verified(orgs: dict[str, Org], place: str, at: int, change: int) -> None:
    lab = orgs["LabMSP"]
    envelope = signed(lab.key)
    certificate = load_certificate(lab.certificate.read_bytes(), "certificate")
    assert verify_statement(copy.deepcopy(envelope), certificate=certificate).verified
    holder = envelope if place == "payload" else envelope["signatures"][0]
    content = bytearray(base64.b64decode(holder[place]))
    content[at % len(content)] ^= change
    holder[place] = base64.b64encode(content).decode()
    with pytest.raises(RefutedStatement):
        verify_statement(envelope, certificate=certificate)


def test_a_key_id_proves_nothing(verify: Any, orgs: dict[str, Org]) -> None:
    lab, others = orgs["LabMSP"], orgs["HospitalMSP"]
    envelope = signed(others.key)
    der = x509.load_pem_x509_certificate(lab.certificate.read_bytes()).tbs_certificate_bytes
    envelope["signatures"][0]["keyid"] = sha256(der).hexdigest()
    assert verify(envelope, "--certificate", lab.certificate).exit_code == Exit.DISAGREES


def test_the_reason_of_a_rejection_is_signed(verify: Any, orgs: dict[str, Org]) -> None:
    lab = orgs["LabMSP"]
    envelope = signed(lab.key, Decision.REJECT, reason=Text("unsafe"), seen=("evaluation:e-1",))
    record = {**recorded(envelope), "kind": "rejection", "reason": "unsafe"}
    answer = verify(record, "--certificate", lab.certificate)
    assert answer.exit_code == 0, answer.output
    shown, _, rest = answer.stdout.partition("The file says, and nothing here shows it:")
    assert "The reason: unsafe" in shown
    assert "It is dated 1970-01-01T00:00:00Z" in shown
    assert "The signer says to have seen evaluation:e-1." in shown
    assert "'reason'" not in rest
    report = json.loads(verify(record, "--certificate", lab.certificate, "--json").stdout)["statement"]
    assert (report["reason"], report["at"], report["seen"]) == ("unsafe", 5, ["evaluation:e-1"])
    other = verify({**record, "reason": "too slow"}, "--certificate", lab.certificate)
    assert other.exit_code == Exit.DISAGREES
    assert "the record's 'reason' is not that of the statement" in other.output
