# SPDX-License-Identifier: Apache-2.0
"""An authority for tests of a gateway's own door: certificates of the server and of clients, and revocation lists."""

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class DoorAuthority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._signed(self._name, self._key.public_key(), 3650 * DAY, authority=True)
        self.file = folder / f"{name}.pem"
        """The authority's own certificate."""
        self.file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        server: bool = False,
        lasts: datetime.timedelta = DAY,
        names: Iterable[x509.GeneralName] = (),
        file: str | None = None,
    ) -> tuple[Path, Path]:
        """A certificate and its key, as files; of the server for 127.0.0.1 and localhost."""
        key = ec.generate_private_key(ec.SECP256R1())
        others = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if server else [*names]
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = self._signed(subject, key.public_key(), lasts, names=others, usage=usage)
        found = self.folder / f"{file or name}.crt", self.folder / f"{file or name}.key"
        found[0].write_bytes(made.public_bytes(Encoding.PEM))
        found[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return found

    def revoke(self, *certificates: Path, lasts: datetime.timedelta = DAY) -> Path:
        """The authority's list of what it revoked, as a file."""
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        made = made.last_update(now - 2 * DAY).next_update(now + lasts)
        for each in certificates:
            number = x509.load_pem_x509_certificate(each.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - DAY).build()
            made = made.add_revoked_certificate(entry)
        made = made.add_extension(x509.CRLNumber(1), False).add_extension(self._identifier(), False)
        path = self.folder / "revoked.pem"
        path.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        lasts: datetime.timedelta,
        *,
        authority: bool = False,
        names: Iterable[x509.GeneralName] = (),
        usage: x509.ObjectIdentifier | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(min(now, now + lasts) - DAY).not_valid_after(now + lasts)
        made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        made = made.add_extension(
            x509.KeyUsage(
                digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )  # fmt: skip
        if not authority:
            made = made.add_extension(self._identifier(), critical=False)
        if others := list(names):
            made = made.add_extension(x509.SubjectAlternativeName(others), critical=False)
        if usage is not None:
            made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return made.sign(self._key, hashes.SHA256())
