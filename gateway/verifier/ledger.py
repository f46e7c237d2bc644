# SPDX-License-Identifier: Apache-2.0
"""A whole channel judged from its blocks alone, without the peer's word for anything but which are the blocks.

For each block, in order:

 1. it is the next one, its data match its header, it follows on the block before; block 0 is the pinned one;
 2. orderers signed it as the configuration in force before it demands (`/Channel/Orderer/BlockValidation`);
 3. each transaction that is marked valid has the id that its creator and nonce give, is signed by that creator, a
    member then, and no valid one before it has the same id;
 4. its endorsements are over just this proposal and result, and satisfy every policy in force before the block for what
    it wrote;
 5. what it says it read was there before the block, in that version, and no earlier one of the block has written it.

Not judged: whether a transaction that is marked invalid had to be; range reads and private reads; whose signatures a
change of the configuration carried, which the orderers' signatures stand for.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from fabric_protos.common import common_pb2

from gateway.fabric.blocks import Transaction, channel_config, decode_block
from gateway.fabric.errors import DisabledMember, MalformedData, NotUnderstood, UntrustedResponse
from gateway.fabric.following import InForce
from gateway.fabric.policy import ChannelConfig, PolicyNotSatisfied, SignedData, verified_members
from gateway.fabric.verify import BlockChecker, proposal_hash
from gateway.verifier.duties import Duties
from gateway.verifier.keys import Keys

__all__ = ["Finding", "LedgerCheck"]

_CONFIG, _ENDORSED = 1, 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be, and where."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class LedgerCheck:
    """The judge of one channel; it is given every `common.Block` from number 0 on, in order."""

    def __init__(self, channel: str, genesis_hash: bytes) -> None:
        self._channel = channel
        self._checker = BlockChecker(genesis_hash, first=0)
        self._config: InForce | None = None
        self._keys = Keys()
        self._duties = Duties(self._keys)
        self._seen: dict[str, tuple[int, int]] = {}
        self.broken = False
        """Whether the chain itself is broken, so that nothing after that place can be judged."""
        self.unjudged: dict[str, str] = {}
        """Members whose signatures could not be judged, as their definition is not understood, and why."""
        self.blocks = 0
        self.transactions = 0

    def read(self, message: Any) -> Iterator[Finding]:
        """Judge the next block."""
        place = f"block {message.header.number}"
        try:
            self._checker.check(message)
            block = decode_block(message)
            if self._config is None:
                self._config = InForce(channel_config(message))
            elif (problem := self._config.unsigned(message)) is not None:
                yield Finding(place, problem)
        except (UntrustedResponse, MalformedData, NotUnderstood) as exc:
            self.broken = True
            yield Finding(place, str(exc))
            return
        for transaction in block.transactions:
            self.transactions += 1
            if transaction.valid:
                yield from self._valid(transaction, block.number, message)
        self._keys.end_block()
        try:
            self._duties.end_block()
        except MalformedData as exc:
            yield Finding(place, str(exc))
        self.blocks += 1

    def _valid(self, transaction: Transaction, number: int, message: Any) -> Iterator[Finding]:
        place = f"block {number} transaction {transaction.index} ({transaction.transaction_id or 'no id'})"
        try:
            if transaction.malformed is not None:
                yield Finding(place, f"is marked valid and cannot be read: {transaction.malformed}")
            elif transaction.type == _CONFIG and number > 0:
                self._config = InForce(channel_config(message))
            elif transaction.type == _ENDORSED:
                for problem in self._problems(transaction, number):
                    yield Finding(place, problem)
                for written in transaction.namespaces:
                    self._duties.apply(written)
                    self._keys.apply(written, number, transaction.index)
        except MalformedData as exc:
            yield Finding(place, str(exc))

    def _problems(self, transaction: Transaction, number: int) -> Iterator[str]:
        config = self._config
        assert config is not None  # block 0 comes first
        if transaction.channel != self._channel:
            yield f"is of channel {transaction.channel!r}"
        if transaction.transaction_id != hashlib.sha256(transaction.nonce + transaction.creator).hexdigest():
            yield "has an id that is not of its creator and nonce"
        here = (number, transaction.index)
        first = self._seen.setdefault(transaction.transaction_id, here)
        if first != here:
            yield f"is valid for the second time: block {first[0]} has it too"
        if (problem := self._forged(transaction, config)) is not None:
            yield problem
        if not _about_its_proposal(transaction):
            yield "has endorsements of another proposal"
        yield from self._unendorsed(transaction, config)
        for written in transaction.namespaces:
            for read in self._keys.stale(written):
                yield f"read {written.namespace}/{read.key!r} in version {read.version}, which was not there"

    def _unendorsed(self, transaction: Transaction, config: ChannelConfig) -> Iterator[str]:
        signed = (
            SignedData(transaction.response_payload + each.endorser, each.endorser, each.signature)
            for each in transaction.endorsements
        )
        members = verified_members(signed, config.msps)
        written = [each for each in transaction.namespaces if _writes(each) or each.namespace == transaction.chaincode]
        for part in written:
            try:
                for asked_by, policy in self._duties.policies(part, config):
                    try:
                        policy.evaluate(members)
                    except PolicyNotSatisfied as exc:
                        if not self._partly_unjudged(transaction, config):
                            yield f"is not endorsed as {asked_by} demands: {exc}"
            except MalformedData as exc:
                yield f"cannot be held to a policy: {exc}"

    def _forged(self, transaction: Transaction, config: ChannelConfig) -> str | None:
        try:
            config.msps.member(transaction.creator).verify(transaction.payload, transaction.signature)
        except DisabledMember as exc:
            self.unjudged[exc.msp_id] = exc.problem
        except MalformedData as exc:
            return f"its creator is nobody: {exc}"
        except InvalidSignature:
            return f"is not signed by its creator of {transaction.creator_msp_id}"
        return None

    def _partly_unjudged(self, transaction: Transaction, config: ChannelConfig) -> bool:
        """Whether an endorsement is of a member whose definition is not understood: it may have counted."""
        found = False
        for endorsement in transaction.endorsements:
            try:
                config.msps.member(endorsement.endorser)
            except DisabledMember as exc:
                self.unjudged[exc.msp_id] = exc.problem
                found = True
            except MalformedData:
                continue
        return found


def _about_its_proposal(transaction: Transaction) -> bool:
    header = common_pb2.Payload.FromString(transaction.payload).header
    named = proposal_hash(header.channel_header, header.signature_header, transaction.proposal_payload)
    return named == transaction.proposal_hash


def _writes(written: Any) -> bool:
    return bool(
        written.writes
        or written.metadata_writes
        or any(each.writes or each.metadata_writes for each in written.collections)
    )
