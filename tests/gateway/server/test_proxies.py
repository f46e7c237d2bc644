# SPDX-License-Identifier: Apache-2.0
"""Whose word is taken for where a request comes from."""

from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from gateway.server.proxies import Proxies

NAMED = Proxies.of(["10.0.0.0/28", "fd00::7"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the client wrote the first one itself
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::7", "::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nobody", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "," * 5000, "10.0.0.1"),
        ("10.0.0.99", "203.0.113.9", "10.0.0.99"),
        ("198.51.100.1", "127.0.0.1", "198.51.100.1"),
    ],
)
def test_a_named_proxy_is_believed_and_nobody_else(peer: str, forwarded: str | None, client: str) -> None:
    assert NAMED.client(peer, forwarded) == client
    assert Proxies().client(peer, forwarded) == peer


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "0.0.0.0/0", "::/0", "", "10.0.0.1/33"])
def test_what_names_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is neither an address nor a network|is every address"):
        Proxies.of([text])


def test_a_named_proxy_may_have_the_connections_of_all_its_clients(start_memory_gateway: Callable[..., Any]) -> None:
    def kept(gateway: Any) -> int:
        held = [HTTPConnection("127.0.0.1", gateway.port, timeout=30) for _ in range(20)]
        answered = 0
        for each in held:
            each.request("GET", "/v1/nothing")
            each.getresponse().read()
        for each in held:
            with closing(each):
                try:
                    each.request("GET", "/v1/nothing")
                    answered += each.getresponse().status == 404
                except OSError:
                    continue
        return answered

    assert kept(start_memory_gateway(connections_per_address=5, trusted_proxies=["127.0.0.1"])) == 20
