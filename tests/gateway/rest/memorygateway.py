# SPDX-License-Identifier: Apache-2.0
"""A program: a gateway over a ledger in memory behind the real server, for tests that speak to its sockets.

It takes one JSON object of options and prints one with its ports, its process and the keys of its roles.
"""

import json
import logging
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import conftest  # beside this file, which is a program

from gateway.server import oidc, wire
from gateway.server.options import Options
from gateway.server.service import Service
from gateway.server.serving import GatewayServer
from gateway.server.settings import NetworkFile, Organisation, Settings


def main(options: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    wire.BODY_WITHIN = options.get("body_within", wire.BODY_WITHIN)
    folder = Path(options["folder"])
    nowhere = Path("nowhere")
    member = Organisation("lab", "LabMSP", "lab.example", (), nowhere, nowhere, nowhere)
    settings = Settings(
        NetworkFile("pedigree", "pedigree", (member,), "OrdererMSP", nowhere, "0" * 64),
        member,
        folder,
        port=0,
        health_port=0,
        options=Options(
            in_flight=int(options.get("in_flight", 8)),
            connections_per_address=int(options.get("connections_per_address", 512)),
            **door_of(options),
        ),
    )
    keys: dict[str, str] = {}

    def make(settings: Settings) -> Service:
        service, made, _ = conftest.make_service(
            folder, in_flight=settings.options.in_flight, open_tokens=partial(oidc.open_tokens, settings.options)
        )
        keys.update(made)
        return service

    def announce(api: str, health: str) -> None:
        ports = {name: int(url.rpartition(":")[2]) for name, url in (("port", api), ("health", health))}
        print(json.dumps({**ports, "pid": os.getpid(), "keys": keys}), flush=True)

    GatewayServer(settings, socket.create_server(("127.0.0.1", 0)), announce, make=make).run()


def door_of(options: dict[str, Any]) -> dict[str, Any]:
    """How callers come in, as `pedigree serve` takes it."""
    paths = {
        name: Path(options[name])
        for name in ("tls_certificate", "tls_key", "client_ca", "client_crl")
        if name in options
    }
    paths |= {"oidc_claims": Path(options["oidc_claims"])} if "oidc_claims" in options else {}
    texts = {name: options[name] for name in ("oidc_issuer", "oidc_audience") if name in options}
    return {**paths, **texts, "trusted_proxies": tuple(options.get("trusted_proxies", ()))}


if __name__ == "__main__":
    main(json.loads(sys.argv.pop()))
