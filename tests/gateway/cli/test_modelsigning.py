# SPDX-License-Identifier: Apache-2.0
"""Signatures over a model's files: made and checked offline, and refused in a sentence for whatever was altered."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from samplesigning import Signing, pem_of

from gateway.cli.exits import Exit
from gateway.verifier.envelopes import RefutedStatement
from gateway.verifier.modelsignatures import LARGEST, read_model_signature, sign_model
from pedigree import digest_files


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    """A model that can be signed."""
    return Signing(tmp_path)


def test_files_that_were_signed_are_verified(signing: Signing) -> None:
    assert "signed 2 files" in signing.sign().stdout
    checked = signing.check("--json")
    assert checked.exit_code == 0, checked.output
    verdict = json.loads(checked.stdout)
    assert (verdict["verified"], verdict["model"], verdict["files"], len(verdict["proven"])) == (True, "net", 2, 2)


def test_a_signature_in_the_models_folder_is_not_part_of_it(signing: Signing) -> None:
    signing.signature = signing.model / "model.sig"
    assert signing.sign().exit_code == 0
    assert signing.check().exit_code == 0
    assert signing.sign().exit_code == 0  # once more, over itself


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: (model / "weights.bin").write_bytes(b"Weights"), "weights.bin has another SHA-256"),
        (lambda model: (model / "weights.bin").unlink(), "weights.bin is signed, and is not among the files"),
        (lambda model: (model / "more").write_bytes(b""), "more is among the files that you gave, and was not signed"),
    ],
)
def test_files_that_are_others_are_named(signing: Signing, change: Callable[[Path], Any], said: str) -> None:
    signing.sign()
    change(signing.model)
    checked = signing.check()
    assert checked.exit_code == Exit.DISAGREES
    assert said in checked.stderr


def test_a_certificate_is_one_of_the_organisation(signing: Signing, tmp_path: Path) -> None:
    assert signing.sign("--certificate", str(tmp_path / "user.pem")).exit_code == 0
    checked = signing.check_organisation(signing.msp)
    assert checked.exit_code == 0, checked.output
    assert "Ada" in checked.stdout
    assert signing.check().exit_code == 0  # by its key alone, too
    other = Signing(tmp_path / "other")
    refuted = signing.check_organisation(other.msp)
    assert refuted.exit_code == Exit.DISAGREES
    assert "its certificate is not one of LabMSP" in refuted.stderr


def test_without_a_key_nothing_is_proven(signing: Signing) -> None:
    signing.sign()
    checked = signing.run("check-signature", str(signing.signature))
    assert checked.exit_code == Exit.UNPROVEN
    assert "Nothing is proven yet" in checked.stdout


def test_a_version_on_the_ledger_has_the_same_files(signing: Signing, tmp_path: Path) -> None:
    signing.sign()
    files = digest_files(signing.model)
    record = {"kind": "model-version", "model": "net", "number": 3, "files": files}
    answer = tmp_path / "version.json"
    answer.write_text(json.dumps({"record": record, "transaction": {"id": "00"}}))
    checked = signing.check("--ledger", str(answer))
    assert "model-version:net:3 has the same files" in " ".join(checked.stdout.split())
    files[0]["digest"] = "00" * 32
    answer.write_text(json.dumps(record))
    refuted = signing.check("--ledger", str(answer))
    assert refuted.exit_code == Exit.DISAGREES
    assert "another SHA-256 in model-version:net:3" in refuted.stderr
    answer.write_text('{"record": {"kind": "model"}}')
    assert "is not about a version of a model" in signing.check("--ledger", str(answer)).stderr


def test_keys_that_cannot_be_used_are_named(signing: Signing, tmp_path: Path) -> None:
    for pem, said in (
        (b"no key", "it is not a private key in PEM"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "the private key is not on an elliptic curve"),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), "a key on P-256, P-384 or P-521"),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            ),
            "the private key has a passphrase",
        ),
        (b"x" * 70_000, "more than 65536 bytes"),
    ):
        (tmp_path / "key.pem").write_bytes(pem)
        assert said in signing.sign().stderr
        assert not signing.signature.exists()
    (tmp_path / "key.pem").write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))
    assert "of another key" in signing.sign("--certificate", str(tmp_path / "user.pem")).stderr


Bundle = dict[str, Any]


def inner(change: Callable[[Bundle], Any]) -> Callable[[Bundle], Any]:
    """Change the statement inside, which the signature is over."""

    def changed(bundle: Bundle) -> None:
        envelope = bundle["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return changed


def predicate(**fields: Any) -> Callable[[Bundle], Any]:
    """Change fields of the predicate."""
    return inner(lambda statement: statement["predicate"].update(fields))


def chain(certificates: list[Any]) -> Callable[[Bundle], Any]:
    """Give other certificates in place of the key."""
    return lambda bundle: bundle.update(verificationMaterial={"x509CertificateChain": {"certificates": certificates}})


def resource(**fields: Any) -> Callable[[Bundle], Any]:
    """Change fields of the first file that is listed."""
    return inner(lambda statement: statement["predicate"]["resources"][0].update(fields))


def list_twice(statement: Bundle) -> None:
    """List the first file once more."""
    resources = statement["predicate"]["resources"]
    resources.append(resources[0])


ALTERED: list[tuple[Callable[[Bundle], Any], str]] = [
    (lambda bundle: bundle.update(mediaType="x"), "its mediaType is not"),
    (lambda bundle: bundle.update(verificationMaterial=None), "/verificationMaterial must be an object"),
    (lambda bundle: bundle["verificationMaterial"].pop("publicKey"), "x509CertificateChain must be an object"),
    (lambda bundle: bundle["verificationMaterial"]["publicKey"].update(hint="00"), "it names another key"),
    (lambda bundle: bundle["verificationMaterial"]["publicKey"].update(hint=1), "hint of its key must be a text"),
    (lambda bundle: bundle.update(verificationMaterial={"certificate": {}}), "made through Sigstore"),
    (chain([{"rawBytes": "AA=="}]), "its certificate cannot be read"),
    (chain([{"rawBytes": {}}]), "its certificate cannot be read"),
    (chain([]), "it names neither a key nor a certificate"),
    (lambda bundle: bundle.pop("dsseEnvelope"), "/envelope must be an object"),
    (lambda bundle: bundle["dsseEnvelope"].update(payload="!"), "its payload must be base64"),
    (lambda bundle: bundle["dsseEnvelope"].update(payload="e30K"), "its payload is not a statement"),
    (lambda bundle: bundle["dsseEnvelope"].update(payload="Ww=="), "its payload is not JSON"),
    (lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="AAAA"), "the key did not sign"),
    (inner(lambda statement: statement["subject"].append({})), "its statement must have one subject"),
    (inner(lambda statement: statement["subject"][0].update(name="other")), "the key did not sign"),
    (inner(lambda statement: statement["subject"][0].update(name=1)), "the name of its subject must be a text"),
    (resource(digest="11" * 32), "digest of its subject"),
    (resource(digest="AA"), "64 lower-case hexadecimal"),
    (resource(algorithm="md5"), "the algorithm sha256"),
    (inner(list_twice), "twice"),
    (predicate(resources=[]), "it must list 1 to"),
    (predicate(serialization={"method": "shards", "hash_type": "sha256"}), "it is not over whole files"),
    (
        predicate(serialization={"method": "files", "hash_type": "sha256", "ignore_paths": [1]}),
        "ignore_paths must be a list of paths",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("alter", "said"), ALTERED)
def test_whatever_was_altered_is_refused_in_a_sentence(
    signing: Signing, alter: Callable[[Bundle], Any], said: str
) -> None:
    signing.sign()
    bundle = json.loads(signing.signature.read_bytes())
    alter(bundle)
    signing.signature.write_text(json.dumps(bundle))
    checked = signing.run("check-signature", str(signing.signature), "--public-key", str(signing.folder / "public.pem"))
    assert checked.exit_code == Exit.DISAGREES, checked.output
    assert said in checked.stderr


@pytest.mark.parametrize("data", [b"", b"[]", b"[" * 200_000, b"\xff", b" " * (LARGEST + 1)])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(RefutedStatement):
        read_model_signature(data)


def test_a_model_without_files_is_not_signed() -> None:
    with pytest.raises(ValueError, match="one file at least"):
        sign_model("net", {}, (), ec.generate_private_key(ec.SECP384R1()))
