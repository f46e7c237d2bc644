# SPDX-License-Identifier: Apache-2.0
"""A network of Fabric's own programs, backed up while it is down and brought back elsewhere; skipped without them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from network import overview
from network.lifecycle import Deployment, deploy, packages_for
from network.native import NativeError
from network.native.processes import Binaries
from network.packaging import Definition
from network.running import description
from network.topology import Endpoint

try:
    Binaries.find()
    MISSING = ""
except NativeError as error:
    MISSING = str(error)


@pytest.mark.fabric
@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"backups are NOT tried on Fabric: {MISSING}")
def test_fabric_is_backed_up_when_it_is_down_and_comes_back_elsewhere(
    tmp_path: Path, topology_file: Path, run: Callable[..., Any]
) -> None:
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "net.backup"
    phrase = tmp_path / "passphrase"
    phrase.write_text("correct horse battery\n")
    sealed = ("--passphrase-file", phrase)
    start = ("up", "--ledger", "fabric", "--detach")
    assert run(*start, "--dir", first, "--topology", topology_file).exit_code == 0
    try:
        _deployed(first, "1.0")
        report = json.loads(run("status", "--json", "--dir", first).output)
        refusal = run("backup", file, "--with-keys", *sealed, "--dir", first)
        assert refusal.exit_code == 1
        assert "Fabric's programs can be backed up only when they are down" in refusal.stderr
        assert not file.exists()
    finally:
        run("down", "--dir", first)
    assert run("backup", file, "--with-keys", *sealed, "--dir", first).exit_code == 0
    shutil.rmtree(first)
    assert run("restore", file, *sealed, "--dir", second).exit_code == 0
    result = run(*start, "--dir", second)
    assert result.exit_code == 0, result.output
    try:
        again = json.loads(run("status", "--json", "--dir", second).output)
        for key in ("organisations", "chaincodes", "channel"):
            assert again[key] == report[key]
        _deployed(second, "2.0")
        assert not [line for line in run("doctor", "--dir", second).output.splitlines() if "chaincode cc" not in line
                    and line.startswith("wrong")]  # fmt: skip
    finally:
        run("down", "--dir", second)


def _deployed(directory: Path, version: str) -> None:
    described = description(directory)
    addresses = {entry["mspid"]: Endpoint("127.0.0.1", 9) for entry in described["organisations"]}
    plan = Deployment(described["channel"], Definition.make("cc", version), packages_for("cc", version, addresses))
    with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
        deploy(plan, administrators, ordering)
