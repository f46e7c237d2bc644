# SPDX-License-Identifier: Apache-2.0
"""The Flask application of the API, and the metrics."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from flask import Flask, Request, Response, g, request
from flask.sessions import NullSession, SessionInterface, SessionMixin
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.api.operations import NOUNS
from gateway.rest import openapi, quotas
from gateway.rest.routing import Reply, RequestPipeline, Route

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Prometheus metrics; implements `services.ports.Meter`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stages = Histogram(
            "pedigree_stage_seconds", "Time per stage of a submission", ["stage"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._counts = Counter("pedigree_events", "What happened, by kind", ["what"], registry=self.registry)
        self._requests = Histogram(
            "pedigree_request_seconds", "Time per request", ["operation", "status"],
            buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        # Finding a labelled series takes longer than adding to it; there are few of them.
        self._stage = cache(self._stages.labels)
        self._count = cache(self._counts.labels)
        self._request = cache(self._requests.labels)

    def observe(self, stage: str, seconds: float) -> None:
        self._stage(stage).observe(seconds)

    def count(self, what: str) -> None:
        self._count(what).inc()

    def request(self, operation: str, status: int, seconds: float) -> None:
        """Note one HTTP request."""
        self._request(operation, status).observe(seconds)

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Publish a value that is read whenever somebody asks."""
        Gauge(name, description, registry=self.registry).set_function(read)


class _NoSessions(SessionInterface):
    """Callers prove who they are with every request; nothing is looked for in cookies."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        return self._none

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing is kept."""


def create_app(
    nouns: Mapping[str, Sequence[Route]],
    pipeline: RequestPipeline,
    *,
    metrics: Metrics,
    version: str,
    organisation: str,
    answered: Callable[[Response], Response],
) -> Flask:
    """The API application of one organisation, with one blueprint for each noun.

    Args:
        answered: is shown every answer, and what it returns is sent.
    """
    app = Flask(__name__, static_folder=None)
    app.session_interface = _NoSessions()
    app.url_map.strict_slashes = True
    for noun, routes in nouns.items():
        app.register_blueprint(pipeline.blueprint(noun, routes))
    # When somebody asks, and not at each start: it takes a good part of that.
    described = cache(partial(openapi.document, NOUNS, version=version, organisation=organisation))
    app.add_url_rule("/openapi.json", "openapi", lambda: pipeline.render(Reply(described())), methods=["GET"])
    app.register_error_handler(Exception, pipeline.refuse)

    def begin() -> None:
        g.started = time.perf_counter()
        quotas.charge(pipeline.quotas.address, quotas.network_of(request.remote_addr))

    def end(response: Response) -> Response:
        metrics.request(request.endpoint or "none", response.status_code, time.perf_counter() - g.started)
        return response

    app.before_request(begin)
    app.before_request(pipeline.admit)
    app.after_request(end)
    app.after_request(quotas.told)
    app.after_request(answered)
    return app
