# SPDX-License-Identifier: Apache-2.0
"""Endorsement statements as in-toto JSON, and back: ``decode(encode(s)) == s``."""

from typing import Any

from chaincode.domain.canonical import Json, encode, parse
from chaincode.domain.errors import InvalidField, Malformed, StatementInvalid
from chaincode.domain.evidence import MOST_SEEN, PREDICATE_TYPE, Decision, Statement, Subject
from chaincode.domain.values import Digest, Instant, Text


def encode_statement(statement: Statement) -> bytes:
    """The canonical bytes of a statement; these are what is signed, and a verifier takes them as they are."""
    return encode(
        {
            "_type": statement.statement_type,
            "subject": [
                {"name": subject.name, "digest": {"sha256": str(subject.digest)}} for subject in statement.subjects
            ],
            "predicateType": statement.predicate_type,
            "predicate": {
                "channel": statement.channel,
                "organisation": statement.organisation,
                "artifact": statement.artifact,
                "stage": statement.stage,
                "decision": statement.decision,
                "round": statement.round,
                "policy": statement.policy,
                **({} if statement.genesis is None else {"genesis": str(statement.genesis)}),
                **({} if statement.at is None else {"at": int(statement.at)}),
                **({} if statement.reason is None else {"reason": str(statement.reason)}),
                **({"seen": list(statement.seen)} if statement.seen else {}),
                **({} if statement.against is None else {"against": statement.against}),
                **({} if statement.evidence is None else {"evidence": statement.evidence}),
                **({} if statement.evidence_digest is None else {"evidence_digest": str(statement.evidence_digest)}),
            },
        }
    )


def decode_statement(payload: bytes) -> Statement:
    """Read a statement; members that are not relied on are passed over, anything else wrong is `StatementInvalid`."""
    try:
        document = parse(payload)
        predicate = _object(document, "predicate")
        kind = _text(document, "predicateType")
        # What version 1 did not define meant nothing in it, whatever it was.
        later = predicate if kind == PREDICATE_TYPE else {}
        return Statement(
            subjects=tuple(_subject(subject) for subject in _list(document, "subject")),
            channel=_text(predicate, "channel"),
            organisation=_text(predicate, "organisation"),
            artifact=_text(predicate, "artifact"),
            stage=_text(predicate, "stage"),
            decision=_text(predicate, "decision"),
            round=_number(predicate, "round"),
            policy=_number(predicate, "policy"),
            genesis=Digest.parse(_text(predicate, "genesis")) if "genesis" in predicate else None,
            at=Instant(_number(later, "at")) if "at" in later else None,
            reason=Text(_text(later, "reason")) if "reason" in later else None,
            seen=_seen(later) if "seen" in later else (),
            **_of_a_claim(later),
            statement_type=_text(document, "_type"),
            predicate_type=kind,
        )
    except Malformed as exc:
        raise StatementInvalid(str(exc).removesuffix(".")) from None


def _of_a_claim(predicate: dict[str, Json]) -> dict[str, Any]:
    """What only counter-claims have; of another statement these members mean nothing."""
    if predicate.get("decision") != Decision.COUNTER_CLAIM:
        return {}
    found: dict[str, Any] = {name: _text(predicate, name) for name in ("against", "evidence") if name in predicate}
    if "evidence_digest" in predicate:
        found["evidence_digest"] = Digest.parse(_text(predicate, "evidence_digest"))
    return found


def _subject(value: Json) -> Subject:
    return Subject(_text(value, "name"), Digest.parse(_text(_object(value, "digest"), "sha256")))


def _seen(predicate: Json) -> tuple[str, ...]:
    listed = _list(predicate, "seen")
    if len(listed) > MOST_SEEN or not all(isinstance(each, str) for each in listed):
        raise InvalidField("", f"its 'seen' is not a list of at most {MOST_SEEN} texts")
    return tuple(each for each in listed if isinstance(each, str))


def _member(value: Json, name: str) -> Json:
    if not isinstance(value, dict) or name not in value:
        raise InvalidField("", f"it has no '{name}'")
    return value[name]


def _object(value: Json, name: str) -> dict[str, Json]:
    member = _member(value, name)
    if not isinstance(member, dict):
        raise InvalidField("", f"its '{name}' is not an object")
    return member


def _list(value: Json, name: str) -> list[Json]:
    member = _member(value, name)
    if not isinstance(member, list):
        raise InvalidField("", f"its '{name}' is not a list")
    return member


def _number(value: Json, name: str) -> int:
    member = _member(value, name)
    if not isinstance(member, int) or isinstance(member, bool):
        raise InvalidField("", f"its '{name}' is not a whole number")
    return member


def _text(value: Json, name: str) -> str:
    member = _member(value, name)
    if not isinstance(member, str):
        raise InvalidField("", f"its '{name}' is not a text")
    return member
