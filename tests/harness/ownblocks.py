# SPDX-License-Identifier: Apache-2.0
"""Reads a channel's blocks from a peer, with the published protobuf messages and nothing of Pedigree's.

What it says of a transaction is what the block holds: the arguments that were proposed, the flag that the peers gave
it, and the keys that its endorsed result writes.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import chaincode_pb2, events_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

_SEEK, _ENDORSED, _FLAGS = 5, 3, 2
"""DELIVER_SEEK_INFO, ENDORSER_TRANSACTION, and the metadata with the flags."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class Found:
    """One endorsed transaction of a block."""

    block: int
    transaction_id: str
    code: int
    arguments: tuple[bytes, ...]
    writes: Mapping[str, bytes]

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The command, or those of a batch."""
        document = json.loads(self.arguments[1])
        return [each["command"] for each in document["commands"]] if document.get("kind") == "batch" else [document]


def read_transactions(network: Mapping[str, Any], organisation: str) -> list[Found]:
    """Every endorsed transaction of every block of the channel, valid or not, in their order."""
    (member,) = (each for each in network["organisations"] if each["name"] == organisation)
    roots = grpc.ssl_channel_credentials(Path(member["tls_ca"]).read_bytes())
    options = (("grpc.ssl_target_name_override", f"peer0.{member['domain']}"), ("grpc.max_receive_message_length", -1))
    with grpc.secure_channel(member["peer"], roots, options) as channel:
        deliver = channel.stream_stream(
            "/protos.Deliver/Deliver",
            request_serializer=common_pb2.Envelope.SerializeToString,
            response_deserializer=events_pb2.DeliverResponse.FromString,
        )
        found: list[Found] = []
        for answer in deliver(iter([_request(member, network["channel"])]), timeout=60):
            if not answer.HasField("block"):
                assert answer.status == common_pb2.SUCCESS, answer
                return found
            found += _transactions(answer.block)
    raise AssertionError("the peer ended before the last block")


def _request(member: Mapping[str, Any], channel: str) -> common_pb2.Envelope:
    msp = Path(member["user_msp"])
    certificate = next((msp / "signcerts").iterdir()).read_bytes()
    key = serialization.load_pem_private_key(next((msp / "keystore").iterdir()).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    creator = identities_pb2.SerializedIdentity(mspid=member["mspid"], id_bytes=certificate).SerializeToString()
    header = common_pb2.ChannelHeader(type=_SEEK, channel_id=channel)
    header.timestamp.FromNanoseconds(time.time_ns())
    signature_header = common_pb2.SignatureHeader(
        creator=creator, nonce=hashlib.sha256(str(time.time_ns()).encode()).digest()
    )
    seek = ab_pb2.SeekInfo(
        start=ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=0)),
        stop=ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest()),
    )
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(), signature_header=signature_header.SerializeToString()
        ),
        data=seek.SerializeToString(),
    ).SerializeToString()
    r, s = decode_dss_signature(key.sign(payload, ec.ECDSA(hashes.SHA256())))
    return common_pb2.Envelope(payload=payload, signature=encode_dss_signature(r, min(s, _ORDER - s)))


def _transactions(block: Any) -> Iterator[Found]:
    flags = block.metadata.metadata[_FLAGS]
    for index, data in enumerate(block.data.data):
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(data).payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        if header.type != _ENDORSED:
            continue
        (action,) = transaction_pb2.Transaction.FromString(payload.data).actions
        endorsed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
        proposed = proposal_pb2.ChaincodeProposalPayload.FromString(endorsed.chaincode_proposal_payload)
        invoked = chaincode_pb2.ChaincodeInvocationSpec.FromString(proposed.input).chaincode_spec
        answered = proposal_response_pb2.ProposalResponsePayload.FromString(endorsed.action.proposal_response_payload)
        result = proposal_pb2.ChaincodeAction.FromString(answered.extension)
        written = {
            write.key: write.value
            for space in rwset_pb2.TxReadWriteSet.FromString(result.results).ns_rwset
            if space.namespace == invoked.chaincode_id.name
            for write in kv_rwset_pb2.KVRWSet.FromString(space.rwset).writes
        }
        yield Found(block.header.number, header.tx_id, flags[index], tuple(invoked.input.args), written)
