# SPDX-License-Identifier: Apache-2.0
"""What Fabric says when a call fails, in one table: what it means, who is to blame, and how often we try again.

Codes of gRPC do not tell a caller's fault from a server's, nor one peer's from another's: the same refusal is
FAILED_PRECONDITION from the own peer and UNAVAILABLE from another one. The texts below have been the same since
Fabric 2.4, so they decide; only what no text explains is decided by its code. Validation codes, which come later and
in blocks, are in `gateway/services/fates.py`; which HTTP status each failure has, in `gateway/rest/problems.py`.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from chaincode.domain import canonical
from chaincode.domain import errors as law
from gateway.fabric import FabricError, GatewayError, UntrustedResponse
from gateway.services.ports import (
    AlreadyProposed,
    EndorsementMismatch,
    Forbidden,
    IdentityExpired,
    Json,
    LedgerMisuse,
    NothingOrdered,
    OrganisationsRequired,
    OutcomeUnknown,
    PortError,
    Refused,
    TimedOut,
    TooLarge,
    Unavailable,
)

_LOG = logging.getLogger(__name__)
_CHAINCODE_SAID = re.compile(r"chaincode response (\d{3}), (.*)", re.DOTALL)
_DUPLICATE = re.compile(r"duplicate transaction found \[([0-9a-f]{64})\]")
_REFUSALS = {
    error.code: error
    for family in law.LedgerError.__subclasses__()
    for error in family.__subclasses__()
}  # fmt: skip

Failure = PortError | law.LedgerError


class Blame(Enum):
    """Whom a failure is held against."""

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
    """A failure in the gateway's own terms, and whom it is held against."""

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


def translate(error: FabricError, *, submitting: bool) -> Failure:
    """What a failure of the Gateway client means here; the most specific error that the facts allow."""
    return judge(error, submitting=submitting).failure


def judge(error: FabricError, *, submitting: bool) -> Verdict:
    """The same, and whom the failure is held against."""
    if isinstance(error, UntrustedResponse):
        _LOG.critical("the peer's answer was not signed: %s", error)
        return Verdict(LedgerMisuse("the peer's answer failed verification and was not signed", reason=error.reason))
    if not isinstance(error, GatewayError):
        _LOG.error("the Gateway client failed: %s", error)
        return Verdict(LedgerMisuse("the Gateway client failed; see the gateway's log"))
    texts = [error.message, *(detail.message for detail in error.details)]
    if submitting:
        return _submitting(error, texts)
    decided = _decided(texts)
    if decided is not None:
        return _naming(decided, error)
    return Verdict(_by_code(error), _blame(error, texts))


def _submitting(error: GatewayError, texts: Sequence[str]) -> Verdict:
    said = " ".join(texts)
    refused = error.code.name == "ABORTED" and any(text in said for text in _REFUSED_BY_ORDERER)
    # The peer's own limiter answers before anything is forwarded, so nothing was ordered.
    limited = "too many requests for" in said
    if not refused and not limited:
        unknown = OutcomeUnknown(f"ordering did not answer ({error.code.name})", transaction_id=error.transaction_id)
        return Verdict(unknown, _blame(error, texts))
    row = _row(texts)
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


def _decided(texts: Sequence[str]) -> Verdict | None:
    for text in texts:
        duplicate = _DUPLICATE.search(text)
        if duplicate is not None:
            return Verdict(AlreadyProposed(duplicate[1]))
    for text in texts:
        said = _CHAINCODE_SAID.search(text)
        if said is not None:
            return Verdict(_refusal(int(said[1]), said[2]))
    row = _row(texts)
    return None if row is None else Verdict(row.make(), row.blame)


def _row(texts: Sequence[str]) -> Row | None:
    return next((row for row in TABLE if any(row.text in said for said in texts)), None)


def _naming(verdict: Verdict, error: GatewayError) -> Verdict:
    """Name the organisations that did not endorse, never their addresses; the log has those."""
    failure = verdict.failure
    if isinstance(failure, Unavailable) and verdict.blame in (Blame.ENDORSERS, Blame.VIEW, Blame.NOBODY):
        names = sorted({detail.msp_id for detail in error.details if detail.msp_id})
        if names:
            failure.facts["organisations"] = names
        _LOG.warning("%s: %s", failure.code, error)
    elif isinstance(failure, EndorsementMismatch | TimedOut):
        _LOG.error("%s: %s", failure.code, error)
    return verdict


def _by_code(error: GatewayError) -> NothingOrdered:
    match error.code.name:
        case "UNAVAILABLE" | "CANCELLED" | "RESOURCE_EXHAUSTED":
            return Unavailable("the peer does not answer", code="peer-unavailable", retry_after=2)
        case "DEADLINE_EXCEEDED":
            return Unavailable("the peer did not answer in time", code="peer-timeout", retry_after=2)
    _LOG.error("the peer failed in a way that has no name: %s", error)
    return LedgerMisuse("the peer failed; see the gateway's log", grpc=error.code.name)


def _refusal(status: int, text: str) -> Failure:
    """The chaincode's own no: status 400 with a coded refusal, anything else is a defect of it."""
    value = parse_object(text.encode())
    if value is not None and value.get("code") == "clock-skew":
        return Unavailable(
            "an organisation's clock and this gateway's differ too much", code="clock-skew", retry_after=30
        )
    if status != 400 or value is None or not isinstance(value.get("code"), str):
        _LOG.error("the chaincode failed with status %d: %s", status, text[:500])
        return LedgerMisuse("the chaincode failed; see the gateway's log", status=status)
    facts = value.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    kind = _REFUSALS.get(value["code"])
    if kind is not None:
        try:
            return kind(**{name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()})
        except TypeError:
            _LOG.warning("the refusal %s has other facts than this gateway knows", value["code"])
    return Refused(str(value.get("message", value["code"])), code=value["code"], **facts)


def parse_object(data: bytes) -> Json | None:
    """The JSON object in `data`, `None` when it is anything else."""
    try:
        value = canonical.parse(data)
    except law.Malformed:
        return None
    return value if isinstance(value, dict) else None
