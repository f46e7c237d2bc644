# SPDX-License-Identifier: Apache-2.0
"""What the read model says as of a height, of what is written once.

A height counts blocks, so that as of 7 is what blocks 0 to 6 say.
"""

from collections.abc import Iterator

from chaincode.domain.errors import RecordNotFound
from chaincode.domain.lineage import Edge
from chaincode.domain.values import Ref, Text
from gateway.services.catalogue import entries
from gateway.services.filters import InvalidParameter
from gateway.services.ports import Entry, ReadModel, Where
from gateway.services.references import identifying

UP, DOWN = "up", "down"


class Heights:
    """Reads records and edges that were there at a height."""

    def __init__(self, readmodel: ReadModel) -> None:
        self._readmodel = readmodel

    def reached(self, as_of: int | None) -> int:
        """The height that an answer is as of; raises `InvalidParameter` for one that is not reached yet."""
        height = self._readmodel.height()
        if as_of is not None and as_of > height:
            raise InvalidParameter("as_of", f"it must be at most {height}, the height of the ledger as it is read here")
        return height if as_of is None else as_of

    def known(self, reference: str, at: int) -> Ref:
        """A reference to a record that was there; raises `RecordNotFound`."""
        of = Ref(reference)
        if self.cited(of, at) is None:
            raise RecordNotFound(of)
        return of

    def cited(self, reference: Ref, at: int) -> Entry | None:
        """The record that a reference cites; such records are written once."""
        entry = self.first(*identifying(reference))
        return entry if entry is not None and entry.block < at else None

    def first(self, kind: str, where: Where) -> Entry | None:
        """The first entry of a kind with these attributes, at whatever height."""
        return next(entries(self._readmodel, kind, where, size=1), None)

    def edges(self, node: Ref, direction: str, at: int) -> Iterator[Edge]:
        """The edges of the ledger that end (`UP`) or begin (`DOWN`) at an artifact; read only as they are asked for."""
        for entry in entries(self._readmodel, "edge", {own_end(direction): node}):
            if entry.block >= at:
                return  # they come in the order of the ledger
            # Not by the codec: of the edges of a large lineage the one end is known, and reading it again costs most.
            relation = Text(entry.value["relation"])
            if direction == UP:
                yield Edge(Ref(entry.value["parent"]), node, relation)
            else:
                yield Edge(node, Ref(entry.value["child"]), relation)


def own_end(direction: str) -> str:
    """The field of an edge in which the artifact stands whose edges these are."""
    return "child" if direction == UP else "parent"
