# SPDX-License-Identifier: Apache-2.0
"""Ordered envelopes taken apart as the validator sees them (rules V-1 to V-14).

`parse` judges what can be judged from the bytes alone, apart from signatures. It never raises: a bad code is the
answer, since every ordered message stays in its block.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_event_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from google.protobuf.message import DecodeError

from network.embedded.policy import SignedData

VALID = 0
NIL_ENVELOPE = 1
BAD_PAYLOAD = 2
BAD_COMMON_HEADER = 3
BAD_CREATOR_SIGNATURE = 4
INVALID_ENDORSER_TRANSACTION = 5
INVALID_CONFIG_TRANSACTION = 6
UNSUPPORTED_TX_PAYLOAD = 7
BAD_PROPOSAL_TXID = 8
DUPLICATE_TXID = 9
ENDORSEMENT_POLICY_FAILURE = 10
MVCC_READ_CONFLICT = 11
PHANTOM_READ_CONFLICT = 12
BAD_HEADER_EXTENSION = 19
BAD_RESPONSE_PAYLOAD = 21
BAD_RWSET = 22
ILLEGAL_WRITESET = 23
INVALID_CHAINCODE = 25
INVALID_OTHER_REASON = 255

CONFIG = 1
CONFIG_UPDATE = 2
ENDORSER_TRANSACTION = 3


_HASH_OF_NOTHING = sha256(b"").digest()


def deletes(write: Any) -> bool:
    """Whether a `KVWrite` deletes its key: it says so, or its value is empty (rule R-4)."""
    return bool(write.is_delete or not write.value)


def deletes_hash(write: Any) -> bool:
    """Whether a `KVWriteHash` deletes its key: it says so, or its value is empty."""
    return bool(write.is_delete or write.value_hash in (b"", _HASH_OF_NOTHING))


@dataclass(slots=True)
class CollectionSet:
    """The hashed reads and writes of one collection."""

    name: str
    hashed: Any
    """A `HashedRWSet`."""
    private_hash: bytes
    """SHA-256 of the endorsed cleartext write set; empty when nothing private was written (rule R-14)."""


@dataclass(slots=True)
class NamespaceSet:
    """The reads and writes of one chaincode."""

    namespace: str
    public: Any
    """A `KVRWSet`."""
    collections: list[CollectionSet]

    @classmethod
    def empty(cls, namespace: str) -> "NamespaceSet":
        """A namespace that was neither read nor written."""
        return cls(namespace, kv_rwset_pb2.KVRWSet(), [])

    @property
    def writes(self) -> bool:
        """Whether anything of the namespace is written: values or metadata, public or private."""
        return bool(self.public.writes or self.public.metadata_writes) or any(
            c.hashed.hashed_writes or c.hashed.metadata_writes for c in self.collections
        )


@dataclass(slots=True)
class Parsed:
    """One entry of a block. `code` is the first fault found, VALID so far otherwise."""

    code: int = VALID
    late_code: int = VALID
    """A fault that Fabric finds only after the signature and duplicate checks (rules V-10 to V-14)."""
    transaction_id: str = ""
    type: int = -1
    channel_id: str = ""
    timestamp: bytes = b""
    creator: bytes = b""
    payload: bytes = b""
    signature: bytes = b""
    chaincode: str = ""
    event: Any = None
    """The `ChaincodeEvent`, None when the transaction has none."""
    endorsements: list[SignedData] = field(default_factory=list)
    sets: list[NamespaceSet] = field(default_factory=list)


class _Fault(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def parse(raw: bytes) -> Parsed:
    """Take one entry of a block apart."""
    parsed = Parsed()
    try:
        envelope = _decode(common_pb2.Envelope, raw, INVALID_OTHER_REASON)
        parsed.payload, parsed.signature = envelope.payload, envelope.signature
        payload = _decode(common_pb2.Payload, envelope.payload, BAD_PAYLOAD)
        nonce = _headers(parsed, payload)
        if parsed.type == ENDORSER_TRANSACTION:
            _endorser(parsed, payload, nonce)
        elif parsed.type == CONFIG:
            if not payload.data:
                raise _Fault(INVALID_CONFIG_TRANSACTION)
        else:
            raise _Fault(UNSUPPORTED_TX_PAYLOAD)
    except _Fault as fault:
        parsed.code = fault.code
    return parsed


def _decode(message: Any, raw: bytes, code: int) -> Any:
    try:
        return message.FromString(raw)
    except DecodeError:
        raise _Fault(code) from None


def _headers(parsed: Parsed, payload: Any) -> bytes:
    """Rule V-3, in Fabric's order; what is legible is kept even of a bad header, for the transaction index."""
    if not payload.HasField("header"):
        raise _Fault(BAD_COMMON_HEADER)
    channel = _decode(common_pb2.ChannelHeader, payload.header.channel_header, BAD_COMMON_HEADER)
    parsed.type, parsed.channel_id, parsed.transaction_id = channel.type, channel.channel_id, channel.tx_id
    parsed.timestamp = channel.timestamp.SerializeToString()
    signature = _decode(common_pb2.SignatureHeader, payload.header.signature_header, BAD_COMMON_HEADER)
    parsed.creator = signature.creator
    known = channel.type in (ENDORSER_TRANSACTION, CONFIG_UPDATE, CONFIG)
    if not known or channel.epoch != 0 or not signature.nonce or not signature.creator:
        raise _Fault(BAD_COMMON_HEADER)
    return bytes(signature.nonce)


