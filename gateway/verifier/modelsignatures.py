# SPDX-License-Identifier: Apache-2.0
"""Signatures of model files in the form of OpenSSF Model Signing 1.0 (OMS): made, and checked offline.

A signature is a Sigstore bundle (`application/vnd.dev.sigstore.bundle.v0.3+json`) around a DSSE envelope around an
in-toto statement, whose predicate lists every file of the model by its path and SHA-256. What the library
`model-signing` makes with a key or a certificate is checked here, and it checks what is made here. Signatures over
shards of files, and those whose certificate comes from Sigstore itself, are refused: the first say nothing about whole
files, and the second need Sigstore's own roots and log.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chaincode.domain.evidence import PAYLOAD_TYPE, STATEMENT_TYPE, pre_authentication_encoding
from gateway.fabric.certificates import Certificate, read_certificate
from gateway.fabric.errors import InvalidIdentity
from gateway.fabric.mspfolder import msp_from_folder
from gateway.fabric.texts import said
from gateway.verifier.envelopes import RefutedStatement, open_envelope
from gateway.verifier.verdicts import NOT_PROVEN, SHOWN, json_of, text_of

__all__ = ["ModelSignature", "ModelVerdict", "is_model_signature", "read_model_signature", "sign_model"]

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE: Final = "https://model_signing/signature/v1.0"
LARGEST: Final = 64 << 20
"""Bytes of a signature, at most: 100,000 files by their paths and digests."""

_MOST_FILES: Final = 100_000
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512(),
}  # fmt: skip
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """What a signature proves of a model's files, and what not."""

    verified: bool
    """Whether a key or an organisation that the caller gave signed the list of files."""
    name: str
    files: int
    proven: tuple[str, ...]
    said: tuple[str, ...]
    not_proven: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.verified:
            return f"Verified: this list of {self.files} files was signed as you expect."
        return "Nothing is proven yet: the signature was not checked, as no key and no MSP was given."

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        return text_of(
            self.summary,
            (SHOWN, self.proven),
            ("The file says, and nothing here shows it:", self.said),
            (NOT_PROVEN, self.not_proven),
        )

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return json_of(
            self.verified,
            model=self.name,
            files=self.files,
            proven=self.proven,
            said=self.said,
            not_proven=self.not_proven,
        )


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """A signature that was taken apart; nothing of it is proven before `check`."""

    name: str
    """What the signer calls the model."""
    files: Mapping[str, str]
    """The SHA-256 of each file, in lowercase hex, by its path."""
    ignored: tuple[str, ...]
    """Paths that what was signed leaves out."""
    payload: bytes
    signature: bytes
    hint: str | None
    """SHA-256 of the signer's public key in PEM, in hex; of a signature by a key."""
    certificate: Certificate | None
    """The signer's; of a signature by a certificate."""

    def check(
        self,
        *,
        key: ec.EllipticCurvePublicKey | None = None,
        msp: tuple[str, Path] | None = None,
        found: Mapping[str, str] | None = None,
        version: Mapping[str, Any] | None = None,
    ) -> ModelVerdict:
        """Check it with what the caller has.

        Args:
            key: the signer's public key, on P-256, P-384 or P-521.
            msp: instead, MSP id and MSP folder of the organisation of which the signer must be.
            found: path and digest of each file that the caller has.
            version: a version of a model as a ledger's answer has it (`record` of `pedigree model show`).

        Raises:
            RefutedStatement: the signature does not hold, or is not of these files or of this version.
        """
        proven: list[str] = []
        if key is not None:
            self._check_key(key)
            proven.append(f"The key that you gave signed exactly this list of {len(self.files)} files.")
        if msp is not None:
            proven.append(self._check_organisation(*msp))
        if found is not None:
            self._compare(found, "the files that you gave")
            proven.append("The files that you gave are those of the list, each by its path and SHA-256.")
        if version is not None:
            reference = said(f"model-version:{version.get('model')}:{version.get('number')}")
            self._compare(_files_of(version), reference)
            proven.append(f"The ledger's answer for {reference} has the same files, each by its path and SHA-256.")
        by = None if self.certificate is None else f"It was signed with the certificate of {self.certificate.name}."
        return ModelVerdict(
            verified=key is not None or msp is not None,
            name=said(self.name),
            files=len(self.files),
            proven=tuple(proven),
            said=(f"The model is called {said(self.name)}.", *((by,) if by is not None and msp is None else ())),
            not_proven=(
                "When it was signed, and that a certificate was valid then.",
                "That the model is safe, or does what anyone says of it.",
                *(() if found is not None else ("That files which you have are these: give them with --files.",)),
                *(() if version is not None else ("That a ledger has this model: give its answer with --ledger.",)),
            ),
        )

    def _check_key(self, key: ec.EllipticCurvePublicKey) -> None:
        if key.curve.name not in _HASHES:
            raise RefutedStatement("a model is signed by a key on P-256, P-384 or P-521, which the one you gave is not")
        if self.hint is not None and self.hint != _hint(key):
            raise RefutedStatement("it names another key than the one that you gave")
        message = pre_authentication_encoding(PAYLOAD_TYPE, self.payload)
        try:
            key.verify(self.signature, message, ec.ECDSA(_HASHES[key.curve.name]))
        except InvalidSignature:
            raise RefutedStatement("the key did not sign this list of files") from None

    def _check_organisation(self, organisation: str, folder: Path) -> str:
        if self.certificate is None:
            raise RefutedStatement("it was made with a key alone, and has no certificate: give the key")
        if not isinstance(self.certificate.public_key, ec.EllipticCurvePublicKey):
            raise RefutedStatement("the key of its certificate is on none of P-256, P-384 and P-521")
        self._check_key(self.certificate.public_key)
        try:
            msp_from_folder(organisation, folder).accept(self.certificate, b"")
        except InvalidIdentity as exc:
            raise RefutedStatement(f"its certificate is not one of {said(organisation)}: {exc}") from None
        return (
            f"{self.certificate.name} of {said(organisation)} signed exactly this list of {len(self.files)} files, by"
            " the MSP that you gave: the certificate was issued under one of its roots, and is on none of its"
            " revocation lists."
        )

    def _compare(self, found: Mapping[str, str], what: str) -> None:
        for path, digest in self.files.items():
            if path not in found:
                raise RefutedStatement(f"{said(path)} is signed, and is not among {what}")
            if found[path] != digest:
                raise RefutedStatement(f"{said(path)} has another SHA-256 in {what} than was signed")
        for path in found:
            if path not in self.files:
                raise RefutedStatement(f"{said(path)} is among {what}, and was not signed")


