# SPDX-License-Identifier: Apache-2.0
"""What a client checks of its own peer's answer before it signs, and of blocks before it believes them.

The Gateway peer assembles the transaction that the client signs, and could put anything in it. `Trust` pins what
cannot be taken from that peer: the organisations' MSPs and the channel's genesis block. The obligations, in order:

 1. the header is the proposal's, byte for byte: same channel, transaction id, time, creator and nonce;
 2. the one action repeats the proposal's signature header, and its input without the transient data;
 3. the endorsed payload names the proposal's hash;
 4. it is about the chaincode asked for, its response is a success, its event is of this transaction;
 5. every endorser is a peer of a pinned MSP, none twice, and its signature is over just this payload;
 6. every organisation that was named has endorsed, at least one has, and a pinned policy is satisfied;
 7. nothing else is in the envelope: built again from the parts just checked, it is the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature

from gateway.fabric import blocks, wire
from gateway.fabric.errors import DisabledMember, InvalidIdentity, MalformedData, UntrustedResponse
from gateway.fabric.msp import Member, Msp, Msps
from gateway.fabric.mspfolder import msp_from_config, msp_from_folder
from gateway.fabric.policy import ChannelConfig, Policy, PolicyNotSatisfied
from gateway.fabric.texts import said

__all__ = [
    "BlockChecker",
    "Expected",
    "Msp",
    "Msps",
    "Trust",
    "msp_from_config",
    "msp_from_folder",
    "proposal_hash",
    "verify_prepared",
]


class Trust:
    """The pinned facts of one channel: its organisations' MSPs and the header hash of its genesis block.

    Members come and go: a `following.Follower` that reads the channel's blocks replaces `msps`, as one assignment.
    `policies` may pin a chaincode's endorsement policy by name, for chaincodes without key-level policies: a
    transaction that cannot satisfy it is then refused before it is signed rather than marked invalid in a block.
    """

    def __init__(
        self,
        msps: Iterable[Msp],
        genesis_hash: bytes,
        *,
        policies: Mapping[str, Policy] | None = None,
    ) -> None:
        if len(genesis_hash) != hashlib.sha256().digest_size:
            raise ValueError(f"a genesis hash has 32 bytes, not {len(genesis_hash)}")
        self.msps = Msps(msps)
        self.genesis_hash = genesis_hash
        self.policies = dict(policies or {})

    @classmethod
    def from_msp_folders(cls, folders: Mapping[str, Path | str], genesis_hash: bytes) -> Trust:
        """Trust in the MSP folders given by MSP id; one that cannot be read disables its member (`Msps.disabled`)."""
        trust = cls((), genesis_hash)
        trust.msps = Msps(definitions={name: partial(msp_from_folder, name, path) for name, path in folders.items()})
        return trust

    @classmethod
    def from_genesis_block(cls, block: bytes, genesis_hash: bytes) -> Trust:
        """Trust in the MSPs that a genesis block defines, once the block is shown to be the pinned one.

        Raises `UntrustedResponse` when it is another block, `MalformedData` when it is not a configuration block.
        """
        try:
            message = wire.common.Block.FromString(block)
        except wire.DecodeError as exc:
            raise MalformedData("genesis block: not readable") from exc
        trust = cls((), genesis_hash)
        BlockChecker(trust.genesis_hash).check(message)
        trust.msps = ChannelConfig(blocks.channel_config(message)).msps
        return trust


class Expected(NamedTuple):
    """What the client proposed, and so expects to find in the prepared transaction."""

    transaction_id: str
    chaincode: str
    channel_header: bytes
    signature_header: bytes
    payload: bytes
    """The serialised `ChaincodeProposalPayload` without transient data."""
    organisations: Sequence[str]
    """MSP ids that had to endorse; empty leaves the choice to the peer."""


def proposal_hash(channel_header: bytes, signature_header: bytes, payload: bytes) -> bytes:
    """SHA-256 over both headers and the payload without transient data (rule P-6)."""
    return hashlib.sha256(channel_header + signature_header + payload).digest()


def verify_prepared(envelope: Any, expected: Expected, trust: Trust) -> bytes:
    """Checks a prepared `common.Envelope` against obligations 1 to 7 and returns the chaincode's result.

    Raises `UntrustedResponse`; then nothing of the envelope may be used.
    """
    try:
        return _verify_prepared(envelope, expected, trust)
    except wire.DecodeError as exc:
        raise UntrustedResponse(
            "malformed", "the prepared transaction cannot be decoded", expected.transaction_id
        ) from exc


def _verify_prepared(envelope: Any, expected: Expected, trust: Trust) -> bytes:
    def demand(condition: bool, reason: str, message: str) -> None:
        if not condition:
            raise UntrustedResponse(reason, message, expected.transaction_id)

    demand(not envelope.signature, "signed-already", "the prepared transaction carries a signature")
    payload = wire.common.Payload.FromString(envelope.payload)
    demand(
        payload.header.channel_header == expected.channel_header
        and payload.header.signature_header == expected.signature_header,
        "header-mismatch",
        "the prepared transaction has another header than the proposal",
    )
    actions = wire.transaction.Transaction.FromString(payload.data).actions
    demand(len(actions) == 1, "action-count", f"the prepared transaction has {len(actions)} actions, not one")
    demand(
        actions[0].header == expected.signature_header,
        "action-header-mismatch",
        "the action has another signature header than the proposal",
    )
    action = wire.transaction.ChaincodeActionPayload.FromString(actions[0].payload)
    demand(
        action.chaincode_proposal_payload == expected.payload,
        "input-mismatch",
        "the transaction's input is not what was proposed",
    )
    endorsed: bytes = action.action.proposal_response_payload
    response = wire.proposal_response.ProposalResponsePayload.FromString(endorsed)
    demand(
        response.proposal_hash == proposal_hash(expected.channel_header, expected.signature_header, expected.payload),
        "proposal-hash-mismatch",
        "the endorsed payload is about another proposal",
    )
    result = _check_action(response.extension, expected)
    _check_endorsements(action.action.endorsements, endorsed, expected, trust)
    demand(_rebuilt(expected, action.action) == envelope.payload, "surplus-data", "the envelope holds unknown data")
    return result


def _check_action(extension: bytes, expected: Expected) -> bytes:
    action = wire.proposal.ChaincodeAction.FromString(extension)
    status = action.response.status
    if not 200 <= status < 400:
        raise UntrustedResponse(
            "response-status",
            f"the chaincode answered status {status}, which nobody may endorse",
            expected.transaction_id,
        )
    names = [action.chaincode_id.name]
    ids = [expected.transaction_id]
    if action.events:
        event = wire.chaincode_event.ChaincodeEvent.FromString(action.events)
        names.append(event.chaincode_id)
        ids.append(event.tx_id)
    if names != [expected.chaincode] * len(names):
        raise UntrustedResponse("chaincode-mismatch", "the result is of another chaincode", expected.transaction_id)
    if ids != [expected.transaction_id] * len(ids):
        raise UntrustedResponse("event-mismatch", "the event is of another transaction", expected.transaction_id)
    result: bytes = action.response.payload
    return result


def _check_endorsements(endorsements: Any, endorsed: bytes, expected: Expected, trust: Trust) -> None:
    members: dict[tuple[str, bytes], Member] = {}
    for endorsement in endorsements:
        member = _endorser(endorsement.endorser, expected, trust)
        if member.key in members:
            raise UntrustedResponse(
                "duplicate-endorsement",
                f"a peer of {said(member.msp_id)} endorsed twice",
                expected.transaction_id,
                member.msp_id,
            )
        try:
            member.verify(endorsed + endorsement.endorser, endorsement.signature)
        except InvalidSignature as exc:
            raise UntrustedResponse(
                "endorsement-signature",
                f"the endorsement of {said(member.msp_id)} is forged",
                expected.transaction_id,
                member.msp_id,
            ) from exc
        members[member.key] = member
    missing = sorted(set(expected.organisations) - {member.msp_id for member in members.values()})
    if missing or not members:
        raise UntrustedResponse(
            "missing-endorsement", f"no endorsement of {', '.join(missing) or 'anybody'}", expected.transaction_id
        )
    policy = trust.policies.get(expected.chaincode)
    if policy is not None:
        try:
            policy.evaluate(list(members.values()))
        except PolicyNotSatisfied as exc:
            raise UntrustedResponse("policy-not-satisfied", str(exc), expected.transaction_id) from exc


def _endorser(serialized: bytes, expected: Expected, trust: Trust) -> Member:
    try:
        member = trust.msps.member(serialized)
    except MalformedData as exc:
        raise UntrustedResponse(_distrust(exc), str(exc), expected.transaction_id, _claimed(serialized)) from exc
    # Without NodeOUs an MSP does not tell its peers from its clients, so there is no role to demand.
    if member.role not in ("peer", None):
        raise UntrustedResponse(
            "endorser-role",
            f"an endorser of {said(member.msp_id)} is a {member.role}, not a peer",
            expected.transaction_id,
            member.msp_id,
        )
    return member


def _distrust(error: MalformedData) -> str:
    if isinstance(error, DisabledMember):
        return "disabled-endorser"
    return "untrusted-endorser" if isinstance(error, InvalidIdentity) else "malformed-endorser"


def _claimed(serialized: bytes) -> str:
    """The MSP id that an identity claims; empty where it is none."""
    try:
        return str(wire.identities.SerializedIdentity.FromString(serialized).mspid)
    except wire.DecodeError:
        return ""


def _rebuilt(expected: Expected, action: Any) -> bytes:
    """The payload as Fabric's Gateway assembles it (rule G-19) out of parts that have been checked."""
    endorsed = wire.transaction.ChaincodeEndorsedAction(proposal_response_payload=action.proposal_response_payload)
    for endorsement in action.endorsements:
        endorsed.endorsements.add(endorser=endorsement.endorser, signature=endorsement.signature)
    payload = wire.transaction.ChaincodeActionPayload(
        chaincode_proposal_payload=expected.payload, action=endorsed
    ).SerializeToString()
    data = wire.transaction.Transaction(
        actions=[wire.transaction.TransactionAction(header=expected.signature_header, payload=payload)]
    ).SerializeToString()
    header = wire.common.Header(channel_header=expected.channel_header, signature_header=expected.signature_header)
    rebuilt: bytes = wire.common.Payload(header=header, data=data).SerializeToString()
    return rebuilt


