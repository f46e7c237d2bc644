# SPDX-License-Identifier: Apache-2.0
"""Writes the law's table of unassigned characters: ``python tests/chaincode/domain/unicode_table.py``, on Python 3.11.

The table is of the Unicode version of the oldest Python that runs the law, so that it changes when that does.
"""

import textwrap
import unicodedata
from pathlib import Path

from chaincode.domain import unassigned

TABLE = Path(unassigned.__file__)

_TEMPLATE = '''# SPDX-License-Identifier: Apache-2.0
"""The code points that Unicode {version} does not assign (general category Cn), as ranges in hexadecimal.

Every peer must decide alike, whichever Python runs its law, and Pythons know different versions of Unicode. This is
the version of the oldest one that is supported. A character of a later version is refused until the table is renewed;
for those of this one, normal form C is the same everywhere (Unicode's stability policy).
"""

from typing import Final

VERSION: Final = "{version}"

RANGES: Final = """
{ranges}
"""
'''


def render() -> str:
    """The text of the module, as this Python's Unicode database has it."""
    ranges: list[list[int]] = []
    for point in range(0x110000):
        if unicodedata.category(chr(point)) == "Cn":
            if ranges and ranges[-1][1] == point - 1:
                ranges[-1][1] = point
            else:
                ranges.append([point, point])
    words = " ".join(f"{first:x}-{last:x}" for first, last in ranges)
    version = unicodedata.unidata_version
    return _TEMPLATE.format(version=version, ranges=textwrap.fill(words, 120, break_on_hyphens=False))


if __name__ == "__main__":
    TABLE.write_text(render(), encoding="utf-8")
