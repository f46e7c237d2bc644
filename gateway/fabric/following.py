# SPDX-License-Identifier: Apache-2.0
"""Following a channel's configuration from block to block, so that trust is in its members of now.

What is pinned is the first block's hash. The configuration in it is therefore known, and says who has to sign the
blocks that follow; one of those that holds a configuration, signed as the one before it demands, says so from then on.
Of each block, in order (rules O-14 to O-18):

 1. orderers signed it as the configuration in force demands (`/Channel/Orderer/BlockValidation`); block 0 instead is
    the pinned one;
 2. a configuration is alone in its block, is of this channel, and has the sequence number that is due.

That the block is intact and follows on the one before it has been checked already (`verify.BlockChecker`). Validation
flags are of no account: they are outside what orderers sign, and orderers order no configuration that is not valid.
Not judged is whose signatures carried a change, which the orderers' signatures stand for.

What one member controls (its MSP, its own policies) is read no more strictly than the ledger reads it. A member whose
MSP is not understood all the same is disabled, which is logged, and the channel goes on without its identities. Where
the block's signatures do not suffice without those of a disabled ordering organisation, or the rule for them is not
understood, nobody has lied: that is `NotUnderstood`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.fabric import wire
from gateway.fabric.blocks import Block, config_in, header_bytes
from gateway.fabric.decoding import decode
from gateway.fabric.errors import MalformedData, NotUnderstood, UntrustedResponse
from gateway.fabric.msp import Member
from gateway.fabric.policy import ChannelConfig, Policy, PolicyNotSatisfied, SignedData, verified_members
from gateway.fabric.texts import said
from gateway.fabric.verify import Trust

__all__ = ["Follower", "InForce"]

_LOG = logging.getLogger(__name__)
_BLOCK_POLICY = "/Channel/Orderer/BlockValidation"
_SIGNATURES = wire.common.SIGNATURES


class InForce(ChannelConfig):
    """A channel's configuration that also knows whose signatures make a block; from a `ConfigEnvelope` or its bytes.

    Raises `NotUnderstood` for bytes that are none.
    """

    def __init__(self, envelope: Any) -> None:
        if isinstance(envelope, bytes):
            try:
                envelope = decode(wire.configtx.ConfigEnvelope, envelope)
            except wire.DecodeError as exc:
                raise NotUnderstood("the channel's configuration is not readable") from exc
        super().__init__(envelope)
        self.sequence = int(envelope.config.sequence)
        """How many changes led to it."""
        self._consenters = _consenters(envelope)
        self._signers: Policy | None = None

    def signers(self, block: Any) -> list[Member]:
        """Whose signatures a `common.Block` has that hold, each once; raises protobuf's `DecodeError`."""
        return verified_members(self._signed(block), self.msps)

    def unsigned(self, block: Any, counts: Callable[[Member], bool] = lambda _: True) -> str | None:
        """What is wrong with the orderers' signatures of a `common.Block`; None when they are as they must be.

        Args:
            counts: whose signatures count, of those that hold; everybody's, as peers see it.

        Raises `NotUnderstood` when that cannot be decided.
        """
        if self._signers is None:
            try:
                self._signers = self.policy(_BLOCK_POLICY)
            except MalformedData as exc:
                raise NotUnderstood(f"who has to sign blocks is not understood: {exc}") from exc
        try:
            signers = [each for each in self.signers(block) if counts(each)]
        except wire.DecodeError:
            return "its signatures cannot be read"
        try:
            self._signers.evaluate(signers)
        except PolicyNotSatisfied as exc:
            if unknown := {name: why for name, why in self.msps.disabled.items() if name in self.orderers}:
                reasons = "; ".join(f"{_shown(name)}: {why}" for name, why in unknown.items())
                raise NotUnderstood(
                    f"block {block.header.number} needs signatures of ordering organisations whose definition is not "
                    f"understood ({reasons})"
                ) from exc
            return f"is not signed as the ordering service must sign: {exc}"
        return None

    def _signed(self, block: Any) -> Iterator[SignedData]:
        """What each orderer signed: Raft's name themselves in a header, SmartBFT's by their number."""
        slots = block.metadata.metadata
        if len(slots) <= _SIGNATURES:
            return
        metadata = wire.common.Metadata.FromString(slots[_SIGNATURES])
        header = block.header
        tail = header_bytes(header.number, header.previous_hash, header.data_hash)
        for entry in metadata.signatures:
            if entry.signature_header:
                creator = wire.common.SignatureHeader.FromString(entry.signature_header).creator
                head = entry.signature_header
            else:
                number = wire.common.IdentifierHeader.FromString(entry.identifier_header).identifier
                creator, head = self._consenters.get(number, b""), entry.identifier_header
            yield SignedData(metadata.value + head + tail, creator, entry.signature)


