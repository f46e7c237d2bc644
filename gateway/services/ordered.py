# SPDX-License-Identifier: Apache-2.0
"""A transaction as it was ordered, with all that shows it to somebody who has no ledger."""

from dataclasses import dataclass
from typing import Final

from gateway.services.failures import Category, PortError

_AROUND: Final = 256
LARGEST_EVIDENCE: Final = 16 * 1024 * 1024
"""Bytes of a file of evidence, at most; those who check one read no more."""


@dataclass(frozen=True, slots=True)
class BlockBytes:
    """A block without what each peer adds for itself."""

    number: int
    previous_hash: str
    data: bytes
    """All envelopes, one after another, as the block's data hash is over them."""
    signatures: bytes
    """What the orderers signed beside the header, and their signatures, as Fabric serialises them."""

    @property
    def size(self) -> int:
        """Bytes that it takes in a file, at most: base64, and what stands around it."""
        return (len(self.data) + len(self.signatures)) * 4 // 3 + _AROUND


@dataclass(frozen=True, slots=True)
class OrderedTransaction:
    """A transaction in its block, the channel's configurations up to there, and the chaincode's definition."""

    block: BlockBytes
    index: int
    validation: str
    """What the peer found it, such as VALID: its word."""
    configurations: tuple[BlockBytes, ...]
    """Each a block that holds one, from the channel's first block on."""
    definitions: tuple[tuple[BlockBytes, int], ...]
    """The transaction that defined the chaincode, by its block and its place in it; and, where that left the
    endorsement policy as it was, the one that wrote it last."""


class EvidenceTooLarge(PortError):
    """A block, or the blocks that show it, are larger than a file of evidence may be."""

    code = "evidence-too-large"
    category = Category.TOO_LARGE

    def __init__(self, block: int) -> None:
        super().__init__(
            f"block {block} and what shows it take more than {LARGEST_EVIDENCE} bytes, the most that a file of "
            "evidence has",
            block=block,
            limit=LARGEST_EVIDENCE,
        )
