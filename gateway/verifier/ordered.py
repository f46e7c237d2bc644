# SPDX-License-Identifier: Apache-2.0
"""Blocks out of a file of evidence, and the configurations that say who had to sign them.

A configuration says whose signatures make the blocks after it, and one of those blocks holds the next configuration.
So from one configuration that the reader trusts all later ones follow, and none can be left out: they are numbered, and
orderers sign with each block in which block the configuration is that they go by (rule O-16).
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from fabric_protos.common import common_pb2
from google.protobuf.message import DecodeError

from gateway.fabric.blockdata import configured_by, split_envelopes
from gateway.fabric.blocks import Transaction, config_in, data_hash, decode_block, decode_transaction, header_hash
from gateway.fabric.errors import MalformedData, NotUnderstood
from gateway.fabric.following import InForce
from gateway.fabric.msp import Member
from gateway.fabric.texts import said

__all__ = ["Configurations", "NotCovered", "OrderedBlock", "RefutedEvidence", "trusted_hash", "valid_at"]

_MEMBERS: Final = {"number", "previous_hash", "data", "signatures"}
_LARGEST_NUMBER: Final = 2**63 - 1
_HASH_SIZE: Final = 32


class RefutedEvidence(Exception):
    """The file is not evidence of a transaction, or contradicts itself or what was given; the text says why."""


class NotCovered(Exception):
    """A block is older than the configuration that is trusted, so who had to sign it does not follow."""


@dataclass(frozen=True, slots=True)
class OrderedBlock:
    """A block as a file of evidence has it."""

    number: int
    previous_hash: bytes
    data: bytes
    """All envelopes, one after another."""
    signatures: bytes
    """What the orderers signed beside the header, and their signatures: a `common.Metadata`."""
    envelopes: tuple[bytes, ...]

    @classmethod
    def of(cls, value: Any, place: str) -> Self:
        """Take a block out of JSON; raises `RefutedEvidence` that names the field, `place` and below."""
        if not isinstance(value, Mapping) or set(value) != _MEMBERS:
            raise RefutedEvidence(f"the field {place} must be an object of {', '.join(sorted(_MEMBERS))}")
        number, previous = value["number"], value["previous_hash"]
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _LARGEST_NUMBER:
            raise RefutedEvidence(f"the field {place}/number must be a whole number")
        try:
            hashed = bytes.fromhex(previous) if isinstance(previous, str) else b"?"
        except ValueError:
            hashed = b"?"
        if len(hashed) != (_HASH_SIZE if number else 0) or hashed.hex() != previous:
            raise RefutedEvidence(f"the field {place}/previous_hash must be 64 hexadecimal digits, of block 0 none")
        data, signatures = _base64(value, place, "data"), _base64(value, place, "signatures")
        try:
            envelopes = tuple(split_envelopes(data))
        except MalformedData as exc:
            raise RefutedEvidence(f"block {number} is not whole: {exc}") from None
        return cls(number, hashed, data, signatures, envelopes)

    @property
    def hash(self) -> bytes:
        """The hash of its header."""
        return header_hash(self.number, self.previous_hash, data_hash([self.data]))

    def message(self) -> Any:
        """As a `common.Block`, with no metadata but the orderers' signatures."""
        block = common_pb2.Block()
        block.header.number = self.number
        block.header.previous_hash = self.previous_hash
        block.header.data_hash = data_hash([self.data])
        block.data.data.extend(self.envelopes)
        block.metadata.metadata.append(self.signatures)
        return block

    def transaction(self, index: int) -> Transaction:
        """One of its transactions; raises `RefutedEvidence` where there are not as many."""
        if not 0 <= index < len(self.envelopes):
            raise RefutedEvidence(
                f"the file speaks of transaction {index} of block {self.number}, which has {len(self.envelopes)}"
            )
        return decode_transaction(self.envelopes[index], index)


