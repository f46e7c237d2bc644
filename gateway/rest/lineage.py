# SPDX-License-Identifier: Apache-2.0
"""Lineage: what something was made from, and what was made from it."""

from collections.abc import Mapping

from chaincode.domain.lineage import MOST_NODES
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View
from gateway.services.lineage import DIRECTIONS, UP, LineageReader


def views(reader: LineageReader) -> Mapping[str, View]:
    """The operations on lineage, by name."""

    def direction_of(call: Call) -> str:
        direction = call.query.get("direction", UP)
        if direction not in DIRECTIONS:
            raise HttpProblem(400, "invalid-parameter", "direction is 'up' or 'down'.", parameter="direction")
        return direction

    def edges(call: Call) -> Reply:
        cursor, direction = call.query.get("cursor"), direction_of(call)
        return Reply(reader.edges(call.path["reference"], direction, cursor=cursor, limit=call.limit))

    def lineage(call: Call) -> Reply:
        direction = direction_of(call)
        limit = call.query.get("limit", "1000")
        if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit[:9]) <= MOST_NODES:
            raise HttpProblem(400, "invalid-parameter", f"limit is from 1 to {MOST_NODES}.", parameter="limit")
        return Reply(reader.lineage(call.path["reference"], direction, int(limit)))

    return {"getLineage": lineage, "listEdges": edges}
