# SPDX-License-Identifier: Apache-2.0
"""The secret by which an organisation's own chaincode is known when it dials its peer."""

import hmac
import os
import secrets
from pathlib import Path

__all__ = ["METADATA_KEY", "TOKEN_FILE", "ensure_token", "matches"]

METADATA_KEY = "chaincode-token"
"""The call's metadata that carry it."""
TOKEN_FILE = "chaincode-token"  # noqa: S105 - a file's name
"""In the organisation's folder, readable by its owner only."""
_BYTES = 32


def ensure_token(folder: Path) -> str:
    """Read the organisation's secret, made when there is none; raises OSError, also for a file that others may read."""
    path = folder / TOKEN_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"{path} can be read by others: chmod 600 it, or remove it for a new one") from None
        if token := path.read_text(encoding="ascii").strip():
            return token
        path.unlink()  # left empty by a start that was killed
        return ensure_token(folder)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        token = secrets.token_urlsafe(_BYTES)
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    return token


def matches(token: str, presented: str | bytes | None) -> bool:
    """Say whether what a call presented is the secret, in a time that tells nothing of it; an empty one never is."""
    if not token or presented is None:
        return False
    given = presented.encode() if isinstance(presented, str) else presented
    return hmac.compare_digest(token.encode(), given)
