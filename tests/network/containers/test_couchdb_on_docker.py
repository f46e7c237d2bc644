# SPDX-License-Identifier: Apache-2.0
"""The real thing with CouchDB: state that is really there, and a database that is killed under its peer.

Needs what `test_on_docker` needs, and the image of CouchDB, which is not built here.
"""

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from network import running
from network.containers import couchdb
from network.containers import lifetime as containers
from network.containers.engine import Docker
from network.topology import Topology, default_topology

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DATABASE = "couchdb.peer0.lab.example"


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def chosen() -> Topology:
    return replace(default_topology(any_port=True), state_database="couchdb")


def container(directory: Path, name: str) -> dict[str, Any]:
    docker = Docker.find()
    return docker.inspect(next(each.id for each in containers.status(directory) if each.name == name))


def asked(directory: Path, path: str, password: str | None) -> tuple[int, Any]:
    """What a database answers; its address is the containers' network's, which this machine reaches."""
    (network,) = container(directory, DATABASE)["NetworkSettings"]["Networks"].values()
    request = urllib.request.Request(f"http://{network['IPAddress']}:{couchdb.PORT}/{path}")
    if password is not None:
        credentials = base64.b64encode(f"{couchdb.USER}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def password_of(directory: Path, peer: str) -> str:
    return (directory / "containers" / f"couchdb.{peer}" / "peer.secret").read_text(encoding="ascii").strip()


def test_state_is_in_a_database_that_only_its_own_peer_opens(directory: Path) -> None:
    status, names = asked(directory, "_all_dbs", password_of(directory, "peer0.lab.example"))
    assert status == 200
    assert {"pedigree_", "pedigree__lifecycle"} <= set(names)
    assert asked(directory, "_all_dbs", None)[0] == 401
    assert asked(directory, "_all_dbs", password_of(directory, "peer0.hospital.example"))[0] == 401
    assert asked(directory, "_up", None)[0] == 200


def test_no_password_shows_in_what_the_engine_tells(directory: Path) -> None:
    for peer in ("peer0.lab.example", "peer0.hospital.example"):
        told = json.dumps([container(directory, f"couchdb.{peer}"), container(directory, peer)])
        assert password_of(directory, peer) not in told


def test_a_database_that_was_killed_comes_back_and_its_peer_goes_on(
    directory: Path, topology_file: Path, tool: Run, up: Run, heights: Callable[[Path], list[int]]
) -> None:
    before = heights(directory)
    Docker.find().output("kill", container(directory, DATABASE)["Id"])
    doctor = tool("doctor", "--dir", str(directory))
    assert doctor.returncode == 1
    assert f"{DATABASE}: does not run" in doctor.stdout
    done = up(directory, topology_file)
    assert done.returncode == 0, done.stderr
    assert running.is_running(directory)
    assert min(heights(directory)) > max(before)  # the test transaction is on every peer, the lab's too
