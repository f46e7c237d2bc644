# SPDX-License-Identifier: Apache-2.0
"""AI models: a version with the parents that were declared after it was recorded."""

from collections.abc import Mapping

from chaincode.domain.errors import RecordNotFound
from chaincode.domain.values import Name, Ref, model_version_ref
from gateway.rest.routing import Call, Reply, View, version_number
from gateway.services.ports import Json
from gateway.services.reading import Reader


def views(reader: Reader) -> Mapping[str, View]:
    """The operations on models that do not follow from their rows, by name."""

    def version(call: Call) -> Reply:
        reference = model_version_ref(Name(call.path["model"]), version_number(call))
        found = reader.read(reference, call.source)
        return Reply({**found, "later_parents": _declared(reader, reference, call.source)})

    return {"getModelVersion": version}


def _declared(reader: Reader, reference: Ref, source: str) -> list[Json]:
    """The parents of a version that were declared later; none where nobody declared any."""
    try:
        parents: list[Json] = reader.find("later-parents", {"child": reference}, reference, source)["record"]["parents"]
    except RecordNotFound:
        return []
    return parents
