# SPDX-License-Identifier: Apache-2.0
"""What a statement about an artifact says, in sentences: the same before it is signed, while, and after."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from chaincode.domain.evidence import Decision, Statement
from chaincode.domain.values import Instant

NOT_COVERED: Final = (
    "That anybody has looked at the bytes behind the digest: compare them before you sign.",
    "Another stage, round, policy, channel or organisation: each takes a statement of its own.",
    "What the artifact was made from: those who endorse that say so of it.",
    "What becomes known later: an endorsement can be withdrawn, and an artifact quarantined.",
)
"""What no statement says."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VERBS: Final = {
    Decision.ENDORSE.value: "endorses",
    Decision.REJECT.value: "rejects",
    Decision.WITHDRAW.value: "withdraws its endorsement of",
    Decision.COUNTER_CLAIM.value: "makes a counter-claim against",
}


def in_words(statement: Statement) -> tuple[str, ...]:
    """What a statement says, sentence by sentence; texts of others' are as they wrote them, to be made printable."""
    return tuple(_sentences(statement))


def _sentences(statement: Statement) -> Iterator[str]:
    verb = _VERBS.get(statement.decision, f"says '{statement.decision}' of")
    yield f"{statement.organisation} {verb} {statement.artifact} for the stage '{statement.stage}'."
    for subject in statement.subjects:
        yield f"That is {subject.name} with the SHA-256 {subject.digest}, and no other bytes."
    if statement.against is not None:
        yield f"It is against the endorsement by {statement.against}."
    if statement.reason is not None:
        yield f"The reason: {statement.reason}"
    if statement.evidence is not None:
        yield f"As evidence it names {statement.evidence}."
    if statement.evidence_digest is not None:
        yield f"As evidence it names a document with the SHA-256 {statement.evidence_digest}."
    yield (
        f"It is a word on submission {statement.round} of the artifact, under policy {statement.policy} of the channel"
        f" '{statement.channel}'."
    )
    if statement.genesis is not None:
        yield f"The first block of that channel has the hash {statement.genesis}."
    if statement.at is not None:
        yield f"It is dated {time_of(statement.at)}; the ledger takes it for a day."
    if statement.seen:
        yield f"The signer has seen: {', '.join(statement.seen)}."


def time_of(at: Instant) -> str:
    """An instant as RFC 3339 has it."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
