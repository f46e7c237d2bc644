# SPDX-License-Identifier: Apache-2.0
"""`pedigree sign`: what is shown before it is signed, what is refused, and what a verifier says of the result."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from authorities import issue
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chaincode.crypto import check_signature
from chaincode.domain.evidence import PAYLOAD_TYPE, Decision, pre_authentication_encoding, statement_about
from chaincode.domain.intoto import encode_statement
from chaincode.domain.policy import Stage
from chaincode.domain.values import Digest, Instant, OrgId, Ref, Text
from gateway.cli import main
from gateway.cli.exits import Exit
from gateway.verifier.declarations import declaration_of
from gateway.verifier.signing import prepared

REF = "model-version:net:1"
CA = issue("lab-ca", authority=True)
DOCTOR = issue("dr-ada", CA)


def draft(decision: Decision = Decision.ENDORSE, **more: Any) -> dict[str, Any]:
    statement = statement_about(
        Ref(REF), Digest(bytes(32)), Stage.APPROVED, decision, channel="pedigree", organisation=OrgId("LabMSP"),
        round_=3, policy=4, at=Instant(1_800_000_000_000), **more,
    )  # fmt: skip
    return {"payload": base64.b64encode(encode_statement(statement)).decode(), "payloadType": PAYLOAD_TYPE}


class Table:
    """Files beside one another, and the command."""

    def __init__(self, folder: Path) -> None:
        self.file, self.key, self.cert = folder / "word.json", folder / "key.pem", folder / "cert.pem"
        self.file.write_text(json.dumps(prepared(draft())))
        self.key.write_bytes(DOCTOR.key_pem)
        self.cert.write_bytes(DOCTOR.pem)

    def sign(self, *more: str, answer: str = "") -> Result:
        words = ["sign", str(self.file), "--key", str(self.key), "--cert", str(self.cert), *more]
        return CliRunner().invoke(main, words, input=answer)

    @property
    def signed(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_the_statement_is_shown_and_signed_when_that_is_wanted(table: Table) -> None:
    before = table.file.read_text()
    no = table.sign(answer="n\n")
    assert no.exit_code == Exit.STOPPED
    assert table.file.read_text() == before
    yes = table.sign(answer="y\n")
    assert yes.exit_code == 0, yes.output
    assert f"LabMSP endorses {REF} for the stage 'approved'." in yes.output
    assert "That anybody has looked at the bytes behind the digest" in yes.output
    payload = base64.b64decode(table.signed["envelope"]["payload"])
    (signature,) = table.signed["envelope"]["signatures"]
    check_signature(
        DOCTOR.key.public_key(), pre_authentication_encoding(PAYLOAD_TYPE, payload), base64.b64decode(signature["sig"])
    )
    assert table.signed["chain"] == [{"der": base64.b64encode(DOCTOR.der).decode()}]


@pytest.mark.parametrize("kind", ["p384", "ed25519"])
def test_keys_of_every_kind_sign(table: Table, kind: str) -> None:
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP384R1())
    holder = issue("dr-bob", CA, key=key)
    table.key.write_bytes(holder.key_pem)
    table.cert.write_bytes(holder.pem + CA.pem)
    assert table.sign("--yes").exit_code == 0
    assert len(table.signed["chain"]) == 1, "a root is declared, and does not travel"


def test_a_passphrase_is_asked_for(table: Table) -> None:
    best = serialization.BestAvailableEncryption(b"secret")
    table.key.write_bytes(DOCTOR.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, best))
    wrong = table.sign("--yes", answer="other\n")
    assert wrong.exit_code != 0
    assert "the passphrase is another one" in wrong.output
    assert table.sign("--yes", answer="secret\n").exit_code == 0


def test_what_does_not_fit_is_refused_in_one_sentence(table: Table) -> None:
    genuine = {each: each.read_bytes() for each in (table.file, table.key, table.cert)}
    weak = issue("dr-rsa", CA, key=rsa.generate_private_key(65537, 2048))
    whole = json.loads(genuine[table.file])
    other = {**whole, "envelope": {**whole["envelope"], "payload": base64.b64encode(b"{}").decode()}}
    cases: list[tuple[Path, bytes, str]] = [
        (table.key, b"no key", "not a private key in PEM"),
        (table.key, bytes(10_000_000), "more than 65536 bytes"),
        (table.key, weak.key_pem, "none of P-256, P-384 and Ed25519"),
        (table.cert, b"none", "holds no certificate in PEM"),
        (table.cert, b"-" * 10_000_000, "more than 65536 bytes"),
        (table.cert, issue("dr-bob", CA).pem, "is not that of the key"),
        (table.cert, DOCTOR.pem + issue("x", CA, authority=True).pem * 3, "at most 3 certificates"),
        (table.file, b"[]", "word.json"),
        (table.file, b"{}", "it is no pedigree-statement/v1 file"),
        (table.file, json.dumps({**whole, "envelope": {}}).encode(), "payloadType"),
        (table.file, json.dumps(other).encode(), "it has no"),
        (table.file, json.dumps({**whole, "envelope": {**whole["envelope"], "payload": "!"}}).encode(), "not base64"),
        (table.file, json.dumps({**whole, "envelope": {**whole["envelope"], "payload": "A" * 100_000}}).encode(),
         "more than 65536 bytes"),
    ]  # fmt: skip
    for file, content, words in cases:
        file.write_bytes(content)
        answer = table.sign("--yes")
        assert answer.exit_code not in (0, Exit.DEFECT), (words, answer.output)
        assert words in answer.output
        assert "Traceback" not in answer.output
        file.write_bytes(genuine[file])


@pytest.mark.parametrize(
    ("genuine", "false", "words"),
    [
        (b"endorsement/v2", b"endorsement/v1", "of the version that is known here"),
        (b'"decision":"endorse"', b'"decision":"adore"', "its decision is none that is known here"),
        (b'"name":"model-version:net:1"', b'"name":"model-version:net:2"', "its subject is not its artifact"),
    ],
)
def test_another_statement_is_not_signed(table: Table, genuine: bytes, false: bytes, words: str) -> None:
    whole = json.loads(table.file.read_text())
    payload = base64.b64decode(whole["envelope"]["payload"]).replace(genuine, false)
    whole["envelope"]["payload"] = base64.b64encode(payload).decode()
    table.file.write_text(json.dumps(whole))
    assert words in table.sign("--yes").output


def test_words_of_others_cannot_command_the_terminal(table: Table) -> None:
    table.file.write_text(json.dumps(prepared(draft(seen=("\x1b[2J evaluation:e",)))))
    assert "\x1b" not in table.sign("--yes").output


def test_a_file_that_is_not_signed_or_is_another_word_is_not_recorded(table: Table) -> None:
    gateway = ["--url", "http://127.0.0.1:9", "--key", "a.b"]
    unsigned = CliRunner().invoke(main, ["endorse", "--signed", str(table.file), *gateway])
    assert "is not signed yet: pedigree sign" in unsigned.output
    table.file.write_text(json.dumps(prepared(draft(Decision.REJECT, reason=Text("unsafe")))))
    assert table.sign("--yes").exit_code == 0
    other = CliRunner().invoke(main, ["endorse", "--signed", str(table.file), *gateway])
    assert "holds a word to reject" in other.output
    both = CliRunner().invoke(main, ["reject", REF, "--reason", "x", "--signed", str(table.file), *gateway])
    assert "give --signed alone" in both.output
    two = CliRunner().invoke(main, ["endorse", REF, "--dry-run", "--prepare", "-", *gateway])
    assert "give one of --dry-run, --prepare and --signed" in two.output
    for words in (["endorse"], ["reject", REF], ["withdraw", REF]):
        assert "Missing" in CliRunner().invoke(main, [*words, *gateway]).output


def test_the_verifier_says_which_person_signed(table: Table, tmp_path: Path) -> None:
    assert table.sign("--yes").exit_code == 0
    msp = tmp_path / "msp"
    (msp / "cacerts").mkdir(parents=True)
    (msp / "cacerts" / "ca.pem").write_bytes(CA.pem)
    said = {"artifact": REF, "stage": "approved", "by": "LabMSP", "at": 5, "round": 3, "policy": 4}
    word = {"envelope": table.signed["envelope"], "chain": table.signed["chain"]}
    record = {"kind": "endorsement", "schema": 1, **said, **word}
    file = tmp_path / "endorsement.json"

    def verify(value: dict[str, Any], *more: str) -> Result:
        file.write_text(json.dumps(value))
        return CliRunner().invoke(main, ["verify", str(file), *more])

    shown = verify(record, "--msp", str(msp))
    assert shown.exit_code == 0, shown.output
    assert "the key of OU=client,CN=dr-ada signed this statement" in " ".join(shown.output.split())
    alone = verify(record)
    assert alone.exit_code == Exit.UNPROVEN
    assert "by OU=client,CN=dr-ada as the file says" in " ".join(alone.output.split())
    stranger = {**record, "chain": [{"der": base64.b64encode(issue("dr-bob", CA).der).decode()}]}
    assert "did not sign it" in verify(stranger, "--msp", str(msp)).output
    for chain in ([], [{}], [{"der": "AAAA"}], 1, [{"der": "A" * 8_000}]):
        assert verify({**record, "chain": chain}, "--msp", str(msp)).exit_code == Exit.DISAGREES
    (given := tmp_path / "given.pem").write_bytes(issue("dr-bob", CA).pem)
    assert "not the one that travels" in verify(record, "--certificate", str(given)).output
    other = tmp_path / "other"
    (other / "cacerts").mkdir(parents=True)
    (other / "cacerts" / "ca.pem").write_bytes(issue("lab-ca", authority=True).pem)
    assert verify(record, "--msp", str(other)).exit_code == Exit.DISAGREES
    plain = {name: value for name, value in record.items() if name != "chain"}
    assert "no certificate travels with this statement" in verify(plain, "--msp", str(msp)).output


def test_a_declaration_is_read_from_an_msp_folder(tmp_path: Path) -> None:
    (tmp_path / "cacerts").mkdir()
    with pytest.raises(Exception, match="no root certificate in cacerts"):
        declaration_of(tmp_path)
    (tmp_path / "cacerts" / "ca.pem").write_bytes(CA.pem)
    found = declaration_of(tmp_path, ["0A:1b"])
    assert found == {
        "roots": [{"der": base64.b64encode(CA.der).decode()}], "intermediates": [], "revoked": ["a1b"], "units": [],
    }  # fmt: skip
    with pytest.raises(ValueError, match="not a serial number"):
        declaration_of(tmp_path, ["x"])
