# SPDX-License-Identifier: Apache-2.0
"""Assessment: the passed evaluation without which a rule of the policy lets nobody vouch for an artifact.

An evaluation serves where it was judged by criteria that were registered before the training (`domain.judging`), met
all of them, is about the very artifact, and was made by another member than the artifact's owner, with one of the
roles that the rule names. The owner names it when it submits the artifact; each word and each step asks for it anew,
by the rule in force at that time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chaincode.domain.errors import (
    EvaluatedByOwner,
    EvaluationMissing,
    EvaluationNotPassed,
    EvaluationOfAnother,
    EvaluatorWithoutRole,
    LedgerError,
)
from chaincode.domain.policy import ASSESSED, Policy, QuorumRule, roles_of, rule_for
from chaincode.domain.values import OrgId, Ref


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the law of endorsement needs to know of an evaluation."""

    reference: Ref
    owner: OrgId
    """The organisation that evaluated."""
    subject: Ref
    passed: bool
    """Whether it met criteria that were registered before the training."""


def check_assessment(artifact: Ref, owner: OrgId, assessment: Assessment) -> None:
    """Refuse an evaluation that can serve the artifact of `owner` under no policy."""
    if assessment.subject != artifact:
        raise EvaluationOfAnother(assessment.reference, assessment.subject, artifact)
    if not assessment.passed:
        raise EvaluationNotPassed(assessment.reference)
    if assessment.owner == owner:
        raise EvaluatedByOwner(assessment.reference, owner, artifact)


def required(
    rule: QuorumRule, policy: Policy, artifact: Ref, owner: OrgId, assessment: Assessment | None
) -> tuple[Ref, ...]:
    """The evaluation that `rule` asks for, where `assessment` is one that serves; nothing where it asks for none.

    Raises `EvaluationMissing`, `EvaluationOfAnother`, `EvaluationNotPassed`, `EvaluatedByOwner` and
    `EvaluatorWithoutRole`.
    """
    if rule.judged_by_roles is None:
        return ()
    roles = ", ".join(rule.judged_by_roles)
    if assessment is None:
        raise EvaluationMissing(artifact, rule.stage, roles or "any")
    check_assessment(artifact, owner, assessment)
    held = roles_of(policy, assessment.owner)
    if held is None or (rule.judged_by_roles and held.isdisjoint(rule.judged_by_roles)):
        raise EvaluatorWithoutRole(assessment.reference, assessment.owner, roles or "any")
    return (assessment.reference,)


def is_assessed(
    rule: QuorumRule, policy: Policy, artifact: Ref, owner: OrgId, assessment: Assessment | None
) -> bool | None:
    """Whether the evaluation that `rule` asks for is there; None where it asks for none."""
    try:
        return True if required(rule, policy, artifact, owner, assessment) else None
    except LedgerError:
        return False


def supplies(policy: Policy, artifact: Ref, owner: OrgId, *, kept: Assessment | None, given: Assessment | None) -> bool:
    """Whether `given` serves under a rule for which `kept` does not, on the way to deployment."""
    return any(
        is_assessed(rule, policy, artifact, owner, kept) is False
        and is_assessed(rule, policy, artifact, owner, given) is True
        for rule in _rules(policy, artifact)
    )


def _rules(policy: Policy, artifact: Ref) -> Iterable[QuorumRule]:
    return filter(None, (rule_for(policy, artifact.kind, stage) for stage in ASSESSED))
