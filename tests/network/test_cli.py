# SPDX-License-Identifier: Apache-2.0
"""`pedigree-network` as an operator meets it: a real process on loopback, and one line for whatever is wrong."""

import json
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from network.cli import main
from network.exits import EPILOG, MEANINGS, Exit
from network.topology import default_topology

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "operators.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def topology_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("topology") / "topology.json"
    path.write_text(json.dumps(default_topology(any_port=True).to_json()))
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, topology_file: Path) -> Iterator[Path]:
    """A running network's directory."""
    directory = tmp_path_factory.mktemp("network") / "data"
    result = run("up", "--detach", "--json", "--dir", str(directory), "--topology", str(topology_file))
    assert result.exit_code == 0, result.output
    yield directory
    assert run("down", "--dir", str(directory)).output == "stopped\n"


def _described(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / "network.json").read_text()))


def _refusal(result: Result) -> str:
    """The one line of an error."""
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.output
    return errors[0].removeprefix("Error: ")


def test_up_leaves_what_clients_need(network: Path) -> None:
    described = _described(network)
    assert described["ledger"] == "embedded"
    assert len(described["organisations"]) == 3
    assert all(not entry["peer"].endswith(":0") for entry in described["organisations"])
    assert len(bytes.fromhex(described["genesis_hash"])) == 32
    assert Path(described["genesis_block"]).is_file()
    os.kill(described["pid"], 0)
    assert stat.S_IMODE(network.stat().st_mode) == 0o700
    for entry in described["organisations"]:
        profile = json.loads((network / "connections" / f"{entry['domain']}.json").read_text())
        assert profile["peers"][f"peer0.{entry['domain']}"]["url"] == f"grpcs://{entry['peer']}"


def test_it_says_that_one_host_plays_all_organisations(network: Path) -> None:
    assert "One process plays all organisations" in (network / "network.log").read_text()


def test_a_second_process_on_the_directory_is_refused(network: Path, topology_file: Path) -> None:
    before = _described(network)
    for more in ((), ("--topology", str(topology_file)), ("--detach",)):
        assert _refusal(run("up", "--dir", str(network), *more)) == f"{network} is in use by process {before['pid']}"
    assert _described(network) == before


def test_a_taken_port_is_refused_by_its_address(network: Path, tmp_path: Path) -> None:
    taken = _described(network)["organisations"][1]["peer"]
    document = default_topology(any_port=True).to_json()
    document["organisations"][0]["peer"] = taken
    path = tmp_path / "topology.json"
    path.write_text(json.dumps(document))
    for detach in ((), ("--detach",)):
        result = run("up", *detach, "--dir", str(tmp_path / "data"), "--topology", str(path))
        assert _refusal(result) == f"cannot listen on {taken}: Address already in use"


def test_status_counts_blocks_and_names_what_is_deployed(network: Path) -> None:
    report = json.loads(run("status", "--json", "--dir", str(network)).output)
    assert report["running"] is True
    assert report["pid"] == _described(network)["pid"]
    assert {entry["reachable"] for entry in report["organisations"]} == {True}
    assert len({entry["height"] for entry in report["organisations"]}) == 1
    assert "pedigree" in run("status", "--dir", str(network)).output


def test_deploying_is_repeatable_and_a_change_is_the_next_sequence(network: Path) -> None:
    def deploy(*more: str) -> dict[str, Any]:
        addresses = ("--address", "hospital=127.0.0.1:9801", "--address", "LabMSP=127.0.0.1:9802")
        result = run("deploy", "basic", *addresses, "--dir", str(network), "--json", *more)
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    first = deploy()
    assert (first["sequence"], first["changed"]) == (1, True)
    assert set(first["package_ids"]) == {"HospitalMSP", "LabMSP"}
    assert json.loads((network / "chaincodes" / "basic.id").read_text()) == first["package_ids"]
    again = deploy()
    assert (again["sequence"], again["changed"]) == (1, False)
    policy = deploy("--policy", "OR('LabMSP.peer')")
    assert (policy["sequence"], policy["changed"]) == (2, True)
    moved = deploy("--policy", "OR('LabMSP.peer')", "--address", "regulator=127.0.0.1:9803")
    assert (moved["sequence"], moved["changed"]) == (3, True)
    assert "RegulatorMSP" in moved["package_ids"]
    report = json.loads(run("status", "--json", "--dir", str(network)).output)
    assert {"name": "basic", "version": "1.0", "sequence": 3} in report["chaincodes"]


