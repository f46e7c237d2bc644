# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations: recorded afterwards, or by themselves."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from pedigree import rules
from pedigree.calls import Fields, refuse_difference, version_of
from pedigree.comparisons import CopyComparison, RunComparison
from pedigree.criteria import criteria_of, version_measured
from pedigree.datasets import DatasetCalls
from pedigree.documents import Code as CodeDocument
from pedigree.documents import (
    Criteria,
    Criterion,
    DatasetComparison,
    Environment,
    Evaluation,
    MetricHistory,
    RunArtifact,
    RunInput,
    RunSignature,
    TrainingRun,
)
from pedigree.errors import Conflict, Disagreement, InvalidInput, NotFound, Unmet
from pedigree.kept import compare_kept
from pedigree.numbers import as_number, plain_value
from pedigree.recorded import Recorded
from pedigree.runs import Code, Run, code_of, environment_of
from pedigree.saving import read_run
from pedigree.uploads import Progress
from pedigree.using import Used, judged
from pedigree.verifying import verify_copy

Values = Mapping[str, object] | Sequence[Mapping[str, object]] | None
"""Values by their names: a mapping, or objects of `name`, `value` and, of a metric, `step`."""


class RunCalls(DatasetCalls):
    """Calls that record runs and evaluations."""

    def record_run(
        self,
        run: str,
        *,
        code: CodeDocument,
        environment: Environment,
        started: int,
        finished: int,
        inputs: Sequence[RunInput] | None = None,
        parents: Sequence[str] | None = None,
        parameters: Values = None,
        metrics: Values = None,
        note: str | None = None,
        purpose: str | None = None,
        artifacts: Sequence[RunArtifact] | None = None,
        history: MetricHistory | None = None,
        signature: RunSignature | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[TrainingRun]:
        """Record a training run that is over.

        Args:
            purpose: what it was for, by name or IRI; needed where data is used that its subjects gave for purposes.
            started: milliseconds since 1970-01-01T00:00:00Z, as `finished` is.
            parameters: a mapping of names to values, or what the record lists.
            metrics: a mapping of names to numbers, or what the record lists.
            artifacts: files that it wrote, and `history` that of its metrics, by their digests.
            signature: of the run's statement, by the gateway's own user; the gateway signs where none is given.
        """
        rules.check_name(run, "the run's name")
        fields = {
            "code": code, "environment": environment, "started": started, "finished": finished, "inputs": inputs,
            "parents": parents, "parameters": parameters, "metrics": metrics, "note": note,
            "purpose": purpose, "artifacts": artifacts, "history": history, "signature": signature,
        }  # fmt: skip
        return self._record_run(run, fields, idempotency_key, endorsing_organisations)

    def record_saved_run(self, file: Path | str) -> Recorded[TrainingRun]:
        """Record the run in a file that a `Run` has left, once however often it is tried."""
        name, key, fields = read_run(file)
        return self._record_run(name, fields, key)

    def run(
        self,
        name: str | None = None,
        *,
        model: str | None = None,
        datasets: Sequence[str | RunInput | Mapping[str, str]] = (),
        parents: Sequence[str] = (),
        code: Code = None,
        ignored: Sequence[str] = (),
        environment: Environment | None = None,
        parameters: Mapping[str, object] | None = None,
        note: str | None = None,
        purpose: str | None = None,
        save_in: Path | str | None = None,
        history: Path | str | None = None,
        autolog: bool = False,
    ) -> Run:
        """A training run as a context manager, recorded when the block ends without an error.

        What the ledger would refuse of what is given here is refused here, before anything is trained: a name that is
        taken, a data set version or a parent that is not there, a root that is another, data under consent without a
        selection.

        Args:
            name: the run's identifier; without one it is made of `model` and the time.
            model: the model that is being trained.
            datasets: versions, as references or as `{"version": …, "root": …, "role": …}`, with a `selection` from it
                where that was read, and with what was `found`.
            parents: the model versions that the training begins from.
            code: the path of the file or folder that ran, or its SHA-256 (64 hexadecimal digits), or a mapping with
                digest, repository and commit.
            ignored: names in the folder of code that are not part of it, beside `CODE_NAMES`; the record names them.
            environment: digest and description; by default, of the installed packages.
            purpose: what it is for, by name or IRI; needed where data is used that its subjects gave for purposes.
            save_in: the folder for the file that is left when the run cannot be recorded; by default, the current one.
            history: a new file for every value of every metric, as JSON Lines. It stays here; the run has its digest,
                and the last value of each metric.
            autolog: note what is trained with scikit-learn in the block: class, parameters and input of each estimator
                that is fitted there, how long it took, and what its `score` answers.
        """
        if name is None and model is None:
            raise InvalidInput("name the run, or the model that it trains", field="name")
        run = Run(
            name=_run_name(rules.check_name(model or "", "the model's name")) if name is None else name,
            inputs=[self._input(given) for given in datasets],
            parents=parents,
            code=code_of(code, ignored),
            environment=environment_of() if environment is None else environment,
            parameters=dict(parameters or {}),
            note=note,
            purpose=purpose,
            folder=Path() if save_in is None else Path(save_in),
            save=lambda key, fields: self._record_run(run.name, fields, key),
            compare=self._compare,
            history=None if history is None else Path(history),
            autolog=autolog,
        )
        if name is not None:
            self._refuse_taken(name)
        for parent in parents:
            self._parent(parent)
        return run

    def register_criteria(
        self,
        criteria: str,
        *,
        title: str,
        all_of: Sequence[str | Criterion | Mapping[str, object]],
        version: str | None = None,
        selection: str | None = None,
        model: str | None = None,
        note: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Criteria]:
        """Register what evaluations of a model have to reach, before the training that they judge.

        Args:
            all_of: each as text, such as `auc >= 0.95`, or as the record has it; thresholds are kept to the last digit.
            version: the data set version that is measured on; that of the selection, where one is named.
            selection: the selection from it that is measured on, such as `selection:wdbc:1:test`.
            model: the model whose versions are judged; without one, those of any.
        """
        fields = {
            "criteria": criteria, "title": title, "version": version_measured(version, selection),
            "all_of": criteria_of(all_of), "selection": selection, "model": model, "note": note,
        }  # fmt: skip
        return self._record("/v1/criteria", fields, idempotency_key, endorsing_organisations)

    def verify_run(
        self,
        run: str,
        *,
        history: Path | str | None = None,
        artifacts: Sequence[Path | str] | None = None,
        check: bool = False,
    ) -> RunComparison:
        """Compare the history of a run's metrics, or all the files that it wrote, with what the ledger says of them.

        Args:
            artifacts: every file and folder that was logged, under the names that they had.
            check: raise `Disagreement` for a difference.
        """
        if history is None and artifacts is None:
            raise InvalidInput("give a history, or artifacts", field="history")
        paths = None if artifacts is None else [Path(each) for each in artifacts]
        report = compare_kept(self.get_run(run)["record"], None if history is None else Path(history), paths)
        if check:
            refuse_difference(report, f"run:{run}")
        return report

    def record_evaluation(
        self,
        evaluation: str,
        *,
        subject: str,
        digest: str,
        data: RunInput,
        metrics: Values,
        evaluated_at: int,
        note: str | None = None,
        purpose: str | None = None,
        criteria: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Evaluation]:
        """Record how a model version did on a data set version.

        Args:
            subject: the model version, such as `model-version:net:1`, and `digest` that of its files.
            metrics: a mapping of names to numbers, or what the record lists.
            evaluated_at: milliseconds since 1970-01-01T00:00:00Z.
            purpose: what it was for, by name or IRI; needed where data is used that its subjects gave for purposes.
            criteria: the name of criteria that were registered before the training; the record has the verdict.
        """
        fields = {
            "evaluation": evaluation, "subject": subject, "digest": digest, "data": data, "metrics": metrics,
            "evaluated_at": evaluated_at, "note": note, "purpose": purpose, "criteria": criteria,
        }  # fmt: skip
        return self._record("/v1/evaluations", _listed(fields), idempotency_key, endorsing_organisations)

    def _record_run(
        self, name: str, fields: Fields, key: str | None, organisations: Sequence[str] | None = None
    ) -> Recorded[TrainingRun]:
        return self._record("/v1/runs", {"run": name, **_listed(fields)}, key, organisations)

    def _input(self, given: str | RunInput | Mapping[str, str]) -> RunInput:
        entry: Mapping[str, object] = {"version": given} if isinstance(given, str) else given
        name, number = version_of(str(entry.get("version")), "dataset-version")
        recorded = self.dataset_version(name, number)["record"]["root"]
        selection = entry.get("selection")
        self._check_use(name, number, whole=selection is None, granted=entry.get("grant") is not None)
        if selection is not None:
            recorded = self.selection(name, number, str(selection).rpartition(":")[2])["record"]["root"]
        root = entry.get("root", recorded)
        if root != recorded and entry.get("found") != "differs":
            read = selection or entry["version"]
            raise Disagreement(f"{read} has the root {recorded}, not {root}", code="artifact-altered")
        return cast("RunInput", {"role": "train", "root": root, **entry})

    def _compare(
        self,
        version: str,
        selection: str | None,
        path: Path,
        *,
        bundle: Path | str | None,
        media_type: str | None,
        id_field: str | None,
        delimiter: str | None,
        progress: Callable[[Progress], None] | None,
        granted: bool,
    ) -> Used:
        """A copy beside a version or a selection from it, by a bundle or by this gateway."""
        name, number = version_of(version, "dataset-version")
        entry = self.dataset_version(name, number)
        recorded = entry["record"]["root"]
        part = None
        self._check_use(name, number, whole=selection is None, granted=granted)
        if selection is not None:
            part = self.selection(name, number, selection.rpartition(":")[2])
            recorded = part["record"]["root"]
        report: CopyComparison | DatasetComparison | None
        if bundle is not None:
            report = verify_copy(
                path, bundle, version=entry, selection=part, media_type=media_type, id_field=id_field,
                delimiter=delimiter, progress=progress,
            )  # fmt: skip
        else:
            try:
                report = self.verify_dataset(
                    name, number, path, selection=None if part is None else part["record"]["selection"],
                    media_type=media_type, id_field=id_field, delimiter=delimiter, progress=progress,
                )  # fmt: skip
            except NotFound as exc:
                if exc.code != "records-not-held":
                    raise
                report = None
        return judged(path, report, recorded, selected=selection is not None)

    def _check_use(self, name: str, number: int, *, whole: bool, granted: bool) -> None:
        """Refuse what the ledger would refuse at the end: a version without the selection or the grant that it needs.

        Of data that its subjects gave for purposes, a selection of those who gave it for this one is used; sensitive
        data of other organisations, under a grant, which nobody can give for a run that is over.
        """
        record = self.dataset(name)["record"]
        basis, sensitivity = record.get("basis"), record.get("sensitivity")
        if whole and basis in rules.WITHDRAWABLE:
            raise Unmet(
                f"dataset-version:{name}:{number} is processed on {basis}: name a selection from it, which its owner "
                f"made for the run's purpose; they are listed by `pedigree selection list {name} {number}`",
                code="selection-missing",
            )
        if not granted and sensitivity in rules.WITHHELD and record["owner"] != self.whoami()["organisation"]:
            raise Unmet(
                f"dataset-version:{name}:{number} is {sensitivity} data of {record['owner']}, which nobody else uses "
                "without a grant of it: ask with `pedigree access request`, and name the grant",
                code="data-withheld",
            )

    def _parent(self, reference: str) -> None:
        name, number = version_of(reference, "model-version")
        self.model_version(name, number)

    def _refuse_taken(self, name: str) -> None:
        try:
            self.get_run(name)
        except NotFound:
            return
        raise Conflict(f"run:{name} is already recorded; give this one another name", code="already-exists")


def _run_name(model: str) -> str:
    """A name for a run of this model, cut to what the ledger takes."""
    suffix = f"-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    return model[: rules.LONGEST_NAME - len(suffix)] + suffix


def _listed(fields: Fields) -> dict[str, object]:
    """The fields of a record with parameters and metrics as the ledger has them; raises `InvalidInput`."""
    listed = dict(fields)
    for name, write in (("parameters", _parameter), ("metrics", _metric)):
        given = fields.get(name)
        if isinstance(given, Mapping):
            listed[name] = [write({"name": each, "value": given[each]}) for each in sorted(given)]
        elif isinstance(given, Sequence) and not isinstance(given, str):
            listed[name] = [write(each) for each in given]
    return listed


def _parameter(given: Fields) -> dict[str, object]:
    what = f"parameter {str(given.get('name'))[:60]!r}"
    return {**given, "value": rules.check_setting(str(plain_value(given.get("value"))), what)}


def _metric(given: Fields) -> dict[str, object]:
    return {**given, "value": as_number(given.get("value"), f"metric {str(given.get('name'))[:60]!r}")}
