# SPDX-License-Identifier: Apache-2.0
"""Search across all kinds of records."""

from collections.abc import Mapping

from gateway.api.permissions import PERMISSIONS
from gateway.rest.auth import authorise, kinds_read
from gateway.rest.routing import Call, Reply, View
from gateway.services.searching import Search


def views(search: Search) -> Mapping[str, View]:
    """The operations that search, by name."""

    def found(call: Call) -> Reply:
        query, kind, cursor = call.query.get("q", ""), call.query.get("kind"), call.query.get("cursor")
        if kind is not None:
            authorise(call.client, PERMISSIONS["search"], reference=kind)
        return Reply(search.page(query, kind=kind, kinds=kinds_read(call.client), cursor=cursor, limit=call.limit))

    return {"search": found}
