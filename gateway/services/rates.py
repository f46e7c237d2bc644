# SPDX-License-Identifier: Apache-2.0
"""How many requests there may be in how many seconds."""

import re
from dataclasses import dataclass
from typing import Final, Self

_FORM: Final = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,4})")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in any so many seconds, as `600/60` says it."""

    requests: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rate; raises `ValueError` that says what would be one."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:40]!r} is not a rate: REQUESTS/SECONDS, such as 600/60")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds}"