def test_collections_are_deployed_and_may_not_be_dropped(network: Path, tmp_path: Path) -> None:
    path = tmp_path / "collections.json"
    path.write_text(json.dumps([{"name": "consents", "policy": "OR('LabMSP.member')"}]))
    address = ("--address", "lab=127.0.0.1:9804", "--dir", str(network))
    assert run("deploy", "private", *address, "--collections", str(path)).exit_code == 0
    assert "consents" in _refusal(run("deploy", "private", *address, "--version", "2.0"))


def test_package_tells_the_ids_before_anything_is_deployed(network: Path) -> None:
    arguments = ("soon", "--address", "lab=127.0.0.1:9805", "--dir", str(network))
    told = json.loads(run("package", *arguments, "--json").output)
    assert told["LabMSP"].startswith("soon_1.0:")
    assert run("package", *arguments).output == f"LabMSP {told['LabMSP']}\n"
    deployed = json.loads(run("deploy", *arguments, "--json").stdout)
    assert deployed["package_ids"] == told


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("basic", "--address", "nobody=127.0.0.1:1"), "--address: no organisation is called 'nobody'"),
        (("basic", "--address", "lab=127.0.0.1:1", "--address", "LabMSP=127.0.0.1:2"), "LabMSP is named twice"),
        (("basic", "--address", "lab"), "--address: 'lab' is not ORG=HOST:PORT"),
        (("bad name", "--address", "lab=127.0.0.1:1"), "NAME: "),
        (("basic", "--address", "lab=127.0.0.1:1", "--policy", "OR('A.king')"), "--policy: "),
        (
            ("basic", "--address", "lab=127.0.0.1:1", "--policy", "OR('LapMSP.peer')"),
            "no organisation is called 'LapMSP'",
        ),
        (("basic", "--address", "lab=127.0.0.1:1", "--policy", ""), "--policy: "),
        (("basic", "--address", "lab=127.0.0.1:1", "--policy", "AND(" * 999 + ")" * 999), "--policy: "),
        (("basic", "--address", "lab=127.0.0.1:99999"), "--address: '99999' is not a port"),
        (("basic", "--address", "lab=127.0.0.1:1", "--channel", "nowhere"), "nowhere"),
    ],
)
def test_a_bad_deployment_is_refused_in_one_line(network: Path, arguments: tuple[str, ...], problem: str) -> None:
    assert problem in _refusal(run("deploy", *arguments, "--dir", str(network)))


def test_a_network_comes_back_with_its_ports_and_its_ledger(tmp_path: Path, topology_file: Path) -> None:
    directory = tmp_path / "data"
    up = ("up", "--detach", "--dir", str(directory), "--topology", str(topology_file))
    assert run(*up).exit_code == 0
    first = _described(directory)
    assert run("down", "--dir", str(directory)).exit_code == 0
    assert run(*up[:4]).exit_code == 0  # the directory remembers its topology
    try:
        second = _described(directory)
    finally:
        assert run("down", "--dir", str(directory)).output == "stopped\n"
    assert second | {"pid": first["pid"]} == first
    assert second["pid"] != first["pid"]


def test_fsck_finds_the_ledger_clean_while_it_runs(network: Path) -> None:
    report = json.loads(run("fsck", "--json", "--dir", str(network)).output)
    assert report["ok"] is True
    assert report["blocks"]["pedigree"] >= 1
    assert run("fsck", "--dir", str(network)).output.startswith("clean (pedigree: ")


def test_fsck_of_a_network_of_fabric_says_who_checks_it(tmp_path: Path) -> None:
    described = {
        "channel": "c",
        "genesis_hash": "0",
        "ledger": "fabric",
        "organisations": [{"name": "a"}, {"name": "b"}],
    }
    (tmp_path / "network.json").write_text(json.dumps(described))
    said = _refusal(run("fsck", "--dir", str(tmp_path)))
    assert f"pedigree fsck --network {tmp_path}/network.json --organisation a --data {tmp_path}/gateways/a" in said
    assert said.endswith("(and likewise b)")


def test_fsck_holds_the_ledger_to_the_genesis_hash_that_one_trusts(network: Path) -> None:
    result = run("fsck", "--dir", str(network), "--genesis", "pedigree=" + "0" * 64)
    assert result.exit_code == 1
    assert "1 difference (" in result.output
    unknown = run("fsck", "--dir", str(network), "--genesis", "other=" + "0" * 64)
    assert "no ledger of channel 'other'" in _refusal(unknown)
    assert _refusal(run("fsck", "--dir", str(network), "--genesis", "pedigree")).startswith("--genesis: ")


