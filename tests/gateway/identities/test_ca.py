# SPDX-License-Identifier: Apache-2.0
"""The CA client against a CA that checks everything it is sent, lies when told to, and fails in every way."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.identities.ca import FabricCa
from gateway.identities.credential import Credential
from gateway.identities.errors import (
    AlreadyRegistered,
    CaError,
    CaMisbehaved,
    CaUnreachable,
    IdentityError,
    NotAuthenticated,
    NotAuthorised,
    NotFoundAtCa,
)
from gateway.identities.keys import certificate_request, generate
from gateway.identities.records import Attribute, AttributeRequest, Registration
from gateway.identities.transport import Transport, refusal, tls_context


@pytest.mark.parametrize("algorithm", ["p256", "p384", "ed25519"])
def test_a_request_is_for_the_key_and_carries_name_and_hosts(algorithm: str) -> None:
    key = generate(algorithm)
    request = x509.load_pem_x509_csr(certificate_request(key, "gateway", ["gw.example", "127.0.0.1", "::1"]))
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
    assert request.subject.rfc4514_string() == "CN=gateway"
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gw.example"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    if algorithm == "p384":
        assert request.signature_hash_algorithm is not None
        assert request.signature_hash_algorithm.name == "sha384"


def test_a_request_without_hosts_has_no_extension() -> None:
    assert len(x509.load_pem_x509_csr(certificate_request(generate("p256"), "gateway")).extensions) == 0


@pytest.mark.parametrize(("name", "hosts"), [("", ()), ("x" * 65, ()), ("gateway", ("bücher.example",))])
def test_what_does_not_fit_into_a_request_is_refused(name: str, hosts: tuple[str, ...]) -> None:
    with pytest.raises(IdentityError):
        certificate_request(generate("p256"), name, hosts)


def test_enrolling_gives_an_identity_that_signs(ca: FabricCa, fake: Any) -> None:
    credential = ca.enrol(
        "admin", "adminpw-1234", msp_id="HospitalMSP", hosts=["gw.example"], profile="tls",
        attributes=[AttributeRequest("role"), AttributeRequest("unit", optional=True)],
    )  # fmt: skip
    asked = fake.requests[-1]
    assert asked.path == "/api/v1/enroll"
    assert asked.body["hosts"] == ["gw.example"]
    assert asked.body["profile"] == "tls"
    assert asked.body["caname"] == "ca.hospital.example"
    assert asked.body["attr_reqs"] == [{"name": "role", "optional": False}, {"name": "unit", "optional": True}]
    assert credential.certificate == fake.issued[-1]
    assert credential.authorities == (fake.root.certificate,)
    assert credential.identity.mspid == "HospitalMSP"
    assert isinstance(credential.key, ec.EllipticCurvePrivateKey)
    assert credential.signer(bytes(32))


def test_attributes_are_left_to_the_ca_unless_they_are_named(ca: FabricCa, fake: Any) -> None:
    ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP")
    assert "attr_reqs" not in fake.requests[-1].body
    ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP", attributes=())
    assert fake.requests[-1].body["attr_reqs"] == []


@pytest.mark.parametrize("algorithm", ["p256", "p384", "ed25519"])
def test_reenrolling_makes_a_fresh_key_of_the_same_kind(ca: FabricCa, algorithm: str) -> None:
    old = ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP", key=generate(algorithm))
    new = ca.reenrol(old)
    assert new.name == old.name
    assert type(new.key) is type(old.key)
    assert new.key.public_key() != old.key.public_key()
    assert isinstance(new.key, ed25519.Ed25519PrivateKey) == (algorithm == "ed25519")


def test_registering_says_what_was_asked_for(ca: FabricCa, admin: Credential, fake: Any) -> None:
    registration = Registration(
        "gateway",
        "client",
        "hospital.it",
        (Attribute("role", "r", ecert=True),),
        max_enrolments=3,
        secret="chosen-by-us",
    )
    assert ca.register(registration, admin) == "chosen-by-us"
    assert fake.requests[-1].body == {
        "id": "gateway", "type": "client", "affiliation": "hospital.it", "max_enrollments": 3,
        "secret": "chosen-by-us", "caname": "ca.hospital.example",
        "attrs": [{"name": "role", "value": "r", "ecert": True}],
    }  # fmt: skip
    with pytest.raises(AlreadyRegistered, match="already registered"):
        ca.register(registration, admin)
    assert ca.register(Registration("other"), admin) == "made-by-the-ca"


def test_a_hundred_calls_at_once_are_each_authenticated(ca: FabricCa, admin: Credential) -> None:
    names = [f"gateway{number}" for number in range(100)]
    with ThreadPoolExecutor(16) as pool:
        secrets = list(pool.map(lambda name: ca.register(Registration(name, secret=f"s-{name}"), admin), names))
    assert secrets == [f"s-{name}" for name in names]


def test_revoking_names_a_name_or_one_certificate(ca: FabricCa, admin: Credential, fake: Any) -> None:
    other = ca.reenrol(admin)
    done = ca.revoke(admin, serial=other.serial, aki="aa", reason="superseded")
    assert done.certificates == ((other.serial, "aa"),)
    assert done.crl is None
    assert fake.requests[-1].body == {
        "serial": other.serial, "aki": "aa", "reason": "superseded", "gencrl": False, "caname": "ca.hospital.example"
    }  # fmt: skip
    with pytest.raises(NotAuthenticated):
        ca.reenrol(other)
    assert ca.revoke(admin, name="nobody", crl=True).crl is None
    asked = len(fake.requests)
    for wrong in ({}, {"name": "a", "serial": "1", "aki": "2"}, {"serial": "1"}, {"name": "a", "reason": "boredom"}):
        with pytest.raises(IdentityError):
            ca.revoke(admin, **wrong)
    assert len(fake.requests) == asked


def test_what_the_ca_lists_is_read(ca: FabricCa, admin: Credential, fake: Any) -> None:
    (found,) = ca.identities(admin)
    assert (found.name, found.type, found.affiliation, found.max_enrolments) == ("admin", "client", "hospital", -1)
    assert found.attributes == (Attribute("role", "r", ecert=True),)
    assert ca.certificates(admin, name="admin", usable=True) == tuple(fake.issued)
    assert fake.requests[-1].path == (
        "/api/v1/certificates?ca=ca.hospital.example&id=admin&notexpired=true&notrevoked=true"
    )


@pytest.mark.parametrize("listed", [7, "text", [7], [{}], [{"id": "x", "attrs": 7}], [{"id": "x", "attrs": [{}]}]])
def test_lists_in_no_known_form_are_refused(ca: FabricCa, admin: Credential, fake: Any, listed: Any) -> None:
    fake.lie = lambda result: {"identities": listed, "certs": listed, "RevokedCerts": listed, "name": "x"}
    for call in (lambda: ca.identities(admin), lambda: ca.certificates(admin)):
        with pytest.raises(IdentityError):
            call()


@pytest.mark.parametrize("name", ["gate way/1?x=%2F#y", "gäteway", "a+b&c=d"])
def test_a_name_of_any_signs_is_signed_as_it_is_sent(ca: FabricCa, admin: Credential, fake: Any, name: str) -> None:
    ca.change_secret(name, "another-secret", admin)
    assert fake.requests[-1].method == "PUT"


# -- lies ------------------------------------------------------------------------------------------------------


def _enrol(ca: FabricCa) -> Credential:
    return ca.enrol("admin", "adminpw-1234", msp_id="HospitalMSP")


def _cert(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()


def test_a_certificate_for_another_key_is_refused(ca: FabricCa, fake: Any) -> None:
    fake.lie = lambda result: {**result, "Cert": _cert(fake.root.issue(generate("p256").public_key(), "admin"))}
    with pytest.raises(CaMisbehaved, match="another key"):
        _enrol(ca)


def test_a_certificate_of_another_name_is_refused(ca: FabricCa, fake: Any) -> None:
    fake.lie = lambda result: {**result, "Cert": _cert(fake.root.issue(fake.issued[-1].public_key(), "mallory"))}
    with pytest.raises(CaMisbehaved, match="mallory"):
        _enrol(ca)


def test_a_certificate_that_the_chain_did_not_issue_is_refused(ca: FabricCa, fake: Any, kit: SimpleNamespace) -> None:
    fake.lie = lambda result: {**result, "Cert": _cert(kit.Root().issue(fake.issued[-1].public_key(), "admin"))}
    with pytest.raises(CaMisbehaved, match="chain did not issue"):
        _enrol(ca)


def test_a_ca_below_another_root_is_refused(fake: Any, kit: SimpleNamespace) -> None:
    other = kit.Root().certificate
    with FabricCa(fake.url, None, root=other) as ca, pytest.raises(CaMisbehaved, match="pinned root"):
        _enrol(ca)


@pytest.mark.parametrize("part", ["Cert", "ServerInfo"])
@pytest.mark.parametrize("value", [None, "", "%%%", 7, {"CAChain": "AAAA"}, base64.b64encode(b"no pem").decode()])
def test_an_answer_with_something_missing_is_refused(ca: FabricCa, fake: Any, part: str, value: Any) -> None:
    fake.lie = lambda result: {**result, part: value}
    with pytest.raises(IdentityError):
        _enrol(ca)


def test_a_registration_without_a_secret_is_refused(ca: FabricCa, admin: Credential, fake: Any) -> None:
    fake.lie = lambda result: {}
    with pytest.raises(CaMisbehaved, match="secret"):
        ca.register(Registration("gateway"), admin)


# -- failures --------------------------------------------------------------------------------------------------


def test_a_wrong_secret_is_told_and_not_repeated(ca: FabricCa) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        ca.enrol("admin", "not-the-secret", msp_id="HospitalMSP")
    assert caught.value.status == 401
    assert caught.value.code == 20
    assert "not-the-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_is_in_no_representation(ca: FabricCa) -> None:
    assert "hush-hush" not in repr(Registration("gateway", secret="hush-hush"))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 20, NotAuthenticated),
        (401, 73, NotAuthenticated),
        (403, 71, NotAuthorised),
        (409, 74, AlreadyRegistered),
        (404, 19, NotFoundAtCa),
        (404, 63, NotFoundAtCa),
        (500, 0, CaError),
        (400, 9999, CaError),
    ],
)
def test_each_code_has_its_error(status: int, code: int, kind: type[CaError]) -> None:
    error = refusal(status, [{"code": code, "message": "said\x1b[31m\nso"}], "ca:1")
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert str(error).isprintable()


@pytest.mark.parametrize("errors", [None, [], [1], {}, [{"code": "x"}], "text"])
def test_errors_in_no_known_form_are_still_errors(errors: Any) -> None:
    assert "no reason given" in str(refusal(500, errors, "ca:1"))


def _raw(status: int, content: bytes) -> Any:
    def trouble(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        return True

    return trouble


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b""),
        (200, b"[]"),
        (200, b"<html>"),
        (502, b"Bad Gateway"),
        (200, b"{}"),
        (302, b""),
        (200, b"[" * 100_000),
    ],
)
def test_what_is_no_answer_of_a_ca_is_not_taken_for_one(ca: FabricCa, fake: Any, status: int, content: bytes) -> None:
    fake.trouble = _raw(status, content)
    with pytest.raises(CaUnreachable, match="not as a Fabric CA"):
        ca.info()


def test_success_with_an_error_status_is_a_refusal(ca: FabricCa, fake: Any) -> None:
    fake.trouble = _raw(500, b'{"success": true, "result": {}}')
    with pytest.raises(CaError):
        ca.info()


def test_a_ca_that_hangs_up_is_unreachable(ca: FabricCa, fake: Any) -> None:
    fake.trouble = lambda handler: True
    with pytest.raises(CaUnreachable, match="cannot be reached"):
        ca.info()


def test_a_ca_that_is_not_there_is_unreachable() -> None:
    with (
        FabricCa("http://127.0.0.1:1", None) as ca,
        pytest.raises(CaUnreachable, match=r"127\.0\.0\.1:1 cannot be reached"),
    ):
        ca.info()


def test_a_ca_that_does_not_answer_is_given_up(fake: Any) -> None:
    ended = threading.Event()
    fake.trouble = lambda handler: ended.wait(5)
    try:
        with FabricCa(fake.url, None, timeout=0.2) as ca, pytest.raises(CaUnreachable, match=r"within 0\.2 s"):
            ca.info()
    finally:
        ended.set()


def test_a_ca_that_answers_drop_by_drop_is_given_up(fake: Any, kit: SimpleNamespace) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            for _ in range(40):
                handler.wfile.write(b" ")
                kit.sleep(0.05)
        except OSError:
            pass  # the client has given up, as it should
        return True

    fake.trouble = drip
    with FabricCa(fake.url, None, timeout=0.3) as ca, pytest.raises(CaUnreachable, match="did not finish"):
        ca.info()


# -- addresses and roots ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "ca:7054", "ftp://ca", "https://", "https://u:pass-word@ca", "http://10.0.0.1:7054", "https://ca?x=1"]
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(IdentityError) as caught:
        Transport(url, None)
    assert "pass-word" not in str(caught.value)


def test_https_needs_a_pinned_root() -> None:
    with pytest.raises(IdentityError, match="root"):
        Transport("https://ca:7054", None)


def test_a_root_that_is_none_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "root.pem"
    with pytest.raises(IdentityError, match=r"root\.pem"):
        tls_context(bad)
    bad.write_text("no certificate")
    with pytest.raises(IdentityError, match=r"root\.pem"):
        tls_context(bad)
