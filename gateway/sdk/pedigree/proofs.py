# SPDX-License-Identifier: Apache-2.0
"""Evidence of single records, checked with nothing but SHA-256: RFC 6962 inclusion over fixed-width leaves.

`pedigree verify` and applications get their verdict here, from one function. It says as proven only what follows from
what the caller read from a ledger. Everything else is what the file says.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pedigree.errors import InvalidEvidence, InvalidInput
from pedigree.evidence import Evidence, escaped

CONSENT: Final = (
    "unknown", "requested", "given", "renewed", "refused", "withdrawn", "expired", "invalidated", "terminated",
)  # fmt: skip
"""The consent states by the byte that stands for each in a leaf (DPV profile of ISO/IEC TS 27560)."""
PURPOSES: Final = ("research", "model-training", "model-evaluation", "care", "public-health", "commercial")
"""The purposes by their bit."""
_MOST_SHOWN: Final = 40
_LONGEST_VALUE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file proves, what the ledger's answer adds, what the file merely says, and what nobody has shown."""

    verified: bool
    """Whether the root came from the caller; if not, the file agrees with itself only, which anyone can arrange."""
    id: str
    content: bytes
    fields: Mapping[str, str] | None
    """The record by its column names, where the file has them and they are the ones that the version commits to."""
    proven: tuple[str, ...]
    """By SHA-256 under the root: the caller's, or the file's own where it is not `verified`."""
    recorded: tuple[str, ...]
    """What the ledger's version says that the caller gave."""
    said: tuple[str, ...]
    """What only the file says."""
    not_proven: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.verified:
            return f"Verified: the record {_quoted(self.id)} is under the root that you gave."
        return "The file agrees with itself only: no ledger confirms it yet."

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        shown = "Shown by SHA-256" + ("" if self.verified else ", for the root in this file only")
        parts = (
            ("The record:", self._lines()),
            (f"{shown}:", self.proven),
            ("Said by the ledger's version that you gave:", self.recorded),
            ("The file says, and nothing here shows it:", self.said),
            ("Not proven:", self.not_proven),
        )
        lines = (line for title, items in parts if items for line in (title, *(f"  - {item}" for item in items)))
        return "\n".join([self.summary, *lines])

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return {
            "verified": self.verified,
            "verdict": "verified" if self.verified else "agrees-with-itself-only",
            "record": {
                "id": self.id,
                "content": base64.b64encode(self.content).decode(),
                "fields": None if self.fields is None else dict(self.fields),
            },
            "proven": list(self.proven),
            "recorded": list(self.recorded),
            "said": list(self.said),
            "not_proven": list(self.not_proven),
        }

    def _lines(self) -> list[str]:
        if self.fields is not None:
            lines = [f"{escaped(name)}: {escaped(value, _LONGEST_VALUE)}" for name, value in self.fields.items()]
        else:
            try:
                lines = [escaped(line, _LONGEST_VALUE) for line in self.content.decode().split("\n")]
            except UnicodeDecodeError:
                lines = [f"{len(self.content)} bytes that are not UTF-8 text; --json shows them in base64"]
        rest = len(lines) - _MOST_SHOWN
        return lines if rest <= 0 else [*lines[:_MOST_SHOWN], f"… and {rest} more; --json shows all"]


def verify_record(
    evidence: Any,
    *,
    root: str | None = None,
    size: int | None = None,
    version: Mapping[str, Any] | None = None,
) -> Verdict:
    """Check evidence of a record offline; raises `InvalidEvidence` where it is refuted or malformed.

    Args:
        evidence: the document, as `record_proof` gives it or `read_evidence` reads it.
        root: the version's root in hex, read from a ledger that the caller trusts. A root does not bind how many
            records are under it, so that it proves membership and no position.
        size: the number of records under `root`, from the same place; with it the position is proven.
        version: instead of both, the ledger's answer for the version (`Pedigree.dataset_version`). Every field of the
            file's version must be as it says.

    Without any of them the verdict is not `verified`. Raises `InvalidInput` where what the caller gave is malformed.
    """
    recorded = None if version is None else _recorded(version)
    root, size = _anchor(root, size, recorded)
    found = Evidence.of(evidence)
    _check(found)
    if root is not None and root != found.root.hex():
        raise InvalidEvidence(f"its version has the root {found.root.hex()}, and the root that you gave is {root}")
    if size is not None and size != found.size:
        raise InvalidEvidence(f"its version has {found.size} records, and the size that you gave is {size}")
    if recorded is not None:
        _compare(found, recorded)
    placed = _same_transaction(found, version)
    return _verdict(found, anchored=root is not None, sized=size is not None, whole=recorded is not None, placed=placed)


def _anchor(root: Any, size: Any, recorded: Mapping[str, Any] | None) -> tuple[str | None, int | None]:
    """The root and the size that the caller vouches for."""
    if recorded is not None:
        if root is not None or size is not None:
            raise InvalidInput("give the version, or its root and size, and not both", field="version")
        root, size = recorded.get("root"), recorded.get("size")
        if size is None:
            raise InvalidInput("the version that you gave has no size", field="version")
    if root is None:
        if size is not None:
            raise InvalidInput("a size is of use with its root only", field="size")
        return None, None
    if not isinstance(root, str) or re.fullmatch("[0-9a-fA-F]{64}", root) is None:
        raise InvalidInput("a root has 64 hexadecimal digits", field="root")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise InvalidInput("a size is a whole number from 1", field="size")
    return root.lower(), size


