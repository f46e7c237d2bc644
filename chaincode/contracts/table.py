# SPDX-License-Identifier: Apache-2.0
"""The table of functions: which contract answers which call, and how a call, an answer and a refusal are written."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from chaincode.contracts import (
    access,
    auditing,
    consent,
    counterclaim,
    endorsement,
    evaluation,
    idempotency,
    layers,
    lineage,
    model,
    provenance,
    reading,
    selection,
    taint,
    training,
)
from chaincode.contracts.state import KeyCheck, Ledger, Load, Site, Stub
from chaincode.domain import batch, codec
from chaincode.domain.canonical import Json, encode
from chaincode.domain.errors import InvalidField, LedgerError, UnknownKind, WrongArguments
from chaincode.domain.register import ACTION, FUNCTION_OF, QUERIES, Action, Kind
from chaincode.domain.speakers import Tracing
from chaincode.domain.values import ActingClient, Answer, Command, Digest, OrgId, Record, Ref

Function = Callable[[Stub, tuple[bytes, ...]], bytes]
Question = Callable[[Ledger, Any], Record | Answer]

_QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "record:get": reading.get_record,
        "endorsement:status": endorsement.get_status,
        "lineage:ancestry": lineage.ancestry,
        "lineage:impact": lineage.impact,
    }
)


_LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {
        **provenance.LOADS,
        **selection.LOADS,
        **consent.LOADS,
        **model.LOADS,
        **evaluation.LOADS,
        **training.LOADS,
        **endorsement.LOADS,
        **counterclaim.LOADS,
        **access.LOADS,
        **auditing.LOADS,
    }
)
"""What loads for commands that are not of the standard form."""


def functions(*, check: KeyCheck, trace: Tracing, founders: frozenset[OrgId] | None) -> Mapping[str, Function]:
    """Every function of the chaincode by its name, as the register lists them.

    Each takes the canonical JSON of its command or query as its argument. Commands are submitted, queries evaluated. A
    command may be followed by a second argument, the idempotency token: 64 lower-case hexadecimal digits by which its
    organisation names the request; and that by a third, the acting client: 32 digits by which its gateway names who
    called it. No rule sees the client, and nothing is written of it: it is in the transaction, which the organisation
    signed. Nothing else can be called.

    The function `batch:record` takes a batch as its document: several commands, each with a token of its own; see
    `_record_all`.

    `check` verifies signatures, `trace` chains of certificates. `founders` are the members that this organisation
    agreed to found the consortium with: its process endorses no other founding policy. None leaves that to the votes
    alone.
    """
    site = Site(check, trace, founders)
    loads = {name: _load(kind, action) for name, (kind, action) in ACTION.items()}
    commands = {name: partial(_submit, site, action, loads[name]) for name, (_, action) in ACTION.items()}
    questions = {name: partial(_ask, site, name, question) for name, question in _QUESTIONS.items()}
    return MappingProxyType({**commands, **questions, batch.FUNCTION: partial(_record_all, site, loads)})


def _load(kind: Kind, action: Action) -> Load:
    """What loads for a command: as its contract says, or what the standard form needs."""
    return _LOADS[action.takes] if action.cites is None else partial(_standard, kind, action.cites, action.then)


def _standard(
    kind: Kind,
    cites: Callable[[Any], Iterable[Ref]],
    then: Callable[[Mapping[Ref, Record]], Iterable[Ref]] | None,
    ledger: Ledger,
    command: Any,
) -> Mapping[str, object]:
    """The record that is under the key already, and what the command cites, where they exist.

    What these cite in turn is read by key as well, present or absent, so that a change of it and this command have an
    order.
    """
    cited = ledger.cited(Record, cites(command))
    further = ledger.cited(Record, () if then is None else then(cited))
    return {"existing": ledger.get(kind.record, *kind.parts_of(command)), "cited": cited | further}


def refusal(error: Exception) -> str | None:
    """A refusal as canonical JSON (its code, its sentence and its facts); None for what is a fault and no refusal."""
    return encode(_refusal(error)).decode() if isinstance(error, LedgerError) else None


def _refusal(error: LedgerError) -> dict[str, Json]:
    facts: dict[str, Any] = {
        name: list(fact) if isinstance(fact, tuple) else fact for name, fact in error.facts().items()
    }
    return {"code": error.code, "message": str(error), "facts": facts}


def members(text: str) -> frozenset[OrgId] | None:
    """The MSP ids that `text` names, separated by commas; None where it names none, `ValueError` for other text."""
    if not text.strip():
        return None
    try:
        named = frozenset(OrgId(name.strip()) for name in text.split(","))
    except InvalidField as exc:
        raise ValueError(f"MSP ids separated by commas are needed: {exc.reason}") from exc
    if len(named) < 2:
        raise ValueError("a consortium is bootstrapped by at least two members")
    return named


def _submit(site: Site, action: Action, load: Load, stub: Stub, args: tuple[bytes, ...]) -> bytes:
    document, *more = _arguments(action.function, args, most=3)
    command = codec.read(action.takes, document)
    for client in more[1:]:
        _check_client(client)
    return encode(_record(Ledger(stub, site), action, load, command, [_token(token) for token in more[:1]]))


def _record(ledger: Ledger, action: Action, load: Load, command: Command, tokens: Iterable[Digest]) -> dict[str, Json]:
    """Ask the rule of a command, and write what it decides; the answer is the record and the event."""
    rows = [idempotency.remember(ledger, token, codec.to_json(command)) for token in tokens]
    outcome = action.rule(command, by=ledger.by, at=ledger.at, **load(ledger, command))
    outcome = taint.enforce(ledger, command, outcome)
    ledger.apply(outcome, *rows)
    return {"record": codec.to_plain(outcome.writes[0]), "event": codec.to_plain(outcome.event)}


def _record_all(site: Site, loads: Mapping[str, Load], stub: Stub, args: tuple[bytes, ...]) -> bytes:
    """Do several commands in one transaction, as if each were a transaction of its own that follows the one before it.

    A command that is refused writes nothing and does not hinder the others; where all are, the transaction writes
    nothing. The answer has an outcome for each, in their order: its token, and the record and the event, or the
    refusal. The token of the batch itself finds the repetition of all of it.
    """
    document, *more = _arguments(batch.FUNCTION, args, most=3)
    entries = batch.parse_batch(document)
    for client in more[1:]:
        _check_client(client)
    layered = layers.Layered(stub)
    rows = [idempotency.remember(Ledger(layered, site), _token(token), document) for token in more[:1]]

    def recorded(entry: batch.Entry) -> dict[str, Json]:
        command = codec.from_plain(entry.command)
        if not isinstance(command, Command):
            raise UnknownKind(codec.kind_of(command))
        function = FUNCTION_OF[type(command)]
        _, action = ACTION[function]
        return _record(Ledger(layered, site), action, loads[function], command, [entry.token])

    def outcome(entry: batch.Entry) -> dict[str, Json]:
        with layered.step() as step:
            try:
                found = recorded(entry)
            except LedgerError as refused:
                return {"refusal": _refusal(refused)}
            step.keep()
        return found

    layered.rehearse([partial(outcome, entry) for entry in entries])
    outcomes: list[Json] = [{"token": str(entry.token), **outcome(entry)} for entry in entries]
    layered.write(batch.EVENT, rows)
    return encode({batch.OUTCOMES: outcomes})


def _ask(site: Site, name: str, question: Question, stub: Stub, args: tuple[bytes, ...]) -> bytes:
    (document,) = _arguments(name, args, most=1)
    query = codec.read(QUERIES[name], document)
    return encode({"record": codec.to_plain(question(Ledger(stub, site), query))})


def _arguments(name: str, args: tuple[bytes, ...], *, most: int) -> tuple[bytes, ...]:
    if not 1 <= len(args) <= most:
        raise WrongArguments(name, len(args))
    return args


def _token(given: bytes) -> Digest:
    try:
        return Digest.parse(given.decode("ascii", "replace"))
    except InvalidField as refusal:
        raise InvalidField("/idempotency_token", refusal.reason) from None


def _check_client(given: bytes) -> None:
    try:
        ActingClient(given.decode("ascii", "replace"))
    except InvalidField as refusal:
        raise InvalidField("/acting_client", refusal.reason) from None
