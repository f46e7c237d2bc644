# SPDX-License-Identifier: Apache-2.0
"""The peers of one's own organisation: one is used, the others stand in for it.

A peer is judged by what calls to it bring, and by a cheap question for its height that `HealthProbe` asks from time to
time. One that fails, or falls behind the others, is left: what waits there is cut off, so that it goes on elsewhere
at once, and it is used again when it answers again. One that shows another chain than the one that was read so far is
never used again: an operator must look.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.delivery.breaker import Breaker
from gateway.delivery.slots import Slots
from gateway.fabric import Connection, Contract, Gateway, Network
from gateway.services.ports import LedgerMisuse, Meter, Unavailable

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE = 1.0
"""Seconds for which a peer that does not answer is left alone: a gateway with one peer is silent for as long."""
_TRIAL_WITHIN = 5.0
"""Seconds for which everybody waits for one call that tries whether the peer is back."""


@dataclass(eq=False, slots=True)
class PeerConnection:
    """One connection to a peer, and the client on it."""

    transport: Connection
    gateway: Gateway
    network: Network
    contract: Contract
    dropped: bool = False
    """Whether it was closed on purpose; a call on it fails in whatever way gRPC happens to find."""


@dataclass(eq=False, slots=True)
class Peer:
    """One peer, and what is known of it; its fields are changed by `Peers` only."""

    name: str
    dial: Callable[[], PeerConnection]
    slots: Slots = field(default_factory=Slots)
    breaker: Breaker = field(default_factory=lambda: Breaker(longest_pause=_LONGEST_PAUSE, trial_within=_TRIAL_WITHIN))
    height: int | None = None
    """Blocks that it held when it last said so."""
    lagging: bool = False
    answered_at: float = 0.0
    """When a call to it last came back with an answer (monotonic seconds)."""
    told_at: float = 0.0
    """When it last said how many blocks it holds (monotonic seconds)."""
    distrusted: str | None = None
    """Why it is never used again; `None` for an honest peer."""
    _connection: PeerConnection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> PeerConnection:
        """The connection to it, made when it is first wanted."""
        connection = self._connection
        if connection is not None:
            return connection
        with self._lock:
            if self._connection is None:
                self._connection = self.dial()
            return self._connection

    def drop(self) -> None:
        """Close the connection, so that callers that wait there learn of it; the next call makes a new one."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.dropped = True
            connection.transport.close()

    def renew(self) -> None:
        """Have the next call make a new connection; what is under way ends on the old one, which goes with it."""
        with self._lock:
            self._connection = None


