# SPDX-License-Identifier: Apache-2.0
"""A program: an issuer of access tokens, with metadata, a key set and client credentials, for tests of a gateway.

It prints its port. A test asks it for what a real issuer does by itself: `POST /rotate` publishes another key and signs
with it, `/withdraw` takes the former ones out, `/fail` and `/mend` make its key set unreachable and back.
`POST /token` takes JSON: `claims` and `header` that replace the usual ones.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

KINDS = {"ES256": lambda: ECKey.generate_key("P-256"), "RS256": lambda: RSAKey.generate_key(2048),
         "Ed25519": lambda: OKPKey.generate_key("Ed25519")}  # fmt: skip


class Issuer(ThreadingHTTPServer):
    """Keys, and how many times they were asked for."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.algorithm = algorithm
        self.keys: list[tuple[str, Any]] = []
        self.failing = False
        self.asked = 0
        self.lock = threading.Lock()
        self.rotate()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def rotate(self) -> None:
        self.keys.append((f"key-{len(self.keys)}-{time.time_ns()}", KINDS[self.algorithm]()))

    def key_set(self) -> dict[str, Any]:
        return {"keys": [{**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in self.keys]}

    def token(self, asked: dict[str, Any]) -> str:
        kid, key = self.keys[-1]
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": "pedigree", "sub": "app", "iat": now, "exp": now + 300,
            "roles": ["pedigree-recorder"], **asked.get("claims", {}),
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": kid, "typ": "at+jwt", **asked.get("header", {})}
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(header, claims, key, algorithms=[self.algorithm])


class Asked(BaseHTTPRequestHandler):
    """Answers."""

    server: Issuer

    def do_GET(self) -> None:
        if self.path == "/.well-known/openid-configuration":
            return self.answer({"issuer": self.server.url, "jwks_uri": f"{self.server.url}/keys"})
        if self.path == "/keys":
            self.server.asked += 1
            return self.answer(self.server.key_set()) if not self.server.failing else self.answer({}, 503)
        return self.answer({"asked": self.server.asked} if self.path == "/asked" else {}, 200)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with self.server.lock:
            match self.path:
                case "/rotate":
                    self.server.rotate()
                case "/withdraw":
                    del self.server.keys[:-1]
                case "/fail" | "/mend":
                    self.server.failing = self.path == "/fail"
                case "/token":
                    return self.answer({"access_token": self.server.token(json.loads(content or b"{}"))})
        return self.answer({})

    def answer(self, body: Any, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    issuer = Issuer(sys.argv[1])
    print(issuer.server_address[1], flush=True)
    issuer.serve_forever()
