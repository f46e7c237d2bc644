# SPDX-License-Identifier: Apache-2.0
"""Evidence of a transaction: what follows from what the reader trusts, and that nothing false does."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from sampleorder import MODEL, File, SampleChannel, kit, now, refusal, revoking

from chaincode.domain import codec
from gateway.fabric.errors import MalformedData
from gateway.verifier.ordered import trusted_hash
from gateway.verifier.transactions import verify_transaction


def test_a_genuine_file_proves_order_and_endorsement(genuine: tuple[SampleChannel, File]) -> None:
    channel, file = genuine
    verdict = verify_transaction({**file, "reference": "model:net"}, trusted=channel.genesis_hash)
    assert (verdict.verified, verdict.complete, verdict.endorsers) == (True, True, ("HospitalMSP", "LabMSP"))
    assert [(each.reference, each.record) for each in verdict.written] == [("model:net", MODEL)]
    text = verdict.text()
    for sentence in (
        "number 2 of 3 in block 3 of the channel 'pedigree'",
        "1 orderer of OrdererMSP signed that block, as the configuration in force, of block 2, demands",
        "Asked for: CN=User1@lab.example",
        "2 peers of HospitalMSP, LabMSP signed exactly what it wrote, which satisfies",
        "'/Channel/Application/Endorsement', the policy of the chaincode as defined in block 1.",
        "found it VALID",
        "That it is VALID: a block's hash does not cover",
        "model:net: {",
    ):
        assert sentence in text
    assert verdict.as_json()["verdict"] == "ordered-and-endorsed"
    assert verdict.as_json()["written"][0]["record"] == codec.to_plain(MODEL)


def test_without_anything_trusted_nothing_is_proven(genuine: tuple[SampleChannel, File]) -> None:
    verdict = verify_transaction(genuine[1])
    assert (verdict.verified, verdict.proven, verdict.as_json()["verdict"]) == (False, (), "consistent")
    assert "Nothing is proven yet" in verdict.text()


def test_the_msps_of_organisations_prove_what_these_signed(genuine: tuple[SampleChannel, File]) -> None:
    channel, file = genuine
    folders = {
        each.msp_id: Path(channel.world.material.organisation(each.domain) / "msp")
        for each in channel.world.topology.organisations
    }
    verdict = verify_transaction(file, msps=folders)
    assert (verdict.verified, verdict.complete) == (True, False)
    assert sum("endorsed exactly what it wrote" in each for each in verdict.proven) == 2
    assert any("LabMSP asked for this transaction" in each for each in verdict.proven)
    assert any("Anything about RegulatorMSP" in each for each in verdict.not_proven)
    swapped = {"LabMSP": folders["HospitalMSP"]}
    assert "does not vouch for a signer" in refusal(file, None, msps=swapped)


def test_a_later_configuration_can_be_what_is_trusted(channel: SampleChannel) -> None:
    channel.reconfigure(lambda _: None)
    number = channel.add(channel.envelope(channel.draft()))
    file = channel.evidence(number)
    trusted = trusted_hash(channel.blocks[2].SerializeToString())
    verdict = verify_transaction(file, trusted=trusted)
    assert verdict.complete
    assert any("defined in block 1, before the configuration that you trust" in each for each in verdict.said)
    assert "as defined in block" not in " ".join(verdict.proven)
    older = channel.evidence(1)
    assert "none of its configurations is the block that you trust" in refusal(older, trusted)
    for bad in (b"rubbish", b"", channel.blocks[2].SerializeToString()[:-700]):
        with pytest.raises(MalformedData):
            trusted_hash(bad)


def test_a_definition_that_leaves_the_policy_as_it_was_leads_to_the_one_that_wrote_it(channel: SampleChannel) -> None:
    second = channel.define(kit.definition("pedigree", sequence=2), only=lambda key: not key.endswith("ValidationInfo"))
    number = channel.add(channel.envelope(channel.draft(defined=(second, 0))))
    file = channel.evidence(number)
    assert [each["block"]["number"] for each in file["definitions"]] == [second, 1]
    assert verify_transaction(file, trusted=channel.genesis_hash).complete
    file["definitions"].pop()
    assert "lacks the definition of 'pedigree'" in refusal(file, channel.genesis_hash)


# -- altered copies, each refused in its own sentence ------------------------------------------------------------------


def flipped(block: File, name: str, at: int) -> None:
    raw = bytearray(base64.b64decode(block[name]))
    raw[at % len(raw)] ^= 1
    block[name] = base64.b64encode(bytes(raw)).decode()


ALTERED: dict[str, tuple[Callable[[File], object], str]] = {
    "a byte of its transaction": (
        lambda file: flipped(file["block"], "data", 700),
        "block 3 is not signed as the ordering service must sign",
    ),
    "the end of its block": (
        lambda file: file["block"].update(data=file["block"]["data"][:-8]),
        "block 3 is not whole: block data: the last envelope is not whole",
    ),
    "the orderers' signature": (
        lambda file: flipped(file["block"], "signatures", -2),
        "block 3 is not signed as the ordering service must sign",
    ),
    "the number of its block": (
        lambda file: (file["block"].update(number=4), file["transaction"].update(block=4)),
        "block 4 is not signed as the ordering service must sign",
    ),
    "another number beside it": (
        lambda file: file["transaction"].update(block=4),
        "the field /transaction/block is not the number of its block",
    ),
    "the last configuration dropped": (
        lambda file: file["configurations"].pop(),
        "the orderers signed block 3 under the configuration of block 2, and the last one before it in the file is",
    ),
    "the first configuration dropped": (
        lambda file: file["configurations"].pop(0),
        "none of its configurations is the block that you trust",
    ),
    "a byte of a configuration": (
        lambda file: flipped(file["configurations"][1], "data", -100),
        "block 2, a configuration, is not signed",
    ),
    "configurations out of order": (
        lambda file: file["configurations"].append(file["configurations"][0]),
        "its configurations are not in the order of their blocks",
    ),
    "the proof of another index": (
        lambda file: file["transaction"].update(index=2),
        "transaction 2 of block 3 is ",
    ),
    "an index that is not there": (
        lambda file: file["transaction"].update(index=3),
        "the file speaks of transaction 3 of block 3, which has 3",
    ),
    "another channel": (
        lambda file: file.update(channel="elsewhere"),
        "block 0 configures the channel 'pedigree', and the file is about 'elsewhere'",
    ),
    "another record": (
        lambda file: file.update(reference="model:other"),
        "its transaction did not write model:other",
    ),
    "no definition": (lambda file: file["definitions"].clear(), "the file lacks the definition of 'pedigree'"),
    "another transaction as its definition": (
        lambda file: file["definitions"].__setitem__(0, {"block": file["block"], "index": 0}),
        "the file has transaction 0 of block 3 for the definition of 'pedigree', and the endorsers name transaction 0",
    ),
    "a byte of the definition": (
        lambda file: flipped(file["definitions"][0]["block"], "data", 900),
        "block 1 is not signed as the ordering service must sign",
    ),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_copy_is_refused_in_its_own_sentence(genuine: tuple[SampleChannel, File], name: str) -> None:
    channel, file = genuine
    altered = copy.deepcopy(file)
    alter, sentence = ALTERED[name]
    alter(altered)
    assert sentence in refusal(altered, channel.genesis_hash)


def endorsed_by(channel: SampleChannel, **signers: Any) -> File:
    return channel.evidence(channel.add(channel.envelope(channel.draft(), **signers)))


def test_a_quorum_that_is_short_of_one_is_refused(channel: SampleChannel) -> None:
    file = channel.evidence(channel.add(channel.envelope(channel.draft(endorsers=("LabMSP",)))))
    said = refusal(file, channel.genesis_hash)
    assert said.startswith("LabMSP endorsed it, which does not satisfy '/Channel/Application/Endorsement': ")


def test_a_peer_that_endorses_twice_counts_once(channel: SampleChannel) -> None:
    file = channel.evidence(channel.add(channel.envelope(channel.draft(endorsers=("LabMSP", "LabMSP")))))
    assert "LabMSP endorsed it, which does not satisfy" in refusal(file, channel.genesis_hash)


def test_a_certificate_of_another_authority_is_refused(channel: SampleChannel) -> None:
    stranger = channel.issued("HospitalMSP", "hospital.example", by="lab.example")
    said = refusal(endorsed_by(channel, HospitalMSP=stranger), channel.genesis_hash)
    assert "LabMSP endorsed it, which does not satisfy" in said
    assert "was not issued by a CA of this MSP" in said
    asked = refusal(endorsed_by(channel, creator=channel.issued("LabMSP", "lab.example", by="hospital.example")), None)
    assert "the creator of its transaction is not a member" in asked


def test_a_certificate_that_had_ended_is_refused(channel: SampleChannel) -> None:
    ended = channel.issued("HospitalMSP", "hospital.example", ended=True)
    said = refusal(endorsed_by(channel, HospitalMSP=ended), channel.genesis_hash)
    assert "the certificate of an endorser, " in said
    assert "of HospitalMSP, was not valid, when the transaction was made" in said
    creator = channel.issued("LabMSP", "lab.example", ended=True)
    assert "the certificate of its creator, " in refusal(endorsed_by(channel, creator=creator), channel.genesis_hash)
    # An endorsement that counts for nothing is left out, as on the ledger, where the others suffice.
    draft = channel.draft(endorsers=("HospitalMSP", "LabMSP", "RegulatorMSP"))
    file = channel.evidence(channel.add(channel.envelope(draft, HospitalMSP=ended)))
    verdict = verify_transaction(file, trusted=channel.genesis_hash)
    assert verdict.endorsers == ("LabMSP", "RegulatorMSP")
    assert any(each.startswith("Left out: the certificate of an endorser") for each in verdict.not_proven)


def test_an_orderer_whose_certificate_had_ended_is_refused(channel: SampleChannel) -> None:
    old = channel.draft(timestamp=now() - 400 * 24 * 3600)
    file = channel.evidence(channel.add(channel.envelope(old)))
    said = refusal(file, channel.genesis_hash)
    assert "block 2 is not signed as the ordering service must sign" in said
    assert "; the certificate of CN=orderer" in said
    assert "was not valid at that time" in said


def test_a_certificate_that_was_revoked_is_refused(channel: SampleChannel, tmp_path: Path) -> None:
    peer = channel.issued("HospitalMSP", "hospital.example")
    before = endorsed_by(channel, HospitalMSP=peer)
    revocation = channel.revocation("hospital.example", peer.certificate_pem)
    channel.reconfigure(revoking("HospitalMSP", revocation))
    after = refusal(endorsed_by(channel, HospitalMSP=peer), channel.genesis_hash)
    assert "LabMSP endorsed it, which does not satisfy" in after
    assert "is revoked" in after
    # Signed before it was revoked: it holds, unless the reader brings the list.
    assert verify_transaction(before, trusted=channel.genesis_hash).complete
    msp = tmp_path / "msp"
    (msp / "cacerts").mkdir(parents=True)
    (msp / "crls").mkdir()
    authority = next(channel.authority("hospital.example").glob("*-cert.pem"))
    (msp / "cacerts" / "ca.pem").write_bytes(authority.read_bytes())
    (msp / "crls" / "crl.pem").write_bytes(revocation)
    said = refusal(before, channel.genesis_hash, msps={"HospitalMSP": msp})
    assert "the MSP that you gave does not vouch for a signer" in said
    assert "is revoked" in said


def test_a_channel_of_somebody_else_is_refused(channel: SampleChannel, tmp_path: Path) -> None:
    other = SampleChannel(tmp_path)
    file = other.evidence(other.add(other.envelope(other.draft())))
    assert verify_transaction(file, trusted=other.genesis_hash).complete
    assert "none of its configurations is the block that you trust" in refusal(file, channel.genesis_hash)


def test_a_configuration_that_is_left_out_is_missed(channel: SampleChannel) -> None:
    channel.reconfigure(lambda _: None)
    channel.reconfigure(lambda _: None)
    file = channel.evidence(channel.add(channel.envelope(channel.draft())))
    del file["configurations"][1]
    said = refusal(file, channel.genesis_hash)
    assert said == "block 3 holds configuration 2 where 1 was due: one is left out"


def test_blocks_that_a_member_signs_are_not_ordered(channel: SampleChannel) -> None:
    lab = channel.world.users["LabMSP"]
    number = channel.add(channel.envelope(channel.draft()), signer=lab)
    assert "block 2 is not signed" in refusal(channel.evidence(number), channel.genesis_hash)
    channel.reconfigure(lambda _: None, signer=lab)
    number = channel.add(channel.envelope(channel.draft()))
    assert "block 3, a configuration, is not signed" in refusal(channel.evidence(number), channel.genesis_hash)


def test_a_definition_that_too_few_made_is_refused(channel: SampleChannel) -> None:
    weak = channel.define(
        kit.definition("pedigree", sequence=2, policy="OR('LabMSP.peer')"), endorsers=("LabMSP",), creator="LabMSP"
    )
    file = channel.evidence(channel.add(channel.envelope(channel.draft(defined=(weak, 0), endorsers=("LabMSP",)))))
    said = refusal(file, channel.genesis_hash)
    assert said.startswith("the definition in block 2: LabMSP endorsed it, which does not satisfy")


def test_another_chaincode_and_another_proposal_are_refused(channel: SampleChannel) -> None:
    forged = channel.evidence(channel.add(channel.envelope(channel.draft(proposal_hash=b"h" * 32))))
    assert refusal(forged, channel.genesis_hash) == "its endorsements are of another proposal"
    other = channel.evidence(channel.add(channel.envelope(channel.draft(chaincode="evil"))))
    said = refusal(other, channel.genesis_hash)
    assert said == "its transaction is of the chaincode 'evil', and not of 'pedigree'"
    wrong = channel.evidence(channel.add(channel.envelope(channel.draft(transaction_id="00" * 32))))
    assert "is not that of its creator and nonce" in refusal(wrong, channel.genesis_hash)
    unsigned = channel.evidence(channel.add(channel.envelope(channel.draft(signature=b"none"))))
    assert "is not signed by its creator of LabMSP" in refusal(unsigned, channel.genesis_hash)
    unnamed = channel.evidence(channel.add(channel.envelope(channel.draft(defined=None))))
    assert "name no definition of 'pedigree' that they ran under" in refusal(unnamed, channel.genesis_hash)
    config = channel.evidence(2)
    config["transaction"]["id"] = "00" * 32
    assert "transaction 0 of block 2 is " in refusal(config, channel.genesis_hash)


def test_a_transaction_inside_another_one_was_not_ordered(channel: SampleChannel) -> None:
    """The data hash says nothing of where envelopes end: a member's own may hold one that was never sent."""
    inner = channel.envelope(channel.draft())
    outer = common_pb2.Envelope(payload=b"x" * 9 + inner + b"y", signature=b"signature").SerializeToString()
    number = channel.add(channel.envelope(channel.draft()), outer)
    file = channel.evidence(number)
    data = base64.b64decode(file["block"]["data"])
    assert inner in data
    for index in range(2):
        file["transaction"] = {"id": transaction_id(inner), "block": number, "index": index}
        assert f"transaction {index} of block {number} is" in refusal(file, channel.genesis_hash)


def transaction_id(envelope: bytes) -> str:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
    return str(common_pb2.ChannelHeader.FromString(payload.header.channel_header).tx_id)


def test_what_it_wrote_is_shown_as_the_law_reads_it(channel: SampleChannel) -> None:
    draft = channel.draft(b'{"kind":"unheard-of"}')
    draft.rwset.add_write("pedigree", "\x00model\x00other\x00", codec.to_json(MODEL))
    draft.rwset.add_write("pedigree", "\x00purpose\x00LabMSP\x00" + "0000000001\x00", None)
    file = channel.evidence(channel.add(channel.envelope(draft)))
    file["validation"] = "MVCC_READ_CONFLICT"
    verdict = verify_transaction(file, trusted=channel.genesis_hash)
    shown = [str(each) for each in verdict.written]
    assert shown == [
        "model:net: 21 bytes that cannot be read as the record of this key.",
        "model:other: 122 bytes that cannot be read as the record of this key.",
        "purpose:LabMSP:0000000001: deleted.",
    ]
    assert "by the file's own word did not" in verdict.text()
    assert "found it MVCC_READ_CONFLICT" in verdict.text()
