# SPDX-License-Identifier: Apache-2.0
"""Configuration updates on a running channel: who may make them, what they change from which block on, what is left."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from fabric_protos.common import common_pb2, configtx_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2

from network.config import changes, envelopes
from network.config.errors import ConfigError
from network.config.groups import add_policy, add_value, peer_organisation
from network.config.revocation import make_list
from network.config.update import compute_update
from network.embedded.blocks import last_config
from network.embedded.channelconfig import ChannelConfig
from network.embedded.configtx import UpdateRefused, config_envelope, propose, successor
from network.embedded.fsck import fsck
from network.embedded.identity import Signer
from network.embedded.policy import parse
from network.embedded.store import Store
from network.material import Material, ensure_material
from network.topology import Batch, Endpoint, Organisation
from network.topology import Channel as Described

VALID, BAD_CREATOR_SIGNATURE, ENDORSEMENT_POLICY_FAILURE, INVALID_CONFIG_TRANSACTION = 0, 4, 10, 6


@pytest.fixture(scope="session")
def maker(world: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Organisation, Material]:
    newcomer = Organisation("maker", "MakerMSP", "maker.example", Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", 0))
    alone = replace(world.topology, organisations=(newcomer,), channels=(Described("pedigree", ("maker",)),))
    return newcomer, ensure_material(alone, tmp_path_factory.mktemp("maker"))


def joined(maker: tuple[Organisation, Material]) -> Any:
    organisation, material = maker
    folder = material.organisation(organisation.domain) / "msp"
    return lambda config: changes.add_organisation(config, peer_organisation("MakerMSP", folder, [organisation.peer]))


def smaller(config: Any) -> Any:
    return changes.set_batch(config, Batch(max_messages=7))


def without(msp_id: str) -> Any:
    return lambda config: changes.remove_organisation(config, msp_id)


def test_a_majority_of_administrators_changes_the_members(running: Any, ledger: Any, maker: Any, kit: Any) -> None:
    async def use(one: Any) -> None:
        before = one.channel.store.height
        await one.change(joined(maker), "HospitalMSP", "LabMSP")
        assert one.channel.config.application_orgs["MakerMSP"] == "MakerMSP"
        block = one.channel.store.block(before)
        assert (block.header.number, last_config(block), bytes(block.metadata.metadata[2])) == (before, before, b"\0")
        assert await one.submit(kit.Draft()) == ENDORSEMENT_POLICY_FAILURE  # two of four are no majority any more
        assert last_config(one.channel.store.block(before + 1)) == before

    running(use)


def test_the_newcomers_endorsement_counts(running: Any, ledger: Any, maker: Any, kit: Any) -> None:
    organisation, material = maker
    ledger.world.peers["MakerMSP"] = Signer.from_folder(material.peer(organisation.domain) / "msp", "MakerMSP")
    draft = kit.Draft(endorsers=("HospitalMSP", "LabMSP", "MakerMSP"))

    async def use(one: Any) -> None:
        await one.change(joined(maker), "HospitalMSP", "RegulatorMSP")
        assert await one.submit(draft) == VALID

    try:
        running(use)
    finally:
        del ledger.world.peers["MakerMSP"]


@pytest.mark.parametrize("approving", [(), ("LabMSP",), ("LabMSP", "OrdererMSP"), ("LabMSP", "LabMSP")])
def test_less_than_a_majority_changes_nothing(running: Any, maker: Any, approving: tuple[str, ...]) -> None:
    async def use(one: Any) -> None:
        status, info = await one.send(one.update(joined(maker), *approving))
        assert status == "BAD_REQUEST"
        assert info.startswith(
            "error applying config update to existing channel 'pedigree': error authorizing update: error validating "
            "DeltaSet: policy for [Group]  /Channel/Application not satisfied: implicit policy evaluation failed - "
        )
        assert info.endswith("requires 2 of the 'Admins' sub-policies to be satisfied")

    running(use)


def test_a_forged_approval_does_not_count(running: Any, maker: Any, admins: dict[str, Signer]) -> None:
    class Forger:
        """Says that the regulator approved, and signs with another key."""

        serialized = admins["RegulatorMSP"].serialized

        def sign(self, message: bytes) -> bytes:
            return admins["LabMSP"].sign(message)

    async def use(one: Any) -> None:
        forger: Any = Forger()
        one.admins = one.admins | {"forged": forger}
        status, info = await one.send(one.update(joined(maker), "LabMSP", "forged"))
        assert (status, "1 sub-policies were satisfied" in info) == ("BAD_REQUEST", True)

    running(use)


def test_a_user_who_is_no_administrator_does_not_count(running: Any, maker: Any, ledger: Any) -> None:
    async def use(one: Any) -> None:
        one.admins = one.admins | {"user": ledger.world.users["RegulatorMSP"]}
        assert (await one.send(one.update(joined(maker), "LabMSP", "user")))[0] == "BAD_REQUEST"

    running(use)


def test_an_update_made_from_an_older_configuration_is_refused(running: Any, maker: Any) -> None:
    async def use(one: Any) -> None:
        late = one.update(joined(maker), "HospitalMSP", "LabMSP")
        await one.change(without("RegulatorMSP"), "HospitalMSP", "LabMSP")
        status, info = await one.send(late)
        assert status == "BAD_REQUEST"
        assert "error validating ReadSet: proposed update requires that key [Group]  /Channel/Application " in info
        again = await one.send(late)
        assert again == (status, info)

    running(use)


def test_versions_that_leave_one_out_and_updates_that_change_nothing_are_refused(running: Any) -> None:
    async def use(one: Any) -> None:
        present = one.channel.config.envelope.config
        update = compute_update("pedigree", present, smaller(present))
        update.write_set.groups["Orderer"].values["BatchSize"].version = 2
        status, info = await one.send(one.update(None, "OrdererMSP", update=update))
        assert status == "BAD_REQUEST"
        assert "[Value]  /Channel/Orderer/BatchSize to version 2, but key is at version 0" in info
        nothing = configtx_pb2.ConfigUpdate(channel_id="pedigree")
        assert "delta set was empty" in (await one.send(one.update(None, "OrdererMSP", update=nothing)))[1]
        other = configtx_pb2.ConfigUpdate(channel_id="other", write_set=update.write_set)
        envelope = one.update(None, "OrdererMSP", update=update)
        payload = common_pb2.Payload.FromString(envelope.payload)
        payload.data = configtx_pb2.ConfigUpdateEnvelope(config_update=other.SerializeToString()).SerializeToString()
        raw = payload.SerializeToString()
        moved = common_pb2.Envelope(payload=raw, signature=one.admins["HospitalMSP"].sign(raw))
        assert "ConfigUpdate for channel 'other' but envelope for channel 'pedigree'" in (await one.send(moved))[1]

    running(use)


def test_who_may_not_write_may_not_submit_an_update(running: Any) -> None:
    async def use(one: Any) -> None:
        envelope = one.update(smaller, "OrdererMSP")
        envelope.signature = b"x"
        status, info = await one.send(envelope)
        assert status == "FORBIDDEN"
        assert info.startswith("config update for existing channel did not pass initial checks: ")

    running(use)


def spoilt_timeout(config: Any) -> Any:
    updated = changes.set_batch(config, Batch())
    value = updated.channel_group.groups["Orderer"].values["BatchTimeout"]
    value.value = b"\x0a\x04soon"
    return updated


def no_members(config: Any) -> Any:
    updated = configtx_pb2.Config()
    updated.CopyFrom(config)
    del updated.channel_group.groups["Application"]
    return updated


def signed_by_the_lab(config: Any) -> Any:
    updated = configtx_pb2.Config()
    updated.CopyFrom(config)
    orderer = updated.channel_group.groups["Orderer"]
    add_policy(orderer, "BlockValidation", policies_pb2.Policy.SIGNATURE, parse("OR('LabMSP.admin')"))
    return updated


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (lambda c: changes.set_batch(c, Batch(max_messages=0)), "max message count to an invalid value: 0"),
        (spoilt_timeout, "'soon' is not a duration"),
        (no_members, "current config has application section, but new config does not"),
        (signed_by_the_lab, "the orderer could sign no further block"),
        (lambda c: changes.add_consenter(c, "OrdererMSP", Endpoint("h", 1), b"x"), "has invalid certificate"),
    ],
)
def test_a_configuration_that_nobody_could_run_on_is_refused(running: Any, wanted: Any, problem: str) -> None:
    async def use(one: Any) -> None:
        status, info = await one.send(one.update(wanted, "HospitalMSP", "LabMSP", "RegulatorMSP", "OrdererMSP"))
        assert status == "BAD_REQUEST"
        assert problem in info
        assert one.channel.store.height == 2

    running(use)


def test_batches_are_cut_by_the_new_sizes_from_then_on(running: Any, kit: Any) -> None:
    async def use(one: Any) -> None:
        _, waiting = one.ledger.transaction(kit.Draft())
        assert (await one.send(common_pb2.Envelope.FromString(waiting)))[0] == "SUCCESS"
        config = one.update(lambda c: changes.set_batch(c, Batch(max_messages=1)), "OrdererMSP")
        assert (await one.send(config))[0] == "SUCCESS"
        for _ in range(2):
            _, raw = one.ledger.transaction(kit.Draft())
            assert (await one.send(common_pb2.Envelope.FromString(raw)))[0] == "SUCCESS"
        await one.channel._batches.join()
        blocks = [one.channel.store.block(number) for number in range(2, one.channel.store.height)]
        assert [(len(block.data.data), last_config(block)) for block in blocks] == [(1, 0), (1, 3), (1, 3), (1, 3)]
        assert one.channel.config.batch.max_count == 1

    running(use)


def test_two_updates_behind_one_another_both_come_into_force(running: Any, maker: Any) -> None:
    async def use(one: Any) -> None:
        members = one.update(joined(maker), "HospitalMSP", "LabMSP")
        batch = one.update(smaller, "OrdererMSP")
        assert [await one.send(members), await one.send(batch)] == [("SUCCESS", "")] * 2
        await one.channel._batches.join()
        assert (one.channel.config.sequence, one.channel.config.batch.max_count) == (2, 7)
        assert one.channel.orderer.config is one.channel.config

    running(use)


def test_a_member_may_take_part_in_its_own_removal_and_is_out_afterwards(running: Any, kit: Any) -> None:
    async def use(one: Any) -> None:
        await one.change(without("LabMSP"), "LabMSP", "HospitalMSP")
        _, raw = one.ledger.transaction(kit.Draft(creator="LabMSP"))
        assert (await one.send(common_pb2.Envelope.FromString(raw)))[0] == "FORBIDDEN"
        assert await one.submit(kit.Draft(endorsers=("HospitalMSP", "LabMSP"))) == ENDORSEMENT_POLICY_FAILURE
        assert await one.submit(kit.Draft(endorsers=("HospitalMSP", "RegulatorMSP"))) == VALID

    running(use)


def revocation(world: Any, msp_id: str, revoked: Signer) -> bytes:
    """A revocation list of an organisation's authority for one certificate."""
    domain = world.topology.organisation(msp_id).domain
    return make_list(world.material.organisation(domain) / "ca", [revoked.certificate_pem])


