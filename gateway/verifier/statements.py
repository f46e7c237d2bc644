# SPDX-License-Identifier: Apache-2.0
"""Signed statements, checked offline: DSSE envelopes of endorsements, rejections, withdrawals and counter-claims.

What is proven follows from the certificate, and from the organisation's MSP, that the caller vouches for. Everything
else is what the statement or the record around it says.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from chaincode.domain.errors import LedgerError
from chaincode.domain.evidence import (
    PREDICATE_TYPE,
    PREDICATE_TYPE_1,
    STATEMENT_TYPE,
    Decision,
    Statement,
)
from chaincode.domain.intoto import decode_statement
from chaincode.domain.speakers import LARGEST
from gateway.fabric.certificates import Certificate, read_certificate
from gateway.fabric.errors import MalformedData
from gateway.fabric.texts import said
from gateway.verifier.endorsed import time_of
from gateway.verifier.envelopes import RefutedStatement, open_envelope, prove_signer
from gateway.verifier.verdicts import NOT_PROVEN, SHOWN, json_of, signer_of, text_of

__all__ = ["RefutedStatement", "StatementVerdict", "is_statement", "names_signer", "verify_statement"]

_DECISIONS: Final = {
    "endorsement": Decision.ENDORSE,
    "rejection": Decision.REJECT,
    "counter-claim": Decision.COUNTER_CLAIM,
}
"""The kinds of record that hold an envelope, and the decision that its statement must have."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_PAYLOAD: Final = 65_536
_VERBS: Final = {
    Decision.ENDORSE: "endorses",
    Decision.REJECT: "rejects",
    Decision.WITHDRAW: "withdraws its endorsement of",
    Decision.COUNTER_CLAIM: "makes a counter-claim against",
}


@dataclass(frozen=True, slots=True)
class StatementVerdict:
    """What an envelope proves, what it merely says, and what nobody has shown."""

    verified: bool
    """Whether the key of the certificate that the caller gave signed the statement."""
    statement: Statement
    signer: Certificate | None
    person: bool
    """Whether the signer's certificate travels with the statement."""
    travelled: Certificate | None
    """The certificate in the file, where nothing shows whose it is."""
    proven: tuple[str, ...]
    said: tuple[str, ...]
    not_proven: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.verified and self.signer is not None:
            name = self.signer.name
            return f"Verified: the key of {'your certificate' if not self.person else name} signed this statement."
        if self.travelled is not None:
            return f"Nothing is proven yet: it is signed, and by {self.travelled.name} as the file says."
        return "Nothing is proven yet: the signature was not checked, as no certificate was given."

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        return text_of(
            self.summary,
            ("The statement:", tuple(_sentences(self.statement))),
            (SHOWN, self.proven),
            ("The file says, and nothing here shows it:", self.said),
            (NOT_PROVEN, self.not_proven),
        )

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        statement = self.statement
        return json_of(
            self.verified,
            statement={
                "subject": [{"name": each.name, "sha256": str(each.digest)} for each in statement.subjects],
                **{
                    name: getattr(statement, name)
                    for name in ("channel", "organisation", "artifact", "stage", "decision", "round", "policy")
                },
                "genesis": None if statement.genesis is None else str(statement.genesis),
                "at": None if statement.at is None else int(statement.at),
                "reason": statement.reason,
                "against": statement.against,
                "evidence": statement.evidence,
                "evidence_digest": None if statement.evidence_digest is None else str(statement.evidence_digest),
                "seen": list(statement.seen),
            },
            signer=signer_of(self.signer),
            proven=self.proven,
            said=self.said,
            not_proven=self.not_proven,
        )


def is_statement(value: Mapping[str, Any]) -> bool:
    """Whether a file is meant to hold a signed statement: an envelope, its record, or the ledger's answer for that."""
    record = value.get("record", value)
    if not isinstance(record, Mapping):
        return False
    of_kind = isinstance(record.get("kind"), str) and record["kind"] in _DECISIONS
    return of_kind or "payloadType" in value or "endorsements" in value


