# SPDX-License-Identifier: Apache-2.0
"""Reading one record: from the read model, or from the ledger itself through the organisation's own peer."""

from collections.abc import Mapping
from typing import Final

from chaincode.domain import codec
from chaincode.domain.errors import RecordNotFound
from chaincode.domain.reading import GetRecord
from chaincode.domain.register import FUNCTION_OF, KIND, Kind, Part, locate
from chaincode.domain.values import Ref, Text
from gateway.services.catalogue import Catalogue, shown
from gateway.services.filters import InvalidParameter
from gateway.services.ports import Json, Ledger, ReadModel, Refused

READ_MODEL: Final = "read-model"
LEDGER: Final = "ledger"
SOURCES: Final = (READ_MODEL, LEDGER)


class Reader:
    """Reads single records from where the caller wants them."""

    def __init__(self, readmodel: ReadModel, ledger: Ledger) -> None:
        self._readmodel = readmodel
        self._catalogue = Catalogue(readmodel)
        self._ledger = ledger

    def read(self, reference: str, source: str = READ_MODEL) -> Json:
        """The record that a reference cites; raises `RecordNotFound`. See `find`."""
        kind, parts = locate(Ref(reference))
        return self._read(kind, parts, reference, source)

    def find(self, kind: str, where: Mapping[str, str], reference: str, source: str = READ_MODEL) -> Json:
        """The record of a kind with these key fields, in the order of its key; its `source`, and its `height`.

        `height` is the number of blocks that the answer reflects, at least. What is read from the ledger has its
        `transaction` where the read model has the very same record. Raises `RecordNotFound`, which names `reference`,
        `InvalidParameter` for another source, and what `Ledger.evaluate` raises.
        """
        row = KIND[kind]
        return self._read(row, row.read_key(tuple(where.values())), reference, source)

    def _read(self, kind: Kind, parts: tuple[Part, ...], reference: str, source: str) -> Json:
        if source == LEDGER:
            return self._from_ledger(kind, parts, reference)
        if source != READ_MODEL:
            raise InvalidParameter("from", f"it must be one of {', '.join(SOURCES)}")
        # Before the record is read: the answer is then never older than it says.
        height = self._readmodel.height()
        entry = self._catalogue.under(kind, parts)
        if entry is None:
            raise RecordNotFound(reference)
        return {**shown(entry), "source": READ_MODEL, "height": height}

    def _from_ledger(self, kind: Kind, parts: tuple[Part, ...], reference: str) -> Json:
        query = GetRecord(Text(kind.name), tuple(Text(str(part)) for part in parts))
        try:
            found = self._ledger.evaluate(FUNCTION_OF[GetRecord], codec.to_json(query).decode())
        except Refused as refusal:
            if refusal.code == RecordNotFound.code:
                raise RecordNotFound(reference) from None
            raise
        record = found.answer["record"]
        entry = self._catalogue.under(kind, parts)
        same = entry is not None and entry.value == record
        transaction = {"transaction": shown(entry)["transaction"]} if entry is not None and same else {}
        return {"record": record, **transaction, "source": LEDGER, "height": found.height}
