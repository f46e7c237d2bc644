# SPDX-License-Identifier: Apache-2.0
"""Files of models: hashed where they are, recorded and compared."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pedigree.calls import refuse_difference, segment
from pedigree.comparisons import ModelComparison
from pedigree.documents import FileEntry, ModelParent, ModelVersion
from pedigree.files import Hashed, hash_files, manifest_digest
from pedigree.folders import ignored_paths
from pedigree.operations import Operations
from pedigree.recorded import Recorded
from pedigree.remembering import Remembered


class ModelCalls(Operations):
    """Calls about the files of models."""

    def record_model_version(
        self,
        model: str,
        files: Path | str | Sequence[FileEntry],
        *,
        licence: str,
        number: int | None = None,
        digest: str | None = None,
        run: str | None = None,
        parents: Sequence[ModelParent] | None = None,
        note: str | None = None,
        ignore_paths: Sequence[str] = (),
        full: bool = False,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[ModelVersion]:
        """Record a version of a model: every file of a folder, or entries of path, digest and size.

        Git's own files at the top of the folder are left out, and the exact paths in `ignore_paths`; the record names
        them. With entries, the record names `ignore_paths` as they are given. `digest` is for one that was computed
        elsewhere; the ledger compares it with the files. Without `number` the gateway gives it the
        next one, even when others record at the same time.

        A file of a folder that is still what it was when the folder was last recorded or verified from here is not read
        again (`pedigree.remembering`); with `full` every file is.
        """
        hashed: list[Hashed] = []
        remembered: Remembered | None = None
        if isinstance(files, Path | str):
            remembered = Remembered(Path(files))
            known = {} if full else remembered.recall()
            hashed = hash_files(Path(files), ignore_paths=ignore_paths, known=known)
            entries, ignored = [each.entry for each in hashed], ignored_paths(ignore_paths)
        else:
            ignored = sorted(ignore_paths)
            entries = sorted(files, key=lambda file: str(file["path"]))
        body = {
            "number": number,
            "licence": licence,
            "files": list(entries),
            "digest": manifest_digest(entries) if digest is None else digest,
            "ignore_paths": ignored,
            "run": run,
            "parents": parents,
            "note": note,
        }
        path = f"/v1/models/{segment(model)}/versions"
        recorded: Recorded[ModelVersion] = self._record(path, body, idempotency_key, endorsing_organisations)
        if remembered is not None:
            remembered.keep(hashed)
        return recorded

    def verify_model(
        self,
        model: str,
        number: int,
        files: Path | str,
        *,
        progress: Callable[[int], None] | None = None,
        check: bool = False,
    ) -> ModelComparison:
        """Compare a folder with the recorded version: `verified`, `changed`, `added` and `removed` paths.

        What the record says was ignored is ignored again. Every file is read. With `check` a difference is raised as
        `Disagreement`.
        """
        remembered = Remembered(Path(files))
        record = self.model_version(model, number)["record"]
        recorded = {file["path"]: file["digest"] for file in record["files"]}
        hashed = hash_files(Path(files), progress, ignore_paths=record.get("ignore_paths", ()))
        found = {each.file.path: each.digest for each in hashed}
        changed = [path for path in found if path in recorded and found[path] != recorded[path]]
        added = [path for path in found if path not in recorded]
        removed = [path for path in recorded if path not in found]
        report: ModelComparison = {
            "model": model,
            "number": number,
            "verified": not (changed or added or removed),
            "changed": changed,
            "added": added,
            "removed": removed,
        }
        if report["verified"]:
            remembered.keep(hashed)
        if check:
            refuse_difference(report, f"model-version:{model}:{number}")
        return report
