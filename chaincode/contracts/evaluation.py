# SPDX-License-Identifier: Apache-2.0
"""Evaluations: what the rule of `domain.evaluation` needs."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.evaluation import Evaluation, RecordEvaluation, cited_by_evaluation
from chaincode.domain.judging import Origin
from chaincode.domain.model import LaterParents, ModelVersion
from chaincode.domain.permission import map_versions
from chaincode.domain.training import TrainingRun
from chaincode.domain.values import Command, Record, Ref, run_ref


def for_evaluation(ledger: Ledger, command: RecordEvaluation) -> Mapping[str, object]:
    """What recording an evaluation needs: also, where criteria judge it, how the model version was made."""
    cited = ledger.cited(Record, cited_by_evaluation(command))
    return {
        "existing": ledger.get(Evaluation, command.evaluation),
        "cited": cited | ledger.cited(Record, map_versions(cited)),
        "look": partial(_origins, ledger),
    }


def _origins(ledger: Ledger, versions: Sequence[Ref]) -> list[Origin]:
    """How model versions were made: by which run and from which others, by three calls of the peer."""
    recorded = ledger.cited(ModelVersion, versions)
    later = ledger.get_each(LaterParents, [(version,) for version in versions])
    runs = ledger.cited(TrainingRun, (run_ref(each.run) for each in recorded.values() if each.run is not None))
    return [
        Origin(
            None if made.run is None else runs[run_ref(made.run)],
            tuple(parent.version for parent in (*made.parents, *(() if added is None else added.parents))),
        )
        for made, added in zip((recorded[version] for version in versions), later, strict=True)
    ]


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType({RecordEvaluation: for_evaluation})
