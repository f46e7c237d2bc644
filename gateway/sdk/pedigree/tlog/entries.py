# SPDX-License-Identifier: Apache-2.0
"""What a log of Pedigree holds: an entry for every valid transaction of a channel, in the order of the ledger.

A leaf has 64 bytes, and its hash is that of RFC 6962, ``SHA-256(00 ‖ leaf)``::

    transaction id (32) ‖ SHA-256(the transaction's envelope, as the block holds it) (32)

The log of an organisation's gateway has the origin ``pedigree/<channel>/<MSP ID>``.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pedigree.merkle import HASH, leaf_hash
from pedigree.tlog.errors import RefutedReceipt

LEAF: Final = 2 * HASH
_TRANSACTION: Final = re.compile("[0-9a-f]{64}")
_PART: Final = re.compile("[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction of a log."""

    transaction: bytes
    """Its id: 32 bytes."""
    digest: bytes
    """SHA-256 of its envelope."""

    @classmethod
    def of(cls, transaction: str, envelope: bytes) -> "Entry":
        """The entry of a transaction by its id in lower-case hex; raises `ValueError` for another id."""
        return cls(transaction_of(transaction), sha256(envelope).digest())

    @classmethod
    def parse(cls, leaf: bytes) -> "Entry":
        """The entry that a leaf is; raises `RefutedReceipt`."""
        if len(leaf) != LEAF:
            raise RefutedReceipt(f"the entry has {len(leaf)} bytes, and one of Pedigree's logs has {LEAF}")
        return cls(leaf[:HASH], leaf[HASH:])

    @property
    def leaf(self) -> bytes:
        """Its bytes in the log."""
        return self.transaction + self.digest

    @property
    def hash(self) -> bytes:
        """The leaf's hash in the tree."""
        return leaf_hash(self.leaf)


def transaction_of(text: str) -> bytes:
    """The bytes of a transaction's id; raises `ValueError`."""
    if _TRANSACTION.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a transaction id of 64 lower-case hexadecimal digits")
    return bytes.fromhex(text)


def origin_of(channel: str, organisation: str) -> str:
    """The origin of an organisation's log of a channel; raises `ValueError` for names that Fabric does not have."""
    for part in (channel, organisation):
        if _PART.fullmatch(part) is None:
            raise ValueError(f"{part!r} is not the name of a channel or an organisation")
    return f"pedigree/{channel}/{organisation}"
