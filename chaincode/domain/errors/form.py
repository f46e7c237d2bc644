# SPDX-License-Identifier: Apache-2.0
"""Refusals of input that cannot be understood."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Malformed


@dataclass
class InvalidJson(Malformed):
    """The bytes are not JSON in UTF-8."""

    code = "invalid-json"
    sentence = "The document is not valid JSON: {reason}."
    reason: str


@dataclass
class InvalidField(Malformed):
    """A field holds a value that its type does not admit.

    `pointer` is a JSON pointer (RFC 6901); it is empty for a value on its own, such as a name in a path.
    """

    code = "invalid-field"
    sentence = "The field '{pointer}' is invalid: {reason}."
    pointer: str
    reason: str

    def __str__(self) -> str:
        return super().__str__() if self.pointer else f"The value is invalid: {self.reason}."


@dataclass
class MissingField(Malformed):
    """Fields that must be there are not; `pointers` names all of them, `pointer` the first."""

    code = "missing-field"
    sentence = "The field '{pointer}' is missing."
    pointer: str
    pointers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.pointers = self.pointers or (self.pointer,)

    def __str__(self) -> str:
        if len(self.pointers) == 1:
            return super().__str__()
        named = "', '".join(self.pointers)
        return f"The fields '{named}' are missing."


@dataclass
class UnknownField(Malformed):
    """A field that nobody defined is there."""

    code = "unknown-field"
    sentence = "The field '{pointer}' is not known here."
    pointer: str


@dataclass
class UnknownKind(Malformed):
    """The document says that it is of a kind that does not exist, or that does not belong here."""

    code = "unknown-kind"
    sentence = "'{kind}' is not a kind that can stand here."
    kind: str


@dataclass
class UnknownSchema(Malformed):
    """The document has a schema version that this program does not know."""

    code = "unknown-schema"
    sentence = "Schema {schema} of '{kind}' is not known."
    kind: str
    schema: int


@dataclass
class FloatRefused(Malformed):
    """A number with a fraction or an exponent: the ledger holds integers and decimal strings only."""

    code = "float-refused"
    sentence = "The field '{pointer}' is a floating-point number; write a decimal string."
    pointer: str


@dataclass
class NotANumber(Malformed):
    """NaN or an infinity."""

    code = "not-a-number"
    sentence = "The field '{pointer}' is NaN or infinite."
    pointer: str


@dataclass
class IntegerOutOfRange(Malformed):
    """An integer beyond ±(2^53−1), which other JSON readers would round."""

    code = "integer-out-of-range"
    sentence = "The integer at '{pointer}' lies beyond ±(2^53−1)."
    pointer: str


@dataclass
class NotNormalised(Malformed):
    """Text that is not in Unicode normal form C."""

    code = "not-normalised"
    sentence = "The text at '{pointer}' is not in Unicode normal form C."
    pointer: str


@dataclass
class DuplicateName(Malformed):
    """A JSON object that names a member twice."""

    code = "duplicate-name"
    sentence = "The member '{pointer}' is there twice."
    pointer: str


@dataclass
class TooDeep(Malformed):
    """JSON nested more deeply than is allowed."""

    code = "too-deep"
    sentence = "The document is nested deeper than {limit} levels."
    limit: int


@dataclass
class TooLarge(Malformed):
    """More bytes, items or steps than are allowed."""

    code = "too-large"
    sentence = "'{pointer}' exceeds the limit of {limit}."
    pointer: str
    limit: int


@dataclass
class WrongArguments(Malformed):
    """A function was called with too few arguments or too many."""

    code = "wrong-arguments"
    sentence = (
        "'{function}' was given {given} arguments; it takes a document, and a command a token and an acting client as "
        "well if need be."
    )
    function: str
    given: int


@dataclass
class LicenceMalformed(Malformed):
    """Text that is not an SPDX licence expression."""

    code = "licence-malformed"
    sentence = "'{expression}' is not an SPDX licence expression: {reason}."
    expression: str
    reason: str


@dataclass
class LicenceUnknown(Malformed):
    """A licence or exception that is not on the SPDX list and is not a reference to one of one's own."""

    code = "licence-unknown"
    sentence = (
        "'{identifier}' is not on the SPDX licence list {list_version}. A licence that is not listed is named "
        "LicenseRef-NAME, and an exception AdditionRef-NAME."
    )
    identifier: str
    list_version: str
