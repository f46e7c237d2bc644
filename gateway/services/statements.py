# SPDX-License-Identifier: Apache-2.0
"""The statements that this organisation makes about artifacts: composed, and shown before anything is signed."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from chaincode.domain import codec
from chaincode.domain.assessment import Assessment
from chaincode.domain.endorsement import Ballot, Endorse, Reject, endorse, reject
from chaincode.domain.errors import LedgerError, PolicyMissing
from chaincode.domain.evaluation import Evaluation, assessment_of
from chaincode.domain.evidence import (
    PAYLOAD_TYPE,
    Decision,
    Envelope,
    Presented,
    Signature,
    Statement,
    statement_about,
)
from chaincode.domain.intoto import encode_statement
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.policy import Policy, Stage
from chaincode.domain.values import Blob, Digest, Instant, OrgId, Ref, Text
from chaincode.domain.withdrawal import Withdraw, withdraw
from gateway.services.catalogue import Catalogue
from gateway.services.conditions import conditions
from gateway.services.ports import Entry, Json
from gateway.services.wording import NOT_COVERED, in_words

R = TypeVar("R", bound=codec.Document)

MOST_EVALUATIONS: Final = 32
"""How many evaluations of an artifact a statement names; the first that were recorded."""
_MOST_STOPPED: Final = 32
OF_CLAIMS: Final = ("against", "evidence", "evidence_digest")
"""What only a counter-claim says."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """In whose name statements are signed, and on which ledger."""

    organisation: str
    """The MSP id."""
    channel: str
    genesis: str
    """The header hash of the channel's first block, in hex."""


@dataclass(frozen=True, slots=True)
class Word:
    """What an organisation is about to say of an artifact."""

    artifact: Ref
    digest: str
    stage: str
    decision: Decision
    reason: str | None
    beside: Mapping[str, str] = field(default_factory=dict)
    """What only a counter-claim says, by the names in `OF_CLAIMS`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an artifact where the word is given."""

    evaluations: Sequence[Entry]
    tainted_by: Sequence[Json]

    def listed(self) -> tuple[str, ...]:
        """As a statement names it."""
        stopped = [f"{taint['path'][-1]} ({taint['cause']})" for taint in self.tainted_by[:_MOST_STOPPED]]
        return (*(f"evaluation:{entry.value['evaluation']}" for entry in self.evaluations), *stopped)


def evaluations_of(catalogue: Catalogue, artifact: Ref) -> Sequence[Entry]:
    """The evaluations of an artifact that a statement names: first the one that its submission names."""
    asked = conditions({"subject": (str(artifact),)})
    found = catalogue.some("evaluation", asked, cursor=None, limit=MOST_EVALUATIONS)[0]
    standing = catalogue.find("artifact-stage", artifact=artifact)
    named = None if standing is None else submitted_with(catalogue, standing.value.get("evaluation"))
    if named is None:
        return found
    others = (entry for entry in found if entry.value["evaluation"] != named.value["evaluation"])
    return (named, *others)[:MOST_EVALUATIONS]


def submitted_with(catalogue: Catalogue, evaluation: str | None) -> Entry | None:
    """The evaluation that a submission names."""
    return None if evaluation is None else catalogue.find("evaluation", evaluation=evaluation)


def assessment_in(catalogue: Catalogue, standing: ArtifactStage | None) -> Assessment | None:
    """The evaluation that an artifact's submission names, as the law of endorsement looks at it."""
    found = None if standing is None else submitted_with(catalogue, standing.evaluation)
    return None if found is None else assessment_of(read_document(Evaluation, found.value))


def compose(word: Word, seen: Seen, catalogue: Catalogue, speaker: Speaker, at: Instant) -> Statement:
    """The statement for a word, as the read model has the round and the policy; raises `PolicyMissing`."""
    policy = catalogue.find("policy")
    if policy is None:
        raise PolicyMissing
    standing = catalogue.find("artifact-stage", artifact=word.artifact)
    beside = word.beside
    return statement_about(
        word.artifact,
        Digest.parse(word.digest),
        Stage(word.stage),
        word.decision,
        channel=speaker.channel,
        organisation=OrgId(speaker.organisation),
        # Where no submission was read yet the first may be on its way; the chaincode knows.
        round_=(0 if word.decision is Decision.COUNTER_CLAIM else 1) if standing is None else standing.value["round"],
        policy=policy.value["number"],
        genesis=Digest.parse(speaker.genesis),
        at=at,
        reason=None if word.reason is None else Text(word.reason),
        seen=seen.listed(),
        against=OrgId(beside["against"]) if "against" in beside else None,
        evidence=Ref(beside["evidence"]) if "evidence" in beside else None,
        evidence_digest=Digest.parse(beside["evidence_digest"]) if "evidence_digest" in beside else None,
    )


def shown(statement: Statement, seen: Seen, refused: LedgerError | None) -> Json:
    """A statement before it is signed: in words, as JSON, to the byte, and what it does not cover."""
    payload = encode_statement(statement)
    return {
        "words": list(in_words(statement)),
        "not_covered": list(NOT_COVERED),
        "statement": json.loads(payload),
        "payload": b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "evaluations": [
            {
                "evaluation": entry.value["evaluation"],
                "owner": entry.value["owner"],
                "verdict": entry.value.get("verdict"),
                "transaction": entry.transaction_id,
            }
            for entry in seen.evaluations
        ],
        "tainted_by": list(seen.tainted_by),
        "refused": None if refused is None else {"code": refused.code, "detail": str(refused)},
    }


def refusal_of(
    statement: Statement,
    by: OrgId,
    at: Instant,
    *,
    standing: ArtifactStage | None,
    policy: Policy,
    ballot: Ballot,
    assessment: Assessment | None,
    open_claims: frozenset[OrgId],
) -> LedgerError | None:
    """What the law would say to a statement that was signed now; None where it would take it.

    Not of counter-claims, which need more than this.
    """
    envelope = Envelope(Blob(encode_statement(statement)), Text(PAYLOAD_TYPE), (Signature(Blob(b"unsigned")),))
    presented = Presented(statement.channel, statement, lambda _message, _signature: None)
    artifact, stage = Ref(statement.artifact), Stage(statement.stage)
    try:
        if statement.reason is None:
            vouching = Endorse(artifact, envelope, stage)
            endorse(
                vouching, by=by, at=at, standing=standing, policy=policy, ballot=ballot, presented=presented,
                assessment=assessment, open_claims=open_claims,
            )  # fmt: skip
        elif statement.decision == Decision.REJECT:
            rejecting = Reject(artifact, envelope, statement.reason, stage)
            reject(rejecting, by=by, at=at, standing=standing, policy=policy, ballot=ballot, presented=presented)
        else:
            taking = Withdraw(artifact, statement.reason, stage, envelope)
            withdraw(taking, by=by, at=at, standing=standing, policy=policy, ballot=ballot, presented=presented)
    except LedgerError as refusal:
        return refusal
    return None


def read_document(expected: type[R], value: Json) -> R:
    """A document of the read model."""
    document = codec.from_plain(value)
    if not isinstance(document, expected):
        raise TypeError(f"the read model holds a {type(document).__name__} where a {expected.__name__} belongs")
    return document
