# SPDX-License-Identifier: Apache-2.0
"""A finished MLflow run, read through MLflow's public client and recorded: the run, then the models that it logged.

Everything is read from the tracking store. A run is on the ledger once, because its name there is made of its id; a
model version, because its idempotency key is. What came of it is in the run's tags.
"""

import functools
import hashlib
import json
import logging
import mimetypes
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from pedigree import rules
from pedigree.client import Pedigree
from pedigree.errors import Conflict, InvalidInput, Refused
from pedigree.files import manifest_digest
from pedigree.mlflowruns.artifacts import OURS, digest_stored
from pedigree.mlflowruns.tags import (
    NAMING,
    Data,
    code_said,
    data_of,
    environment_said,
    parents_of,
    unnamed_inputs,
)
from pedigree.runs import Run
from pedigree.settings import settled
from pedigree.using import split_reference

if TYPE_CHECKING:
    from pedigree.documents import FileEntry, RecordRun, RunArtifact

_NAME: Final = re.compile("[a-z0-9][a-z0-9_-]{0,54}[a-z0-9]")
_KEYS: Final = uuid.UUID("5c6cb9c5-6a0f-5e0c-9a59-0f0c3f4a3d6b")
"""The name space of idempotency keys."""
_HISTORY: Final = "history.jsonl"
_log = logging.getLogger("pedigree")


class NotForTheLedger(Exception):
    """Why a run is not recorded, though nothing is wrong with it."""


class _Model(NamedTuple):
    """A model that a run logged or registered: its files, and what of it is in the registry."""

    identity: str
    files: "list[FileEntry]"
    logged: str | None
    registered: "list[Any]"


def run_name(run_id: str) -> str:
    """What an MLflow run is called on the ledger."""
    return f"mlflow-{run_id if _NAME.fullmatch(run_id) else hashlib.sha256(run_id.encode()).hexdigest()[:32]}"


