# SPDX-License-Identifier: Apache-2.0
"""Whom Prometheus is told to scrape, when certificates end, and the commands that say so."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from network.cli import main
from network.material import ensure_material
from network.monitoring.certificates import certificate_metrics
from network.monitoring.targets import find_targets
from network.native import render
from network.native.plan import make_plan
from network.profiles import write_json
from network.topology import Endpoint, default_topology


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def test_processes_are_found_where_their_configuration_says(tmp_path: Path) -> None:
    plan = make_plan(default_topology(any_port=True), tmp_path)
    for organisation in plan.organisations:
        peer = organisation.peer
        render.write(plan.home(peer) / "core.yaml", render.core(plan, peer, tmp_path))
    for node in plan.orderers:
        render.write(plan.home(node) / "orderer.yaml", render.orderer(plan, node))
    found = {target.name: target for target in find_targets(plan.topology, tmp_path)}
    for node in plan.nodes():
        assert found[node.host].address == f"127.0.0.1:{node.operations_port}"
    assert {target.job for target in found.values()} == {"orderer", "peer", "gateway"}
    assert found["gateway.regulator.example"].address == "127.0.0.1:8113"
    assert found["peer0.lab.example"].organisation == "lab"


def test_containers_are_found_by_the_ports_that_they_are_published_on(tmp_path: Path) -> None:
    ports = {
        "peer0.hospital.example/operations": 20001,
        "peer1.hospital.example/operations": 20002,
        "orderer1.orderer.example/operations": 20003,
        "orderer1.orderer.example/admin": 20004,
        "ca.hospital.example": 20005,
        "ca.lab.example/operations": 20006,
        "gateway.hospital.example": 20007,
        "gateway.hospital.example/health": 20008,
    }
    (tmp_path / "containers").mkdir()
    write_json(tmp_path / "containers" / "ports.json", ports)
    found = {(target.job, target.name): target.address for target in find_targets(default_topology(), tmp_path)}
    assert found == {
        ("orderer", "orderer1.orderer.example"): "127.0.0.1:20003",
        ("peer", "peer0.hospital.example"): "127.0.0.1:20001",
        ("peer", "peer1.hospital.example"): "127.0.0.1:20002",
        ("ca", "ca.lab.example"): "127.0.0.1:20006",
        ("gateway", "gateway.hospital.example"): "127.0.0.1:20008",
        ("gateway", "gateway.lab.example"): "127.0.0.1:8112",
        ("gateway", "gateway.regulator.example"): "127.0.0.1:8113",
    }


def test_a_domain_that_ends_like_another_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    write_json(tmp_path / "containers" / "ports.json", {"peer0.north.lab.example/operations": 20001})
    assert [target.job for target in find_targets(default_topology(), tmp_path)] == ["gateway"] * 3


def test_gateways_may_be_elsewhere_and_a_node_exporter_beside_them(tmp_path: Path) -> None:
    elsewhere = {"lab": Endpoint("gateway.lab.example", 443)}
    found = find_targets(default_topology(), tmp_path, gateways=elsewhere, node="127.0.0.1:9100")
    assert [target.address for target in found] == [
        "127.0.0.1:8111", "gateway.lab.example:443", "127.0.0.1:8113", "127.0.0.1:9100",
    ]  # fmt: skip


def test_the_command_writes_what_prometheus_and_grafana_are_given(tmp_path: Path) -> None:
    directory, folder = tmp_path / "network", tmp_path / "out"
    result = run("monitoring", "--dir", str(directory), "--out", str(folder), "--node", "127.0.0.1:9100", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert sorted(answer["files"]) == sorted(path.name for path in folder.iterdir())
    configuration = yaml.safe_load((folder / "prometheus.yaml").read_text(encoding="utf-8"))
    assert [job["job_name"] for job in configuration["scrape_configs"]] == ["gateway", "node"]
    assert configuration["rule_files"] == ["rules.yaml"]
    assert json.loads((folder / "dashboard.json").read_text(encoding="utf-8"))["title"] == "Pedigree"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--gateway", "clinic=127.0.0.1:1"], "--gateway: no organisation is called 'clinic'"),
        (["--gateway", "lab"], "--gateway: 'lab' is not ORG=HOST:PORT"),
        (["--gateway", "lab=127.0.0.1:1", "--gateway", "lab=127.0.0.1:2"], "--gateway: lab is named twice"),
        (["--node", "here"], "--node: 'here' is not HOST:PORT"),
    ],
)
def test_what_is_wrong_with_the_command_is_told_in_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    result = run("monitoring", "--dir", str(tmp_path), *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("containers/ports.json", "[]"),
        ("containers/ports.json", "{"),
        ("fabric/peer0.lab.example/core.yaml", "operations: {}"),
        ("fabric/peer0.lab.example/core.yaml", "operations: {listenAddress: here}"),
        ("fabric/orderer1.orderer.example/orderer.yaml", "]"),
    ],
)
def test_files_that_name_no_ports_are_named(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text, encoding="utf-8")
    result = run("monitoring", "--dir", str(tmp_path))
    assert result.exit_code == 1
    assert str(tmp_path / file) in result.stderr


def test_every_certificate_is_told_with_its_end(tmp_path: Path) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    ensure_material(default_topology(), tmp_path, at=begin)
    text = certificate_metrics(tmp_path)
    for part in (
        "/ca/ca.lab",
        "/tlsca/tlsca.lab",
        "peer0.lab.example/tls/server.crt",
        "User1@lab.example/msp/signcerts/",
    ):
        lines = [line for line in text.splitlines() if part in line and not line.startswith("#")]
        assert lines, part
        assert all(line.startswith("pedigree_certificate_end_timestamp_seconds{") for line in lines)
        years = (float(lines[0].rpartition(" ")[2]) - begin.timestamp()) / 86400 / 365
        assert 9.9 < years <= 10
    assert 'organisation="lab.example"' in text


def test_the_command_replaces_the_file_of_the_collector(tmp_path: Path, shared_directory: Path) -> None:
    file = tmp_path / "pedigree.prom"
    file.write_text("old", encoding="utf-8")
    assert run("certificates", "--dir", str(shared_directory), "--out", str(file)).exit_code == 0
    assert file.read_text(encoding="utf-8") == run("certificates", "--dir", str(shared_directory)).stdout
    assert list(tmp_path.iterdir()) == [file]


def test_no_certificates_and_broken_ones_are_refused(tmp_path: Path, shared_directory: Path) -> None:
    result = run("certificates", "--dir", str(tmp_path))
    assert result.exit_code == 1
    assert "holds no certificates" in result.stderr
    shutil.copytree(shared_directory / "organizations", tmp_path / "organizations")
    broken = tmp_path / "organizations/peerOrganizations/lab.example/ca/ca.lab.example-cert.pem"
    broken.write_text("not a certificate", encoding="ascii")
    result = run("certificates", "--dir", str(tmp_path), "--out", str(tmp_path / "it.prom"))
    assert f"{broken}: holds no PEM certificate" in result.stderr
    assert not (tmp_path / "it.prom").exists()
