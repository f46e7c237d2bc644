# SPDX-License-Identifier: Apache-2.0
"""Identities: who is whose member, in which role, and whose signature counts (P-14, P-15, P-22 to P-25)."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.msp import identities_pb2, msp_config_pb2, msp_principal_pb2
from hypothesis import given
from hypothesis import strategies as st

from network.embedded.certificates import curve_order
from network.embedded.channelconfig import ChannelConfig
from network.embedded.identity import InvalidIdentity, InvalidSignature, MalformedIdentity, Msp, Msps, Signer
from network.embedded.policy import role_principal
from network.material import Material

ORDER = curve_order(ec.SECP256R1())
ROLES = ("member", "admin", "client", "peer", "orderer")
Make = Callable[..., Any]


def _roles(msps: Msps, serialized: bytes, msp_id: str) -> set[str]:
    identity = msps.deserialise(serialized)
    return {role for role in ROLES if msps.satisfies(identity, role_principal(msp_id, role))}


@pytest.mark.parametrize("role", ["client", "peer", "admin"])
def test_a_certificate_satisfies_membership_and_the_role_of_its_unit(
    channel_config: ChannelConfig, signers: dict[str, Signer], role: str
) -> None:
    serialized = signers[f"lab.{role}"].serialized
    assert _roles(channel_config.msps, serialized, "LabMSP") == {"member", role}
    assert _roles(channel_config.msps, serialized, "HospitalMSP") == set()


def test_the_orderer_is_a_member_of_the_channel(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    assert _roles(channel_config.msps, signers["orderer"].serialized, "OrdererMSP") == {"member", "orderer"}


def test_a_signature_made_here_is_good_without_a_second_look_and_for_nothing_else(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    msps = Msps([channel_config.msps.msp(name) for name in ("HospitalMSP", "LabMSP")], remember=2)
    lab, hospital = (msps.deserialise(signers[name].serialized) for name in ("lab.peer", "hospital.peer"))
    made = b"not even a signature: it was not computed again"
    msps.remember(signers["lab.peer"], b"message", made)
    msps.verify(lab, b"message", made)
    for identity, message, signature in ((hospital, b"message", made), (lab, b"other", made), (lab, b"message", b"x")):
        with pytest.raises(InvalidSignature):
            msps.verify(identity, message, signature)
    msps.verify(hospital, b"message", signers["hospital.peer"].sign(b"message"))
    for number in range(2):
        msps.remember(signers["lab.peer"], b"message", bytes([number]))
    with pytest.raises(InvalidSignature):
        msps.verify(lab, b"message", made)  # forgotten, so it is computed


def test_a_signature_is_good_for_its_message_only(channel_config: ChannelConfig, signers: dict[str, Signer]) -> None:
    signer = signers["lab.client"]
    identity = channel_config.msps.deserialise(signer.serialized)
    signature = signer.sign(b"message")
    identity.verify(b"message", signature)
    for message, bad in ((b"Message", signature), (b"message", signature[:-1]), (b"message", b""), (b"message", b"0")):
        with pytest.raises(InvalidSignature):
            identity.verify(message, bad)


def test_own_signatures_have_a_low_s_and_a_high_one_is_refused(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    signer = signers["lab.client"]
    identity = channel_config.msps.deserialise(signer.serialized)
    for count in range(40):
        r, s = decode_dss_signature(signer.sign(bytes([count])))
        assert s <= ORDER // 2
        with pytest.raises(InvalidSignature, match="half the order"):
            identity.verify(bytes([count]), encode_dss_signature(r, ORDER - s))


def test_an_unknown_organisation_and_rubbish_are_malformed(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    pem = signers["lab.client"].certificate_pem
    for msp_id, id_bytes in (("NoMSP", pem), ("LabMSP", b""), ("LabMSP", b"rubbish"), ("LabMSP", pem[:200])):
        serialized = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=id_bytes).SerializeToString()
        with pytest.raises(MalformedIdentity):
            channel_config.msps.deserialise(serialized)
    with pytest.raises(MalformedIdentity):
        channel_config.msps.deserialise(b"\xff\xff\xff")


def test_a_certificate_of_another_organisations_ca_is_malformed(
    channel_config: ChannelConfig, signers: dict[str, Signer]
) -> None:
    foreign = identities_pb2.SerializedIdentity(mspid="LabMSP", id_bytes=signers["hospital.client"].certificate_pem)
    with pytest.raises(MalformedIdentity):
        channel_config.msps.deserialise(foreign.SerializeToString())


def test_a_forged_issuer_of_the_same_name_is_malformed(authority: Make, make_msp: Make) -> None:
    msps = Msps([make_msp("A", authority("root"))])
    with pytest.raises(MalformedIdentity):
        msps.deserialise(authority("root").issue("eve", ["client"]).serialized("A"))


@pytest.mark.parametrize("units", [[], ["auditor"], ["client", "peer"], ["client", "client"]])
def test_exactly_one_unit_makes_a_member(authority: Make, make_msp: Make, units: list[str]) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    serialized = root.issue("user", units).serialized("A")
    identity = msps.deserialise(serialized)
    with pytest.raises(InvalidIdentity):
        msps.validate(identity)
    assert _roles(msps, serialized, "A") == set()


def test_other_units_beside_the_one_do_no_harm(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    assert _roles(msps, root.issue("user", ["ward 7", "client"]).serialized("A"), "A") == {"member", "client"}


def test_without_node_units_only_listed_administrators_have_a_role(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    admin, plain = root.issue("admin", []), root.issue("user", ["peer"])
    msps = Msps([make_msp("A", root, node_units=False, admins=[admin.pem])])
    assert _roles(msps, admin.serialized("A"), "A") == {"member", "admin"}
    assert _roles(msps, plain.serialized("A"), "A") == {"member"}


def test_a_unit_must_come_from_the_ca_that_the_organisation_names(authority: Make, make_msp: Make) -> None:
    root, other = authority("root"), authority("other")
    config = make_msp("A", root, other).config
    config.fabric_node_ous.client_ou_identifier.certificate = root.pem
    msps = Msps([Msp(config)])
    msps.validate(msps.deserialise(root.issue("user", ["client"]).serialized("A")))
    with pytest.raises(InvalidIdentity, match="another CA"):
        msps.validate(msps.deserialise(other.issue("user", ["client"]).serialized("A")))


def test_intermediate_authorities_are_climbed_and_shut_out_the_root(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    middle = root.below("middle")
    leaf = middle.below("leaf")
    msps = Msps([make_msp("A", root, intermediate_certs=[leaf.pem, middle.pem])])
    msps.validate(msps.deserialise(leaf.issue("user", ["client"]).serialized("A")))
    for issuer in (root, middle):
        with pytest.raises(InvalidIdentity, match="CAs below"):
            msps.validate(msps.deserialise(issuer.issue("user", ["client"]).serialized("A")))


def test_an_end_entity_cannot_issue(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    user = root.issue("user", ["client"])
    fake = authority("user", key=user.key)
    fake.certificate = user.certificate
    with pytest.raises(ValueError, match="is not one"):
        make_msp("A", root, intermediate_certs=[user.pem])
    msps = Msps([make_msp("A", root)])
    with pytest.raises(MalformedIdentity):
        msps.deserialise(fake.issue("eve", ["client"]).serialized("A"))


def test_a_ca_is_not_an_identity(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    with pytest.raises(InvalidIdentity, match="CA certificate"):
        msps.validate(msps.deserialise(root.issue("ca", ["client"], authority=True).serialized("A")))


def test_a_revoked_certificate_is_invalid_and_only_that_one(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    good, bad = root.issue("good", ["client"]), root.issue("bad", ["client"])
    msps = Msps([make_msp("A", root, revocation_list=[root.revocation_list(bad.certificate)])])
    msps.validate(msps.deserialise(good.serialized("A")))
    with pytest.raises(InvalidIdentity, match="revoked"):
        msps.validate(msps.deserialise(bad.serialized("A")))


def test_a_revocation_list_signed_by_a_stranger_counts_for_nothing(authority: Make, make_msp: Make) -> None:
    root, stranger = authority("root"), authority("root")
    user = root.issue("user", ["client"])
    msps = Msps([make_msp("A", root, revocation_list=[stranger.revocation_list(user.certificate)])])
    msps.validate(msps.deserialise(user.serialized("A")))


def test_a_revoked_intermediate_takes_its_identities_with_it(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    middle = root.below("middle")
    revoked = root.revocation_list(middle.certificate)
    msps = Msps([make_msp("A", root, intermediate_certs=[middle.pem], revocation_list=[revoked])])
    with pytest.raises(InvalidIdentity, match="revoked"):
        msps.validate(msps.deserialise(middle.issue("user", ["client"]).serialized("A")))


def test_expiry_is_told_but_not_judged(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    identity = msps.deserialise(root.issue("user", ["client"], expired=True).serialized("A"))
    msps.validate(identity)
    assert identity.not_after < datetime.now(UTC)


def test_both_forms_of_a_certificates_signature_are_one_identity(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    high = root.issue("user", ["client"], high_s=True)
    identity = msps.deserialise(high.serialized("A"))
    msps.validate(identity)
    assert identity.der != high.certificate.public_bytes(serialization.Encoding.DER)
    twin = x509.load_der_x509_certificate(identity.der)
    assert decode_dss_signature(twin.signature)[1] <= ORDER // 2
    twin.verify_directly_issued_by(root.certificate)
    other = identities_pb2.SerializedIdentity(mspid="A", id_bytes=twin.public_bytes(serialization.Encoding.PEM))
    assert msps.deserialise(other.SerializeToString()).key == identity.key
    assert identity.key == ("A", hashlib.sha256(identity.der).digest())


def test_what_follows_the_first_pem_block_does_not_matter(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    user = root.issue("user", ["client"])
    plain = msps.deserialise(user.serialized("A"))
    more = identities_pb2.SerializedIdentity(mspid="A", id_bytes=user.pem + b"anything").SerializeToString()
    assert msps.deserialise(more).key == plain.key


def test_an_ed25519_key_signs_the_message_itself(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    key = ed25519.Ed25519PrivateKey.generate()
    identity = Msps([make_msp("A", root)]).deserialise(root.issue("user", ["client"], key=key).serialized("A"))
    identity.verify(b"message", key.sign(b"message"))
    with pytest.raises(InvalidSignature):
        identity.verify(b"other", key.sign(b"message"))


def test_an_unchained_ed25519_certificate_is_well_formed_but_invalid(authority: Make, make_msp: Make) -> None:
    """Only a certificate signed with ECDSA needs its issuer to be brought into canonical form (P-14)."""
    stranger = authority("stranger", key=ed25519.Ed25519PrivateKey.generate())
    msps = Msps([make_msp("A", authority("root"))])
    identity = msps.deserialise(stranger.issue("user", ["client"]).serialized("A"))
    with pytest.raises(InvalidIdentity):
        msps.validate(identity)


def test_a_p384_key_works_with_its_own_half_order(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    key = ec.generate_private_key(ec.SECP384R1())
    identity = Msps([make_msp("A", root)]).deserialise(root.issue("user", ["client"], key=key).serialized("A"))
    order = curve_order(ec.SECP384R1())
    r, s = decode_dss_signature(key.sign(b"m", ec.ECDSA(hashes.SHA256())))
    low, high = min(s, order - s), max(s, order - s)
    identity.verify(b"m", encode_dss_signature(r, low))
    with pytest.raises(InvalidSignature):
        identity.verify(b"m", encode_dss_signature(r, high))


def test_a_curve_that_fabric_does_not_take_is_malformed(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    key = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(MalformedIdentity, match="secp256k1"):
        Msps([make_msp("A", root)]).deserialise(root.issue("user", ["client"], key=key).serialized("A"))


def test_exact_identity_unit_and_combined_principals(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)])
    user, other = root.issue("user", ["client"]), root.issue("other", ["client"])
    identity = msps.deserialise(user.serialized("A"))
    kinds = msp_principal_pb2.MSPPrincipal

    def principal(kind: int, message: Any) -> Any:
        raw = message if isinstance(message, bytes) else message.SerializeToString()
        return kinds(principal_classification=kind, principal=raw)

    exact = principal(kinds.IDENTITY, user.serialized("A"))
    certifier = hashlib.sha256(root.certificate.public_bytes(serialization.Encoding.DER)).digest()
    unit = principal(
        kinds.ORGANIZATION_UNIT,
        msp_principal_pb2.OrganizationUnit(
            msp_identifier="A", organizational_unit_identifier="client", certifiers_identifier=certifier
        ),
    )
    stranger = principal(kinds.IDENTITY, other.serialized("A"))

    def combined(*parts: Any) -> Any:
        return principal(kinds.COMBINED, msp_principal_pb2.CombinedPrincipal(principals=parts))

    assert msps.satisfies(identity, exact)
    assert msps.satisfies(identity, unit)
    assert msps.satisfies(identity, combined(exact, unit))
    assert not msps.satisfies(identity, stranger)
    assert not msps.satisfies(identity, combined(exact, stranger))
    assert not msps.satisfies(identity, combined())
    assert not msps.satisfies(identity, principal(kinds.ANONYMITY, b""))
    assert not msps.satisfies(identity, principal(kinds.ROLE, b"\xff"))


def test_the_memory_of_identities_is_bounded_and_returns_the_same_object(authority: Make, make_msp: Make) -> None:
    root = authority("root")
    msps = Msps([make_msp("A", root)], remember=2)
    first, second, third = (root.issue(name, ["client"]).serialized("A") for name in "abc")
    known = msps.deserialise(first)
    msps.deserialise(second)
    assert msps.deserialise(first) is known
    msps.deserialise(third)
    assert msps.deserialise(first) is known
    again = msps.deserialise(second)
    assert msps.deserialise(second) is again
    assert msps.deserialise(first) is known


def test_a_folder_must_hold_a_certificate_and_its_own_key(shared_material: Material, tmp_path: Path) -> None:
    lab = shared_material.user("lab.example") / "msp"
    admin = shared_material.user("lab.example", "Admin") / "msp"
    for kind, source in (("signcerts", lab), ("keystore", admin)):
        (tmp_path / kind).mkdir()
        for path in (source / kind).iterdir():
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="does not belong"):
        Signer.from_folder(tmp_path, "LabMSP")
    with pytest.raises(OSError, match="nowhere"):
        Signer.from_folder(tmp_path / "nowhere", "LabMSP")


def test_a_folder_without_a_root_is_no_organisation(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cacerts"):
        Msp.from_folder(tmp_path, "LabMSP")
    with pytest.raises(ValueError, match="root certificate"):
        Msp(msp_config_pb2.FabricMSPConfig(name="LabMSP"))


@given(raw=st.binary(max_size=300), id_bytes=st.binary(max_size=300))
def test_any_bytes_are_refused_in_the_same_way(channel_config: ChannelConfig, raw: bytes, id_bytes: bytes) -> None:
    wrapped = identities_pb2.SerializedIdentity(mspid="LabMSP", id_bytes=id_bytes).SerializeToString()
    for candidate in (raw, wrapped):
        with pytest.raises(MalformedIdentity):
            channel_config.msps.deserialise(candidate)
