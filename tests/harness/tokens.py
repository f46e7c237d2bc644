# SPDX-License-Identifier: Apache-2.0
"""SoftHSM2, a PKCS#11 token in software, for tests of keys that never leave theirs."""

import os
import shutil
import subprocess
from pathlib import Path

MODULES = (
    os.environ.get("SOFTHSM2_MODULE", ""),
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
MODULE = next((Path(each) for each in MODULES if each and Path(each).exists()), None)
TOOL = shutil.which("softhsm2-util")
MISSING = "NOT RUN: keys in tokens (no SoftHSM2: on Debian the package softhsm2)"
PIN = "1234567890"


def configured(folder: Path) -> Path:
    """A configuration whose tokens are below `folder`; to be named by SOFTHSM2_CONF."""
    (folder / "tokens").mkdir(parents=True)
    path = folder / "softhsm2.conf"
    path.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    return path


def initialise(configuration: Path, label: str) -> None:
    """Make a token with `PIN`."""
    assert TOOL is not None
    command = [TOOL, "--init-token", "--free", "--label", label, "--so-pin", "0987654321", "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOFTHSM2_CONF": str(configuration)})