def test_a_list_that_would_lock_an_organisation_out_is_refused(running: Any, world: Any) -> None:
    domain = world.topology.organisation("LabMSP").domain
    folder = world.material.organisation(domain) / "ca"
    key: Any = serialization.load_pem_private_key((folder / "priv_sk").read_bytes(), password=None)
    authority = x509.load_pem_x509_certificate((folder / f"ca.{domain}-cert.pem").read_bytes())
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject).last_update(now).next_update(now)
    nameless = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def put(config: Any) -> Any:
        updated = configtx_pb2.Config()
        updated.CopyFrom(config)
        group = updated.channel_group.groups["Application"].groups["LabMSP"]
        msp = changes.msp_of(group)
        msp.revocation_list.append(nameless)
        add_value(group, "MSP", msp_config_pb2.MSPConfig(config=msp.SerializeToString()))
        return updated

    async def use(one: Any) -> None:
        status, info = await one.send(one.update(put, "LabMSP"))
        assert (status, "authorityKeyIdentifier not found" in info) == ("BAD_REQUEST", True)

    running(use)
    with pytest.raises(ConfigError, match="authority key identifier"):
        changes.revoke(world.config.envelope.config, "LabMSP", [nameless])


def test_a_revoked_certificate_is_out_from_the_next_block_on(running: Any, world: Any, kit: Any) -> None:
    listed = revocation(world, "LabMSP", world.peers["LabMSP"])

    async def use(one: Any) -> None:
        assert await one.submit(kit.Draft()) == VALID
        await one.change(lambda c: changes.revoke(c, "LabMSP", [listed]), "LabMSP")  # its own business alone
        assert await one.submit(kit.Draft()) == ENDORSEMENT_POLICY_FAILURE
        assert await one.submit(kit.Draft(creator="LabMSP", endorsers=("HospitalMSP", "RegulatorMSP"))) == VALID
        await one.change(
            lambda c: changes.revoke(c, "LabMSP", [revocation(world, "LabMSP", world.users["LabMSP"])]), "LabMSP"
        )
        _, raw = one.ledger.transaction(kit.Draft(creator="LabMSP"))
        assert (await one.send(common_pb2.Envelope.FromString(raw)))[0] == "FORBIDDEN"

    running(use)