class Configurations:
    """The configurations of a channel, each shown by the one before it, from the first that is trusted on."""

    def __init__(self, channel: str, blocks: Sequence[OrderedBlock], trusted: bytes | None) -> None:
        """Follow them.

        Args:
            blocks: of which each holds a configuration, the oldest first.
            trusted: the header hash of that one of them in which the trust is; the first by default.

        Raises `RefutedEvidence`.
        """
        self._channel = channel
        self._known: list[tuple[int, InForce]] = []
        start = 0 if trusted is None else next((at for at, each in enumerate(blocks) if each.hash == trusted), None)
        if start is None:
            found = ", ".join(f"block {each.number} with the hash {each.hash.hex()}" for each in blocks[:1])
            raise RefutedEvidence(
                "none of its configurations is the block that you trust, so it is of another channel or was altered"
                + (f"; the first is {found}" if found else "")
            )
        for block in blocks[start:]:
            self._follow(block)

    @property
    def first(self) -> int:
        """The number of the block in which the trust is."""
        return self._known[0][0]

    def in_force(self, block: OrderedBlock) -> tuple[int, InForce]:
        """The configuration that a block was ordered under, and the block that holds it; raises `NotCovered`."""
        found = [each for each in self._known if each[0] < block.number]
        if not found:
            raise NotCovered(f"block {block.number} is older than the configuration that is trusted")
        return found[-1]

    def check(self, block: OrderedBlock, at: datetime | None = None) -> list[Member]:
        """The orderers who signed a block as the configuration in force demands.

        Args:
            at: when it was made, as far as anybody says so: certificates must be valid then.

        Raises `RefutedEvidence` and `NotCovered`.
        """
        number, config = self.in_force(block)
        message = block.message()
        try:
            named = configured_by(message)
            if named != number:
                raise RefutedEvidence(
                    f"the orderers signed block {block.number} under the configuration of block {named}, and the last "
                    f"one before it in the file is that of block {number}"
                )
            return self._signed(block, message, config, at)
        except (MalformedData, NotUnderstood) as exc:
            raise RefutedEvidence(str(exc)) from None

    def _signed(self, block: OrderedBlock, message: Any, config: InForce, at: datetime | None) -> list[Member]:
        problem = config.unsigned(message, lambda member: valid_at(member, at))
        if problem is None:
            return config.signers(message)
        try:
            ended = [each for each in config.signers(message) if not valid_at(each, at)]
        except DecodeError:
            ended = []
        if ended:
            problem += f"; the certificate of {said(ended[0].certificate.name)} was not valid at that time"
        raise RefutedEvidence(f"block {block.number} {problem}")

    def _follow(self, block: OrderedBlock) -> None:
        """The next configuration; raises `RefutedEvidence` unless it is the next, and ordered under the last."""
        try:
            message = block.message()
            last, config = self._known[-1] if self._known else (-1, None)
            if block.number <= last:
                raise RefutedEvidence("its configurations are not in the order of their blocks")
            # Before anything of it is read: what nobody signed is a stranger's.
            if config is not None and (problem := config.unsigned(message)) is not None:
                raise RefutedEvidence(f"block {block.number}, a configuration, {problem}")
            decoded = decode_block(message)
            content = config_in(decoded)
            if content is None:
                raise RefutedEvidence(f"block {block.number} holds no configuration")
            found = InForce(content)
            if config is not None and found.sequence != config.sequence + 1:
                raise RefutedEvidence(
                    f"block {block.number} holds configuration {found.sequence} where {config.sequence + 1} was due: "
                    "one is left out"
                )
        except (MalformedData, NotUnderstood, DecodeError) as exc:
            raise RefutedEvidence(f"the configuration of block {block.number} is not understood: {exc}") from None
        if decoded.transactions[0].channel != self._channel:
            raise RefutedEvidence(
                f"block {block.number} configures the channel '{said(decoded.transactions[0].channel)}', and the file "
                f"is about '{said(self._channel)}'"
            )
        self._known.append((block.number, found))


def valid_at(member: Member, at: datetime | None) -> bool:
    """Whether a member's certificate is valid at a time, where that is known."""
    parsed = member.certificate.parsed
    return at is None or parsed.not_valid_before_utc <= at <= parsed.not_valid_after_utc


def _base64(value: Mapping[str, Any], place: str, name: str) -> bytes:
    found = value[name]
    try:
        if not isinstance(found, str):
            raise ValueError
        return base64.b64decode(found, validate=True)
    except ValueError:
        raise RefutedEvidence(f"the field {place}/{name} must be base64") from None


def trusted_hash(block: bytes) -> bytes:
    """The header hash of a `common.Block` that the caller trusts; raises `MalformedData` where it is not one."""
    try:
        message = common_pb2.Block.FromString(block)
    except DecodeError:
        raise MalformedData("it cannot be read as a block") from None
    header = message.header
    if not message.data.data or data_hash(message.data.data) != header.data_hash:
        raise MalformedData("its data are not those of its header, or it has none")
    return header_hash(header.number, header.previous_hash, header.data_hash)
