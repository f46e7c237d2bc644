# SPDX-License-Identifier: Apache-2.0
"""Blocks read straight from the messages, independently of the client under test."""

import hashlib
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_event_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from fabricharness import messages
from fabricharness.networks import MAIN, Org, Outcome


@dataclass(frozen=True)
class Recorded:
    """A transaction as a block holds it."""

    block: Any
    index: int
    code: str
    payload: Any
    channel_header: Any

    @property
    def transaction_id(self) -> str:
        found: str = self.channel_header.tx_id
        return found

    @property
    def action_payload(self) -> Any:
        return messages.action_payload(self.payload.SerializeToString())

    @property
    def response_payload(self) -> bytes:
        found: bytes = self.action_payload.action.proposal_response_payload
        return found

    @property
    def endorsements(self) -> list[Any]:
        return list(self.action_payload.action.endorsements)

    @property
    def proposal_hash(self) -> bytes:
        parsed = proposal_response_pb2.ProposalResponsePayload.FromString(self.response_payload)
        found: bytes = parsed.proposal_hash
        return found

    @property
    def action(self) -> Any:
        parsed = proposal_response_pb2.ProposalResponsePayload.FromString(self.response_payload)
        return proposal_pb2.ChaincodeAction.FromString(parsed.extension)

    @property
    def event(self) -> Any:
        return chaincode_event_pb2.ChaincodeEvent.FromString(self.action.events)

    def namespace(self, name: str) -> Any:
        """The public read-write set of a namespace."""
        for entry in self.results.ns_rwset:
            if entry.namespace == name:
                return kv_rwset_pb2.KVRWSet.FromString(entry.rwset)
        raise AssertionError(f"no namespace {name}")

    @property
    def results(self) -> Any:
        return rwset_pb2.TxReadWriteSet.FromString(self.action.results)

    @property
    def namespaces(self) -> list[str]:
        return [entry.namespace for entry in self.results.ns_rwset]


def fetch(org: Org, channel: str, start: int | str, stop: int | str) -> list[Any]:
    """The blocks from `start` to `stop`, both included, from the organisation's peer."""
    with org.peer.seeking() as stream:
        stream.ask(messages.seek(channel, org.user, start, stop))
        found, status = stream.until_status()
        assert status == common_pb2.SUCCESS
        return [response.block for response in found]


def height(org: Org, channel: str = MAIN) -> int:
    (newest,) = fetch(org, channel, "newest", "newest")
    number: int = newest.header.number
    return number + 1


def transactions(block: Any) -> list[Recorded]:
    filters = block.metadata.metadata[common_pb2.TRANSACTIONS_FILTER]
    found = []
    for index, data in enumerate(block.data.data):
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(data).payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        code = transaction_pb2.TxValidationCode.Name(filters[index])
        found.append(Recorded(block, index, code, payload, header))
    return found


def recorded(org: Org, outcome: Outcome, channel: str = MAIN) -> Recorded:
    """The transaction of an outcome, as the organisation's peer holds it."""
    (block,) = fetch(org, channel, outcome.block, outcome.block)
    found = [entry for entry in transactions(block) if entry.transaction_id == outcome.transaction_id]
    return found[0]


def header_hash(header: Any) -> bytes:
    """SHA-256 of the header's DER form (O-14)."""
    number = int(header.number)
    body = _der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))
    body += _der(4, header.previous_hash) + _der(4, header.data_hash)
    return hashlib.sha256(_der(0x30, body)).digest()


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content
