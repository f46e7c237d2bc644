# SPDX-License-Identifier: Apache-2.0
"""TLS as gRPC wants it: version 1.2 or newer, ALPN h2, and only the roots that were named."""

import ssl
import tempfile
from pathlib import Path

__all__ = ["client_context", "server_context", "split_target"]


def server_context(certificate: Path, key: Path, client_roots: bytes | None) -> ssl.SSLContext:
    """What a listener presents; with roots every client must present a certificate that chains to one (T-3).

    Raises OSError, of which ssl.SSLError is one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_roots is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, client_roots)
    context.set_alpn_protocols(["h2"])
    return context


def client_context(roots: bytes, key: bytes | None, certificate: bytes | None) -> ssl.SSLContext:
    """Whom a client trusts, and what it presents when it is asked; raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _trust(context, roots)
    if key is not None and certificate is not None:
        # The standard library reads a pair from files only; this one is its owner's, and gone at once.
        with tempfile.TemporaryDirectory(prefix="pedigree-") as folder:
            pair = Path(folder) / "pair.pem"
            pair.touch(mode=0o600)
            pair.write_bytes(key + b"\n" + certificate)
            context.load_cert_chain(pair)
    context.set_alpn_protocols(["h2"])
    return context


def _trust(context: ssl.SSLContext, roots: bytes) -> None:
    context.load_verify_locations(cadata=roots.decode("ascii"))
    # A certificate that was named is trusted as it stands, also an intermediate authority's.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def split_target(target: str) -> tuple[str, int]:
    """Host and port of "host:port", "[::1]:port" or "dns:///host:port"; raises OSError."""
    host, colon, port = target.removeprefix("dns:").lstrip("/").rpartition(":")
    if not colon or not port.isdigit():
        raise OSError(f"{target} is not an address and a port")
    return host.removeprefix("[").removesuffix("]"), int(port)
