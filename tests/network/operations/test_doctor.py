# SPDX-License-Identifier: Apache-2.0
"""`doctor` on real networks in real trouble: a real process, real sockets, real certificates."""

import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from network.material import ensure_material
from network.operations import machine, webprobes
from network.operations.facts import Consenter
from network.operations.ledgerprobes import gist
from network.operations.secretfiles import is_secret
from network.running import description
from network.topology import Endpoint, default_topology


@contextmanager
def serving(answers: dict[str, tuple[int, bytes]], ahead: float = 0.0) -> Iterator[str]:
    """A web server whose clock is `ahead` seconds ahead; answers `HOST:PORT`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[self.path]
            self.send_response_only(status)
            self.send_header("Date", formatdate(datetime.now(UTC).timestamp() + ahead, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def lines(run: Any, directory: Path, *more: str, code: int = 1) -> list[str]:
    result = run("doctor", "--dir", directory, *more)
    assert result.exit_code == code, result.output
    return list(result.output.splitlines())


def test_a_healthy_network_has_nothing_wrong(embedded: Path, run: Any) -> None:
    (line,) = lines(run, embedded, code=0)
    assert line.startswith("warning: chaincode pedigree: is not deployed on channel pedigree")
    answer = json.loads(run("doctor", "--json", "--dir", embedded).output)
    assert answer["ok"] is True
    assert answer["state"] == "running"
    assert answer["findings"][0]["about"] == "chaincode pedigree"


def test_a_process_that_hangs_is_found_within_seconds(embedded: Path, run: Any) -> None:
    pid = description(embedded)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        found = lines(run, embedded)
    finally:
        os.kill(pid, signal.SIGCONT)
    for name in ("hospital", "lab", "regulator"):
        assert any(line.startswith(f"wrong: peer0.{name}.example: runs, but does not answer") for line in found)


def test_a_key_that_others_may_read_is_found(embedded: Path, run: Any) -> None:
    key = embedded / "organizations/peerOrganizations/lab.example/ca/priv_sk"
    key.chmod(0o644)
    try:
        (line, _) = lines(run, embedded)
    finally:
        key.chmod(0o600)
    assert line.startswith("wrong: organizations/peerOrganizations/lab.example/ca/priv_sk: others than its owner")
    assert "(mode 644)" in line


def test_a_gateway_that_does_not_follow_is_found(embedded: Path, run: Any) -> None:
    body = json.dumps({"status": "starting", "trouble": "its peer does not answer"}).encode()
    with serving({"/readyz": (503, body)}, ahead=90) as address:
        found = lines(run, embedded, "--gateway", f"lab={address}")
    assert (
        f"wrong: gateway.lab.example at http://{address}: is not ready: its peer does not answer, starting; "
        in found[0]
    )
    assert "gateway.lab.example: its clock is 90 s ahead of" in found[1]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = f"127.0.0.1:{unused.getsockname()[1]}"
        found = lines(run, embedded, "--gateway", f"lab={gone}")
    assert "is not ready: it does not answer (Connection refused)" in found[0]


def test_a_taken_port_names_the_process_that_has_it(tmp_path: Path, topology_file: Path, run: Any) -> None:
    directory = tmp_path / "net"
    assert run("up", "--detach", "--dir", directory, "--topology", topology_file).exit_code == 0
    peer = Endpoint.parse(description(directory)["organisations"][1]["peer"])
    assert run("down", "--dir", directory).exit_code == 0
    assert len(lines(run, directory, code=0)) == 1, "a network that is down is in order"
    with socket.create_server((peer.host, peer.port)):
        (line, _) = lines(run, directory)
    assert line.startswith(f"wrong: port {peer}: peer0.lab.example is to listen there, but ")
    assert f"(process {os.getpid()}) does" in line


def test_certificates_that_end_soon_are_found_before_the_first_start(tmp_path: Path, run: Any) -> None:
    """Made so that their ten years are over in twenty days."""
    material_at = datetime.now(UTC) - timedelta(days=3650 - 20)
    ensure_material(default_topology(any_port=True), tmp_path / "net", at=material_at)
    found = [line for line in lines(run, tmp_path / "net") if line.startswith("wrong: organizations")]
    assert len(found) == 30, "eight roots, and two each of three peers, one orderer and seven users"
    assert {line.partition("this ")[2].partition(" certificate ends")[0] for line in found} == {
        "CA", "TLS CA", "TLS", "signing",
    }  # fmt: skip
    assert all(", in 19 days; " in line for line in found)


def test_a_file_that_holds_no_certificate_is_found(tmp_path: Path, run: Any) -> None:
    ensure_material(default_topology(any_port=True), tmp_path / "net")
    broken = "organizations/peerOrganizations/lab.example/peers/peer0.lab.example/tls/server.crt"
    (tmp_path / "net" / broken).write_text("nonsense")
    assert f"wrong: {broken}: holds no PEM certificate; restore it from a backup" in lines(run, tmp_path / "net")


def test_a_directory_without_a_network_is_looked_at_too(tmp_path: Path, run: Any) -> None:
    assert run("doctor", "--dir", tmp_path / "none").output.splitlines()[-1].startswith("warning: ")
    assert not (tmp_path / "none").exists(), "doctor changes nothing"


def test_containers_without_an_engine_are_one_line(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = lines(run, tmp_path / "none", "--run-as", "containers")
    assert found[0].startswith("wrong: docker: docker is not installed")


def test_processes_without_programs_are_one_line(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FABRIC_BIN", str(tmp_path))
    found = lines(run, tmp_path / "none", "--run-as", "processes")
    assert found[0].startswith(f"wrong: {tmp_path}: lacks Fabric's programs peer, orderer")


def test_a_broken_description_is_one_line(tmp_path: Path, run: Any) -> None:
    (tmp_path / "network.json").write_text("{")
    result = run("doctor", "--dir", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}/network.json is not JSON\n"


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("mount") is None, reason="mounting a small disk needs root")
def test_a_full_disk_is_found(tmp_path: Path, run: Any) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {place}"):
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        ensure_material(default_topology(any_port=True), place / "net")
        found = lines(run, place / "net")
        full = f"wrong: {place}/net: the disk is full: 0 MiB of 1 MiB are left; "
        assert [line for line in found if line.startswith(full)]
    finally:
        os.system(f"umount {place}")


def test_a_nodes_endpoint_tells_version_clock_and_metrics() -> None:
    metrics = b'consensus_etcdraft_is_leader{channel="c"} 1\nledger_blockchain_height{channel="c"} 12\n'
    with serving({"/version": (200, b'{"Version":"3.1.4"}'), "/metrics": (200, metrics)}, ahead=-75) as address:
        told = webprobes.ask("o1", address)
    assert told is not None
    assert told.version == "3.1.4"
    assert told.clock is not None
    assert told.clock.ahead_s == pytest.approx(-75, abs=1.5)
    assert told.clock.uncertain_s < 5
    assert webprobes.consenter("o1", "c", told, "raft") == Consenter("o1", True, True, 12, None)
    assert webprobes.consenter("o1", "other", told, "raft") == Consenter("o1", True, False, 0, None)
    assert webprobes.consenter("o1", "c", None, "raft") == Consenter("o1", False)


def test_a_node_that_is_silent_or_talks_nonsense_tells_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert webprobes.ask("o1", f"127.0.0.1:{silent.getsockname()[1]}") is None
    with serving({"/version": (200, b"[]"), "/metrics": (200, b"")}) as address:
        told = webprobes.ask("o1", address)
    assert told is not None
    assert told.version is None


def test_the_innermost_reason_is_quoted() -> None:
    nested = (
        'could not launch x: connection error: desc = "transport: error while dialing: dial tcp 127.0.0.1:1: refused"'
    )
    assert gist(nested) == "dial tcp 127.0.0.1:1: refused"
    assert gist("x" * 500 + "the end").endswith("the end")
    assert len(gist("x" * 500)) == 200


def test_nobody_listens_on_a_port_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"(process {os.getpid()})" in machine.holder_of(port)
        assert machine.is_taken(Endpoint("127.0.0.1", port))
    assert machine.holder_of(port) == ""
    assert not machine.is_taken(Endpoint("127.0.0.1", port))


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("organizations/x/ca/priv_sk", True),
        ("organizations/x/msp/keystore/whatever.pem", True),
        ("gateways/lab/secret", True),
        ("gateways/lab/identity/wallet/gateway.pem", True),
        ("registrars/lab/admin.secret", True),
        ("a/tls/server.key", True),
        ("a/tls/server.crt", False),
        ("a/msp/signcerts/cert.pem", False),
        ("topology.json", False),
    ],
)
def test_secret_files_are_known_by_name_and_place(name: str, secret: bool) -> None:
    assert is_secret(Path(name)) is secret
