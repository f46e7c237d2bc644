# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of operations holds.

Rows are plain values, and name commands and kinds of records as the ledger's documents do ("dataset:register",
"dataset-version"), so that reading the table imports none of the ledger's rules: `pedigree --help` waits for nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.api.scopes import ANY_CLIENT, ROLES, SCOPES

_PLACE: Final = re.compile(r"\{([a-z_]+)\}")

RECORDED: Final = 201
"""The HTTP status of what was recorded."""

Face = Literal["rest", "sdk", "cli"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a query string may name."""

    name: str
    meaning: str
    """One sentence; it is the option's help on the command line."""
    form: Literal["text", "number", "choice"] = "text"
    choices: tuple[str, ...] = ()
    least: int = 1
    most: int = 0
    """Of a number; 0 where nothing bounds it."""
    default: str | None = None
    """What is meant where nothing is said."""
    required: bool = False
    argument: str = ""
    """What it is called in Python, where its own name is a word of Python's, or says too little."""

    @property
    def python(self) -> str:
        """What it is called in Python."""
        return self.argument or self.name


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON body: the fields of a command, but for those that the path decides."""

    command: str
    """The chaincode's function that takes the command, such as "dataset:register"."""
    bound: Mapping[str, str] = field(default_factory=dict)
    """Fields that the path decides, each with its value: "model-version:{model}:{number}" is filled in."""
    filled: tuple[str, ...] = ()
    """Fields that the gateway fills in where the body leaves them out."""
    examined: bool = False
    """Whether the body may name the `digest` of the bytes that were examined."""
    refusals: tuple[str, ...] = ("data",)
    """The chapters of the law's refusals that it may meet, modules of `chaincode/domain/errors`, beside those of any
    input's form and those that are common to all commands."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, as one named component of the OpenAPI document.

    `form` is "outcome" (what a transaction recorded), "entry" (a record and the transaction that wrote it), "page" (of
    entries), "document" (a document of the ledger's as it is), "report" (a component of the gateway's own, in
    `gateway/rest/reports.py`) or "file" (bytes, in pieces). `kinds` names the record or, where it may be one of
    several, the records; of a report, the component; of a file, its media type.
    """

    form: Literal["outcome", "entry", "page", "document", "report", "file"]
    kinds: tuple[str, ...]
    paged: bool = False
    """Whether it is one page of a list, with a `next` to pass as `cursor`."""

    @property
    def media_type(self) -> str:
        """What the body of the answer is."""
        return self.kinds[0] if self.form == "file" else "application/json"


@dataclass(frozen=True, slots=True)
class Verb:
    """How an operation is called on the command line.

    Its arguments are what the path names (of a command, the fields that the path decides), then `arguments`.
    """

    words: str
    """Such as "dataset register". Operations that share a verb are distinguished by how many arguments are given."""
    help: str = ""
    """The first sentence of the help, where the operation's own is too long for a list of commands."""
    more: str = ""
    """What the help says after it."""
    arguments: tuple[str, ...] = ()
    """Fields of the body that are arguments too."""
    options: tuple[str, ...] = ()
    """Fields of the body that have an option; of what is in an object, such as "origin.source", it is `--source`."""
    required: tuple[str, ...] = ()
    """Those of the options that must be given."""
    several: tuple[str, ...] = ()
    """Those of the options that may be repeated, and name the items of a list."""
    file: Literal["", "argument", "option"] = ""
    """Whether (further) fields are read from a JSON file, and how that is named: FILE or --fields FILE."""
    card: bool = False
    """Whether fields are taken from a Croissant card too: --card FILE."""
    columns: tuple[str, ...] = ()
    """Fields that a list shows to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that a user can do."""

    name: str
    """Its id in the OpenAPI document, in camel case."""
    does: str
    """One sentence."""
    path: str
    answer: Answer
    sdk: str
    """The method of the Python client."""
    verb: Verb
    scope: str
    """What a client has to be let do for it: one of `SCOPES`, or `ANY_CLIENT`."""
    whose: Literal["own", "other", "any", "new", "none"]
    """Whose record it may be about: its organisation's own, another member's, anybody's, one that it makes, or none."""
    otherwise: str = ""
    """The code with which the ledger refuses it about a record of anybody else, where that is not `not-the-owner`."""
    of_others: str = ""
    """The scope with which a client asks for it about what another client made, where that is kept for each client."""
    narrows: Literal["record", "list", "open", ""] = ""
    """How it stays within the records of some owners, where that does not follow from the row (see `narrowed`)."""
    method: Literal["GET", "POST"] = "GET"
    body: Body | None = None
    uploads: tuple[str, ...] = ()
    """Media types that the body may have instead of JSON."""
    optional_body: bool = False
    about: str = ""
    """The reference of the artifact that the path names, such as "run:{run}"."""
    parameters: tuple[Parameter, ...] = ()
    filters: tuple[Parameter, ...] = ()
    """Parameters of a list that each keep some of its records; `gateway/services/filters.py` says which."""
    elsewhere: bool = False
    """Whether it takes part in a transaction that is signed elsewhere, of whatever command."""
    batch: bool = False
    """Whether it takes many commands, each with its own outcome."""
    codes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Problems that only this operation has, by HTTP status; `gateway/rest/refusals.py` knows the others."""
    odd: Mapping[Face, str] = field(default_factory=dict)
    """Where it is written by hand instead of derived from this row, and why."""

    def __post_init__(self) -> None:
        """Refuse a row that does not say who may do it."""
        for scope in (self.scope, self.of_others or ANY_CLIENT):
            if scope != ANY_CLIENT and scope not in SCOPES:
                raise ValueError(f"{self.name}: {scope!r} is not a scope")
        if self.whose not in ("own", "other", "any", "new", "none"):
            raise ValueError(f"{self.name}: it does not say whose records it is about")

    @property
    def role(self) -> str:
        """The first role that may do it."""
        return ROLES[0] if self.scope == ANY_CLIENT else SCOPES[self.scope].role

    @property
    def refused_else(self) -> str:
        """The code with which the ledger refuses it about a record that it may not be about; empty where it is none."""
        owners = self.whose == "own" and self.body is not None
        return self.otherwise or ("not-the-owner" if owners else "")

    @property
    def narrowed(self) -> Literal["record", "list", "open", ""]:
        """How a client is answered that may see the records of some owners alone; empty where it is not.

        "record": where the record that the path names is of one of them. "list": those of them are listed and counted.
        "open": as everybody, since no record that some may not see is in the answer.
        """
        if self.narrows or self.method != "GET" or "rest" in self.odd:
            return self.narrows
        if self.answer.form == "entry" and self.about:
            return "record"
        return "list" if self.answer.form == "page" and any(each.name == "owner" for each in self.filters) else ""

    @property
    def records(self) -> bool:
        """Whether it submits one transaction, and answers what that recorded."""
        return self.answer.form == "outcome"

    @property
    def keyed(self) -> bool:
        """Whether it submits transactions, and so needs an Idempotency-Key."""
        return self.records or self.batch

    @property
    def tagged(self) -> bool:
        """Whether what it answers has an entity tag, on which the caller may put conditions."""
        return self.method == "GET" and self.answer.form != "file"

    @property
    def status(self) -> int:
        """The HTTP status of success."""
        return RECORDED if self.records else 200

    @property
    def media_types(self) -> tuple[str, ...]:
        """What the body may be; empty where none is taken."""
        return (*(() if self.body is None else ("application/json",)), *self.uploads)

    @property
    def places(self) -> tuple[str, ...]:
        """What the path names, in order."""
        return tuple(_PLACE.findall(self.path))

    @property
    def taken(self) -> tuple[Parameter, ...]:
        """Every query parameter: those of its own, its filters and, of a list, those of paging."""
        paging = PAGING if self.answer.paged else ()
        return (*self.parameters, *self.filters, *paging)


PAGE_LIMIT: Final = 100
PAGING: Final = (
    Parameter("limit", f"Page size, 1 to {PAGE_LIMIT}.", "number", most=PAGE_LIMIT, default="50"),
    Parameter("cursor", "The `next` of the page before."),
)


def outcome(*kinds: str) -> Answer:
    """What a transaction recorded: one of these kinds of record, the event, and where they are on the ledger."""
    return Answer("outcome", kinds)


def entry(kind: str) -> Answer:
    """A record and the transaction that wrote it."""
    return Answer("entry", (kind,))


def page(kind: str) -> Answer:
    """A page of records of one kind."""
    return Answer("page", (kind,), paged=True)


def report(component: str, *, paged: bool = False) -> Answer:
    """An answer of the gateway's own."""
    return Answer("report", (component,), paged)


def file(media_type: str) -> Answer:
    """A file, which is answered in pieces."""
    return Answer("file", (media_type,))
