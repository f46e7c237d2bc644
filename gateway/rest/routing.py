# SPDX-License-Identifier: Apache-2.0
"""What every request passes before its view: who calls, whether they may, what they ask for and send.

A route is a row of `gateway/api/operations.py` and the view that answers it.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import BinaryIO

from flask import Blueprint, Request, Response, g, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from chaincode.domain import canonical
from chaincode.domain.errors import InvalidField, LedgerError
from chaincode.domain.values import OrgId
from gateway.api.permissions import PERMISSIONS, Credential
from gateway.api.rows import PAGE_LIMIT, PAGING, Operation
from gateway.rest import auth, bodies, problems, quotas, tags
from gateway.rest.bodies import Spool
from gateway.rest.problems import HttpProblem
from gateway.rest.replies import Reply as Reply
from gateway.services.callers import Caller, Callers
from gateway.services.catalogue import Catalogue
from gateway.services.commits import Commits
from gateway.services.pieces import fault_of_id
from gateway.services.ports import Json, PortError, Recorded
from gateway.services.quotas import Quotas
from gateway.services.reading import READ_MODEL
from gateway.services.shares import Shares
from gateway.services.spooled import SpooledFile
from gateway.services.submitter import Answer, Intent

_LOG = logging.getLogger(__name__)
KEY = re.compile(r"[\x21-\x7e]{1,200}")
"""An idempotency key."""
_HEIGHT = re.compile(r"[0-9]{1,15}")
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_PAGING = frozenset(parameter.name for parameter in PAGING)
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Body = Json | BinaryIO | None


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed request, without anything of HTTP's that a view does not need."""

    client: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Body
    """A JSON object, or an upload: a file to be read from its beginning, closed once the view has returned."""
    media_type: str
    intent: Intent | None
    within: frozenset[str] | None = None
    """The owners whose records the client's lists are of; `None` where they are of everybody's."""

    @property
    def json(self) -> Json:
        """The body of a route that takes a JSON object."""
        if not isinstance(self.body, dict):
            raise HttpProblem(415, "unsupported-media-type", "This route takes application/json.")
        return self.body

    @property
    def upload(self) -> BinaryIO | None:
        """The body where it is neither JSON nor missing."""
        return None if isinstance(self.body, dict) else self.body

    @property
    def recording(self) -> Intent:
        """The submission that this request asks for; only routes that record have one."""
        if self.intent is None:
            raise RuntimeError("a route that does not record asked for its intent")
        return self.intent

    @property
    def source(self) -> str:
        """Where a single record is to be read from."""
        return self.query.get("from", READ_MODEL)

    @property
    def limit(self) -> int:
        """Page size asked for, 1 to 100; 50 when nothing is asked."""
        return self.number("limit", PAGE_LIMIT) or 50

    @property
    def filters(self) -> Mapping[str, str]:
        """The query's parameters, but for those of paging."""
        return {name: value for name, value in self.query.items() if name not in _PAGING}

    def number(self, name: str, most: int) -> int | None:
        """A whole number from 1 to `most` out of the query; `None` where it is not asked."""
        text = self.query.get(name)
        if text is None:
            return None
        digits = text.lstrip("0") if text.isascii() and text.isdecimal() else ""
        # By their count first: what a stranger sends may have more digits than Python makes a number of.
        if not 1 <= len(digits) <= len(str(most)) or int(digits) > most:
            raise HttpProblem(400, "invalid-parameter", f"{name} is a number from 1 to {most}", parameter=name)
        return int(digits)


View = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, and what answers it."""

    operation: Operation
    view: View


@dataclass(frozen=True, slots=True)
class RequestPipeline:
    """What a request passes between HTTP and its view."""

    callers: Callers
    commits: Commits
    wait: float
    """Seconds that a request may wait for the height it asks for."""
    spool: Spool
    """Where uploads are kept while they are read."""
    bodies: Shares
    """How many bodies may be read, and files sent, at once: a client that is slow about them keeps as many threads."""
    members: Callable[[], Collection[str]] = tuple
    """MSP ids of the channel's members; none where they are not known."""
    quotas: Quotas = field(default_factory=Quotas.of)
    owner_of: auth.OwnerOf = lambda _: None
    """Whose the record of a reference is; see `auth.OwnerOf`."""

    def admit(self) -> None:
        """Let any request in, as the table of permissions says, or refuse it; a path that is none is answered so."""
        if request.url_rule is None:
            return
        row = PERMISSIONS.get(request.url_rule.endpoint.rpartition(".")[2])
        if row is None:
            raise HttpProblem(403, "no-permission", "The table of permissions says nothing of this route.")
        if row.credential is Credential.CLIENT:
            client = g.client = auth.authenticate(self.callers, request)
            quotas.charge(self.quotas.client, client.id, client.rate)
            auth.authorise_request(client, row, request.view_args or {}, self._owner_of)

    def _owner_of(self, reference: str) -> str | None:
        """Whose a record is, which the client may have written a moment ago."""
        self._wait_for_height(request)
        return self.owner_of(reference)

    def blueprint(self, noun: str, routes: Iterable[Route]) -> Blueprint:
        """The Flask blueprint of one noun."""
        blueprint = Blueprint(noun, __name__)
        for route in routes:
            blueprint.add_url_rule(
                _PARAMETER.sub(r"<\1>", route.operation.path),
                endpoint=route.operation.name,
                view_func=self._endpoint(route),
                methods=[route.operation.method],
                provide_automatic_options=False,
            )
        return blueprint

    def _endpoint(self, route: Route) -> Callable[..., Response]:
        def endpoint(**path: str) -> Response:
            # Not the proxy: it would look the request up again for each of its attributes.
            incoming = request._get_current_object()  # type: ignore[attr-defined]
            return self._serve(route, incoming, path)

        return endpoint

    def _serve(self, route: Route, incoming: Request, path: Mapping[str, str]) -> Response:
        """Judge the head, then read the body: a request that its head disqualifies need not be sent to its end."""
        client: Caller = g.client  # `admit` let it in
        if not route.operation.tagged:
            tags.refuse_conditions(incoming)
        query = _query(route.operation, incoming)
        media_type = _media_type(route.operation, incoming)
        intent = _intent(incoming, client, self.members()) if route.operation.keyed else None
        self._wait_for_height(incoming)
        if intent is None:
            received = self._receive(route, incoming, client, media_type, _forget)
        else:
            digest = _begin_digest(incoming, media_type, intent.organisations)
            received = g.received = self._receive(route, incoming, client, media_type, digest.update)
            intent = replace(intent, digest=digest.hexdigest())
        try:
            within = client.owners if route.operation.narrowed == "list" else None
            return self._view(route, Call(client, path, query, received, media_type, intent, within), incoming)
        finally:
            if isinstance(received, SpooledFile):
                received.close()

    def _view(self, route: Route, call: Call, incoming: Request) -> Response:
        """Answer a call; one that is answered in pieces keeps a thread for as long as the client takes to read them."""
        if route.operation.tagged:
            return self.render(tags.conditioned(route.view(call), incoming))
        if route.operation.answer.form != "file":
            return self.render(route.view(call))
        self.bodies.take(call.client.id)
        try:
            response = self.render(route.view(call), route.operation.answer.media_type)
        except BaseException:
            self.bodies.give_back(call.client.id)
            raise
        response.call_on_close(lambda: self.bodies.give_back(call.client.id))
        return response

    def _receive(
        self, route: Route, incoming: Request, client: Caller, media_type: str, note: Callable[[bytes], None]
    ) -> Json | SpooledFile | None:
        """Read the body that a route takes, and note what tells it from another one."""
        if not media_type:
            return None
        self.bodies.take(client.id)
        try:
            if media_type not in route.operation.uploads:
                return _json(route.operation, incoming, note)
            spooled = self.spool.receive(client.id, bodies.pieces(incoming, self.spool.limit), note)
        finally:
            self.bodies.give_back(client.id)
        if spooled.size or not route.operation.optional_body:
            return spooled
        spooled.close()
        return None

    def _wait_for_height(self, incoming: Request) -> None:
        asked = incoming.headers.get("Min-Ledger-Height")
        if asked is None:
            return
        if _HEIGHT.fullmatch(asked) is None:
            raise HttpProblem(400, "invalid-header", "Min-Ledger-Height is a whole number.", header="Min-Ledger-Height")
        self.commits.wait_for_height(int(asked), self.wait)

    def render(self, reply: Reply, media_type: str = "application/json") -> Response:
        """The HTTP response: canonical JSON or a file, the ledger height it reflects, and the reply's own headers."""
        if reply.status >= HTTPStatus.BAD_REQUEST:
            g.code = reply.body.get("code")
        headers = {
            "Content-Type": media_type,
            "Ledger-Height": str(self.commits.height),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            **reply.headers,
        }
        if reply.status == HTTPStatus.NOT_MODIFIED:
            del headers["Content-Type"]
        body = _JSON.encode(reply.body) if reply.pieces is None else reply.pieces
        return Response(body, reply.status, Headers(list(headers.items())))

    def refuse(self, error: Exception) -> Response:
        """The one error shape, whatever went wrong; what is not a refusal of ours is logged and answered with 500."""
        headers = problems.headers_for(error)
        if isinstance(error, LedgerError | PortError):
            answer = problems.response_for(error)
        elif isinstance(error, HttpProblem):
            answer = problems.for_http(error)
        elif isinstance(error, HTTPException):
            answer = problems.for_http(_werkzeug(error))
            headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        else:
            _LOG.exception("request failed", exc_info=error)
            answer = problems.for_http(HttpProblem(500, "internal", "The gateway failed; its operator finds why."))
        return self.render(replace(answer, headers=headers), "application/problem+json")


def recorded(answer: Answer) -> Reply:
    """Render the outcome of a submission: the record, or where to look while it is pending."""
    headers: dict[str, str] = {}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    if answer.ending is None:
        headers["Location"] = f"/v1/operations/{answer.submission_id}"
        headers["Retry-After"] = "1"
        return Reply({"operation": answer.submission_id}, 202, headers)
    if isinstance(answer.ending, Recorded):
        headers["Min-Ledger-Height"] = str(answer.ending.height)
    else:
        headers["Content-Type"] = "application/problem+json"
    return replace(problems.reply_for(answer.ending), headers=headers)


