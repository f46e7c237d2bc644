# SPDX-License-Identifier: Apache-2.0
"""From what a client sends to a command of the law, and into the ledger."""

from collections.abc import Callable
from typing import Final, get_type_hints

from chaincode.domain import codec
from chaincode.domain.errors import UnknownField
from chaincode.domain.register import COMMANDS
from chaincode.domain.values import Command
from gateway.services.consent import EVERYBODYS, Vocabulary
from gateway.services.numbering import NUMBER, Numbering
from gateway.services.ports import Json
from gateway.services.submitter import Answer, Intent, Lengthy, Submitter


def command_from(function: str, body: Json, bound: Json | None = None) -> Command:
    """Read a command from a request body.

    Args:
        bound: fields that the request's path decides; the body must not name them.

    Raises a `Malformed` refusal that names the field.
    """
    kind = codec.kind_of(COMMANDS[function])
    bound = bound or {}
    for name in ("kind", "schema", *bound):
        if name in body:
            raise UnknownField(f"/{name}")
    command = codec.from_plain({"kind": kind, "schema": codec.SCHEMA, **body, **bound})
    if not isinstance(command, Command):
        raise TypeError(f"{function} takes no {type(command).__name__}")
    return command


_FIELDS: Final = {function: frozenset(get_type_hints(command)) for function, command in COMMANDS.items()}
"""The fields of each command: resolving annotations for every request would cost a twentieth of it."""


def names_purpose(function: str) -> bool:
    """Whether a command of this function says what data is used for."""
    return "purpose" in _FIELDS[function]


def names_purposes(function: str) -> bool:
    """Whether a command of this function says what data may be used for."""
    return "purposes" in _FIELDS[function]


class Recorder:
    """Has commands recorded; every decision about them is the chaincode's."""

    def __init__(
        self,
        submitter: Submitter,
        numbering: Numbering | None = None,
        vocabulary: Callable[[], Vocabulary] = lambda: EVERYBODYS,
    ) -> None:
        self._submitter = submitter
        self._numbering = numbering
        self._vocabulary = vocabulary

    def record(self, intent: Intent, function: str, body: Json, **bound: str | int) -> Answer:
        """Record the command that the body describes, exactly once; a version without a number is the next one.

        A purpose may be called by its name, for which the ledger gets the IRI; raises `UnknownTerm`.
        """
        body = self.worded(function, body)
        numbering = self._numbering
        filled = () if numbering is None else numbering.filled(function, body)
        if numbering is None or not filled:
            command = command_from(function, body, dict(bound))
            return self.submit(intent, function, lambda: command)
        command_from(function, {**body, NUMBER: 1}, dict(bound))  # what is wrong with its form is said at once
        name = str(next(iter(bound.values())))

        def build() -> Command:
            return command_from(function, numbering.fill(function, body, name, filled), dict(bound))

        return self.submit(intent, function, build, filled=filled)

    def worded(self, function: str, body: Json) -> Json:
        """A body with the IRI of the purpose that it calls by a name; raises `UnknownTerm`."""
        if names_purpose(function) and isinstance(purpose := body.get("purpose"), str):
            return {**body, "purpose": self._vocabulary().iri_of(purpose)}
        if names_purposes(function) and isinstance(named := body.get("purposes"), list):
            iri_of = self._vocabulary().iri_of
            return {**body, "purposes": [iri_of(each) if isinstance(each, str) else each for each in named]}
        return body

    def submit(
        self,
        intent: Intent,
        function: str,
        command: Callable[[], Command],
        *,
        filled: tuple[str, ...] = (),
        lengthy: Lengthy | None = None,
    ) -> Answer:
        """Record a command that is built only if this is the first request with its key; see `Submitter.submit`."""

        def build() -> str:
            return codec.to_json(command()).decode()

        return self._submitter.submit(intent, function, build, filled=filled, lengthy=lengthy)
