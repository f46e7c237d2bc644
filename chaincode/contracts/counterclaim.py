# SPDX-License-Identifier: Apache-2.0
"""Counter-claims: what their rules need, always by key."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.endorsement import artifact_of, presented_of, standing_of
from chaincode.contracts.state import Ledger, Load
from chaincode.domain.counterclaim import AnswerClaim, CounterClaim, StateClaim, WithdrawClaim
from chaincode.domain.endorsement import Endorsement
from chaincode.domain.policy import Policy
from chaincode.domain.values import Command, Record


def for_claim(ledger: Ledger, command: StateClaim) -> Mapping[str, object]:
    """What a counter-claim needs: what it is about, and the statement that was signed."""
    in_force, against, evidence = ledger.get(Policy), command.against, command.evidence
    given = None if against is None else ledger.get(Endorsement, command.artifact, command.stage, against)
    return {
        "artifact": artifact_of(ledger, command.artifact),
        "standing": standing_of(ledger, command.artifact),
        "policy": in_force,
        "existing": ledger.get(CounterClaim, command.artifact, ledger.by),
        "endorsement": given,
        "evidence": None if evidence is None else ledger.cited(Record, (evidence,)).get(evidence),
        "presented": presented_of(ledger, command.envelope, command.chain, in_force),
    }


def for_answer(ledger: Ledger, command: AnswerClaim) -> Mapping[str, object]:
    """What answering a claim needs: the claim."""
    return {"existing": ledger.get(CounterClaim, command.artifact, command.claimant)}


def for_retraction(ledger: Ledger, command: WithdrawClaim) -> Mapping[str, object]:
    """What taking a claim back needs: the caller's claim."""
    return {"existing": ledger.get(CounterClaim, command.artifact, ledger.by)}


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType(
    {StateClaim: for_claim, AnswerClaim: for_answer, WithdrawClaim: for_retraction}
)
