# SPDX-License-Identifier: Apache-2.0
"""Keeps the identity of a running gateway fresh: re-enrols before it expires, and swaps it in one step.

An identity is renewed when two thirds of its time have passed, a little earlier by chance so that many gateways do not
call their CA at once. The obligations, in this order:

 1. another process may have renewed already: look before asking the CA, and hold the wallet's lock while asking;
 2. the new identity is stored before it is used: a crash before leaves the old one, which is still valid, and a
    certificate at the CA that nobody has the key of; a crash after finds the new one;
 3. the old certificate is not revoked: submissions that were signed with it are still on their way, and must be sent
    again under the same transaction id until their outcome is known;
 4. a caller that takes `current` takes certificate and key together, and keeps them for one submission from end to end.

A transaction id is derived from the identity, so a submission that is proposed anew after the swap has another id; that
it takes effect only once is then held by the idempotency row on the ledger, not by the id.
"""

import logging
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from gateway.identities.credential import Credential
from gateway.identities.errors import IdentityError
from gateway.identities.keys import PrivateKey, algorithm_of, generate
from gateway.identities.wallet import Wallet

_LOG = logging.getLogger(__name__)

_SHARE = 2 / 3
_SPREAD = 0.05
_LOOK = 300.0
_WATCH = 30.0
_LATE = timedelta(days=1)
_FIRST_RETRY, _LAST_RETRY = 15.0, 900.0

Built = TypeVar("Built")
Load = Callable[[], Credential]
Enrol = Callable[[Credential, PrivateKey], Credential]


def due_at(credential: Credential, chance: float = 0.0) -> datetime:
    """When an identity should be renewed; `chance` from 0 to 1 brings that forward by up to a twentieth of its time.

    Its time begins when it was enrolled: a Fabric CA dates certificates back to its own certificate's beginning.
    """
    begin = credential.certificate.not_valid_before_utc
    end = credential.certificate.not_valid_after_utc
    if credential.since is not None:
        begin = min(max(begin, credential.since), end)
    return begin + (end - begin) * (_SHARE - _SPREAD * chance)


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


class Renewal:
    """The thread that renews an identity in time. `failure` is why the last try failed, or None: health shows it.

    `enrol` gets a certificate for a fresh key in the name of the old identity: `lambda old, key: ca.reenrol(old,
    key=key)`. `store` writes it where `load` of the `CurrentIdentity` reads; `new_key` makes keys of that kind;
    `exclude` holds off other processes that renew the same identity. `for_wallet` fills all these in; `watching` is for
    a gateway whose identity another process renews: it accepts what it finds, and `failure` tells when that is late.
    """

    def __init__(
        self,
        identity: CurrentIdentity,
        enrol: Enrol | None,
        store: Callable[[Credential], None],
        *,
        new_key: Callable[[str], PrivateKey] = generate,
        exclude: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.failure: str | None = None
        self._identity = identity
        self._enrol = enrol
        self._store = store
        self._new_key = new_key
        self._exclude = exclude
        self._clock = clock
        self._chance = chance
        self._early = chance()
        self._failures = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def for_wallet(
        cls,
        identity: CurrentIdentity,
        enrol: Enrol,
        wallet: Wallet,
        label: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> "Renewal":
        """The renewal of a wallet's identity."""
        return cls(
            identity,
            enrol,
            lambda credential: wallet.put(label, credential),
            new_key=wallet.new_key,
            exclude=lambda: wallet.renewing(label),
            clock=clock,
            chance=chance,
        )

    @classmethod
    def watching(
        cls, identity: CurrentIdentity, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> "Renewal":
        """Only accept what another process has renewed, such as `pedigree identity reenrol` run by a timer."""
        return cls(identity, None, lambda _credential: None, clock=clock, chance=lambda: 0.0)

    def start(self) -> None:
        """Begin to watch; to be called once."""
        self._thread = threading.Thread(target=self._run, name="identity-renewal", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 20.0) -> None:
        """End the thread; a renewal that is under way is finished, or given up when the CA does not answer."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def step(self) -> float:
        """Renew if it is time; answers after how many seconds to look again. Failures are logged and retried."""
        try:
            if self._identity.reload():
                self._renewed("another process has renewed")
            if self._enrol is None:
                return self._watched()
            if self._due():
                with self._exclude():
                    self._renew(self._enrol)
        except (IdentityError, OSError) as exc:
            return self._failed(exc)
        self.failure, self._failures = None, 0
        left = (due_at(self._identity.current, self._early) - self._clock()).total_seconds()
        return min(max(left, 1.0), _LOOK)

    def _watched(self) -> float:
        late = self._clock() >= due_at(self._identity.current) + _LATE
        self._failures = 0
        self.failure = "the identity is due for renewal, and nobody has renewed it" if late else None
        return _WATCH

    def _renew(self, enrol: Enrol) -> None:
        if self._identity.reload() and not self._due():
            self._renewed("another process has renewed")
            return
        old = self._identity.current
        new = enrol(old, self._new_key(algorithm_of(old.key)))
        self._store(new)
        self._identity.reload()
        self._renewed("renewed")

    def _due(self) -> bool:
        return self._clock() >= due_at(self._identity.current, self._early)

    def _renewed(self, how: str) -> None:
        current = self._identity.current
        self._early = self._chance()
        _LOG.info(
            "%s the identity %s; certificate %s is valid until %s",
            how, current.name, current.serial, current.certificate.not_valid_after_utc,
        )  # fmt: skip

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        self.failure = str(error)
        left = self._identity.current.certificate.not_valid_after_utc - self._clock()
        level = logging.WARNING if left > timedelta(days=1) else logging.ERROR
        _LOG.log(level, "the identity could not be renewed, %s before it expires: %s", max(left, timedelta()), error)
        wait = min(_FIRST_RETRY * 2.0 ** min(self._failures - 1, 10), _LAST_RETRY)
        return wait * (1 - self._chance() / 2)

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = self.step()