class BlockChecker:
    """Checks that the blocks of one stream hash to what they say and follow on one another without gaps.

    The chain starts at the first block that is seen, which must be number `first` and follow on `previous_hash` where
    these are given; of itself only block 0 can be compared with what was pinned. Validation flags stand outside the
    hashes (rule O-17) and are believed.
    """

    def __init__(self, genesis_hash: bytes, *, first: int | None = None, previous_hash: bytes | None = None) -> None:
        self._genesis_hash = genesis_hash
        self._next = first
        self._hash = previous_hash

    def check_number(self, number: int) -> None:
        """Raises `UntrustedResponse` unless `number` is the one that has to come."""
        if self._next is not None and number != self._next:
            raise UntrustedResponse("block-gap", f"block {number} came where block {self._next} was due")
        self._next = number + 1

    def check(self, block: Any) -> None:
        """Raises `UntrustedResponse` unless this `common.Block` is intact and follows on the last one."""
        header = block.header
        self.check_number(header.number)
        if blocks.data_hash(block.data.data) != header.data_hash:
            raise UntrustedResponse("data-hash", f"block {header.number}: its transactions do not match its header")
        previous = self._hash
        self._hash = blocks.header_hash(header.number, header.previous_hash, header.data_hash)
        if previous is not None and header.previous_hash != previous:
            raise UntrustedResponse("chain-broken", f"block {header.number} does not follow on the block before it")
        if header.number == 0 and self._hash != self._genesis_hash:
            raise UntrustedResponse("genesis-mismatch", "block 0 is not the genesis block that was pinned")
