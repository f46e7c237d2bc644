# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations: what the client can record and ask of them."""

import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pedigree import rules
from pedigree.calls import Calls, Fields, segment, version_of
from pedigree.errors import Disagreement, InvalidInput, NotFound, Refused
from pedigree.numbers import as_number, plain_value
from pedigree.runs import Code, Run, code_of, environment_of
from pedigree.saving import read_run
from pedigree.transport import Json, Recorded


class RunCalls(Calls):
    """Calls about runs and evaluations."""

    def record_run(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Record a training run that is over; `parameters` and `metrics` may be mappings of names to values."""
        rules.check_name(name, "the run's name")
        return self._record("/v1/runs", {"run": name, **_listed(fields)}, idempotency_key)

    def record_saved_run(self, file: Path) -> Recorded:
        """Record the run in a file that a `Run` has left, once however often it is tried."""
        name, key, fields = read_run(file)
        return self.record_run(name, idempotency_key=key, **fields)

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
        save_in: Path | None = None,
    ) -> Run:
        """A training run as a context manager, recorded when the block ends without an error.

        What the ledger would refuse of what is given here is refused here, before anything is trained: a name that is
        taken, a data set version or a parent that is not there, a root that is another.

        Args:
            name: the run's identifier; without one it is made of `model` and the time.
            model: the model that is being trained.
            datasets: versions, as references or as `{"version": …, "root": …, "role": …}`.
            parents: the model versions that the training begins from.
            code: the file or folder that ran, or its SHA-256, or a mapping with digest, repository and commit.
            ignored: names in the folder of code that are not part of it, beside `CODE_NAMES`; the record names them.
            environment: digest and description; by default, of the installed packages.
            save_in: the folder for the file that is left when the run cannot be recorded; by default, the current one.
        """
        if name is None and model is None:
            raise InvalidInput("name the run, or the model that it trains", field="name")
        run = Run(
            name=_run_name(rules.check_name(model or "", "the model's name")) if name is None else name,
            inputs=[self._input(given) for given in datasets],
            parents=parents,
            code=code_of(code, ignored),
            environment=environment or environment_of(),
            parameters=dict(parameters or {}),
            note=note,
            folder=Path() if save_in is None else save_in,
            save=lambda key, fields: self.record_run(run.name, idempotency_key=key, **fields),
        )
        if name is not None:
            self._refuse_taken(name)
        for parent in parents:
            self._parent(parent)
        return run

    def get_run(self, name: str, *, source: str | None = None) -> Json:
        """A training run."""
        return self._transport.get(f"/v1/runs/{segment(name)}", **{"from": source})

    def runs(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of training runs: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/runs", cursor=cursor, limit=limit, **filters)

    def record_evaluation(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Record how a model version did on a data set version; `metrics` may be a mapping of names to numbers."""
        return self._record("/v1/evaluations", {"evaluation": name, **_listed(fields)}, idempotency_key)

    def evaluation(self, name: str, *, source: str | None = None) -> Json:
        """An evaluation."""
        return self._transport.get(f"/v1/evaluations/{segment(name)}", **{"from": source})

    def evaluations(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of evaluations: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/evaluations", cursor=cursor, limit=limit, **filters)

    def _input(self, given: str | Json) -> Json:
        entry = {"version": given} if isinstance(given, str) else dict(given)
        name, number = version_of(str(entry.get("version")), "dataset-version")
        version = self._transport.get(f"/v1/datasets/{segment(name)}/versions/{number}")
        root = version["record"]["root"]
        entry.setdefault("root", root)
        if entry["root"] != root:
            raise Disagreement(f"{entry['version']} has the root {root}, not {entry['root']}", code="artifact-altered")
        return {"role": "train", **entry}

    def _parent(self, reference: str) -> None:
        name, number = version_of(reference, "model-version")
        self._transport.get(f"/v1/models/{segment(name)}/versions/{number}")

    def _refuse_taken(self, name: str) -> None:
        try:
            self.get_run(name)
        except NotFound:
            return
        raise Refused(f"run:{name} is already recorded; give this one another name", code="already-exists")


def _run_name(model: str) -> str:
    """A name for a run of this model, cut to what the ledger takes."""
    suffix = f"-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    return model[: rules.LONGEST_NAME - len(suffix)] + suffix


def _listed(fields: Fields) -> Json:
    """The fields of a record with parameters and metrics as the ledger has them; raises `InvalidInput`."""
    listed = dict(fields)
    for name, write in (("parameters", _parameter), ("metrics", _metric)):
        given = fields.get(name)
        if isinstance(given, Mapping):
            listed[name] = [write({"name": each, "value": given[each]}) for each in sorted(given)]
        elif isinstance(given, Sequence) and not isinstance(given, str):
            listed[name] = [write(each) for each in given]
    return listed


def _parameter(given: Fields) -> Json:
    what = f"parameter {str(given.get('name'))[:60]!r}"
    return {**given, "value": rules.check_setting(str(plain_value(given.get("value"))), what)}


def _metric(given: Fields) -> Json:
    return {**given, "value": as_number(given.get("value"), f"metric {str(given.get('name'))[:60]!r}")}
