# SPDX-License-Identifier: Apache-2.0
"""How the verdicts on what somebody signed are written, for people and for programs."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.fabric.certificates import Certificate

SHOWN: Final = "Shown by the signature:"
NOT_PROVEN: Final = "Not proven:"


def text_of(summary: str, *parts: tuple[str, Sequence[str]]) -> str:
    """A verdict for people: in one line, and then in lists with their titles; what is empty is left out."""
    lines = (line for title, items in parts if items for line in (title, *(f"  - {item}" for item in items)))
    return "\n".join([summary, *lines])


def json_of(
    verified: bool, *, proven: Sequence[str], said: Sequence[str], not_proven: Sequence[str], **about: Any
) -> dict[str, Any]:
    """A verdict for programs; `about` is what it is on."""
    return {
        "verified": verified,
        "verdict": "verified" if verified else "signature-not-checked",
        **about,
        "proven": list(proven),
        "said": list(said),
        "not_proven": list(not_proven),
    }


def signer_of(certificate: Certificate | None) -> dict[str, str] | None:
    """The signer for programs; None where the caller gave no certificate."""
    return None if certificate is None else {"subject": certificate.name, "serial": f"{certificate.serial:x}"}
