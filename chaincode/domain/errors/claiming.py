# SPDX-License-Identifier: Apache-2.0
"""Refusals about counter-claims."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Conflict, Forbidden, NotFound


@dataclass
class OwnClaim(Forbidden):
    """An organisation makes no claim against what is its own: its artifact, or its endorsement."""

    code = "own-claim"
    sentence = "{by} makes no counter-claim against its own artifact or endorsement '{reference}'."
    reference: str
    by: str


@dataclass
class ClaimAlreadyOpen(Conflict):
    """An organisation has one open claim against an artifact."""

    code = "claim-already-open"
    sentence = "{by} has an open counter-claim against '{reference}' already."
    reference: str
    by: str


@dataclass
class NoOpenClaim(NotFound):
    """There is no open claim to answer or to withdraw."""

    code = "no-open-claim"
    sentence = "{by} has no open counter-claim against '{reference}'."
    reference: str
    by: str


@dataclass
class NotTheAnswerer(Forbidden):
    """A claim is answered by the organisation that it is against."""

    code = "not-the-answerer"
    sentence = "The counter-claim against '{reference}' is for {answerer} to answer, not for {by}."
    reference: str
    answerer: str
    by: str


@dataclass
class AlreadyAnswered(Conflict):
    """A claim is answered once."""

    code = "already-answered"
    sentence = "{by} has answered the counter-claim of {claimant} against '{reference}' already."
    reference: str
    claimant: str
    by: str
