# SPDX-License-Identifier: Apache-2.0
"""What is refused of sealed bytes and of keys, and how it is said: a clause without a full stop."""


class SealError(Exception):
    """What was given cannot be sealed or opened; the text says why, and is safe to print."""


class MalformedBlob(SealError):
    """It is not a sealed blob, or not one of a form that is known here."""


class DamagedBlob(SealError):
    """A sealed blob does not open: `chunk` is the number of the one that is refused, from 0."""

    def __init__(self, text: str, chunk: int) -> None:
        super().__init__(text)
        self.chunk = chunk


class WrongKey(SealError):
    """A key is not the one that a blob names, or a wrapped key does not open with the key that is there."""


class MissingKey(SealError):
    """The key that a wrapped key names is not here."""


class MalformedKey(SealError):
    """It is not a key of a form that is known here."""


class MalformedStatement(SealError):
    """It is not a statement of one who fetches data."""


class RefutedStatement(SealError):
    """A statement is well formed, and was not signed by the one it says."""


class WrongLength(SealError):
    """What came to be sealed has another length than the header says, or a range lies outside."""
