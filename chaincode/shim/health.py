# SPDX-License-Identifier: Apache-2.0
"""A small HTTP endpoint on a port of its own, so that an orchestrator can ask without speaking gRPC."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chaincode.shim.errors import SettingsError

_SLOWEST_CLIENT = 5.0


class HealthEndpoint:
    """Answers `/healthz` (the process lives) and `/readyz` (it takes transactions) with 200 or 503 and JSON.

    `status` gives the facts to show; `ready` among them decides about `/readyz`.
    """

    def __init__(self, address: str, status: Callable[[], dict[str, Any]]) -> None:
        host, _, port = address.rpartition(":")
        try:
            self._server = ThreadingHTTPServer((host, int(port)), _handler(status))
        except OSError as error:
            raise SettingsError(f"the health endpoint cannot listen on {address}") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, with the port that the system chose."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(status: Callable[[], dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SLOWEST_CLIENT
        server_version = "chaincode"
        sys_version = ""

        def do_GET(self) -> None:
            facts = status()
            answers = {"/healthz": 200, "/readyz": 200 if facts["ready"] else 503}
            body = json.dumps(facts).encode()
            self.send_response(answers.get(self.path, 404))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
            """Probes come every few seconds; they are not worth a line."""

    return Handler