def _recorded(version: Mapping[str, Any]) -> Mapping[str, Any]:
    record = version.get("record", version)
    if not isinstance(record, Mapping) or record.get("kind") != "dataset-version":
        raise InvalidInput("what you gave as the ledger's version is not about a data set version", field="version")
    return record


def _compare(found: Evidence, recorded: Mapping[str, Any]) -> None:
    for name in sorted({*found.version, *recorded}):
        # A field without a value may be left out.
        if found.version.get(name) != recorded.get(name):
            raise InvalidEvidence(f"its version says something else of {_quoted(name)} than the one that you gave")


def _same_transaction(found: Evidence, version: Mapping[str, Any] | None) -> bool:
    """Whether the ledger's answer names the transaction, which then is the file's; a record alone does not."""
    answered = (version or {}).get("transaction")
    said = {"id": found.transaction, "block": found.block, "at": found.at}
    if not isinstance(answered, Mapping) or not said.keys() <= answered.keys():
        return False
    for name, value in said.items():
        if answered[name] != value:
            raise InvalidEvidence(f"its transaction has another {name} than the one that you gave")
    return True


def _check(found: Evidence) -> None:
    """Whether the record is the proof's, and the proof leads to the root of the file's version."""
    if found.proof_version != f"dataset-version:{found.dataset}:{found.number}":
        raise InvalidEvidence("the proof speaks of another version than the file")
    if found.proof_size != found.size:
        raise InvalidEvidence("the proof speaks of a tree of another size than the version")
    if found.consent >= len(CONSENT):
        raise InvalidEvidence(f"the consent state {found.consent} has no meaning")
    identifier = found.id.encode()
    if hashlib.sha256(found.salt + b"\x00" + identifier).digest() != found.id_digest:
        raise InvalidEvidence("the record has another id than the one that the proof is about")
    if hashlib.sha256(found.salt + b"\x01" + found.content).digest() != found.content_digest:
        raise InvalidEvidence("the record has another content than the one that the proof is about")
    if (None if found.columns is None else found.columns.digest) not in (None, found.header):
        raise InvalidEvidence("the column names are not those that the version commits to")
    if _root(hashlib.sha256(b"\x00" + found.leaf).digest(), found.index, found.size, found.path) != found.root:
        raise InvalidEvidence("the path leads to another root than the version's")


def _root(hashed: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise InvalidEvidence("the index lies outside the tree")
    position, last, result = index, size - 1, hashed
    for sibling in path:
        if last == 0:
            raise InvalidEvidence("the path is too long")
        if position & 1 or position == last:
            result = hashlib.sha256(b"\x01" + sibling + result).digest()
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\x01" + result + sibling).digest()
        position, last = position >> 1, last >> 1
    if last:
        raise InvalidEvidence("the path is too short")
    return result


def _verdict(found: Evidence, *, anchored: bool, sized: bool, whole: bool, placed: bool) -> Verdict:
    place = f"number {found.index + 1} of the {found.size} records"
    under = f"{place if sized else 'one of the records'} under the root {found.root.hex()}"
    proven = [
        f"The record {_quoted(found.id)}, with exactly the content shown here, is {under}.",
        f"It is committed with the consent state '{CONSENT[found.consent]}' for {_purposes(found.purposes)}.",
    ]
    if found.subject_digest is not None:
        proven.append(
            f"It is about one data subject, whose reference has the salted digest {found.subject_digest.hex()}."
        )
    if anchored:
        proven.append("That root is the one that you gave.")
    named = (
        f"The version is number {found.number} of the data set {_quoted(found.dataset)}, owned by"
        f" {_quoted(found.owner)}, under the licence {_quoted(found.licence)}."
    )
    where = f"The transaction {_quoted(found.transaction)} in block {found.block} committed it, {_quoted(found.at)}."
    fields = None if found.columns is None else found.columns.of(found.content)
    recorded: list[str] = []
    said = [] if sized else [f"The record is {place}."]
    of_version = recorded if whole else said
    of_version.append(named)
    if fields is not None:
        of_version.append("The columns are called as shown above.")
    (recorded if placed else said).append(where)
    said.append(f"The channel is {_quoted(found.channel)}.")
    return Verdict(
        verified=anchored,
        id=found.id,
        content=found.content,
        fields=fields,
        proven=tuple(proven),
        recorded=tuple(recorded),
        said=tuple(said),
        not_proven=tuple(_missing(found, anchored=anchored, sized=sized, whole=whole)),
    )


def _missing(found: Evidence, *, anchored: bool, sized: bool, whole: bool) -> Iterable[str]:
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", found.dataset)
    asked = f"pedigree dataset show {found.dataset if plain else 'NAME'} {found.number} --json"
    where = f"Read it from a gateway that you trust with `{asked}`"
    if not anchored:
        yield f"That this root is on any ledger. {where}, and give the answer with --ledger."
    elif not sized:
        yield "How many records are under the root, and which of them this is: a root alone does not say."
    if anchored and not whole:
        yield f"Which version of which owner has this root. {where}, and give the whole answer with --ledger."
    if found.header is not None and found.columns is None:
        yield "What the columns of the record are called: the file does not name them."
    yield "That a person gave this consent, and has not withdrawn it since."
    yield "That what the record says is true: only that it is what was committed to."


def _purposes(purposes: int) -> str:
    bits = [bit for bit in range(64) if purposes >> bit & 1]
    return ", ".join(PURPOSES[bit] if bit < len(PURPOSES) else f"bit-{bit}" for bit in bits) or "no purpose"


def _quoted(text: str) -> str:
    inside = escaped(text).replace("'", "\\'")
    return f"'{inside}'"
