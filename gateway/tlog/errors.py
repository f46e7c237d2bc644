# SPDX-License-Identifier: Apache-2.0
"""What is refused of a log, and how it is said: a clause without a full stop, which fits behind `FILE: `."""

from typing import Final

_MOST_SHOWN: Final = 100


class TlogError(Exception):
    """What was read is not acceptable; the text says why, and is safe to print."""


class MalformedKey(TlogError):
    """It is not a verifier key, or one of an algorithm that is not known here."""


class MalformedNote(TlogError):
    """It is not a signed note (c2sp.org/signed-note)."""


class MalformedCheckpoint(TlogError):
    """The text of a note is not a checkpoint (c2sp.org/tlog-checkpoint)."""


class MalformedProof(TlogError):
    """It is not a proof of inclusion (c2sp.org/tlog-proof)."""


class MalformedPolicy(TlogError):
    """It is not a trust policy (c2sp.org/tlog-policy)."""


class BadSignature(TlogError):
    """A signature line bears the name and the id of a known key, and that key did not sign."""


class RefutedReceipt(TlogError):
    """A receipt is well formed, and does not prove what it was asked to prove."""


def shown(value: str | bytes) -> str:
    """Text from outside in quotation marks: in one line, printable, and cut where it is long."""
    # A line can have megabytes: what is shown of it is cut before anything is made of it.
    beginning = value[: 4 * _MOST_SHOWN + 1]
    text = beginning.decode("utf-8", "backslashreplace") if isinstance(beginning, bytes) else beginning
    cut = text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
    return "'" + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in cut) + "'"
