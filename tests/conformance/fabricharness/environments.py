# SPDX-License-Identifier: Apache-2.0
"""Python environments apart from the project's own, each installed from lock files: for what others wrote."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
INSTALL_S = 300


class NotInstalled(Exception):
    """The environment cannot be made here; the message says why."""


def installed(name: str, locks: Sequence[Path]) -> Path:
    """The Python of an environment, made once for each content of the lock files; raises `NotInstalled`."""
    locked = b"".join(lock.read_bytes() for lock in locks) + sys.version.encode()
    folder = REPOSITORY / "build" / name / hashlib.sha256(locked).hexdigest()[:16]
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        for lock in locks:
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
