# SPDX-License-Identifier: Apache-2.0
"""What Fabric says when a call fails, in one table: what it means, who is to blame, and how often we try again.

Codes of gRPC do not tell a caller's fault from a server's, nor one peer's from another's: the same refusal is
FAILED_PRECONDITION from the own peer and UNAVAILABLE from another one. The texts below have been the same since
Fabric 2.4, so they decide; only what no text explains is decided by its code. Validation codes, which come later and
in blocks, are in `gateway/services/dispositions.py`; which HTTP status each failure has, in `gateway/rest/problems.py`.

Nobody signs these texts. What our own organisation's peers say is believed, as they run our chaincode on our ledger.
What a peer of another organisation says, and ours hands on, decides nothing that cannot be tried again a moment later:
no refusal is final on its word, and no transaction exists on its word.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from gateway.delivery.refusals import Failure, refusal, refusal_in
from gateway.fabric import ErrorDetail, FabricError, GatewayError, UntrustedResponse
from gateway.fabric.texts import said
from gateway.services.ports import (
    AlreadyProposed,
    EndorsementMismatch,
    EndorsementRefused,
    Forbidden,
    IdentityExpired,
    Json,
    LedgerMisuse,
    NothingOrdered,
    OrganisationsRequired,
    OutcomeUnknown,
    TimedOut,
    TooLarge,
    Unavailable,
)

_LOG = logging.getLogger(__name__)
_DUPLICATE = re.compile(r"duplicate transaction found \[([0-9a-f]{64})\]")
_EVALUATED = "evaluate call to endorser returned error: "
"""What a peer puts before another one's words, in its own message."""
_MOST_SAID = 8


class Blame(Enum):
    """Who answers for a failure."""

    NOBODY = "nobody"
    """The answer is about the request, or about something that every peer of ours would meet."""
    ENDORSERS = "endorsers"
    """Other organisations cannot endorse at the moment; asking another peer of ours would not help."""
    VIEW = "view"
    """This peer knows of too few endorsers: it may have come back a moment ago, and another one of ours know more."""
    FULL = "full"
    """The peer is at its limit of requests; it did nothing."""
    SUSPECT = "suspect"
    """Nothing came in time: this peer may be stuck, or something behind it. A probe must decide."""
    PEER = "peer"
    """The connection to this peer failed: another one may do better."""


class Verdict(NamedTuple):
    """A failure in the gateway's own terms, and who answers for it."""

    failure: Failure
    blame: Blame = Blame.NOBODY


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that Fabric says."""

    text: str
    """Decides when it occurs in the message or in any peer's detail."""
    make: Callable[[], NothingOrdered]
    blame: Blame = Blame.NOBODY


def _unavailable(code: str, message: str, *, retry_after: int = 1, retries: int = 0) -> Callable[[], NothingOrdered]:
    return lambda: Unavailable(message, code=code, retry_after=retry_after, retries=retries)


_ENDORSERS = _unavailable(
    "endorsers-unavailable", "too few organisations can endorse at the moment", retry_after=2
)  # fmt: skip
_STILL_RUNNING = _unavailable(
    "proposal-running", "an earlier attempt of this transaction has not ended at an endorser", retries=5
)  # fmt: skip
_CLOCK = _unavailable("clock-skew", "this gateway's clock and a peer's differ too much", retry_after=30)

