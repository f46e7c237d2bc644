# SPDX-License-Identifier: Apache-2.0
"""Transactions as files of evidence, which anybody checks offline with `pedigree verify`."""

import base64
from typing import Final

from chaincode.domain.errors import RecordNotFound
from chaincode.domain.register import locate
from chaincode.domain.values import Ref
from gateway.services.catalogue import Catalogue
from gateway.services.failures import Category, PortError
from gateway.services.ports import BlockBytes, BlockSource, Json, OrderedTransaction, ReadModel

KIND: Final = "transaction-evidence"
SCHEMA: Final = 1


class NoSuchTransaction(PortError):
    """No block that was read so far holds the transaction."""

    code = "no-such-transaction"
    category = Category.NOT_FOUND


class TransactionEvidence:
    """Makes files of evidence of what is on the ledger; records nothing."""

    def __init__(self, blocks: BlockSource, readmodel: ReadModel, channel: str) -> None:
        self._blocks = blocks
        self._readmodel = readmodel
        self._catalogue = Catalogue(readmodel)
        self._channel = channel

    def of_transaction(self, transaction_id: str) -> Json:
        """Evidence of a transaction, valid or not; raises `NoSuchTransaction`, and as `BlockSource.ordered` does."""
        found = self._readmodel.transaction(transaction_id)
        if found is None:
            raise NoSuchTransaction("No block that was read so far holds this transaction.")
        return self._evidence(transaction_id, found.outcome.block)

    def of_record(self, reference: Ref) -> Json:
        """Evidence of the transaction that wrote the record that a reference cites; raises `RecordNotFound` besides."""
        kind, parts = locate(reference)
        entry = self._catalogue.under(kind, parts)
        if entry is None:
            raise RecordNotFound(reference)
        return {**self._evidence(entry.transaction_id, entry.block), "reference": str(reference)}

    def _evidence(self, transaction_id: str, number: int) -> Json:
        found = self._blocks.ordered(transaction_id, number)
        if found is None:
            raise NoSuchTransaction("The block that was to hold this transaction does not.")
        return document_of(found, transaction_id, self._channel)


def document_of(found: OrderedTransaction, transaction_id: str, channel: str) -> Json:
    """The file of evidence."""
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "channel": channel,
        "transaction": {"id": transaction_id, "block": found.block.number, "index": found.index},
        "validation": found.validation,
        "block": _plain(found.block),
        "configurations": [_plain(each) for each in found.configurations],
        "definitions": [{"block": _plain(block), "index": index} for block, index in found.definitions],
    }


def _plain(block: BlockBytes) -> Json:
    return {
        "number": block.number,
        "previous_hash": block.previous_hash,
        "data": base64.b64encode(block.data).decode(),
        "signatures": base64.b64encode(block.signatures).decode(),
    }
