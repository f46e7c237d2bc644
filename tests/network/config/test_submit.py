# SPDX-License-Identifier: Apache-2.0
"""An update is waited for, sent again where it was lost, and taken for done when enough peers have it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2

from network.config import submit as submitting
from network.config.errors import ConfigError
from network.config.submit import change
from network.embedded.identity import Signer
from network.wire import WireError


class Peer:
    """What `submit` asks of an organisation's administrator."""

    def __init__(self, name: str, config: configtx_pb2.Config, signer: Signer) -> None:
        self.member = SimpleNamespace(name=name)
        self.signer = signer
        self.config = configtx_pb2.Config()
        self.config.CopyFrom(config)
        self.last = common_pb2.Envelope()

    def query(self, channel: str, *_arguments: bytes) -> bytes:
        header = common_pb2.ChannelHeader(type=common_pb2.HeaderType.CONFIG, channel_id=channel)
        data = configtx_pb2.ConfigEnvelope(config=self.config, last_update=self.last).SerializeToString()
        payload = common_pb2.Payload(header=common_pb2.Header(channel_header=header.SerializeToString()), data=data)
        envelope = common_pb2.Envelope(payload=payload.SerializeToString())
        block = common_pb2.Block(header=common_pb2.BlockHeader(number=self.config.sequence))
        block.data.data.append(envelope.SerializeToString())
        return block.SerializeToString()


class Ordering:
    """Orders for the peers in `reached`, but loses the first `lost` envelopes that it has accepted."""

    def __init__(self, reached: list[Peer], lost: int = 0) -> None:
        self.reached, self.lost = reached, lost
        self.accepted = self.refused = 0

    def broadcast(self, envelope: common_pb2.Envelope) -> None:
        if any(peer.last.payload == envelope.payload for peer in self.reached):
            self.refused += 1
            raise WireError("the update's version is not the one in force", 400)
        self.accepted += 1
        if self.accepted > self.lost:
            for peer in self.reached:
                peer.config.sequence += 1
                peer.last.CopyFrom(envelope)


Cast = Callable[..., tuple[list[Peer], Callable[..., Any]]]


@pytest.fixture
def cast(config: configtx_pb2.Config, signers: dict[str, Signer], monkeypatch: pytest.MonkeyPatch) -> Cast:
    """Two peers, and how a change is made on them."""
    monkeypatch.setattr(submitting, "_COMMIT_SECONDS", 0.5)
    monkeypatch.setattr(submitting, "_RESEND_SECONDS", 0.05)
    monkeypatch.setattr(submitting, "_PAUSE", 0.01)
    signer = signers["hospital.admin"]
    peers = [Peer(name, config, signer) for name in ("hospital", "lab")]

    def wanted(before: configtx_pb2.Config) -> configtx_pb2.Config:
        after = configtx_pb2.Config()
        after.CopyFrom(before)
        after.channel_group.values["Capabilities"].value = b"others"
        return after

    def make(ordering: Ordering, **options: Any) -> Any:
        return change("pedigree", wanted, peers, ordering, approving=[signer], **options)  # type: ignore[arg-type]

    return lambda: (peers, make)


def test_a_change_is_done_when_all_peers_have_it(cast: Cast) -> None:
    peers, make = cast()
    ordering = Ordering(peers)
    done = make(ordering)
    assert (done.changed, done.sequence, ordering.accepted, ordering.refused) == (True, 1, 1, 0)


def test_an_update_that_the_orderers_lost_is_sent_again(cast: Cast) -> None:
    peers, make = cast()
    ordering = Ordering(peers, lost=2)
    assert make(ordering).sequence == 1
    assert (ordering.accepted, ordering.refused) == (3, 0)


def test_a_peer_that_stays_behind_is_named(cast: Cast) -> None:
    peers, make = cast()
    with pytest.raises(ConfigError, match=r"lab's peer did not reach configuration 1 of channel pedigree within 0 s"):
        make(Ordering(peers[:1]))


def test_one_peer_is_enough_where_that_was_said_and_the_newest_configuration_counts(cast: Cast) -> None:
    peers, make = cast()
    ordering = Ordering(peers[1:])
    assert make(ordering, enough=1).sequence == 1
    assert peers[0].config.sequence == 0  # behind from now on
    assert make(ordering, enough=1).sequence == 2
    assert ordering.accepted == 2


def test_another_update_that_came_first_is_told(cast: Cast) -> None:
    peers, make = cast()

    class Overtaken(Ordering):
        def broadcast(self, envelope: common_pb2.Envelope) -> None:
            super().broadcast(common_pb2.Envelope(payload=b"another"))

    with pytest.raises(ConfigError, match="another update"):
        make(Overtaken(peers))
