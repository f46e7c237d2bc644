# SPDX-License-Identifier: Apache-2.0
"""A model with keys, a certificate and an MSP, and the verbs that sign it and check signatures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.cli import main

ORGANISATION = "LabMSP"


def pem_of(key: Any) -> bytes:
    """A private key in PEM."""
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def public_pem(key: Any) -> bytes:
    """Its public key in PEM."""
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return bytes(key.public_key().public_bytes(*form))


def certificate(subject: str, key: Any, issuer: str, issuer_key: Any, *, authority: bool) -> x509.Certificate:
    """A certificate for a year, as a CA of Fabric issues them."""
    now = datetime.now(UTC)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    built = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    return built.sign(issuer_key, hashes.SHA256())


class Signing:
    """A folder with a model, keys and an MSP, and what the commands say of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "net"
        (self.model / "sub").mkdir(parents=True)
        (self.model / "weights.bin").write_bytes(b"weights")
        (self.model / "sub" / "config.json").write_bytes(b"{}")
        self.key = ec.generate_private_key(ec.SECP256R1())
        (folder / "key.pem").write_bytes(pem_of(self.key))
        (folder / "public.pem").write_bytes(public_pem(self.key))
        self.signature = folder / "net.sig"
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = certificate("root", root_key, "root", root_key, authority=True)
        user = certificate("Ada", self.key, "root", root_key, authority=False)
        self.msp = folder / "msp"
        (self.msp / "cacerts").mkdir(parents=True)
        (self.msp / "cacerts" / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (folder / "user.pem").write_bytes(user.public_bytes(serialization.Encoding.PEM))

    def run(self, *arguments: str) -> Result:
        """Run a verb of `pedigree model`."""
        return CliRunner().invoke(main, ["model", *arguments])

    def sign(self, *more: str) -> Result:
        """Sign the model."""
        paths = ("--private-key", str(self.folder / "key.pem"), "-o", str(self.signature))
        return self.run("sign", str(self.model), *paths, *more)

    def check(self, *more: str) -> Result:
        """Check the signature with the public key and the files."""
        key = ("--public-key", str(self.folder / "public.pem"))
        return self.run("check-signature", str(self.signature), *key, "--files", str(self.model), *more)

    def check_organisation(self, msp: Path) -> Result:
        """Check the signature with an organisation's MSP."""
        return self.run("check-signature", str(self.signature), "--msp", ORGANISATION, str(msp))
