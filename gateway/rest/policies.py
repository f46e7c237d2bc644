# SPDX-License-Identifier: Apache-2.0
"""The consortium's endorsement policy: the one in force."""

from collections.abc import Mapping

from chaincode.domain.errors import RecordNotFound
from gateway.rest.routing import Call, Reply, View
from gateway.services.catalogue import Catalogue


def views(catalogue: Catalogue) -> Mapping[str, View]:
    """The operations on policies that do not follow from their rows, by name."""

    def current(_: Call) -> Reply:
        found = catalogue.page("policy", cursor=None, limit=1)["items"]
        if not found:
            raise RecordNotFound("policy")
        return Reply(found[0])

    return {"getPolicy": current}