def sign_model(
    name: str,
    files: Mapping[str, str],
    ignored: Iterable[str],
    key: ec.EllipticCurvePrivateKey,
    chain: Sequence[x509.Certificate] = (),
) -> bytes:
    """A signature over the files of a model, by their paths and digests (SHA-256 in lowercase hex).

    Args:
        ignored: paths that are left out.
        key: on P-256, P-384 or P-521.
        chain: the certificate of that key, and those above it but for the root; without any the signature names the
            key by its hash.

    Raises:
        ValueError: the key is on another curve, the certificate is of another key, or there is no file.
    """
    if key.curve.name not in _HASHES:
        raise ValueError("a model is signed by a key on P-256, P-384 or P-521")
    if chain and chain[0].public_key() != key.public_key():
        raise ValueError("the certificate is of another key than the one that is to sign")
    if not files:
        raise ValueError("a model has one file at least")
    resources = [{"name": path, "algorithm": "sha256", "digest": files[path]} for path in sorted(files)]
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": _root(each["digest"] for each in resources)}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": sorted(ignored),
            },
            "resources": resources,
        },
    }  # fmt: skip
    payload = json.dumps(statement, ensure_ascii=False).encode()
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload), ec.ECDSA(_HASHES[key.curve.name]))
    material: dict[str, Any] = {"publicKey": {"hint": _hint(key.public_key())}}
    if chain:
        encoded = [{"rawBytes": _encoded(each.public_bytes(serialization.Encoding.DER))} for each in chain]
        material = {"x509CertificateChain": {"certificates": encoded}}
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": _encoded(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _encoded(signature), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode()


def is_model_signature(value: Mapping[str, Any]) -> bool:
    """Whether a file is meant to be a signature of this form."""
    return "dsseEnvelope" in value and "verificationMaterial" in value


