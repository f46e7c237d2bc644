# SPDX-License-Identifier: Apache-2.0
"""A blob is in the store whole or not at all, whatever fails or dies in the middle of a put; on disk and in S3."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blobservers import BUCKET, s3_server, s3_store

from gateway.services.blobstores import BlobMissing, BlobStore, BlobStoreFailed, Opened, Publication
from gateway.services.failures import StorageFailed, StorageFull
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.blobobjects import BlobObjects
from gateway.stores.database import Database
from gateway.stores.sealed import SealedStore

ONE, OTHER = "1f" * 32, "2e" * 32


class Broken(Exception):
    """What the pieces break off with."""


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobStore]:
    if request.param == "files":
        yield BlobFiles(tmp_path / "blobs")
    else:
        with s3_store(tmp_path, monkeypatch) as found:
            yield found


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def broken_off(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(1 << 20)
    raise Broken


def test_what_is_put_is_there_by_range_and_listed(store: BlobStore) -> None:
    content = os.urandom(12 << 20)  # more than one part
    before = time.time()
    assert store.put(ONE, (content[at : at + 700_001] for at in range(0, len(content), 700_001))) == len(content)
    head = store.head(ONE)
    assert head is not None
    assert (head.name, head.size) == (ONE, len(content))
    assert before - 5 < head.at < time.time() + 5
    assert store.read(ONE, 0, 10) == content[:10]
    assert store.read(ONE, 6_000_000, 100_000) == content[6_000_000:6_100_000]
    assert store.read(ONE, len(content) - 3, 100) == content[-3:]
    assert store.put(OTHER, [b"small"]) == 5
    assert sorted(each.name for each in store.list()) == [ONE, OTHER]
    store.remove(ONE)
    store.remove(ONE)
    assert store.head(ONE) is None
    assert [each.name for each in store.list()] == [OTHER]


def test_what_is_not_there_is_said_to_be_missing(store: BlobStore) -> None:
    assert store.head(ONE) is None
    with pytest.raises(BlobMissing, match=ONE):
        store.read(ONE, 0, 1)
    with pytest.raises(BlobMissing, match="restore it from a backup, or publish again"):
        Opened(store, ONE)
    for name in ("..", "", "../" * 3 + "x", ONE.upper(), ONE + "0"):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            store.put(name, [b""])


@pytest.mark.parametrize("count", [0, 1, 13])
def test_pieces_that_break_off_leave_nothing(store: BlobStore, count: int) -> None:
    with pytest.raises(Broken):
        store.put(ONE, broken_off(count))
    assert store.head(ONE) is None
    assert list(store.list()) == []
    store.put(ONE, [b"whole"])
    with pytest.raises(Broken):
        store.put(ONE, broken_off(count))
    assert store.read(ONE, 0, 10) == b"whole"


def test_a_put_that_broke_off_leaves_no_part_in_the_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def once_a_part_is_there() -> Iterator[bytes]:
        yield bytes(20 << 20)
        deadline = time.monotonic() + 20
        while not files(tmp_path / "data"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        raise Broken

    with s3_store(tmp_path, monkeypatch) as store:
        with pytest.raises(Broken):
            store.put(ONE, once_a_part_is_there())
        assert files(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_SECRET_ACCESS_KEY", "another secret"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]
)
def test_a_store_that_refuses_or_is_not_there_is_said_to_have_failed(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server(tmp_path) as environment:
        for each, given in (environment | {name: value}).items():
            monkeypatch.setenv(each, given)
        store = BlobObjects.open(f"s3://{BUCKET}")
        with pytest.raises(BlobStoreFailed) as refused:
            store.put(ONE, [b"x"])
        assert "another secret" not in str(refused.value)
        with pytest.raises(BlobStoreFailed):
            store.head(ONE)
        with pytest.raises(BlobStoreFailed):
            list(store.list())


@pytest.mark.parametrize("url", ["s3://", "s3://A", "https://bucket", "s3://bucket/a b", "s3://bucket?x"])
def test_what_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not s3://BUCKET or s3://BUCKET/PREFIX"):
        BlobObjects.open(url)


def _failing(place: str) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC if place == "full" else errno.EIO, "as it happens")

    return fail


@pytest.mark.parametrize(("step", "error"), [("sync", StorageFailed), ("rename", StorageFailed), ("full", StorageFull)])
def test_a_disk_that_fails_leaves_nothing(step: str, error: type[Exception], tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    BlobFiles(folder).put(ONE[:2] + OTHER[2:], [b"makes the folder"])
    kept = files(folder)
    failing = {"rename": _failing(step)} if step == "rename" else {"sync": _failing(step)}
    with pytest.raises(error):
        BlobFiles(folder, **failing).put(ONE, [b"x"])
    assert files(folder) == kept


_DIES = """
import os, signal, sys
from pathlib import Path
from gateway.stores.blobfiles import BlobFiles
from gateway.stores.blobobjects import BlobObjects

def pieces():
    yield bytes(3 << 20)
    os.kill(os.getpid(), signal.SIGKILL)

BlobFiles(Path(sys.argv[1])).put(sys.argv[2], pieces())
"""


def test_a_process_that_is_killed_leaves_nothing_that_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    done = subprocess.run([sys.executable, "-c", _DIES, str(folder), ONE], check=False)
    assert done.returncode == -signal.SIGKILL
    store = BlobFiles(folder)
    assert store.head(ONE) is None
    assert list(store.list()) == []
    assert len(files(folder)) == 1
    store.recover()
    assert files(folder) == []


def test_only_their_owner_may_read_the_files(tmp_path: Path) -> None:
    BlobFiles(tmp_path / "blobs").put(ONE, [b"x"])
    place = tmp_path / "blobs" / ONE[:2] / ONE
    assert [each.stat().st_mode & 0o777 for each in (place, place.parent, place.parent.parent)] == [0o600, 0o700, 0o700]


def publication(blob: int, root: str, wrapped: bytes = b"w") -> Publication:
    return Publication(bytes([blob]) * 32, root, "wdbc", 1, "text/csv", 5, "ab" * 32, wrapped, 12.5)


def test_publications_are_kept_and_rewrapped(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "sealed.db", "sealed", durable=True)
    store = SealedStore(database)
    first, again, other = publication(1, "aa"), publication(2, "aa"), publication(3, "bb")
    for each in (first, again, other):
        store.add(each)
    artifact = "dataset-version:wdbc:1"
    assert store.of(artifact, "aa") == again
    assert store.of(artifact, "cc") is None
    assert store.of("selection:wdbc:1:training", "aa") is None, "of a selection with the same root"
    assert list(store.all()) == [first, again, other]
    store.rewrap([(again.blob_id, b"new"), (other.blob_id, b"newer")])
    assert [each.wrapped for each in store.all()] == [b"w", b"new", b"newer"]
    store.forget(again.blob_id)
    assert store.of(artifact, "aa") == first
    database.close()
