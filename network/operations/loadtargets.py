# SPDX-License-Identifier: Apache-2.0
"""What load can be put on: a gateway's REST interface, or peers and orderers themselves."""

import http.client
import json
import random
import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import grpc

from network import overview
from network.operations.errors import OperationsError
from network.operations.load import Call
from network.wire import Administrator, Endorsed, OrderingService, ResultsDiffer, WireError

__all__ = ["RestTarget", "WireTarget"]

_SECONDS = 60.0
_DIFFERENT_S = 5.0
"""How long peers may be at different blocks, as when a chaincode is upgraded, before it counts as an error."""
_CREATED, _OK = 201, 200
_METADATA = ("org.hyperledger.fabric:GetMetadata",)


class RestTarget:
    """Registers data sets of made-up names with a gateway, each with an idempotency key of its own."""

    def __init__(self, url: str, key: str) -> None:
        """`key` is an API key with the role `recorder`; raises `OperationsError` for what is not a URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise OperationsError(f"--gateway: {url!r} is not a URL such as http://127.0.0.1:8101")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._run = secrets.token_hex(6)

    @contextmanager
    def __call__(self) -> Iterator[Call]:
        """One kept connection."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=_SECONDS)
        try:
            yield lambda number: self._register(connection, number)
        finally:
            connection.close()

    def _register(self, connection: http.client.HTTPConnection, number: int) -> str | None:
        name = f"load-{self._run}-{number}"
        body = {
            "dataset": name,
            "title": "Load test",
            "licence": "CC0-1.0",
            "origin": {"source": "loadtest", "method": "made up", "geography": ["ZZ"]},
            "sensitivity": "public",
        }
        headers = self._headers | {"Idempotency-Key": name}
        try:
            connection.request("POST", "/v1/datasets", json.dumps(body), headers)
            if connection.sock is not None:
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next call opens it anew
            return type(error).__name__
        return None if answer.status in (_OK, _CREATED) else _problem(answer.status, content)


def _problem(status: int, content: bytes) -> str:
    """A status, and the code of the problem document that comes with it."""
    try:
        told = json.loads(content)
        code = told.get("code") or str(told.get("type", "")).rpartition("/")[2]
    except (ValueError, AttributeError, RecursionError):
        code = ""
    return f"{status} {code}".strip()


class WireTarget:
    """Has peers endorse a call, an orderer order it, and waits for the commit, as one organisation's administrator."""

    def __init__(
        self, described: Mapping[str, Any], chaincode: str, *, peers: int = 2, call: Sequence[str] = _METADATA
    ) -> None:
        """`peers` is how many organisations endorse; the default call reads nothing and writes nothing."""
        self._described = described
        self._chaincode = chaincode
        self._peers = peers
        self._args = [each.encode() for each in call]

    @contextmanager
    def __call__(self) -> Iterator[Call]:
        """Connections of one client's own."""
        with ExitStack() as closing:
            administrators = closing.enter_context(overview.administrators(self._described))
            ordering = closing.enter_context(overview.ordering(self._described))
            yield lambda _number: self._submit(administrators, ordering)

    def _submit(self, administrators: Sequence[Administrator], ordering: OrderingService) -> str | None:
        channel, first = str(self._described["channel"]), administrators[0]
        try:
            endorsed = self._endorsed(channel, administrators[: self._peers])
            ordering.broadcast(first.envelope(endorsed))
            first.wait_for_commit(channel, endorsed.transaction_id)
        except WireError as error:
            return _code(error)
        return None

    def _endorsed(self, channel: str, peers: Sequence[Administrator]) -> Endorsed:
        """Make the proposal again while peers are at different blocks, as gateways do."""
        give_up = time.monotonic() + _DIFFERENT_S
        while True:
            try:
                return peers[0].endorse(channel, self._chaincode, self._args, peers)
            except ResultsDiffer:
                if time.monotonic() >= give_up:
                    raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - jitter


def _code(error: WireError) -> str:
    """Validation codes and gRPC codes by name, refusals by the chaincode's status."""
    if isinstance(error.__cause__, grpc.RpcError):
        return str(error.__cause__.code().name)
    if error.status is not None:
        return f"refused {error.status}"
    return str(error).rpartition("committed as invalid: ")[2][:80]
