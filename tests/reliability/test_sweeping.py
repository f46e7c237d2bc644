# SPDX-License-Identifier: Apache-2.0
"""What a gateway leaves half made when it is killed is gone some time after its next start, and nothing else is."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.demo.consortium import Consortium
from gateway.demo.founding import ORIGIN
from pedigree import PedigreeError

if TYPE_CHECKING:
    from reliability.conftest import LoneGateway

pytestmark = [pytest.mark.timeout(180)]

RECORDS = b"id,text\n" + b"".join(b"s%d,%d\n" % (number, number) for number in range(200_000))
DAYS = 3 * 86_400


def rows(gateway: LoneGateway, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{gateway.data / 'records.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def until(said: Callable[[], bool], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not said():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_what_a_killed_gateway_left_is_swept(
    consortium: Consortium, new_gateway: Callable[..., LoneGateway], prefix: str
) -> None:
    gateway = new_gateway(consortium, "hospital").start()
    dataset = f"{prefix}-swept"
    with gateway.client() as client:
        client.register_dataset(
            dataset, title="T", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal", basis="public-task"
        )
        client.commit_records(dataset, b"id,n\na,1\nb,2\n", id_field="id")
        published = client.publish_dataset(dataset, 1, b"id,n\na,1\nb,2\n")

    def commit() -> None:
        with gateway.client(timeout=1.0) as client, suppress(PedigreeError):
            client.commit_records(dataset, RECORDS, id_field="id")

    work = threading.Thread(target=commit)
    work.start()
    until(lambda: bool(rows(gateway, "SELECT 1 FROM record_set WHERE root IS NULL")))
    gateway.kill()
    work.join()
    ((dead,),) = rows(gateway, "SELECT key FROM record_set WHERE root IS NULL")
    blobs = gateway.data / "blobs"
    for name in ("ab" * 32, f"{'ab'}/.new-left"):
        left = blobs / "ab" / name.rpartition("/")[2]
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"left by a put")
        os.utime(left, (time.time() - DAYS,) * 2)
    gateway.start()
    with gateway.client() as client:
        time.sleep(1)
        assert rows(gateway, f"SELECT 1 FROM record_set WHERE key = {dead}"), "it is not old yet"
        until(lambda: not (blobs / "ab" / ("ab" * 32)).exists())
        assert not (blobs / "ab" / ".new-left").exists()
        assert client.verify_dataset(dataset, 1)["verified"]
    gateway.terminate(within=20)
    with closing(sqlite3.connect(gateway.data / "records.db")) as database, database:
        database.execute("UPDATE record_set SET created = created - ?", (DAYS,))
    gateway.start()
    until(lambda: not rows(gateway, f"SELECT 1 FROM record_set WHERE key = {dead}"))
    until(lambda: not rows(gateway, f"SELECT 1 FROM record_block WHERE set_key = {dead}"))
    with gateway.client() as client:
        assert client.verify_dataset(dataset, 1)["verified"]
        assert (blobs / published["blob"][:2] / published["blob"]).exists()
        metrics = httpx.get(f"{gateway.health}/metrics").text
        assert 'pedigree_events_total{what="swept_unfinished_record_sets"} 1.0' in metrics
    assert "swept: 1 unfinished record sets" in gateway.log()
