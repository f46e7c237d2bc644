# SPDX-License-Identifier: Apache-2.0
"""kill -9 between an allowed attempt and the last byte of its data, at either end: one use, one file, an honest log."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from taps import Tap, tapped

from gateway.demo.consortium import Consortium, ready
from gateway.demo.founding import ORIGIN
from gateway.demo.processes import command
from pedigree import Pedigree

pytestmark = [pytest.mark.timeout(300)]

ROWS = 4_000
CONTENT = b"id,text\n" + b"".join(b"f%d,%s\n" % (number, b"%08d" % number * 512) for number in range(ROWS))
"""16 MB: more than sockets hold, so that a gateway whose answer is held is in the middle of it."""
PASSED = 3 << 20
_names = itertools.count(1)


class Published:
    """Data of the hospital's that is published, and the lab's way to it, which a test can hold and cut."""

    def __init__(self, consortium: Consortium, tap: Tap, folder: Path) -> None:
        self.consortium = consortium
        self.tap = tap
        self.folder = folder
        self.out = folder / "copy.csv"
        self.hospital, self.lab = consortium.client("hospital"), consortium.client("lab")

    def grant(self, dataset: str, **terms: Any) -> str:
        """One use of the data, and no more."""
        name = f"{dataset}-{next(_names)}"
        given = self.hospital.grant_access(
            name, grantee="LabMSP", artifact=f"dataset-version:{dataset}:1", purpose="research", actions=["download"],
            expires=time.time_ns() // 1_000_000 + 3_600_000, **terms,
        )  # fmt: skip
        self.lab.at_least(given.height)
        self.lab.access_grant(name)
        return name

    def fetching(self, grant: str) -> subprocess.Popen[bytes]:
        """`pedigree access fetch` as a program of its own."""
        environment = {
            **os.environ, "PEDIGREE_URL": self.consortium.url("lab"), "PEDIGREE_KEY": self.consortium.key("lab"),
        }  # fmt: skip
        words = ["access", "fetch", grant, "--from", self.tap.url, "--out", str(self.out), "--json"]
        return subprocess.Popen(
            [command("pedigree"), *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def fetched(self, program: subprocess.Popen[bytes]) -> Any:
        """What a fetch said that ended well."""
        out, err = program.communicate(timeout=120)
        assert program.returncode == 0, err
        assert self.out.read_bytes() == CONTENT
        assert [path.name for path in self.folder.iterdir()] == ["copy.csv"]
        return json.loads(out)

    def wait_until_kept(self, count: int) -> None:
        """Wait until a fetch that is under way has written so many bytes beside where its file is to be."""
        deadline = time.monotonic() + 30
        while sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) < count:
            assert time.monotonic() < deadline, "it writes nothing"
            time.sleep(0.02)

    def restart_owner(self) -> None:
        """kill -9 of the hospital's gateway, and its next start."""
        (program,) = [each for each in self.consortium.programs if each.name == "gateway-hospital"]
        program.kill()
        program.start()
        program.wait_until(lambda: ready(self.consortium.ports["hospital"].health), within=60)

    def log(self, grant: str) -> list[Any]:
        """The hospital's deliveries under a grant, the last first."""
        made = {attempt["attempt"] for attempt in self.attempts(grant)}
        return [each for each in self.hospital.deliveries()["items"] if each["attempt"] in made]

    def attempts(self, grant: str) -> list[Any]:
        return [item["record"] for item in self.lab.access_attempts(grant=grant)["items"]]


@pytest.fixture(scope="module")
def dataset(consortium: Consortium) -> str:
    """A data set whose one version is published."""
    name = "fetches-under-faults"
    with consortium.client("hospital") as hospital:
        hospital.register_dataset(
            name, title="Texts", licence="CC-BY-4.0", origin=ORIGIN, sensitivity="internal", basis="public-task"
        )
        hospital.commit_records(name, CONTENT, id_field="id")
        hospital.publish_dataset(name, 1, CONTENT)
    return name


@pytest.fixture
def published(consortium: Consortium, dataset: str, tmp_path: Path) -> Iterator[Published]:
    with tapped(consortium.ports["hospital"].gateway) as tap:
        made = Published(consortium, tap, tmp_path)
        yield made
        for client in (made.hospital, made.lab):
            client.close()


def killed(program: subprocess.Popen[bytes]) -> None:
    os.killpg(program.pid, signal.SIGKILL)
    assert program.wait(30) == -signal.SIGKILL
    program.communicate()


