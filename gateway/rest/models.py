# SPDX-License-Identifier: Apache-2.0
"""AI models: a version with the parents that were declared after it was recorded."""

from collections.abc import Mapping

from chaincode.domain.values import Name, model_version_ref
from gateway.rest.routing import Call, Reply, View, version_number
from gateway.services.catalogue import Catalogue
from gateway.services.reading import Reader


def views(catalogue: Catalogue, reader: Reader) -> Mapping[str, View]:
    """The operations on models that do not follow from their rows, by name."""

    def version(call: Call) -> Reply:
        reference = model_version_ref(Name(call.path["model"]), version_number(call))
        found = reader.read(reference, call.source)
        later = catalogue.find("later-parents", child=reference)
        return Reply({**found, "later_parents": [] if later is None else later.value["parents"]})

    return {"getModelVersion": version}
