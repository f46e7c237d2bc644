# SPDX-License-Identifier: Apache-2.0
"""Reading the creator of a transaction."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from chaincode.shim import MalformedIdentity, wire
from chaincode.shim.identity import distinguished_name, parse_creator


def name(*parts: tuple[Any, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def test_the_identity_names_subject_and_issuer_as_go_does(authority: Any) -> None:
    subject = name((NameOID.ORGANIZATIONAL_UNIT_NAME, "client"), (NameOID.COMMON_NAME, "User1@hospital.example"))
    client = parse_creator(authority.creator(subject=subject))
    assert client.msp_id == "HospitalMSP"
    assert client.id == "x509::CN=User1@hospital.example,OU=client::CN=ca.hospital.example,O=hospital.example,C=CH"
    assert client.certificate.subject == subject


def test_attributes_of_the_certificate_are_read(authority: Any) -> None:
    client = parse_creator(authority.creator(attributes=b'{"attrs":{"role":"doctor","hf.Affiliation":""}}'))
    assert client.attribute("role") == "doctor"
    assert client.attribute("hf.Affiliation") == ""
    assert client.attribute("admin") is None
    assert dict(client.attributes) == {"role": "doctor", "hf.Affiliation": ""}
    with pytest.raises(TypeError):
        client.attributes["role"] = "admin"  # type: ignore[index]


def test_a_certificate_without_attributes_has_none(authority: Any) -> None:
    assert parse_creator(authority.creator()).attributes == {}


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"attrs":[]}', b'{"attrs":{"role":1}}', b"{}", b"\xff", b"[" * 100_000]
)
def test_unreadable_attributes_are_refused_and_not_taken_for_none(authority: Any, content: bytes) -> None:
    with pytest.raises(MalformedIdentity):
        parse_creator(authority.creator(attributes=content))


@pytest.mark.parametrize(
    "creator", [b"", b"\xff", wire.SerializedIdentity(mspid="A", id_bytes=b"no certificate").SerializeToString()]
)
def test_a_creator_without_a_certificate_is_refused(creator: bytes) -> None:
    with pytest.raises(MalformedIdentity):
        parse_creator(creator)


class Panic(BaseException):
    """Stands for what the library's native part raises, which is no `Exception`."""


@pytest.mark.parametrize("raised", [x509.UnsupportedGeneralNameType("x400", 3), TypeError("odd"), Panic("panicked")])
def test_whatever_the_library_raises_is_a_refusal(
    authority: Any, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    creator = authority.creator(subject=name((NameOID.COMMON_NAME, f"User {type(raised).__name__}")))

    def fail(_: bytes) -> x509.Certificate:
        raise raised

    with monkeypatch.context() as patched:
        patched.setattr(x509, "load_pem_x509_certificate", fail)
        with pytest.raises(MalformedIdentity):
            parse_creator(creator)
        patched.setattr(x509, "load_pem_x509_certificate", lambda _: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            parse_creator(creator)
    assert parse_creator(creator).msp_id == "HospitalMSP"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([(NameOID.COMMON_NAME, 'a,b+c"d\\e<f>g;h')], 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'),
        ([(NameOID.COMMON_NAME, " both ")], "CN=\\ both\\ "),
        ([(NameOID.COMMON_NAME, "#first#")], "CN=\\#first#"),
        ([(NameOID.COMMON_NAME, "first"), (NameOID.COMMON_NAME, "last")], "CN=last"),
        (
            [(NameOID.ORGANIZATIONAL_UNIT_NAME, "one"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "two")],
            "OU=one+OU=two",
        ),
        (
            [
                (NameOID.COUNTRY_NAME, "CH"),
                (NameOID.STATE_OR_PROVINCE_NAME, "ZH"),
                (NameOID.LOCALITY_NAME, "Zürich"),
                (NameOID.STREET_ADDRESS, "Weg 1"),
                (NameOID.POSTAL_CODE, "8000"),
                (NameOID.SERIAL_NUMBER, "7"),
                (NameOID.EMAIL_ADDRESS, "left@out"),
            ],
            "SERIALNUMBER=7,POSTALCODE=8000,STREET=Weg 1,ST=ZH,L=Zürich,C=CH",
        ),
    ],
)
def test_distinguished_names_are_written_as_go_writes_them(parts: Any, text: str) -> None:
    assert distinguished_name(name(*parts)) == text