def test_fsck_of_nothing_is_refused(tmp_path: Path) -> None:
    assert "holds no ledger" in _refusal(run("fsck", "--dir", str(tmp_path)))


def test_nothing_runs_on_a_fresh_directory(tmp_path: Path) -> None:
    directory = str(tmp_path / "data")
    status = run("status", "--dir", directory)
    assert status.exit_code == 1
    assert status.output == f"no network runs on {directory}\n"
    assert json.loads(run("status", "--json", "--dir", directory).output) == {"running": False}
    refusal = _refusal(run("deploy", "cc", "--address", "lab=127.0.0.1:1", "--dir", directory))
    assert refusal.startswith("no network runs on ")
    assert not Path(directory).exists()


@pytest.mark.parametrize("verb", ["down", "reset"])
def test_what_is_no_network_cannot_be_taken_down(tmp_path: Path, verb: str) -> None:
    missing = tmp_path / "missing"
    assert _refusal(run(verb, "--dir", str(missing))) == f"{missing} does not exist"
    assert _refusal(run(verb, "--dir", str(tmp_path))) == f"{tmp_path} holds no network"
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_does_not_run_is_down_already(tmp_path: Path) -> None:
    (tmp_path / "organizations").mkdir()  # begun, and interrupted before anything else
    ended = run("down", "--dir", str(tmp_path))
    assert (ended.exit_code, ended.output) == (0, f"no network was running on {tmp_path}\n")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--ledger", "fabric", "--fabric-bin", "{empty}"), "lacks Fabric's programs"),
        (("--ledger", "fabric", "--fabric-bin", "{empty}", "--detach"), "lacks Fabric's programs"),
        (("--org", "lab"), "--org and --host belong together"),
    ],
)
def test_what_cannot_start_makes_no_folder(tmp_path: Path, options: tuple[str, ...], problem: str) -> None:
    (tmp_path / "empty").mkdir()
    filled = [each.format(empty=tmp_path / "empty") for each in options]
    assert problem in _refusal(run("up", "--dir", str(tmp_path / "data"), *filled))
    assert not (tmp_path / "data").exists()


def test_chaincode_dials_where_the_flag_says_so(tmp_path: Path, topology_file: Path) -> None:
    directory = tmp_path / "data"
    up = ("up", "--detach", "--chaincode-dials", "--connections-per-address", "40", "--dir", str(directory))
    assert "--chaincode-dials and --connections-per-address are for" in _refusal(run(*up, "--ledger", "fabric"))
    assert not directory.exists()
    started = run(*up, "--topology", str(topology_file), "--json")
    assert started.exit_code == 0, started.output
    try:
        described = json.loads(started.stdout)
        topology = json.loads((directory / "topology.json").read_text())
        for organisation in topology["organisations"]:
            token = directory / "organizations" / "peerOrganizations" / organisation["domain"] / "chaincode-token"
            assert stat.S_IMODE(token.stat().st_mode) == 0o600
            host, port = organisation["chaincode"].rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=10):
                pass
    finally:
        assert run("down", "--dir", str(directory)).output == "stopped\n"
    assert described["chaincode_dials"] is True


def test_without_the_flag_no_chaincode_dials(network: Path) -> None:
    assert _described(network)["chaincode_dials"] is False
    assert list(network.rglob("chaincode-token")) == []


def test_the_table_of_exit_codes_stands_in_the_help_and_in_the_guide() -> None:
    shown = " ".join(run("--help").output.split())
    assert " ".join(EPILOG.replace("\b", "").split()) in shown
    guide = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))
    assert guide == {str(int(code)): meaning for code, meaning in MEANINGS.items()}
    assert set(MEANINGS) == set(Exit)


def test_a_refusal_and_wrong_arguments_end_as_the_table_says(tmp_path: Path) -> None:
    assert run("fsck", "--dir", str(tmp_path)).exit_code == Exit.FAILED
    assert run("status", "--dir", str(tmp_path)).exit_code == Exit.FAILED
    assert run("down", "--nowhere").exit_code == Exit.USAGE
    assert run("reset", "--dir", str(tmp_path), "--frequently").exit_code == Exit.USAGE


