# SPDX-License-Identifier: Apache-2.0
"""HTTP to a Fabric CA: a pinned root, limits of time and size, and errors in one line that never hold a secret."""

import json
import re
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.identities.errors import (
    AlreadyRegistered,
    CaError,
    CaUnreachable,
    IdentityError,
    NotAuthenticated,
    NotAuthorised,
    NotFoundAtCa,
)

Json = dict[str, Any]

_PREFIX = "/api/v1/"
_LARGEST_ANSWER = 32 * 1024 * 1024
_LONGEST_MESSAGE = 300

# Codes of lib/caerrors/servererror.go. Fabric CA answers 20 and 71 in place of the particular codes for security.
_AUTHENTICATION = frozenset({2, 6, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 33, 70, 73})
_AUTHORISATION = frozenset({7, 17, 35, 42, 43, 44, 53, 54, 55, 59, 71, 76, 78})
_NOT_FOUND = frozenset({8, 10, 11, 16, 19})
_ALREADY_REGISTERED = 74
_BAD_PASSWORDS = 73


def tls_context(root: Path, *, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """A context that trusts the certificates of `root` and nothing else; `client` is (certificate, key) for mutual TLS.

    Raises `IdentityError` that names the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=root.read_text(encoding="ascii"))
    except OSError as exc:
        raise IdentityError(f"{root}: the CA's TLS root cannot be read: {exc.strerror or exc}") from None
    except ValueError:
        raise IdentityError(
            f"{root}: not a certificate in PEM; the root of the CA's TLS certificate is wanted"
        ) from None
    if client is not None:
        try:
            context.load_cert_chain(*client)
        except (OSError, ssl.SSLError) as exc:
            raise IdentityError(
                f"{client[0]}, {client[1]}: not a TLS certificate and its key: {exc.strerror}"
            ) from None
    return context


class Transport:
    """Sends one request at a time per call and reads the CA's envelope; thread-safe, since httpx's client is.

    `timeout` is seconds for a whole call, from connecting to the last byte of the answer.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None, *, timeout: float = 15.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username is not None:
            raise IdentityError(f"CA address {_without_password(url)!r}: https://HOST:PORT is wanted")
        if parts.scheme == "https" and context is None:
            raise IdentityError("the CA is reached by https, so the root of its TLS certificate must be given")
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise IdentityError(f"CA address {url!r}: without TLS only this machine may be named, since secrets travel")
        self.address = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/") + _PREFIX
        self._timeout = timeout
        self._client = httpx.Client(
            verify=context if context is not None else True,
            timeout=httpx.Timeout(timeout),
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def uri(self, endpoint: str, query: dict[str, str]) -> str:
        """The request URI, exactly as it is sent and therefore signed."""
        text = str(httpx.QueryParams(query)) if query else ""
        return f"{self._prefix}{endpoint}" + (f"?{text}" if text else "")

    def send(self, method: str, uri: str, body: bytes, headers: dict[str, str], *, hide: str = "") -> Json:
        """The `result` of the CA's answer; raises `CaError` or `CaUnreachable`.

        `hide` is a secret that was sent: should the CA repeat it in a refusal, it is struck out.
        """
        if body:
            headers = {**headers, "Content-Type": "application/json"}
        deadline = time.monotonic() + self._timeout
        request = self._client.build_request(method, self._base + uri, content=body or None, headers=headers)
        if request.url.raw_path.decode("ascii") != uri:
            raise IdentityError(f"{uri}: would be sent in another form than it is signed")
        try:
            response = self._client.send(request, stream=True)
            try:
                content = self._read(response, deadline)
            finally:
                response.close()
        except httpx.TimeoutException:
            raise CaUnreachable(f"the CA at {self.address} did not answer within {self._timeout:g} s") from None
        except httpx.HTTPError as exc:
            raise CaUnreachable(f"the CA at {self.address} cannot be reached: {exc}") from None
        return self._result(response.status_code, content, hide)

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _LARGEST_ANSWER:
                raise CaUnreachable(f"the CA at {self.address} answered more than {_LARGEST_ANSWER >> 20} MiB")
            if time.monotonic() > deadline:
                raise CaUnreachable(f"the CA at {self.address} did not finish its answer within {self._timeout:g} s")
        return bytes(content)

    def _result(self, status: int, content: bytes, hide: str) -> Json:
        try:
            envelope = json.loads(content)
        except (ValueError, RecursionError):
            envelope = None
        if not isinstance(envelope, dict) or "success" not in envelope:
            raise CaUnreachable(f"{self.address} answered {status} and not as a Fabric CA does; is it the CA's port?")
        if envelope["success"] is not True or status >= 400:
            raise refusal(status, envelope.get("errors"), self.address, hide=hide)
        result = envelope.get("result")
        return result if isinstance(result, dict) else {}


def refusal(status: int, errors: Any, address: str, *, hide: str = "") -> CaError:
    """The error that the CA's codes and messages mean."""
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    number = first.get("code")
    code = number if isinstance(number, int) else 0
    text = str(first.get("message") or "no reason given")
    if hide:
        text = re.sub(rf"(?<!\w){re.escape(hide)}(?!\w)", "…", text)
    # The CA repeats what it was sent; control characters in it are for no terminal.
    said = "".join(each if each.isprintable() else " " for each in text)[:_LONGEST_MESSAGE]
    kind, hint = _meaning(status, code)
    return kind(f"the CA at {address} refused: {said}{hint} (code {code})", status=status, code=code)


def _meaning(status: int, code: int) -> tuple[type[CaError], str]:
    if code == _ALREADY_REGISTERED:
        return AlreadyRegistered, ""
    if code == _BAD_PASSWORDS:
        return NotAuthenticated, "; a registrar must set a new secret"
    if code in _AUTHENTICATION or status == 401:
        return NotAuthenticated, "; is the name and secret right, the certificate of this CA, valid and not revoked?"
    if code in _AUTHORISATION or status == 403:
        return NotAuthorised, "; the caller's hf. attributes do not allow it"
    if code in _NOT_FOUND or status == 404:
        return NotFoundAtCa, ""
    return CaError, ""


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}…@{rest.rpartition('@')[2]}" if "@" in rest else url
