# SPDX-License-Identifier: Apache-2.0
"""What logs, witnesses and monitors say to one another, as C2SP's specifications have it, below `/v1/log`.

Beside the table of operations, since others wrote the forms: tiles (c2sp.org/tlog-tiles) for anyone who has an API key,
and `add-checkpoint` (c2sp.org/tlog-witness) for any log whose key this gateway's operator trusts. The log's own
signature says who asks there; no API key is needed.
"""

import re
import threading
from collections.abc import Callable

from flask import Blueprint, Response, request

from gateway.rest import auth, bodies
from gateway.rest.problems import HttpProblem
from gateway.rest.replies import Reply
from gateway.rest.routing import RequestPipeline
from gateway.services.logs import TILE_WIDTH, Leaves
from gateway.services.witnessing import NotAtThatSize, Witness
from gateway.tlog.entries import LEAF
from gateway.tlog.submissions import LARGEST

_TILE = re.compile(
    r"(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_HASH = 32
_FOR_GOOD = {"Cache-Control": "private, max-age=31536000, immutable"}
_AT_ONCE = 16
"""Submissions that may be judged at once, from all logs together."""
_LOGS = "logs"


def blueprint(pipeline: RequestPipeline, leaves: Leaves, witness: Witness) -> Blueprint:
    """The routes; `pipeline` knows the API keys, and renders."""
    made = Blueprint("c2sp", __name__)
    room = threading.BoundedSemaphore(_AT_ONCE)

    def tile(path: str) -> Response:
        client = auth.authenticate(pipeline.keys, request.headers.get("Authorization"))
        auth.authorise(client, "reader")
        content = tile_of(leaves, path)
        reply = Reply({}, headers=_FOR_GOOD, pieces=iter((content,)))
        return pipeline.render(reply, "application/octet-stream")

    def add_checkpoint() -> Response:
        content = _body(pipeline)
        if not room.acquire(blocking=False):
            raise HttpProblem(503, "capacity", "Too many checkpoints are being judged.", headers={"Retry-After": "1"})
        try:
            return pipeline.render(Reply({}, pieces=iter((witness.add_checkpoint(content),))), "text/plain")
        except NotAtThatSize as exc:
            size = f"{exc.size}\n".encode()
            return pipeline.render(Reply({}, 409, pieces=iter((size,))), "text/x.tlog.size")
        finally:
            room.release()

    _add(made, "/v1/log/tile/<path:path>", "GET", tile)
    _add(made, "/v1/log/add-checkpoint", "POST", add_checkpoint)
    return made


def _body(pipeline: RequestPipeline) -> bytes:
    """What a log sent; those that send slowly have one client's share of the threads together."""
    pipeline.bodies.take(_LOGS)
    try:
        return bodies.whole(request._get_current_object(), LARGEST)  # type: ignore[attr-defined]
    finally:
        pipeline.bodies.give_back(_LOGS)


def tile_of(leaves: Leaves, path: str) -> bytes:
    """A tile, or a bundle of entries; raises `HttpProblem` where there is none (yet)."""
    found = _TILE.fullmatch(path)
    if found is None:
        raise HttpProblem(404, "no-such-path", "A tile is LEVEL/NUMBER, or entries/NUMBER, such as 0/x001/067.p/3.")
    number = int(found["number"].replace("x", "").replace("/", ""))
    width = TILE_WIDTH if found["width"] is None else int(found["width"])
    if not 0 < width <= TILE_WIDTH or (found["width"] is not None and width == TILE_WIDTH):
        raise HttpProblem(404, "no-such-path", "A tile that is not complete has 1 to 255 hashes.")
    if found["level"] == "entries":
        entries = leaves.entries(number * TILE_WIDTH, width)
        if len(entries) < width * LEAF:
            raise HttpProblem(404, "no-such-tile", "The log has not so many entries.")
        length = LEAF.to_bytes(2)
        return b"".join(length + entries[at : at + LEAF] for at in range(0, len(entries), LEAF))
    hashes = leaves.tile(int(found["level"]), number)[: width * _HASH]
    if len(hashes) < width * _HASH:
        raise HttpProblem(404, "no-such-tile", "The log has no such tile.")
    return hashes


def _add(made: Blueprint, rule: str, method: str, view: Callable[..., Response]) -> None:
    made.add_url_rule(rule, endpoint=view.__name__, view_func=view, methods=[method], provide_automatic_options=False)
