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


_PIPE: Final = 1 << 20
"""Bytes that a pipe holds, where the system lets us: a frame is then written without a wait for its reader."""


def started(module: str, *arguments: str, stdin: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    """A process that runs a module; its standard output is a pipe."""
    places = json.dumps([place for place in sys.path if place])
    command = [sys.executable, "-I", "-c", _START, places, module, *arguments]
    try:
        return _run(command, stdin, _PIPE)
    except PermissionError:  # more than this user may have
        return _run(command, stdin, -1)


def _run(command: list[str], stdin: int, pipe: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
        pipesize=pipe,
    )
