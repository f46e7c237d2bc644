# SPDX-License-Identifier: Apache-2.0
"""Which generation of chaincode containers a network is meant to run; an upgrade starts the next beside the present.

The file says what is wanted, not what runs: a tool that is killed during an upgrade leaves a wish that the next `up`
or the repeated upgrade fulfils.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from network.containers.errors import ContainersError
from network.profiles import write_json

__all__ = ["Generation"]

_FILE = "chaincode.json"


@dataclass(frozen=True, slots=True)
class Generation:
    """The chaincode containers of a network, counted from 1."""

    number: int = 1
    version: str | None = None
    """What the chaincode is deployed as; None for the version of this program."""
    image: str | None = None
    """None for the usual one."""

    @classmethod
    def read(cls, directory: Path) -> "Generation":
        """What a directory wants, the first generation where it never wanted another; raises `ContainersError`."""
        path = directory / "containers" / _FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except (ValueError, TypeError) as error:
            raise ContainersError(f"{path} is damaged: restore it from a backup") from error

    def write(self, directory: Path) -> None:
        """Want this from now on; raises `OSError`."""
        write_json(directory / "containers" / _FILE, asdict(self))
