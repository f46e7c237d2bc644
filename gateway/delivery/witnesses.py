# SPDX-License-Identifier: Apache-2.0
"""Other organisations' witnesses over HTTP (c2sp.org/tlog-witness): limits of time and size, and errors in one line."""

import ssl
import time
from http import HTTPStatus
from typing import Final

import httpx

from gateway.services.logs import AnotherSize, WitnessRefused
from gateway.services.ports import Unavailable

_WITHIN: Final = 5.0
_LARGEST_ANSWER: Final = 64 << 10
_LONGEST_SIZE: Final = 20
_LONGEST_REASON: Final = 200
_FINAL: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""What asking again does not change; that a log or a path is not known is a matter of configuration."""


class HttpWitnesses:
    """Implements `services.logs.Witnesses`; connections are kept open."""

    def __init__(self, *, within: float = _WITHIN) -> None:
        """Raises `OSError` where the system's certificates cannot be read.

        Args:
            within: seconds for a whole call, from connecting to the last byte of the answer.
        """
        self._within = within
        # The system's certificates, or those that SSL_CERT_FILE names.
        self._client = httpx.Client(
            verify=ssl.create_default_context(), timeout=within, trust_env=False, follow_redirects=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def add_checkpoint(self, url: str, submission: bytes) -> bytes:
        deadline = time.monotonic() + self._within
        address = f"{url.rstrip('/')}/add-checkpoint"
        try:
            with self._client.stream("POST", address, content=submission, headers={"Content-Type": "text/plain"}) as it:
                return _lines(it.status_code, _read(it, deadline))
        except httpx.TimeoutException:
            raise Unavailable(f"it did not answer within {self._within:g} s", code="witness-unavailable") from None
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Unavailable(f"it cannot be reached: {exc}", code="witness-unavailable") from None


def _read(response: httpx.Response, deadline: float) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > _LARGEST_ANSWER:
            raise Unavailable("it answered more than 64 KiB", code="witness-unavailable")
        if time.monotonic() > deadline:
            raise Unavailable("it did not finish its answer in time", code="witness-unavailable")
    return bytes(content)


def _lines(status: int, content: bytes) -> bytes:
    """The signature lines of an answer, or what it says instead."""
    if status == HTTPStatus.OK:
        return content
    text = content.removesuffix(b"\n")
    if status == HTTPStatus.CONFLICT and 0 < len(text) < _LONGEST_SIZE and text.isdigit():
        raise AnotherSize(int(text))
    said = content.decode("utf-8", "replace")[:_LONGEST_REASON]
    shown = "".join(each if each.isprintable() else " " for each in said).strip()
    if status in _FINAL:
        raise WitnessRefused(f"it refused with status {status}: {shown}")
    raise Unavailable(f"it answered status {status}: {shown}", code="witness-unavailable")
