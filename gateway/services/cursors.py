# SPDX-License-Identifier: Apache-2.0
"""Cursors: where a page ended, sealed together with what was asked.

The seal is not a secret. It tells a cursor that was cut, altered or made for another list from one that can be used, on
every gateway of the ledger and after a restart or a rebuild; who forges one sees no more than the list itself shows.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import astuple
from typing import Final

from gateway.services.conditions import Where, conditions
from gateway.services.filters import InvalidParameter

LONGEST_CURSOR: Final = 1_024
"""Characters; the longest name takes fewer than 100 of them."""
_SEAL: Final = 9


def closed(place: str | None, kind: str, where: Where) -> str | None:
    """The cursor for what follows after a place in the list of a kind with these conditions."""
    return None if place is None else sealed(place, _asked(kind, where))


def opened(cursor: str | None, kind: str, where: Where) -> str | None:
    """The place in a cursor; raises `InvalidParameter` for anything but a `next` of this very list."""
    return unsealed(cursor, _asked(kind, where))


def sealed(place: str, asked: bytes) -> str:
    """The cursor for what follows after a place in the list of what was asked."""
    content = place.encode()
    return base64.urlsafe_b64encode(_seal(content, asked) + content).decode("ascii")


def unsealed(cursor: str | None, asked: bytes) -> str | None:
    """The place in a cursor of the list of what was asked; raises `InvalidParameter`."""
    if cursor is None:
        return None
    try:
        # Read and written again: several texts stand for the same bytes.
        found = b"" if len(cursor) > LONGEST_CURSOR else base64.b64decode(cursor.encode("ascii"), b"-_", validate=True)
        content = found[_SEAL:]
        if found[:_SEAL] == _seal(content, asked) and sealed(content.decode(), asked) == cursor:
            return content.decode()
    except (UnicodeError, binascii.Error):
        pass
    raise InvalidParameter("cursor", "it must be the 'next' of an earlier page of this list, with the same filters")


def _asked(kind: str, where: Where) -> bytes:
    asked = sorted(json.dumps([type(each).__name__, *astuple(each)]) for each in conditions(where))
    return json.dumps([kind, asked]).encode()


def _seal(content: bytes, asked: bytes) -> bytes:
    return hashlib.sha256(asked + content).digest()[:_SEAL]
