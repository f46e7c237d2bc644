# SPDX-License-Identifier: Apache-2.0
"""Private keys and certificate requests: what an identity consists of before a CA has vouched for it."""

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from gateway.identities.errors import IdentityError

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
"""A key that signs; one that lives in a PKCS#11 token is an `EllipticCurvePrivateKey` too, of a class of its own."""

ALGORITHMS = ("p256", "p384", "ed25519")
_LONGEST_COMMON_NAME = 64  # RFC 5280, ub-common-name


def generate(algorithm: str) -> PrivateKey:
    """A fresh key: `p256` (what every Fabric network accepts), `p384` or `ed25519`; raises `IdentityError`."""
    match algorithm:
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
    raise IdentityError(f"key algorithm {algorithm!r} is none of {', '.join(ALGORITHMS)}")


def algorithm_of(key: object) -> str:
    """The name of a private or public key's algorithm, as `generate` takes it; raises `IdentityError` for others."""
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        name = {"secp256r1": "p256", "secp384r1": "p384"}.get(key.curve.name)
        if name is not None:
            return name
        raise IdentityError(f"the key's curve {key.curve.name} is not used by Fabric; p256 or p384 is wanted")
    raise IdentityError("the key is neither ECDSA nor Ed25519, which are all that Fabric uses")


def certificate_request(key: PrivateKey, common_name: str, hosts: Sequence[str] = ()) -> bytes:
    """A PKCS#10 request (RFC 2986) as PEM: the common name, and DNS names or IP addresses as alternative names.

    Fabric CA sets the organisational units itself, from the registered type and affiliation, and refuses a common name
    that is not the enrolment id. Raises `IdentityError` for a name that does not fit into a certificate.
    """
    if not 1 <= len(common_name) <= _LONGEST_COMMON_NAME:
        raise IdentityError(f"an enrolment id has 1 to {_LONGEST_COMMON_NAME} characters, not {len(common_name)}")
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    digest: hashes.SHA256 | hashes.SHA384 | None = None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        digest = hashes.SHA384() if key.curve.key_size > 256 else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def private_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS#8 PEM; raises `IdentityError` for a key that cannot leave its token."""
    try:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    except NotImplementedError as exc:
        raise IdentityError("the private key is in a PKCS#11 token and never leaves it") from exc


def load_private_key(pem: bytes, what: str, password: bytes | None = None) -> PrivateKey:
    """The key of a PEM file; raises `IdentityError` that names `what` it was read from."""
    try:
        key = serialization.load_pem_private_key(pem, password)
    except TypeError:
        problem = "a passphrase is needed" if password is None else "it is not encrypted"
        raise IdentityError(f"{what}: the private key cannot be read: {problem}") from None
    except ValueError:
        raise IdentityError(f"{what}: not a private key in PEM, or not with this passphrase") from None
    algorithm_of(key)
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    return key


def same_key(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether the certificate was issued for this key."""
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass  # no address, so it is a name
    try:
        return x509.DNSName(host)
    except ValueError:
        raise IdentityError(f"host {host!r} is neither an IP address nor a DNS name in ASCII") from None
