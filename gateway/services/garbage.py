# SPDX-License-Identifier: Apache-2.0
"""Which sets of records nothing depends on: what an operator may have removed, and why.

A set that a version on the ledger names is never among them; nor is one that a version may still come to name. What
the ledger says is known up to the last block that this gateway has read, and which versions may still come from the
submissions that it keeps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.services.catalogue import entries
from gateway.services.conditions import DIGEST
from gateway.services.ports import ReadModel, Records, RecordSet, Submissions


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A set of records that can be removed, and why."""

    set: RecordSet
    why: str


def unneeded(records: Records, readmodel: ReadModel, submissions: Submissions, *, before: float) -> Iterator[Unneeded]:
    """The sets that can be removed, of those that were begun before a time (seconds since the epoch).

    Ask it only while no gateway uses the stores: one that runs may be writing a set.
    """
    for found in records.sets():
        if found.created >= before:
            continue
        if not found.root:
            yield Unneeded(found, "it was never finished")
        elif is_recorded(readmodel, found.root):
            continue
        elif not submissions.may_record(found.root):
            yield Unneeded(found, "no version has its root, and the request for one was refused or never made")


def is_published(readmodel: ReadModel, artifact: str, root: str) -> bool:
    """Whether the ledger has the version or the selection, by its reference, that was published with this root."""
    kind, _, name = artifact.partition(":")
    if kind == "dataset-version":
        return is_recorded(readmodel, root)
    found = (entry.value for entry in entries(readmodel, kind, {DIGEST: root}))
    return any(f"{each['dataset']}:{each['number']}:{each['selection']}" == name for each in found)


def is_recorded(readmodel: ReadModel, root: str) -> bool:
    """Whether a version has this root; other records may name it as the root of what they were made from."""
    return any(entry.value["root"] == root for entry in entries(readmodel, "dataset-version", {DIGEST: root}))
