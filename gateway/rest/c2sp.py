# SPDX-License-Identifier: Apache-2.0
"""What logs, witnesses and monitors say to one another, as C2SP's specifications have it, below `/v1/log`.

Beside the table of operations, since others wrote the forms: tiles (c2sp.org/tlog-tiles), of the own log and of those
that are mirrored, for anyone who has an API key; `add-checkpoint` (c2sp.org/tlog-witness) and `add-entries`
(c2sp.org/tlog-mirror) for any log whose key this gateway's operator trusts. The log's own signature says who asks
there; no API key is needed. `add-entries` says nothing new of a log: it moves on to what the log has signed.
"""

import re
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from flask import Blueprint, Response, request

from gateway.rest import bodies
from gateway.rest.problems import HttpProblem
from gateway.rest.replies import Reply
from gateway.rest.routing import RequestPipeline
from gateway.services.logs import TILE_HEIGHT, TILE_WIDTH, Leaves, SignedHead
from gateway.services.mirroring import AnotherUpload, Mirror
from gateway.services.witnessing import NotAtThatSize, Witness
from gateway.tlog.entries import LEAF
from gateway.tlog.submissions import LARGEST
from gateway.tlog.uploads import LARGEST_HEADER, mirror_info

_TILE = re.compile(
    r"(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_HASH = 32
_FOR_GOOD = {"Cache-Control": "private, max-age=31536000, immutable"}
_AT_ONCE = 16
"""Submissions that may be judged at once, from all logs together."""
_LOGS = "logs"
_LARGEST_UPLOAD = 1 << 20
"""Bytes of an upload: 32 packages of our entries, as many as one request should have, are half of it."""
_TAKES: Final = MappingProxyType({"Accept-Encoding": "gzip"})
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def blueprint(pipeline: RequestPipeline, leaves: Leaves, witness: Witness, mirror: Mirror) -> Blueprint:
    """The routes; `pipeline` has let in who may ask for them, and renders."""
    made = Blueprint("c2sp", __name__)
    room = threading.BoundedSemaphore(_AT_ONCE)

    def tile(path: str) -> Response:
        return _tile(pipeline, tile_of(leaves, path))

    def mirrored_tile(log: str, path: str) -> Response:
        return _tile(pipeline, tile_of(leaves, path, _mirrored(mirror, log).head.size))

    def mirrored_checkpoint(log: str) -> Response:
        return _text(pipeline, _mirrored(mirror, log).note)

    def add_checkpoint() -> Response:
        content = _body(pipeline, LARGEST)
        with _judging(room):
            try:
                return _text(pipeline, witness.add_checkpoint(content))
            except NotAtThatSize as exc:
                size = f"{exc.size}\n".encode()
                return pipeline.render(Reply({}, 409, pieces=iter((size,))), "text/x.tlog.size")

    def add_entries() -> Response:
        header = _unpacked(_body(pipeline, _LARGEST_UPLOAD), request.headers.get("Content-Encoding"))
        with _judging(room):
            try:
                return _text(pipeline, mirror.add_entries(header), _TAKES)
            except AnotherUpload as exc:
                found = mirror_info(exc.size, exc.following)
                reply = Reply({}, 409, headers=_TAKES, pieces=iter((found,)))
                return pipeline.render(reply, "text/x.tlog.mirror-info")

    _add(made, "/v1/log/tile/<path:path>", "GET", tile)
    _add(made, "/v1/log/mirror/<log>/tile/<path:path>", "GET", mirrored_tile)
    _add(made, "/v1/log/mirror/<log>/checkpoint", "GET", mirrored_checkpoint)
    _add(made, "/v1/log/add-checkpoint", "POST", add_checkpoint)
    _add(made, "/v1/log/add-entries", "POST", add_entries)
    return made


def _tile(pipeline: RequestPipeline, content: bytes) -> Response:
    return pipeline.render(Reply({}, headers=_FOR_GOOD, pieces=iter((content,))), "application/octet-stream")


def _text(pipeline: RequestPipeline, content: bytes, headers: Mapping[str, str] = _NONE) -> Response:
    return pipeline.render(Reply({}, headers=headers, pieces=iter((content,))), "text/plain")


@contextmanager
def _judging(room: threading.BoundedSemaphore) -> Iterator[None]:
    if not room.acquire(blocking=False):
        raise HttpProblem(503, "capacity", "Too many checkpoints are being judged.", headers={"Retry-After": "1"})
    try:
        yield
    finally:
        room.release()


def _body(pipeline: RequestPipeline, limit: int) -> bytes:
    """What a log sent; those that send slowly have one client's share of the threads together."""
    pipeline.bodies.take(_LOGS)
    try:
        return bodies.whole(request._get_current_object(), limit)  # type: ignore[attr-defined]
    finally:
        pipeline.bodies.give_back(_LOGS)


def _unpacked(content: bytes, coding: str | None) -> bytes:
    """The beginning of an upload, as much as its header can have; packages behind that are not looked at."""
    if coding in (None, "identity"):
        return content[:LARGEST_HEADER]
    if coding not in ("gzip", "x-gzip"):
        raise HttpProblem(
            415, "unsupported-encoding", "An upload is packed by gzip or not at all.", headers=dict(_TAKES)
        )
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(content, LARGEST_HEADER)
    except zlib.error:
        raise HttpProblem(400, "malformed-upload", "The body is not what gzip makes.") from None


def _mirrored(mirror: Mirror, log: str) -> SignedHead:
    found = mirror.find(log)
    if found is None:
        raise HttpProblem(404, "not-mirrored", "No log whose origin has this SHA-256 is mirrored here (yet).")
    return found


def tile_of(leaves: Leaves, path: str, size: int | None = None) -> bytes:
    """A tile, or a bundle of entries; raises `HttpProblem` where there is none (yet).

    With `size`, of the log as it was when it had so many entries.
    """
    found = _TILE.fullmatch(path)
    if found is None:
        raise HttpProblem(404, "no-such-path", "A tile is LEVEL/NUMBER, or entries/NUMBER, such as 0/x001/067.p/3.")
    number = int(found["number"].replace("x", "").replace("/", ""))
    width = TILE_WIDTH if found["width"] is None else int(found["width"])
    if not 0 < width <= TILE_WIDTH or (found["width"] is not None and width == TILE_WIDTH):
        raise HttpProblem(404, "no-such-path", "A tile that is not complete has 1 to 255 hashes.")
    level = 0 if found["level"] == "entries" else int(found["level"])
    if size is not None and (number * TILE_WIDTH + width) << TILE_HEIGHT * level > size:
        raise HttpProblem(404, "no-such-tile", "The log has no such tile.")
    if found["level"] == "entries":
        entries = leaves.entries(number * TILE_WIDTH, width)
        if len(entries) < width * LEAF:
            raise HttpProblem(404, "no-such-tile", "The log has not so many entries.")
        length = LEAF.to_bytes(2)
        return b"".join(length + entries[at : at + LEAF] for at in range(0, len(entries), LEAF))
    hashes = leaves.tile(level, number)[: width * _HASH]
    if len(hashes) < width * _HASH:
        raise HttpProblem(404, "no-such-tile", "The log has no such tile.")
    return hashes


def _add(made: Blueprint, rule: str, method: str, view: Callable[..., Response]) -> None:
    made.add_url_rule(rule, endpoint=view.__name__, view_func=view, methods=[method], provide_automatic_options=False)
