# SPDX-License-Identifier: Apache-2.0
"""The public keys of an issuer of tokens, fetched from where its metadata says (OpenID Connect Discovery 1.0).

One thread fetches; requests wait for it only where they bring a key id that is not known, few of them, and not for
long. Keys are looked at again every few minutes, and when an unknown id comes: however many come, no more often than
`PAUSE`. Where the issuer cannot be reached, the keys that it last published count for `STALE` seconds; after that
tokens are answered 503.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from gateway.callers.addresses import is_safe
from gateway.services.failures import Unavailable

FRESH: Final = 300.0
"""Seconds after which the keys are looked at again."""
STALE: Final = 3600.0
"""Seconds for which keys count that cannot be looked at again."""
PAUSE: Final = 10.0
"""Seconds between two attempts to fetch the keys, at least."""
_WAIT = 5.0
_WAITING = 8
"""Requests that may wait for the keys at once."""
_TIMEOUT = 5.0
_LARGEST = 256 * 1024
_MOST_KEYS = 100
_ASYMMETRIC = frozenset({"EC", "RSA", "OKP"})
_LOG = logging.getLogger(__name__)

Fetch = Callable[[str], bytes]


class IssuerKeys:
    """The keys of one issuer; thread-safe. `start` begins to fetch them."""

    def __init__(self, issuer: str, *, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Assign.

        Args:
            fetch: reads what is at an address; raises `OSError` or `ValueError` where that fails.
        """
        self._issuer = issuer
        self._fetch = fetch or _fetch
        self._clock = clock
        self._keys: Mapping[str | None, Key] = {}
        self._fetched: float | None = None
        self._tried = float("-inf")
        self._wanted = True
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="issuer-keys", daemon=True)
        self._generation = 0
        self._waiting = 0
        self.trouble: str | None = None
        """Why the keys could not be fetched when that was last tried."""

    def start(self) -> None:
        """Begin to fetch, and go on with it."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is being fetched is left behind."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def find(self, key_id: str | None) -> Key | None:
        """The issuer's key of this id; without an id, its only one. Raises `Unavailable`."""
        with self._changed:
            self._be_current()
            found = self._keys.get(key_id)
            if found is None and self._want():
                self._wait()
                found = self._keys.get(key_id)
            return found

    def generation(self) -> int:
        """A number that changes whenever the keys do; raises `Unavailable` where they are too old to count."""
        with self._changed:
            self._be_current()
            return self._generation

    def _be_current(self) -> None:
        if self.age < STALE:
            return
        if self._want():
            self._wait()
        if self.age >= STALE:
            raise Unavailable(
                "The issuer of access tokens does not answer, and its keys are not known.",
                code="issuer-unavailable",
                retry_after=int(PAUSE),
            )

    def _wait(self) -> None:
        """Wait until the keys were fetched, or could not be; only a few do, so that nobody takes all threads."""
        if self._waiting >= _WAITING:
            return
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: not self._wanted, _WAIT)
        finally:
            self._waiting -= 1

    @property
    def age(self) -> float:
        """Seconds since the keys were fetched; infinite where they never were."""
        fetched = self._fetched
        return float("inf") if fetched is None else self._clock() - fetched

    def _want(self) -> bool:
        """Have the keys fetched now, unless that was tried a moment ago; whether it is being done."""
        if self._wanted or self._clock() - self._tried >= PAUSE:
            self._wanted = True
            self._changed.notify_all()
        return self._wanted

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and not self._due():
                    self._changed.wait(1.0)
                if self._stopped:
                    return
            self.refresh()

    def _due(self) -> bool:
        now = self._clock()
        old = self.age >= FRESH and now - self._tried >= PAUSE
        return self._wanted or old

    def refresh(self) -> None:
        """Fetch the keys once; where that fails, those from before stay."""
        try:
            keys, trouble = self._published(), None
        except (OSError, ValueError, RecursionError, httpx.HTTPError) as exc:
            keys, trouble = None, f"{str(exc) or type(exc).__name__}"
        with self._changed:
            if trouble is not None and trouble != self.trouble:
                _LOG.warning("the keys of %s cannot be fetched: %s", self._issuer, trouble)
            self.trouble = trouble
            self._tried = self._clock()
            self._wanted = False
            if keys is not None:
                self._fetched = self._tried
                if {name: key.as_dict() for name, key in keys.items()} != {
                    name: key.as_dict() for name, key in self._keys.items()
                }:
                    self._keys = keys
                    self._generation += 1
            self._changed.notify_all()

    def _published(self) -> Mapping[str | None, Key]:
        about = _json(self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"))
        if about.get("issuer") != self._issuer:
            raise ValueError(f"what is there is of the issuer {str(about.get('issuer'))[:200]!r}")
        place = about.get("jwks_uri")
        if not isinstance(place, str) or not is_safe(place):
            raise ValueError("its jwks_uri is not an address that begins with https://")
        rows = _json(self._fetch(place)).get("keys")
        if not isinstance(rows, list) or len(rows) > _MOST_KEYS:
            raise ValueError("its key set is not a list of at most 100 keys")
        found = [key for key in map(_key, rows) if key is not None]
        if not found:
            raise ValueError("its key set has no key that signatures can be checked with")
        keys: dict[str | None, Key] = {}
        for key in found:
            name = key.get("kid")
            keys.setdefault(name if isinstance(name, str) else None, key)
        if len(found) == 1:
            keys[None] = found[0]
        elif None in keys and len(found) > 1:
            del keys[None]
        return keys


def _key(row: object) -> Key | None:
    """A public key that signatures are checked with; `None` for any other."""
    if not isinstance(row, dict) or row.get("kty") not in _ASYMMETRIC or row.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in row.items() if name in _PUBLIC}
    try:
        return import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


_PUBLIC = frozenset({"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"})


def _json(content: bytes) -> Mapping[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("what it answers is not a JSON object")
    return found


def _fetch(url: str) -> bytes:
    """What is at an address; redirects are not followed."""
    limit = httpx.Timeout(_TIMEOUT)
    until = time.monotonic() + 2 * _TIMEOUT
    content = b""
    with httpx.stream("GET", url, timeout=limit, follow_redirects=False) as response:
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"{url} answers {response.status_code}")
        for piece in response.iter_bytes():
            content += piece
            if len(content) > _LARGEST or time.monotonic() > until:
                raise ValueError(f"{url} answers too much, or too slowly")
    return content