def read_model_signature(data: bytes) -> ModelSignature:
    """Take a signature apart; raises `RefutedStatement` for what is not one, or is of a form that is refused."""
    if len(data) > LARGEST:
        raise RefutedStatement(f"it has more than {LARGEST:,} bytes")
    bundle = _object(_parsed(data, "it"), "it")
    if bundle.get("mediaType") != BUNDLE:
        raise RefutedStatement(f"its mediaType is not {BUNDLE}")
    payload, signature = open_envelope(bundle.get("dsseEnvelope"), LARGEST)
    hint, certificate = _material(_object(bundle.get("verificationMaterial"), "the field /verificationMaterial"))
    statement = _object(_parsed(payload, "its payload"), "its payload")
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE:
        raise RefutedStatement(f"its payload is not a statement of type {PREDICATE}")
    subject = statement.get("subject")
    if not isinstance(subject, list) or len(subject) != 1 or not isinstance(subject[0], dict):
        raise RefutedStatement("its statement must have one subject")
    predicate = _object(statement.get("predicate"), "the predicate")
    files = _resources(predicate.get("resources"))
    if subject[0].get("digest") != {"sha256": _root(files.values())}:
        raise RefutedStatement("the digest of its subject is not that over the digests of its files")
    name = subject[0].get("name")
    if not isinstance(name, str):
        raise RefutedStatement("the name of its subject must be a text")
    return ModelSignature(
        name=name,
        files=files,
        ignored=_serialization(_object(predicate.get("serialization"), "the field serialization of the predicate")),
        payload=payload,
        signature=signature,
        hint=hint,
        certificate=certificate,
    )


def _material(material: Mapping[str, Any]) -> tuple[str | None, Certificate | None]:
    """The hint of a key, or the certificate."""
    if isinstance(key := material.get("publicKey"), dict):
        hint = key.get("hint")
        if hint is not None and not isinstance(hint, str):
            raise RefutedStatement("the hint of its key must be a text")
        return hint or None, None
    if "certificate" in material:
        raise RefutedStatement("it was made through Sigstore, whose roots and log are not known here")
    chain = _object(material.get("x509CertificateChain"), "the field x509CertificateChain").get("certificates")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], dict):
        raise RefutedStatement("it names neither a key nor a certificate")
    try:
        der = base64.b64decode(chain[0].get("rawBytes", ""), validate=True)
        return None, read_certificate(x509.load_der_x509_certificate(der), "its certificate")
    except (ValueError, TypeError) as exc:
        raise RefutedStatement(f"its certificate cannot be read: {said(str(exc))}") from None


def _resources(value: Any) -> dict[str, str]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_FILES:
        raise RefutedStatement(f"it must list 1 to {_MOST_FILES:,} files")
    files: dict[str, str] = {}
    for each in value:
        path, digest = (each.get("name"), each.get("digest")) if isinstance(each, dict) else (None, None)
        if not isinstance(path, str) or not isinstance(digest, str) or each.get("algorithm") != "sha256":
            raise RefutedStatement("each file must have a name and a digest by the algorithm sha256")
        if len(digest) != 64 or not _HEX.issuperset(digest):
            raise RefutedStatement(f"the digest of {said(path)} must be 64 lower-case hexadecimal digits")
        if path in files:
            raise RefutedStatement(f"it lists {said(path)} twice")
        files[path] = digest
    return files


def _serialization(value: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that were ignored."""
    if value.get("method") != "files" or value.get("hash_type") != "sha256":
        raise RefutedStatement("it is not over whole files by their SHA-256 (method files, hash_type sha256)")
    ignored = value.get("ignore_paths", [])
    if not isinstance(ignored, list) or not all(isinstance(each, str) for each in ignored):
        raise RefutedStatement("the field ignore_paths must be a list of paths")
    return tuple(ignored)


def _files_of(version: Mapping[str, Any]) -> dict[str, str]:
    files = version.get("files")
    if version.get("kind") != "model-version" or not isinstance(files, list):
        raise RefutedStatement("what was given as the ledger's answer is not about a version of a model")
    return {str(each.get("path")): str(each.get("digest")) for each in files if isinstance(each, dict)}


def _parsed(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise RefutedStatement(f"{what} is not JSON") from None


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RefutedStatement(f"{what} must be an object")
    return value


def _root(digests: Iterable[str]) -> str:
    """SHA-256 over the digests of the files, in the order in which they are listed (OMS 1.0)."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key.public_bytes(*form)).hexdigest()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
