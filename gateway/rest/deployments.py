# SPDX-License-Identifier: Apache-2.0
"""Deployments: one with its end, which is a record of its own, and with what is due of it."""

from collections.abc import Mapping

from chaincode.domain.errors import RecordNotFound
from chaincode.domain.values import Name, Ref, deployment_ref
from gateway.rest.routing import Call, Reply, View
from gateway.services.approvals import Approvals
from gateway.services.ports import Clock, Json
from gateway.services.reading import Reader


def views(reader: Reader, approvals: Approvals, clock: Clock) -> Mapping[str, View]:
    """The operations on deployments that do not follow from their rows, by name."""

    def deployment(call: Call) -> Reply:
        reference = deployment_ref(Name(call.path["deployment"]))
        found = reader.read(reference, call.source)
        end = _end(reader, reference, call.source)
        due = approvals.of_deployment(found["record"], int(clock() * 1000), ended=end is not None)
        return Reply({**found, "end": end, **due})

    return {"getDeployment": deployment}


def _end(reader: Reader, reference: Ref, source: str) -> Json | None:
    """The record of the end of a deployment; `None` while it goes on."""
    try:
        end: Json = reader.find("deployment-end", {"deployment": reference.name}, reference, source)["record"]
    except RecordNotFound:
        return None
    return end