TABLE: tuple[Row, ...] = (
    # In this order: the first text that occurs decides.
    Row(
        "ProposalResponsePayloads do not match",
        lambda: EndorsementMismatch("organisations simulated different results"),
    ),
    Row(
        "chaincode stream terminated",
        _unavailable("chaincode-unavailable", "a chaincode process ended", retries=1),
    ),
    Row(
        "the chaincode is stopping",
        _unavailable("chaincode-unavailable", "a chaincode process ended", retries=1),
    ),
    # The same proposal sent again through another peer, while an endorser is still at its first copy; that ends soon.
    Row(") exists", _STILL_RUNNING),  # "txid: …(channel) exists", of a peer
    Row("an earlier run of this transaction has not ended", _STILL_RUNNING),  # of the chaincode
    Row(  # "chaincode definition for … changed during invoke": an upgrade was committed meanwhile
        "changed during invoke",
        _unavailable("chaincode-unavailable", "the chaincode was upgraded meanwhile", retries=1),
    ),
    Row(
        "could not launch chaincode",
        _unavailable("chaincode-unavailable", "a chaincode process does not answer", retry_after=2),
    ),
    Row("timeout expired while executing transaction", lambda: TimedOut("the chaincode took too long")),
    Row(
        "No metadata was found for chaincode",
        _unavailable("chaincode-undefined", "the chaincode is not deployed", retry_after=5),
    ),
    Row(
        "required chaincodes are not installed on sufficient peers",
        _unavailable("endorsers-unavailable", "too few organisations have installed the chaincode", retry_after=5),
        Blame.VIEW,
    ),
    Row("no combination of peers can be derived", _ENDORSERS, Blame.VIEW),
    Row("failed to select a set of endorsers", _ENDORSERS, Blame.VIEW),
    Row("failed to find any endorsing peers for org", _ENDORSERS, Blame.VIEW),
    Row(
        "retry specifying",  # "… endorsing organization(s) to protect transient data", "… trusted endorsing …"
        lambda: OrganisationsRequired("private data needs the endorsing organisations to be named"),
    ),
    Row(
        "too many requests for",
        _unavailable("peer-capacity", "the peer is at its limit of requests"),
        Blame.FULL,
    ),
    Row("incorrect timestamp", _CLOCK),
    Row("client identity expired", lambda: IdentityExpired("the gateway's certificate has expired")),
    Row("creator org unknown", lambda: Forbidden("the channel does not know this gateway's organisation")),
    Row("access denied", lambda: Forbidden("the channel does not accept this gateway's identity")),
    Row("exceeds maximum allowed", lambda: TooLarge("the transaction is larger than the ordering service accepts")),
    Row("status=FORBIDDEN", lambda: Forbidden("the channel does not let this gateway write")),
    # A peer's words of an identity that the channel's policy for writers leaves out, such as that of a node.
    Row(
        "implicit policy evaluation failed",
        lambda: Forbidden("the channel does not let this gateway's identity write"),
    ),
    # What a peer of ours says of those behind it: it is well itself.
    Row(
        "endorsement timeout expired",
        _unavailable("endorsers-timeout", "an endorsing peer did not answer in time", retry_after=2),
    ),
    Row("evaluate timeout expired", _unavailable("peer-timeout", "the query took too long", retry_after=2)),
    Row(
        "no peers available to evaluate",
        _unavailable("chaincode-undefined", "no peer has the chaincode", retry_after=5),
    ),
    Row("failed to collect enough transaction endorsements", _ENDORSERS, Blame.ENDORSERS),
)

# Only these prove that an orderer refused: after any other failure of Submit the envelope may still be ordered.
_REFUSED_BY_ORDERER = ("status=BAD_REQUEST", "status=FORBIDDEN", "status=REQUEST_ENTITY_TOO_LARGE")
# A peer that says this of the ordering service is well itself.
_ABOUT_ORDERING = ("orderer", "broadcasting to ordering service")


class _Reports(NamedTuple):
    """Who said what about a failed call."""

    own: tuple[str, ...]
    """Our organisation's peers, the one that was called first."""
    others: tuple[ErrorDetail, ...]

    @classmethod
    def of(cls, error: GatewayError, own: str) -> "_Reports":
        others = tuple(detail for detail in error.details if detail.msp_id != own)
        message = error.message
        if others and message.startswith(_EVALUATED) and error.details[-1] in others:
            message = _EVALUATED  # what follows is the other one's
        return cls((message, *(each.message for each in error.details if each.msp_id == own)), others)


def judge(error: FabricError, *, submitting: bool, own: str) -> Verdict:
    """What a failure of the Gateway client means here, the most specific error that the facts allow, and who
    answers for it; `own` is the MSP id of this gateway's organisation."""
    if isinstance(error, UntrustedResponse):
        _LOG.critical("the peer's answer was not signed: %s", error)
        misuse = LedgerMisuse("the peer's answer failed verification and was not signed", reason=error.reason)
        if error.member:
            misuse.facts["organisation"] = said(error.member, 100)
        return Verdict(misuse)
    if not isinstance(error, GatewayError):
        _LOG.error("the Gateway client failed: %s", error)
        return Verdict(LedgerMisuse("the Gateway client failed; see the gateway's log"))
    if submitting:
        return _submitting(error)
    reports = _Reports.of(error, own)
    decided = _decided(reports, error.transaction_id)
    if decided is not None:
        return _naming(decided, error)
    return Verdict(_by_code(error), _blame(error, reports.own))


