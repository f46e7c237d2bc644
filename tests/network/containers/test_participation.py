# SPDX-License-Identifier: Apache-2.0
"""The channel participation API is asked over mutual TLS; a small server stands in for an orderer."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from network.containers.errors import ContainersError
from network.containers.participation import Participation
from network.material import Material
from network.topology import Endpoint


class Orderer:
    """An orderer's administration endpoint that knows some channels."""

    def __init__(self, material: Material) -> None:
        self.channels: dict[str, bytes] = {}
        orderer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                known = name in orderer.channels
                self.answer(200 if known else 404, {"name": name} if known else {"error": "channel does not exist"})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                border = self.headers["Content-Type"].partition("boundary=")[2].encode()
                head, _, content = body.partition(b"\r\n\r\n")
                assert b'name="config-block"' in head
                block = content.removesuffix(b"\r\n--" + border + b"--\r\n")
                if block == b"bad":
                    self.answer(400, {"error": "invalid join block"})
                else:
                    orderer.channels["pedigree"] = block
                    self.answer(201, {"name": "pedigree"})

            def answer(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls = material.orderer("orderer.example") / "tls"
        context.load_cert_chain(tls / "server.crt", tls / "server.key")
        context.load_verify_locations(tls / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused clients are expected


@pytest.fixture
def orderer(shared_material: Material) -> Iterator[Orderer]:
    made = Orderer(shared_material)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def participation(orderer: Orderer, material: Material, client: str = "orderer.example") -> Participation:
    at = Endpoint("127.0.0.1", orderer.server.server_address[1])
    root = material.orderer_tls_ca("orderer.example")
    tls = (material.orderer_user(client) if client == "orderer.example" else material.user(client, "Admin")) / "tls"
    return Participation("orderer1.orderer.example", at, root, tls)


def test_an_orderer_joins_with_the_very_block_that_was_given(orderer: Orderer, shared_material: Material) -> None:
    admin = participation(orderer, shared_material)
    assert not admin.takes_part("pedigree")
    admin.join("pedigree", b"\r\n--\x00block\r\n")
    assert admin.takes_part("pedigree")
    assert orderer.channels == {"pedigree": b"\r\n--\x00block\r\n"}


def test_a_refusal_carries_the_orderers_reason(orderer: Orderer, shared_material: Material) -> None:
    with pytest.raises(ContainersError, match=r"orderer1\.orderer\.example does not join channel pedigree: invalid"):
        participation(orderer, shared_material).join("pedigree", b"bad")


def test_another_organisations_administrator_is_not_let_in(orderer: Orderer, shared_material: Material) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        participation(orderer, shared_material, "lab.example").takes_part("pedigree")