def test_an_owner_that_is_killed_knows_what_it_gave_and_goes_on(published: Published, dataset: str) -> None:
    grant = published.grant(dataset, uses=1)
    published.tap.hold_after(PASSED)
    program = published.fetching(grant)
    published.tap.wait_until_held()
    published.restart_owner()
    (broken,) = published.log(grant)
    assert broken["outcome"] == "open"
    assert broken["sent"] >= published.tap.passed - 64 * 1024, "less is in the log than has left"
    assert broken["given"] == [{"start": 0, "stop": broken["sent"]}]
    assert broken["sent"] < broken["sealed_size"]
    assert not published.out.exists()
    published.tap.cut()
    published.tap.release()
    said = published.fetched(program)
    (attempt,) = published.attempts(grant)
    assert said["attempt"] == attempt["attempt"]
    (whole,) = published.log(grant)
    assert whole["outcome"] == "complete"
    assert whole["given"] == [{"start": 0, "stop": whole["sealed_size"]}]
    assert whole["sent"] >= whole["sealed_size"]


@pytest.mark.parametrize("owner_too", [False, True], ids=["alone", "with-the-owner"])
def test_a_fetch_that_is_killed_goes_on_under_the_same_attempt(
    published: Published, dataset: str, owner_too: bool
) -> None:
    grant = published.grant(dataset, uses=1)
    published.tap.hold_after(PASSED)
    program = published.fetching(grant)
    published.tap.wait_until_held()
    published.wait_until_kept(PASSED // 2)  # what passed may wait in the system's buffers yet
    killed(program)
    published.tap.cut()
    assert not published.out.exists()
    for path in published.folder.rglob("*"):
        assert not path.is_file() or b"00000001" not in path.read_bytes(), "something lies open"
    if owner_too:
        published.restart_owner()
    published.tap.release()
    before = published.tap.passed
    published.fetched(published.fetching(grant))
    assert published.tap.passed - before < len(CONTENT), "it began from the beginning"
    (attempt,) = published.attempts(grant)
    (whole,) = published.log(grant)
    assert (whole["attempt"], whole["outcome"]) == (attempt["attempt"], "complete")
    published.out.unlink()
    again = published.fetching(grant)
    _, err = again.communicate(timeout=60)
    assert again.returncode != 0
    assert b"no-use-left" in err
    assert list(published.folder.iterdir()) == []


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.6, 1.2, 2.0])
def test_a_fetch_that_is_killed_anywhere_costs_one_use(published: Published, dataset: str, moment: float) -> None:
    grant = published.grant(dataset, uses=1)
    published.tap.hold_after(8 << 20)
    program = published.fetching(grant)
    time.sleep(moment)
    killed(program)
    published.tap.cut()
    published.tap.release()
    published.fetched(published.fetching(grant))
    assert [attempt["decision"] for attempt in published.attempts(grant)] == ["allowed"]


def test_a_connection_that_is_cut_again_and_again_costs_one_use(published: Published, dataset: str) -> None:
    grant = published.grant(dataset, uses=1)
    published.tap.cut_every(PASSED)
    published.fetched(published.fetching(grant))
    assert len(published.attempts(grant)) == 1
    (whole,) = published.log(grant)
    assert whole["outcome"] == "complete"
    assert whole["given"] == [{"start": 0, "stop": whole["sealed_size"]}]


def test_nothing_is_given_twice_to_two_who_fetch_under_one_attempt(published: Published, dataset: str) -> None:
    """Whoever begins last is served; the one before gets no byte more, though its connection is open."""
    grant = published.grant(dataset, uses=1)
    published.tap.hold_after(PASSED)
    program = published.fetching(grant)
    published.tap.wait_until_held()
    (attempt,) = published.attempts(grant)
    envelope = statement(published.lab, attempt["attempt"])
    from httpx import post

    begun = post(f"{published.consortium.url('hospital')}/v1/data", json=envelope)
    assert begun.status_code == 200, begun.text
    published.tap.release()
    published.fetched(program)
    outcomes = [each["outcome"] for each in published.log(grant)]
    assert outcomes == ["complete", "replaced", "replaced"]
    assert len(published.attempts(grant)) == 1


def statement(client: Pedigree, attempt: str) -> Any:
    import base64

    from cryptography.hazmat.primitives.asymmetric import ec

    from pedigree.sealing.fetching import public_bytes

    public = public_bytes(ec.generate_private_key(ec.SECP256R1()))
    return client.sign_fetch(attempt, recipient_key=base64.b64encode(public).decode())


def wait_for(what: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
