# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations: what the rules of `domain.training` need, and questions about single records."""

from chaincode.contracts.model import model_versions
from chaincode.contracts.provenance import dataset_versions
from chaincode.contracts.state import Ledger
from chaincode.domain import training
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.training import (
    Evaluation,
    GetEvaluation,
    GetRun,
    RecordEvaluation,
    RecordRun,
    TrainingRun,
)
from chaincode.domain.values import Outcome, evaluation_ref, run_ref


def record_run(ledger: Ledger, command: RecordRun) -> Outcome:
    """Record a training run."""
    parents = model_versions(ledger, command.parents)
    return training.record_run(
        command,
        by=ledger.by,
        at=ledger.at,
        existing=ledger.get(TrainingRun, command.run),
        data=dataset_versions(ledger, (used.version for used in command.inputs)),
        parents={reference: version.digest for reference, version in parents.items()},
    )


def record_evaluation(ledger: Ledger, command: RecordEvaluation) -> Outcome:
    """Record an evaluation."""
    subject = model_versions(ledger, (command.subject,)).get(command.subject)
    return training.record_evaluation(
        command,
        by=ledger.by,
        at=ledger.at,
        existing=ledger.get(Evaluation, command.evaluation),
        subject=None if subject is None else subject.digest,
        data=dataset_versions(ledger, (command.data.version,)),
    )


def get_run(ledger: Ledger, query: GetRun) -> TrainingRun:
    """A training run."""
    found = ledger.get(TrainingRun, query.run)
    if found is None:
        raise RecordNotFound(run_ref(query.run))
    return found


def get_evaluation(ledger: Ledger, query: GetEvaluation) -> Evaluation:
    """An evaluation."""
    found = ledger.get(Evaluation, query.evaluation)
    if found is None:
        raise RecordNotFound(evaluation_ref(query.evaluation))
    return found
