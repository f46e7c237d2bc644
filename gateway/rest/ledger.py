# SPDX-License-Identifier: Apache-2.0
"""The ledger itself, and single transactions in it."""

import re
from collections.abc import Mapping

from chaincode.domain.values import Ref
from gateway.api.scopes import ROLES
from gateway.rest.auth import scopes_shown
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View
from gateway.services.ledgerview import LedgerView
from gateway.services.ports import ReadModel
from gateway.services.transactionevidence import NoSuchTransaction, TransactionEvidence
from gateway.services.transactions import TransactionView

_ID = re.compile(r"[0-9a-f]{64}")


def views(
    view: LedgerView, readmodel: ReadModel, transactions: TransactionView, evidence: TransactionEvidence
) -> Mapping[str, View]:
    """The operations on the ledger, by name."""

    def describe(_: Call) -> Reply:
        return Reply(view.describe())

    def caller(call: Call) -> Reply:
        client = call.client
        roles = ROLES[: ROLES.index(client.role) + 1] if client.role in ROLES else ()
        found = view.caller({"id": client.id, "name": client.name}, roles)
        owners = None if client.owners is None else sorted(client.owners)
        return Reply({**found, "scopes": scopes_shown(client), "owners": owners})

    def transaction(call: Call) -> Reply:
        transaction_id = call.path["transaction"]
        known = _ID.fullmatch(transaction_id) is not None
        found = readmodel.transaction(transaction_id) if known else None
        listed = transactions.one(transaction_id) if known else None
        if found is None or listed is None:
            raise HttpProblem(404, "no-such-transaction", "No block that was read so far holds this transaction.")
        return Reply(
            {
                **listed,
                "reply": found.reply,
                "said": None if found.said is None else {"by": found.creator, "reply": found.said},
            }
        )

    def of_transaction(call: Call) -> Reply:
        transaction_id = call.path["transaction"]
        if not _ID.fullmatch(transaction_id):
            raise NoSuchTransaction("The id of a transaction is 64 hexadecimal digits.")
        return Reply(evidence.of_transaction(transaction_id))

    def of_record(call: Call) -> Reply:
        return Reply(evidence.of_record(Ref(call.path["reference"])))

    return {
        "getLedger": describe,
        "whoAmI": caller,
        "getTransaction": transaction,
        "getTransactionEvidence": of_transaction,
        "getEvidence": of_record,
    }
