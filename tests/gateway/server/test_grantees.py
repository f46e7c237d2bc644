# SPDX-License-Identifier: Apache-2.0
"""Who belongs to an organisation is decided by the channel's roots, and by the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.fabric.certificates import load_certificate
from gateway.fabric.identity import Signer, sha256
from gateway.fabric.msp import Msp, Msps
from gateway.server.grantees import ChannelMembers
from gateway.services.deliveries import Refuted

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CA, OTHER_CA, USER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
MESSAGE = b"a statement"


def certificate(name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (name, "ca"))
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), 7 + ca, NOW - timedelta(days=1), NOW + timedelta(days=1)
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def members(at: datetime) -> ChannelMembers:
    root = load_certificate(certificate("ca", CA, CA, ca=True), "root")
    return ChannelMembers(lambda: Msps([Msp("LabMSP", [root])]), at.timestamp)


def signature(key: ec.EllipticCurvePrivateKey = USER) -> bytes:
    return Signer(key)(sha256(MESSAGE))


def test_a_certificate_of_the_organisation_signs() -> None:
    members(NOW).check("LabMSP", certificate("user", USER, CA, ca=False), MESSAGE, signature())


@pytest.mark.parametrize("away", [timedelta(days=-2), timedelta(days=2)])
def test_one_that_is_not_valid_now_does_not(away: timedelta) -> None:
    with pytest.raises(Refuted, match="the certificate is valid from"):
        members(NOW + away).check("LabMSP", certificate("user", USER, CA, ca=False), MESSAGE, signature())


def test_strangers_and_forgers_do_not() -> None:
    own = certificate("user", USER, CA, ca=False)
    with pytest.raises(Refuted, match="was not issued by a CA of this MSP"):
        members(NOW).check("LabMSP", certificate("user", USER, OTHER_CA, ca=False), MESSAGE, signature())
    with pytest.raises(Refuted, match="not among the trusted members"):
        members(NOW).check("MakerMSP", own, MESSAGE, signature())
    with pytest.raises(Refuted, match="did not sign this statement"):
        members(NOW).check("LabMSP", own, MESSAGE, signature(CA))
    with pytest.raises(Refuted):
        members(NOW).check("LabMSP", b"no certificate", MESSAGE, signature())
