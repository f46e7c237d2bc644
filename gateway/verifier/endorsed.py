# SPDX-License-Identifier: Apache-2.0
"""One transaction, judged by itself: who asked for it, who endorsed it, and whether that satisfies a policy.

Endorsements are counted as the ledger counts them: one that does not hold counts for nothing, and the rest may do. But
a certificate must have been valid when the transaction says that it was made, which the ledger leaves to its peers.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from fabric_protos.common import common_pb2

from gateway.fabric.blocks import Transaction
from gateway.fabric.errors import MalformedData
from gateway.fabric.msp import Member, Msps
from gateway.fabric.policy import Policy, PolicyNotSatisfied
from gateway.fabric.texts import said
from gateway.fabric.verify import proposal_hash
from gateway.verifier.ordered import RefutedEvidence, valid_at

__all__ = ["Judged", "judge", "satisfied", "time_of"]

_ENDORSED: Final = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """A transaction whose signatures were checked."""

    transaction: Transaction
    creator: Member
    endorsers: tuple[Member, ...]
    """Each once, in the order of their endorsements."""
    uncounted: tuple[str, ...]
    """Why endorsements count for nothing, in sentences."""

    @property
    def organisations(self) -> list[str]:
        """MSP ids of those who endorsed."""
        return sorted({each.msp_id for each in self.endorsers})


def judge(transaction: Transaction, msps: Msps, channel: str) -> Judged:
    """Check whose a transaction is and who endorsed it; raises `RefutedEvidence` where it is nobody's."""
    if transaction.malformed is not None:
        raise RefutedEvidence(f"its transaction cannot be read: {transaction.malformed}")
    if transaction.type != _ENDORSED:
        raise RefutedEvidence("its transaction is not of a chaincode")
    if transaction.channel != channel:
        raise RefutedEvidence(
            f"its transaction is of the channel '{said(transaction.channel)}', and the file is about '{said(channel)}'"
        )
    if transaction.transaction_id != hashlib.sha256(transaction.nonce + transaction.creator).hexdigest():
        raise RefutedEvidence("the id of its transaction is not that of its creator and nonce")
    creator = _creator(transaction, msps)
    header = common_pb2.Payload.FromString(transaction.payload).header
    named = proposal_hash(header.channel_header, header.signature_header, transaction.proposal_payload)
    if named != transaction.proposal_hash:
        raise RefutedEvidence("its endorsements are of another proposal")
    endorsers, uncounted = _endorsers(transaction, msps)
    return Judged(transaction, creator, endorsers, uncounted)


def satisfied(judged: Judged, policy: Policy, demand: str) -> None:
    """Raises `RefutedEvidence` unless the endorsements satisfy a policy; `demand` says which."""
    try:
        policy.evaluate(judged.endorsers)
    except PolicyNotSatisfied as exc:
        by = " and ".join(map(said, judged.organisations)) or "nobody"
        reasons = "".join(f"; {reason}" for reason in judged.uncounted[:4])
        raise RefutedEvidence(f"{by} endorsed it, which does not satisfy {demand}: {exc}{reasons}") from None


def time_of(at: datetime) -> str:
    """A time in RFC 3339, to the second."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _creator(transaction: Transaction, msps: Msps) -> Member:
    try:
        creator = msps.member(transaction.creator)
        creator.verify(transaction.payload, transaction.signature)
    except MalformedData as exc:
        raise RefutedEvidence(f"the creator of its transaction is not a member: {exc}") from None
    except InvalidSignature:
        raise RefutedEvidence(
            f"its transaction is not signed by its creator of {said(transaction.creator_msp_id)}"
        ) from None
    if not valid_at(creator, transaction.timestamp):
        raise RefutedEvidence(f"the certificate of its creator, {_outside(creator, transaction.timestamp)}")
    return creator


def _endorsers(transaction: Transaction, msps: Msps) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    found: dict[tuple[str, bytes], Member] = {}
    uncounted: list[str] = []
    for endorsement in transaction.endorsements:
        try:
            member = msps.member(endorsement.endorser)
            member.verify(transaction.response_payload + endorsement.endorser, endorsement.signature)
        except MalformedData as exc:
            uncounted.append(f"an endorsement is not a member's: {exc}")
            continue
        except InvalidSignature:
            uncounted.append(f"an endorsement in the name of {said(member.msp_id)} is forged")
            continue
        if valid_at(member, transaction.timestamp):
            found.setdefault(member.key, member)
        else:
            uncounted.append(f"the certificate of an endorser, {_outside(member, transaction.timestamp)}")
    return tuple(found.values()), tuple(uncounted)


def _outside(member: Member, at: datetime | None) -> str:
    parsed = member.certificate.parsed
    spoken = "" if at is None else f", when the transaction was made ({time_of(at)})"
    return (
        f"{member.certificate.name} of {said(member.msp_id)}, was not valid{spoken}: it is from "
        f"{time_of(parsed.not_valid_before_utc)} to {time_of(parsed.not_valid_after_utc)}"
    )
