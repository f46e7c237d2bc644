# SPDX-License-Identifier: Apache-2.0
"""The orderers' channel participation API (REST on mutual TLS), which Fabric's osnadmin uses too."""

import json
import secrets
import ssl
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from network.containers.errors import ContainersError
from network.topology import Endpoint

__all__ = ["Participation"]

_PATH = "/participation/v1/channels"
_SECONDS = 30.0
_OK, _CREATED, _NOT_FOUND = 200, 201, 404


class Participation:
    """One orderer's administration endpoint, as its organisation's administrator sees it."""

    def __init__(self, name: str, endpoint: Endpoint, root: Path, client: Path) -> None:
        """`client` is the folder of client.crt and client.key; raises `OSError` for files that cannot be read."""
        self._name = name
        self._endpoint = endpoint
        self._context = ssl.create_default_context(cafile=str(root))
        self._context.load_cert_chain(client / "client.crt", client / "client.key")

    def takes_part(self, channel: str) -> bool:
        """Whether the orderer takes part in a channel; raises `ContainersError`, `OSError` while it does not listen."""
        status, body = self._ask("GET", f"{_PATH}/{channel}")
        if status not in (_OK, _NOT_FOUND):
            raise ContainersError(f"{self._name} does not say whether it takes part in {channel}: {_reason(body)}")
        return status == _OK

    def height(self, channel: str) -> int:
        """How many blocks of a channel the orderer has; 0 while it is not a consenter at work in it.

        Raises as `takes_part`.
        """
        status, body = self._ask("GET", f"{_PATH}/{channel}")
        if status != _OK:
            raise ContainersError(f"{self._name} does not say how far it is in {channel}: {_reason(body)}")
        said = json.loads(body)
        works = (said["consensusRelation"], said["status"]) == ("consenter", "active")
        return int(said["height"]) if works else 0

    def join(self, channel: str, block: bytes) -> None:
        """Let the orderer take part in the channel of this first or latest config block; raises as `takes_part`."""
        border = secrets.token_hex(16)
        part = f'Content-Disposition: form-data; name="config-block"; filename="{channel}.block"'
        head = f"--{border}\r\n{part}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        form = {"Content-Type": f"multipart/form-data; boundary={border}"}
        status, body = self._ask("POST", _PATH, head + block + f"\r\n--{border}--\r\n".encode(), form)
        if status != _CREATED:
            raise ContainersError(f"{self._name} does not join channel {channel}: {_reason(body)}")

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = HTTPSConnection(self._endpoint.host, self._endpoint.port, context=self._context, timeout=_SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except HTTPException as error:
            raise ContainersError(f"{self._name} at {self._endpoint} does not speak HTTP: {error}") from error
        finally:
            connection.close()


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or "it says nothing"
