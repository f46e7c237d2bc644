# SPDX-License-Identifier: Apache-2.0
"""fabric-sdk-py 1.0.0 in an environment of its own, installed from the lock files of tests/foreign."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabricharness import environments
from fabricharness.environments import REPOSITORY

FOREIGN = REPOSITORY / "tests" / "foreign" / "fabric_sdk_py"
LOCKS = (FOREIGN / "build.lock", FOREIGN / "requirements-fabric-sdk-py.lock")
"""In this order: some packages exist as source alone and are built with what the first one names."""


def installed() -> Path:
    """The Python of the environment; raises `NotInstalled`."""
    return environments.installed("fabric-sdk-py", LOCKS)


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