class Peers:
    """Chooses the peer to use, in the order in which they were given; thread-safe."""

    def __init__(self, peers: Sequence[Peer], *, meter: Meter, far_behind: int = 10) -> None:
        """Assign.

        Args:
            far_behind: how many blocks a peer may lack that another one has.
        """
        self._peers = tuple(peers)
        self._meter = meter
        self._far_behind = far_behind
        self._left: list[Callable[[Peer], None]] = []
        self._suspected: list[Callable[[Peer], None]] = []
        self._read_height = 0

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers)

    @property
    def usable(self) -> int:
        """How many peers could be used now."""
        return sum(_well(peer) for peer in self._peers)

    @property
    def distrusted(self) -> int:
        """How many peers showed another chain; each one is a matter for an operator."""
        return sum(peer.distrusted is not None for peer in self._peers)

    @property
    def calls(self) -> int:
        """Calls that are at our peers now."""
        return sum(peer.slots.used for peer in self._peers)

    @property
    def known_height(self) -> int:
        """The greatest height that any of them named, or that was read."""
        return max(self._read_height, *(peer.height or 0 for peer in self._peers))

    @property
    def read_height(self) -> int:
        """Blocks that the feed has handed on."""
        return self._read_height

    def when_left(self, tell: Callable[[Peer], None]) -> None:
        """Have `tell` called whenever a peer is left or should not be read from any more."""
        self._left.append(tell)

    def when_suspected(self, tell: Callable[[Peer], None]) -> None:
        """Have `tell` called whenever a peer kept somebody waiting."""
        self._suspected.append(tell)

    def choose(self, but: Collection[Peer] = ()) -> Peer:
        """The peer to use now, not one of `but`.

        Raises `Unavailable` with code `peer-unavailable` when none answers, `LedgerMisuse` when none can be trusted.
        """
        for peer in self._peers:
            if peer not in but and _well(peer):
                return peer
        honest = [peer for peer in self._peers if peer.distrusted is None]
        if not honest:
            raise LedgerMisuse(
                "no peer of this organisation shows the chain that was read so far; see the gateway's log",
                reason="forked",
            )
        others = [peer for peer in honest if peer not in but]
        for peer in others:
            if peer.breaker.state == "closed":  # it lags behind, which is better than nothing
                return peer
        for peer in others:
            if peer.breaker.allows():
                return peer
        wait = min((peer.breaker.retry_in for peer in others), default=1.0)
        raise Unavailable(
            "no peer of this organisation answers", code="peer-unavailable", retry_after=max(1, math.ceil(wait))
        )

    # -- what calls, the feed and the health probe found --------------------------------------------------------------

    def answered(self, peer: Peer) -> None:
        """It answered a call, be it with a refusal."""
        peer.answered_at = time.monotonic()
        peer.breaker.succeeded()

    def failed(self, peer: Peer, why: str, *, certain: bool = False) -> None:
        """The connection to it failed, or, when `certain`, it is known not to answer."""
        if peer.breaker.failed(certain=certain):
            self._meter.count("peer_left")
            _LOG.warning("peer %s is left alone for a while: %s", peer.name, why)
            self._leave(peer)

    def suspect(self, peer: Peer) -> None:
        """A call to it came back too late; ask the peer itself whether it is well."""
        self._meter.count("peer_suspected")
        if peer.breaker.state == "half-open":
            self.failed(peer, "the call that tried it came back too late")
        for tell in self._suspected:
            tell(peer)

    def full(self, peer: Peer) -> None:
        """It refused a call because it has too many: our limit was wrong, or others use it as well."""
        self._meter.count("peer_limit")
        peer.slots.crowded()
        _LOG.error("peer %s is at its limit of requests; at most %d from now on", peer.name, peer.slots.limit)

    def distrust(self, peer: Peer, why: str) -> None:
        """It shows another chain, or blocks that are not what they say: never use it again in this process."""
        if peer.distrusted is None:
            peer.distrusted = why
            self._meter.count("peer_distrusted")
            _LOG.critical("peer %s cannot be trusted and is not used any more: %s", peer.name, why)
            self._leave(peer)

    def told(self, peer: Peer, height: int) -> None:
        """It said how many blocks it holds, which also shows that it answers."""
        peer.height = height
        peer.told_at = time.monotonic()
        peer.breaker.succeeded()
        behind = self.known_height - height
        lagging = behind > self._far_behind
        if lagging and not peer.lagging:
            self._meter.count("peer_lagging")
            _LOG.warning("peer %s is %d blocks behind", peer.name, behind)
        peer.lagging = lagging
        if lagging and self._other(peer):
            self._tell_left(peer)

    def read(self, height: int) -> None:
        """The feed has handed on blocks up to this height."""
        self._read_height = height

    def silent(self, peer: Peer) -> None:
        """It has blocks that its stream does not bring."""
        self._meter.count("feed_stalled")
        _LOG.error("peer %s has blocks that its stream does not bring; asking again", peer.name)
        self._tell_left(peer)

    def renew(self) -> None:
        """Use new connections from now on, as after a change of our identity."""
        for peer in self._peers:
            peer.renew()

    def close(self) -> None:
        """Close every connection."""
        for peer in self._peers:
            peer.drop()

    def _leave(self, peer: Peer) -> None:
        # Without another peer a call that is under way had better go on waiting.
        if peer.distrusted is not None or self._other(peer):
            self._tell_left(peer)
            peer.drop()

    def _other(self, peer: Peer) -> bool:
        return any(other is not peer and _well(other) for other in self._peers)

    def _tell_left(self, peer: Peer) -> None:
        for tell in self._left:
            tell(peer)


def _well(peer: Peer) -> bool:
    return peer.distrusted is None and not peer.lagging and peer.breaker.state == "closed"