def paged(call: Call, catalogue: Catalogue, kind: str, **where: str) -> Reply:
    """A page of records of a kind; query parameters other than those of paging are filters."""
    cursor = call.query.get("cursor")
    page = catalogue.page(kind, where, cursor=cursor, limit=call.limit, filters=call.filters, within=call.within)
    return Reply(page)


def record_id(call: Call) -> str:
    """The id of a record in the query: in a path, servers would take some ids apart."""
    found = call.query.get("id", "")
    if (fault := fault_of_id(found)) is not None:
        detail = f"id is the id of a record; {fault}."
        raise HttpProblem(400, "invalid-parameter", detail, parameter="id")
    return found


def version_number(call: Call) -> int:
    """The version number in the path."""
    text = call.path["number"]
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise HttpProblem(404, "no-such-path", "A version is a whole number from 1.")
    return int(text)


def _organisations(header: str, members: Collection[str]) -> tuple[str, ...]:
    """MSP ids in the order in which they do not depend on how they were sent.

    Args:
        members: of the channel; empty where they are not known.
    """
    names = sorted({name.strip() for name in header.split(",")}) if header else []
    for name in names:
        reason = _why_no_organisation(name)
        if reason is None and members and name not in members:
            reason = f"it must be a member of the channel: {', '.join(sorted(members))}"
        if reason is not None:
            shown = f"Endorsing-Organisations names {name[:80]!r}: {reason}."
            raise HttpProblem(400, "invalid-header", shown, header="Endorsing-Organisations")
    return tuple(names)


def _why_no_organisation(name: str) -> str | None:
    try:
        OrgId(name)
    except InvalidField as exc:
        return exc.reason
    return None


def _query(operation: Operation, incoming: Request) -> Mapping[str, str]:
    known = {parameter.name for parameter in operation.taken} if incoming.args else ()
    for name in incoming.args:
        if name not in known:
            raise HttpProblem(400, "unknown-parameter", f"{name[:60]} is not a parameter here.", parameter=name[:60])
        if len(incoming.args.getlist(name)) > 1:
            raise HttpProblem(400, "repeated-parameter", f"{name} is given more than once.", parameter=name)
    return incoming.args


def _intent(incoming: Request, client: Caller, members: Collection[str]) -> Intent:
    """What a request that records asks for, as far as its head says; the digest of what it sends is still missing."""
    key = incoming.headers.get("Idempotency-Key", "")
    if KEY.fullmatch(key) is None:
        raise HttpProblem(
            400, "idempotency-key-missing", "POST needs an Idempotency-Key of 1 to 200 visible ASCII characters."
        )
    organisations = _organisations(incoming.headers.get("Endorsing-Organisations", ""), members)
    respond_async = "respond-async" in incoming.headers.get("Prefer", "")
    return Intent(client.id, key, "", respond_async, organisations)


def _media_type(operation: Operation, incoming: Request) -> str:
    """The media type of the body; empty where there is none. Raises `HttpProblem` for what the route does not take."""
    taken = operation.media_types
    if not bodies.announced(incoming) and (not taken or operation.optional_body):
        return ""
    if not taken:
        raise HttpProblem(400, "unexpected-body", "This route takes no body.")
    if incoming.headers.get("Content-Encoding", "identity") != "identity":
        raise HttpProblem(415, "unsupported-encoding", "Bodies are taken as they are, not compressed.")
    if incoming.mimetype not in taken:
        raise HttpProblem(415, "unsupported-media-type", f"The body must be {', '.join(taken)}.")
    return incoming.mimetype


def _begin_digest(incoming: Request, media_type: str, organisations: tuple[str, ...]) -> "hashlib._Hash":
    """A hash that recognises the same request again, over all of it but the body, which follows."""
    head = [incoming.method, incoming.path, incoming.query_string.decode("latin-1"), media_type, *organisations]
    return hashlib.sha256(_JSON.encode(head).encode("utf-8", "surrogatepass"))


def _forget(_content: bytes) -> None:
    """Note nothing of a body: what records nothing is not recognised again."""


def _json(operation: Operation, incoming: Request, note: Callable[[bytes], None]) -> Json | None:
    content = bodies.whole(incoming, canonical.MAX_BYTES)
    if not content and operation.optional_body:
        return None
    value = canonical.parse(content)
    if not isinstance(value, dict):
        raise HttpProblem(400, "invalid-body", "The body must be a JSON object.")
    note(canonical.encode(value))
    return value


def _werkzeug(error: HTTPException) -> HttpProblem:
    code = error.code or 500
    names = {400: "bad-request", 404: "no-such-path", 405: "method-not-allowed", 408: "request-timeout",
             411: "length-required", 414: "uri-too-long", 431: "headers-too-large"}  # fmt: skip
    return HttpProblem(code, names.get(code, f"http-{code}"), error.name)
