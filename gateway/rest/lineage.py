# SPDX-License-Identifier: Apache-2.0
"""Lineage: what something was made from, and what was made from it."""

from collections.abc import Mapping

from chaincode.domain.lineage import DEFAULT_LIMIT, MOST_NODES
from gateway.api.operations import DEEPEST, HIGHEST
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View
from gateway.services.licences import LicenceReader
from gateway.services.lineage import DIRECTIONS, DOWN, UP, LineageReader


def views(reader: LineageReader, licences: LicenceReader) -> Mapping[str, View]:
    """The operations on lineage, by name."""

    def direction_of(call: Call, default: str = UP) -> str:
        direction = call.query.get("direction", default)
        if direction not in DIRECTIONS:
            raise HttpProblem(400, "invalid-parameter", "direction is 'up' or 'down'.", parameter="direction")
        return direction

    def as_of(call: Call) -> int | None:
        return call.number("as_of", HIGHEST)

    def edges(call: Call) -> Reply:
        cursor, direction = call.query.get("cursor"), direction_of(call)
        filters = {name: text for name, text in call.filters.items() if name != "direction"}
        return Reply(reader.edges(call.path["reference"], direction, cursor=cursor, limit=call.limit, filters=filters))

    def lineage(call: Call) -> Reply:
        direction = direction_of(call)
        limit = call.number("limit", MOST_NODES) or DEFAULT_LIMIT
        return Reply(reader.lineage(call.path["reference"], direction, limit, as_of=as_of(call)))

    def reached(call: Call) -> Reply:
        return Reply(
            reader.reached(
                call.path["reference"],
                direction_of(call, DOWN),
                as_of=as_of(call),
                depth=call.number("depth", DEEPEST),
                cursor=call.query.get("cursor"),
                limit=call.limit,
            )
        )

    def licence(call: Call) -> Reply:
        limit = call.number("limit", MOST_NODES) or DEFAULT_LIMIT
        return Reply(licences.effective(call.path["reference"], as_of=as_of(call), limit=limit))

    return {"getLineage": lineage, "listLineage": reached, "listEdges": edges, "getEffectiveLicence": licence}
