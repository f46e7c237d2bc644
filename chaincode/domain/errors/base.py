# SPDX-License-Identifier: Apache-2.0
"""The root and the families of the refusals."""

from dataclasses import dataclass, fields
from typing import ClassVar

Fact = str | int | tuple[str, ...]


@dataclass
class LedgerError(Exception):
    """Base of every refusal; never raised itself."""

    code: ClassVar[str] = ""
    sentence: ClassVar[str] = ""

    def facts(self) -> dict[str, Fact]:
        """The fields of this refusal by name, in the order of their declaration."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        shown = {name: " → ".join(fact) if isinstance(fact, tuple) else fact for name, fact in self.facts().items()}
        return self.sentence.format(**shown)


class Malformed(LedgerError):
    """The input cannot be understood."""


class NotFound(LedgerError):
    """Something that the command names is not on the ledger."""


class Conflict(LedgerError):
    """The ledger already holds something that excludes this."""


class Forbidden(LedgerError):
    """The caller's organisation may not do this."""


class Unmet(LedgerError):
    """A rule of the law is not satisfied."""
