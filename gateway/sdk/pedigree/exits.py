# SPDX-License-Identifier: Apache-2.0
"""How the `pedigree` command ends: one exit code for each kind of outcome, so that scripts need not read sentences."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; each has one meaning, whatever the verb."""

    DONE = 0
    DISAGREES = 1
    USAGE = 2
    UNPROVEN = 3
    REFUSED = 4
    NOT_FOUND = 5
    UNREACHABLE = 6
    UNAVAILABLE = 7
    FAILED = 8
    DEFECT = 70
    STOPPED = 130
    BROKEN_PIPE = 141

    @property
    def code(self) -> str:
        """What the outcome is called in JSON where nothing says it more exactly."""
        return self.name.lower().replace("_", "-")


MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done; what was checked agrees",
    Exit.DISAGREES: "what was checked differs, or evidence is refuted",
    Exit.USAGE: "wrong arguments",
    Exit.UNPROVEN: "evidence agrees with itself only: compare its root with a ledger that you trust",
    Exit.REFUSED: "refused by the gateway or the ledger's rules; the same request will be refused again",
    Exit.NOT_FOUND: "there is no such record",
    Exit.UNREACHABLE: "nothing answers at that address",
    Exit.UNAVAILABLE: "not done in the time allowed, or the outcome is not known: repeat it with the same key",
    Exit.FAILED: "something here is in the way: a file, a folder or a setting, which the error names",
    Exit.DEFECT: "a defect of this program; please report it",
    Exit.STOPPED: "stopped by Ctrl-C",
    Exit.BROKEN_PIPE: "the reader of the output has gone",
}
