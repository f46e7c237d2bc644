# SPDX-License-Identifier: Apache-2.0
"""The regulator's part in the story: a bar, and what the lab's files come to on the records that are held out."""

from __future__ import annotations

import time
from pathlib import Path

from gateway.demo import science
from gateway.demo.names import Names
from pedigree import Pedigree, Recorded
from pedigree.documents import Criteria, Evaluation

TRAINING = "https://pedigree.example/purposes#ModelTraining"
"""What the patients consented to, and the lab's run is for."""
BAR = ("accuracy >= 0.95", "roc_auc >= 0.98")
"""What the classifier has to reach."""


def set_bar(regulator: Pedigree, names: Names, when: str) -> Recorded[Criteria]:
    """Register the criteria."""
    return regulator.register_criteria(
        names.criteria(when), title="What the classifier has to reach", all_of=BAR,
        selection=names.selection("test"), model=names.consented_model,
    )  # fmt: skip


def evaluate(
    regulator: Pedigree, names: Names, when: str, *, subject: str, digest: str, records: Path, folder: Path
) -> Recorded[Evaluation]:
    """Measure the files of a model version, and record it as judged by the criteria."""
    _, dataset, number, name = names.selection("test").split(":")
    return regulator.record_evaluation(
        names.evaluation(when),
        subject=subject,
        digest=digest,
        data={
            "version": f"dataset-version:{dataset}:{number}",
            "root": regulator.selection(dataset, int(number), name)["record"]["root"],
            "role": "test",
            "selection": names.selection("test"),
            "grant": f"access-grant:{names.part('test', 'regulator')}",
        },
        metrics=science.measure(records, folder),
        evaluated_at=time.time_ns() // 1_000_000,
        purpose=TRAINING,
        criteria=names.criteria(when),
    )
