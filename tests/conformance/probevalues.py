# SPDX-License-Identifier: Apache-2.0
"""How the probe reads arguments and writes answers."""

import json
from collections.abc import Callable, Iterable

from chaincode.shim import Response

Answer = bytes | Response | None
Function = Callable[..., Answer]


def text(values: Iterable[bytes]) -> list[str]:
    return [value.decode() for value in values]


def as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def shown(value: bytes | None) -> str | None:
    """A value as JSON can hold it; absence stays absence."""
    return None if value is None else value.decode()
