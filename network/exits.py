# SPDX-License-Identifier: Apache-2.0
"""How the `pedigree-network` command ends: one exit code for each kind of outcome."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; each has one meaning, whatever the verb."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3
    STOPPED = 130


MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done; what was asked about is as it should be",
    Exit.FAILED: "not done, which the error explains; or what was looked at is not as it should be",
    Exit.USAGE: "wrong arguments",
    Exit.WAITING: "`up --org` has come as far as it can, and names what the others must do before it goes on",
    Exit.STOPPED: "stopped by Ctrl-C",
}

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {int(code):<4} {meaning}" for code, meaning in MEANINGS.items())
"""The table for `--help`."""
