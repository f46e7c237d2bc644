# SPDX-License-Identifier: Apache-2.0
"""A member's administrator or user, with keys and a connection to the orderer, past every gateway."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.peer import chaincode_event_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from fabricharness import messages
from fabricharness.members import Member, sha256
from fabricharness.networks import Org
from google.protobuf.timestamp_pb2 import Timestamp
from hostileharness.world import CHANNEL, World

OWN = "_implicit_org_RegulatorMSP"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Change = Callable[[msp_config_pb2.FabricMSPConfig, World], None]


def revocation_list(key: Key, issuer: x509.Name) -> bytes:
    """A revocation list of nobody's certificate, by whatever key."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer)
        .last_update(now - datetime.timedelta(minutes=5))
        .next_update(now + datetime.timedelta(days=1))
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def stranger() -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])


def own_name(world: World) -> x509.Name:
    (path,) = (world.orgs["regulator"].folder / "ca").glob("*-cert.pem")
    return x509.load_pem_x509_certificate(path.read_bytes()).subject


def with_units(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    """Every identity of the organisation must have a unit; Fabric takes it, and few readers know it."""
    msp.organizational_unit_identifiers.add(
        certificate=msp.root_certs[0], organizational_unit_identifier="somewhere else"
    )


def with_strangers_list(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    msp.revocation_list.append(revocation_list(ec.generate_private_key(ec.SECP256R1()), stranger()))


def with_forged_list(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    msp.revocation_list.append(revocation_list(ec.generate_private_key(ec.SECP256R1()), own_name(world)))


def with_rsa_list(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    msp.revocation_list.append(revocation_list(rsa.generate_private_key(65537, 2048), own_name(world)))


def with_ed25519_list(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    msp.revocation_list.append(revocation_list(ed25519.Ed25519PrivateKey.generate(), own_name(world)))


def with_other_label(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    msp.root_certs[0] = msp.root_certs[0].replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-")


def with_nonsense_tls_root(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    msp.tls_root_certs.append(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def with_odd_hash(msp: msp_config_pb2.FabricMSPConfig, world: World) -> None:
    msp.crypto_config.signature_hash_family = "SHA3"


@pytest.mark.parametrize(
    "change",
    [
        with_units, with_strangers_list, with_forged_list, with_rsa_list, with_ed25519_list, with_other_label,
        with_nonsense_tls_root, with_odd_hash,
    ],
)  # fmt: skip
def test_an_administrator_makes_its_own_msp_hard_to_read(world: World, change: Change) -> None:
    with world.own_msp_restored("regulator"):
        refusal = world.change_own_msp("regulator", lambda msp: change(msp, world))
        if refusal is None:
            # What the ledger took, every gateway must live with: now, and when it reads the chain again.
            world.expect_others_work("regulator")
            world.restart_gateway("lab")
            world.expect_others_work("regulator")


# Extensions that a certificate library reads only when it is asked for them, or when the chain is built.
EXTENSIONS = {
    "basic-constraints": "2.5.29.19",
    "key-usage": "2.5.29.15",
    "subject-alternative-name": "2.5.29.17",
    "authority-key-identifier": "2.5.29.35",
    "extended-key-usage": "2.5.29.37",
    "certificate-policies": "2.5.29.32",
    "name-constraints": "2.5.29.30",
    "transparency-timestamps": "1.3.6.1.4.1.11129.2.4.2",
}


def test_certificates_with_broken_extensions_stop_nobody(world: World) -> None:
    """By the member's own CA, as the creator of a transaction and in an endorsement."""
    regulator = world.orgs["regulator"]
    response = proposal_response_pb2.ProposalResponsePayload(proposal_hash=b"nobody's response").SerializeToString()
    for oid in EXTENSIONS.values():
        broken = certificate_with(regulator.folder / "ca", "RegulatorMSP", oid)
        for creator, endorser in ((broken, regulator.peer_member), (regulator.user, broken)):
            proposal = messages.proposal(CHANNEL, "pedigree", ["any"], creator)
            endorsement = messages.endorsement(endorser, response)
            payload = messages.payload_of(
                proposal, proposal_payload=b"", response_payload=response, endorsements=[endorsement]
            )
            world.order_payload(payload, creator)
    world.settle()
    world.expect_sound()


def certificate_with(authority: Path, msp_id: str, oid: str) -> Member:
    """A peer's certificate by a member's own CA, one extension of which is not what its name says."""
    known = x509.load_pem_x509_certificate(next(authority.glob("*-cert.pem")).read_bytes())
    loaded = serialization.load_pem_private_key((authority / "priv_sk").read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "peer"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "broken"),
                ]
            )
        )
        .issuer_name(known.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=4))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\xff\x05broken"), critical=False)
    )
    certificate = builder.sign(loaded, hashes.SHA256())
    return Member(msp_id, certificate.public_bytes(serialization.Encoding.PEM), key)


def unreadable(member: Member) -> list[Any]:
    """Envelopes that are rightly signed, and whose content no reader can take apart."""
    proposal = messages.proposal(CHANNEL, "pedigree", ["any"], member)
    contents = [b"", b"\xff" * 40, b"\x0a\x80\x80\x80\x80\x08", b"\x0a\x00" * 10_000]
    payloads = [common_pb2.Payload(header=proposal.header, data=content).SerializeToString() for content in contents]
    payloads.append(
        messages.payload_of(proposal, proposal_payload=b"", response_payload=b"no message", endorsements=[])
    )
    replayed = common_pb2.Envelope(payload=proposal.signed.proposal_bytes, signature=proposal.signed.signature)
    return [*(messages.envelope(payload, member) for payload in payloads), replayed]


def test_garbage_from_a_member_is_passed_over(world: World) -> None:
    """Orderers look at the signature and not at what is signed: garbage is in blocks."""
    world.order_unreadable(*unreadable(world.orgs["regulator"].user))
    world.settle()
    world.expect_sound()


def test_blocks_of_one_transaction_keep_garbage_from_what_is_valid(world: World, name: str) -> None:
    """Fabric's peers do not survive the two in one block, so this is the remedy; the embedded network needs none."""
    regulator = world.orgs["regulator"]
    with world.lying("regulator") as liar, world.guarded_blocks():
        liar.tell(steps=[["put_private_data", OWN, name, {"a": "value"}]])
        for garbage in unreadable(regulator.user):
            proposal = regulator.propose("pedigree", "any", channel=CHANNEL)
            valid = messages.envelope(messages.assemble(proposal, [answer(regulator, proposal)]), proposal.member)
            assert world.order(garbage, valid) == [common_pb2.SUCCESS] * 2
            assert fate(world, proposal) == "VALID"
    world.settle()
    world.expect_sound()


def test_a_keys_policy_that_is_none_stops_nobody(world: World, name: str) -> None:
    """A member that may write a key may say who must agree to the next write, and that is read at the next write."""
    if world.ledger == "fabric":
        pytest.skip("NOT RUN: peers of Fabric 3.1.5 apply no block any more after a write of such a key")
    regulator = world.orgs["regulator"]
    place = [OWN, name]
    with world.lying("regulator") as liar:
        prepared = []
        for steps in (
            [["put_private_data", *place, {"a": "value"}]],
            [["set_private_data_validation_parameter", *place, {"no": "policy"}]],
            [["put_private_data", *place, {"another": "value"}]],
        ):
            liar.tell(steps=steps)
            proposal = regulator.propose("pedigree", "any", channel=CHANNEL)
            prepared.append((proposal, messages.assemble(proposal, [answer(regulator, proposal)])))
        found = []
        for proposal, payload in prepared:
            assert world.order_payload(payload, proposal.member) == common_pb2.SUCCESS
            found.append(fate(world, proposal))
    assert found == ["VALID", "VALID", "ENDORSEMENT_POLICY_FAILURE"]
    world.settle()
    world.expect_sound()


def test_valid_transactions_that_nobody_expects_are_read_by_all(world: World, name: str) -> None:
    """A time beyond every calendar, arguments that are no message: the ledger reads neither, so both are valid."""
    regulator = world.orgs["regulator"]
    variants: list[dict[str, Any]] = [
        {"timestamp": Timestamp(seconds=2**62)}, {"timestamp": Timestamp(seconds=-(2**62), nanos=-1)},
        {"timestamp": Timestamp(nanos=2**31 - 1)}, {"arguments": b"\xff" * 40},
        {"arguments": b""},
    ]  # fmt: skip
    with world.lying("regulator") as liar:
        for number, variant in enumerate(variants):
            liar.tell(steps=[["put_private_data", OWN, f"{name}-{number}", {"a": number}]])
            proposal = regulator.propose("pedigree", "any", channel=CHANNEL)
            honest = regulator.peer.endorse_raw(proposal, organisations=("RegulatorMSP",))
            assert (
                world.order_payload(signed_anew(honest, regulator.peer_member, **variant), proposal.member)
                == common_pb2.SUCCESS
            )
            # Without arguments there is no proposal payload left, and the ledger hashes none that is absent.
            expected = "INVALID_ENDORSER_TRANSACTION" if variant.get("arguments") == b"" else "VALID"
            assert fate(world, proposal) == expected, variant
    world.settle()
    world.expect_sound()
    for client in world.clients.values():
        assert client.transaction(proposal.transaction_id).get("record") is None


def signed_anew(
    payload: bytes, endorser: Member, *, timestamp: Timestamp | None = None, arguments: bytes | None = None
) -> bytes:
    """An endorsed transaction with another time or other arguments, endorsed again with a key of choice."""
    whole = common_pb2.Payload.FromString(payload)
    header = common_pb2.ChannelHeader.FromString(whole.header.channel_header)
    action = messages.action_payload(payload)
    proposed = proposal_pb2.ChaincodeProposalPayload.FromString(action.chaincode_proposal_payload)
    if timestamp is not None:
        header.timestamp.CopyFrom(timestamp)
    if arguments is not None:
        proposed.input = arguments
    signed_header = common_pb2.Header(
        channel_header=header.SerializeToString(), signature_header=whole.header.signature_header
    )
    response = proposal_response_pb2.ProposalResponsePayload.FromString(action.action.proposal_response_payload)
    content = proposed.SerializeToString()
    response.proposal_hash = sha256(signed_header.channel_header + signed_header.signature_header + content)
    action.chaincode_proposal_payload = content
    action.action.proposal_response_payload = response.SerializeToString()
    del action.action.endorsements[:]
    action.action.endorsements.append(messages.endorsement(endorser, response.SerializeToString()))
    transaction = transaction_pb2.Transaction.FromString(whole.data)
    transaction.actions[0].payload = action.SerializeToString()
    changed: bytes = common_pb2.Payload(header=signed_header, data=transaction.SerializeToString()).SerializeToString()
    return changed


def answer(org: Org, proposal: messages.Proposal) -> Any:
    """What an organisation's peer endorses by itself."""
    found = org.peer.process_proposal(proposal)
    assert found.response.status < 400, found.response.message
    return found


def fate(world: World, proposal: messages.Proposal) -> str:
    """The validation code of a transaction, as the regulator's peer says it."""
    request = messages.status_request(CHANNEL, proposal.transaction_id, proposal.member)
    code: str = transaction_pb2.TxValidationCode.Name(world.orgs["regulator"].peer.status_raw(request).result)
    return code


def test_a_member_without_a_policy_for_endorsements_is_judged_alike_by_all(world: World, name: str) -> None:
    """Its implicit collection is governed by its own policy `Endorsement`; without it, by any of its members."""
    regulator = world.orgs["regulator"]
    keys = {"peer": regulator.peer_member, "user": regulator.user, "stranger": world.orgs["hospital"].peer_member}

    def fates() -> dict[str, str]:
        found = {}
        for key, member in keys.items():
            proposal = regulator.propose("pedigree", "any", channel=CHANNEL)
            honest = messages.assemble(proposal, [answer(regulator, proposal)])
            assert world.order_payload(signed_anew(honest, member), proposal.member) == common_pb2.SUCCESS
            found[key] = fate(world, proposal)
        return found

    refused = "ENDORSEMENT_POLICY_FAILURE"
    with world.lying("regulator") as liar, world.own_msp_restored("regulator"):
        liar.tell(steps=[["put_private_data", OWN, name, {"a": "value"}]])
        assert fates() == {"peer": "VALID", "user": refused, "stranger": refused}
        refusal = world._update(lambda members: members["RegulatorMSP"].policies.pop("Endorsement"), ["regulator"])
        assert refusal is None, refusal
        assert fates() == {"peer": "VALID", "user": "VALID", "stranger": refused}
        world.settle()
        world.expect_sound()


def test_hostile_bytes_in_every_field_are_listed_and_obeyed_by_nobody(world: World) -> None:
    """A member's transactions with escape sequences, no UTF-8 and fakes wherever an envelope takes text."""
    regulator, escape = world.orgs["regulator"], "\x1b]0;owned\x07\x1b[2J\u202e=cmd()"
    calls: list[tuple[bytes | str, ...]] = [
        (escape,), (b"\xff\xfe\x00" * 40,), ("x" * 200_000,), ("model:register", "{}", "ab" * 32, escape),
        ("model:register", "{}", "ab" * 32, "ee" * 16), ("model:register", "{}", "ab" * 32, "ee" * 16, "more"), (),
    ]  # fmt: skip
    action = proposal_pb2.ChaincodeAction(
        chaincode_id={"name": "pedigree"}, response={"status": 200},
        results=hostile_writes(escape),
        events=chaincode_event_pb2.ChaincodeEvent(chaincode_id="pedigree", event_name=escape).SerializeToString(),
    )  # fmt: skip
    response = proposal_response_pb2.ProposalResponsePayload(extension=action.SerializeToString()).SerializeToString()
    ids = []
    for call in calls:
        proposal = regulator.propose("pedigree", *call, channel=CHANNEL)
        endorsement = messages.endorsement(regulator.peer_member, response)
        payload = messages.payload_of(
            proposal,
            proposal_payload=proposal_pb2.Proposal.FromString(proposal.signed.proposal_bytes).payload,
            response_payload=response,
            endorsements=[endorsement],
        )
        assert world.order_payload(payload, proposal.member) == common_pb2.SUCCESS
        ids.append(proposal.transaction_id)
    world.settle()
    for client in world.clients.values():
        listed = {each["id"]: each for each in client.iterate_transactions(validity="INVALID")}
        found = [listed[each] for each in ids]
        assert all(text.isprintable() and len(text) <= 1_000 for each in found for text in texts_in(each))
        assert {each["client"]["id"] for each in found if each["client"] is not None} <= {"ee" * 16}
        assert all(each["client"] is None or each["client"]["name"] is None for each in found)
        assert not any(each["valid"] for each in found)
    world.expect_sound()


def hostile_writes(text: str) -> bytes:
    """A read-write set that names records whose fields are not what they are called."""
    values = [b"\xff", b"[]", b'{"kind":"model","model":"' + b"a" * 100_000 + b'"}',
              json.dumps({"kind": "model", "model": text, "owner": [text]}).encode()]  # fmt: skip
    writes = kv_rwset_pb2.KVRWSet(writes=[{"key": text, "value": value} for value in values])
    spaces = [rwset_pb2.NsReadWriteSet(namespace="pedigree", rwset=writes.SerializeToString())]
    return rwset_pb2.TxReadWriteSet(ns_rwset=spaces).SerializeToString()


def texts_in(value: object) -> list[str]:
    """Every text in a document."""
    if isinstance(value, str):
        return [value]
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in members for text in texts_in(each)]