class Follower:
    """Moves a `Trust` along with the configuration of its channel; used by one thread.

    Until the first block has come, and never after that, the trust is in what was pinned beside its hash.
    """

    def __init__(self, channel: str, trust: Trust) -> None:
        self._channel = channel
        self._trust = trust
        self._config: InForce | None = None

    @property
    def sequence(self) -> int | None:
        """The number of the configuration in force; None before the first block."""
        return None if self._config is None else self._config.sequence

    @property
    def organisations(self) -> frozenset[str]:
        """MSP ids of the application organisations of the configuration in force; none before the first block."""
        return frozenset() if self._config is None else frozenset(self._config.organisations.values())

    @property
    def disabled(self) -> Mapping[str, str]:
        """Members whose definition in the configuration in force is not understood, by MSP id as it may be shown, and
        why."""
        return {_shown(name): why for name, why in self._trust.msps.disabled.items()}

    def resume(self, height: int, config: bytes | None) -> None:
        """Go on after `height` blocks, under the configuration that `check` answered last.

        Raises `ValueError` when it is missing, `NotUnderstood` when it is none.
        """
        if height > 0 and config is None:
            raise ValueError(f"{height} blocks were read, and the configuration in force was not kept")
        former = self._trust.msps.ids
        self._config = None
        if config is not None:
            self._follow(InForce(config))
        if self._trust.msps.ids != former:
            _LOG.info("%s, rather than those that are pinned", self)

    def check(self, message: Any, block: Block) -> bytes | None:
        """Judge a `common.Block`, given decoded as well; answers the configuration that it puts in force, if any.

        Raises `UntrustedResponse`, and `NotUnderstood` where that cannot be decided; the trust then stays as it was.
        """
        if block.number > 0:
            if self._config is None:
                raise UntrustedResponse("config-missing", f"block {block.number} came before any configuration")
            if (problem := self._config.unsigned(message)) is not None:
                raise UntrustedResponse("block-signature", f"block {block.number} {problem}")
        found = config_in(block)
        if found is None:
            if block.number == 0 or any(each.type == wire.common.CONFIG for each in block.transactions):
                raise UntrustedResponse("config-block", f"block {block.number} must hold a configuration and no more")
            return None
        following = InForce(found)
        self._check_succession(block, following)
        former = self._trust.msps.ids
        self._follow(following)
        _LOG.info("block %d: %s%s", block.number, self, _changes(former, self._trust.msps.ids))
        return found

    def __str__(self) -> str:
        members = ", ".join(map(_shown, sorted(self._trust.msps.ids)))
        return f"configuration {self.sequence} of channel {self._channel} is in force, members {members}"

    def _check_succession(self, block: Block, following: InForce) -> None:
        channel = block.transactions[0].channel
        if channel != self._channel:
            raise UntrustedResponse("config-channel", f"block {block.number} configures channel {said(channel)!r}")
        due = 0 if self._config is None else self._config.sequence + 1
        if following.sequence != due:
            raise UntrustedResponse(
                "config-sequence",
                f"block {block.number} holds configuration {following.sequence} where {due} was due",
            )

    def _follow(self, config: InForce) -> None:
        known = self._trust.msps.disabled
        self._config = config
        self._trust.msps = config.msps
        now = config.msps.disabled
        for name, why in now.items():
            if known.get(name) != why:
                _LOG.error("member %s is disabled here, and the channel goes on without it: %s", _shown(name), why)
        for name in sorted(known.keys() - now.keys()):
            _LOG.info("member %s is not disabled here any more", _shown(name))


def _shown(msp_id: str) -> str:
    return said(msp_id, 100)


def _changes(former: frozenset[str], now: frozenset[str]) -> str:
    changes = [f"{_shown(name)} has joined" for name in sorted(now - former)]
    changes += [f"{_shown(name)} has left" for name in sorted(former - now)]
    return f": {', '.join(changes)}" if changes else ""


def _consenters(envelope: Any) -> dict[int, bytes]:
    """The serialised identities of SmartBFT's orderers by their number; none with Raft."""
    groups = envelope.config.channel_group.groups
    if "Orderer" not in groups or "Orderers" not in groups["Orderer"].values:
        return {}
    try:
        mapping = wire.configuration.Orderers.FromString(groups["Orderer"].values["Orderers"].value).consenter_mapping
    except wire.DecodeError:
        return {}  # their signatures are then nobody's, and the policy for blocks not satisfied
    return {
        each.id: wire.identities.SerializedIdentity(mspid=each.msp_id, id_bytes=each.identity).SerializeToString()
        for each in mapping
    }
