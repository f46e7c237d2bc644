# SPDX-License-Identifier: Apache-2.0
"""Asks each peer of the organisation, from time to time and at once when it is suspected, how many blocks it holds.

One question is one block's ids from the peer's Deliver service: it takes no place of the Gateway service, and no
other peer answers for the one that was asked. A peer's first block is compared with the pinned one at its first answer,
and again when it holds fewer blocks than were read: the network may have been made anew in the meantime. Where all of
them show another first block, there is nothing left to serve, and the gateway ends.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from gateway.delivery.peers import Peer, Peers
from gateway.fabric import FabricError, GatewayError, KeyUnavailable, UntrustedResponse

_LOG = logging.getLogger(__name__)


class HealthProbe:
    """One thread that watches over all peers. Times in seconds."""

    def __init__(
        self,
        peers: Peers,
        seen: Callable[[int], None],
        *,
        every: float = 2.0,
        within: float = 2.5,
        misses: int = 2,
        stalls_after: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        replaced: Callable[[], str | None] = lambda: None,
        ended: Callable[[str], None] = lambda why: None,
    ) -> None:
        """Assign.

        Args:
            seen: given every height that a peer names.
            within: how long a peer may take to answer.
            misses: how many answers in a row it owes when it is left; a suspected peer, one. A peer that answers
                calls meanwhile is merely busy.
            replaced: asked while no peer can be used; answers why the network is another one now, if anything says so.
            ended: given the reason when the network is another one now.
            stalls_after: for how long the feed may bring nothing although there is more to bring.
        """
        self._peers = peers
        self._seen = seen
        self._every = every
        self._within = within
        self._misses = misses
        self._stalls_after = stalls_after
        self._clock = clock
        self._replaced = replaced
        self._ended = ended
        self._others: set[Peer] = set()
        """Peers whose first block is another one."""
        self._due = dict.fromkeys(peers, 0.0)
        self._owed = dict.fromkeys(peers, 0)
        self._known: set[Peer] = set()
        self._read = (0, clock())
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        peers.when_suspected(self._suspect)

    def start(self) -> None:
        """Watch in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="health-probe", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def ask(self, peer: Peer) -> None:
        """Ask one peer now."""
        asked_at = time.monotonic()
        try:
            network = peer.connect().network
            if peer not in self._known:
                network.check_genesis(self._within)
                self._known.add(peer)
            height = network.height(self._within)
            if height < self._peers.read_height:
                network.check_genesis(self._within)
        except UntrustedResponse as exc:
            self._peers.distrust(peer, str(exc))
            if exc.reason == "genesis-mismatch":
                self._others.add(peer)
                if self._others.issuperset(self._peers):
                    self._ended(f"every peer of this organisation shows another network: {exc}")
        except KeyUnavailable:
            self._due[peer] = self._clock() + self._every  # it was not asked, which says nothing of it
        except GatewayError as exc:
            self._missed(peer, f"it does not say how many blocks it has ({exc.code.name})", asked_at)
        except (FabricError, ValueError) as exc:  # gRPC's word for a connection that was closed meanwhile
            self._missed(peer, str(exc), asked_at)
        else:
            self._owed[peer] = 0
            self._peers.told(peer, height)
            self._seen(height)
            self._look_at_feed(peer, height)
            self._due[peer] = self._clock() + self._every * random.uniform(0.8, 1.2)  # noqa: S311 - jitter

    def _missed(self, peer: Peer, why: str, asked_at: float) -> None:
        self._owed[peer] = 0 if peer.answered_at > asked_at else self._owed[peer] + 1
        # Of a peer that was left already this was the trial: unless it ends here, nobody else may make another one.
        if self._owed[peer] >= self._misses or peer.breaker.state != "closed":
            self._peers.failed(peer, why, certain=True)
        pause = peer.breaker.retry_in or min(1.0, self._every)
        self._due[peer] = self._clock() + pause

    def _look_at_feed(self, peer: Peer, height: int) -> None:
        read, since = self._read
        now = self._clock()
        if self._peers.read_height != read or height <= read:
            self._read = (self._peers.read_height, now)
        elif now - since > self._stalls_after:
            self._read = (read, now)
            self._peers.silent(peer)

    def _suspect(self, peer: Peer) -> None:
        self._owed[peer] = max(self._owed[peer], self._misses - 1)
        self._due[peer] = 0.0
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            now = self._clock()
            for peer in self._peers:
                if self._stopping.is_set():
                    return
                if self._due[peer] <= now and peer.distrusted is None and self._may_ask(peer):
                    try:
                        self.ask(peer)
                    except Exception:
                        _LOG.exception("asking peer %s failed", peer.name)
                        self._due[peer] = self._clock() + self._every
            if not self._peers.usable and (why := self._replaced()) is not None:
                self._ended(why)
            due = min((at for peer, at in self._due.items() if peer.distrusted is None), default=now + self._every)
            self._woken.wait(min(self._every, max(0.05, due - self._clock())))

    def _may_ask(self, peer: Peer) -> bool:
        """A peer that was left is asked when its pause is over; the question is then the trial."""
        if peer.breaker.allows():
            return True
        self._due[peer] = self._clock() + max(0.05, peer.breaker.retry_in)
        return False