def names_signer(value: Mapping[str, Any]) -> bool:
    """Whether the certificate of the person who signed is said to travel with a statement."""
    record = value.get("record", value)
    return isinstance(record, Mapping) and _last_word(record).get("chain") is not None


def verify_statement(
    value: Mapping[str, Any], *, certificate: Certificate | None = None, msp: Path | None = None
) -> StatementVerdict:
    """Check a signed statement; raises `RefutedStatement`, and `MalformedData` for a folder that is not an MSP.

    Args:
        value: a DSSE envelope, a record of an endorsement, a rejection or a counter-claim, or the ledger's answer for
            such a record. Of an endorsement that was withdrawn by a signed statement that one is checked.
        certificate: of the user who is to have signed it. Without it nothing is proven.
        msp: the MSP folder of the organisation that speaks, as the caller has it; the certificate must be a member's.
    """
    record = value.get("record", value)
    if "endorsements" in value or not isinstance(record, Mapping):
        raise RefutedStatement("it is the answer for an artifact: take one item of its `endorsements` or `rejections`")
    record = _last_word(record)
    kind = record.get("kind")
    envelope = record.get("envelope") if kind in _DECISIONS else record
    payload, signature = open_envelope(envelope, _LARGEST_PAYLOAD)
    statement = _statement(payload)
    if kind in _DECISIONS:
        _compare(record, statement)
    travelled = _travelled(record)
    if certificate is not None and travelled is not None and certificate.der != travelled.der:
        raise RefutedStatement("the certificate that you gave is not the one that travels with the statement")
    signer, whose = certificate, "your certificate"
    if certificate is None and travelled is not None:
        signer, whose = travelled, "the certificate that travels with it"
    if signer is None:
        return _verdict(statement, record, None, proven=[], member=False)
    proven = prove_signer(payload, signature, statement.organisation, signer, msp, whose)
    if certificate is None and msp is None:
        # Anybody can put a certificate of their own beside a statement: nothing follows from that alone.
        return _verdict(statement, record, None, proven=[], member=False, travelled=signer)
    return _verdict(statement, record, signer, proven=proven, member=msp is not None)


