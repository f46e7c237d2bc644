# SPDX-License-Identifier: Apache-2.0
"""Logs and witnesses in memory, which can be told to fail, over stores on disk."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from gateway.services.logs import AnotherSize, Asked, WitnessRefused
from gateway.services.mirroring import Mirror
from gateway.services.ports import Category, LedgerBlock, LedgerTransaction, PortError, Unavailable
from gateway.services.publishing import Publisher
from gateway.services.witnessing import NotAtThatSize, Witness
from gateway.stores.database import Database
from gateway.stores.heads import HeadStore
from gateway.stores.logtree import LogTree
from gateway.stores.readmodel import ReadModelStore
from gateway.tlog.entries import Entry, origin_of
from gateway.tlog.keys import Cosigner, LogSigner
from gateway.tlog.policy import Group, Log, Policy
from gateway.tlog.policy import Witness as WitnessLine

CHANNEL = "pedigree"


class Counts:
    """A meter that can be asked."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, list[float]] = {}

    def observe(self, stage: str, seconds: float) -> None:
        self.seconds.setdefault(stage, []).append(seconds)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def entry(number: int, branch: str = "") -> Entry:
    """An entry of the ledger; of another branch of it, another entry."""
    return Entry.of(hashlib.sha256(f"{branch}{number}".encode()).hexdigest(), f"envelope {branch}{number}".encode())


def block(number: int, entries: Sequence[Entry], branch: str = "") -> LedgerBlock:
    """A block with these valid transactions, and one that is not valid."""
    invalid = LedgerTransaction(f"{'ee' * 31}{number:02x}", 0, 11, "LabMSP", "", None, ())
    valid = [
        LedgerTransaction(each.transaction.hex(), index, 0, "LabMSP", "", None, (), leaf=each.leaf)
        for index, each in enumerate(entries, 1)
    ]
    previous = f"{branch if number > 1 else ''}{number - 1}" if number else ""
    return LedgerBlock(number, f"{branch if number else ''}{number}", previous, (invalid, *valid))


def seed(text: str) -> bytes:
    """A key that is the same in every run."""
    return hashlib.sha256(text.encode()).digest()


