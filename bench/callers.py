# SPDX-License-Identifier: Apache-2.0
"""What it costs a request to be proven with an access token instead of an API key."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from bench.measure import Metric, median
from gateway.callers.claims import Claims
from gateway.callers.issuer import IssuerKeys
from gateway.callers.tokens import TokenVerifier
from gateway.services.callers import Callers, Presented
from gateway.stores.database import Database
from gateway.stores.keys import KeyStore

_ISSUER = "https://issuer.example"


def measure(_kind: str, rounds: int, _seconds: float) -> Sequence[Metric]:
    """Recognise callers by a key, by a token that came before and by one that did not, in turn."""
    key = ECKey.generate_key("P-256", {"kid": "one"})
    published = {"issuer": _ISSUER, "jwks_uri": f"{_ISSUER}/keys", "keys": [key.as_dict(private=False)]}
    keys = IssuerKeys(_ISSUER, fetch=lambda _: json.dumps(published).encode())
    keys.refresh()
    numbers = itertools.count()
    by_key: list[float] = []
    again: list[float] = []
    first: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database.open(Path(folder) / "keys.db", "keys", durable=False)) as database,
    ):
        registry = KeyStore(database)
        api_key = registry.add("bench", "recorder")
        callers = Callers(registry, tokens=TokenVerifier(_ISSUER, "pedigree", keys, Claims()))
        known = _token(key, next(numbers))
        for _ in range(400 * rounds):
            fresh = _token(key, next(numbers))
            for word, taken in ((api_key, by_key), (known, again), (fresh, first)):
                taken.append(_timed(callers, word))
    how = (
        f"recognise a caller, {len(by_key)} times each, in turn, without HTTP; median of the differences to an API key"
    )
    return [
        Metric("rest.oidc_added_ms", _added(again, by_key), "ms", f"{how}; a token (ES256) that came before"),
        Metric("rest.oidc_first_ms", _added(first, by_key), "ms", f"{how}; each token for the first time"),
    ]


def _token(key: ECKey, number: int) -> str:
    now = int(time.time())
    claims = {"iss": _ISSUER, "aud": "pedigree", "sub": "app", "exp": now + 3600, "jti": str(number),
              "roles": ["pedigree-recorder"]}  # fmt: skip
    return jwt.encode({"alg": "ES256", "kid": "one"}, claims, key, algorithms=["ES256"])


def _timed(callers: Callers, word: str) -> float:
    started = time.perf_counter()
    callers.recognise(Presented(word))
    return (time.perf_counter() - started) * 1000


def _added(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return median([a - b for a, b in zip(ours, theirs, strict=True)])
