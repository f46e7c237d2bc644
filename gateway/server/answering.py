# SPDX-License-Identifier: Apache-2.0
"""The half of the worker that reads one request of a connection and answers it, in a thread of its own."""

from typing import Any

from gunicorn.http import errors, wsgi
from gunicorn.workers.gthread import ThreadWorker

from gateway.rest.auth import CERTIFICATE
from gateway.server.door import Door
from gateway.server.proxies import Proxies
from gateway.server.tls import SecureSocket
from gateway.server.wire import (
    DEFECT,
    HEAD_INCOMPLETE,
    HEAD_WITHIN,
    Body,
    OneWrite,
    TimedSocket,
    refusal_of,
    send_at_once,
)


class AnsweringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Serves what it is given; when that is, `PatientWorker` decides."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.proxies = Proxies()
        self.door: Door | None = None
        """What connections are secured with; None where they are not."""

    def handle(self, conn: Any) -> bool:
        """Read one request and answer it, or refuse it; whether the connection may be used for another one."""
        timed = None
        conn.silent_until = None
        try:
            conn.sock.setblocking(True)
            conn.init()
            timed = conn.parser.unreader.sock
            if not isinstance(timed, TimedSocket):
                timed = conn.parser.unreader.sock = TimedSocket(conn.sock)
            timed.begin(HEAD_WITHIN)
            req = next(conn.parser)
        except errors.NoMoreData:
            send_at_once(conn.sock, HEAD_INCOMPLETE)
            return False
        except (StopIteration, OSError):
            return False
        except errors.ParseException as exc:
            send_at_once(conn.sock, refusal_of(exc))
            return False
        try:
            return self._answer_request(req, conn, timed)
        except OSError as exc:
            self.log.debug("a client went away: %s", exc)
        except Exception:
            self.log.exception("Error handling request %s", req.uri)
            send_at_once(conn.sock, DEFECT)
        return False

    def _answer_request(self, req: Any, conn: Any, timed: TimedSocket) -> bool:
        body = Body(req, conn.sock, timed)
        response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, response_class=OneWrite)
        response.body = environ["wsgi.input"] = body
        environ["wsgi.multithread"] = True
        environ["REMOTE_ADDR"] = self.proxies.client(environ["REMOTE_ADDR"], environ.get("HTTP_X_FORWARDED_FOR"))
        if isinstance(conn.sock, SecureSocket):
            environ["wsgi.url_scheme"] = "https"
            if conn.sock.certificate is not None:
                if self.door is not None and self.door.has_revoked(conn.sock.certificate):
                    raise ConnectionAbortedError("the client's certificate was revoked")
                environ[CERTIFICATE] = conn.sock.certificate
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            response.force_close()
        try:
            parts = self.wsgi(environ, response.start_response)
            try:
                for part in parts:
                    response.write(part)
                response.close()
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        except OSError:
            raise
        except Exception:
            if not response.begun:
                raise
            self.log.exception("an answer broke off")  # a second one behind its beginning would be read as its rest
            return False
        return not response.should_close()