def _endorser(parsed: Parsed, payload: Any, nonce: bytes) -> None:
    """Rules V-5 and V-6; the later ones go to `late_code`, because the signature is judged between them."""
    if parsed.transaction_id != sha256(nonce + parsed.creator).hexdigest():
        raise _Fault(BAD_PROPOSAL_TXID)
    transaction = _decode(transaction_pb2.Transaction, payload.data, INVALID_ENDORSER_TRANSACTION)
    if len(transaction.actions) != 1:
        raise _Fault(INVALID_ENDORSER_TRANSACTION)
    action = transaction.actions[0]
    head = _decode(common_pb2.SignatureHeader, action.header, INVALID_ENDORSER_TRANSACTION)
    body = _decode(transaction_pb2.ChaincodeActionPayload, action.payload, INVALID_ENDORSER_TRANSACTION)
    if not head.nonce or not head.creator or not body.HasField("action"):
        raise _Fault(INVALID_ENDORSER_TRANSACTION)
    raw = body.action.proposal_response_payload
    response = _decode(proposal_response_pb2.ProposalResponsePayload, raw, INVALID_ENDORSER_TRANSACTION)
    digest = sha256(payload.header.channel_header)
    digest.update(action.header)
    digest.update(body.chaincode_proposal_payload)
    # Fabric hashes no proposal payload that is absent (GetProposalHash2).
    if not body.chaincode_proposal_payload or response.proposal_hash != digest.digest():
        raise _Fault(INVALID_ENDORSER_TRANSACTION)
    parsed.endorsements = [SignedData(raw + e.endorser, e.endorser, e.signature) for e in body.action.endorsements]
    try:
        _action(parsed, payload.header.channel_header, response.extension)
    except _Fault as fault:
        parsed.late_code = fault.code


def _action(parsed: Parsed, channel_header: bytes, raw: bytes) -> None:
    """Rules V-10 to V-14."""
    channel = common_pb2.ChannelHeader.FromString(channel_header)
    extension = _decode(proposal_pb2.ChaincodeHeaderExtension, channel.extension, BAD_HEADER_EXTENSION)
    action = _decode(proposal_pb2.ChaincodeAction, raw, BAD_RESPONSE_PAYLOAD)
    parsed.sets = _sets(action.results)
    if not extension.HasField("chaincode_id") or not action.HasField("chaincode_id"):
        raise _Fault(INVALID_OTHER_REASON)
    parsed.chaincode = extension.chaincode_id.name
    if action.events:
        parsed.event = _decode(chaincode_event_pb2.ChaincodeEvent, action.events, INVALID_OTHER_REASON)
        if parsed.event.chaincode_id != parsed.chaincode:
            raise _Fault(INVALID_OTHER_REASON)
    if not parsed.chaincode or parsed.chaincode != action.chaincode_id.name or not action.chaincode_id.version:
        raise _Fault(INVALID_CHAINCODE)
    names = [one.namespace for one in parsed.sets]
    if len(set(names)) != len(names):
        raise _Fault(ILLEGAL_WRITESET)


def _sets(results: bytes) -> list[NamespaceSet]:
    outer = _decode(rwset_pb2.TxReadWriteSet, results, BAD_RWSET)
    sets = []
    for one in outer.ns_rwset:
        collections = [
            CollectionSet(
                c.collection_name, _decode(kv_rwset_pb2.HashedRWSet, c.hashed_rwset, BAD_RWSET), c.pvt_rwset_hash
            )
            for c in one.collection_hashed_rwset
        ]
        sets.append(NamespaceSet(one.namespace, _decode(kv_rwset_pb2.KVRWSet, one.rwset, BAD_RWSET), collections))
    return sets
