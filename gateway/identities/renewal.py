# SPDX-License-Identifier: Apache-2.0
"""Keeps the identity of a running gateway fresh: finds what was renewed, and swaps it in one step.

`pedigree identity reenrol`, run by a timer, renews; a gateway asks no CA. An identity is due when two thirds of its
time have passed. The obligations:

 1. a new identity is stored before it is used: a crash before leaves the old one, which is still valid;
 2. the old certificate is not revoked: submissions that were signed with it are still on their way, and must be sent
    again under the same transaction id until their outcome is known;
 3. a caller that takes `current` takes certificate and key together, and keeps them for one submission from end to end.

A transaction id is derived from the identity, so a submission that is proposed anew after the swap has another id; that
it takes effect only once is then held by the idempotency row on the ledger, not by the id.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from gateway.identities.credential import Credential
from gateway.identities.errors import IdentityError

_LOG = logging.getLogger(__name__)

_SHARE = 2 / 3
_WATCH = 30.0
_LATE = timedelta(days=1)
_FIRST_RETRY, _LAST_RETRY = 15.0, 900.0

Built = TypeVar("Built")
Load = Callable[[], Credential]


def due_at(credential: Credential) -> datetime:
    """When an identity should be renewed: after two thirds of its time.

    Its time begins when it was enrolled: a Fabric CA dates certificates back to its own certificate's beginning.
    """
    begin = credential.certificate.not_valid_before_utc
    end = credential.certificate.not_valid_after_utc
    if credential.since is not None:
        begin = min(max(begin, credential.since), end)
    return begin + (end - begin) * _SHARE


class CurrentIdentity:
    """The identity in use. `load` reads it from where it is kept: `lambda: wallet.get(label)`, or an MSP folder.

    Thread-safe: the swap is one assignment of an immutable value.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._current = load()
        self._listeners: list[Callable[[Credential], None]] = []

    @property
    def current(self) -> Credential:
        """Certificate and key that belong together; ask once for each submission."""
        return self._current

    def reload(self) -> bool:
        """Read it again; whether it has changed. Raises `IdentityError` or `OSError`, and keeps what it had."""
        found = self._load()
        changed = found.certificate != self._current.certificate
        if changed:
            self._current = found
            for listener in self._listeners:
                listener(found)
        return changed

    def when_changed(self, listener: Callable[[Credential], None]) -> None:
        """Call `listener` after each swap, in the thread that made it; it must not raise. To be said at start."""
        self._listeners.append(listener)

    def built(self, build: Callable[[Credential], Built]) -> "Following[Built]":
        """What `build` makes of the identity in use, made anew when it changes: a Fabric `Gateway`, for one."""
        return Following(self, build)


class Following(Generic[Built]):
    """Calls give what was built of the identity that is in use; thread-safe.

    A caller that holds a former one goes on with it undisturbed.
    """

    def __init__(self, identity: CurrentIdentity, build: Callable[[Credential], Built]) -> None:
        self._identity = identity
        self._build = build
        self._lock = threading.Lock()
        self._held = (identity.current, build(identity.current))

    def __call__(self) -> Built:
        credential = self._identity.current
        held = self._held
        if held[0] is credential:
            return held[1]
        with self._lock:
            if self._held[0] is not credential:
                self._held = (credential, self._build(credential))
            return self._held[1]


class RenewalWatch:
    """The thread that finds what another process has renewed, such as `pedigree identity reenrol` run by a timer.

    `failure` is why the last look failed or that the renewal is late, or None: health shows it.
    """

    def __init__(self, identity: CurrentIdentity, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.failure: str | None = None
        self._identity = identity
        self._clock = clock
        self._failures = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch; to be called once."""
        self._thread = threading.Thread(target=self._run, name="identity-renewal", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 20.0) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def step(self) -> float:
        """Look once; answers after how many seconds to look again. Failures are logged, and what was held stays."""
        try:
            if self._identity.reload():
                current = self._identity.current
                _LOG.info(
                    "the identity %s was renewed; certificate %s is valid until %s",
                    current.name, current.serial, current.certificate.not_valid_after_utc,
                )  # fmt: skip
        except (IdentityError, OSError) as exc:
            return self._failed(exc)
        late = self._clock() >= due_at(self._identity.current) + _LATE
        self._failures = 0
        self.failure = "the identity is due for renewal, and nobody has renewed it" if late else None
        return _WATCH

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        self.failure = str(error)
        left = self._identity.current.certificate.not_valid_after_utc - self._clock()
        level = logging.WARNING if left > timedelta(days=1) else logging.ERROR
        _LOG.log(level, "the identity could not be read, %s before it expires: %s", max(left, timedelta()), error)
        return min(_FIRST_RETRY * 2.0 ** min(self._failures - 1, 10), _LAST_RETRY)

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = self.step()
