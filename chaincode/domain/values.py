# SPDX-License-Identifier: Apache-2.0
"""The vocabulary that everything shares: names, digests, instants and references.

Each type checks itself when it is made, so that a value that exists is a value that is well formed. A refusal here
is `InvalidField` or `NotNormalised` with an empty pointer; the codec puts the pointer in.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Self

from chaincode.domain.errors import DatedInTheFuture, InvalidField, RepeatedEntry
from chaincode.domain.text import FilePath as FilePath
from chaincode.domain.text import Setting as Setting
from chaincode.domain.text import Text as Text

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

_ORG: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_ROLE: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?")
_TERRITORY: Final = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
_ACTING: Final = re.compile(r"[0-9a-f]{32}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_IRI: Final = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{0,239}")
_CLIENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:/@+=-]{0,127}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_REFERENCE: Final = re.compile(rf"[a-z]+(?:-[a-z]+)*(?::{_NAME.pattern}){{1,4}}")


class _Pattern(str):
    """A string of one fixed form."""

    __slots__ = ()
    _form: re.Pattern[str]
    _said: str

    def __new__(cls, value: str) -> Self:
        if cls._form.fullmatch(value) is None:
            raise InvalidField("", f"it must be {cls._said}")
        return super().__new__(cls, value)


class OrgId(_Pattern):
    """An organisation, by the id of its membership service provider (MSP).

    Fabric itself asks only that an MSP id is not empty. Its signature policies (``common/policydsl``), in which every
    member is named, take letters, digits, dots and hyphens of ASCII. The length, and a letter or digit at both ends,
    are the law's: the id also names files and folders and is used on command lines.
    """

    __slots__ = ()
    _form = _ORG
    _said = "an MSP id: 1 to 64 letters, digits, dots and hyphens, with a letter or digit at both ends"


class Name(_Pattern):
    """The identifier of a data set, a model, a run and the like, unique in the consortium within its kind."""

    __slots__ = ()
    _form = _NAME
    _said = "1 to 64 lower-case letters, digits, dots, underscores and hyphens, with a letter or digit at both ends"


class Role(_Pattern):
    """What an organisation is in the consortium, such as ``auditor``."""

    __slots__ = ()
    _form = _ROLE
    _said = "a role: 1 to 32 lower-case letters, digits and hyphens, beginning with a letter"


class ClientId(_Pattern):
    """Who of an organisation acts, by an id that only the organisation can resolve: no name and no address."""

    __slots__ = ()
    _form = _CLIENT
    _said = "an id of 1 to 128 characters: letters, digits and ._~:/@+=- after a letter or digit"


class Iri(_Pattern):
    """A term of a vocabulary on the Web, such as ``https://w3id.org/dpv#ScientificResearch``; ASCII only (RFC 3986)."""

    __slots__ = ()
    _form = _IRI
    _said = "an absolute IRI in ASCII that begins with https:// or http://, of at most 240 characters after that"


class Territory(_Pattern):
    """A country or region: ISO 3166-1 alpha-2 (or EU), or a subdivision of ISO 3166-2, such as ``DE-BY``."""

    __slots__ = ()
    _form = _TERRITORY
    _said = "a territory such as 'DE', 'EU' or 'US-WI'"


class CommitId(_Pattern):
    """A git commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits."""

    __slots__ = ()
    _form = _COMMIT
    _said = "a git commit id of 40 or 64 lower-case hexadecimal digits"


class ActingClient(_Pattern):
    """Who called a gateway, as that gateway names it on the ledger: 32 digits that say nothing to anybody else."""

    __slots__ = ()
    _form = _ACTING
    _said = "an acting client of 32 lower-case hexadecimal digits"


class Digest(bytes):
    """A SHA-256 digest, 32 bytes; written as 64 lower-case hexadecimal digits: ``Digest.parse(str(d)) == d``."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        if len(value) != 32:
            raise InvalidField("", "it must be a SHA-256 digest of 32 bytes")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the 64 hexadecimal digits; `InvalidField` for anything else, capitals included."""
        if _HEX.fullmatch(text) is None:
            raise InvalidField("", "it must be a SHA-256 digest of 64 lower-case hexadecimal digits")
        return cls(bytes.fromhex(text))

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"Digest.parse('{self.hex()}')"


class Blob(bytes):
    """Bytes carried as they are; written in base64 (RFC 4648, section 4): ``Blob.parse(str(b)) == b``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read padded base64; `InvalidField` for anything that would not be written so."""
        try:
            value = b64decode(text, validate=True)
        except ValueError:
            raise InvalidField("", "it must be base64") from None
        if b64encode(value).decode() != text:
            raise InvalidField("", "it must be base64 in its canonical form")
        return cls(value)

    def __str__(self) -> str:
        return b64encode(self).decode()

    def __repr__(self) -> str:
        return f"Blob({bytes(self)!r})"


class Count(int):
    """A whole number from 0 to 2^53−1."""

    __slots__ = ()
    _least = 0
    _most = MAX_INTEGER

    def __new__(cls, value: int) -> Self:
        if not cls._least <= value <= cls._most:
            raise InvalidField("", f"it must be a whole number from {cls._least} to {cls._most}")
        return super().__new__(cls, value)


class Number(Count):
    """The number of a version, a policy or a round, from 1 to 999,999,999."""

    __slots__ = ()
    LAST: ClassVar = 999_999_999
    _least = 1
    _most = LAST

    @classmethod
    def after(cls, number: int, pointer: str) -> Self:
        """The next one; `InvalidField` at `pointer` where `number` is the last."""
        if number >= cls._most:
            raise InvalidField(pointer, f"it has reached {cls._most}, the last number there is")
        return cls(number + 1)


