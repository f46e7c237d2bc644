# SPDX-License-Identifier: Apache-2.0
"""The consortium's endorsement policy: the one in force."""

from collections.abc import Mapping

from gateway.rest.routing import Call, Reply, View
from gateway.services.reading import Reader


def views(reader: Reader) -> Mapping[str, View]:
    """The operations on policies that do not follow from their rows, by name."""

    def current(call: Call) -> Reply:
        return Reply(reader.find("policy", {}, "policy", call.source))

    return {"getPolicy": current}
