# SPDX-License-Identifier: Apache-2.0
"""Which addresses an issuer of tokens may have."""

from urllib.parse import urlsplit


def check_issuer(issuer: str) -> None:
    """Refuse what cannot be an issuer's address; raises `ValueError`."""
    if not is_safe(issuer) or urlsplit(issuer).query or urlsplit(issuer).fragment:
        raise ValueError(f"{issuer!r} is not the address of an issuer, which begins with https://")


def is_safe(url: str) -> bool:
    """Whether what is read there comes from whom it names: over TLS, or from this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost"))
    )
