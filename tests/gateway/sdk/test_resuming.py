# SPDX-License-Identifier: Apache-2.0
"""What broke off goes on from where it was, and a server that knows no ranges is read from its beginning again."""

import io
from collections.abc import Iterator

import httpx
import pytest

from pedigree.connections import Connections
from pedigree.transport import Transport

CONTENT = bytes(range(256)) * 40


class Breaking(httpx.SyncByteStream):
    """A body that ends before its end."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("the connection ended")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_goes_on_where_it_broke_off(ranges: bool) -> None:
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Range"))
        if len(asked) == 1:
            return httpx.Response(200, stream=Breaking(CONTENT[:1_000]))
        if not ranges:
            return httpx.Response(200, content=CONTENT)
        if len(asked) == 2:
            return httpx.Response(206, stream=Breaking(CONTENT[1_000:3_000]))
        return httpx.Response(206, content=CONTENT[3_000:])

    transport = Transport(Connections("http://owner", "", httpx.MockTransport(answer)), timeout=10)
    file, seen = io.BytesIO(), []
    transport.fetch("/v1/data/x", file, seen.append, resume=True)
    transport.close()
    assert file.getvalue() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert asked == ([None, "bytes=1000-", "bytes=3000-"] if ranges else [None, "bytes=1000-"])
