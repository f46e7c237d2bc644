# SPDX-License-Identifier: Apache-2.0
"""API keys, stored as SHA-256 of a 256-bit random secret and compared in constant time."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.services.ports import PortError
from gateway.stores.sql import SqlDatabase

ROLES = ("reader", "recorder", "endorser", "operator")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# An unknown id costs the same comparison as a known one.
_NOBODY = hashlib.sha256(b"nobody").digest()


class InvalidKeyRequest(PortError):
    """A name or role that cannot be given to a key, or a key that does not exist."""

    code = "invalid-key-request"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown: never its secret."""

    id: str
    name: str
    role: str
    created: float
    revoked: float | None


def check_name(name: str) -> None:
    """Refuse what cannot be a key's name; raises `InvalidKeyRequest`."""
    if _NAME.fullmatch(name) is None:
        raise InvalidKeyRequest("a key's name is 1 to 64 letters, digits, dots, dashes or underscores", name=name)


class KeyStore:
    """Issues, lists, revokes and recognises API keys."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def add(self, name: str, role: str) -> str:
        """Issue a key and return `id.secret`, which cannot be shown again."""
        check_name(name)
        if role not in ROLES:
            raise InvalidKeyRequest(f"the role must be one of {', '.join(ROLES)}", role=role)
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        row = (key_id, name, role, hashlib.sha256(secret.encode()).digest(), time.time())
        if any(key.name == name for key in self.list()):
            raise InvalidKeyRequest(f"there is a key named {name} already", name=name)
        self._database.write(lambda c: c.execute("INSERT INTO api_key VALUES (?, ?, ?, ?, ?, NULL)", row))
        return f"{key_id}.{secret}"

    def list(self) -> Sequence[ApiKey]:
        rows = self._database.reader().execute("SELECT id, name, role, created, revoked FROM api_key ORDER BY created")
        return [ApiKey(*row) for row in rows]

    def revoke(self, name: str) -> None:
        """Stop accepting a key at once, by its id or name."""
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
        """Whose key this is, or `None` for anything that is not a valid, unrevoked key."""
        if not presented.isascii():
            return None
        key_id, _, secret = presented.partition(".")
        row = (
            self._database.reader()
            .execute("SELECT id, name, role, created, revoked, digest FROM api_key WHERE id = ?", (key_id,))
            .fetchone()
        )
        digest = _NOBODY if row is None else row[5]
        matches = hmac.compare_digest(digest, hashlib.sha256(secret.encode()).digest())
        if row is None or not matches or row[4] is not None:
            return None
        return ApiKey(*row[:5])
