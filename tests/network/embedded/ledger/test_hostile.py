# SPDX-License-Identifier: Apache-2.0
"""What one member sends can be refused or found invalid; it stops neither the block's commit nor the next start."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fabric_protos.common import common_pb2
from fabric_protos.msp import msp_config_pb2

from network.config import changes
from network.embedded import validate
from network.embedded.blocks import last_config
from network.embedded.channelconfig import ChannelConfig, MalformedConfig, duration_seconds
from network.embedded.identity import Signer
from network.embedded.node import Node
from network.topology import default_topology

VALID, ENDORSEMENT_POLICY_FAILURE, INVALID_OTHER_REASON = 0, 10, 255
Edit = Callable[[Any], None]


@pytest.fixture
def lab_ca(world: Any, authority: Any) -> Any:
    domain = "lab.example"
    return authority.load(world.material.organisation(domain), domain)


@pytest.mark.parametrize(
    "extension", [("2.5.29.17", b"garbage"), ("2.5.29.19", b"\x30\xff"), ("2.5.29.17", b"\x30\x02\xa4\x00")]
)
def test_an_endorsement_with_a_broken_certificate_counts_for_nothing(
    ledger: Any, kit: Any, lab_ca: Any, extension: tuple[str, bytes]
) -> None:
    odd = lab_ca.issue_odd("peer9", ["peer"], extension)
    eve = Signer("LabMSP", odd.pem, odd.key)
    ledger.world = replace(ledger.world, peers={**ledger.world.peers, "Eve": eve})
    drafts = [kit.Draft(endorsers=each) for each in (("HospitalMSP", "Eve"), ("HospitalMSP", "LabMSP", "Eve"))]
    for number, draft in enumerate(drafts):
        draft.rwset.add_write("cc", f"k{number}", b"v")
    assert ledger.commit(*drafts) == [ENDORSEMENT_POLICY_FAILURE, VALID]


def test_a_creator_with_a_broken_certificate_is_a_stranger(ledger: Any, kit: Any, lab_ca: Any) -> None:
    odd = lab_ca.issue_odd("eve", ["client"], ("2.5.29.17", b"garbage"))
    ledger.world = replace(ledger.world, users={**ledger.world.users, "Eve": Signer("LabMSP", odd.pem, odd.key)})
    assert ledger.commit(kit.Draft(creator="Eve"), kit.Draft()) == [4, VALID]


@pytest.mark.parametrize("stage", ["_endorsement_code", "_creator_holds", "check_reads"])
def test_a_judgement_that_fails_makes_one_transaction_invalid_and_no_other(
    ledger: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    target = validate if stage == "check_reads" else validate.StageA
    real, calls = getattr(target, stage), []

    def fail_first(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise TypeError("what no judgement should raise")
        return real(*args)

    monkeypatch.setattr(target, stage, fail_first)
    drafts = [kit.Draft(), kit.Draft()]
    for draft in drafts:
        draft.rwset.add_write("cc", "k", b"v")
    assert ledger.commit(*drafts) == [INVALID_OTHER_REASON, VALID]
    assert "what no judgement should raise" in caplog.text
    assert ledger.value("k") == b"v"


def test_a_disk_that_cannot_be_read_is_no_verdict(ledger: Any, kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: Any) -> int:
        raise OSError("input/output error")

    monkeypatch.setattr(validate, "check_reads", unreadable)
    height = ledger.store.height
    with pytest.raises(OSError, match="input/output"):
        ledger.commit(kit.Draft())
    assert ledger.store.height == height


@pytest.mark.parametrize("btl", [2**63 - 1, 2**64 - 1])
def test_private_data_that_last_longer_than_any_ledger_are_kept(ledger: Any, kit: Any, btl: int) -> None:
    ledger.define(kit.definition(sequence=2, collections=[kit.collection("c", "OR('LabMSP.member')", btl=btl)]))
    draft = kit.Draft()
    draft.rwset.add_private_write("cc", "c", "k", b"v")
    assert ledger.commit(draft) == [VALID]


def test_a_definition_whose_members_cannot_be_read_keeps_nothing(ledger: Any, kit: Any) -> None:
    broken = kit.collection("c", "OR('LabMSP.member')")
    broken.static_collection_config.member_orgs_policy.signature_policy.identities[0].principal = b"\xff"
    ledger.define(kit.definition(sequence=2, collections=[broken]))
    draft = kit.Draft()
    draft.rwset.add_private_write("cc", "c", "k", b"v")
    assert ledger.commit(draft, kit.Draft()) == [ENDORSEMENT_POLICY_FAILURE, VALID]


# -- an administrator changes its own organisation ---------------------------------------------------------------------


def _revocation_list(name: x509.Name, key: Any, *, identifier: bytes | None, serial: int) -> bytes:
    now = datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now)
    builder = builder.next_update(now + timedelta(days=1)).add_revoked_certificate(entry)
    if identifier is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def _own_key_identifier(ca: Any) -> bytes:
    return bytes(ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)


class Attack:
    """What an administrator of LabMSP has at hand."""

    def __init__(self, ca: Any, stranger: Any) -> None:
        self.ca, self.stranger = ca, stranger
        self.name = ca.certificate.subject
        self.own = bytes(ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)
        self.key = ec.generate_private_key(ec.SECP256R1())
        constraints, identifier = (
            ("2.5.29.19", bytes.fromhex("30030101ff")),
            ("2.5.29.14", bytes.fromhex("040461626364")),
        )
        odd = stranger.issue_odd("odd", [], constraints, identifier, ("2.5.29.17", bytes.fromhex("3002a300")))
        self.odd_root = odd.pem

    def list(self, key: Any, identifier: bytes | None) -> bytes:
        return _revocation_list(self.name, key, identifier=identifier, serial=7)


def _append(field: str, value: Any) -> Callable[[Attack], Edit]:
    return lambda attack: lambda msp: getattr(msp, field).append(value(attack))


def _unit(certificate: Callable[[Attack], bytes]) -> Callable[[Attack], Edit]:
    return _append(
        "organizational_unit_identifiers",
        lambda a: msp_config_pb2.FabricOUIdentifier(organizational_unit_identifier="ward", certificate=certificate(a)),
    )


def _relabel(msp: Any) -> None:
    msp.root_certs[0] = msp.root_certs[0].replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")


EDITS: dict[str, tuple[Callable[[Attack], Edit], bool]] = {
    "a unit that its CA certifies": (_unit(lambda a: a.ca.pem), True),
    "a unit without a CA": (_unit(lambda a: b""), False),
    "a unit of another CA": (_unit(lambda a: a.stranger.pem), False),
    "a label other than CERTIFICATE": (lambda a: _relabel, True),
    "a list by a stranger": (_append("revocation_list", lambda a: a.list(a.key, b"s")), True),
    "a list by another key": (_append("revocation_list", lambda a: a.list(a.key, a.own)), True),
    "a list with an Ed25519 signature": (
        _append("revocation_list", lambda a: a.list(ed25519.Ed25519PrivateKey.generate(), a.own)),
        True,
    ),
    "a list without a key identifier": (_append("revocation_list", lambda a: a.list(a.ca.key, None)), False),
    "a list that is none": (_append("revocation_list", lambda a: b"-----BEGIN X509 CRL-----\nAAAA"), False),
    "a root with an x400Address": (_append("root_certs", lambda a: a.odd_root), True),
    "a root that is none": (_append("root_certs", lambda a: b"rubbish"), False),
    "a root without a key identifier": (_append("root_certs", lambda a: a.stranger.pem), False),
    "no root": (lambda a: lambda msp: msp.root_certs.__delitem__(slice(None)), False),
    "a TLS root that is no CA": (_append("tls_root_certs", lambda a: a.ca.issue("x", ["client"]).pem), False),
    "an intermediate of a stranger": (_append("intermediate_certs", lambda a: a.stranger.pem), False),
    "an administrator of a stranger": (_append("admins", lambda a: a.stranger.issue("a", ["admin"]).pem), False),
    "an administrator with a broken certificate": (
        _append("admins", lambda a: a.ca.issue_odd("a", ["admin"], ("2.5.29.17", b"x")).pem),
        False,
    ),
    "an administrator without a role": (_append("admins", lambda a: a.ca.issue("a", ["ward"]).pem), False),
    "an administrator of its own": (_append("admins", lambda a: a.ca.issue("a", ["admin"]).pem), True),
    "units without names": (lambda a: lambda msp: msp.fabric_node_ous.client_ou_identifier.Clear(), True),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_organisation_is_what_fabric_can_set_up_or_the_update_is_refused(
    running: Any, ledger: Any, kit: Any, lab_ca: Any, authority: Any, name: str
) -> None:
    edit, accepted = EDITS[name]
    attack = Attack(lab_ca, authority("stranger"))

    def wanted(config: Any) -> Any:
        return changes._with_msp(config, "LabMSP", edit(attack))

    async def use(one: Any) -> None:
        status, info = await one.send(one.update(wanted, "LabMSP"))
        await one.settle()
        assert (status, bool(info)) == (("SUCCESS", False) if accepted else ("BAD_REQUEST", True))
        draft = kit.Draft(endorsers=("HospitalMSP", "RegulatorMSP"))
        assert await one.submit(draft) == VALID

    running(use, keep_open=True)
    block = ledger.store.block(last_config(ledger.store.block(ledger.store.height - 1)))
    again = ChannelConfig.from_block(block)  # what the next start of the node does
    assert (block.header.number > 0) == accepted
    assert again.application_orgs["LabMSP"] == "LabMSP"


def test_a_unit_that_is_required_is_required_of_everyone(running: Any, ledger: Any, kit: Any, lab_ca: Any) -> None:
    def wanted(config: Any) -> Any:
        unit = msp_config_pb2.FabricOUIdentifier(organizational_unit_identifier="ward", certificate=lab_ca.pem)
        return changes._with_msp(config, "LabMSP", lambda msp: msp.organizational_unit_identifiers.append(unit))

    async def use(one: Any) -> None:
        await one.change(wanted, "LabMSP")
        assert await one.submit(kit.Draft(endorsers=("HospitalMSP", "LabMSP"))) == ENDORSEMENT_POLICY_FAILURE

    running(use)


def test_a_configuration_that_no_library_can_read_is_refused_and_not_raised(world: Any) -> None:
    envelope = type(world.config.envelope)()
    envelope.CopyFrom(world.config.envelope)
    for field in ("policies", "values"):
        for entry in getattr(envelope.config.channel_group.groups["Application"], field).values():
            target = entry.policy if field == "policies" else entry
            target.value = b"\xff"
    with pytest.raises(MalformedConfig):
        ChannelConfig("pedigree", envelope)


@pytest.mark.parametrize("text", ["9" * 400 + "h", "1e9h", "", "\u0663s"])
def test_a_duration_that_go_cannot_hold_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_seconds(text)


def test_a_whole_node_goes_on_and_starts_again(world: Any, kit: Any, authority: Any, tmp_path: Path) -> None:
    """One envelope with an unreadable endorser, and then an honest one; everything is there after a restart."""
    failures: list[BaseException] = []

    async def first() -> None:
        node = await Node.start(default_topology(any_port=True), tmp_path / "data", on_failure=failures.append)
        try:
            channel = node.channels["pedigree"]
            local = load_world_of(world, node)
            ledger = kit.Ledger(local, channel.store)
            ca = authority.load(node.material.organisation("lab.example"), "lab.example")
            odd = ca.issue_odd("peer9", ["peer"], ("2.5.29.17", b"garbage"))
            ledger.world = replace(local, peers={**local.peers, "Eve": Signer("LabMSP", odd.pem, odd.key)})
            for endorsers in (("LabMSP", "Eve"), ("HospitalMSP", "LabMSP")):
                _, raw = ledger.transaction(kit.Draft(endorsers=endorsers, chaincode="_lifecycle", creator="LabMSP"))
                answer = await channel.orderer.broadcast(common_pb2.Envelope.FromString(raw))
                assert answer.status == common_pb2.Status.SUCCESS
                channel.orderer._cut()
                await channel._batches.join()
            codes = [channel.store.block(number).metadata.metadata[2] for number in (1, 2)]
            assert codes == [bytes([ENDORSEMENT_POLICY_FAILURE]), bytes([VALID])]
        finally:
            await node.stop()

    async def again() -> None:
        node = await Node.start(default_topology(any_port=True), tmp_path / "data", on_failure=failures.append)
        assert node.channels["pedigree"].store.height == 3
        await node.stop()

    asyncio.run(first())
    asyncio.run(again())
    assert failures == []


def load_world_of(world: Any, node: Any) -> Any:
    """The identities of a node's own material, in the form that the kit takes."""
    orgs = node.topology.organisations
    peers = {o.msp_id: Signer.from_folder(node.material.peer(o.domain) / "msp", o.msp_id) for o in orgs}
    users = {o.msp_id: Signer.from_folder(node.material.user(o.domain) / "msp", o.msp_id) for o in orgs}
    return replace(world, peers=peers, users=users, config=node.channels["pedigree"].config)
