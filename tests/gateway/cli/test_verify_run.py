# SPDX-License-Identifier: Apache-2.0
"""`pedigree verify` of the signed statement of a run: ours, a foreign verifier beside it, and altered copies."""

import base64
import copy
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from chaincode.domain.canonical import encode
from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from chaincode.domain.slsa import run_statement
from chaincode.domain.training import Code, Environment, RecordRun, RunArtifact
from chaincode.domain.usage import RunInput
from chaincode.domain.values import Count, Digest, FilePath, Instant, Name, OrgId, Ref
from gateway.cli import main
from gateway.cli.exits import Exit
from network.material import ensure_material
from network.topology import default_topology

DATA = Ref("dataset-version:visits:1")
ONE, TWO = Digest(b"1" * 32), Digest(b"2" * 32)


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


def statement() -> Any:
    """What the lab's gateway says of a run."""
    run = RecordRun(
        run=Name("r-1"), code=Code(ONE), environment=Environment(TWO), started=Instant(0), finished=Instant(1_000),
        inputs=(RunInput(DATA, ONE),), artifacts=(RunArtifact(FilePath("net.onnx"), TWO, Count(3)),),
    )  # fmt: skip
    return json.loads(run_statement(run, {}, organisation=OrgId("LabMSP"), channel="pedigree", genesis=ONE))


def sealed(said: Any) -> Any:
    """A statement whose first subject has the digest of what it says, as an impostor would make it."""
    if isinstance(said.get("predicate"), dict) and isinstance(said.get("subject"), list) and said["subject"]:
        said["subject"][0]["digest"] = {"sha256": sha256(encode(said["predicate"])).hexdigest()}
    return said


def signed(key: Any, said: Any) -> dict[str, Any]:
    payload = encode(said)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": "a hint"}],
    }


@pytest.fixture
def verify(tmp_path: Path) -> Any:
    def run(document: Any, *options: str | Path) -> Result:
        file = tmp_path / "run.intoto.json"
        file.write_text(json.dumps(document))
        return CliRunner().invoke(main, ["verify", str(file), *map(str, options)])

    return run


def test_without_a_certificate_nothing_is_proven(verify: Any, orgs: dict[str, Org]) -> None:
    answer = verify(signed(orgs["LabMSP"].key, statement()))
    assert answer.exit_code == Exit.UNPROVEN, answer.output
    assert "Nothing is proven yet" in answer.stdout
    assert f"It used {DATA}, with the SHA-256 {ONE}." in " ".join(answer.stdout.split())


def test_certificate_and_msp_prove_whose_word_it_is(verify: Any, orgs: dict[str, Org]) -> None:
    lab = orgs["LabMSP"]
    answer = verify(signed(lab.key, statement()), "--certificate", lab.certificate, "--msp", lab.msp)
    assert answer.exit_code == 0, answer.output
    proven, _, rest = answer.stdout.partition("The statement says, and nothing here shows it:")
    assert "It is a certificate of LabMSP" in proven
    text = " ".join(rest.split())
    assert f"It wrote net.onnx, with the SHA-256 {TWO}." in text
    assert "run:r-1, from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.000Z." in text
    report = json.loads(verify(signed(lab.key, statement()), "--certificate", lab.certificate, "--json").stdout)
    assert (report["verified"], report["statement"]["subject"][0]["name"]) == (True, "run:r-1")


def test_what_a_run_used_beyond_a_page_is_counted(verify: Any, orgs: dict[str, Org]) -> None:
    said = statement()
    said["predicate"]["buildDefinition"]["resolvedDependencies"] *= 20
    assert "It used 20 more." in verify(signed(orgs["LabMSP"].key, sealed(said))).stdout


def test_a_foreign_verifier_accepts_ours_and_refuses_altered_ones(orgs: dict[str, Org]) -> None:
    lab = orgs["LabMSP"]
    public = load_pem_x509_certificate(lab.certificate.read_bytes()).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    key = SSlibKey.from_crypto(public, keyid="a hint")
    envelope = Envelope.from_dict(signed(lab.key, statement()))
    assert set(envelope.verify([key], 1)) == {"a hint"}
    for altered in (
        {**signed(lab.key, statement()), "payload": base64.b64encode(b"{}").decode()},
        {**signed(lab.key, statement()), "payloadType": "application/json"},
        signed(orgs["HospitalMSP"].key, statement()),
    ):
        with pytest.raises(VerificationError):
            Envelope.from_dict(altered).verify([key], 1)


def _of(*path: str) -> Callable[[Any], Any]:
    def found(said: Any) -> Any:
        for each in path:
            said = said[int(each) if each.isdigit() else each]
        return said

    return found


def _set(*path: str, to: Any) -> Callable[[Any], object]:
    *above, last = path
    return lambda said: _of(*above)(said).__setitem__(last, to)


_PREDICATE, _DEFINITION = ("predicate",), ("predicate", "buildDefinition")
ALTERED: tuple[tuple[Callable[[Any], object], bool, str], ...] = (
    (_set("_type", to="https://in-toto.io/Statement/v0"), True, "its _type is not"),
    (_set("predicate", to=[]), True, "its 'predicate' must be an object"),
    (_set("subject", to=[]), True, "its 'name' must be a text"),
    (_set("subject", to=7), True, "its 'subject' must be a list of objects"),
    (_set(*_DEFINITION, to=7), True, "its 'buildDefinition' must be an object"),
    (_set(*_DEFINITION, "buildType", to="x"), True, "provenance of another kind than of a training run"),
    (_set(*_DEFINITION, "resolvedDependencies", to=[7]), True, "its 'resolvedDependencies' must be a list"),
    (_set(*_DEFINITION, "resolvedDependencies", to=[{"name": "x"}]), True, "its 'digest' must be an object"),
    (_set(*_DEFINITION, "internalParameters", to={}), True, "its 'channel' must be a text"),
    (_set(*_PREDICATE, "runDetails", "metadata", "invocationId", to="run:r-2"), True, "is not the run that it speaks"),
    (_set(*_PREDICATE, "runDetails", "builder", "id", to="x"), True, "its builder is not an organisation"),
    (_set(*_DEFINITION, "externalParameters", to={}), False, "the digest of its first subject is not that of what"),
    (
        _set(*_PREDICATE, "runDetails", "builder", "id", to="https://pedigree.example/organisations/HospitalMSP"),
        True, "the certificate is not one of HospitalMSP",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("change", "seal", "sentence"), ALTERED, ids=[said for *_, said in ALTERED])
def test_each_altered_copy_is_refused_with_its_own_sentence(
    verify: Any, orgs: dict[str, Org], change: Callable[[Any], object], seal: bool, sentence: str
) -> None:
    said = copy.deepcopy(statement())
    change(said)
    lab = orgs["LabMSP"]
    msp = orgs["HospitalMSP"].msp if "HospitalMSP" in sentence else lab.msp
    envelope = signed(lab.key, sealed(said) if seal else said)
    answer = verify(envelope, "--certificate", lab.certificate, "--msp", msp)
    assert answer.exit_code == Exit.DISAGREES, answer.output
    assert answer.stdout == ""
    assert sentence in " ".join(answer.stderr.split())


def test_a_statement_that_somebody_else_signed_is_refused(verify: Any, orgs: dict[str, Org]) -> None:
    answer = verify(signed(orgs["HospitalMSP"].key, statement()), "--certificate", orgs["LabMSP"].certificate)
    assert answer.exit_code == Exit.DISAGREES
    assert "did not sign it" in " ".join(answer.stderr.split())
