# SPDX-License-Identifier: Apache-2.0
"""What this client says of a comparison that it makes itself; a gateway's is in `documents`."""

from collections.abc import Sequence
from typing import TypedDict


class ModelComparison(TypedDict):
    """What `verify_model` answers: the paths of the files that differ."""

    model: str
    number: int
    verified: bool
    changed: Sequence[str]
    added: Sequence[str]
    removed: Sequence[str]
