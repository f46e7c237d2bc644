# SPDX-License-Identifier: Apache-2.0
"""What is asked of the `docker` program, and what is made of its answers; a script stands in for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from network.containers.engine import Container, Docker, Project
from network.containers.errors import ContainersError

SCRIPT = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
{cases}
esac
exit 0
"""
Make = Callable[[str], Path]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Put a `docker` first on the path that answers by shell cases; answers the log of its arguments."""

    def make(cases: str) -> Path:
        folder, log = tmp_path / "bin", tmp_path / "log"
        folder.mkdir(exist_ok=True)
        program = folder / "docker"
        program.write_text(SCRIPT.format(log=log, cases=cases), encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return log

    return make


WORKING = '"compose version --short") echo 2.40.3 ;;'


def project(tmp_path: Path) -> Project:
    return Project("pedigree-net-1", tmp_path / "compose.yaml")


def test_docker_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContainersError, match="docker is not installed"):
        Docker.find()


def test_a_docker_without_compose_is_refused(docker: Make) -> None:
    docker("compose*) echo \"docker: 'compose' is not a docker command\" >&2; exit 1 ;;")
    with pytest.raises(ContainersError, match="has no Compose plugin"):
        Docker.find()


def test_the_first_compose_is_refused(docker: Make) -> None:
    docker('"compose version --short") echo 1.29.2 ;;')
    with pytest.raises(ContainersError, match=r"docker compose is 1\.29\.2; version 2 is needed"):
        Docker.find()


def test_an_engine_that_does_not_answer_is_told_in_its_own_words(docker: Make) -> None:
    docker(f"{WORKING}\nversion*) echo 'Cannot connect to the Docker daemon at unix:///x' >&2; exit 1 ;;")
    with pytest.raises(ContainersError, match="docker version failed: Cannot connect to the Docker daemon"):
        Docker.find()


def test_containers_are_read_from_what_the_engine_lists(docker: Make, tmp_path: Path) -> None:
    docker(
        f"{WORKING}\nps*) printf 'b2\\trunning\\tUp 2 minutes (healthy)\\tpeer0.lab.example\\n"
        "a1\\texited\\tExited (1) 3 seconds ago\\torderer1.orderer.example\\n"
        "c3\\trunning\\tUp 1 second (health: starting)\\tgateway.lab.example\\n' ;;"
    )
    assert Docker.find().containers(project(tmp_path)) == [
        Container("gateway.lab.example", "c3", "running", "starting"),
        Container("orderer1.orderer.example", "a1", "exited", ""),
        Container("peer0.lab.example", "b2", "running", "healthy"),
    ]


def test_up_names_the_project_and_never_pulls_or_builds(docker: Make, tmp_path: Path) -> None:
    log = docker(WORKING)
    Docker.find().up(project(tmp_path), ["peer0.lab.example"])
    (said,) = [line for line in log.read_text().splitlines() if " up " in line]
    assert said.startswith("compose --project-name pedigree-net-1 --file ")
    assert "--detach --no-build --pull never" in said
    assert said.endswith(" peer0.lab.example")


def test_kill_ends_what_runs_and_nothing_else(docker: Make, tmp_path: Path) -> None:
    log = docker(f"{WORKING}\nps*) printf 'b2\\trunning\\tUp\\tone\\na1\\texited\\tExited (1)\\tother\\n' ;;")
    Docker.find().kill(project(tmp_path))
    assert log.read_text().splitlines()[-1] == "kill b2"


def test_a_failure_is_one_line(docker: Make, tmp_path: Path) -> None:
    docker(f"{WORKING}\ncompose*config*) printf 'warning\\n\\nservices.x must be a mapping\\n' >&2; exit 15 ;;")
    with pytest.raises(ContainersError) as refused:
        Docker.find().validate(project(tmp_path))
    assert str(refused.value) == "docker compose failed: services.x must be a mapping"


def test_composes_own_variables_do_not_change_the_description(
    docker: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "jobs")
    docker(f'{WORKING}\ncompose*) test -z "$COMPOSE_PROFILES" || exit 9 ;;')
    Docker.find().validate(project(tmp_path))
