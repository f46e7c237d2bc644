# SPDX-License-Identifier: Apache-2.0
"""Access tokens of an issuer (JWT, RFC 7519 and RFC 9068), verified: nothing in a token is believed before that.

What is allowed is named: the issuer, the audience, the algorithms, and which claims give which role. A token that says
where its key is found (`jku`, `x5u`, `jwk`) is not followed: keys are the issuer's published ones alone.
"""

import base64
import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key

from gateway.callers.claims import Claims
from gateway.services.callers import Caller, Unrecognised, VerifiedToken

ALGORITHMS: Final = (
    "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "Ed25519"
)  # fmt: skip
"""What a signature may be made with: all of them with a private key, of which the issuer publishes the other half."""
LEEWAY: Final = 30.0
"""Seconds by which the issuer's clock and this one may differ."""
_LONGEST = 8 * 1024
_LONGEST_NAME = 200
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_KEPT = 2048
_INVALID = "A valid access token of this gateway's issuer is needed: Authorization: Bearer TOKEN"


class Keys(Protocol):
    """The issuer's public keys."""

    def generation(self) -> int:
        """Changes whenever the keys do; raises `Unavailable` where they are too old to count."""
        ...

    def find(self, key_id: str | None) -> Key | None:
        """The key of this id; raises `Unavailable` where the issuer has to be asked and does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    token: VerifiedToken
    generation: int
    begins: float
    ends: float


class TokenVerifier:
    """Verifies tokens; thread-safe. Of those that were verified before, only their time is looked at again."""

    def __init__(
        self, issuer: str, audience: str, keys: Keys, claims: Claims, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._claims = claims
        self._clock = clock
        self._known: OrderedDict[bytes, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def takes(self, word: str) -> bool:
        """Whether a bearer's word has the form of a token; API keys have another one."""
        return word.count(".") == 2

    def verify(self, word: str) -> VerifiedToken:
        """Who a token was issued for; raises `Unrecognised`, `Forbidden` where it gives no role, `Unavailable`."""
        if len(word) > _LONGEST or not word.isascii():
            raise Unrecognised(_INVALID)
        digest = hashlib.sha256(word.encode()).digest()
        generation = self._keys.generation()
        with self._lock:
            kept = self._known.get(digest)
        if kept is None or kept.generation != generation:
            kept = self._verified(word, generation)
            with self._lock:
                self._known[digest] = kept
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        now = self._clock()
        if now >= kept.ends + LEEWAY:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(kept.ends))
            raise Unrecognised(
                f"The access token expired at {at}; ask its issuer for another.", code="credential-expired"
            )
        if now < kept.begins - LEEWAY:
            raise Unrecognised(_INVALID)
        return kept.token

    def _verified(self, word: str, generation: int) -> _Kept:
        header = _header_of(word)
        key = self._keys.find(header.get("kid"))
        if key is None:
            raise Unrecognised(_INVALID)
        try:
            claims = jwt.decode(word, key, algorithms=[header["alg"]]).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Unrecognised(_INVALID) from None
        begins, ends = self._judge(claims)
        found = self._claims.read(claims)
        # The issuer's name is part of it: another issuer's client of the same name is another client.
        identifier = hashlib.sha256(f"{self._issuer}\0{found.client}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
        caller = Caller(f"oidc-{identifier}", found.name, found.role, scopes=found.scopes, owners=found.owners)
        token = VerifiedToken(caller, _thumbprint(claims))
        return _Kept(token, generation, begins, ends)

    def _judge(self, claims: Mapping[str, Any]) -> tuple[float, float]:
        """From when to when a token counts; raises `Unrecognised` for one that is not for this gateway."""
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer or self._audience not in audiences:
            raise Unrecognised(_INVALID)
        ends = _instant(claims, "exp")
        if ends is None:
            raise Unrecognised(_INVALID)
        return max(_instant(claims, "nbf") or 0.0, _instant(claims, "iat") or 0.0), ends


def _header_of(word: str) -> Mapping[str, Any]:
    """What a token says of its signature, as far as it is allowed to; raises `Unrecognised`."""
    first = word.partition(".")[0]
    try:
        header = json.loads(base64.b64decode(first + "=" * (-len(first) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        raise Unrecognised(_INVALID) from None
    kid = header.get("kid") if isinstance(header, dict) else b""
    allowed = (
        isinstance(header, dict)
        and header.get("alg") in ALGORITHMS
        and (kid is None or (isinstance(kid, str) and len(kid) <= _LONGEST_NAME))
        and str(header.get("typ", "JWT")).lower() in _TYPES
        and "crit" not in header
        and "b64" not in header
    )
    if not allowed:
        raise Unrecognised(_INVALID)
    return header  # type: ignore[no-any-return]


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    """An instant in seconds since 1970; `None` where there is none. Raises `Unrecognised` for anything else."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise Unrecognised(_INVALID)
    return float(value)


def _thumbprint(claims: Mapping[str, Any]) -> bytes | None:
    """SHA-256 of the certificate that a token is bound to (RFC 8705); `None` where it is bound to nothing."""
    bound = claims.get("cnf")
    if bound is None:
        return None
    try:
        found = bound["x5t#S256"]
        if list(bound) != ["x5t#S256"]:
            raise ValueError("it is bound to something else too")
        return base64.b64decode(found + "=" * (-len(found) % 4), altchars=b"-_", validate=True)
    except (KeyError, TypeError, ValueError):
        # Bound in a way that is not checked here, such as a key of DPoP: taken without, it would not be bound at all.
        raise Unrecognised(_INVALID) from None
