# SPDX-License-Identifier: Apache-2.0
"""Bodies: what is cut off is refused and leaves nothing, what is large stays out of memory, what is kept is removed."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.rest.bodies import Spool
from gateway.rest.problems import HttpProblem
from gateway.services.drafting import Upload
from gateway.services.ports import StorageFull, Unavailable
from gateway.services.shares import ShareTaken

ROWS = b"id,x\nr1,1\nr2,2\nr3,3\n"
UPLOAD = "/v1/datasets/d/versions?id_field=id"


def send(api: Any, path: str, sent: io.IOBase, length: int | None, **headers: str) -> Any:
    """POST a stream; with a length as the head's own, else chunked, as the server hands it on."""
    environ: dict[str, Any] = {"wsgi.input": sent, "wsgi.input_terminated": True}
    if length is None:
        headers["Transfer_Encoding"] = "chunked"
    else:
        environ["CONTENT_LENGTH"] = str(length)
    key = headers.pop("key", "cut")
    return api.client.post(
        path, headers=api.headers("operator", Idempotency_Key=key, **headers), environ_overrides=environ
    )


class Broken(io.BytesIO):
    """A body whose connection ends with an error after what it holds."""

    def __init__(self, content: bytes, error: OSError) -> None:
        super().__init__(content)
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            raise self.error
        return found


@pytest.mark.parametrize(
    ("path", "media_type", "whole"),
    [
        (UPLOAD, "text/csv", ROWS),
        (UPLOAD, "application/jsonl", b'{"id":1}\n{"id":2}\n'),
        ("/v1/models", "application/json", b'{"model":"net","title":"Net"}'),
        ("/v1/datasets/d/versions/1/verify", "text/csv", ROWS),
        ("/v1/datasets/d/versions/1/content", "text/csv", ROWS),
    ],
)
@pytest.mark.parametrize("end", ["short", "broken", "broken-chunk"])
def test_a_body_that_is_cut_off_is_refused_and_its_key_stays_free(
    api: Any, path: str, media_type: str, whole: bytes, end: str
) -> None:
    stream = io.BytesIO(whole[:10]) if end == "short" else Broken(whole[:10], ConnectionResetError())
    length = None if end == "broken-chunk" else len(whole)
    response = send(api, path, stream, length, Content_Type=media_type)
    assert (response.status_code, response.json["code"]) == (400, "body-incomplete"), response.json
    assert api.ledger.prepared == 0
    if "/1/" not in path:
        assert send(api, path, io.BytesIO(whole), len(whole), Content_Type=media_type).status_code == 201


def test_a_body_that_stops_coming_is_a_time_out(api: Any) -> None:
    response = send(api, UPLOAD, Broken(ROWS[:9], BlockingIOError()), len(ROWS), Content_Type="text/csv")
    assert (response.status_code, response.json["code"]) == (408, "request-timeout")
    assert api.ledger.prepared == 0


class Endless(io.RawIOBase):
    """A body that never ends; it remembers how much of it was read."""

    taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole of it was asked for"
        self.taken += size
        return b"x" * size


@pytest.mark.parametrize(
    ("path", "media_type", "limit"), [(UPLOAD, "text/csv", 1 << 20), ("/v1/models", "application/json", 4 << 20)]
)
def test_a_body_over_the_limit_is_refused_with_the_limit_before_it_is_read(
    api: Any, path: str, media_type: str, limit: int
) -> None:
    stream = Endless()
    response = send(api, path, stream, 200 << 20, Content_Type=media_type)
    assert (response.status_code, response.json["code"]) == (413, "body-too-large")
    assert response.json["facts"] == {"limit": limit}
    assert str(limit) in response.json["detail"]
    assert stream.taken == 0
    chunked = send(api, path, stream, None, Content_Type=media_type)
    assert (chunked.status_code, chunked.json["facts"]) == (413, {"limit": limit})
    assert stream.taken <= limit + (1 << 20)


@pytest.mark.parametrize("height_wait", [0.3])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer x"}, 401),
        ({"key": ""}, 400),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Endorsing_Organisations": "Lab MSP"}, 400),
        ({"Min_Ledger_Height": "999"}, 503),
    ],
)
def test_a_head_that_is_refused_has_nothing_of_its_body_read(api: Any, headers: dict[str, str], status: int) -> None:
    stream = Endless()
    response = send(api, UPLOAD, stream, 1000, **{"Content_Type": "text/csv", **headers})
    assert response.status_code == status, response.json
    assert stream.taken == 0


