# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations: what the client can record and ask of them."""

import secrets
import time
from collections.abc import Sequence
from typing import Any

from gateway.sdk.calls import Calls, Fields, segment, version_of
from gateway.sdk.runs import Code, Run, code_of, environment_of
from gateway.sdk.transport import Json, Recorded


class RunCalls(Calls):
    """Calls about runs and evaluations."""

    def record_run(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Record a training run that is over."""
        return self._record("/v1/runs", {"run": name, **fields}, idempotency_key)

    def run(
        self,
        name: str | None = None,
        *,
        model: str | None = None,
        datasets: Sequence[str | Json] = (),
        parents: Sequence[str] = (),
        code: Code = None,
        ignored: Sequence[str] = (),
        environment: Json | None = None,
        parameters: Fields | None = None,
        note: str | None = None,
    ) -> Run:
        """A training run as a context manager, recorded when the block ends without an error.

        Args:
            name: the run's identifier; without one it is made of `model` and the time.
            model: the model that is being trained.
            datasets: versions, as references or as `{"version": …, "root": …, "role": …}`.
            code: the file or folder that ran, or its SHA-256, or a mapping with digest, repository and commit.
            ignored: names in the folder of code that are no part of it, beside `CODE_NAMES`; the record names them.
            environment: digest and description; by default, of the installed packages.
        """
        if name is None and model is None:
            raise ValueError("name the run, or the model that it trains")
        chosen = name or f"{model}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        return Run(
            name=chosen,
            inputs=[self._input(given) for given in datasets],
            parents=list(parents),
            code=code_of(code, ignored),
            environment=environment or environment_of(),
            parameters=dict(parameters or {}),
            note=note,
            save=lambda fields: self.record_run(chosen, **fields),
        )

    def get_run(self, name: str) -> Json:
        """A training run."""
        return self._transport.get(f"/v1/runs/{segment(name)}")

    def runs(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of training runs: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/runs", cursor=cursor, limit=limit, **filters)

    def record_evaluation(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Record how a model version did on a data set version."""
        return self._record("/v1/evaluations", {"evaluation": name, **fields}, idempotency_key)

    def evaluations(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of evaluations: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/evaluations", cursor=cursor, limit=limit, **filters)

    def _input(self, given: str | Json) -> Json:
        if not isinstance(given, str):
            return given
        name, number = version_of(given, "dataset-version")
        version = self._transport.get(f"/v1/datasets/{segment(name)}/versions/{number}")
        return {"version": given, "root": version["record"]["root"], "role": "train"}
