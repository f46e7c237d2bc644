# SPDX-License-Identifier: Apache-2.0
"""A log of transactions with its witnesses, always with the same keys, for tests and the vectors of receipts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from chaincode.domain.merkle import Tree
from gateway.tlog import notes, policy
from gateway.tlog.checkpoints import Checkpoint
from gateway.tlog.entries import Entry, origin_of
from gateway.tlog.keys import Cosigner, LogSigner, Signer
from gateway.tlog.policy import Policy
from gateway.tlog.proofs import TlogProof

ORIGIN = origin_of("main", "HospitalMSP")
AT = 1_780_000_000
"""When everybody cosigns."""


def ed25519(label: str) -> Ed25519PrivateKey:
    """A key that is always the same."""
    return Ed25519PrivateKey.from_private_bytes(sha256(label.encode()).digest())


def ml_dsa(label: str) -> MLDSA44PrivateKey:
    """A key that is always the same; its signatures are not."""
    return MLDSA44PrivateKey.from_seed_bytes(sha256(label.encode()).digest())


def witness(name: str, *, post_quantum: bool = False, at: float = AT) -> Cosigner:
    """A witness whose clock says `at`."""
    return Cosigner(name, (ml_dsa if post_quantum else ed25519)(f"witness {name}"), lambda: at)


def entry(number: int) -> Entry:
    """The transaction of this number."""
    return Entry.of(sha256(b"transaction %d" % number).hexdigest(), b"envelope %d" % number)


@dataclass(frozen=True)
class SampleLog:
    """The log over the first `size` entries; `forked` is another tree, which the same key signs."""

    size: int
    origin: str = ORIGIN
    forked: bool = False

    @cached_property
    def signer(self) -> LogSigner:
        return LogSigner(self.origin, ed25519(f"log {self.origin}"))

    @cached_property
    def tree(self) -> Tree:
        first = 1_000_000 if self.forked else 0
        return Tree(b"".join([entry(first + number).hash for number in range(self.size)]))

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """What it says of the tree of its first leaves."""
        size = self.size if size is None else size
        return Checkpoint(self.origin, size, self.tree.root(size))

    def signed(self, *witnesses: Signer, size: int | None = None) -> bytes:
        """The checkpoint with the log's signature and the witnesses' cosignatures."""
        return notes.sign(self.checkpoint(size).format(), self.signer, *witnesses)

    def receipt(
        self, index: int, witnesses: Sequence[Signer], *, size: int | None = None, extra: bytes | None = None
    ) -> bytes:
        """The proof that it holds its entry `index`."""
        return TlogProof(
            index, tuple(self.tree.inclusion(index, size)), self.signed(*witnesses, size=size), extra
        ).format()


def policy_text(log: Signer, witnesses: Iterable[Signer], *lines: str) -> bytes:
    """A policy of one log and witnesses that are called w1, w2 and so on, ended by `lines`."""
    named = [f"witness w{number} {each.verifier.vkey}" for number, each in enumerate(witnesses, start=1)]
    return "\n".join([f"log {log.verifier.vkey}", *named, *lines, ""]).encode()


def policy_of(log: Signer, witnesses: Sequence[Signer], threshold: int) -> Policy:
    """The policy that asks for so many of the witnesses."""
    members = " ".join(f"w{number}" for number in range(1, len(witnesses) + 1))
    return policy.parse(policy_text(log, witnesses, f"group all-of-them {threshold} {members}", "quorum all-of-them"))
