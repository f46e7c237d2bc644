# SPDX-License-Identifier: Apache-2.0
"""Renews the law's table of unassigned characters: ``python tests/chaincode/domain/unicode_table.py``, on Python 3.11.

The table is of the Unicode version of the oldest Python that runs the law, so that it changes when that does.
"""

import re
import textwrap
import unicodedata
from pathlib import Path

from chaincode.domain import characters

TABLE = Path(characters.__file__)
_PARTS = re.compile(r'^VERSION: Final = "[^"]*"$|^RANGES: Final = """\n[^"]*"""$', re.MULTILINE)


def render() -> str:
    """The text of the module, with the table as this Python's Unicode database has it."""
    ranges: list[list[int]] = []
    for point in range(0x110000):
        if unicodedata.category(chr(point)) == "Cn":
            if ranges and ranges[-1][1] == point - 1:
                ranges[-1][1] = point
            else:
                ranges.append([point, point])
    words = " ".join(f"{first:x}-{last:x}" for first, last in ranges)
    table = textwrap.fill(words, 120, break_on_hyphens=False)
    parts = iter((f'VERSION: Final = "{unicodedata.unidata_version}"', f'RANGES: Final = """\n{table}\n"""'))
    text, replaced = _PARTS.subn(lambda _: next(parts), TABLE.read_text(encoding="utf-8"))
    if replaced != 2:
        raise ValueError(f"{TABLE} has no VERSION and RANGES")
    return text


if __name__ == "__main__":
    TABLE.write_text(render(), encoding="utf-8")