def test_a_restart_and_fsck_find_the_configuration_of_each_time(
    running: Any, maker: Any, kit: Any, store_path: Path
) -> None:
    async def grow(one: Any) -> None:
        assert await one.submit(kit.Draft()) == VALID
        await one.change(joined(maker), "HospitalMSP", "LabMSP")
        assert await one.submit(kit.Draft()) == ENDORSEMENT_POLICY_FAILURE
        await one.change(without("RegulatorMSP"), "HospitalMSP", "LabMSP", "RegulatorMSP")
        assert await one.submit(kit.Draft()) == VALID

    running(grow)
    assert fsck(store_path).findings == []
    again = Store.open(store_path, read_only=True)
    try:
        config = ChannelConfig.from_block(again.block(last_config(again.block(again.height - 1))))
    finally:
        again.close()
    assert sorted(config.application_orgs.values()) == ["HospitalMSP", "LabMSP", "MakerMSP"]


def test_a_configuration_that_was_not_asked_for_is_invalid(world: Any, maker: Any, admins: dict[str, Signer]) -> None:
    config = world.config
    present = config.envelope.config
    envelope = envelopes.unsigned(compute_update("pedigree", present, joined(maker)(present)))
    for msp_id in ("HospitalMSP", "LabMSP"):
        envelope = envelopes.approve(envelope, admins[msp_id])
    proposed, following = propose(config, envelopes.sealed(envelope, admins["HospitalMSP"]))
    assert successor(config, proposed).application_orgs == following.application_orgs
    other = configtx_pb2.ConfigEnvelope()
    other.CopyFrom(proposed)
    other.config.channel_group.groups["Application"].mod_policy = "Writers"
    with pytest.raises(UpdateRefused, match="did not produce the supplied config result"):
        successor(config, other)
    with pytest.raises(UpdateRefused, match="config currently at sequence 1, cannot validate config at sequence 1"):
        successor(following, proposed)


def test_the_validator_flags_a_configuration_that_its_update_does_not_give(
    ledger: Any, world: Any, admins: dict[str, Signer]
) -> None:
    present = world.config.envelope.config
    envelope = envelopes.unsigned(compute_update("pedigree", present, smaller(present)))
    sealed = envelopes.sealed(envelopes.approve(envelope, admins["OrdererMSP"]), admins["HospitalMSP"])
    proposed, _ = propose(world.config, sealed)

    def entry() -> bytes:
        made = config_envelope("pedigree", proposed, world.orderer, b"nonce", datetime.now(UTC))
        return bytes(made.SerializeToString())

    good = entry()
    proposed.config.channel_group.groups["Orderer"].values["BatchTimeout"].value = b"\x0a\x021s"
    assert ledger.commit_raw(entry()) == [INVALID_CONFIG_TRANSACTION]
    assert ledger.commit_raw(good) == [VALID]
