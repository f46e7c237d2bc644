# SPDX-License-Identifier: Apache-2.0
"""Fabric's official Node client and runtime, installed from the lock file of tests/foreign."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabricharness.ledgers import REPOSITORY

FOREIGN = REPOSITORY / "tests" / "foreign"
LEAST_NODE = 20
INSTALL_S = 300


def missing() -> str | None:
    """Why nothing of Node's can run here, or None."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no node or no npm"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < LEAST_NODE:
        return f"node is {version}, and at least {LEAST_NODE} is needed"
    return None


def installed() -> Path:
    """A folder with `node_modules` from the lock file, and the programs beside it; kept for the next session."""
    lock = (FOREIGN / "package-lock.json").read_bytes()
    folder = REPOSITORY / "build" / "foreign" / hashlib.sha256(lock).hexdigest()[:16]
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOREIGN / name, folder / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        assert done.returncode == 0, done.stderr
        (folder / "installed").touch()
    for name in ("chaincode", "client", "oidc"):
        shutil.copytree(FOREIGN / name, folder / name, dirs_exist_ok=True)
    return folder


def drive(folder: Path, scenario: str, described: Mapping[str, Any]) -> Any:
    """Run a scenario of the Node client and answer its result."""
    command = ["node", "--no-warnings", str(folder / "client" / "driver.js"), scenario]
    asked = json.dumps(described)
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
