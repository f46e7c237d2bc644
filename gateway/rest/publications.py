# SPDX-License-Identifier: Apache-2.0
"""The bytes of committed versions and of selections, published by their owner, and bundles of selections."""

from collections.abc import Mapping

from chaincode.domain.values import Name
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View, version_number
from gateway.services.drafting import Upload
from gateway.services.publications import Publishing
from gateway.services.selected import SelectedRecords
from gateway.services.tables import delimiter_of


def views(publishing: Publishing, selected: SelectedRecords) -> Mapping[str, View]:
    """The operations, by name."""

    def publish(call: Call) -> Reply:
        upload = _upload(call)
        if upload is None:
            raise HttpProblem(415, "unsupported-media-type", "This route takes the file itself.")
        return Reply(publishing.publish(Name(call.path["dataset"]), call.path["number"], upload))

    def publish_selection(call: Call) -> Reply:
        upload = _upload(call)
        for name in call.query if upload is None else ():
            detail = f"{name} says how a file is to be read, which the request has to send."
            raise HttpProblem(400, "invalid-parameter", detail, parameter=name)
        dataset, selection = Name(call.path["dataset"]), Name(call.path["selection"])
        return Reply(publishing.publish_selection(dataset, version_number(call), selection, upload))

    def bundle_selection(call: Call) -> Reply:
        dataset, number, selection = Name(call.path["dataset"]), version_number(call), Name(call.path["selection"])
        attached = f'attachment; filename="{dataset}-{number}-{selection}.pedigree-bundle"'
        pieces = selected.bundle(dataset, number, selection)
        return Reply({}, headers={"Content-Disposition": attached}, pieces=pieces)

    return {
        "getSelectionBundle": bundle_selection,
        "publishDatasetVersion": publish,
        "publishSelection": publish_selection,
    }


def _upload(call: Call) -> Upload | None:
    if call.upload is None:
        return None
    delimiter = delimiter_of(call.query.get("delimiter"))
    return Upload(call.upload, call.media_type, call.query.get("id_field"), delimiter)
