# SPDX-License-Identifier: Apache-2.0
"""Receipts, verified offline: that a log whose key is trusted holds an entry, and which witnesses saw that log so.

The steps are those of c2sp.org/tlog-proof, and no step is skipped when an earlier one would suffice: every line of a
known key is verified, so that an altered file is refused even where the rest of it would satisfy the policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from chaincode.domain.merkle import ProofError, leaf_hash, verify_inclusion
from gateway.tlog import notes
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.entries import LEAF, Entry
from gateway.tlog.errors import RefutedReceipt, shown
from gateway.tlog.keys import Verifier
from gateway.tlog.policy import Policy, Witness
from gateway.tlog.proofs import TlogProof

_MOST_NAMED: Final = 8
_LAST: Final = 253_402_300_799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's word that a checkpoint continues all that it has seen of the log."""

    witness: Witness
    at: int | None
    """When it was given, in seconds since 1970, as the witness says; None where it says nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a receipt proves to one who trusts the keys of a policy."""

    checkpoint: Checkpoint
    index: int
    leaf: bytes
    """The entry: with `Entry.parse`, that of a log of Pedigree."""
    logs: tuple[Verifier, ...]
    """The log's keys that signed the checkpoint."""
    cosignatures: tuple[Cosignature, ...]
    """Of the policy's witnesses, in its order; lines of others are ignored."""
    quorum: bytes | None
    """The name of the policy's quorum, which is reached."""
    extra: bytes | None
    """Extra data of the file, which nothing authenticates."""

    verified: ClassVar[bool] = True

    @property
    def entry(self) -> Entry | None:
        """The transaction, where the log is one of Pedigree's."""
        of_pedigree = self.checkpoint.origin.startswith("pedigree/") and len(self.leaf) == LEAF
        return Entry.parse(self.leaf) if of_pedigree else None

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        seen = f" and {len(self.cosignatures)} of your witnesses cosigned it" if self.cosignatures else ""
        return f"Verified: the log {shown(self.checkpoint.origin)} holds this entry{seen}."

    @property
    def proven(self) -> tuple[str, ...]:
        """What follows from the signatures and the hashes, in sentences."""
        return tuple(_proven(self))

    @property
    def not_proven(self) -> tuple[str, ...]:
        """What nobody has shown, in sentences."""
        return tuple(_not_proven(self))

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        parts = (("Shown by signatures and SHA-256:", self.proven), ("Not proven:", self.not_proven))
        lines = (line for title, items in parts for line in (title, *(f"  - {item}" for item in items)))
        return "\n".join([self.summary, *lines])

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs; times are seconds since 1970."""
        entry = self.entry
        return {
            "verified": True,
            "verdict": "verified",
            "log": {
                "origin": self.checkpoint.origin,
                "size": self.checkpoint.size,
                "root": self.checkpoint.root.hex(),
                "keys": [each.vkey for each in self.logs],
            },
            "index": self.index,
            "leaf": self.leaf.hex(),
            "transaction": None if entry is None else entry.transaction.hex(),
            "envelope_sha256": None if entry is None else entry.digest.hex(),
            "quorum": None if self.quorum is None else self.quorum.decode("utf-8", "backslashreplace"),
            "cosignatures": [
                {
                    "witness": each.witness.name.decode("utf-8", "backslashreplace"),
                    "key": each.witness.verifier.vkey,
                    "at": each.at,
                }
                for each in self.cosignatures
            ],
            "proven": list(self.proven),
            "not_proven": list(self.not_proven),
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """What a receipt says, as long as nobody has said whose signatures to believe."""

    origin: str
    size: int
    index: int
    entry: Entry | None
    """From the file's extra data."""
    signers: tuple[str, ...]
    """The names in its signature lines."""
    verified: ClassVar[bool] = False

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        return "Nothing is proven yet: no signature was checked, as no policy says whose signatures to believe."

    @property
    def said(self) -> tuple[str, ...]:
        """What the file says, in sentences."""
        what = "an entry that it does not name"
        if self.entry is not None:
            what = f"the transaction {self.entry.transaction.hex()}"
        return (
            f"The log {shown(self.origin)} holds {what}, as number {self.index + 1} of {self.size} entries.",
            f"Signed by {', '.join([shown(name) for name in self.signers])}.",
        )

    def text(self) -> str:
        """The verdict for people; whatever the file says in it is escaped."""
        wanted = "Any of it: give the policy of an organisation that you trust with --policy."
        lines = ["The file says, and nothing here shows it:", *(f"  - {item}" for item in self.said)]
        return "\n".join([self.summary, *lines, "Not proven:", f"  - {wanted}"])

    def as_json(self) -> dict[str, Any]:
        """The verdict for programs."""
        return {
            "verified": False,
            "verdict": "signatures-not-checked",
            "log": {"origin": self.origin, "size": self.size},
            "index": self.index,
            "transaction": None if self.entry is None else self.entry.transaction.hex(),
            "said": list(self.said),
        }


