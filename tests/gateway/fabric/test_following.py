# SPDX-License-Identifier: Apache-2.0
"""Trust moves along with the channel's configuration blocks, and with nothing that merely looks like one.

The blocks are made by the embedded network's own code, which shares none with the gateway, from real certificates.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.fabric import InvalidIdentity, Trust, UntrustedResponse, decode_block, wire
from gateway.fabric.blocks import config_in
from gateway.fabric.errors import DisabledMember, NotUnderstood
from gateway.fabric.following import Follower
from gateway.fabric.verify import msp_from_folder
from network.config import changes
from network.config.groups import peer_organisation
from network.config.revocation import make_list
from network.embedded.blocks import header_hash, make_block, sign_block
from network.embedded.configtx import config_envelope
from network.embedded.genesis import genesis_block
from network.embedded.identity import Signer
from network.material import Material, ensure_material
from network.topology import Endpoint, Organisation, Topology, default_topology

AT = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = {"HospitalMSP", "LabMSP", "RegulatorMSP", "OrdererMSP"}
Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Scene:
    """Key material of the first members, of a newcomer, and of an ordering organisation made anew."""

    topology: Topology
    material: Material
    other: Material
    genesis: bytes
    maker: Organisation

    def peer(self, domain: str, msp_id: str) -> bytes:
        return Signer.from_folder(self.material.peer(domain) / "msp", msp_id).serialized

    @property
    def orderer(self) -> Signer:
        return self._orderer(self.material)

    @property
    def new_orderer(self) -> Signer:
        return self._orderer(self.other)

    def joined(self, config: Any) -> Any:
        folder = self.material.organisation(self.maker.domain) / "msp"
        return changes.add_organisation(config, peer_organisation("MakerMSP", folder, [self.maker.peer]))

    def reordered(self, config: Any) -> Any:
        """The configuration with the ordering organisation's authority replaced."""
        changed = copy.deepcopy(config)
        envelope = config_in(decode_block(genesis_block(self.topology, self.other)))
        found = configtx_pb2.ConfigEnvelope.FromString(envelope or b"").config.channel_group.groups["Orderer"]
        changed.channel_group.groups["Orderer"].CopyFrom(found)
        return changed

    def revoked(self, config: Any) -> Any:
        certificate = next((self.material.peer("lab.example") / "msp" / "signcerts").iterdir()).read_bytes()
        return changes.revoke(
            config, "LabMSP", [make_list(self.material.organisation("lab.example") / "ca", [certificate], None)]
        )

    def _orderer(self, material: Material) -> Signer:
        orderer = self.topology.orderer
        return Signer.from_folder(material.orderer(orderer.domain) / "msp", orderer.msp_id)


