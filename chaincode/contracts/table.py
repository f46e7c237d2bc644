# SPDX-License-Identifier: Apache-2.0
"""The table of functions: which contract answers which call, and how a call, an answer and a refusal are written."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from chaincode.contracts import endorsement, idempotency, lineage, model, provenance, training
from chaincode.contracts.endorsement import KeyCheck
from chaincode.contracts.state import Ledger, Stub
from chaincode.domain import codec
from chaincode.domain.canonical import encode
from chaincode.domain.errors import InvalidField, LedgerError, WrongArguments
from chaincode.domain.functions import COMMANDS, QUERIES
from chaincode.domain.values import Answer, Digest, OrgId, Outcome, Record

Function = Callable[[Stub, tuple[bytes, ...]], bytes]
Contract = Callable[[Ledger, Any], Outcome]
Question = Callable[[Ledger, Any], Record | Answer]

_QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "dataset:get": provenance.get,
        "dataset:version": provenance.get_version,
        "model:get": model.get,
        "model:version": model.get_version,
        "run:get": training.get_run,
        "evaluation:get": training.get_evaluation,
        "endorsement:policy": endorsement.get_policy,
        "endorsement:status": endorsement.get_status,
        "lineage:ancestry": lineage.ancestry,
        "lineage:impact": lineage.impact,
    }
)


def _contracts(check: KeyCheck, founders: frozenset[OrgId] | None) -> Mapping[str, Contract]:
    return {
        "dataset:register": provenance.register,
        "dataset:commit-version": provenance.commit_version,
        "model:register": model.register,
        "model:record-version": model.record_version,
        "model:declare-parent": model.declare_parent,
        "run:record": training.record_run,
        "evaluation:record": training.record_evaluation,
        "endorsement:set-policy": partial(endorsement.set_policy, founders),
        "endorsement:submit": endorsement.submit,
        "endorsement:endorse": partial(endorsement.endorse, check),
        "endorsement:reject": partial(endorsement.reject, check),
        "endorsement:withdraw": endorsement.withdraw,
        "endorsement:quarantine": endorsement.quarantine,
        "endorsement:release": endorsement.release,
        "endorsement:advance": endorsement.advance,
    }


def functions(*, check: KeyCheck, founders: frozenset[OrgId] | None) -> Mapping[str, Function]:
    """Every function of the chaincode by its name; `domain.functions` says what each takes.

    `check` verifies signatures. `founders` are the members that this organisation agreed to found the consortium
    with: its process endorses no other founding policy. None leaves that to the votes alone.
    """
    commands = {name: partial(_submit, name, contract) for name, contract in _contracts(check, founders).items()}
    questions = {name: partial(_ask, name, question) for name, question in _QUESTIONS.items()}
    return MappingProxyType({**commands, **questions})


def refusal(error: Exception) -> str | None:
    """A refusal as canonical JSON (its code, its sentence and its facts); None for what is a fault and no refusal."""
    if not isinstance(error, LedgerError):
        return None
    facts: dict[str, Any] = {
        name: list(fact) if isinstance(fact, tuple) else fact for name, fact in error.facts().items()
    }
    return encode({"code": error.code, "message": str(error), "facts": facts}).decode()


def members(text: str) -> frozenset[OrgId] | None:
    """The MSP ids that `text` names, separated by commas; None where it names none, `ValueError` for other text."""
    if not text.strip():
        return None
    try:
        named = frozenset(OrgId(name.strip()) for name in text.split(","))
    except InvalidField as exc:
        raise ValueError(f"MSP ids separated by commas are needed: {exc.reason}") from exc
    if len(named) < 2:
        raise ValueError("a consortium is founded by at least two members")
    return named


def _submit(name: str, contract: Contract, stub: Stub, args: tuple[bytes, ...]) -> bytes:
    document, *token = _arguments(name, args, most=2)
    command = codec.read(COMMANDS[name], document)
    ledger = Ledger(stub)
    rows = [idempotency.remember(ledger, _token(given), command) for given in token]
    outcome = contract(ledger, command)
    ledger.apply(outcome, *rows)
    return encode({"record": codec.to_plain(outcome.writes[0]), "event": codec.to_plain(outcome.event)})


def _ask(name: str, question: Question, stub: Stub, args: tuple[bytes, ...]) -> bytes:
    (document,) = _arguments(name, args, most=1)
    query = codec.read(QUERIES[name], document)
    return encode({"record": codec.to_plain(question(Ledger(stub), query))})


def _arguments(name: str, args: tuple[bytes, ...], *, most: int) -> tuple[bytes, ...]:
    if not 1 <= len(args) <= most:
        raise WrongArguments(name, len(args))
    return args


def _token(given: bytes) -> Digest:
    try:
        return Digest.parse(given.decode("ascii", "replace"))
    except InvalidField as refusal:
        raise InvalidField("/idempotency_token", refusal.reason) from None
