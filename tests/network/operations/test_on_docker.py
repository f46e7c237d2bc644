# SPDX-License-Identifier: Apache-2.0
"""Operators' verbs on a consortium in containers; needs Docker, the images and PEDIGREE_DOCKER=1: it takes minutes."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_consortium_is_upgraded_examined_backed_up_and_restored(
    tmp_path: Path, topology_file: Path, run: Callable[..., Any], why_no_containers: Callable[..., str | None]
) -> None:
    if (reason := why_no_containers()) is not None:
        pytest.skip(f"NOT RUN in containers: {reason}")
    first, second, file, phrase = (tmp_path / name for name in ("first", "second", "net.backup", "phrase"))
    phrase.write_text("correct horse battery\n")
    start = ("up", "--ledger", "fabric", "--run-as", "containers")
    with ExitStack() as closing:
        for directory in (first, second):
            closing.callback(run, "down", "--dir", directory)
        assert run(*start, "--dir", first, "--topology", topology_file).exit_code == 0
        upgraded = run("upgrade-chaincode", "pedigree", "--version", "2.0", "--dir", first)
        assert "upgraded pedigree 2.0 as sequence 2" in upgraded.output, upgraded.output
        names = {entry["name"] for entry in json.loads(run("status", "--json", "--dir", first).output)["containers"]}
        assert "chaincode2.lab.example" in names
        assert "chaincode.lab.example" not in names
        assert run("doctor", "--dir", first).exit_code == 0
        assert "only when they are down" in run("backup", file, "--dir", first).stderr
        report = json.loads(run("status", "--json", "--dir", first).output)
        assert run("down", "--dir", first).exit_code == 0
        made = run("backup", file, "--with-keys", "--passphrase-file", phrase, "--dir", first)
        assert made.exit_code == 0, made.output
        shutil.rmtree(first)
        assert run("restore", file, "--passphrase-file", phrase, "--dir", second).exit_code == 0
        again = run(*start, "--dir", second)
        assert again.exit_code == 0, again.output
        restored = json.loads(run("status", "--json", "--dir", second).output)
        assert restored["chaincodes"] == report["chaincodes"]
        assert min(entry["height"] for entry in restored["organisations"]) >= max(
            entry["height"] for entry in report["organisations"]
        )
