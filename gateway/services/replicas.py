# SPDX-License-Identifier: Apache-2.0
"""The gateways of one organisation that share their stores: who lives, and which of them leads.

Every gateway says once a second that it lives, and by the clock of the database has `LEASE` seconds for it. One that
does not is removed for good, whatever became of it: the others take over what it began, and what it writes after that
is refused, so it ends. The one that came first leads: it signs the log, anchors, and sweeps. It believes so only as
long as nobody can have removed it, counted by its own clock from before it asked.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.services.failures import PortError
from gateway.services.monotonic import SYSTEM, Monotonic

LEASE: Final = 5.0
"""Seconds after which a gateway that says nothing is taken to be dead."""
_BEAT: Final = 1.0
_MARGIN: Final = 1.0
"""Seconds before that in which it leads no more."""
_LOOK: Final = 5.0
"""Seconds after which what nobody is at is looked for, also where nobody died."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Living:
    """Who lives, as the database has it now."""

    numbers: Collection[int]
    died: Sequence[int]
    """Those that were removed just now."""


class ReplicaLog(Protocol):
    """Where gateways say that they live."""

    def beat(self, number: int, lease: float) -> Living:
        """Say that one lives, for so many seconds, and remove those whose time is over."""
        ...

    def leave(self, number: int) -> None:
        """Remove one that ends."""
        ...


class Replicas(Protocol):
    """What a gateway knows of the others that share its stores."""

    def leads(self) -> bool:
        """Whether what one gateway alone does is for this one now."""
        ...

    def numbers(self) -> Collection[int]:
        """Those who live, as far as this one knows; nobody where it is alone."""
        ...

    def start(self, adopt: Callable[[Collection[int]], None]) -> None:
        """Begin to take over what others leave.

        Args:
            adopt: takes over what those began who live no more; it is given the numbers of those who live.
        """
        ...

    def stop(self) -> None:
        """Let the others take over at once; nothing may be written any more."""
        ...


class Alone:
    """A gateway whose stores are its own."""

    def leads(self) -> bool:
        return True

    def numbers(self) -> Collection[int]:
        return ()

    def start(self, adopt: Callable[[Collection[int]], None]) -> None:
        """Do nothing: there is nobody to take over from."""

    def stop(self) -> None:
        """Do nothing."""


class Replica:
    """One gateway of several; implements `Replicas`."""

    def __init__(
        self, log: ReplicaLog, number: int, *, ended: Callable[[str], None], monotonic: Monotonic = SYSTEM
    ) -> None:
        """Assign.

        Args:
            number: its number, under which it was entered just now.
            ended: called once the others have taken this one to be dead; it must end the process.
        """
        self.number = number
        self._log = log
        self._ended = ended
        self._monotonic = monotonic
        self._leading_until = float("-inf")
        self._living: Collection[int] = (number,)
        self._stopping = threading.Event()
        self._to_adopt = threading.Event()
        self._adopt: Callable[[Collection[int]], None] = lambda _: None
        self._threads = [
            threading.Thread(target=self._run, name="replica", daemon=True),
            threading.Thread(target=self._take_over, name="taking-over", daemon=True),
        ]

    def leads(self) -> bool:
        return self._monotonic.now() < self._leading_until

    def numbers(self) -> Collection[int]:
        return self._living

    def start(self, adopt: Callable[[Collection[int]], None]) -> None:
        self._adopt = adopt
        self._threads[1].start()

    def enter(self) -> None:
        """Begin to say that this gateway lives; what it opens before it serves may take longer than the lease."""
        self.beat()
        self._threads[0].start()

    def stop(self) -> None:
        self._stopping.set()
        self._to_adopt.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_BEAT + LEASE)
        self._leading_until = float("-inf")
        try:
            self._log.leave(self.number)
        except PortError as exc:
            _LOG.warning("replica %d could not say that it ends: %s", self.number, exc.message)

    def beat(self) -> None:
        """Say that this gateway lives."""
        asked = self._monotonic.now()
        found = self._log.beat(self.number, LEASE)
        if self.number not in found.numbers:
            self._leading_until = float("-inf")
            self._ended(f"replica {self.number} was silent for too long, and others have taken over what it began")
            return
        led = self.leads()
        self._living = found.numbers
        self._leading_until = asked + LEASE - _MARGIN if self.number == min(found.numbers) else float("-inf")
        if self.leads() and not led:
            _LOG.info("replica %d leads: it signs the log, anchors and sweeps", self.number)
        if found.died:
            _LOG.warning("replicas %s are silent; what they began is taken over", ", ".join(map(str, found.died)))
            self._to_adopt.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.beat()
            except PortError as exc:
                _LOG.warning("replica %d cannot say that it lives: %s", self.number, exc.message)
            except Exception:
                _LOG.exception("replica %d cannot say that it lives", self.number)
            self._monotonic.pause(self._stopping, _BEAT)

    def _take_over(self) -> None:
        """In a thread of its own: taking over may take longer than the lease."""
        while not self._stopping.is_set():
            self._monotonic.pause(self._to_adopt, _LOOK)
            self._to_adopt.clear()
            if self._stopping.is_set():
                return
            try:
                self._adopt(self._living)
            except PortError as exc:
                _LOG.warning("what others left could not be taken over yet: %s", exc.message)
            except Exception:
                _LOG.exception("what others left could not be taken over yet")
