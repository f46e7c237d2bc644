# SPDX-License-Identifier: Apache-2.0
"""The data gateway's own routes, below `/v1/data`: for organisations that the ledger allowed, and no API key.

Beside the table of operations, since who comes has no key here: the signed statement says who it is, and after that a
token, which is drawn for one delivery and says nothing (docs/sealing.md, section Delivery).
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Final

from flask import Blueprint, Response, request

from gateway.api.operations import HIGHEST
from gateway.rest import bodies
from gateway.rest.problems import HttpProblem
from gateway.rest.replies import Reply
from gateway.rest.routing import Call, RequestPipeline, View
from gateway.services.deliveries import LARGEST, Deliveries, Part
from gateway.services.fetching import FetchStatements
from gateway.services.ports import Json
from gateway.services.readlistings import ReadListings
from gateway.services.shares import Shares

_RANGE: Final = re.compile(r"bytes=(?P<start>[0-9]{0,15})-(?P<stop>[0-9]{0,15})")
_INDEX: Final = re.compile(r"[0-9]{1,9}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_AT_ONCE: Final = 16
"""Statements that may be judged at once, from all organisations together."""
_READERS: Final = 64
"""Reads at once, of which each organisation has a share; each keeps a thread and two pieces in memory."""
_LISTED: Final = 100
"""Deliveries of one answer."""
_STRANGERS: Final = "recipients"
"""Whose share of the threads those have together who send statements: nobody knows yet who they are."""


def blueprint(pipeline: RequestPipeline, deliveries: Deliveries, listings: ReadListings) -> Blueprint:
    """The routes; `pipeline` renders."""
    made = Blueprint("data", __name__)
    room = threading.BoundedSemaphore(_AT_ONCE)
    readers = Shares(_READERS, "reads of data at once")

    def judged(judge: Callable[[bytes], Json]) -> Response:
        content = _body(pipeline)
        if not room.acquire(blocking=False):
            raise HttpProblem(503, "capacity", "Too many statements are being judged.", headers={"Retry-After": "1"})
        try:
            return pipeline.render(Reply(judge(content)))
        finally:
            room.release()

    def begin_delivery() -> Response:
        return judged(deliveries.begin)

    def list_reads() -> Response:
        first = _first()
        return judged(lambda content: listings.batch(content, first))

    def streamed(token: str, ask: Callable[[], Part | Iterator[bytes]]) -> Response:
        share = f"recipient {deliveries.recipient(token)}"
        with ExitStack() as taken:
            for of in (readers, pipeline.bodies):
                of.take(share)
                taken.callback(of.give_back, share)
            response = _response(pipeline, ask())
            response.call_on_close(taken.pop_all().close)
        return response

    def read_delivery(token: str) -> Response:
        _refuse_no_token(token)
        start, stop = _asked(request.headers.get("Range"))
        return streamed(token, lambda: deliveries.read(token, start, stop))

    def read_bundle(token: str) -> Response:
        _refuse_no_token(token)
        return streamed(token, lambda: deliveries.bundle(token))

    _add(made, "/v1/data", "POST", begin_delivery)
    _add(made, "/v1/data/reads", "POST", list_reads)
    _add(made, "/v1/data/<token>", "GET", read_delivery)
    _add(made, "/v1/data/<token>/bundle", "GET", read_bundle)
    return made


def _refuse_no_token(token: str) -> None:
    if _TOKEN.fullmatch(token) is None:
        raise HttpProblem(404, "no-such-path", "A delivery is named by its token.")


def _first() -> int:
    """The entry from which on a list of reads is asked for."""
    first = request.args.get("first", "0")
    if _INDEX.fullmatch(first) is None:
        raise HttpProblem(400, "invalid-parameter", "first is the index of an entry.", parameter="first")
    return int(first)


def views(deliveries: Deliveries, statements: FetchStatements) -> Mapping[str, View]:
    """The operations that are in the table, by name."""

    def sign(call: Call) -> Reply:
        return Reply(statements.sign(call.path["attempt"], call.query.get("recipient_key", "")))

    def listed(call: Call) -> Reply:
        return Reply(deliveries.listed(before=call.number("before", HIGHEST), limit=_LISTED))

    return {"signFetch": sign, "listDeliveries": listed}


def _response(pipeline: RequestPipeline, found: Part | Iterator[bytes]) -> Response:
    """Bytes in pieces; they keep a thread for as long as the recipient takes to read them."""
    reply = _partial(found) if isinstance(found, Part) else Reply({}, pieces=found)
    return pipeline.render(reply, "application/octet-stream")


def _partial(part: Part) -> Reply:
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(part.stop - part.start)}
    if (part.start, part.stop) == (0, part.total):
        return Reply({}, headers=headers, pieces=part.pieces)
    if part.start >= part.stop:
        raise HttpProblem(
            416,
            "range-not-satisfiable",
            f"It has {part.total} bytes.",
            headers={"Content-Range": f"bytes */{part.total}"},
        )
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{part.total}"
    return Reply({}, 206, headers, part.pieces)


def _asked(header: str | None) -> tuple[int | None, int | None]:
    """The first byte and the one after the last that are asked for (RFC 9110, section 14.1.2), one range of them.

    A first byte of None counts the second number from the end. Anything else than one range asks for the whole.
    """
    found = None if header is None else _RANGE.fullmatch(header)
    if found is None or found["start"] == found["stop"] == "":
        return 0, None
    if found["start"] == "":
        return None, int(found["stop"])
    return int(found["start"]), int(found["stop"]) + 1 if found["stop"] else None


def _body(pipeline: RequestPipeline) -> bytes:
    """What a recipient sent; those that send slowly have one client's share of the threads together."""
    pipeline.bodies.take(_STRANGERS)
    try:
        return bodies.whole(request._get_current_object(), LARGEST)  # type: ignore[attr-defined]
    finally:
        pipeline.bodies.give_back(_STRANGERS)


def _add(made: Blueprint, rule: str, method: str, view: Callable[..., Response]) -> None:
    made.add_url_rule(rule, endpoint=view.__name__, view_func=view, methods=[method], provide_automatic_options=False)
