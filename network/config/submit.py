# SPDX-License-Identifier: Apache-2.0
"""A change from beginning to end: read the configuration in force, compute, have it signed, submit, wait for it.

Every step looks at what is there: a change that the configuration has already is not submitted again, so an
interrupted change is finished by asking for it again.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fabric_protos.common import common_pb2, configtx_pb2
from google.protobuf.message import DecodeError

from network.config import envelopes
from network.config.errors import ConfigError
from network.config.update import NothingChanges, compute_update
from network.embedded.identity import Signer
from network.wire import Administrator, OrderingService, WireError

__all__ = ["Current", "Done", "change", "current", "first_answer", "in_block", "proposed", "submit"]

_COMMIT_SECONDS = 60.0
_RESEND_SECONDS = 15.0
"""A leader that steps down may lose what it has accepted; where it did not, the second copy is refused."""
_PAUSE = 0.1

Change = Callable[[configtx_pb2.Config], configtx_pb2.Config]


@dataclass(frozen=True, slots=True)
class Current:
    """The configuration in force at one peer."""

    block: common_pb2.Block
    """The block that brought it."""
    config: configtx_pb2.Config
    update: bytes
    """The payload of the update that made it; empty for the first configuration."""

    @property
    def number(self) -> int:
        """The block's number."""
        return int(self.block.header.number)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a change."""

    changed: bool
    """False when the configuration was as wanted before."""
    block: int
    """The block that holds the configuration in force."""
    sequence: int
    """How often the channel's configuration was changed so far."""


def current(administrator: Administrator, channel: str) -> Current:
    """The configuration in force, from an organisation's own peer; raises `WireError` or `ConfigError`."""
    block = common_pb2.Block.FromString(administrator.query(channel, "cscc", b"GetConfigBlock", channel.encode()))
    return in_block(block)


def first_answer(administrators: Sequence[Administrator], channel: str) -> configtx_pb2.Config:
    """The configuration from the first peer that answers: not all of them need be members. Raises `WireError`."""
    refusals: list[WireError] = []
    for administrator in administrators:
        try:
            return current(administrator, channel).config
        except WireError as error:
            refusals.append(error)
    raise refusals[0] if refusals else WireError("network.json names no organisation")


def in_block(block: common_pb2.Block) -> Current:
    """The configuration in a configuration block; raises `ConfigError`."""
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        envelope = configtx_pb2.ConfigEnvelope.FromString(payload.data)
    except (DecodeError, IndexError) as error:
        raise ConfigError(f"block {block.header.number} holds no configuration") from error
    if header.type != common_pb2.HeaderType.CONFIG:
        raise ConfigError(f"block {block.header.number} holds no configuration")
    return Current(block, envelope.config, bytes(envelope.last_update.payload))


def proposed(channel: str, config: configtx_pb2.Config, wanted: Change) -> common_pb2.Envelope | None:
    """The unsigned update that makes a change, None when nothing is to be done; raises `ConfigError`."""
    try:
        return envelopes.unsigned(compute_update(channel, config, wanted(config)))
    except NothingChanges:
        return None


def change(
    channel: str,
    wanted: Change,
    administrators: Sequence[Administrator],
    ordering: OrderingService,
    *,
    approving: Sequence[Signer],
    waiting: Sequence[Administrator] | None = None,
    enough: int | None = None,
) -> Done:
    """Bring a change into force, approved by `approving`; raises `WireError` or `ConfigError`.

    Returns when the peers of `waiting` (all administrators' unless named) have committed it, or `enough` of them:
    a peer that follows an orderer which the change cuts off has to wait until that is back. One of them may be
    behind from the beginning then, so the newest configuration of any of them is the one to be changed.
    """
    asked = administrators[:1] if enough is None else administrators
    before = max((current(each, channel) for each in asked), key=lambda found: found.number)
    envelope = proposed(channel, before.config, wanted)
    if envelope is None:
        return Done(changed=False, block=before.number, sequence=int(before.config.sequence))
    for signer in approving:
        envelope = envelopes.approve(envelope, signer)
    return submit(
        channel, envelope, before.config, administrators if waiting is None else waiting, administrators[0], ordering,
        enough=enough,
    )  # fmt: skip


def submit(
    channel: str,
    envelope: common_pb2.Envelope,
    before: configtx_pb2.Config,
    waiting: Sequence[Administrator],
    submitter: Administrator,
    ordering: OrderingService,
    *,
    enough: int | None = None,
) -> Done:
    """Have an approved update ordered, and wait until the peers of `waiting` have it; raises as `change` does."""
    sealed = envelopes.sealed(envelope, submitter.signer)
    try:
        ordering.broadcast(sealed)
    except WireError as error:
        raise WireError(f"the update was refused: {error}", error.status) from error
    wanted = int(before.sequence) + 1
    reached = _wait(
        waiting, channel, wanted, len(waiting) if enough is None else enough, lambda: _again(ordering, sealed)
    )
    for found in reached:
        if found.config.sequence == wanted and found.update != sealed.payload:
            raise ConfigError("another update of the channel came first; look at it, and ask again")
    return Done(changed=True, block=max((each.number for each in reached), default=0), sequence=wanted)


def _again(ordering: OrderingService, sealed: common_pb2.Envelope) -> None:
    with suppress(WireError):  # the first copy is in a block that no peer has yet, or nobody orders at the moment
        ordering.broadcast(sealed)


def _wait(
    waiting: Sequence[Administrator], channel: str, sequence: int, enough: int, again: Callable[[], None]
) -> Sequence[Current]:
    """What `enough` of the peers have, once that is the configuration wanted; calls `again` while nobody has it."""
    began = sent = time.monotonic()
    reached: dict[int, Current] = {}
    while True:
        for index, each in enumerate(waiting):
            if index not in reached and (found := current(each, channel)).config.sequence >= sequence:
                reached[index] = found
        if len(reached) >= enough:
            return list(reached.values())
        now = time.monotonic()
        if now - began >= _COMMIT_SECONDS:
            late = next(each for index, each in enumerate(waiting) if index not in reached)
            raise ConfigError(
                f"{late.member.name}'s peer did not reach configuration {sequence} of channel {channel} "
                f"within {_COMMIT_SECONDS:.0f} s"
            )
        if not reached and now - sent >= _RESEND_SECONDS:
            again()
            sent = now
        time.sleep(_PAUSE)
