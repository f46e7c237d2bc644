# SPDX-License-Identifier: Apache-2.0
"""What a training reads, beside what the ledger commits to: verified, unverified, or another one than the recorded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from pedigree import rules
from pedigree.copies import agrees
from pedigree.errors import Disagreement, InvalidInput
from pedigree.folders import identity_of, list_files

if TYPE_CHECKING:
    from pedigree.comparisons import CopyComparison
    from pedigree.documents import DatasetComparison, Found, InputRole, RunInput

FOUND: Final = ("verified", "unverified", "differs")

Snapshot = tuple[tuple[object, ...], ...]
"""What tells the files at a path from others, and from themselves before they were written to."""


@dataclass(frozen=True, slots=True)
class Used:
    """A copy of data that a run reads, and what comparing it with the ledger came to."""

    path: Path
    """The file, or the folder of files."""
    found: "Found"
    """`verified`, `differs`, or `unverified` where nothing could compare it."""
    root: str
    """The root that was found in the copy; it is `recorded` unless the copy differs."""
    recorded: str
    """The root of the version or of the selection, as the ledger has it."""
    report: "CopyComparison | DatasetComparison | None" = None
    """What differs, beside the version or the selection; None where nothing was compared."""

    @property
    def columns(self) -> list[str]:
        """How the columns of the copy differ from those of the version, a sentence each."""
        return [] if self.report is None else [*self.report["columns"]]

    @property
    def outside(self) -> list[str]:
        """The ids of records of the version in the copy that the selection does not have, 10,000 of them at most."""
        return [] if self.report is None else [*self.report.get("outside", ())]

    @property
    def count_outside(self) -> int | None:
        """How many there are of these; None where that is not known, or the whole version was to be read."""
        counts = None if self.report is None else self.report.get("counts")
        return None if counts is None else counts.get("outside")


def judged(path: Path, report: "CopyComparison | DatasetComparison | None", recorded: str, *, selected: bool) -> Used:
    """What a comparison of a copy with a version comes to.

    Args:
        recorded: the root that the copy should have.
        selected: whether that is the root of a selection, which has some of the version's records, in their order.

    Raises `Disagreement` for a copy that has no root, because under its columns no record could be distinguished.
    """
    if report is None:
        return Used(path, "unverified", recorded, recorded)
    root = report.get("copy_root")
    if root is None:
        reason = report.get("unreadable", "the gateway does not say which root it has")
        raise Disagreement(f"{path} cannot be compared: {reason}", report=report)
    if not agrees(report) or (selected and root != recorded):
        return Used(path, "differs", root, recorded, report)
    # Nothing of the copy differs, so what does is the owner's own store, and that shows nothing then.
    return Used(path, "verified" if report["verified"] else "unverified", root, recorded, report)


def snapshot(path: Path) -> Snapshot:
    """What is at a path now; raises `OSError`, and `ValueError` for what is not a plain file or a folder of such."""
    return tuple((each.path, *identity_of(each.file.stat())) for each in list_files(path, ()))


def is_unchanged(path: Path, before: Snapshot) -> bool:
    """Whether what is at a path is what was there; what is gone cannot be said to be."""
    try:
        return snapshot(path) == before
    except (OSError, ValueError):
        return False


def split_reference(reference: str) -> tuple[str, str | None]:
    """The version, and the selection from it where the reference is to one; raises `InvalidInput`."""
    parts = str(reference).split(":")
    if len(parts) == 4 and parts[0] == "selection":
        return f"dataset-version:{parts[1]}:{parts[2]}", reference
    if len(parts) != 3 or parts[0] != "dataset-version":
        raise InvalidInput(
            f"{str(reference)[:80]!r} is neither 'dataset-version:name:1' nor 'selection:name:1:part'", field="inputs"
        )
    return reference, None


def check_input(
    version: str,
    root: str,
    role: str = "train",
    selection: str | None = None,
    found: str | None = None,
    grant: str | None = None,
) -> "RunInput":
    """An input of a run."""
    what = f"input {version}"
    rules.check_version(version, "dataset-version", "an input")
    part = rules.check_role(role, what)
    entry: RunInput = {"version": version, "root": rules.check_digest(root, what), "role": cast("InputRole", part)}
    if selection is not None:
        whole = f"selection:{version.removeprefix('dataset-version:')}:"
        if not selection.startswith(whole):
            raise InvalidInput(f"{what}: a selection from it is called {whole}NAME, not {selection}", field="inputs")
        entry["selection"] = selection
    if found is not None:
        if found not in FOUND:
            raise InvalidInput(f"{what}: what was found is one of {', '.join(FOUND)}, not {found}", field="inputs")
        entry["found"] = cast("Found", found)
    if grant is not None:
        if not grant.startswith("access-grant:"):
            raise InvalidInput(f"{what}: a grant is called access-grant:NAME, not {grant}", field="inputs")
        entry["grant"] = grant
    return entry
