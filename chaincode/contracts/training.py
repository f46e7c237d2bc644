# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations: questions about single records."""

from chaincode.contracts.state import Ledger
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.evaluation import Evaluation, GetEvaluation
from chaincode.domain.training import GetRun, TrainingRun
from chaincode.domain.values import evaluation_ref, run_ref


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
