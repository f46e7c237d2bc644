# SPDX-License-Identifier: Apache-2.0
"""The verbs that concern containers, on a directory without an engine, or with a `docker` that only answers."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from network.cli import main
from network.running import is_running, run_as

DOCKER = """#!/bin/sh
case "$*" in
"compose version --short") echo 2.40.3 ;;
ps*) cat "$(dirname "$0")/listed" ;;
*logs*) echo "it said hello" ;;
compose*down*) : > "$(dirname "$0")/listed" ;;
esac
"""
LISTED = "a1\trunning\tUp (healthy)\tpeer0.lab.example\nb2\texited\tExited (1)\tgateway.lab.example\n"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path with nothing of Docker's on it."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin" if not Path("/usr/bin/docker").exists() else str(folder))
    return folder


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A directory whose network ran in containers."""
    directory = tmp_path / "net"
    (directory / "ledgers" / "peer0.lab.example").mkdir(parents=True)
    (directory / "containers").mkdir()
    (directory / "containers" / "pedigree.block").touch()
    (directory / "organizations").mkdir()
    (directory / "topology.json").write_text("{}", encoding="utf-8")
    (directory / "compose.yaml").write_text("{}", encoding="utf-8")
    described = {"ledger": "fabric", "run_as": "containers", "pid": None}
    (directory / "network.json").write_text(json.dumps(described), encoding="utf-8")
    return directory


@pytest.fixture
def docker(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (path / "docker").write_text(DOCKER, encoding="utf-8")
    (path / "docker").chmod(0o755)
    (path / "listed").write_text(LISTED, encoding="utf-8")
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    return path


def run(*arguments: str, asked: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=asked)


def test_containers_are_for_fabric(tmp_path: Path) -> None:
    done = run("up", "--run-as", "containers", "--dir", str(tmp_path / "net"))
    assert (done.exit_code, done.output) == (1, "Error: --run-as containers is for --ledger fabric\n")


def test_consensus_and_peers_are_for_containers(tmp_path: Path) -> None:
    done = run("up", "--ledger", "fabric", "--consensus", "bft", "--dir", str(tmp_path / "net"))
    assert (done.exit_code, done.output) == (1, "Error: --consensus and --peers are for --run-as containers\n")


def test_without_docker_up_says_what_to_install_and_makes_nothing(path: Path, tmp_path: Path) -> None:
    done = run("up", "--ledger", "fabric", "--run-as", "containers", "--dir", str(tmp_path / "net"))
    assert done.exit_code == 1
    assert "docker is not installed: install Docker" in done.output
    assert not (tmp_path / "net").exists()


def test_a_bad_topology_is_told_with_its_field(docker: Path, tmp_path: Path) -> None:
    file = tmp_path / "topology.yaml"
    file.write_text("organisations: []\n", encoding="utf-8")
    arguments = ("--topology", str(file), "--dir", str(tmp_path / "net"))
    done = run("up", "--ledger", "fabric", "--run-as", "containers", *arguments)
    assert done.exit_code == 1
    assert done.output == f"Error: {file}: organisations: must be a list with at least one entry, not an empty list\n"


def test_a_network_in_containers_runs_while_any_of_them_does(docker: Path, net: Path) -> None:
    assert run_as(net) == "containers"
    assert is_running(net)
    (docker / "listed").write_text("b2\texited\tExited (1)\tgateway.lab.example\n", encoding="utf-8")
    assert not is_running(net)


def test_another_kind_of_network_is_not_started_beside_running_containers(docker: Path, net: Path) -> None:
    done = run("up", "--dir", str(net))
    assert done.exit_code == 1
    assert "runs in containers; stop them with: pedigree-network down" in done.output


def test_down_stops_containers_and_says_so(docker: Path, net: Path) -> None:
    assert run("down", "--dir", str(net)).output == "stopped\n"
    assert "no network was running" in run("down", "--dir", str(net)).output
    assert (net / "ledgers").exists()


def test_status_of_stopped_containers_is_not_running(docker: Path, net: Path) -> None:
    (docker / "listed").write_text("", encoding="utf-8")
    done = run("status", "--json", "--dir", str(net))
    assert (done.exit_code, json.loads(done.output)) == (1, {"running": False})


def test_reset_asks_first(docker: Path, net: Path) -> None:
    done = run("reset", "--dir", str(net), asked="n\n")
    assert done.exit_code != 0
    assert (net / "ledgers").exists()


def test_reset_removes_what_was_recorded_and_keeps_keys_and_topology(docker: Path, net: Path) -> None:
    done = run("reset", "--yes", "--dir", str(net))
    assert (done.exit_code, done.output) == (0, "removed ledgers, network.json\n")
    assert sorted(path.name for path in net.iterdir()) == [
        "compose.yaml",
        "containers",
        "organizations",
        "topology.json",
    ]
    assert list((net / "containers").iterdir()) == []


def test_a_directory_without_a_network_is_not_reset(tmp_path: Path) -> None:
    done = run("reset", "--yes", "--dir", str(tmp_path))
    assert (done.exit_code, done.output) == (1, f"Error: {tmp_path} holds no network\n")


def test_logs_of_an_unknown_container_name_those_that_there_are(docker: Path, net: Path) -> None:
    done = run("logs", "peer9", "--dir", str(net))
    assert done.exit_code == 1
    assert done.output == ("Error: no container is called 'peer9'; there are gateway.lab.example, peer0.lab.example\n")


def test_logs_of_containers_are_passed_on(docker: Path, net: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = run("logs", "peer0.lab.example", "--dir", str(net))
    assert done.exit_code == 0
    assert "it said hello" in capfd.readouterr().out


def test_logs_of_local_processes_are_their_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "orderer1.orderer.example.log").write_text("first\nsecond\n", encoding="utf-8")
    assert run("logs", "orderer1.orderer.example", "--tail", "1", "--dir", str(tmp_path)).exit_code == 0
    assert capfd.readouterr().out == "second\n"
    done = run("logs", "peer0", "--dir", str(tmp_path))
    assert "has no log of peer0; there are orderer1.orderer.example" in done.output


def test_images_need_docker(path: Path) -> None:
    done = run("images")
    assert done.exit_code == 1
    assert "docker is not installed" in done.output


def test_only_fabric_needs_a_folder(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FABRIC_BIN", raising=False)
    done = run("images", "--only-fabric")
    assert (done.exit_code, done.output) == (
        1, "Error: --only-fabric needs --fabric-bin, or FABRIC_BIN in the environment\n",
    )  # fmt: skip