@dataclass
class Chain:
    """A channel's blocks, honest ones and others, and the follower that reads them."""

    scene: Scene
    trust: Trust
    follower: Follower
    blocks: list[Any] = field(default_factory=list)
    config: Any = None
    kept: bytes | None = None

    def start(self) -> Chain:
        genesis = common_pb2.Block.FromString(self.scene.genesis)
        self.config = configtx_pb2.ConfigEnvelope.FromString(config_in(decode_block(genesis)) or b"").config
        self.read(genesis)
        return self

    def read(self, block: Any) -> None:
        """Have the follower judge a block, and keep it when it was taken."""
        found = self.follower.check(block, decode_block(block))
        self.kept = found or self.kept
        self.blocks.append(block)

    def plain(self, signer: Any = None) -> Any:
        return self.block([b"somebody's"], signer)

    def configured(self, change: Change, signer: Any = None, *, ahead: int = 1, channel: str = "pedigree") -> Any:
        """A block with the next configuration, not read yet."""
        wanted = copy.deepcopy(change(self.config))
        wanted.sequence = self.config.sequence + ahead
        proposed = configtx_pb2.ConfigEnvelope(config=wanted)
        envelope = config_envelope(channel, proposed, self.scene.orderer, b"n" * 24, AT)
        return self.block([envelope.SerializeToString()], signer)

    def block(self, envelopes: list[bytes], signer: Any = None) -> Any:
        last = self.blocks[-1].header
        block = make_block(last.number + 1, header_hash(last), envelopes)
        sign_block(block, signer or self.scene.orderer, b"m" * 24, 0)
        return block

    def change(self, change: Change, signer: Any = None) -> None:
        """An honest change, read."""
        block = self.configured(change, signer)
        self.read(block)
        self.config = configtx_pb2.ConfigEnvelope.FromString(config_in(decode_block(block)) or b"").config

    def refused(self, block: Any, reason: str, kind: type[Exception] = UntrustedResponse) -> None:
        """The block is refused, said so, and changes nothing."""
        before, sequence = self.trust.msps, self.follower.sequence
        with pytest.raises(kind, match=reason):
            self.follower.check(block, decode_block(block))
        assert (self.trust.msps, self.follower.sequence) == (before, sequence)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    topology = default_topology(any_port=True)
    maker = Organisation("maker", "MakerMSP", "maker.example", Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", 0))
    everybody = replace(topology, organisations=(*topology.organisations, maker))
    material = ensure_material(everybody, tmp_path_factory.mktemp("material"))
    other = ensure_material(topology, tmp_path_factory.mktemp("other"))
    return Scene(topology, material, other, genesis_block(topology, material).SerializeToString(), maker)


def new_chain(scene: Scene) -> Chain:
    folders = {each.msp_id: scene.material.organisation(each.domain) / "msp" for each in scene.topology.organisations}
    genesis = common_pb2.Block.FromString(scene.genesis)
    msps = [msp_from_folder(msp_id, folder) for msp_id, folder in folders.items()]
    trust = Trust(msps, header_hash(genesis.header))
    return Chain(scene, trust, Follower("pedigree", trust))


@pytest.fixture
def chain(scene: Scene) -> Chain:
    return new_chain(scene).start()


def test_before_the_first_block_the_pinned_members_are_trusted(scene: Scene) -> None:
    fresh = new_chain(scene)
    assert fresh.trust.msps.ids == FIRST - {"OrdererMSP"}
    assert fresh.follower.sequence is None
    fresh.start()
    assert fresh.trust.msps.ids == FIRST
    assert fresh.follower.sequence == 0


def test_whoever_joins_may_endorse_and_whoever_leaves_may_not(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    newcomer = chain.scene.peer("maker.example", "MakerMSP")
    with pytest.raises(InvalidIdentity):
        chain.trust.msps.member(newcomer)
    with caplog.at_level(logging.INFO):
        chain.change(chain.scene.joined)
    assert "block 1: configuration 1" in caplog.text
    assert "MakerMSP has joined" in caplog.text
    assert chain.trust.msps.member(newcomer).role == "peer"
    chain.read(chain.plain())
    chain.change(lambda config: changes.remove_organisation(config, "MakerMSP"))
    with pytest.raises(InvalidIdentity, match="not among the trusted members"):
        chain.trust.msps.member(newcomer)


def test_whoever_is_revoked_is_refused_at_once(chain: Chain) -> None:
    peer = chain.scene.peer("lab.example", "LabMSP")
    assert chain.trust.msps.member(peer).role == "peer"
    chain.change(chain.scene.revoked)
    with pytest.raises(InvalidIdentity, match="is revoked"):
        chain.trust.msps.member(peer)
    assert chain.trust.msps.member(chain.scene.peer("hospital.example", "HospitalMSP")).role == "peer"


def test_the_validation_flag_of_a_configuration_counts_for_nothing(chain: Chain) -> None:
    block = chain.configured(chain.scene.joined)
    block.metadata.metadata[2] = b"\x06"  # the peer's own word, which no orderer signed
    chain.read(block)
    assert "MakerMSP" in chain.trust.msps.ids


def test_orderers_hand_over_in_the_block_that_the_old_ones_sign(chain: Chain) -> None:
    old, new = chain.scene.orderer, chain.scene.new_orderer
    chain.refused(chain.configured(chain.scene.reordered, new), "block-signature")
    chain.change(chain.scene.reordered, old)
    chain.refused(chain.plain(old), "block-signature")
    chain.read(chain.plain(new))


def test_a_block_without_a_good_signature_is_refused(chain: Chain) -> None:
    member = chain.scene.material.user("hospital.example", "Admin") / "msp"
    forger = Signer.from_folder(member, "HospitalMSP")
    for block in (chain.plain(forger), chain.configured(chain.scene.joined, forger)):
        chain.refused(block, "block-signature")
    unsigned = chain.configured(chain.scene.joined)
    unsigned.metadata.metadata[0] = b""
    chain.refused(unsigned, "block-signature")
    unsigned.metadata.metadata[0] = b"\xff"
    chain.refused(unsigned, "its signatures cannot be read")
    del unsigned.metadata.metadata[:]
    chain.refused(unsigned, "block-signature")


def test_a_signature_is_of_one_block_only(chain: Chain) -> None:
    honest, forged = chain.plain(), chain.configured(chain.scene.joined)
    forged.metadata.metadata[0] = honest.metadata.metadata[0]
    chain.refused(forged, "block-signature")


@pytest.mark.parametrize("ahead", [-1, 0, 2, 7])
def test_a_configuration_out_of_its_turn_is_refused(chain: Chain, ahead: int) -> None:
    chain.change(chain.scene.joined)
    chain.refused(chain.configured(chain.scene.revoked, ahead=ahead), "config-sequence")


def test_a_configuration_of_another_channel_is_refused(chain: Chain) -> None:
    chain.refused(chain.configured(chain.scene.joined, channel="elsewhere"), "config-channel")


def test_a_configuration_beside_other_transactions_is_refused(chain: Chain) -> None:
    (envelope,) = chain.configured(chain.scene.joined).data.data
    chain.refused(chain.block([envelope, b"another"]), "config-block")


def test_the_first_block_must_hold_a_configuration(scene: Scene) -> None:
    block = make_block(0, b"", [b"genesis"])
    new_chain(scene).refused(block, "config-block")


def test_a_configuration_that_cannot_be_read_is_refused(chain: Chain) -> None:
    block = chain.configured(chain.scene.joined)
    envelope = common_pb2.Envelope.FromString(block.data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    payload.data = b"\xff"
    envelope.payload = payload.SerializeToString()
    chain.refused(chain.block([envelope.SerializeToString()]), "not readable", NotUnderstood)


def test_a_restart_goes_on_where_it_was_and_never_with_what_was_pinned(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    chain.change(chain.scene.joined)
    chain.change(lambda config: changes.remove_organisation(config, "RegulatorMSP"))
    chain.read(chain.plain())
    again = new_chain(chain.scene)
    assert "RegulatorMSP" in again.trust.msps.ids
    with caplog.at_level(logging.INFO):
        again.follower.resume(len(chain.blocks), chain.kept)
    assert "rather than those that are pinned" in caplog.text
    assert again.trust.msps.ids == FIRST - {"RegulatorMSP"} | {"MakerMSP"}
    assert again.follower.sequence == 2
    again.blocks, again.config = chain.blocks, chain.config
    again.read(again.plain())
    again.change(chain.scene.revoked)


def test_without_the_configuration_that_held_nothing_is_taken_up(chain: Chain) -> None:
    again = new_chain(chain.scene)
    with pytest.raises(ValueError, match="was not kept"):
        again.follower.resume(1, None)
    with pytest.raises(NotUnderstood):
        again.follower.resume(1, b"\xff")
    again.refused(chain.plain(), "config-missing")


STEPS = st.lists(st.sampled_from(["join", "leave", "revoke", "plain", "restart", "forged", "skipped"]), max_size=8)


@given(steps=STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_members_are_those_of_the_last_honest_configuration(
    scene: Scene, steps: list[str]
) -> None:
    chain = new_chain(scene).start()
    members = set(FIRST)
    for step in steps:
        match step:
            case "join" if "MakerMSP" not in members:
                chain.change(scene.joined)
                members.add("MakerMSP")
            case "leave" if "MakerMSP" in members:
                chain.change(lambda config: changes.remove_organisation(config, "MakerMSP"))
                members.discard("MakerMSP")
            case "revoke":
                chain.change(scene.revoked)
            case "plain":
                chain.read(chain.plain())
            case "restart":
                again = new_chain(scene)
                again.follower.resume(len(chain.blocks), chain.kept)
                again.blocks, again.config, again.kept = chain.blocks, chain.config, chain.kept
                chain = again
            case "forged":
                chain.refused(chain.configured(scene.revoked, scene.new_orderer), "block-signature")
            case "skipped":
                chain.refused(chain.configured(scene.revoked, ahead=2), "config-sequence")
        assert chain.trust.msps.ids == members


# What one member may write into its own part of the configuration, and Fabric takes


def own_msp(
    config: Any, change: Callable[[Any], None], *, section: str = "Application", kind: int = 0, more: bytes = b""
) -> Any:
    """The configuration with the MSP of one organisation changed, as its administrator may."""
    changed = copy.deepcopy(config)
    name = next(iter(sorted(changed.channel_group.groups[section].groups)))
    for group in (each for part in changed.channel_group.groups.values() for each in part.groups.items()):
        if group[0] == name:
            outer = msp_config_pb2.MSPConfig.FromString(group[1].values["MSP"].value)
            inner = msp_config_pb2.FabricMSPConfig.FromString(outer.config)
            change(inner)
            outer.config, outer.type = inner.SerializeToString() + more, kind
            group[1].values["MSP"].value = outer.SerializeToString()
    return changed


def authority(extension: x509.ExtensionType | None = None) -> tuple[bytes, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another ca")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, AT, AT.replace(year=2046))
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), key


def x400_root(msp: Any) -> None:
    # A general name of the form [3] x400Address, which the X.509 library knows no reading of, and Go skips.
    names = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3006a3043002 0500"))
    msp.root_certs.append(authority(names)[0])


def unit(msp: Any) -> None:
    msp.organizational_unit_identifiers.add(organizational_unit_identifier="peer", certificate=msp.root_certs[0])


def label(msp: Any) -> None:
    msp.root_certs[0] = msp.root_certs[0].replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-")


def strangers_list(msp: Any) -> None:
    _, key = authority()
    builder = x509.CertificateRevocationListBuilder(x509.Name([]), AT, AT.replace(year=2046))
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    signed = builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())
    msp.revocation_list.append(signed.public_bytes(serialization.Encoding.PEM))


def units_without_names(msp: Any) -> None:
    """NodeOUs that are switched on and name no unit enforce none."""
    msp.fabric_node_ous.Clear()
    msp.fabric_node_ous.enable = True


def nothing(_: Any) -> None:
    """The definition as it is."""


DEEP = b"\xfb\x3f" * 500 + b"\xfc\x3f" * 500
"""A field that nobody knows: groups nested deeper than Python's parser goes, and Go's does."""


@pytest.mark.parametrize(
    ("change", "more"),
    [(each, b"") for each in (x400_root, unit, label, strangers_list, units_without_names)] + [(nothing, DEEP)],
)
def test_what_fabric_accepts_of_a_members_msp_disables_nobody(
    chain: Chain, change: Callable[[Any], None], more: bytes
) -> None:
    chain.change(lambda config: own_msp(config, change, more=more))
    assert chain.follower.disabled == {}
    assert chain.trust.msps.member(chain.scene.peer("hospital.example", "HospitalMSP")).msp_id == "HospitalMSP"
    chain.read(chain.plain())


def no_root_left(msp: Any) -> None:
    msp.root_certs[0] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def list_of_nothing(msp: Any) -> None:
    msp.revocation_list.append(b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n")


def oversized_root(msp: Any) -> None:
    msp.root_certs[0] += b"\n" * 70_000


@pytest.mark.parametrize(
    ("change", "kind"), [(no_root_left, 0), (list_of_nothing, 0), (oversized_root, 0), (nothing, 1)]
)
def test_a_member_whose_msp_is_not_understood_is_disabled_and_the_channel_goes_on(
    chain: Chain, caplog: pytest.LogCaptureFixture, change: Callable[[Any], None], kind: int
) -> None:
    caplog.set_level(logging.INFO)
    chain.change(lambda config: own_msp(config, change, kind=kind))
    assert set(chain.follower.disabled) == {"HospitalMSP"}
    assert chain.trust.msps.ids == FIRST
    with pytest.raises(DisabledMember, match="member HospitalMSP is disabled here"):
        chain.trust.msps.member(chain.scene.peer("hospital.example", "HospitalMSP"))
    assert chain.trust.msps.member(chain.scene.peer("lab.example", "LabMSP")).role == "peer"
    assert any("member HospitalMSP is disabled here" in each.message for each in caplog.records)
    chain.read(chain.plain())

    again = new_chain(chain.scene)  # and so it is after a restart
    again.follower.resume(len(chain.blocks), chain.kept)
    assert set(again.follower.disabled) == {"HospitalMSP"}

    chain.change(chain.scene.joined)  # the others' changes are taken up as before
    assert "MakerMSP" in chain.trust.msps.ids


def test_a_configuration_with_fields_that_only_go_can_skip_is_read(chain: Chain) -> None:
    block = chain.configured(chain.scene.joined)
    envelope = common_pb2.Envelope.FromString(block.data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    wanted = configtx_pb2.ConfigEnvelope.FromString(payload.data).config
    written = wanted.SerializeToString() + DEEP
    payload.data = b"\x0a" + _length(written) + written
    with pytest.raises(wire.DecodeError):
        configtx_pb2.ConfigEnvelope.FromString(payload.data)
    envelope.payload = payload.SerializeToString()
    chain.read(chain.block([envelope.SerializeToString()]))
    assert "MakerMSP" in chain.trust.msps.ids


def _length(data: bytes) -> bytes:
    size = len(data)
    written = b""
    while size > 0x7F:
        written += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return written + bytes((size,))


def test_an_ordering_organisation_that_is_not_understood_makes_no_forgery_of_its_blocks(chain: Chain) -> None:
    chain.change(lambda config: own_msp(config, no_root_left, section="Orderer"))
    assert set(chain.follower.disabled) == {"OrdererMSP"}
    chain.refused(chain.plain(), "definition is not understood .OrdererMSP", NotUnderstood)


def test_two_definitions_of_one_msp_are_nobodys(chain: Chain) -> None:
    """No peer accepts that, so it is no member's doing; but nobody may speak as another."""

    def posing(config: Any) -> Any:
        def rename(msp: Any) -> None:
            msp.name = "LabMSP"

        return own_msp(config, rename)

    chain.change(posing)
    assert set(chain.follower.disabled) == {"LabMSP"}


def test_a_members_own_policy_that_is_not_understood_stops_no_block(chain: Chain) -> None:
    def change(config: Any) -> Any:
        changed = copy.deepcopy(config)
        orderers = changed.channel_group.groups["Orderer"].groups
        stranger = orderers["Stranger"]
        stranger.CopyFrom(next(iter(orderers.values())))
        stranger.policies["Writers"].policy.value = b"\xff"
        return changed

    chain.change(change)
    chain.read(chain.plain())
