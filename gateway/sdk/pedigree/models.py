# SPDX-License-Identifier: Apache-2.0
"""Models and their versions: what the client can record and ask of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pedigree.calls import Calls, checked, segment, version_of
from pedigree.files import digest_files, manifest_digest
from pedigree.folders import ignored_paths
from pedigree.transport import Json, Recorded


class ModelCalls(Calls):
    """Calls about models."""

    def register_model(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Register a model; fields are title and the optional ones."""
        return self._record("/v1/models", {"model": name, **fields}, idempotency_key)

    def record_model_version(
        self,
        model: str,
        files: Path | Sequence[Json],
        *,
        licence: str,
        number: int | None = None,
        ignore_paths: Sequence[str] = (),
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Recorded:
        """Record a version of a model: every file of a folder, or entries of path, digest and size.

        Git's own files at the top of the folder are left out, and the exact paths in `ignore_paths`; the record names
        them. With entries, the record names `ignore_paths` as they are given. Without `number` the gateway gives it the
        next one, even when others record at the same time.
        """
        if isinstance(files, Path):
            entries, ignored = digest_files(files, ignore_paths=ignore_paths), ignored_paths(ignore_paths)
        else:
            ignored = sorted(ignore_paths)
            entries = sorted(files, key=lambda file: str(file["path"]))
        body = {
            "number": number,
            "licence": licence,
            "files": list(entries),
            "digest": manifest_digest(entries),
            "ignore_paths": ignored,
            **fields,
        }
        return self._record(f"/v1/models/{segment(model)}/versions", body, idempotency_key)

    def declare_parent(self, child: str, parent: str, *, relation: str, idempotency_key: str | None = None) -> Recorded:
        """Add a parent, by reference, to your own model version after it was recorded."""
        model, number = version_of(child, "model-version")
        path = f"/v1/models/{segment(model)}/versions/{number}/parents"
        return self._record(path, {"parent": parent, "relation": relation}, idempotency_key)

    def model(self, name: str, *, source: str | None = None) -> Json:
        """A model."""
        return self._transport.get(f"/v1/models/{segment(name)}", **{"from": source})

    def models(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of models: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/models", cursor=cursor, limit=limit, **filters)

    def model_version(self, name: str, number: int, *, source: str | None = None) -> Json:
        """A version of a model."""
        return self._transport.get(f"/v1/models/{segment(name)}/versions/{number}", **{"from": source})

    def model_versions(self, name: str, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of the versions of a model."""
        return self._transport.get(f"/v1/models/{segment(name)}/versions", cursor=cursor, limit=limit, **filters)

    def all_model_versions(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of versions of all models."""
        return self._transport.get("/v1/model-versions", cursor=cursor, limit=limit, **filters)

    def verify_model(
        self, name: str, number: int, files: Path, *, progress: Callable[[int], None] | None = None, check: bool = False
    ) -> Json:
        """Compare a folder with the recorded version: `verified`, `changed`, `added` and `removed` paths.

        What the record says was ignored is ignored again. With `check` a difference is raised as `Disagreement`.
        """
        record = self.model_version(name, number)["record"]
        recorded = {file["path"]: file["digest"] for file in record["files"]}
        entries = digest_files(files, progress, ignore_paths=record.get("ignore_paths", ()))
        found = {file["path"]: file["digest"] for file in entries}
        changed = [path for path in found if path in recorded and found[path] != recorded[path]]
        added = [path for path in found if path not in recorded]
        removed = [path for path in recorded if path not in found]
        report = {
            "model": name,
            "number": number,
            "verified": not (changed or added or removed),
            "changed": changed,
            "added": added,
            "removed": removed,
        }
        return checked(report, f"model-version:{name}:{number}", check=check)
