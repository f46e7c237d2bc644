# SPDX-License-Identifier: Apache-2.0
"""The clients of a gateway: those with an API key, with a certificate, or with a key that they sign requests with.

Of a key the SHA-256 of a 256-bit random secret is stored, and compared in constant time.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from chaincode.domain.errors import InvalidField
from chaincode.domain.values import OrgId
from gateway.api.scopes import ROLES, why_not
from gateway.services.ports import PortError
from gateway.services.rates import Rate
from gateway.stores.sql import SqlDatabase

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# An unknown id costs the same comparison as a known one.
_NOBODY = hashlib.sha256(b"nobody").digest()
_SHOWN = "id, name, role, created, revoked, expires, certificate, rate, public_key, scopes, owners"


class InvalidKeyRequest(PortError):
    """A name or role that cannot be given to a key, or a key that does not exist."""

    code = "invalid-key-request"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A client as it may be shown: never its secret. Times are seconds since 1970."""

    id: str
    name: str
    role: str
    created: float
    revoked: float | None
    expires: float | None = None
    """From when on it is refused."""
    certificate: str | None = None
    """What its certificate is known by, where it comes with one instead of a key."""
    said_rate: str | None = None
    """How many requests it may make, where that is its own."""
    public_key: bytes | None = None
    """What its signatures are verified with (SubjectPublicKeyInfo, DER), where it signs its requests instead."""
    said_scopes: str | None = None
    """What it may do of what its role may, with spaces between; `None` where that is all."""
    said_owners: str | None = None
    """Whose records it may see, by MSP id and with spaces between; `None` where it may see everybody's."""

    @property
    def scopes(self) -> frozenset[str] | None:
        """What it may do of what its role may; `None` where that is all."""
        return None if self.said_scopes is None else frozenset(self.said_scopes.split())

    @property
    def owners(self) -> frozenset[str] | None:
        """Whose records it may see; `None` where it may see everybody's."""
        return None if self.said_owners is None else frozenset(self.said_owners.split())

    @property
    def rate(self) -> Rate | None:
        """How many requests it may make; `None` where that is what every client may."""
        return None if self.said_rate is None else Rate.parse(self.said_rate)


class Allowed(NamedTuple):
    """What a client is let do, where that is less than what its role may."""

    scopes: frozenset[str] | None = None
    """These scopes of its role's; all of them by default."""
    owners: frozenset[str] | None = None
    """MSP ids of those whose records it may see; everybody's by default."""

    def check(self, role: str) -> None:
        """Refuse what cannot be given to a client of a role; raises `InvalidKeyRequest`."""
        if role not in ROLES:
            raise InvalidKeyRequest(f"the role must be one of {', '.join(ROLES)}", role=role)
        if (reason := why_not(role, self.scopes)) is not None:
            raise InvalidKeyRequest(reason, role=role)
        for owner in self.owners or ():
            try:
                OrgId(owner)
            except InvalidField as exc:
                raise InvalidKeyRequest(f"{owner!r} is not an MSP id: {exc.reason}", owner=owner) from None
        if self.owners is not None and not self.owners:
            raise InvalidKeyRequest("it needs one owner at least whose records it may see")


EVERYTHING: Final = Allowed()
"""All that the role may."""


def check_name(name: str) -> None:
    """Refuse what cannot be a key's name; raises `InvalidKeyRequest`."""
    if _NAME.fullmatch(name) is None:
        raise InvalidKeyRequest("a key's name is 1 to 64 letters, digits, dots, dashes or underscores", name=name)


