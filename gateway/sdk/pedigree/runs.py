# SPDX-License-Identifier: Apache-2.0
"""A training run that records itself: what it read, ran with and measured."""

import hashlib
import json
import platform
import re
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from pedigree import rules
from pedigree.errors import InvalidInput, PedigreeError, Refused
from pedigree.files import digest_code
from pedigree.folders import ignored_in_code
from pedigree.kept import History, artifacts_at
from pedigree.numbers import as_number, plain_value
from pedigree.saving import replace_key, save_run
from pedigree.sklearnfits import Fits
from pedigree.using import Snapshot, Used, check_input, is_unchanged, snapshot, split_reference

if TYPE_CHECKING:
    from pedigree.documents import Code as CodeRecord
    from pedigree.documents import Environment, Metric, Parameter, RecordRun, RunArtifact, RunInput, TrainingRun
    from pedigree.recorded import Recorded
    from pedigree.uploads import Progress

Code = Path | str | Mapping[str, object] | None
_MOST = {"parameter": rules.MOST_PARAMETERS, "metric": rules.MOST_METRICS}
_DIGEST = re.compile("[0-9a-fA-F]{64}")
_RESERVED = 64 * 1024
"""Bytes of a record beside its parameters, metrics, inputs and note."""


class Run:
    """Collects parameters and metrics while the block runs, and records them when it ends without an error.

    What the ledger would refuse is refused when it is given. A recording that fails leaves the run in a file: the
    exception says where (`saved_to` of a `PedigreeError`, a note on others); `pedigree run record FILE` and
    `Pedigree.record_saved_run` take it. So does an error in the block, once a parameter or a metric was logged in it.
    """

    def __init__(
        self,
        *,
        name: str,
        inputs: Sequence["RunInput"],
        parents: Sequence[str],
        code: "CodeRecord",
        environment: "Environment",
        parameters: Mapping[str, Any],
        note: str | None,
        folder: Path,
        save: "Callable[[str, RecordRun], Recorded[TrainingRun]]",
        purpose: str | None = None,
        compare: "Callable[..., Used] | None" = None,
        history: Path | None = None,
        autolog: bool = False,
    ) -> None:
        self.name = rules.check_name(name, "the run's name")
        self.recorded: Recorded[TrainingRun] | None = None
        """The committed record, once the block has ended."""
        self.saved_to: Path | None = None
        """The file that holds the run, when it could not be recorded."""
        self._inputs: list[RunInput] = []
        self._artifacts: list[RunArtifact] = []
        self._history = None if history is None else History(history)
        self._parents = check_parents(parents)
        self._code = check_code(code)
        self._environment = check_environment(environment)
        self._note = note if note is None else rules.check_text(note, "the note")
        self._purpose = purpose if purpose is None else rules.check_text(purpose, "the purpose")
        self._entries: dict[tuple[str, str, int | None], Parameter | Metric] = {}
        self._count = dict.fromkeys(_MOST, 0)
        self._bytes = len(json.dumps([self._code, self._environment, note], ensure_ascii=False).encode())
        self._folder = folder.absolute()
        self._key = str(uuid.uuid4())
        self._save = save
        self._compare = compare
        self._read: list[tuple[RunInput, Used, Snapshot]] = []
        """The inputs that were compared, and what was there then."""
        self._started = self._clock = 0
        self._logged = False
        self._fits = Fits(self) if autolog else None
        self._unsaved: OSError | None = None
        for given in inputs:
            self.log_input(**given)
        self.log_parameters(parameters)

    @property
    def reference(self) -> str:
        """How other records name this run."""
        return f"run:{self.name}"

    def log_parameter(self, name: str, value: Any) -> None:
        """Note a setting, as the text that Python makes of it; a later value takes the place of an earlier one.

        Raises `InvalidInput` for what the ledger would refuse: more than 65,536 characters, control characters other
        than newline and tab, text that is not in Unicode normal form C.
        """
        what = f"parameter {str(name)[:60]!r}"
        text = rules.check_setting(str(plain_value(value)), what)
        self._put("parameter", {"name": rules.check_text(str(name), what), "value": text}, what)

    def log_parameters(self, values: Mapping[str, Any]) -> None:
        """Note several settings, such as `estimator.get_params()`."""
        for name, value in values.items():
            self.log_parameter(name, value)

    def log_metric(self, name: str, value: Any, step: int | None = None) -> None:
        """Note a measurement: whatever Python, NumPy or torch calls a number, `nan` and the infinities too.

        It is kept as a float64. A later value takes the place of an earlier one of the same name and step; without a
        step, it speaks of the whole run. Where the run keeps a history, every value is in that file and the last one of
        each name in the record. Raises `InvalidInput`, which names the metric, for a truth value, for what is
        not one number, and for more than 10,000 metrics.
        """
        what = f"metric {str(name)[:60]!r}"
        entry: Metric = {"name": rules.check_text(str(name), what), "value": as_number(value, what)}
        if step is not None:
            entry["step"] = rules.check_step(step, what)
        self._put("metric", entry, what)
        if self._history is not None:
            self._history.add(entry)

    def log_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Note several measurements of one step."""
        for name, value in values.items():
            self.log_metric(name, value, step)

    def log_artifact(self, path: Path | str, name: str | None = None, *, media_type: str | None = None) -> None:
        """Note a file that the run wrote, or every file of a folder, by digest and size; the files stay where they are.

        Args:
            name: what it is called in the record; its own name by default.
            media_type: what the file's name says, by default.
        """
        added = artifacts_at(Path(path), name, media_type)
        taken = {each["path"] for each in self._artifacts}
        for each in added:
            if each["path"] in taken:
                raise InvalidInput(f"{each['path']} is an artifact of the run already", field="artifacts")
        if len(taken) + len(added) > rules.MOST_ARTIFACTS:
            raise InvalidInput(f"a run names at most {rules.MOST_ARTIFACTS} files", field="artifacts")
        self._artifacts += added
        self._logged = self._started != 0

    def log_input(
        self,
        version: str,
        root: str,
        role: str = "train",
        *,
        selection: str | None = None,
        found: str | None = None,
        grant: str | None = None,
    ) -> None:
        """Note a data set version that was read, or a selection from it, and the root found in the copy that was read.

        Args:
            found: what comparing the copy with the ledger came to: `verified`, `unverified` or `differs`.
            grant: under which another organisation's data was had, such as `access-grant:wdbc-lab`.
        """
        entry = check_input(version, root, role, selection, found, grant)
        self._refuse_repeated(selection or version, role)
        self._inputs.append(entry)

    def use(
        self,
        reference: str,
        path: Path | str,
        *,
        role: str = "train",
        bundle: Path | str | None = None,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        progress: "Callable[[Progress], None] | None" = None,
        grant: str | None = None,
    ) -> Used:
        """Compare what the training reads with a data set version, or a selection from it, and note what was found.

        With a bundle from the owner it is compared here, with what this gateway says of the ledger; without one by this
        gateway, if the records are its organisation's. Where neither can, the run says `unverified`. A copy that
        differs is noted with its own root, and may be used all the same: the answer says what differs, and which
        records of the version lie `outside` a selection (where the bundle was made with it, or the gateway is the
        owner's). When the block ends, what was changed after it was compared is noted as `unverified`, and warned of.

        Args:
            reference: such as `dataset-version:wdbc:1` or `selection:wdbc:1:training`, whose records are those of its
                version in that one's order, without the others.
            path: the file, or the folder whose files are the records.
            bundle: what `Pedigree.save_bundle` has written of the version, or, of a selection, also what
                `save_selection_bundle` has; or what `fetch` has kept.
            media_type: what the file's name says, by default; `id_field` and `delimiter`: as it was committed.
            grant: under which another organisation's data was had, such as `access-grant:wdbc-lab`; needed where it is
                sensitive, or its owner has set an access policy.

        Raises `InvalidInput` for what is an input already, `InvalidBundle`, `UnreadableRecords`, `Disagreement` for a
        copy under columns by which no record can be distinguished, and `ValueError` for a file that changes while
        it is read.
        """
        path = Path(path)
        version, selection = split_reference(reference)
        rules.check_version(version, "dataset-version", "an input")
        self._refuse_repeated(reference, rules.check_role(role, f"input {version}"))
        if self._compare is None:
            raise ValueError("a run that no client made can compare nothing")
        before = snapshot(path)
        used = self._compare(
            version, selection, path, bundle=bundle, media_type=media_type, id_field=id_field, delimiter=delimiter,
            progress=progress, granted=grant is not None,
        )  # fmt: skip
        if not is_unchanged(path, before):
            raise ValueError(f"{path} was changed while it was read")
        self.log_input(version, used.root, role, selection=selection, found=used.found, grant=grant)
        self._read.append((self._inputs[-1], used, before))
        return used

    def _refuse_repeated(self, read: str, role: str) -> None:
        if any((used.get("selection", used["version"]), used["role"]) == (read, role) for used in self._inputs):
            raise InvalidInput(f"{read} is an input for {role} already", field="inputs")
        if len(self._inputs) == rules.MOST_INPUTS:
            raise InvalidInput(f"a run names at most {rules.MOST_INPUTS} inputs", field="inputs")

    def _doubt_what_changed(self) -> None:
        """Nobody has compared what was written after it was compared."""
        for entry, used, before in self._read:
            if entry.get("found") == "verified" and not is_unchanged(used.path, before):
                entry["found"] = "unverified"
                said = f"{used.path} was changed after it was compared; the run says that it is unverified"
                warnings.warn(said, stacklevel=3)

    def __enter__(self) -> Self:
        if self._fits is not None:
            self._fits.start()
        self._started, self._clock = time.time_ns(), time.monotonic_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fits is not None:
            self._fits.stop()
        self._doubt_what_changed()
        fields = self.fields()
        if error is not None:
            if self._logged:
                self._keep(fields)
                self._say_where(error)
            return
        self._keep(fields)  # first, so that a program that is killed while it records leaves it behind
        try:
            self.recorded = self._save(self._key, fields)
        except BaseException as exc:
            if isinstance(exc, Refused):
                self._take_another_key()
            self._say_where(exc)
            raise
        if self.saved_to is not None:
            self.saved_to.unlink(missing_ok=True)
            self.saved_to = None

    def _take_another_key(self) -> None:
        """A refusal is the answer to its key for good; nothing was recorded that another key could record twice."""
        if self.saved_to is not None:
            with suppress(OSError):
                replace_key(self.saved_to, str(uuid.uuid4()))

    def _put(self, kind: str, entry: "Parameter | Metric", what: str) -> None:
        step = cast("int | None", entry.get("step")) if self._history is None else None
        place = (kind, entry["name"], step)
        held = self._entries.get(place)
        size = _size(entry) - (0 if held is None else _size(held))
        if self._bytes + size > rules.MOST_BYTES - _RESERVED:
            raise InvalidInput(f"{what}: with it the run is larger than {rules.MOST_BYTES >> 20} MiB", field=what)
        if held is None and self._count[kind] == _MOST[kind]:
            raise InvalidInput(f"{what}: a run has at most {_MOST[kind]} {kind}s", field=what)
        self._count[kind] += held is None
        self._bytes += size
        self._entries[place] = entry
        self._logged = self._started != 0

    def fields(self) -> "RecordRun":
        """What is recorded of it where the block ends now."""
        finished = self._started + time.monotonic_ns() - self._clock  # the clock of the day may be set back meanwhile
        fields: RecordRun = {
            "run": self.name,
            "code": self._code,
            "environment": self._environment,
            "started": self._started // 1_000_000,
            "finished": finished // 1_000_000,
            "inputs": self._inputs,
            "parents": self._parents,
            "parameters": self._listed("parameter"),
            "metrics": cast("list[Metric]", self._listed("metric")),
        }
        if self._note is not None:
            fields["note"] = self._note
        if self._purpose is not None:
            fields["purpose"] = self._purpose
        if self._artifacts:
            fields["artifacts"] = self._artifacts
        if self._history is not None and (kept := self._history.close()) is not None:
            fields["history"] = kept
        return fields

    def _listed(self, kind: str) -> "list[Parameter | Metric]":
        found = [entry for place, entry in self._entries.items() if place[0] == kind]
        return sorted(found, key=lambda entry: (entry["name"], entry.get("step", -1)))

    def _keep(self, fields: "RecordRun") -> None:
        """Write the run to a file; where nothing can be written, the recording is what is left to try."""
        try:
            self.saved_to = save_run(self._folder, self.name, self._key, fields)
        except OSError as exc:
            self._unsaved = exc

    def _say_where(self, error: BaseException) -> None:
        if self.saved_to is None:
            error.add_note(f"The run could not be saved to a file either: {self._unsaved}")
            return
        if isinstance(error, PedigreeError):
            error.saved_to = self.saved_to
        error.add_note(f"The run is kept in {self.saved_to}; record it with: pedigree run record {self.saved_to}")


def _size(entry: "Parameter | Metric") -> int:
    return len(json.dumps(entry, ensure_ascii=False).encode()) + 1


def check_parents(parents: Iterable[str]) -> list[str]:
    """The model versions that a run began from."""
    found = [rules.check_version(parent, "model-version", "a parent") for parent in parents]
    if len(set(found)) < len(found) or len(found) > rules.MOST_INPUTS:
        raise InvalidInput(f"parents: at most {rules.MOST_INPUTS}, each of them once", field="parents")
    return found


def check_code(code: Mapping[str, Any]) -> "CodeRecord":
    """What a run records of its code."""
    checks: dict[str, Callable[[Any, str], Any]] = {
        "digest": rules.check_digest,
        "repository": rules.check_text,
        "commit": rules.check_commit,
        "ignored": lambda names, what: [rules.check_text(name, what) for name in names],
    }
    return cast("CodeRecord", _checked("code", code, checks))


def check_environment(environment: Mapping[str, Any]) -> "Environment":
    """Where a run ran."""
    checks: dict[str, Callable[[Any, str], Any]] = {"digest": rules.check_digest, "description": rules.check_text}
    return cast("Environment", _checked("environment", environment, checks))


def _checked(what: str, given: Mapping[str, Any], checks: Mapping[str, Callable[[Any, str], Any]]) -> object:
    unknown = sorted(set(given) - set(checks))
    if unknown or "digest" not in given:
        raise InvalidInput(f"{what}: it has a digest and may have {', '.join(set(checks) - {'digest'})}", field=what)
    present = {name: value for name, value in given.items() if value is not None}
    return {name: checks[name](value, f"the {name} of the {what}") for name, value in present.items()}


def code_of(code: Code, ignored: Sequence[str] = ()) -> "CodeRecord":
    """What a run records of its code; of a folder, also what its digest leaves out: `CODE_NAMES` and `ignored`."""
    if isinstance(code, Mapping):
        return cast("CodeRecord", {**code})
    if isinstance(code, str) and _DIGEST.fullmatch(code):
        return {"digest": code}
    if isinstance(code, str) and not Path(code).exists():
        raise InvalidInput(
            f"the code: {code[:200]!r} is neither a path that exists nor a SHA-256 of 64 hexadecimal digits",
            field="code",
        )
    if isinstance(code, Path | str):
        code = Path(code)
        left_out = ignored_in_code(ignored) if code.is_dir() else []
        if len(left_out) > rules.MOST_IGNORED:
            raise InvalidInput(
                f"at most {rules.MOST_IGNORED} names can be ignored, with those that always are", field="ignored"
            )
        digest = digest_code(code, left_out)
        return {"digest": digest, "ignored": left_out} if left_out else {"digest": digest}
    raise ValueError("say which code ran: a path, a SHA-256, or digest with repository and commit")


def environment_of() -> "Environment":
    """Digest and description of the interpreter and the installed packages."""
    packages = sorted({f"{found.metadata['Name']}=={found.version}" for found in distributions()})
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    listing = "\n".join([python, *packages]).encode()
    return {"digest": hashlib.sha256(listing).hexdigest(), "description": f"{python}, {len(packages)} packages"}
