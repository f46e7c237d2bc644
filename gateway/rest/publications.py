# SPDX-License-Identifier: Apache-2.0
"""The bytes of committed versions: published by their owner."""

from collections.abc import Mapping

from chaincode.domain.values import Name
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View
from gateway.services.drafting import Upload
from gateway.services.publications import Publishing
from gateway.services.tables import delimiter_of


def views(publishing: Publishing) -> Mapping[str, View]:
    """The operations, by name."""

    def publish(call: Call) -> Reply:
        if call.upload is None:
            raise HttpProblem(415, "unsupported-media-type", "This route takes the file itself.")
        delimiter = delimiter_of(call.query.get("delimiter"))
        upload = Upload(call.upload, call.media_type, call.query.get("id_field"), delimiter)
        return Reply(publishing.publish(Name(call.path["dataset"]), call.path["number"], upload))

    return {"publishDatasetVersion": publish}
