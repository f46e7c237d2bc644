# SPDX-License-Identifier: Apache-2.0
"""What a file of evidence says of a selection that its record is in."""

from dataclasses import dataclass
from typing import Any, Self

from pedigree.fields import LARGEST_NUMBER, Fields


@dataclass(frozen=True, slots=True)
class Selected:
    """What a file says of a selection that the record is in, of the right form and not yet checked."""

    record: dict[str, Any]
    """The ledger's record as the file has it."""
    dataset: str
    number: int
    name: str
    root: bytes
    size: int
    purpose: str | None
    role: str | None
    transaction: str
    block: int
    at: str
    proof_selection: str
    proof_size: int
    index: int
    path: tuple[bytes, ...]

    @property
    def reference(self) -> str:
        """How the selection is referred to."""
        return f"selection:{self.dataset}:{self.number}:{self.name}"

    @classmethod
    def of(cls, whole: Fields) -> Self:
        """Take the members of a file apart that are about a selection."""
        record = whole.inner("selection")
        record.expect("kind", "selection")
        record.number("committed_at", least=-LARGEST_NUMBER)
        record.text("owner")
        transaction = whole.inner("selection_transaction", "id block at")
        proof = whole.inner("selection_proof", "kind schema selection index size path")
        proof.expect("kind", "selection-proof")
        return cls(
            record=record.value,
            dataset=record.text("dataset"),
            number=record.number("number", least=1),
            name=record.text("selection"),
            root=record.digest("root"),
            size=record.number("size", least=1),
            purpose=record.text("purpose") if record.has("purpose") else None,
            role=record.matching("role", "train|validation|test", "a role") if record.has("role") else None,
            transaction=transaction.text("id"),
            block=transaction.number("block"),
            at=transaction.text("at"),
            proof_selection=proof.text("selection"),
            proof_size=proof.number("size", least=1),
            index=proof.number("index"),
            path=proof.path("path"),
        )
