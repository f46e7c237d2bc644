# SPDX-License-Identifier: Apache-2.0
"""Reads that had no transaction each: what this gateway keeps, and a member's statement to see another's."""

from collections.abc import Mapping
from typing import Final

from gateway.api.operations import HIGHEST
from gateway.rest.problems import HttpProblem
from gateway.rest.replies import Reply
from gateway.rest.routing import Call, View
from gateway.services.accesses import Accesses
from gateway.services.readlistings import ReadListings
from gateway.services.readstatements import ListStatements

_LISTED: Final = 100
"""Reads of one answer."""
_LAST: Final = 999_999_999


def views(listings: ReadListings, statements: ListStatements, accesses: Accesses) -> Mapping[str, View]:
    """The operations that are in the table, by name."""

    def listed(call: Call) -> Reply:
        before = call.number("before", HIGHEST)
        return Reply(listings.own(before=before, grant=call.query.get("grant"), limit=_LISTED))

    def together(call: Call) -> Reply:
        return Reply(accesses.page(cursor=call.query.get("cursor"), limit=call.limit, filters=call.filters))

    def sign(call: Call) -> Reply:
        number = call.path["number"]
        if not number.isascii() or not number.isdigit() or not 1 <= int(number[:10]) <= _LAST:
            raise HttpProblem(
                400, "invalid-parameter", "number is that of a list of reads, from 1.", parameter="number"
            )
        return Reply(statements.sign(call.path["organisation"], int(number)))

    return {"listAccesses": together, "listAccessReads": listed, "signReadList": sign}