def _submitting(error: GatewayError) -> Verdict:
    texts = [error.message, *(detail.message for detail in error.details)]
    together = " ".join(texts)
    refused = error.code.name == "ABORTED" and any(text in together for text in _REFUSED_BY_ORDERER)
    # The peer's own limiter answers before anything is forwarded, so nothing was ordered.
    limited = "too many requests for" in error.message
    if not refused and not limited:
        unknown = OutcomeUnknown(f"ordering did not answer ({error.code.name})", transaction_id=error.transaction_id)
        return Verdict(unknown, _blame(error, texts))
    row = _row(texts, ())
    if row is not None:
        return Verdict(row.make(), row.blame)
    _LOG.error("the orderer refused a transaction: %s", error)
    return Verdict(LedgerMisuse("the ordering service refused the transaction"))


def _blame(error: GatewayError, texts: Sequence[str]) -> Blame:
    """Whose fault a failure without a known text is; details are what our peer heard from others, so it is well."""
    if error.details or any(about in text for text in texts for about in _ABOUT_ORDERING):
        return Blame.NOBODY
    if error.code.name in ("UNAVAILABLE", "CANCELLED"):
        return Blame.PEER
    return Blame.SUSPECT if error.code.name == "DEADLINE_EXCEEDED" else Blame.NOBODY


def key_unavailable() -> Unavailable:
    """What is answered while the key that this gateway signs with cannot be used: nothing was sent to a peer."""
    return Unavailable(
        "the key that this gateway signs with cannot be used now", code="signing-key-unavailable", retry_after=5
    )


def _decided(reports: _Reports, transaction_id: str) -> Verdict | None:
    for text in reports.own:
        duplicate = _DUPLICATE.search(text)
        if duplicate is not None and duplicate[1] == transaction_id:
            return Verdict(AlreadyProposed(transaction_id))
    for text in reports.own:
        answer = refusal_in(text)
        if answer is not None:
            return Verdict(refusal(*answer))
    refused = [detail for detail in reports.others if refusal_in(detail.message) or _DUPLICATE.search(detail.message)]
    if refused and len(refused) == len(reports.others):
        return Verdict(EndorsementRefused("other organisations' peers refuse what this organisation's peer does not"))
    row = _row(reports.own, [detail.message for detail in reports.others])
    if row is not None:
        return Verdict(row.make(), row.blame)
    return Verdict(_ENDORSERS(), Blame.ENDORSERS) if reports.others else None


def _row(own: Sequence[str], others: Sequence[str]) -> Row | None:
    """The first row that occurs: in our peers' words, or, where that can be tried again, in anybody's."""
    for row in TABLE:
        if any(row.text in text for text in own):
            return row
        if any(row.text in text for text in others) and row.make().transient:
            return row
    return None


def _naming(verdict: Verdict, error: GatewayError) -> Verdict:
    """Name the organisations that did not endorse, never their addresses; the log has those."""
    failure = verdict.failure
    if isinstance(failure, EndorsementRefused):
        failure.facts["said"] = [_quoted(detail) for detail in error.details[:_MOST_SAID]]
        _LOG.warning("%s: %s", failure.code, error)
    elif isinstance(failure, Unavailable) and verdict.blame in (Blame.ENDORSERS, Blame.VIEW, Blame.NOBODY):
        names = sorted({said(detail.msp_id, 100) for detail in error.details if detail.msp_id})
        if names:
            failure.facts["organisations"] = names
        _LOG.warning("%s: %s", failure.code, error)
    elif isinstance(failure, EndorsementMismatch | TimedOut):
        _LOG.error("%s: %s", failure.code, error)
    return verdict


def _quoted(detail: ErrorDetail) -> Json:
    """What a peer of another organisation said, as nothing but its words."""
    return {"organisation": said(detail.msp_id, 100), "text": said(detail.message)}


def _by_code(error: GatewayError) -> NothingOrdered:
    match error.code.name:
        case "UNAVAILABLE" | "CANCELLED" | "RESOURCE_EXHAUSTED":
            return Unavailable("the peer does not answer", code="peer-unavailable", retry_after=2)
        case "DEADLINE_EXCEEDED":
            return Unavailable("the peer did not answer in time", code="peer-timeout", retry_after=2)
    _LOG.error("the peer failed in a way that has no name: %s", error)
    return LedgerMisuse("the peer failed; see the gateway's log", grpc=error.code.name)