class KeyStore:
    """Issues, lists, renews, revokes and recognises the credentials of clients."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def add(
        self,
        name: str,
        role: str,
        *,
        expires: float | None = None,
        rate: Rate | None = None,
        allowed: Allowed = EVERYTHING,
    ) -> str:
        """Issue a key and return `id.secret`, which cannot be shown again."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        self._insert(key_id, name, role, expires, rate, allowed, digest=_digest(secret))
        return f"{key_id}.{secret}"

    def add_certificate(
        self,
        name: str,
        role: str,
        certificate: str,
        *,
        expires: float | None = None,
        rate: Rate | None = None,
        allowed: Allowed = EVERYTHING,
    ) -> None:
        """Register a client that comes with a certificate.

        Args:
            certificate: what it is known by, as `gateway.callers.certificates` writes it.
        """
        for key in self.list():
            if key.certificate == certificate and key.revoked is None:
                raise InvalidKeyRequest(f"that certificate is {key.name}'s already", name=key.name)
        self._insert(secrets.token_hex(6), name, role, expires, rate, allowed, certificate=certificate)

    def add_public_key(
        self,
        name: str,
        role: str,
        public_key: bytes,
        *,
        expires: float | None = None,
        rate: Rate | None = None,
        allowed: Allowed = EVERYTHING,
    ) -> str:
        """Register a client that signs its requests, and return its id, which its signatures have as `keyid`."""
        key_id = secrets.token_hex(6)
        self._insert(key_id, name, role, expires, rate, allowed, public_key=public_key)
        return key_id

    def _insert(
        self,
        key_id: str,
        name: str,
        role: str,
        expires: float | None,
        rate: Rate | None,
        allowed: Allowed,
        *,
        digest: bytes = b"",
        certificate: str | None = None,
        public_key: bytes | None = None,
    ) -> None:
        check_name(name)
        allowed.check(role)
        if any(key.name == name for key in self.list()):
            raise InvalidKeyRequest(f"there is a key named {name} already", name=name)
        said_rate = None if rate is None else str(rate)
        said = [None if each is None else " ".join(sorted(each)) for each in allowed]
        row = (key_id, name, role, digest, time.time(), expires, certificate, said_rate, public_key, *said)
        self._database.write(
            lambda c: c.execute(
                "INSERT INTO api_key (id, name, role, digest, created, expires, certificate, rate, public_key,"
                " scopes, owners) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        )

    def list(self) -> Sequence[ApiKey]:
        rows = self._database.reader().execute(f"SELECT {_SHOWN} FROM api_key ORDER BY created")  # noqa: S608 - a constant
        return [ApiKey(*row) for row in rows]

    def rotate(self, name: str, *, keep: float, expires: float | None) -> str:
        """Give a key a new secret and return `id.secret`; its client stays the same, and so do its idempotency keys.

        Args:
            name: of the key, or its id.
            keep: seconds for which the former secret counts too.
            expires: until when the key counts from now on; `None` for no end.
        """
        found = next((key for key in self.list() if name in (key.id, key.name) and key.revoked is None), None)
        if found is None or found.certificate is not None or found.public_key is not None:
            raise InvalidKeyRequest(f"there is no valid key named {name}", name=name)
        secret, until = secrets.token_urlsafe(32), time.time() + keep
        if found.expires is not None:
            until = min(until, found.expires)
        self._database.write(
            lambda c: c.execute(
                "UPDATE api_key SET former_digest = digest, former_until = ?, digest = ?, expires = ? WHERE id = ?",
                (until, _digest(secret), expires, found.id),
            )
        )
        return f"{found.id}.{secret}"

    def revoke(self, name: str) -> None:
        """Stop accepting a key, or a certificate, at once, by its id or name."""
        found = self._database.write(
            lambda c: (
                c.execute(
                    "UPDATE api_key SET revoked = ? WHERE (id = ? OR name = ?) AND revoked IS NULL",
                    (time.time(), name, name),
                ).rowcount
            )
        )
        if found == 0:
            raise InvalidKeyRequest(f"there is no valid key named {name}", name=name)

    def recognise(self, presented: str) -> ApiKey | None:
        """Whose key this is, or `None` for anything that is not a valid, unrevoked key.

        One that has expired is recognised: who has its secret may know why it is refused.
        """
        if not presented.isascii():
            return None
        key_id, _, secret = presented.partition(".")
        row = (
            self._database.reader()
            .execute(f"SELECT {_SHOWN}, digest, former_digest, former_until FROM api_key WHERE id = ?", (key_id,))  # noqa: S608
            .fetchone()
        )
        *shown, digest, former, until = (None,) * 11 + (_NOBODY, None, None) if row is None else row
        given = _digest(secret)
        matches = hmac.compare_digest(bytes(digest), given)
        if former is not None and until is not None and time.time() < until:
            matches |= hmac.compare_digest(bytes(former), given)
        if row is None or not matches or shown[4] is not None:
            return None
        return ApiKey(*shown)

    def recognise_signer(self, client: str) -> ApiKey | None:
        """The client of this id whose requests are signed; `None` where there is none."""
        row = (
            self._database.reader()
            .execute(f"SELECT {_SHOWN} FROM api_key WHERE id = ? AND revoked IS NULL", (client,))  # noqa: S608 - a constant
            .fetchone()
        )
        return None if row is None or row[8] is None else ApiKey(*row)

    def recognise_certificate(self, names: Sequence[str]) -> ApiKey | None:
        """Whose certificate has these names, the surest first; `None` where nobody's, or several clients' have."""
        if not names:
            return None
        marks = ", ".join("?" * len(names))
        rows = self._database.reader().execute(
            f"SELECT {_SHOWN} FROM api_key WHERE certificate IN ({marks}) AND revoked IS NULL",  # noqa: S608 - marks
            tuple(names),
        )
        found = {key.certificate: key for key in (ApiKey(*row) for row in rows)}
        if names[0] in found:
            return found[names[0]]
        return next(iter(found.values())) if len(found) == 1 else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
