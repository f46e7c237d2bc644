# SPDX-License-Identifier: Apache-2.0
"""What an owner's gateway sends is read within bounds, goes on where it broke off, and is believed in nothing."""

import base64
import io
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pedigree import owners
from pedigree.errors import Disagreement, PedigreeError, Refused, Unreachable
from pedigree.owners import LARGEST_ANSWER, Offer, OwnerGateway

SEALED = bytes(range(256)) * 40
SIZE = len(SEALED) - 80 - 16
ATTEMPT = {"attempt": "a1" * 32, "grant": "wdbc-lab", "artifact": "dataset-version:wdbc:1"}
SAID = {
    **ATTEMPT, "delivery": "t" * 43, "channel": "main", "root": "b2" * 32, "blob": "c3" * 32, "size": SIZE,
    "sealed_size": len(SEALED), "digest": "d4" * 32, "media_type": "text/csv", "key": base64.b64encode(b"k").decode(),
    "until": 0,
}  # fmt: skip
OFFER = Offer.of(SAID, ATTEMPT)
Answer = Callable[[httpx.Request], httpx.Response]


class Breaking(httpx.SyncByteStream):
    """A body that ends before its end."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("the connection ended")


class Endless(httpx.SyncByteStream):
    """A body that never ends; how much of it was read."""

    read = 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in itertools.count():
            self.read += 1_000
            yield b"x" * 1_000


def owner(answer: Answer, patience: float = 2.0) -> OwnerGateway:
    return OwnerGateway("http://owner", httpx.MockTransport(answer), patience=patience)


def partial(start: int, content: bytes | httpx.SyncByteStream, total: int = len(SEALED)) -> httpx.Response:
    stream = {"content": content} if isinstance(content, bytes) else {"stream": content}
    return httpx.Response(206, headers={"Content-Range": f"bytes {start}-{total - 1}/{total}"}, **stream)  # type: ignore[arg-type]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_goes_on_where_it_broke_off(ranges: bool) -> None:
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Range"))
        assert request.headers["Accept-Encoding"] == "identity"
        if len(asked) == 1:
            return httpx.Response(200, stream=Breaking(SEALED[:1_000]))
        if not ranges:
            return httpx.Response(200, content=SEALED)
        if len(asked) == 2:
            return partial(1_000, Breaking(SEALED[1_000:3_000]))
        return partial(3_000, SEALED[3_000:])

    file, seen = io.BytesIO(), []
    owner(answer, 10).read(OFFER, file, seen.append)
    assert file.getvalue() == SEALED
    assert seen[-1] == len(SEALED)
    assert asked == ([None, "bytes=1000-", "bytes=3000-"] if ranges else [None, "bytes=1000-"])


def test_what_is_there_whole_is_not_asked_for_again() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    owner(answer).read(OFFER, io.BytesIO(SEALED), lambda _: None)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: httpx.Response(200, content=SEALED + b"x"), f"more than {len(SEALED)} bytes came"),
        (lambda _: httpx.Response(200, stream=Endless()), f"more than {len(SEALED)} bytes came"),
        (lambda _: httpx.Response(206, content=SEALED), "does not say which bytes"),
        (lambda _: partial(5, SEALED), "it answers others"),
        (lambda _: partial(0, SEALED, total=10**15), "does not say which bytes"),
        (lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=b"x"), "compressed"),
        (lambda _: httpx.Response(302, headers={"Location": "http://elsewhere/"}), "status 302 and no problem"),
        (lambda _: httpx.Response(404, stream=Endless()), f"more than {LARGEST_ANSWER} bytes"),
        (lambda _: httpx.Response(500, content=b"[" * 60_000), "status 500 and no problem"),
        (lambda _: httpx.Response(403, json={"code": "\x1b[2J"}), "status 403 and no problem"),
    ],
    ids=["appended", "endless", "no-range", "other-range", "other-whole", "compressed", "redirect", "endless-problem",
         "deep-problem", "odd-code"],
)  # fmt: skip
def test_an_answer_that_is_not_what_was_offered_is_refused_at_once(answer: Answer, why: str) -> None:
    with pytest.raises(Disagreement, match=why):
        owner(answer).read(OFFER, io.BytesIO(), lambda _: None)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(200, content=SEALED[:1_000]),
        lambda _: httpx.Response(200, content=b""),
        lambda _: httpx.Response(503, content=b"<html>come back later</html>"),
    ],
    ids=["short", "empty", "proxy"],
)
def test_an_answer_that_never_becomes_whole_is_given_up(answer: Answer) -> None:
    with pytest.raises(Unreachable):
        owner(answer, 0.3).read(OFFER, io.BytesIO(), lambda _: None)


def test_an_owner_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(owners.time, "monotonic", lambda: float(next(clock)))

    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x"

    with pytest.raises(Unreachable, match="less than 1024 bytes a second"):
        owner(lambda _: httpx.Response(200, stream=Dripping())).read_bundle(OFFER, io.BytesIO(), 10**9)


def test_a_refusal_is_shown_without_what_a_terminal_obeys() -> None:
    detail = "\x1b]0;title\x07" + "x" * 10_000
    said = {"code": "attempt-used", "detail": detail, "facts": {"y": "z" * 50_000}}
    with pytest.raises(Refused) as refused:
        owner(lambda _: httpx.Response(409, json=said)).read(OFFER, io.BytesIO(), lambda _: None)
    assert refused.value.code == "attempt-used"
    assert refused.value.detail.isprintable()
    assert len(refused.value.detail) < 600
    assert refused.value.facts == {}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"x", b"[]", b"7", b"[" * 60_000, b"\xff\xfe", json.dumps(SAID).encode() + b" " * LARGEST_ANSWER,
        *(json.dumps({name: value for name, value in SAID.items() if name != left}).encode()
          for left in SAID if left != "until"),
        *(json.dumps({**SAID, name: value}).encode() for name, value in [
            ("attempt", "00" * 32), ("grant", "other"), ("artifact", "dataset-version:wdbc:2"), ("delivery", "../../x"),
            ("delivery", 7), ("root", "B2" * 32), ("blob", "../" * 21 + "x"), ("digest", None), ("channel", ""),
            ("media_type", "x" * 257), ("size", -1), ("size", 1.5), ("size", "7"), ("size", True), ("size", 1 << 60),
            ("size", SIZE + 1), ("sealed_size", 1 << 60), ("sealed_size", 10**6), ("key", 7), ("key", "k" * 5_000),
        ]),
    ],
)  # fmt: skip
def test_an_offer_that_is_none_is_refused_by_the_member(content: bytes) -> None:
    with pytest.raises(Disagreement, match="the owner's answer is not to be used"):
        owner(lambda _: httpx.Response(200, content=content)).begin({}, ATTEMPT)


def test_an_offer_is_taken_and_kept() -> None:
    found = owner(lambda _: httpx.Response(200, json=SAID)).begin({}, ATTEMPT)
    assert found == OFFER == Offer(**json.loads(json.dumps(found.as_json())))


def test_an_offer_for_which_there_is_no_room_is_refused(tmp_path: Any) -> None:
    large = Offer.of({**SAID, "size": 1 << 47, "sealed_size": (1 << 47) + 96}, ATTEMPT)
    with pytest.raises(OSError, match="the owner offers 140737488355328 bytes"):
        owners.refuse_without_room(tmp_path, large, 0)
    owners.refuse_without_room(tmp_path, OFFER, 0)


def test_every_refusal_is_one_of_the_packages_own() -> None:
    with pytest.raises(PedigreeError):
        owner(lambda _: httpx.Response(200, content=b"x" * 10)).begin({}, ATTEMPT)
