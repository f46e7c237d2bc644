# SPDX-License-Identifier: Apache-2.0
"""Tracking stores of MLflow, for who records what is in one already."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pedigree.client import Pedigree
from pedigree.errors import InvalidInput
from pedigree.mlflowruns.attempts import Attempt, record_tracked


def record_stored(
    lab: Pedigree,
    *,
    runs: Sequence[str] = (),
    experiment: str | None = None,
    tags: Mapping[str, str] | None = None,
    tracking_uri: str | None = None,
) -> Iterator[Attempt]:
    """Record runs of a tracking store, one after another, those that are recorded already apart.

    Args:
        runs: ids of MLflow runs.
        experiment: the name of an experiment, all of whose finished runs are recorded as well.
        tags: given to each of these runs before.
        tracking_uri: the store; MLflow's own setting by default.

    Raises `InvalidInput` without MLflow, and for an experiment or a run that is not there.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise InvalidInput("MLflow is not installed: pip install mlflow-skinny", field="mlflow") from None
    try:
        client: Any = MlflowClient(tracking_uri)
        found = [*runs, *(() if experiment is None else _finished(client, experiment))]
        for run in found:
            for name, value in (tags or {}).items():
                client.set_tag(run, name, value)
            yield record_tracked(lab, client, run)
    except MlflowException as exc:
        raise InvalidInput(f"MLflow: {exc}", field="runs") from None


def _finished(client: Any, name: str) -> Iterator[str]:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        raise InvalidInput(f"MLflow has no experiment {name[:100]!r} there", field="experiment")
    token = None
    while True:
        page = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'", page_token=token)
        yield from (each.info.run_id for each in page)
        token = page.token
        if not token:
            return
