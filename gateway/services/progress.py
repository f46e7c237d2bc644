# SPDX-License-Identifier: Apache-2.0
"""How far one upload has come, for callers that ask after its operation."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.services.ports import Json


class Stage(StrEnum):
    """What is being done for a submission."""

    READING = "reading"
    RECORDING = "recording"


@dataclass(slots=True)
class Progress:
    """Written by the one thread that works, read by any; each field stands for itself."""

    bytes: int = 0
    """The size of the file."""
    bytes_read: int = 0
    records: int = 0
    """Records that were read, compared or hashed."""
    stage: Stage = Stage.READING

    def as_json(self) -> Json:
        """The progress for programs."""
        return {
            "stage": str(self.stage),
            "bytes": self.bytes,
            "bytes_read": self.bytes_read,
            "records": self.records,
        }


@dataclass(frozen=True, slots=True)
class Lengthy:
    """How a command is made that takes long, where the request does not wait for it."""

    progress: Progress
    detach: Callable[[], Callable[[], str]]
    """Takes over what the request holds, and returns what makes the command and then lets go of it; called once."""
