# SPDX-License-Identifier: Apache-2.0
"""Which certificate a server proves itself with."""

import ssl
from pathlib import Path
from socket import create_connection

from cryptography import x509

from network.topology import Endpoint

__all__ = ["presented"]

_ANSWER_S = 5.0


def presented(endpoint: Endpoint, name: str, root: Path, client: Path) -> x509.Certificate:
    """The certificate with which a server proves that it is `name`; raises `OSError` where it proves nothing.

    `client` is the folder of client.crt and client.key, for servers that ask who calls.
    """
    context = ssl.create_default_context(cafile=str(root))
    context.load_cert_chain(client / "client.crt", client / "client.key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        create_connection((endpoint.host, endpoint.port), timeout=_ANSWER_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    if shown is None:
        raise OSError(f"{name} shows no certificate")
    return x509.load_der_x509_certificate(shown)