def _last_word(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """An endorsement that was withdrawn by a signed statement, with that statement in the place of the first."""
    if record.get("kind") != "endorsement" or record.get("withdrawal") is None:
        return record
    rest = {name: value for name, value in record.items() if name not in ("withdrawal_chain", "chain")}
    chain = record.get("withdrawal_chain")
    return {**rest, "envelope": record["withdrawal"], **({} if chain is None else {"chain": chain})}


def _travelled(record: Mapping[str, Any]) -> Certificate | None:
    """The certificate of the person who signed, where the record has it."""
    chain = record.get("chain") if record.get("kind") in _DECISIONS else None
    if chain is None:
        return None
    try:
        der = base64.b64decode(chain[0]["der"], validate=True)
        if len(der) > LARGEST:
            raise ValueError
        return read_certificate(x509.load_der_x509_certificate(der))
    except (ValueError, TypeError, LookupError, MalformedData):
        raise RefutedStatement("its 'chain' does not begin with a certificate") from None


def _statement(payload: bytes) -> Statement:
    try:
        statement = decode_statement(payload)
    except LedgerError as exc:
        raise RefutedStatement(said(str(exc).removesuffix("."))) from None
    versions = (PREDICATE_TYPE, PREDICATE_TYPE_1)
    if statement.statement_type != STATEMENT_TYPE or statement.predicate_type not in versions:
        raise RefutedStatement("it is not an endorsement statement of the version that is known here")
    if [subject.name for subject in statement.subjects] != [statement.artifact]:
        raise RefutedStatement("its subject is not its artifact alone")
    if statement.decision not in list(Decision):
        raise RefutedStatement("its decision is none that is known here")
    return statement


def _compare(record: Mapping[str, Any], statement: Statement) -> None:
    """Whether the record around the envelope says of it what the statement says."""
    stated = {
        "artifact": statement.artifact, "stage": statement.stage, "by": statement.organisation,
        "round": statement.round, "policy": statement.policy,
    }  # fmt: skip
    withdrawn = record.get("withdrawal") is not None
    if withdrawn:
        # The record names the policy under which the endorsement was given; another can be in force since.
        del stated["policy"]
    for name, value in stated.items():
        if record.get(name) != value:
            raise RefutedStatement(f"the record's '{name}' is not that of the statement")
    if (Decision.WITHDRAW if withdrawn else _DECISIONS[record["kind"]]) != statement.decision:
        raise RefutedStatement(f"the record is of the kind {record['kind']}, and the statement says otherwise")
    signed = statement.predicate_type != PREDICATE_TYPE_1 and statement.decision != Decision.ENDORSE
    compared = ("reason", "against", "evidence", "evidence_digest") if signed else ()
    for name in compared:
        of_statement = getattr(statement, name)
        if record.get(name) != (None if of_statement is None else str(of_statement)):
            raise RefutedStatement(f"the record's '{name}' is not that of the statement")


def _sentences(statement: Statement) -> Iterator[str]:
    (subject,) = statement.subjects
    verb = _VERBS[Decision(statement.decision)]
    yield (
        f"{said(statement.organisation)} {verb} {said(statement.artifact)} with the SHA-256 {subject.digest} for the"
        f" stage '{said(statement.stage)}', in round {statement.round} under policy {statement.policy}."
    )
    if statement.against is not None:
        yield f"It is against the endorsement by {said(statement.against)}."
    if statement.reason is not None:
        yield f"The reason: {said(statement.reason)}"
    if statement.evidence is not None:
        yield f"As evidence it names {said(statement.evidence)}."
    if statement.evidence_digest is not None:
        yield f"As evidence it names a document with the SHA-256 {statement.evidence_digest}."
    if statement.at is not None:
        yield f"It is dated {time_of(_EPOCH + timedelta(milliseconds=statement.at))}, by the signer's clock."
    if statement.seen:
        yield f"The signer says to have seen {said(', '.join(statement.seen))}."


def _verdict(
    statement: Statement,
    record: Mapping[str, Any],
    signer: Certificate | None,
    *,
    proven: list[str],
    member: bool,
    travelled: Certificate | None = None,
) -> StatementVerdict:
    return StatementVerdict(
        verified=signer is not None,
        statement=statement,
        signer=signer,
        person=signer is not None and "chain" in record,
        travelled=travelled,
        proven=tuple(proven),
        said=tuple(_repeated(statement, record, signed=signer is not None, member=member)),
        not_proven=tuple(_missing(said(statement.organisation), signed=signer is not None, member=member)),
    )


def _repeated(statement: Statement, record: Mapping[str, Any], *, signed: bool, member: bool) -> Iterator[str]:
    if not signed:
        yield "Everything in the statement."
    elif not member:
        yield f"That the signer speaks for {said(statement.organisation)}."
    first = "" if statement.genesis is None else f", whose first block is {statement.genesis}"
    yield f"The word was given on the channel '{said(statement.channel)}'{first}."
    if record.get("kind") in _DECISIONS:
        for name in ("at", "expires_at", "withdrawn_at", "reason", "answer", "withdrawn_because"):
            if record.get(name) is not None and (name != "reason" or statement.reason is None):
                yield f"The record's '{name}' is {said(str(record[name]))}."


def _missing(organisation: str, *, signed: bool, member: bool) -> Iterator[str]:
    if not signed:
        yield "Who signed it: give the certificate of the user who did with --certificate."
    if not member:
        yield f"That the signer is of {organisation}: give that organisation's MSP folder with --msp."
    yield "When it was signed, and that the certificate was valid at that time."
    yield (
        "That a ledger accepted it and that it still counts: that it was not withdrawn and has not expired. Read that"
        " from a gateway that you trust with `pedigree artifact`."
    )
    yield "That what it says of the artifact is true."