def test_the_same_bytes_as_something_else_are_another_request(api: Any) -> None:
    path, rows = "/v1/datasets/d/versions", b'{"a":1}\n{"a":2}\n'
    assert send(api, path, io.BytesIO(rows), len(rows), Content_Type="text/csv").status_code == 201
    other = send(api, path, io.BytesIO(rows), len(rows), Content_Type="application/jsonl")
    assert (other.status_code, other.json["code"]) == (422, "idempotency-key-reused")


def spool(folder: Path, **sizes: int) -> Spool:
    return Spool(folder, **{"limit": 100, **sizes})


def test_an_upload_is_a_file_without_a_name_to_be_read_from_its_beginning(tmp_path: Path) -> None:
    noted: list[bytes] = []
    received = spool(tmp_path / "u").receive("me", iter([b"ab", b"cd"]), noted.append)
    assert list((tmp_path / "u").iterdir()) == []
    assert received.read() == b"abcd"
    assert received.seek(1) == 1
    assert received.readline() == b"bcd"
    assert noted == [b"ab", b"cd"]
    received.close()
    assert received.closed
    assert (tmp_path / "u").stat().st_mode & 0o777 == 0o700


def test_what_a_crash_left_is_removed_at_the_next_start_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "upload-abc").write_bytes(b"left")
    (tmp_path / "notes").write_bytes(b"not ours")
    spool(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_uploads_together_have_a_budget_that_each_end_gives_back(tmp_path: Path) -> None:
    shared = spool(tmp_path, budget=100)
    first = shared.receive("me", iter([b"x" * 60]), lambda _: None)
    for _ in range(3):  # a refused one gives back what it had taken
        with pytest.raises(ShareTaken):
            shared.receive("me", iter([b"x" * 15, b"x" * 15]), lambda _: None)
    shared.receive("other", iter([b"x" * 40]), lambda _: None).close()
    with pytest.raises(Unavailable) as refused:
        shared.receive("other", iter([b"x" * 41]), lambda _: None)
    assert refused.value.code == "capacity"
    first.close()
    first.close()
    shared.receive("me", iter([b"x" * 100]), lambda _: None).close()


def test_an_upload_has_its_room_until_nobody_has_it_open(tmp_path: Path) -> None:
    shared = spool(tmp_path, budget=100)
    with shared.receive("me", iter([b"a\n", b"x" * 70]), lambda _: None) as received:
        taken = Upload(received, "text/csv").taken_over().content
    with pytest.raises(Unavailable):
        shared.receive("other", iter([b"x" * 50]), lambda _: None)
    assert taken.read() == b"a\n" + b"x" * 70
    taken.close()
    taken.close()
    shared.receive("other", iter([b"x" * 75]), lambda _: None).close()
    with pytest.raises(ValueError, match="closed"):
        received.another()


def cut(piece: bytes) -> Iterator[bytes]:
    yield piece
    raise HttpProblem(400, "body-incomplete", "cut")


def test_an_upload_that_is_cut_off_gives_back_its_room(tmp_path: Path) -> None:
    shared = spool(tmp_path, budget=10)
    for _ in range(3):
        with pytest.raises(HttpProblem):
            shared.receive("me", cut(b"x" * 9), lambda _: None)
    shared.receive("me", iter([b"x" * 10]), lambda _: None).close()


class Waiting(io.BytesIO):
    """A body that comes when it is let go."""

    go_on = threading.Event()
    reading = threading.Semaphore(0)

    def read(self, size: int | None = -1) -> bytes:
        self.reading.release()
        assert self.go_on.wait(30)
        return super().read(size)


def test_a_client_that_sends_slowly_is_refused_in_the_end_and_the_others_go_on(api: Any) -> None:
    """Forty bodies may be read at once, one for each thread; a client that has thirty on their way has its share."""
    model = {"model": "net", "title": "Net"}
    with ThreadPoolExecutor(30) as pool:
        try:
            body = b'{"model":"slow","title":"Slow"}'
            slow = [
                pool.submit(
                    send, api, "/v1/models", Waiting(body), len(body), Content_Type="application/json", key=f"slow{n}"
                )
                for n in range(30)
            ]
            assert all(Waiting.reading.acquire(timeout=30) for _ in slow)
            refused = api.post("/v1/models", model)
            assert (refused.status_code, refused.json["code"]) == (429, "too-many-requests")
            assert (refused.json["retryable"], refused.headers["Retry-After"]) == (True, "1")
            assert api.get("/v1/models", role="operator").status_code == 200
            assert api.post("/v1/models", model, role="recorder").status_code == 201
        finally:
            Waiting.go_on.set()
        assert {one.result().status_code for one in slow} <= {201, 429, 503}
    assert api.post("/v1/models", model).status_code == 201


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    shared = spool(tmp_path)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Path("/dev/full").open("r+b", 0))  # noqa: SIM115
    with pytest.raises(StorageFull):
        shared.receive("me", iter([b"x"]), lambda _: None)