class Seconds(Count):
    """A duration in whole seconds, from 1 to 100 years of 365.25 days."""

    __slots__ = ()
    _least = 1
    _most = 3_155_760_000


class Instant(Count):
    """Milliseconds since 1970-01-01T00:00:00Z, up to the end of the year 9999, the last that RFC 3339 can write."""

    __slots__ = ()
    _most = 253_402_300_799_999

    def plus(self, duration: Seconds) -> Self:
        """When `duration` has passed; the last instant there is where that would be later."""
        return type(self)(min(self + 1_000 * duration, self._most))


class SignedInstant(Instant):
    """Milliseconds since 1970-01-01T00:00:00Z, negative before: from the year 1 to the end of the year 9999."""

    __slots__ = ()
    _least = -62_135_596_800_000


class Purposes(int):
    """A set of up to 64 purposes, one bit each; written as 16 hexadecimal digits: ``Purposes.parse(str(p)) == p``."""

    __slots__ = ()

    def __new__(cls, value: int) -> Self:
        if not 0 <= value < 2**64:
            raise InvalidField("", "it must be a set of purposes of 64 bits")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the 16 lower-case hexadecimal digits, most significant first."""
        if re.fullmatch(r"[0-9a-f]{16}", text) is None:
            raise InvalidField("", "it must be a set of purposes of 16 lower-case hexadecimal digits")
        return cls(int(text, 16))

    def __str__(self) -> str:
        return f"{int(self):016x}"


class Record:
    """What the ledger keeps; every record has its own key."""

    __slots__ = ()


class Command:
    """What an organisation asks for; it carries everything that the rule needs and the ledger does not hold."""

    __slots__ = ()


class Query:
    """A question that is evaluated and never ordered."""

    __slots__ = ()


class Answer:
    """What a query is answered with; it is never on the ledger."""

    __slots__ = ()


class Event:
    """What a transaction announces; its name is the name of its class."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule decided: the records to write, the principal one first, and the one event."""

    writes: tuple[Record, ...]
    event: Event


class ArtifactKind(StrEnum):
    """The kinds of artifact that pass through stages: those whose rows in the register name a digest."""

    DATASET_VERSION = "dataset-version"
    MODEL_VERSION = "model-version"


class Ref(str):
    """A reference to a record: ``dataset:wdbc``, ``dataset-version:wdbc:1``, ``model-version:net:3``, ``run:r-1``.

    Here only its form is checked: a kind and one to four parts. Which kinds are cited, and by which parts, the register
    says; the codec and `register.locate` refuse any other. Round trip: ``Ref.of(r.kind, *r.parts) == r``.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        if _REFERENCE.fullmatch(value) is None:
            raise InvalidField("", "it must be a reference such as 'model:net' or 'model-version:net:1'")
        return super().__new__(cls, value)

    @classmethod
    def of(cls, kind: str, *parts: str | int) -> Self:
        """The reference to the record of `kind` that these parts identify, such as a name, or a name and a number."""
        return cls(":".join((kind, *(str(part) for part in parts))))

    @property
    def kind(self) -> str:
        """What is referred to: `Kind.reference` in the register."""
        return self.partition(":")[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """What identifies the record among those of its kind, as text."""
        return tuple(self.split(":")[1:])

    @property
    def name(self) -> Name:
        """The name of the data set, model, run, evaluation or deployment."""
        return Name(self.parts[0])

    @property
    def number(self) -> Number | None:
        """The version's number; None where the kind has no versions."""
        parts = self.parts
        return Number(int(parts[1])) if len(parts) == 2 else None


def dataset_ref(name: str) -> Ref:
    """The reference to a data set."""
    return Ref.of("dataset", name)


def dataset_version_ref(name: str, number: int) -> Ref:
    """The reference to a version of a data set."""
    return Ref.of("dataset-version", name, number)


def selection_ref(dataset: str, number: int, name: str) -> Ref:
    """The reference to a selection from a version of a data set."""
    return Ref.of("selection", dataset, number, name)


def model_ref(name: str) -> Ref:
    """The reference to a model."""
    return Ref.of("model", name)


def model_version_ref(name: str, number: int) -> Ref:
    """The reference to a version of a model."""
    return Ref.of("model-version", name, number)


def run_ref(name: str) -> Ref:
    """The reference to a training run."""
    return Ref.of("run", name)


def evaluation_ref(name: str) -> Ref:
    """The reference to an evaluation."""
    return Ref.of("evaluation", name)


def deployment_ref(name: str) -> Ref:
    """The reference to a deployment."""
    return Ref.of("deployment", name)


def criteria_ref(name: str) -> Ref:
    """The reference to the criteria of evaluations."""
    return Ref.of("criteria", name)


SKEW: Final = 120_000
"""How far clocks may differ, in milliseconds: what is dated later than a transaction by more was not yet."""


def refuse_future(pointer: str, given: Instant, at: Instant) -> None:
    """Refuse what is said to have happened after the transaction that reports it."""
    if given > at + SKEW:
        raise DatedInTheFuture(pointer, given, at)


def refuse_repeats(pointer: str, entries: Iterable[str]) -> None:
    """Refuse a list in which an entry stands twice."""
    seen: set[str] = set()
    for entry in entries:
        if entry in seen:
            raise RepeatedEntry(pointer, entry)
        seen.add(entry)
