# SPDX-License-Identifier: Apache-2.0
"""What an organisation declares of those who may speak for it, out of its MSP folder."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.fabric.certificates import Certificate
from gateway.fabric.mspfolder import authorities_in

__all__ = ["declaration_of"]


def declaration_of(folder: Path, revoked: Iterable[str] = ()) -> dict[str, Any]:
    """The fields of the declaration; raises `MalformedData` naming the file, `ValueError` for a serial number.

    Args:
        revoked: serial numbers in hexadecimal, beside those on the folder's revocation lists.
    """
    found = authorities_in(folder)
    serials = {f"{serial:x}" for serial in found.revoked} | {_serial(each) for each in revoked}
    return {
        "roots": _encoded(found.roots),
        "intermediates": _encoded(found.intermediates),
        "revoked": sorted(serials),
        "units": list(found.units),
    }


def _encoded(certificates: Iterable[Certificate]) -> list[dict[str, str]]:
    return [{"der": base64.b64encode(each.der).decode()} for each in certificates]


def _serial(text: str) -> str:
    try:
        return f"{int(text.replace(':', ''), 16):x}"
    except ValueError:
        raise ValueError(f"{text!r} is not a serial number in hexadecimal") from None
