# SPDX-License-Identifier: Apache-2.0
"""Modules of our own as programs, each in a process that has nothing but its arguments and its standard input."""

import json
import subprocess
import sys
from typing import Final

_START: Final = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
"""Python isolated from its environment looks for modules where it is installed, which need not be where ours are."""
_ENVIRONMENT: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}


def started(module: str, *arguments: str, stdin: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    """A process that runs a module; its standard output is a pipe."""
    places = json.dumps([place for place in sys.path if place])
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-c", _START, places, module, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
    )
