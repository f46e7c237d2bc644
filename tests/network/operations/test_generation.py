# SPDX-License-Identifier: Apache-2.0
"""Generations of chaincode containers: what is wanted survives the tool, and two stand beside each other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from network.containers.errors import ContainersError
from network.containers.files import make_files
from network.containers.generation import Generation
from network.containers.plan import expanded, make_plan
from network.operations.containerupgrade import _chaincodes, _write_both
from network.topology import default_topology


def test_what_is_wanted_is_remembered(tmp_path: Path) -> None:
    assert Generation.read(tmp_path) == Generation(1, None, None)
    (tmp_path / "containers").mkdir()
    wanted = Generation(2, "2.0", "pedigree/chaincode:2.0")
    wanted.write(tmp_path)
    assert Generation.read(tmp_path) == wanted
    for damage in ("{", "[]", json.dumps({"other": 1})):
        (tmp_path / "containers/chaincode.json").write_text(damage)
        with pytest.raises(ContainersError, match="is damaged: restore it from a backup"):
            Generation.read(tmp_path)


def test_the_next_start_follows_what_is_wanted(tmp_path: Path) -> None:
    topology = expanded(default_topology(any_port=True))
    first = make_plan(topology, tmp_path)
    member = first.topology.organisations[1]
    assert first.chaincode_name(member) == "chaincode.lab.example"
    Generation(2, "2.0", "site/chaincode:2").write(tmp_path)
    second = make_plan(topology, tmp_path)
    assert second.chaincode_name(member) == "chaincode2.lab.example"
    assert second.images.chaincode == "site/chaincode:2"
    assert second.images.gateway == first.images.gateway
    assert str(second.inside().organisations[1].chaincode) == "chaincode2.lab.example:7052"


def test_while_an_upgrade_lasts_both_generations_are_described(tmp_path: Path) -> None:
    plan = make_plan(expanded(default_topology(any_port=True)), tmp_path)
    make_files(plan, "1.0")
    former = _chaincodes(plan.compose_file)
    assert sorted(former) == ["chaincode.hospital.example", "chaincode.lab.example", "chaincode.regulator.example"]
    make_files(replace(plan, generation=Generation(2, "2.0")), "2.0")
    alone = yaml.safe_load(plan.compose_file.read_text())["services"]
    _write_both(plan.compose_file, former)
    both = yaml.safe_load(plan.compose_file.read_text())["services"]
    assert both.keys() - alone.keys() == former.keys()
    assert all(both[name] == each for name, each in former.items()), "the engine must find them unchanged"
    old, new = both["chaincode.lab.example"], both["chaincode2.lab.example"]
    assert old["environment"]["CHAINCODE_ID"].startswith("pedigree_1.0:")
    assert new["environment"]["CHAINCODE_ID"].startswith("pedigree_2.0:")
    assert plan.compose_file.stat().st_mode & 0o777 == 0o600
