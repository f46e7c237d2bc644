# SPDX-License-Identifier: Apache-2.0
"""What a request is answered with, before it is put into bytes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.services.ports import Json


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, a JSON body and header fields."""

    body: Json
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterator[bytes] | None = None
    """Instead of a JSON body: the bytes of a file, which are sent as they are made."""
