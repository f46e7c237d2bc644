# SPDX-License-Identifier: Apache-2.0
"""Signed update files, revocation lists, and what people are told before they sign."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from fabric_protos.common import common_pb2, configtx_pb2

from network.config import changes, envelopes
from network.config.errors import ConfigError
from network.config.groups import peer_organisation
from network.config.revocation import make_list, revokes
from network.config.submit import in_block, proposed
from network.config.update import compute_update
from network.config.view import describe
from network.embedded.channelconfig import ChannelConfig
from network.embedded.genesis import genesis_block
from network.embedded.identity import Signer
from network.material import Material
from network.topology import Batch, Endpoint, Topology


@pytest.fixture
def update(config: Any) -> configtx_pb2.ConfigUpdate:
    return compute_update("pedigree", config, changes.remove_organisation(config, "LabMSP"))


def test_a_file_is_read_back_with_everybodys_approval_once(update: Any, signers: dict[str, Signer]) -> None:
    envelope = envelopes.unsigned(update)
    for name in ("hospital.admin", "lab.admin", "hospital.admin"):
        envelope = envelopes.approve(envelope, signers[name])
    read, found = envelopes.read(envelope.SerializeToString())
    assert found == update
    assert envelopes.signers(read) == ["HospitalMSP", "LabMSP"]


def test_a_sealed_update_carries_the_approvals_and_one_signature_over_all(
    update: Any, signers: dict[str, Signer], channel_config: ChannelConfig
) -> None:
    approved = envelopes.approve(envelopes.unsigned(update), signers["lab.admin"])
    sealed = envelopes.sealed(approved, signers["hospital.admin"])
    payload = common_pb2.Payload.FromString(sealed.payload)
    creator = common_pb2.SignatureHeader.FromString(payload.header.signature_header).creator
    identity = channel_config.msps.deserialise(creator)
    identity.verify(sealed.payload, sealed.signature)
    with pytest.raises(InvalidSignature):
        identity.verify(sealed.payload + b"x", sealed.signature)
    assert envelopes.signers(sealed) == ["LabMSP"]


@pytest.mark.parametrize("raw", [b"", b"\xff", b"rubbish", common_pb2.Envelope(payload=b"x").SerializeToString()])
def test_what_is_no_update_is_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="holds no configuration update"):
        envelopes.read(raw)


def test_an_update_is_told_in_words(config: Any, update: Any, shared_material: Material) -> None:
    assert envelopes.changes(update) == [
        "leaves in [Group] /Channel/Application HospitalMSP, RegulatorMSP, Capabilities"
    ]
    newcomer = peer_organisation(
        "MakerMSP", shared_material.organisation("lab.example") / "msp", [Endpoint("peer", 7051)]
    )
    added = envelopes.changes(compute_update("pedigree", config, changes.add_organisation(config, newcomer)))
    assert "adds [Group] /Channel/Application/MakerMSP" in added
    assert not any(line.endswith("/HospitalMSP/MSP") for line in added)
    batch = envelopes.changes(compute_update("pedigree", config, changes.set_batch(config, Batch(max_messages=3))))
    assert batch == ["changes [Value] /Channel/Orderer/BatchSize to version 1"]


def test_nothing_to_do_proposes_nothing(config: Any) -> None:
    assert proposed("pedigree", config, lambda found: found) is None
    assert proposed("pedigree", config, lambda found: changes.remove_organisation(found, "OtherMSP")) is None


def test_the_configuration_is_told_as_plain_values(config: Any, shared_topology: Topology) -> None:
    found = describe(config)
    assert [member["mspid"] for member in found["members"]] == ["HospitalMSP", "LabMSP", "RegulatorMSP"]
    assert found["ordering"]["consenters"] == [str(address) for address in shared_topology.orderer.addresses]
    assert found["ordering"]["batch"]["timeout"] == "100ms"
    assert found["policies"]["/Channel/Application/Admins"] == "MAJORITY Admins"
    assert found["members"][1]["policies"]["Endorsement"] == "OR('LabMSP.peer')"


def test_only_configuration_blocks_hold_one(shared_topology: Topology, shared_material: Material) -> None:
    block = genesis_block(shared_topology, shared_material)
    assert in_block(block).config.sequence == 0
    block.data.data[0] = b""
    with pytest.raises(ConfigError, match="block 0 holds no configuration"):
        in_block(block)


class TestRevocation:
    @pytest.fixture
    def authority(self, shared_material: Material) -> Path:
        return shared_material.organisation("lab.example") / "ca"

    def test_a_list_names_its_issuer_and_keeps_what_was_revoked(
        self, authority: Path, signers: dict[str, Signer], config: Any
    ) -> None:
        client, peer = (signers[name].certificate_pem for name in ("lab.client", "lab.peer"))
        first = make_list(authority, [client])
        both = make_list(authority, [peer], first)
        assert (revokes(first, [client]), revokes(first, [peer]), revokes(both, [client, peer])) == (True, False, True)
        crl = x509.load_pem_x509_crl(both)
        certificate = x509.load_pem_x509_certificate(next(authority.glob("*-cert.pem")).read_bytes())
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        named = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert named == own
        once = changes.revoke(config, "LabMSP", [first])
        assert changes.revocation_lists(changes.revoke(once, "LabMSP", [both]), "LabMSP") == [both]

    def test_strangers_are_refused(self, authority: Path, signers: dict[str, Signer], config: Any) -> None:
        with pytest.raises(ConfigError, match="was not issued by the organisation's authority"):
            make_list(authority, [signers["hospital.client"].certificate_pem])
        with pytest.raises(ConfigError, match="not a certificate in PEM"):
            make_list(authority, [b"rubbish"])
        mine = make_list(authority, [])
        with pytest.raises(ConfigError, match="not issued by a certificate authority"):
            changes.revoke(config, "HospitalMSP", [mine])
        with pytest.raises(ConfigError, match="not a revocation list"):
            changes.revoke(config, "LabMSP", [b"rubbish"])
        with pytest.raises(ConfigError, match="no organisation of the channel"):
            changes.revoke(config, "OtherMSP", [mine])


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda c: changes.set_anchors(c, "OtherMSP", []), "OtherMSP is not a member"),
    (lambda c: changes.set_tls_roots(c, "LabMSP", []), "at least one TLS root"),
    (lambda c: changes.remove_consenter(c, "OrdererMSP", changes.consenters(c)[0]), "last consenter"),
    (lambda c: changes.add_consenter(c, "LabMSP", Endpoint("h", 1), b"x"), "LabMSP orders nothing"),
    (lambda c: changes.add_consenter(c, "OrdererMSP", changes.consenters(c)[0], b"x"), "is a consenter already"),
    (lambda c: changes.replace_consenter_certificate(c, Endpoint("h", 1), b"x"), "is not a consenter"),
    (
        lambda c: changes.remove_organisation(
            changes.remove_organisation(changes.remove_organisation(c, "LabMSP"), "HospitalMSP"), "RegulatorMSP"
        ),
        "last member",
    ),
]


@pytest.mark.parametrize(("wanted", "problem"), REFUSED)
def test_changes_that_make_no_sense_are_refused(config: Any, wanted: Callable[[Any], Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        wanted(config)


def test_a_consenters_certificate_is_exchanged_in_place(config: Any) -> None:
    (address,) = changes.consenters(config)
    changed = changes.replace_consenter_certificate(config, address, b"new")
    assert changes.consenters(changed) == [address]
    assert changes.replace_consenter_certificate(changed, address, b"new") == changed != config
