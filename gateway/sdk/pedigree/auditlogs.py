# SPDX-License-Identifier: Apache-2.0
"""Audit logs that gateways exported, checked against what their organisations anchored on the ledger.

Two things show that a log was altered. Each entry names the hash of the one before, so a change of one entry alone is
found at its very place. And an anchor has the root over all entries so far (RFC 6962): who writes the chain again from
some entry on is found between two anchors. Entries after the last anchor are held together by the chain only.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pedigree import merkle
from pedigree.errors import InvalidEvidence
from pedigree.jsonobjects import plain_members

_LONGEST: Final = 64 << 10
"""Bytes of one entry."""
_NAMES: Final = ("number", "organisation", "count", "previous")
_COUNT: Final = re.compile("[1-9][0-9]{0,14}")
_ENOUGH: Final = 2
"""Entries that do not name the hash before them, after which the first of them is judged."""


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What a log that agrees with itself, and with the anchors given, comes to."""

    organisation: str
    log: str
    """Which log it is: the hash of its first entry, in hex."""
    entries: int
    attempts: int
    """How many attempts the entries stand for."""
    anchors: int
    """How many anchors on the ledger are of this log; each of them was compared."""
    anchored: int
    """How many entries the last of them covers."""
    others: int
    """How many anchors given are of other logs of the organisation."""

    @property
    def verified(self) -> bool:
        """Whether any of it was compared with an anchor."""
        return self.anchors > 0

    def text(self) -> str:
        """The verdict for people."""
        lines = [f"Audit log {self.log} of {self.organisation}: {self.entries} entries for {self.attempts} attempts."]
        if self.verified:
            lines.append(f"Verified: {self.anchored} entries are as its {self.anchors} anchors on the ledger say.")
            if self.entries > self.anchored:
                lines.append(f"Not proven: {self.entries - self.anchored} entries were written after the last anchor.")
        else:
            lines.append("Nothing is proven yet: no anchor is of this log; it agrees with itself only.")
        if self.others:
            lines.append(f"{self.organisation} has anchored another log too ({self.others} anchors): ask for it.")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return {
            "verified": self.verified,
            "organisation": self.organisation,
            "log": self.log,
            "entries": self.entries,
            "attempts": self.attempts,
            "anchors": self.anchors,
            "anchored": self.anchored,
            "other_logs_anchors": self.others,
        }


def verify_audit_log(file: Path | str, anchors: Iterable[Mapping[str, Any]]) -> AuditVerdict:
    """The verdict on an exported audit log.

    Args:
        file: what `Pedigree.save_audit_log` wrote: one entry a line.
        anchors: items of `Pedigree.audit_anchors`, or the records in them, from a gateway that is not the log's own;
            those of other organisations are passed over.

    Raises `InvalidEvidence`, which names the first entry that is wrong, and `OSError`.
    """
    log = _read(Path(file))
    records = [each.get("record", each) for each in anchors]
    own = sorted((each for each in records if each["owner"] == log.organisation), key=lambda each: int(each["size"]))
    identity = log.tree.leaf(0).hex()
    mine = [each for each in own if each["log"] == identity]
    good = 0
    for anchor in mine:
        size = int(anchor["size"])
        if size > log.tree.size:
            raise InvalidEvidence(
                f"entry {log.tree.size + 1} is missing: anchor {anchor['number']} on the ledger is over {size} "
                f"entries, and the log has {log.tree.size}"
            )
        if log.tree.root(size).hex() != anchor["root"]:
            where = f"entry {size}" if size == good + 1 else f"one of the entries {good + 1} to {size}"
            raise InvalidEvidence(
                f"{where} was altered: anchor {anchor['number']} on the ledger has another root over {size} entries"
            )
        good = size
    return AuditVerdict(log.organisation, identity, log.tree.size, log.attempts, len(mine), good, len(own) - len(mine))


@dataclass(slots=True)
class _Log:
    """What was read of a log."""

    organisation: str
    tree: merkle.Tree
    attempts: int


def _read(file: Path) -> _Log:
    log = _Log("", merkle.Tree(), 0)
    broken: list[int] = []
    previous: str | None = None
    hashes: list[bytes] = []
    try:
        with file.open("rb") as content:
            while len(broken) < _ENOUGH and (line := content.readline(_LONGEST + 1)):
                number = len(hashes) + 1
                entry = _members(line, number)
                if entry.get("previous") != previous:
                    broken.append(number)
                log.organisation = log.organisation or entry["organisation"]
                if entry["organisation"] != log.organisation:
                    raise InvalidEvidence(f"entry {number} is of another organisation than those before it")
                log.attempts += int(entry["count"])
                hashes.append(hashlib.sha256(b"\x00" + line[:-1]).digest())
                previous = hashes[-1].hex()
    except InvalidEvidence:
        if not broken:
            raise  # else what is wrong came before this
    if broken:
        raise InvalidEvidence(_where(broken))
    if not hashes:
        raise InvalidEvidence("there is no entry in it")
    log.tree.extend(b"".join(hashes))
    return log


def _where(broken: Sequence[int]) -> str:
    """What is wrong where an entry does not name the hash of the one before it.

    That one was altered; or this entry was, and then the next one does not name its hash either.
    """
    first, *following = broken
    if first == 1:
        return "entry 1 was altered: it is the first one, and names one before it"
    if following == [first + 1]:
        return f"entry {first - 1} or {first} was altered: entry {first} does not name the hash of the one before it"
    return f"entry {first - 1} was altered: entry {first} does not name its hash"


def _members(line: bytes, number: int) -> Mapping[str, str]:
    """What an entry says of its place, its organisation and its count; raises `InvalidEvidence`."""
    if len(line) > _LONGEST or not line.endswith(b"\n"):
        raise InvalidEvidence(f"entry {number} is cut off, or longer than {_LONGEST >> 10} KiB")
    try:
        found = plain_members(line[:-1])
    except ValueError as exc:
        raise InvalidEvidence(f"entry {number} was altered: {exc}") from None
    said = {name: value for name in _NAMES if isinstance(value := found.get(name), str)}
    for name in _NAMES[:-1]:
        if name not in said:
            raise InvalidEvidence(f"entry {number} was altered: it has no {name}")
    if said["number"] != str(number):
        raise InvalidEvidence(f"entry {number} is missing: another one is in its place")
    if _COUNT.fullmatch(said["count"]) is None:
        raise InvalidEvidence(f"entry {number} was altered: its count is not a whole number")
    return said