class Recording:
    """Records one MLflow run.

    Args:
        client: an `mlflow.MlflowClient`, which has no types here.
    """

    def __init__(self, lab: Pedigree, client: Any, run_id: str) -> None:
        self._lab = lab
        self._client = client
        self._id = run_id
        self._run = client.get_run(run_id)
        self._tags: Mapping[str, str] = self._run.data.tags
        self._inputs: Sequence[Any] = getattr(self._run.inputs, "dataset_inputs", ())
        self.name = run_name(run_id)
        self.reference: str | None = None
        """The run on the ledger, once it is there."""

    @property
    def is_done(self) -> bool:
        """Whether the tags say that all of it is on the ledger."""
        return "pedigree.run" in self._tags and "pedigree.error" not in self._tags

    def record(self) -> None:
        """Record the run and its models, and say so in its tags.

        Raises `NotForTheLedger`, `PedigreeError`, `OSError`, `ValueError`, and whatever MLflow raises.
        """
        self._refuse_unfit()
        try:
            self._record_run()
            versions = list(self._record_models())
        except Refused:
            # A refusal is the answer to its key for good, and nothing was recorded under it.
            self._client.set_tag(self._id, "pedigree.attempt", str(uuid.uuid4()))
            raise
        if versions:
            self._client.set_tag(self._id, "pedigree.version", ", ".join(versions))
        for tag in {"pedigree.error", "pedigree.skipped"} & self._tags.keys():
            self._client.delete_tag(self._id, tag)

    def _refuse_unfit(self) -> None:
        status = self._run.info.status
        if status != "FINISHED":
            raise NotForTheLedger(f"it ended as {status}, and only finished runs are recorded")
        if "mlflow.autologging" in self._tags and "mlflow.parentRunId" in self._tags:
            raise NotForTheLedger("MLflow made it for a search, whose own run is recorded")
        if not any(self._tags.get(tag) for tag in NAMING) and not data_of(self._tags, self._inputs):
            raise NotForTheLedger("nothing says which data it used: set the tag pedigree.use, or PEDIGREE_USE")

    def _record_run(self) -> None:
        if self._tags.get("pedigree.run") == f"run:{self.name}":
            self.reference = f"run:{self.name}"
            return
        with tempfile.TemporaryDirectory(prefix="pedigree-") as folder:
            history = Path(folder) / _HISTORY
            try:
                fields: dict[str, Any] = {**self._fields(history)}
                key = self._key("run", fields)
                recorded = self._lab.record_run(fields.pop("run"), **fields, idempotency_key=key)
                transaction = recorded.transaction_id
            except Conflict as exc:
                transaction = self._recorded_before(exc)
        self.reference = f"run:{self.name}"
        self._client.set_tag(self._id, "pedigree.run", self.reference)
        self._client.set_tag(self._id, "pedigree.transaction", transaction)

    def _recorded_before(self, conflict: Conflict) -> str:
        """The transaction of this run, where it is recorded already; raises the conflict where that is another's."""
        if conflict.code != "already-exists":
            raise conflict
        found = self._lab.get_run(self.name)
        record, code = found["record"], code_said(self._tags)
        if (record["started"], record["code"]["digest"]) != (self._run.info.start_time, code["digest"]):
            raise conflict
        return found["transaction"]["id"]

    def _fields(self, history: Path) -> "RecordRun":
        """What is recorded of the run; the history of its metrics goes to its artifacts."""
        data = data_of(self._tags, self._inputs)
        values = self._metrics()
        run = self._lab.run(
            self.name,
            datasets=[_uncompared(each) for each in data if each.path is None],
            parents=parents_of(self._tags),
            code=code_said(self._tags),
            environment=environment_said(self._tags),
            note=self._note(),
            purpose=self._tags.get("pedigree.purpose"),
            history=history if len(values) > len({name for name, _, _ in values}) else None,
        )
        copies = [(each, each.path) for each in data if each.path is not None]
        compared = {(each.reference, each.role): _compare(run, each, path) for each, path in copies}
        for name, value in sorted(self._run.data.params.items()):
            run.log_parameter(settled(name, rules.LONGEST_TEXT), settled(value))
        for number, name in enumerate(unnamed_inputs(self._inputs), 1):
            run.log_parameter(f"MLflow input {number}", settled(name))
        for name, value, step in values:
            run.log_metric(settled(name, rules.LONGEST_TEXT), value, step)
        fields = run.fields()
        for entry in fields["inputs"]:
            written = compared.get((entry.get("selection", entry["version"]), entry["role"]), 0)
            if entry.get("found") == "verified" and written > self._run.info.start_time:
                entry["found"] = "unverified"  # nobody knows what was there when the training read it
        if "history" in fields:
            self._client.log_artifact(self._id, str(history), OURS)
        if artifacts := self._artifacts():
            fields["artifacts"] = artifacts
        return {**fields, "started": self._run.info.start_time, "finished": self._run.info.end_time}

    def _note(self) -> str | None:
        text = self._tags.get("mlflow.note.content", "").strip()
        return settled(text, rules.LONGEST_TEXT) if text else None

    def _metrics(self) -> list[tuple[str, float, int | None]]:
        """Every value of every metric, those of one name in the order in which MLflow counts one as the last."""
        found: list[tuple[str, float, int | None]] = []
        for name in sorted(self._run.data.metrics):
            history = self._client.get_metric_history(self._id, name)
            values = sorted({(each.step, each.timestamp, float(each.value)) for each in history})
            if [step for step, _, _ in values] == [0]:  # MLflow's step where none was given
                found.append((name, values[0][2], None))
            else:
                found += [(name, value, step if step >= 0 else None) for step, _, value in values]
        return found

    def _artifacts(self) -> "list[RunArtifact]":
        found: list[RunArtifact] = []
        for each in self._stored:
            entry: RunArtifact = {"path": each["path"], "digest": each["digest"], "size": each["size"]}
            if form := mimetypes.guess_type(each["path"])[0]:
                entry["media_type"] = form
            found.append(entry)
        return found

    @functools.cached_property
    def _stored(self) -> "list[FileEntry]":
        return digest_stored(
            lambda folder: self._client.list_artifacts(self._id, folder),
            lambda path, into: str(self._client.download_artifacts(self._id, path, into)),
            rules.MOST_ARTIFACTS,
        )

    # -- models ------------------------------------------------------------------------------------------------------

    def _record_models(self) -> Iterator[str]:
        """Record each model that the run logged or registered as a version of the one that `pedigree.model` names."""
        model = self._tags.get("pedigree.model")
        if not model:
            return
        licence = self._tags.get("pedigree.licence")
        if not licence:
            raise InvalidInput(
                f"nothing says under which licence a version of {model[:60]} is: set the tag pedigree.licence, or "
                "PEDIGREE_LICENCE",
                field="pedigree.licence",
            )
        found = list(self._models())
        if not found:
            raise InvalidInput(f"no model was logged that could be a version of {model[:60]}", field="pedigree.model")
        for each in found:
            version = self._version_before(model, each) or self._record_version(model, licence, each)
            if each.logged is not None:
                self._client.set_logged_model_tags(each.logged, {"pedigree.version": version})
            for entry in each.registered:
                self._client.set_model_version_tag(entry.name, str(entry.version), "pedigree.version", version)
            yield version

    def _record_version(self, model: str, licence: str, found: _Model) -> str:
        key = self._key(found.identity, [model, licence, found.files])
        return self._lab.record_model_version(
            model, found.files, licence=licence, run=self.name, idempotency_key=key
        ).reference

    def _version_before(self, model: str, found: _Model) -> str | None:
        """The version of these files from this run, where there is one."""
        digest = manifest_digest(found.files)
        for entry in self._lab.iterate_model_versions(model, digest=digest):
            record = entry["record"]
            if record["digest"] == digest and record.get("run") == self.name:
                return f"model-version:{record['model']}:{record['number']}"
        return None

    def _models(self) -> Iterator[_Model]:
        registered = list(self._client.search_model_versions(f"run_id = '{self._id}'"))
        for each in self._logged():
            if each.status == "READY" and (files := self._model_files(each.model_id)):
                named = [entry for entry in registered if getattr(entry, "model_id", None) == each.model_id]
                registered = [entry for entry in registered if entry not in named]
                yield _Model(each.model_id, files, each.model_id, named)
        folders: dict[str, list[Any]] = {}
        for entry in registered:  # those that are a folder of the run's artifacts
            for root in (f"runs:/{self._id}/", f"{self._run.info.artifact_uri}/"):
                if str(entry.source).startswith(root):
                    folders.setdefault(str(entry.source).removeprefix(root).strip("/"), []).append(entry)
        for folder, named in sorted(folders.items()):
            within = f"{folder}/"
            files = [each for each in self._stored if each["path"].startswith(within)]
            if entries := [{**each, "path": each["path"].removeprefix(within)} for each in files]:
                yield _Model(folder, cast("list[FileEntry]", entries), None, named)

    def _logged(self) -> Iterator[Any]:
        experiments, condition, token = [self._run.info.experiment_id], f"source_run_id = '{self._id}'", None
        while True:
            page = self._client.search_logged_models(experiments, condition, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _model_files(self, model_id: str) -> "list[FileEntry]":
        from mlflow.artifacts import download_artifacts

        with tempfile.TemporaryDirectory(prefix="pedigree-") as folder:
            uri = f"models:/{model_id}"
            place = download_artifacts(uri, dst_path=folder, tracking_uri=self._client.tracking_uri)
            return digest_stored(  # what is listed: MLflow puts a file of its own beside what it downloads
                lambda within: self._client.list_logged_model_artifacts(model_id, within),
                lambda path, _into: f"{place}/{path}",
                rules.MOST_FILES,
            )

    def _key(self, what: str, content: object) -> str:
        """The idempotency key: the same for the same content of the same run, until it is refused."""
        text = json.dumps([self._id, what, content, self._tags.get("pedigree.attempt", "")], sort_keys=True)
        return str(uuid.uuid5(_KEYS, text))


def _uncompared(data: Data) -> dict[str, str]:
    """Data of which no copy is on this machine."""
    version, selection = split_reference(data.reference)
    entry = {"version": version, "role": data.role, "found": "unverified"}
    return entry | {name: each for name, each in (("selection", selection), ("grant", data.grant)) if each is not None}


def _compare(run: Run, data: Data, path: Path) -> int:
    """Compare a copy with what it is said to be; answers when it was last written to, in milliseconds."""
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    written = max((each.stat().st_mtime_ns for each in files), default=0) // 1_000_000
    used = run.use(data.reference, path, role=data.role, bundle=data.bundle, grant=data.grant)
    if used.found == "differs":
        _log.warning("%s differs from %s, and the run says so", path, data.reference)
    return written
