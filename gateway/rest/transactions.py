# SPDX-License-Identifier: Apache-2.0
"""Who did what: lists of transactions."""

from collections.abc import Mapping

from chaincode.domain.values import Ref
from gateway.rest.routing import Call, Reply, View
from gateway.services.transactions import TransactionView


def views(view: TransactionView) -> Mapping[str, View]:
    """The operations on the transactions of the channel, by name."""

    def listed(call: Call) -> Reply:
        return Reply(view.page(call.filters, cursor=call.query.get("cursor"), limit=call.limit))

    def history(call: Call) -> Reply:
        filters = {**call.filters, "reference": Ref(call.path["reference"])}
        return Reply(view.page(filters, cursor=call.query.get("cursor"), limit=call.limit))

    return {"listTransactions": listed, "getHistory": history}
