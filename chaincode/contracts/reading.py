# SPDX-License-Identifier: Apache-2.0
"""Reading one record, whatever its kind."""

from chaincode.contracts.state import Ledger
from chaincode.domain.errors import InvalidField, RecordNotFound
from chaincode.domain.reading import GetRecord
from chaincode.domain.register import KIND
from chaincode.domain.values import Record


def get_record(ledger: Ledger, query: GetRecord) -> Record:
    """The record of a kind under a key; `RecordNotFound` names it as a reference would."""
    kind = KIND.get(query.record)
    if kind is None:
        raise InvalidField("/record", "it must be a kind of record such as 'dataset-version'")
    try:
        parts = kind.read_key(query.key)
    except InvalidField as refusal:
        raise InvalidField(f"/key{refusal.pointer}", refusal.reason) from None
    found = ledger.get(kind.record, *parts)
    if found is None:
        raise RecordNotFound(":".join((kind.reference or kind.name, *query.key)))
    return found
