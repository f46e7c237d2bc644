# SPDX-License-Identifier: Apache-2.0
"""A gRPC connection to a Gateway peer with the options that Fabric's servers ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import grpc

from gateway.fabric.certificates import load_certificate
from gateway.fabric.errors import GatewayError

__all__ = ["MAX_MESSAGE_BYTES", "Connection", "connect"]

MAX_MESSAGE_BYTES = 100 * 1024 * 1024
"""Fabric's own limit, both ways (rule T-5); gRPC's default of 4 MiB breaks on blocks."""

# Fabric's servers end connections that ping more often than once a minute (rule T-6).
KEEPALIVE_MS = 120_000
_KEEPALIVE_TIMEOUT_MS = 20_000

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # What is repeated after a failure is the caller's decision; gRPC must not take it.
    ("grpc.enable_retries", 0),
    # gRPC doubles its pauses up to two minutes; a peer that was restarted should be found again sooner.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # And it gives an attempt twenty seconds. One that begins while the peer's host is away gets no answer at all, not
    # even a refusal, and would go on waiting long after the peer is back.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    # It asks for a name's address again after thirty seconds; a container that was made anew has another one at once.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)


class Connection:
    """A gRPC channel that also knows the hash of the client certificate it presents, for `tls_cert_hash` (rule T-3).

    It may be shared by any number of gateways and threads, and is closed by the program that opened it.
    """

    def __init__(self, channel: Any, tls_client_certificate_hash: bytes = b"") -> None:
        self._channel = channel
        self.tls_client_certificate_hash = tls_client_certificate_hash

    def unary_unary(self, *args: Any, **options: Any) -> Any:
        """As `grpc.Channel.unary_unary`."""
        return self._channel.unary_unary(*args, **options)

    def unary_stream(self, *args: Any, **options: Any) -> Any:
        """As `grpc.Channel.unary_stream`."""
        return self._channel.unary_stream(*args, **options)

    def stream_stream(self, *args: Any, **options: Any) -> Any:
        """As `grpc.Channel.stream_stream`."""
        return self._channel.stream_stream(*args, **options)

    def wait_ready(self, timeout: float) -> None:
        """Returns once connected; raises `GatewayError` with code UNAVAILABLE after `timeout` seconds."""
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(timeout=timeout)
        except grpc.FutureTimeoutError as exc:
            ready.cancel()
            raise GatewayError(grpc.StatusCode.UNAVAILABLE, f"no connection within {timeout} s") from exc

    def close(self) -> None:
        """Ends the connection and every call on it."""
        self._channel.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def connect(
    target: str,
    *,
    tls_root: bytes | None = None,
    server_name: str | None = None,
    client_certificate: bytes | None = None,
    client_key: bytes | None = None,
    options: Sequence[tuple[str, Any]] = (),
) -> Connection:
    """A connection to `target` (host:port), made when it is first used.

    With `tls_root` (PEM) the server must prove `server_name` (default: the host) by TLS; without it nothing is
    encrypted. `client_certificate` and `client_key` (PEM) present a client certificate. `options` are gRPC channel
    arguments that replace ours of the same name. Raises `ValueError` for half a client certificate or one without TLS.
    """
    if (client_certificate is None) != (client_key is None):
        raise ValueError("a client certificate and its key go together")
    if tls_root is None and (client_certificate is not None or server_name is not None):
        raise ValueError("a client certificate or a server name needs TLS: give tls_root")
    arguments: dict[str, Any] = dict(_OPTIONS)
    if server_name is not None:
        arguments["grpc.ssl_target_name_override"] = server_name
    arguments.update(options)
    if tls_root is None:
        return Connection(grpc.insecure_channel(target, list(arguments.items())))
    certificate_hash = _certificate_hash(client_certificate) if client_certificate is not None else b""
    credentials = grpc.ssl_channel_credentials(tls_root, client_key, client_certificate)
    return Connection(grpc.secure_channel(target, credentials, list(arguments.items())), certificate_hash)


def _certificate_hash(pem: bytes) -> bytes:
    return hashlib.sha256(load_certificate(pem, "client certificate").der).digest()
