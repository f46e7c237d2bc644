# SPDX-License-Identifier: Apache-2.0
"""Blocks become the read model: first run, catch-up and rebuild are one path.

What a crash leaves: rows, position and the channel's configuration are committed together, so the stream simply
begins at the stored height, under the configuration that held there. Nothing else depends on where the projector
was.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.services.commits import Commits
from gateway.services.ports import BlockSource, PortError, ReadModel, Unavailable

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
# Where nobody says how many blocks there are: those that are behind arrive back to back, so a stream that stays
# silent this long has delivered them all.
_QUIET = 0.25
_NEAR = 10
"""Blocks that may be under way between being known and being applied, on a ledger that never rests."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How the projection stands."""

    height: int
    lag: int
    streaming: bool
    caught_up: bool
    trouble: str | None
    """Why blocks are not being applied, in one line; `None` when all is well."""


class Projector:
    """Feeds the read model from the one block stream of this gateway, in a supervised thread."""

    def __init__(
        self, source: BlockSource, readmodel: ReadModel, commits: Commits, *, applied: Callable[[], None] = lambda: None
    ) -> None:
        """Assign.

        Args:
            applied: called after each block, in the projector's thread; it must return at once.
        """
        self._source = source
        self._readmodel = readmodel
        self._commits = commits
        self._applied = applied
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble: str | None = "the block stream has not been opened yet"
        self._streaming = False
        self._last_activity = time.monotonic()
        self._target: int | None = None

    def start(self) -> None:
        """Begin streaming in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="projector", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop after the block in hand; the position is consistent at any moment."""
        self._stopping.set()
        self._source.interrupt()
        if self._thread is not None:
            self._thread.join(timeout)

    def progress(self) -> Progress:
        height, lag, target = self._commits.height, self._commits.lag, self._target
        if target is None:
            reached = lag == 0 and time.monotonic() - self._last_activity > _QUIET
        else:
            reached = height >= target and lag <= _NEAR
        return Progress(height, lag, self._streaming, self._streaming and reached and height > 0, self._trouble)

    @property
    def streaming(self) -> bool:
        """Whether the block stream is open, so that commits will be learnt from it."""
        return self._streaming

    def run(self) -> None:
        """Stream until stopped; a broken stream is opened again after growing, jittered pauses."""
        pause = _FIRST_PAUSE
        self._commits.reset(self._readmodel.height())
        while not self._stopping.is_set():
            before = self._commits.height
            try:
                self._stream()
            except Unavailable as exc:
                if self._trouble != exc.message:  # a peer that stays away is worth one line, not one a second
                    _LOG.warning("block stream lost: %s", exc.message)
                self._trouble = exc.message
            except PortError as exc:
                # A gap or a foreign block: never guess. An operator must look; the stored rows stay readable.
                if self._trouble != exc.message:
                    _LOG.critical("block refused: %s", exc.message)
                self._trouble = exc.message
            except Exception:
                self._trouble = "an unexpected error stopped the projection; see the log"
                _LOG.exception("projection failed")
            finally:
                self._streaming = False
            pause = _FIRST_PAUSE if self._commits.height > before else min(pause * 2, _LONGEST_PAUSE)
            self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    def _stream(self) -> None:
        target = self._source.tip()
        if target is not None:
            self._commits.seen(target - 1)
        start, previous_hash, config = (
            self._readmodel.height(), self._readmodel.last_hash(), self._readmodel.config(),
        )  # fmt: skip
        self._last_activity = time.monotonic()
        self._target = target
        self._streaming = True
        self._trouble = None
        following = self._source.blocks(start, self._stopping.is_set, previous_hash=previous_hash, config=config)
        for block in following:
            self._readmodel.apply(block)
            self._commits.applied(block)
            self._applied()
            self._last_activity = time.monotonic()
            if self._stopping.is_set():
                return
