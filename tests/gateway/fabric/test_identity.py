# SPDX-License-Identifier: Apache-2.0
"""Identities, signers and MSPs: what is accepted, in which role, and what is refused."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from gateway.fabric import Identity, InvalidIdentity, MalformedData, Signer, wire
from gateway.fabric.certificates import load_revocation_list, read_certificate
from gateway.fabric.identity import CURVE_ORDERS, default_hash, low_s, no_hash, sha256
from gateway.fabric.msp import Msp, Msps, NodeOUs
from gateway.fabric.mspfolder import msp_from_folder

ROLE = wire.msp_principal.MSPRole
PRINCIPAL = wire.msp_principal.MSPPrincipal


# Identities and signers


def test_identity_and_signer_are_read_from_an_msp_folder(world):
    folder = world.folders["LabMSP"]
    identity = Identity.from_msp_folder("LabMSP", folder)
    signer = Signer.from_msp_folder(str(folder))
    digest = hashlib.sha256(b"m").digest()
    world.trust().msps.member(identity.serialized).verify(b"m", signer(digest))
    assert identity.serialized == world.client.identity.serialized
    assert repr(identity) == "Identity('LabMSP')"
    assert "key" not in repr(signer).lower()


def test_a_folder_must_hold_exactly_one_readable_file(tmp_path):
    with pytest.raises(MalformedData, match="0 files"):
        Identity.from_msp_folder("LabMSP", tmp_path)
    (tmp_path / "signcerts").mkdir()
    (tmp_path / "signcerts" / "cert.pem").write_bytes(b"no certificate")
    with pytest.raises(MalformedData, match="no PEM certificate"):
        Identity.from_msp_folder("LabMSP", tmp_path)
    (tmp_path / "keystore").mkdir()
    for name in "ab":
        (tmp_path / "keystore" / name).write_bytes(b"x")
    with pytest.raises(MalformedData, match="2 files"):
        Signer.from_msp_folder(tmp_path)


def test_an_identity_has_an_msp_and_may_be_no_certificate_at_all():
    with pytest.raises(ValueError, match="MSP id"):
        Identity("", b"x")
    assert default_hash(Identity("LabMSP", b"x")) is sha256


def test_the_hash_follows_the_certificate(world):
    lab = world.organisations["LabMSP"]
    assert default_hash(lab.issue("e", "client", kind="ed25519").identity) is no_hash
    assert default_hash(lab.client.identity) is sha256


def test_keys_of_other_kinds_are_refused(kit):
    with pytest.raises(MalformedData, match="secp521r1"):
        Signer(kit.make_key("p521"))
    with pytest.raises(MalformedData, match="neither"):
        Signer(rsa.generate_private_key(65537, 2048))
    with pytest.raises(MalformedData, match="PEM"):
        Signer.from_pem(b"x")


def test_an_encrypted_key_wants_its_password(kit):
    key = kit.make_key("p256")
    encryption = serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    assert Signer.from_pem(pem, b"secret")(bytes(32))
    for password in (None, b"wrong"):
        with pytest.raises(MalformedData):
            Signer.from_pem(pem, password)


def test_an_ecdsa_signer_takes_digests_only(kit):
    with pytest.raises(ValueError, match="32 or 48"):
        Signer(kit.make_key("p256"))(b"a message")


@given(st.integers(1, CURVE_ORDERS["secp256r1"] - 1), st.integers(1, CURVE_ORDERS["secp256r1"] - 1))
def test_low_s_keeps_r_and_halves_the_range_of_s(r, s):
    order = CURVE_ORDERS["secp256r1"]
    got_r, got_s = decode_dss_signature(low_s(encode_dss_signature(r, s), order))
    assert got_r == r
    assert got_s in (s, order - s)
    assert got_s <= order // 2


# MSPs


def msp_of(msp_id, roots, **parts):
    """An MSP of parsed certificates and lists."""
    for name in ("intermediates", "admins"):
        parts[name] = [read_certificate(each) for each in parts.get(name, ())]
    lists = [each.public_bytes(serialization.Encoding.PEM) for each in parts.get("revocation_lists", ())]
    parts["revocation_lists"] = [load_revocation_list(each, "list") for each in lists]
    return Msp(msp_id, [read_certificate(each) for each in roots], **parts)


def role_principal(msp_id, role):
    value = ROLE(msp_identifier=msp_id, role=ROLE.MSPRoleType.Value(role))
    return PRINCIPAL(principal_classification=PRINCIPAL.ROLE, principal=value.SerializeToString())


def satisfied_roles(msps, member):
    roles = ("MEMBER", "ADMIN", "CLIENT", "PEER", "ORDERER")
    return {role for role in roles if msps.satisfies(member, role_principal(member.msp_id, role))}


@pytest.mark.parametrize(
    ("unit", "roles"),
    [
        ("client", {"MEMBER", "CLIENT"}),
        ("peer", {"MEMBER", "PEER"}),
        ("admin", {"MEMBER", "ADMIN"}),
        ("orderer", {"MEMBER", "ORDERER"}),
    ],
)
def test_node_ous_give_roles(world, unit, roles):
    msps = world.trust().msps
    member = msps.member(world.organisations["LabMSP"].issue("x", unit, "department1").identity.serialized)
    assert member.role == unit
    assert satisfied_roles(msps, member) == roles
    assert not msps.satisfies(member, role_principal("HospitalMSP", "MEMBER"))


def test_without_node_ous_admins_are_listed_and_nobody_is_a_peer(world):
    lab = world.organisations["LabMSP"]
    msps = Msps([msp_of("LabMSP", [lab.ca], admins=[lab.client.certificate])])
    admin = msps.member(lab.client.identity.serialized)
    peer = msps.member(lab.peer.identity.serialized)
    assert (admin.role, peer.role) == ("admin", None)
    assert satisfied_roles(msps, admin) == {"MEMBER", "ADMIN"}
    assert satisfied_roles(msps, peer) == {"MEMBER"}


def test_a_listed_admin_is_one_also_beside_node_ous(world):
    lab = world.organisations["LabMSP"]
    msps = Msps([msp_of("LabMSP", [lab.ca], admins=[lab.client.certificate], node_ous=NodeOUs.standard())])
    assert satisfied_roles(msps, msps.member(lab.client.identity.serialized)) == {"MEMBER", "CLIENT", "ADMIN"}


def test_other_principals(world):
    lab = world.organisations["LabMSP"]
    msps = world.trust().msps
    member = msps.member(lab.issue("x", "peer", "research").identity.serialized)

    def of(kind, message):
        data = message if isinstance(message, bytes) else message.SerializeToString()
        return PRINCIPAL(principal_classification=kind, principal=data)

    def unit(name, certifiers=member.certifiers, msp_id="LabMSP"):
        return of(
            PRINCIPAL.ORGANIZATION_UNIT,
            wire.msp_principal.OrganizationUnit(
                msp_identifier=msp_id, organizational_unit_identifier=name, certifiers_identifier=certifiers
            ),
        )

    yes, no = role_principal("LabMSP", "PEER"), role_principal("LabMSP", "ADMIN")
    combined = wire.msp_principal.CombinedPrincipal
    der = lab.ca.public_bytes(serialization.Encoding.DER)
    assert member.certifiers == hashlib.sha256(der).digest()
    assert msps.satisfies(member, of(PRINCIPAL.IDENTITY, member.serialized))
    assert not msps.satisfies(member, of(PRINCIPAL.IDENTITY, lab.peer.identity.serialized))
    assert msps.satisfies(member, unit("research"))
    assert not msps.satisfies(member, unit("sales"))
    assert not msps.satisfies(member, unit("research", b"another CA"))
    assert not msps.satisfies(member, unit("research", msp_id="HospitalMSP"))
    assert msps.satisfies(member, of(PRINCIPAL.COMBINED, combined(principals=[yes, unit("research")])))
    assert not msps.satisfies(member, of(PRINCIPAL.COMBINED, combined(principals=[yes, no])))
    assert not msps.satisfies(member, of(PRINCIPAL.COMBINED, combined()))
    assert not msps.satisfies(member, of(PRINCIPAL.ANONYMITY, b""))
    assert not msps.satisfies(member, of(PRINCIPAL.ROLE, b"\xff"))
    assert not Msps(()).satisfies(member, yes)


def test_chains_lead_through_intermediates_to_a_root(world, kit):
    lab = world.organisations["LabMSP"]
    key = kit.make_key("p256")
    intermediate = kit.make_certificate("ica", key, (lab.ca.subject, lab.key), ca=True)
    leaf = kit.Person("LabMSP", kit.make_certificate("leaf", key, (intermediate.subject, key)), key)
    msp = msp_of("LabMSP", [lab.ca], intermediates=[intermediate])
    assert Msps([msp]).member(leaf.identity.serialized).msp_id == "LabMSP"
    with pytest.raises(InvalidIdentity, match="not issued by"):
        Msps([msp_of("LabMSP", [lab.ca])]).member(leaf.identity.serialized)


def test_a_chain_without_end_ends(kit):
    key = kit.make_key("p256")
    loop = kit.make_certificate("loop", key, ca=True)  # its own issuer, and no root
    other = kit.make_certificate("root", kit.make_key("p256"), ca=True)
    leaf = kit.Person("X", kit.make_certificate("leaf", key, (loop.subject, key)), key)
    with pytest.raises(InvalidIdentity, match="longer than"):
        Msps([msp_of("X", [other], intermediates=[loop])]).member(leaf.identity.serialized)


def test_a_ca_of_the_same_name_is_another_ca(world, kit):
    lab = world.organisations["LabMSP"]
    key = kit.make_key("p256")
    namesake = kit.make_certificate("ca.LabMSP", key, ca=True)
    forged = kit.Person("LabMSP", kit.make_certificate("x", key, (namesake.subject, key), units=("peer",)), key)
    assert namesake.subject == lab.ca.subject
    with pytest.raises(InvalidIdentity, match="not issued by"):
        world.trust().msps.member(forged.identity.serialized)
    both = Msps([msp_of("LabMSP", [namesake, lab.ca])])
    assert both.member(forged.identity.serialized).key != both.member(lab.peer.identity.serialized).key


def test_an_msp_needs_roots_that_are_cas(world):
    lab = world.organisations["LabMSP"]
    with pytest.raises(MalformedData, match="no root"):
        msp_of("LabMSP", [])
    with pytest.raises(MalformedData, match="not a CA"):
        msp_of("LabMSP", [lab.peer.certificate])


def test_a_certificate_that_does_not_say_whether_it_is_a_ca_is_none(world, kit):
    lab = world.organisations["LabMSP"]
    key = kit.make_key("p256")
    silent = kit.make_certificate("x", key, (lab.ca.subject, lab.key), units=("peer",), ca=None)
    assert world.trust().msps.member(kit.Person("LabMSP", silent, key).identity.serialized).role == "peer"
    with pytest.raises(MalformedData, match="not a CA"):
        msp_of("LabMSP", [silent])


def test_a_key_on_a_curve_that_fabric_does_not_verify_on_is_no_identity(world):
    person = world.organisations["LabMSP"].issue("x", "peer", kind="k256")
    with pytest.raises(InvalidIdentity, match="NIST curve"):
        world.trust().msps.member(person.identity.serialized)


def crl_of(issuer_name, issuer_key, *serials, key_id=True, algorithm=hashes.SHA256):
    when = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateRevocationListBuilder(issuer_name, when, when + datetime.timedelta(days=1))
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
        builder = builder.add_revoked_certificate(revoked)
    if key_id:
        names_key = issuer_key if key_id is True else key_id
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(names_key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(issuer_key, algorithm and algorithm())


def test_revoked_certificates_and_whatever_they_issued_are_refused(world, kit):
    lab = world.organisations["LabMSP"]
    key = kit.make_key("p256")
    intermediate = kit.make_certificate("ica", key, (lab.ca.subject, lab.key), ca=True)
    leaf = kit.Person("LabMSP", kit.make_certificate("leaf", key, (intermediate.subject, key)), key)
    crl = crl_of(lab.ca.subject, lab.key, lab.peer.certificate.serial_number, intermediate.serial_number)
    msps = Msps([msp_of("LabMSP", [lab.ca], intermediates=[intermediate], revocation_lists=[crl])])
    msps.member(lab.client.identity.serialized)
    for person in (lab.peer, leaf):
        with pytest.raises(InvalidIdentity, match="revoked"):
            msps.member(person.identity.serialized)


def test_a_revocation_list_may_write_its_issuer_in_other_string_types(world):
    """As Go does, and so the Fabric CA: printable where the certificate of the CA says UTF-8."""
    lab = world.organisations["LabMSP"]
    printable = x509.Name(
        [x509.NameAttribute(each.oid, each.value, _type=x509.name._ASN1Type.PrintableString) for each in lab.ca.subject]
    )
    assert printable.public_bytes() != lab.ca.subject.public_bytes()
    crl = crl_of(printable, lab.key, lab.peer.certificate.serial_number)
    msps = Msps([msp_of("LabMSP", [lab.ca], revocation_lists=[crl])])
    msps.member(lab.client.identity.serialized)
    with pytest.raises(InvalidIdentity, match="revoked"):
        msps.member(lab.peer.identity.serialized)


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa"])
def test_a_strangers_revocation_list_says_nothing_and_refuses_nobody(world, kit, kind):
    """Peers take such a list into the configuration, and look past it."""
    lab, stranger = world.organisations["LabMSP"], kit.make_key(kind)
    serial = lab.peer.certificate.serial_number
    algorithm = None if kind == "ed25519" else hashes.SHA256
    lists = [crl_of(lab.ca.subject, stranger, serial, key_id=each, algorithm=algorithm) for each in (True, lab.key)]
    msps = Msps([msp_of("LabMSP", [lab.ca], revocation_lists=lists)])
    assert msps.member(lab.peer.identity.serialized).msp_id == "LabMSP"
    revoking = [*lists, crl_of(lab.ca.subject, lab.key, serial)]
    with pytest.raises(InvalidIdentity, match="revoked"):
        Msps([msp_of("LabMSP", [lab.ca], revocation_lists=revoking)]).member(lab.peer.identity.serialized)


def test_with_a_list_that_names_no_key_nobody_is_valid_as_on_peers(world):
    lab = world.organisations["LabMSP"]
    msps = Msps([msp_of("LabMSP", [lab.ca], revocation_lists=[crl_of(lab.ca.subject, lab.key, 1, key_id=False)])])
    with pytest.raises(InvalidIdentity, match="does not name its issuer's key"):
        msps.member(lab.peer.identity.serialized)


def test_members_are_remembered_up_to_a_bound(world):
    lab = world.organisations["LabMSP"]
    msps = Msps([msp_of("LabMSP", [lab.ca])], capacity=2)
    first = msps.member(lab.peer.identity.serialized)
    assert msps.member(lab.peer.identity.serialized) is first
    msps.member(lab.client.identity.serialized)
    msps.member(lab.issue("third").identity.serialized)
    assert msps.member(lab.peer.identity.serialized) is not first
    assert len(msps._members) == 2


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_as_an_identity(world, data):
    with pytest.raises(MalformedData):
        world.trust().msps.member(data)


@given(st.binary(max_size=80))
def test_any_signature_bytes_are_an_invalid_signature(world, data):
    member = world.trust().msps.member(world.client.identity.serialized)
    with pytest.raises(InvalidSignature):
        member.verify(b"message", data)


def test_ed25519_members_sign_whole_messages(world):
    person = world.organisations["LabMSP"].issue("x", "client", kind="ed25519")
    member = world.trust().msps.member(person.identity.serialized)
    member.verify(b"message", person.sign(b"message"))
    with pytest.raises(InvalidSignature):
        member.verify(b"other", person.sign(b"message"))


# MSP folders


def folder_with(world, tmp_path, config):
    folder = world.organisations["LabMSP"].write_msp(tmp_path / "msp")
    if config is None:
        (folder / "config.yaml").unlink()
    else:
        (folder / "config.yaml").write_text(config)
    return folder


def test_node_ous_are_off_when_nothing_or_no_is_said(world, tmp_path):
    folder = folder_with(world, tmp_path, None)
    assert msp_from_folder("LabMSP", folder).node_ous is None
    (folder / "config.yaml").write_text("# nothing\n---\nNodeOUs:\n  Enable: false\n")
    assert msp_from_folder("LabMSP", folder).node_ous is None


def test_node_ous_may_be_quoted_partial_and_without_issuer(world, tmp_path):
    text = "NodeOUs:\n  Enable: true # on\n  PeerOUIdentifier:\n    OrganizationalUnitIdentifier: 'node'\n"
    node_ous = msp_from_folder("LabMSP", folder_with(world, tmp_path, text)).node_ous
    assert node_ous is not None
    assert node_ous.units == {"peer": ("node", None)}


@pytest.mark.parametrize(
    "text",
    [
        "- a list\n",
        "NodeOUs: yes\n",
        "OrganizationalUnitIdentifiers:\n  Certificate: x\n",
        "NodeOUs:\n  Enable: true\n  PeerOUIdentifier:\n    Certificate: cacerts/ca-cert.pem\n",
        "NodeOUs:\n Enable: true\n PeerOUIdentifier:\n  Certificate: config.yaml\n  OrganizationalUnitIdentifier: x\n",
    ],
)
def test_a_config_that_is_not_understood_is_refused(world, tmp_path, text):
    with pytest.raises(MalformedData):
        msp_from_folder("LabMSP", folder_with(world, tmp_path, text))


def test_every_folder_of_an_msp_is_read(world, kit, tmp_path):
    lab = world.organisations["LabMSP"]
    folder = folder_with(world, tmp_path, None)
    key = kit.make_key("p256")
    intermediate = kit.make_certificate("ica", key, (lab.ca.subject, lab.key), ca=True)
    crl = crl_of(lab.ca.subject, lab.key, lab.peer.certificate.serial_number)
    for name, data in [
        ("intermediatecerts", kit.pem_of(intermediate)),
        ("admincerts", kit.pem_of(lab.client.certificate)),
        ("crls", crl.public_bytes(serialization.Encoding.PEM)),
    ]:
        (folder / name).mkdir()
        (folder / name / "one.pem").write_bytes(data)
    msps = Msps([msp_from_folder("LabMSP", folder)])
    leaf = kit.Person("LabMSP", kit.make_certificate("leaf", key, (intermediate.subject, key)), key)
    assert msps.member(leaf.identity.serialized).role is None
    assert msps.member(lab.client.identity.serialized).role == "admin"
    with pytest.raises(InvalidIdentity, match="revoked"):
        msps.member(lab.peer.identity.serialized)
    (folder / "crls" / "one.pem").write_bytes(b"x")
    with pytest.raises(MalformedData, match=r"one\.pem"):
        msp_from_folder("LabMSP", folder)
