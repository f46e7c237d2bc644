# SPDX-License-Identifier: Apache-2.0
"""Evidence of single records, checked with nothing but SHA-256: RFC 6962 inclusion over fixed-width leaves.

`pedigree verify` and applications get their verdict here, from one function. It says as proven only what follows from
what the caller read from a ledger. Everything else is what the file says.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pedigree.errors import InvalidEvidence, InvalidInput
from pedigree.evidence import Evidence
from pedigree.fields import escaped
from pedigree.given import compare, given_record, given_root, quoted, same_transaction
from pedigree.registered import Named, given_purposes, named
from pedigree.selected import Selected
from pedigree.verdicts import lists_of, text_of

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
    """Whether every root came from the caller; if none did, the file agrees with itself only, which anyone can
    arrange."""
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
    summary: str
    """The verdict in one line."""
    partly: bool = False
    """Whether the caller gave one of two roots that the file is about."""

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        of_the_file = ", where you gave a root for that one" if self.partly else ", for the root in this file only"
        shown = "Shown by SHA-256" + ("" if self.verified else of_the_file)
        return text_of(self.summary, self, f"{shown}:", ("The record:", self._lines()))

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return {
            "verified": self.verified,
            "verdict": "verified" if self.verified else "partly" if self.partly else "agrees-with-itself-only",
            "record": {
                "id": self.id,
                "content": base64.b64encode(self.content).decode(),
                "fields": None if self.fields is None else dict(self.fields),
            },
            **lists_of(self),
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
    selection: Mapping[str, Any] | None = None,
    purposes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
) -> Verdict:
    """Check evidence of a record offline; raises `InvalidEvidence` where it is refuted or malformed.

    Args:
        evidence: the document, as `record_proof` or `selection_proof` gives it or `read_evidence` reads it.
        root: the version's root in hex, read from a ledger that the caller trusts. A root does not bind how many
            records are under it, so that it proves membership and no position.
        size: the number of records under `root`, from the same place; with it the position is proven.
        version: instead of both, the ledger's answer for the version (`Pedigree.dataset_version`). Every field of the
            file's version must be as it says.
        selection: where the file is about a selection too, the ledger's answer for it (`Pedigree.selection`).
        purposes: the ledger's answer for purposes that organisations registered (`Pedigree.purposes`), or several; what
            the bits 32 to 63 mean is then said by the ledger, and else by the file.

    Without any of them the verdict is not `verified`, nor with one of two that the file is about. Raises `InvalidInput`
    where what the caller gave is malformed.
    """
    recorded = None if version is None else given_record(version, "dataset-version", "data set version")
    chosen = None if selection is None else given_record(selection, "selection", "selection", "selection")
    root, size = _anchor(root, size, recorded)
    found = Evidence.of(evidence)
    _check(found)
    if root is not None and root != found.root.hex():
        raise InvalidEvidence(f"its version has the root {found.root.hex()}, and the root that you gave is {root}")
    if size is not None and size != found.size:
        raise InvalidEvidence(f"its version has {found.size} records, and the size that you gave is {size}")
    if recorded is not None:
        compare(found.version, recorded)
    said = {"id": found.transaction, "block": found.block, "at": found.at}
    placed = same_transaction(said, version)
    names = named(found.purposes, found.owner, found.registered, given_purposes(purposes))
    verdict = _verdict(
        found, names, anchored=root is not None, sized=size is not None, whole=recorded is not None, placed=placed
    )
    selected = found.selected
    if selected is None:
        if chosen is not None:
            raise InvalidEvidence("it is about a record of a version, and says nothing of a selection")
        return verdict
    if chosen is not None:
        compare(selected.record, chosen, "selection")
    said = {"id": selected.transaction, "block": selected.block, "at": selected.at}
    placed = same_transaction(said, selection, "selection_transaction")
    return _with_selection(verdict, selected, anchored=chosen is not None, placed=placed)


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
    root = given_root(root)
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise InvalidInput("a size is a whole number from 1", field="size")
    return root, size


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
    hashed = hashlib.sha256(b"\x00" + found.leaf).digest()
    if _root(hashed, found.index, found.size, found.path) != found.root:
        raise InvalidEvidence("the path leads to another root than the version's")
    if found.selected is not None:
        _check_selected(found, found.selected, hashed)


def _check_selected(found: Evidence, selected: Selected, hashed: bytes) -> None:
    """Whether the record's own leaf leads to the root of the file's selection, and that is from the file's version."""
    if (selected.dataset, selected.number) != (found.dataset, found.number):
        raise InvalidEvidence("the selection is from another version than the file's")
    if selected.proof_selection != selected.reference:
        raise InvalidEvidence("the selection's proof speaks of another selection than the file")
    if selected.proof_size != selected.size:
        raise InvalidEvidence("the selection's proof speaks of a tree of another size than the selection")
    if _root(hashed, selected.index, selected.size, selected.path) != selected.root:
        raise InvalidEvidence("the record's leaf leads to another root than the selection's")


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


