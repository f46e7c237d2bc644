# SPDX-License-Identifier: Apache-2.0
"""What a run leaves beside its record: a history of its metrics, and the files that it wrote, by their digests."""

import hashlib
import json
import mimetypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pedigree import rules
from pedigree.comparisons import RunComparison
from pedigree.errors import InvalidInput
from pedigree.files import digest_file, digest_files

if TYPE_CHECKING:
    from pedigree.documents import Metric, MetricHistory, RunArtifact, TrainingRun


class History:
    """Writes measurements to a new file, a line of JSON each; the record of the run has the digest of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._size = self._entries = 0
        if self.path.exists():
            raise InvalidInput(f"{path} exists already; a history is a new file", field="history")
        if not self.path.parent.is_dir():
            raise InvalidInput(f"{self.path.parent} is not a folder", field="history")

    def add(self, entry: "Metric") -> None:
        """Write a measurement; raises `OSError`, and `FileExistsError` where another took the name meanwhile."""
        if self._file is None:
            self._file = self.path.open("xb")
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"
        self._file.write(line)
        self._digest.update(line)
        self._size += len(line)
        self._entries += 1

    def close(self) -> "MetricHistory | None":
        """What the record says of the file, which is on disk then; `None` where nothing was measured."""
        if self._file is None:
            return None
        if not self._file.closed:
            with self._file as file:
                file.flush()
                os.fsync(file.fileno())
        return {"digest": self._digest.hexdigest(), "size": self._size, "entries": self._entries}


def artifacts_at(path: Path, name: str | None = None, media_type: str | None = None) -> "list[RunArtifact]":
    """What a record says of a file, or of every file in a folder; raises `InvalidInput`, `OSError` and `ValueError`.

    Args:
        path: a file, or a folder of files.
        name: what it is called in the record; of a folder, what the names of its files begin with.
        media_type: what the file's name says, by default.
    """
    within = path.name if name is None else name
    found: list[RunArtifact] = []
    for each in digest_files(path):
        called = f"{within}/{each['path']}" if path.is_dir() else within
        what = f"artifact {called}"
        entry: RunArtifact = {"path": rules.check_path(called, what), "digest": each["digest"], "size": each["size"]}
        if (form := media_type or mimetypes.guess_type(called)[0]) is not None:
            entry["media_type"] = rules.check_text(form, what)
        found.append(entry)
    return found


def compare_kept(record: "TrainingRun", history: Path | None, artifacts: Iterable[Path] | None) -> RunComparison:
    """Compare a history, and files or folders of artifacts, with what the record of a run says of them.

    Raises `InvalidInput` for a history where the record has none.
    """
    changed: list[str] = []
    added: list[str] = []
    removed: list[str] = []
    if history is not None:
        if (said := record.get("history")) is None:
            raise InvalidInput(f"run:{record['run']} has no history of its metrics", field="history")
        if digest_file(history) != said["digest"]:
            changed.append(str(history))
    if artifacts is not None:
        recorded = {each["path"]: each["digest"] for each in record.get("artifacts", ())}
        found = {each["path"]: each["digest"] for path in artifacts for each in artifacts_at(path)}
        changed += sorted(path for path in found if path in recorded and recorded[path] != found[path])
        added += sorted(found.keys() - recorded.keys())
        removed += sorted(recorded.keys() - found.keys())
    same = not (changed or added or removed)
    return {"run": record["run"], "verified": same, "changed": changed, "added": added, "removed": removed}
