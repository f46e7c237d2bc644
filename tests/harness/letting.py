# SPDX-License-Identifier: Apache-2.0
"""Grants of access, as owners of sensitive data give them before others may use it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pedigree import Pedigree
    from pedigree.documents import AccessAction

RESEARCH = "https://w3id.org/dpv#ScientificResearch"
HOUR = 3_600_000
_numbers = itertools.count(1)


def let_in(
    owner: Pedigree,
    artifact: str,
    *,
    grantee: str = "LabMSP",
    purpose: str = RESEARCH,
    actions: Sequence[AccessAction] = ("process",),
) -> str:
    """Have the owner of data grant an hour of access to it; answers the reference to the grant."""
    data = artifact.partition(":")[2].replace(":", "-")
    given = owner.grant_access(
        f"{data}-let-in-{next(_numbers)}", grantee=grantee, artifact=artifact, purpose=purpose, actions=actions,
        expires=time.time_ns() // 1_000_000 + HOUR,
    )  # fmt: skip
    return given.reference
