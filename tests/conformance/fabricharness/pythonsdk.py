# SPDX-License-Identifier: Apache-2.0
"""fabric-sdk-py 1.0.0 in an environment of its own, installed from the lock files of tests/foreign."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabricharness.ledgers import REPOSITORY

FOREIGN = REPOSITORY / "tests" / "foreign" / "fabric_sdk_py"
LOCKS = (FOREIGN / "build.lock", FOREIGN / "requirements-fabric-sdk-py.lock")
"""In this order: some packages exist as source alone and are built with what the first one names."""
INSTALL_S = 300


class NotInstalled(Exception):
    """The environment cannot be made here; the message says why."""


def installed() -> Path:
    """The Python of the environment, made once for each content of the lock files; raises `NotInstalled`."""
    locked = b"".join(lock.read_bytes() for lock in LOCKS) + sys.version.encode()
    folder = REPOSITORY / "build" / "fabric-sdk-py" / hashlib.sha256(locked).hexdigest()[:16]
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        for lock in LOCKS:
            options = ("--no-deps", "--no-build-isolation", "--no-compile", "--require-hashes")
            _run(str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install", *options, "-r", str(lock))
        (folder / "installed").touch()
    return python


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{command[-1]} is not installed after {INSTALL_S} s") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise NotInstalled(said[-1].strip())


def drive(python: Path, described: Mapping[str, Any]) -> Any:
    """Run a scenario and answer its result."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(FOREIGN),
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",
    }
    command = [str(python), "-W", "ignore", str(FOREIGN / "drive.py")]
    asked = json.dumps(described)
    done = subprocess.run(
        command, input=asked, capture_output=True, text=True, timeout=110, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
