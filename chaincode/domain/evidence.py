# SPDX-License-Identifier: Apache-2.0
"""Signed statements as evidence: an in-toto Statement v1 in a DSSE envelope, signed by its submitter.

The subject is the artifact, by its reference and its digest (for a data set version the root of its records). The
predicate says who speaks, on which channel, of which artifact and stage, in which round and under which policy, and
what the decision is, for which reason and when: a statement serves for that one word and for no other.

Version 2 of the predicate is what is taken now. Version 1 had neither reason nor time; it is still read where it is on
the ledger. docs/statements.md describes both.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from chaincode.domain.errors import StatementDigestDiffers, StatementInvalid, StatementOutOfTime
from chaincode.domain.policy import Stage
from chaincode.domain.values import SKEW, Blob, Digest, Instant, OrgId, Ref, Seconds, Text

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://pedigree.example/endorsement/v2"
PREDICATE_TYPE_1: Final = "https://pedigree.example/endorsement/v1"
"""What was signed before statements had a reason and a time."""
OLDEST: Final = Seconds(86_400)
"""How long before its transaction a statement may be dated: long enough to sign it elsewhere."""
MOST_SEEN: Final = 64

_COMPARED: Final = (
    "channel", "organisation", "artifact", "stage", "decision", "round", "policy", "reason", "against", "evidence",
    "evidence_digest",
)  # fmt: skip


class Decision(StrEnum):
    """What an organisation says of an artifact."""

    ENDORSE = "endorse"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    COUNTER_CLAIM = "counter-claim"


class SignatureCheck(Protocol):
    """Checks a signature against the certificate of the one who is said to have made it."""

    def __call__(self, message: bytes, signature: bytes) -> None:
        """Return when `signature` is that one's over `message`; raise `errors.BadSignature` otherwise, or what
        is wrong with the certificate."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature of a DSSE envelope; the key id is a hint and is not relied on."""

    sig: Blob
    keyid: Text | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope; its JSON names are those of the DSSE specification."""

    payload: Blob = field(metadata={"max": 65_536})
    """A query for the quorum reads every member's: hence the bound."""
    payload_type: Text = field(metadata={"name": "payloadType"})
    signatures: tuple[Signature, ...] = field(metadata={"max": 8})


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: a name for people, and a SHA-256."""

    name: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class Statement:
    """What an endorsement or a rejection says; `intoto` reads and writes it."""

    subjects: tuple[Subject, ...]
    channel: str
    organisation: str
    """The MSP id of the organisation that speaks."""
    artifact: str
    stage: str
    decision: str
    round: int
    """Which submission of the artifact this is a word on; the first is round 1."""
    policy: int
    """The number of the policy that is in force."""
    genesis: Digest | None = None
    """The header hash of the channel's first block, where the signer knows it.

    For those who read the statement away from the ledger: names of channels are not unique. Chaincode sees no blocks
    and cannot compare it.
    """
    at: Instant | None = None
    """When it was made, by the signer's clock; None in version 1."""
    reason: Text | None = None
    """Why: of a rejection, a withdrawal and a counter-claim."""
    seen: tuple[str, ...] = ()
    """What the signer says to have looked at: references of evaluations, and of what is stopped above the artifact."""
    against: str | None = None
    """Of a counter-claim, whose endorsement it is against; None: the artifact itself."""
    evidence: str | None = None
    """Of a counter-claim, a reference to a record that shows it."""
    evidence_digest: Digest | None = None
    """Of a counter-claim, the SHA-256 of a document that shows it."""
    statement_type: str = STATEMENT_TYPE
    predicate_type: str = PREDICATE_TYPE


def statement_about(
    artifact: Ref,
    digest: Digest,
    stage: Stage,
    decision: Decision,
    *,
    channel: str,
    organisation: OrgId,
    round_: int,
    policy: int,
    at: Instant | None,
    genesis: Digest | None = None,
    reason: Text | None = None,
    seen: tuple[str, ...] = (),
    against: OrgId | None = None,
    evidence: Ref | None = None,
    evidence_digest: Digest | None = None,
) -> Statement:
    """The statement that a gateway signs for a word on an artifact, and the one that the ledger accepts."""
    return Statement(
        subjects=(Subject(artifact, digest),),
        channel=channel,
        organisation=organisation,
        artifact=artifact,
        stage=stage,
        decision=decision,
        round=round_,
        policy=policy,
        genesis=genesis,
        at=at,
        reason=reason,
        seen=seen,
        against=against,
        evidence=evidence,
        evidence_digest=evidence_digest,
    )


@dataclass(frozen=True, slots=True)
class Presented:
    """A statement as it was presented: where, what it says, and how the creator's signature is checked."""

    channel: str
    statement: Statement
    """What the envelope's payload says; the caller has read it from there."""
    check: SignatureCheck


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature signs (PAE, DSSE version 1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify_evidence(envelope: Envelope, presented: Presented, expected: Statement, at: Instant) -> None:
    """Show that `envelope` holds a signature over a statement that says what is `expected`.

    The genesis hash is not compared, and of what was seen only that all is there which is expected. `at` is the time
    of the transaction.
    """
    statement = presented.statement
    if envelope.payload_type != PAYLOAD_TYPE:
        raise StatementInvalid(f"its payload type is not {PAYLOAD_TYPE}")
    if statement.statement_type != STATEMENT_TYPE or statement.predicate_type != PREDICATE_TYPE:
        raise StatementInvalid("it is not an endorsement statement of the version that is known here")
    for name in _COMPARED:
        if getattr(statement, name) != (right := getattr(expected, name)):
            raise StatementInvalid(f"its '{name}' is not '{right}'")
    for reference in expected.seen:
        if reference not in statement.seen:
            raise StatementInvalid(f"it does not list '{reference}' among what was 'seen'")
    _verify_time(statement, at)
    (right,) = expected.subjects
    if [subject.name for subject in statement.subjects] != [right.name]:
        raise StatementInvalid(f"its subject is not '{right.name}' alone")
    if statement.subjects != expected.subjects:
        raise StatementDigestDiffers(right.name, str(right.digest))
    if len(envelope.signatures) != 1:
        raise StatementInvalid("it must bear one signature, that of its submitter")
    presented.check(pre_authentication_encoding(envelope.payload_type, envelope.payload), envelope.signatures[0].sig)


def _verify_time(statement: Statement, at: Instant) -> None:
    """A statement is from the day before its transaction; nobody keeps one for later, or dates one ahead."""
    if statement.at is None:
        raise StatementInvalid("it does not say when it was made: it has no 'at'")
    if statement.at > at + SKEW or at > statement.at.plus(OLDEST):
        raise StatementOutOfTime(int(statement.at), int(at))
