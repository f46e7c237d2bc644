# SPDX-License-Identifier: Apache-2.0
"""The data gateway of an owner, read within bounds: it is another organisation's, and may send anything.

What it offers is compared with the attempt before any byte of it is asked for. No answer takes more memory than one
piece, no file more room than was offered and is free, and an answer that does not come on is given up. Whether the
bytes are the owner's data is found out afterwards, when they are opened.
"""

import errno
import json
import os
import re
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self, TypeVar

from pedigree.connections import Connections
from pedigree.errors import Disagreement, PedigreeError, Unreachable, from_problem
from pedigree.fields import escaped
from pedigree.security import Security

if TYPE_CHECKING:
    import httpx

Result = TypeVar("Result")
LARGEST_ANSWER: Final = 64 * 1024
"""Bytes of an answer that is not data."""
_LARGEST_LIST: Final = 4 * 1024 * 1024
"""Bytes of a page of a list of reads."""
_PATIENCE: Final = 60.0
"""Seconds without any progress after which a call is given up."""
_PACE: Final = 1_024
"""Bytes that each second has to bring, after the first `_PATIENCE` seconds."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 3.0
_CONNECT: Final = 10.0
_OVERHEAD: Final = 80
"""Bytes of a sealed blob's header; each chunk, of 16 bytes or more, has 16 more for its tag."""
_TAG: Final = 16
_LARGEST_SIZE: Final = 1 << 48
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
_FORMS: Final = {
    "delivery": re.compile(r"[A-Za-z0-9_-]{20,100}"),
    "channel": _TEXT,
    "root": _HASH,
    "blob": _HASH,
    "digest": _HASH,
    "media_type": _TEXT,
    "key": re.compile(r"[A-Za-z0-9+/]{0,4096}={0,2}"),
}
_BETWEEN: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""What a proxy answers in the place of a gateway that does not."""
_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_RANGE: Final = re.compile(r"bytes (\d{1,16})-(\d{1,16})/(\d{1,16})")


@dataclass(frozen=True, slots=True)
class Offer:
    """What an owner's gateway says that there is to read, once it was compared with the attempt."""

    delivery: str
    """The token that lets it be read."""
    channel: str
    root: str
    blob: str
    size: int
    """Bytes of the data."""
    sealed_size: int
    digest: str
    media_type: str
    key: str
    """The released data key, in base64."""

    @classmethod
    def of(cls, said: Any, attempt: Mapping[str, Any]) -> Self:
        """Take an answer apart; raises `Disagreement` that names the member which is not what it should be."""
        if not isinstance(said, dict):
            raise _odd("it is not an object")
        for name in ("attempt", "grant", "artifact"):
            if said.get(name) != attempt[name]:
                raise _odd(f"its {name} is another one than the attempt's")
        for name, form in _FORMS.items():
            if not isinstance(said.get(name), str) or form.fullmatch(said[name]) is None:
                raise _odd(f"its {name} has another form than one has")
        for name in ("size", "sealed_size"):
            if type(said.get(name)) is not int or not 0 <= said[name] <= _LARGEST_SIZE:
                raise _odd(f"its {name} must be a number of bytes up to {_LARGEST_SIZE}")
        size, sealed = said["size"], said["sealed_size"]
        if not _OVERHEAD + _TAG + size <= sealed <= _OVERHEAD + size + _TAG * max(1, -(-size // _TAG)):
            raise _odd(f"{size} bytes are never {sealed} when they are sealed")
        return cls(**{name: said[name] for name in cls.__dataclass_fields__})

    def as_json(self) -> dict[str, Any]:
        """Its members, for a file."""
        return asdict(self)

    @property
    def released(self) -> bytes:
        """The released data key; raises `ValueError` where it is not base64."""
        return b64decode(self.key, validate=True)


def refuse_without_room(folder: Path, offer: Offer, have: int) -> None:
    """Raise `OSError` where the disk has no room for what is offered, sealed and open.

    Args:
        have: bytes of it that are there already.
    """
    wanted = offer.sealed_size - have + offer.size
    free = shutil.disk_usage(folder).free
    if wanted > free:
        said = f"the owner offers {offer.size} bytes; until they are opened they take {wanted}, and {free} are free"
        raise OSError(errno.ENOSPC, said, str(folder.parent))


class OwnerGateway:
    """An owner's gateway, which has no key for those who come."""

    def __init__(
        self,
        url: str,
        transport: "httpx.BaseTransport | None" = None,
        *,
        patience: float = _PATIENCE,
        security: Security = Security(),  # noqa: B008 - it does not change
    ) -> None:
        """Assign.

        Args:
            transport: for tests.
            patience: seconds without any progress after which a call is given up.
            security: which certificates are believed.
        """
        self._connections = Connections(url, None, transport, security.others())
        self._url = url
        self._patience = patience

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def begin(self, envelope: Mapping[str, Any], attempt: Mapping[str, Any]) -> Offer:
        """Send a statement; raises `Refused`, and `Disagreement` where the answer is not to be used."""

        def once() -> Offer:
            with self._asked("POST", "/v1/data", json=dict(envelope)) as response:
                content = _whole(response)
            try:
                said = json.loads(content)
            except (ValueError, RecursionError):
                raise _odd("it is not JSON") from None
            return Offer.of(said, attempt)

        return self._patiently(once, lambda: 0)

    def read(self, offer: Offer, file: BinaryIO, watch: Callable[[int], None]) -> None:
        """Read the sealed bytes into a file, from where it ends; raises `Disagreement` for other than was offered."""
        total = offer.sealed_size

        def once() -> None:
            start = file.seek(0, os.SEEK_END)
            if start == total:
                return
            if start > total:
                start = file.seek(0)
                file.truncate()
            headers = {"Range": f"bytes={start}-"} if start else {}
            with self._asked("GET", f"/v1/data/{offer.delivery}", headers=headers) as response:
                if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    file.seek(0)
                    file.truncate()
                elif _begins(response, total) != start:
                    raise _odd(f"bytes from {start} on are asked for, and it answers others")
                self._copied(response, file, total, watch)
            if file.tell() < total:
                raise _broken(f"{self._url} ended its answer after {file.tell()} of {total} bytes")

        self._patiently(once, lambda: file.seek(0, os.SEEK_END))

    def read_bundle(self, offer: Offer, file: BinaryIO, most: int) -> None:
        """Read what the bytes are compared with the ledger by; raises `Disagreement` for more than `most` bytes."""

        def once() -> None:
            file.seek(0)
            file.truncate()
            with self._asked("GET", f"/v1/data/{offer.delivery}/bundle") as response:
                self._copied(response, file, most, lambda _: None)

        self._patiently(once, lambda: 0)

    def part(self, offer: Offer, start: int, stop: int) -> bytes:
        """These of the sealed bytes: from `start` up to, not including, `stop`."""
        if start == stop:
            return b""

        def once() -> bytes:
            headers = {"Range": f"bytes={start}-{stop - 1}"}
            with self._asked("GET", f"/v1/data/{offer.delivery}", headers=headers) as response:
                whole = response.status_code != HTTPStatus.PARTIAL_CONTENT
                if (0 if whole else _begins(response, offer.sealed_size)) != start:
                    raise _odd(f"bytes from {start} on are asked for, and it answers others")
                content = _whole(response, stop - start)
            if len(content) < stop - start:
                raise _broken(f"{self._url} ended its answer after {len(content)} of {stop - start} bytes")
            return content

        return self._patiently(once, lambda: 0)

    def list_reads(self, envelope: Mapping[str, Any], first: int) -> Any:
        """Send a statement for a list of reads, from an entry on; raises `Disagreement` for anything but JSON."""

        def once() -> Any:
            with self._asked("POST", f"/v1/data/reads?first={first}", json=dict(envelope)) as response:
                content = _whole(response, _LARGEST_LIST)
            try:
                return json.loads(content)
            except (ValueError, RecursionError):
                raise _odd("it is not JSON") from None

        return self._patiently(once, lambda: 0)

    @contextmanager
    def _asked(self, method: str, path: str, **request: Any) -> "Iterator[httpx.Response]":
        """A successful answer whose body is to be read; raises `PedigreeError` for another one."""
        headers = {"Accept-Encoding": "identity", **request.pop("headers", {})}
        timeouts = (min(_CONNECT, self._patience), self._patience, self._patience, self._patience)
        with self._connections.stream(method, path, headers=headers, timeout=timeouts, **request) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _odd("it is compressed, which nobody asked for")
            if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise _problem(response)
            yield response

    def _copied(self, response: "httpx.Response", file: BinaryIO, most: int, watch: Callable[[int], None]) -> None:
        begun, at = time.monotonic(), file.tell()
        first = at
        for piece in response.iter_bytes():
            at += len(piece)
            if at > most:
                raise _odd(f"more than {most} bytes came")
            file.write(piece)
            watch(at)
            lasted = time.monotonic() - begun - self._patience
            if lasted > 0 and at - first < lasted * _PACE:
                raise _broken(f"{self._url} sends less than {_PACE} bytes a second")

    def _patiently(self, once: Callable[[], Result], reached: Callable[[], int]) -> Result:
        """Do something until it is answered, or nothing came on for as long as one is patient.

        Args:
            reached: how far it came.
        """
        deadline, pause, before = time.monotonic() + self._patience, _FIRST_PAUSE, reached()
        while True:
            try:
                return once()
            except PedigreeError as error:
                if reached() > before:
                    deadline, pause, before = time.monotonic() + self._patience, _FIRST_PAUSE, reached()
                if not error.retryable or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _whole(response: "httpx.Response", most: int = LARGEST_ANSWER) -> bytes:
    """A body of so many bytes at most."""
    found = bytearray()
    for piece in response.iter_bytes():
        found += piece
        if len(found) > most:
            raise _odd(f"it has more than {most} bytes")
    return bytes(found)


def _begins(response: "httpx.Response", total: int) -> int:
    """The first byte of a partial answer; raises `Disagreement` where it says that the whole is another one."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or int(found[3]) != total:
        raise _odd("it does not say which bytes of how many it has")
    return int(found[1])


def _problem(response: "httpx.Response") -> PedigreeError:
    """What an answer refuses, in words that no terminal obeys."""
    try:
        said = json.loads(_whole(response))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(code := said.get("code"), str) or _CODE.fullmatch(code) is None:
        if response.status_code in _BETWEEN:
            return _broken(f"{response.url.host} answered {response.status_code}")
        return _odd(f"it has the status {response.status_code} and no problem")
    detail = escaped(str(said.get("detail", code)), 500)
    return from_problem(
        response.status_code, {"code": code, "detail": detail, "retryable": said.get("retryable") is True}
    )


def _odd(why: str) -> Disagreement:
    return Disagreement(f"the owner's answer is not to be used: {why}")


def _broken(why: str) -> Unreachable:
    return Unreachable(why, code="unreachable", retryable=True)