def test_logs_end_as_the_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "network.log").write_text("one line\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "tail").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "tail").chmod(0o700)
    assert run("logs", "--dir", str(tmp_path)).exit_code == Exit.FAILED


def test_a_bad_topology_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / "topology.yaml"
    path.write_text("organisations:\n  - {name: a, mspid: AMSP, domain: a.example, peer: nowhere}\n")
    result = run("up", "--dir", str(tmp_path / "data"), "--topology", str(path))
    assert _refusal(result) == f"{path}: organisations[0].peer: 'nowhere' is not HOST:PORT"
    assert not (tmp_path / "data").exists()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path, topology_file: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("up", "--dir", str(tmp_path / "file" / "data"), "--topology", str(topology_file))
    assert "file" in _refusal(result)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to the superuser")
def test_a_directory_that_is_not_writable_is_refused(tmp_path: Path, topology_file: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    result = run("up", "--dir", str(tmp_path / "closed" / "data"), "--topology", str(topology_file))
    assert "Permission denied" in _refusal(result)


def test_another_consortiums_directory_is_refused(tmp_path: Path, topology_file: Path) -> None:
    directory = tmp_path / "data"
    assert run("up", "--detach", "--dir", str(directory), "--topology", str(topology_file)).exit_code == 0
    assert run("down", "--dir", str(directory)).exit_code == 0
    document = default_topology(any_port=True).to_json()
    document["organisations"] = document["organisations"][:2]
    document["channels"] = [{"name": "pedigree"}]
    path = tmp_path / "smaller.json"
    path.write_text(json.dumps(document))
    refusal = _refusal(run("up", "--dir", str(directory), "--topology", str(path)))
    assert "belongs to" in refusal


def test_a_damaged_description_is_refused(network: Path, tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text("{")
    assert "is not JSON" in _refusal(run("down", "--dir", str(tmp_path)))


def test_status_says_which_peer_does_not_answer(network: Path, tmp_path: Path) -> None:
    described = _described(network)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        described["organisations"][2]["peer"] = f"127.0.0.1:{unused.getsockname()[1]}"
        original = (network / "network.json").read_text()
        try:
            (network / "network.json").write_text(json.dumps(described))
            result = run("status", "--json", "--dir", str(network))
        finally:
            (network / "network.json").write_text(original)
    assert result.exit_code == 1
    assert [entry["reachable"] for entry in json.loads(result.output)["organisations"]] == [True, True, False]


@pytest.mark.fabric
@pytest.mark.slow
@pytest.mark.skipif(
    not (Path(os.environ.get("FABRIC_BIN", "/opt/fabric/bin")) / "peer").exists(), reason="Fabric's programs are absent"
)
def test_the_same_verbs_work_on_fabric(tmp_path: Path, topology_file: Path) -> None:
    directory = tmp_path / "data"
    up = ("up", "--ledger", "fabric", "--detach", "--dir", str(directory), "--topology", str(topology_file))
    result = run(*up)
    assert result.exit_code == 0, result.output
    try:
        assert "is in use by process" in _refusal(run(*up))
        deploy = ("deploy", "basic", "--address", "lab=127.0.0.1:9806", "--dir", str(directory), "--json")
        first, again = (json.loads(run(*deploy).stdout) for _ in range(2))
        report = json.loads(run("status", "--json", "--dir", str(directory)).output)
    finally:
        assert run("down", "--dir", str(directory)).output == "stopped\n"
    assert (first["sequence"], first["changed"]) == (1, True)
    assert (again["sequence"], again["changed"]) == (1, False)
    assert report["ledger"] == "fabric"
    assert [entry["height"] for entry in report["organisations"]] == [report["organisations"][0]["height"]] * 3
    assert report["chaincodes"] == [{"name": "basic", "version": "1.0", "sequence": 1}]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("nonsense",), "nonsense"),
        (("deploy", "basic"), "--address"),
        (("deploy",), "NAME"),
        (("up", "--ledger", "other"), "--ledger"),
        (("up", "--topology", "/"), "--topology"),
        (("status", "--dir", __file__), "--dir"),
    ],
)
def test_wrong_arguments_are_one_line_that_names_them(arguments: tuple[str, ...], name: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert name in result.stderr
    assert "--help" in result.stderr


def test_a_port_that_cannot_be_had_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        document = default_topology(any_port=True).to_json()
        document["organisations"][0]["peer"] = f"127.0.0.1:{taken.getsockname()[1]}"
        path = tmp_path / "topology.json"
        path.write_text(json.dumps(document))
        for detach in ((), ("--detach",)):
            _refusal(run("up", *detach, "--dir", str(tmp_path / "data"), "--topology", str(path)))
    assert not (tmp_path / "data").exists()


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["status", "--dir", str(tmp_path / "none"), "--json", "--nonsense"])
    assert refused.exit_code == 2
    assert refused.stdout == ""
    said = json.loads(refused.stderr)
    assert said["exit_code"] == 2
    assert "--nonsense" in said["detail"]
