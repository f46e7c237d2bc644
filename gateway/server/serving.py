# SPDX-License-Identifier: Apache-2.0
"""One organisation's gateway as a process: gunicorn with one threaded worker, and the health server beside it.

Everything that holds a socket, a file or a thread is built in the worker, after the fork: gRPC channels do not
survive one.
"""

import gc
import ipaddress
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from gateway.printable import plain
from gateway.server.door import Door, DoorFiles
from gateway.server.health import HealthServer
from gateway.server.proxies import Proxies
from gateway.server.service import Service
from gateway.server.settings import Settings, SettingsError
from gateway.server.wiring import build
from gateway.server.worker import PatientWorker

_LOG = logging.getLogger(__name__)
_GRACE = 30
_BACKLOG = 1024
_CONNECTIONS = 4096
_FILES_BESIDE_CONNECTIONS = 1024
_GARBAGE = (20_000, 20, 20)
"""Objects made, and rounds of the younger generation, before each generation is searched for cycles."""


class GatewayServer(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """Runs a gateway until it is stopped by SIGTERM or SIGINT."""

    def __init__(
        self,
        settings: Settings,
        health: socket.socket,
        announce: Callable[[str, str], None],
        *,
        make: Callable[[Settings], Service] = build,
        files: int | None = None,
    ) -> None:
        """Assign.

        Args:
            health: listens where health and metrics are asked for.
            announce: called in the worker with the addresses of the API and of the health server, once both answer.
            make: builds the gateway, in the worker.
            files: how many files this process may have open; `None` where that does not limit connections.
        """
        self._make = make
        self._connections = _affordable(max(_CONNECTIONS, 4 * settings.threads), files)
        self._settings = settings
        self._files = DoorFiles.of(settings.options)
        self._health_socket = health
        self._announce = announce
        self._service: Service | None = None
        self._health: HealthServer | None = None
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options; command line and environment have no say."""
        options: dict[str, Any] = {
            "bind": [f"{_bracketed(self._settings.options.host)}:{self._settings.port}"],
            "workers": 1,
            "worker_class": PatientWorker,
            "threads": self._settings.threads,
            # Threads wait for commits on purpose; the worker's main loop still shows that it lives.
            "timeout": 120,
            "graceful_timeout": _GRACE,
            "keepalive": 75,
            "backlog": _BACKLOG,
            "worker_connections": self._connections,
            # Nothing in front of the gateway may say where its application is mounted, or which scheme was used.
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            "loglevel": "warning",
            "proc_name": f"pedigree-{self._settings.organisation.name}",
            "post_worker_init": self._ready,
            "worker_exit": self._stop,
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Build the gateway in the worker."""
        self._service = self._make(self._settings)
        self._service.start()
        _collect_seldom()
        return self._service.api

    def hurry(self) -> None:
        """Answer requests that wait for their commits now; the worker calls it when it is stopping."""
        if self._service is not None:
            self._service.hurry()

    def _ready(self, worker: Any) -> None:
        service = self._service
        if service is None:
            raise RuntimeError("the worker was initialised without an application")
        worker.crowd.limit = self._settings.options.connections_per_address
        worker.proxies = Proxies.of(self._settings.options.trusted_proxies)
        if self._files is not None:
            worker.door = door = Door(self._files)
            service.health.gauge(
                "pedigree_tls_end_timestamp_seconds",
                "When the certificate ends that clients are shown",
                lambda: door.ends,
            )
        self._health = HealthServer(self._health_socket, service.health)
        self._health.start()
        host = _bracketed(self._settings.options.host)
        listener: socket.socket = worker.sockets[0]
        scheme = "http" if self._files is None else "https"
        self._announce(
            f"{scheme}://{host}:{listener.getsockname()[1]}", f"http://{host}:{self._health_socket.getsockname()[1]}"
        )

    def _stop(self, _arbiter: Any, _worker: Any) -> None:
        if self._health is not None:
            self._health.stop()
        if self._service is not None:
            self._service.stop()


class PrintableFormatter(logging.Formatter):
    """Shows what does not print as an escape, tracebacks' texts too: some of what is logged was written by others."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


def serve(settings: Settings, announce: Callable[[str, str], None]) -> None:
    """Serve until stopped; returns never (gunicorn ends the process). Raises `SettingsError`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=os.environ.get("PEDIGREE_LOG", "INFO").upper(), handlers=[handler])
    if warning := in_the_clear(settings):
        _LOG.warning(warning)
    files = _allow_files(max(_CONNECTIONS, 4 * settings.threads) + _FILES_BESIDE_CONNECTIONS)
    GatewayServer(settings, _listen(settings.options.host, settings.health_port), announce, files=files).run()


def in_the_clear(settings: Settings) -> str | None:
    """What is to be said of a door where keys and data travel in plain HTTP for everybody on the way to read."""
    options = settings.options
    if options.tls_certificate is not None or options.behind_proxy or _is_loopback(options.host):
        return None
    return (
        f"PLAIN HTTP ON {_bracketed(options.host)}: keys and data can be read and changed on their way. Give "
        "--tls-certificate and --tls-key, or say --behind-proxy where a proxy with TLS is in front"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """Bound before the worker is forked: a worker that cannot listen would be started again for ever."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as exc:
        raise SettingsError(f"health cannot be served on {_bracketed(host)}:{port}: {exc.strerror}") from None


def _allow_files(wanted: int) -> int | None:
    """Raise this process's limit of open files as far as its hard limit allows; the limit, or `None`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    allowed = wanted if hard == unlimited else min(wanted, hard)
    if soft != unlimited and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if allowed < wanted:
        _LOG.warning("at most %d files may be open here; %d would be needed for every connection", allowed, wanted)
    return None if soft == unlimited else soft


def _affordable(connections: int, files: int | None) -> int:
    """How many connections are kept: stores and peers need files as well, and fail without."""
    if files is None:
        return connections
    return min(connections, max(files - _FILES_BESIDE_CONNECTIONS, files // 2))


def _collect_seldom() -> None:
    """Leave what was built for good out of the search for garbage, and search less often.

    A request makes hundreds of objects and hardly a cycle; looking for cycles took a tenth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