def _verdict(found: Evidence, names: Named, *, anchored: bool, sized: bool, whole: bool, placed: bool) -> Verdict:
    place = f"number {found.index + 1} of the {found.size} records"
    under = f"{place if sized else 'one of the records'} under the root {found.root.hex()}"
    proven = [
        f"The record {quoted(found.id)}, with exactly the content shown here, is {under}.",
        f"It is committed with the consent state '{CONSENT[found.consent]}' for {_purposes(found.purposes)}.",
    ]
    if found.subject_digest is not None:
        proven.append(
            f"It is about one data subject, whose reference has the salted digest {found.subject_digest.hex()}."
        )
    if anchored:
        proven.append("That root is the one that you gave.")
    named = (
        f"The version is number {found.number} of the data set {quoted(found.dataset)}, owned by"
        f" {quoted(found.owner)}, under the licence {quoted(found.licence)}."
    )
    where = f"The transaction {quoted(found.transaction)} in block {found.block} committed it, {quoted(found.at)}."
    fields = None if found.columns is None else found.columns.of(found.content)
    recorded: list[str] = []
    said = [] if sized else [f"The record is {place}."]
    of_version = recorded if whole else said
    of_version.append(named)
    if fields is not None:
        of_version.append("The columns are called as shown above.")
    (recorded if placed else said).append(where)
    said.append(f"The channel is {quoted(found.channel)}.")
    recorded += names.recorded
    said += names.said
    return Verdict(
        verified=anchored,
        id=found.id,
        content=found.content,
        fields=fields,
        proven=tuple(proven),
        recorded=tuple(recorded),
        said=tuple(said),
        not_proven=tuple(_missing(found, anchored=anchored, sized=sized, whole=whole)),
        summary=f"Verified: the record {quoted(found.id)} is under the root that you gave."
        if anchored
        else "The file agrees with itself only: no ledger confirms it yet.",
    )


def _with_selection(verdict: Verdict, selected: Selected, *, anchored: bool, placed: bool) -> Verdict:
    """The verdict on a record of a version, and on its being in a selection."""
    reference = quoted(selected.reference)
    place = f"number {selected.index + 1} of the {selected.size} records"
    under = f"{place if anchored else 'one of the records'} under the root {selected.root.hex()} of a selection"
    proven = [*verdict.proven, f"The same record, by the same leaf, is {under}."]
    said, recorded, missing = list(verdict.said), list(verdict.recorded), list(verdict.not_proven)
    if anchored:
        proven.append(f"That is the root of the selection {reference} that you gave.")
    else:
        said.append(f"In the selection the record is {place}.")
        missing.insert(0, _where_a_selection_is(selected))
    purpose = "for no stated purpose" if selected.purpose is None else f"for the purpose {quoted(selected.purpose)}"
    role = "" if selected.role is None else f", as the part '{selected.role}' of a split"
    (recorded if anchored else said).append(f"The selection is {reference}, {purpose}{role}.")
    (recorded if placed else said).append(
        f"The transaction {quoted(selected.transaction)} in block {selected.block} committed the selection,"
        f" {quoted(selected.at)}."
    )
    missing.append("That anyone used this selection, or nothing else besides it.")
    return replace(
        verdict,
        verified=verdict.verified and anchored,
        partly=verdict.verified is not anchored,
        proven=tuple(proven),
        recorded=tuple(recorded),
        said=tuple(said),
        not_proven=tuple(missing),
        summary=_summary(verdict, reference, anchored=anchored),
    )


def _where_a_selection_is(selected: Selected) -> str:
    words = (selected.dataset, str(selected.number), selected.name)
    plain = all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", word) for word in words)
    asked = f"pedigree selection show {' '.join(words) if plain else 'DATASET NUMBER SELECTION'} --json"
    return (
        f"That {quoted(selected.reference)} has this root on any ledger. Read it from a gateway that you trust with"
        f" `{asked}`, and give the answer with a --ledger of its own."
    )


def _summary(verdict: Verdict, reference: str, *, anchored: bool) -> str:
    record = f"the record {quoted(verdict.id)}"
    if verdict.verified and anchored:
        return f"Verified: {record} is in {reference}, and under the root of the version that you gave."
    if verdict.verified:
        return f"Partly verified: {record} is under the root that you gave; of the selection only the file speaks."
    if anchored:
        return f"Partly verified: {record} is in {reference}; of the version only the file speaks."
    return verdict.summary


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
