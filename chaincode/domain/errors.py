# SPDX-License-Identifier: Apache-2.0
"""Every refusal that the consortium knows, each with a permanent code.

::

    LedgerError
    ├── Malformed      the input cannot be understood (its author must correct it)
    ├── NotFound       something that the command names is not on the ledger
    ├── Conflict       the ledger already holds something that excludes this
    ├── Forbidden      another organisation could do this; the caller's cannot
    └── Unmet          well formed and permitted, but a rule of the law is not satisfied

A refusal is part of the job, never a bug. Its `code` is never changed or reused; its facts are its fields; its
sentence is for people. Facts are plain strings, integers and tuples of them, so that a refusal can be rendered and
rebuilt without loss: ``rebuild(e.code, e.facts()) == e``.
"""

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


# --- Form -------------------------------------------------------------------------------------------------------


@dataclass
class InvalidJson(Malformed):
    """The bytes are not JSON in UTF-8."""

    code = "invalid-json"
    sentence = "The document is not valid JSON: {reason}."
    reason: str


@dataclass
class InvalidField(Malformed):
    """A field holds a value that its type does not admit; `pointer` is a JSON pointer (RFC 6901)."""

    code = "invalid-field"
    sentence = "The field '{pointer}' is invalid: {reason}."
    pointer: str
    reason: str


@dataclass
class MissingField(Malformed):
    """A field that must be there is not."""

    code = "missing-field"
    sentence = "The field '{pointer}' is missing."
    pointer: str


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
    sentence = "The member '{pointer}' stands there twice."
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
class UnknownFunction(Malformed):
    """No function of this name exists."""

    code = "unknown-function"
    sentence = "There is no function '{function}'."
    function: str


@dataclass
class WrongArguments(Malformed):
    """A function was called with a number of arguments other than one."""

    code = "wrong-arguments"
    sentence = "'{function}' takes one argument and was given {given}."
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
    """A licence or exception that is not on the SPDX list and is no LicenseRef."""

    code = "licence-unknown"
    sentence = "'{identifier}' is not on the SPDX licence list."
    identifier: str


# --- What any chapter may say -----------------------------------------------------------------------------------


@dataclass
class RecordNotFound(NotFound):
    """The command names a record that is not on the ledger."""

    code = "not-found"
    sentence = "'{reference}' is not on the ledger."
    reference: str


@dataclass
class AlreadyExists(Conflict):
    """The identifier is taken."""

    code = "already-exists"
    sentence = "'{reference}' already exists."
    reference: str


@dataclass
class NotTheOwner(Forbidden):
    """Only the owner may do this."""

    code = "not-the-owner"
    sentence = "'{reference}' belongs to {owner}, not to {by}."
    reference: str
    owner: str
    by: str


@dataclass
class DigestTaken(Conflict):
    """Another organisation has registered this digest already."""

    code = "digest-taken"
    sentence = "The digest {digest} is registered by {owner} as '{reference}'."
    digest: str
    owner: str
    reference: str


@dataclass
class VersionOutOfOrder(Conflict):
    """Versions are numbered from 1 without a gap."""

    code = "version-out-of-order"
    sentence = "Version {number} of '{reference}' cannot come before version {missing}."
    reference: str
    number: int
    missing: int


@dataclass
class ArtifactAltered(Unmet):
    """A digest does not agree with what it is said to describe."""

    code = "artifact-altered"
    sentence = "'{reference}' has the digest {expected}, not {given}."
    reference: str
    expected: str
    given: str


@dataclass
class LicenceTooWide(Unmet):
    """A licence allows more than the licence of something it was made from."""

    code = "licence-too-wide"
    sentence = "The licence {licence} is wider than {ancestor_licence} allows, on the path {path}."
    licence: str
    ancestor_licence: str
    path: tuple[str, ...]


@dataclass
class ParentMissing(NotFound):
    """Something is said to be made from an artifact that is not on the ledger."""

    code = "parent-missing"
    sentence = "The parent '{parent}' of '{reference}' is not on the ledger."
    reference: str
    parent: str


@dataclass
class SelfParent(Unmet):
    """Something is said to be made from itself."""

    code = "self-parent"
    sentence = "'{reference}' cannot be its own parent."
    reference: str


@dataclass
class LineageCycle(Unmet):
    """An edge would make something its own ancestor."""

    code = "lineage-cycle"
    sentence = "This would close a circle: {path}."
    path: tuple[str, ...]


@dataclass
class RepeatedEntry(Malformed):
    """A list that must not repeat an entry does."""

    code = "repeated-entry"
    sentence = "'{entry}' stands twice in '{pointer}'."
    pointer: str
    entry: str


# --- Data sets --------------------------------------------------------------------------------------------------


@dataclass
class RootWithoutSize(Malformed):
    """A Merkle root commits to nothing definite without the size of its tree."""

    code = "root-without-size"
    sentence = "A version needs the size of its tree (at least one record) beside the root."


@dataclass
class ParentRootDiffers(Conflict):
    """The version says that it follows a root that is not the last one."""

    code = "parent-root-differs"
    sentence = "Version {number} of '{reference}' follows the root {expected}, not {given}."
    reference: str
    number: int
    expected: str
    given: str


@dataclass
class ConsistencyProofFails(Unmet):
    """The version is said to extend the last one, and the proof does not show it."""

    code = "consistency-proof-fails"
    sentence = "The consistency proof for version {number} of '{reference}' fails: {reason}."
    reference: str
    number: int
    reason: str


@dataclass
class InclusionProofFails(Unmet):
    """A record is said to be under a root, and the proof does not show it."""

    code = "inclusion-proof-fails"
    sentence = "The record is not proven to be under this root: {reason}."
    reason: str


@dataclass
class RecordIdRepeated(Unmet):
    """A record id stands twice in one version."""

    code = "record-id-repeated"
    sentence = "The record id at position {index} already stands at position {first}."
    index: int
    first: int


@dataclass
class SelectionOutOfRange(Unmet):
    """A split selects records that its parent does not have."""

    code = "selection-out-of-range"
    sentence = "The selection from '{parent}' reaches beyond its {size} records."
    parent: str
    size: int


# --- Training ---------------------------------------------------------------------------------------------------


@dataclass
class RunEndsBeforeItStarts(Unmet):
    """A training run that finished before it began."""

    code = "run-ends-before-it-starts"
    sentence = "The run started at {started} and is said to have finished at {finished} (milliseconds since 1970)."
    started: int
    finished: int


@dataclass
class DatedInTheFuture(Unmet):
    """Something is said to have happened after the transaction that reports it."""

    code = "dated-in-the-future"
    sentence = "'{pointer}' is dated {given}, later than the transaction at {at} (milliseconds since 1970)."
    pointer: str
    given: int
    at: int


@dataclass
class RunWithoutInput(Unmet):
    """A training run that used neither data nor a parent model."""

    code = "run-without-input"
    sentence = "The run '{reference}' names no data set version and no parent model."
    reference: str