def read(content: bytes) -> Claim:
    """What a receipt says; raises `TlogError` where it is malformed."""
    proof = TlogProof.parse(content)
    note = notes.parse(proof.checkpoint)
    found = Checkpoint.parse(note.text)
    entry = None if proof.extra is None or len(proof.extra) != LEAF else Entry.parse(proof.extra)
    return Claim(found.origin, found.size, proof.index, entry, tuple([each.name for each in note.signatures]))


def verify(content: bytes, entry: Entry | bytes | None, policy: Policy) -> Verdict:
    """Verify a receipt; raises `TlogError`, each reason in a sentence of its own.

    Args:
        content: the bytes of a `*.tlog-proof`, at most 16 MiB.
        entry: what is to be in the log: a transaction of Pedigree's, or the bytes of a leaf of any other log. With
            None it is the file's extra data, which the path to the log's root then shows to be an entry.
        policy: the logs and witnesses that the caller trusts.
    """
    proof = TlogProof.parse(content)
    note = notes.parse(proof.checkpoint)
    checkpoint = Checkpoint.parse(note.text)
    accepted = policy.logs_of(checkpoint.origin)
    if not accepted:
        raise RefutedReceipt(f"the policy has no log with the origin {shown(checkpoint.origin)}")
    signed = notes.verify(note, policy.verifiers)
    logs = tuple([each for each in accepted if each.key in signed])
    if not logs:
        raise RefutedReceipt(f"no key that the policy has of the log {shown(checkpoint.origin)} signed its checkpoint")
    cosignatures = tuple(
        [Cosignature(each, signed[each.verifier.key])
         for each in policy.witnesses.values() if each.verifier.key in signed]
    )  # fmt: skip
    if not policy.satisfied([each.witness.name for each in cosignatures]):
        raise RefutedReceipt(_short(policy, cosignatures))
    leaf = proof.extra if entry is None else entry if isinstance(entry, bytes) else entry.leaf
    if leaf is None:
        raise RefutedReceipt("it does not say which entry it is about: give the transaction, or the bytes of the leaf")
    try:
        verify_inclusion(leaf_hash(leaf), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    except ProofError as exc:
        raise RefutedReceipt(f"the log is not shown to hold the entry: {exc}") from None
    return Verdict(checkpoint, proof.index, leaf, logs, cosignatures, policy.quorum, proof.extra)


def _short(policy: Policy, cosignatures: tuple[Cosignature, ...]) -> str:
    """That the quorum is not reached, and who cosigned."""
    names = ", ".join([shown(each.witness.name) for each in cosignatures[:_MOST_NAMED]])
    more = "" if len(cosignatures) <= _MOST_NAMED else f" and {len(cosignatures) - _MOST_NAMED} more"
    found = f"only {names}{more}" if cosignatures else "none of its witnesses"
    return f"the quorum {shown(policy.quorum or b'')} of the policy is not reached: {found} cosigned the checkpoint"


def _proven(verdict: Verdict) -> Iterator[str]:
    checkpoint, entry = verdict.checkpoint, verdict.entry
    what = f"an entry of {len(verdict.leaf)} bytes with the hash {leaf_hash(verdict.leaf).hex()}"
    if entry is not None:
        what = f"the transaction {entry.transaction.hex()}, whose envelope has the SHA-256 {entry.digest.hex()}"
    yield f"The log holds {what}. It is number {verdict.index + 1} of its {checkpoint.size} entries."
    yield f"The key of the log {shown(checkpoint.origin)} signed that tree, with the root {checkpoint.root.hex()}."
    for each in verdict.cosignatures:
        when = "" if each.at is None else f" at {_time(each.at)} by its own clock"
        kept = ", and it states that it keeps a copy of all these entries" if _is_mirror(each.witness.verifier) else ""
        yield (
            f"{shown(each.witness.name)} cosigned that tree{when}: it continues all that it has seen of that log{kept}."
        )
    if verdict.quorum is not None:
        yield f"With these cosignatures the quorum {shown(verdict.quorum)} of your policy is reached."


def _is_mirror(verifier: Verifier) -> bool:
    """Whether a key is that of a mirror which a gateway of Pedigree is, by its name; what is not states no copy."""
    return verifier.name.startswith("pedigree/") and verifier.name.endswith("/mirror")


def _not_proven(verdict: Verdict) -> Iterator[str]:
    if verdict.quorum is None:
        yield "That the log shows everyone the same tree: your policy asks for no cosignature."
    if verdict.entry is not None:
        yield "What the envelope says, beyond its SHA-256, and that this is true."
        yield "That the transaction is valid, other than that the log and those who cosigned recorded it as valid."
        yield "That nothing recorded later changes, withdraws or replaces what it recorded."
    if verdict.extra is not None and verdict.extra != verdict.leaf:
        yield f"The file's extra data, {len(verdict.extra)} bytes: nothing signs it."


def _time(seconds: int) -> str:
    """An instant in RFC 3339, or a number where it is beyond the year 9999."""
    if seconds > _LAST:
        return f"second {seconds} since 1970"
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