@dataclass
class Member:
    """An organisation's log and witness, over files that outlive it."""

    organisation: str
    folder: Path
    meter: Counts = field(default_factory=Counts)
    caught_up: bool = True
    patience: float = 0.05
    asked: list[Asked] = field(default_factory=list)
    logs: dict[str, list] = field(default_factory=dict)  # type: ignore[type-arg]
    clock: Callable[[], float] = lambda: 1_767_225_600.0

    def __post_init__(self) -> None:
        self.origin = origin_of(CHANNEL, self.organisation)
        name = f"{self.origin}/witness"
        self.log = LogSigner(self.origin, Ed25519PrivateKey.from_private_bytes(seed(self.origin)))
        self.cosigners = (
            Cosigner(name, Ed25519PrivateKey.from_private_bytes(seed(name)), self.clock),
            Cosigner(name, MLDSA44PrivateKey.from_seed_bytes(seed(name + "ml")), self.clock),
        )
        mirror = f"{self.origin}/mirror"
        self.mirrors = (
            Cosigner(mirror, Ed25519PrivateKey.from_private_bytes(seed(mirror)), self.clock),
            Cosigner(mirror, MLDSA44PrivateKey.from_seed_bytes(seed(mirror + "ml")), self.clock),
        )
        self.net = Net()
        self.open()

    def open(self) -> None:
        """Start on what is on the disk."""
        self.folder.mkdir(exist_ok=True)
        self.rows = Database.open(self.folder / "readmodel.db", "readmodel", durable=False)
        self.database = Database.open(self.folder / "log.db", "log", durable=False)
        self.readmodel, self.leaves = ReadModelStore(self.rows), LogTree(self.rows)
        self.heads = HeadStore(self.database)
        self.publisher = Publisher(
            self.origin, (self.log, *self.cosigners), self.leaves, self.heads,
            asked=lambda: self.asked, edition=lambda: list(self.asked), witnesses=self.net, meter=self.meter,
            clock=self.clock,
        )  # fmt: skip
        self.witness = Witness(
            self.cosigners, self.leaves, self.heads, logs=lambda: self.logs, caught_up=lambda: self.caught_up,
            meter=self.meter, heard=self.publisher.heard, clock=self.clock, patience=self.patience,
        )  # fmt: skip
        self.mirror = Mirror(self.mirrors, self.leaves, self.heads, logs=lambda: self.logs, meter=self.meter)

    def close(self) -> None:
        """End, as a killed process does: nothing but the files is left."""
        self.publisher.stop()
        self.rows.close()
        self.database.close()

    def reopen(self, *lost: str) -> None:
        """End and start again, without some of the files."""
        self.close()
        for name in lost:
            for file in self.folder.glob(f"{name}.db*"):
                file.unlink()
        self.open()

    def read(self, *blocks: LedgerBlock) -> None:
        """Apply blocks."""
        for each in blocks:
            self.readmodel.apply(each)
        self.publisher.grown()

    def witnessed_by(self, other: Member) -> None:
        """Have this log witnessed by another organisation."""
        keys = {each.key: each.verifier for each in other.cosigners}
        self.asked.append(Asked(f"{other.origin}/witness", other.organisation, keys, frozenset({other.origin})))
        self.net.witnesses[other.organisation] = other
        other.logs[self.origin] = [self.log.verifier]

    def mirrored_by(self, other: Member) -> None:
        """Have this log mirrored by another organisation, at the address of its witness."""
        keys = {each.key: each.verifier for each in other.mirrors}
        self.asked.append(Asked(f"{other.origin}/mirror", other.organisation, keys, frozenset({other.origin})))
        self.net.witnesses[other.organisation] = other
        other.logs[self.origin] = [self.log.verifier]


@dataclass
class Net:
    """Reaches witnesses and mirrors by the name of their organisation; implements `services.logs.Witnesses`."""

    witnesses: dict[str, Member] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    answers: dict[str, bytes] = field(default_factory=dict)
    """What is answered in the place of a witness."""
    hold: threading.Event | None = None
    """Answers wait for it."""
    asked: int = 0

    def add_checkpoint(self, url: str, submission: bytes) -> bytes:
        self.asked += 1
        if self.hold is not None:
            self.hold.wait(10)
        if url in self.down:
            raise Unavailable("it cannot be reached", code="witness-unavailable")
        if url in self.answers:
            return self.answers[url]
        try:
            return self.witnesses[url].witness.add_checkpoint(submission)
        except NotAtThatSize as exc:
            raise AnotherSize(exc.size) from None
        except PortError as exc:
            raise _said(exc) from None

    def add_entries(self, url: str, upload: bytes) -> bytes:
        self.asked += 1
        if url in self.answers:
            raise WitnessRefused("it answered with no signature of its known keys, and it is not a mirror")
        try:
            return self.witnesses[url].mirror.add_entries(upload)
        except PortError as exc:
            raise _said(exc) from None


def _said(refusal: PortError) -> Exception:
    """A refusal as the one who asked over HTTP is told of it."""
    return refusal if refusal.category is Category.UNAVAILABLE else WitnessRefused(refusal.message)


def policy_of(members: Sequence[Member], threshold: int) -> Policy:
    """That so many of these organisations must have cosigned."""
    witnesses = {}
    groups = []
    for each in members:
        own = [f"{each.organisation}-{number}".encode() for number in range(len(each.cosigners))]
        for name, cosigner in zip(own, each.cosigners, strict=True):
            witnesses[name] = WitnessLine(name, cosigner.verifier)
        groups.append(Group(each.organisation.encode(), 1, tuple(own)))
    groups.append(Group(b"members", threshold, tuple(each.name for each in groups)))
    return Policy(tuple(Log(each.log.verifier) for each in members), witnesses, tuple(groups), b"members")
