# SPDX-License-Identifier: Apache-2.0
"""Writes the law's table of licences from a copy of the SPDX licence list: ``make licences LIST=folder``.

The folder is a copy of https://github.com/spdx/license-list-data or of its ``json`` folder: ``licenses.json`` and
``exceptions.json`` are read, and nothing is downloaded. Every organisation must run the same table, so that a new one
is a new version of the chaincode.
"""

import json
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from chaincode.domain import spdx_ids

TABLE = Path(spdx_ids.__file__)

_TEMPLATE = '''# SPDX-License-Identifier: Apache-2.0
"""The identifiers of the SPDX licence list: licences and exceptions, deprecated ones included.

Written by ``make licences`` from the lists that are published at https://github.com/spdx/license-list-data; a list of
facts, kept as one text so that a new version of the list is one readable difference.
"""

from typing import Final

LIST_VERSION: Final = "{version}"

_LICENCES: Final = """
{licences}
"""

_EXCEPTIONS: Final = """
{exceptions}
"""

LICENCES: Final = frozenset(_LICENCES.split())
EXCEPTIONS: Final = frozenset(_EXCEPTIONS.split())
'''


def render(version: str, licences: Iterable[str], exceptions: Iterable[str]) -> str:
    """The text of the module."""
    return _TEMPLATE.format(version=version, licences=_columns(licences), exceptions=_columns(exceptions))


def read(folder: Path) -> tuple[str, set[str], set[str]]:
    """Version, licences and exceptions of a copy of the list; `ValueError` where the two files do not belong together.

    A version must have the form that the list's releases have: between them the files name a commit instead.
    """
    files = folder / "json" if (folder / "json").is_dir() else folder
    listed = json.loads((files / "licenses.json").read_text(encoding="utf-8"))
    excepted = json.loads((files / "exceptions.json").read_text(encoding="utf-8"))
    version = str(listed["licenseListVersion"])
    if excepted["licenseListVersion"] != version:
        raise ValueError(f"licenses.json is of version {version}, exceptions.json of {excepted['licenseListVersion']}")
    if not version.replace(".", "").isdigit():
        raise ValueError(f"'{version}' is no release of the list")
    licences = {str(entry["licenseId"]) for entry in listed["licenses"]}
    return version, licences, {str(entry["licenseExceptionId"]) for entry in excepted["exceptions"]}


def _columns(identifiers: Iterable[str]) -> str:
    ordered = sorted(identifiers, key=lambda identifier: (identifier.lower(), identifier))
    return textwrap.fill(" ".join(ordered), 120, break_on_hyphens=False, break_long_words=False)


def main(folder: Path) -> None:
    """Write the table, and say what is new and what is gone."""
    version, licences, exceptions = read(folder)
    gone = (spdx_ids.LICENCES - licences) | (spdx_ids.EXCEPTIONS - exceptions)
    fresh = (licences - spdx_ids.LICENCES) | (exceptions - spdx_ids.EXCEPTIONS)
    TABLE.write_text(render(version, licences, exceptions), encoding="utf-8")
    print(f"{TABLE.name}: {spdx_ids.LIST_VERSION} -> {version}; new: {' '.join(sorted(fresh)) or 'none'}")
    if gone:
        print(f"no longer listed, so that records under them cannot be read: {' '.join(sorted(gone))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
