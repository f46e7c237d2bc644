# SPDX-License-Identifier: Apache-2.0
"""Data sets, their versions, and proofs of single records."""

from typing import BinaryIO

from chaincode.domain.values import Name, dataset_ref
from gateway.rest import schemas
from gateway.rest.routing import PAGING, Call, Reply, Route, paged, recorded
from gateway.services.catalogue import Catalogue
from gateway.services.consent import PURPOSES, STATES, purposes_of, state_of
from gateway.services.datasets import Datasets, Upload
from gateway.services.recording import Recorder
from gateway.services.tables import MEDIA_TYPES

_READING = {
    "id_field": "Column or member that holds each record's id; without it records are numbered from 1.",
}
_COMMITTING = {
    **_READING,
    "consent": f"Consent of every record: {', '.join(STATES)}.",
    "purposes": f"Purposes that the consent covers, comma separated, of {', '.join(PURPOSES)}.",
}
_REPORT: schemas.Schema = {
    "type": "object",
    "required": ["dataset", "number", "root", "size", "verified", "changed", "added", "removed", "moved"],
    "properties": {
        "dataset": {"type": "string"},
        "number": {"type": "integer"},
        "root": {"type": "string"},
        "size": {"type": "integer"},
        "transaction": schemas.TRANSACTION,
        "verified": {"type": "boolean"},
        "store_complete": {"type": "boolean"},
        **{
            name: {"type": "array", "items": {"type": "string"}}
            for name in ("changed", "added", "removed", "moved", "altered_in_store")
        },
    },
}


def routes(recorder: Recorder, catalogue: Catalogue, datasets: Datasets) -> tuple[Route, ...]:
    """The operations on data sets."""

    def register(call: Call) -> Reply:
        return recorded(recorder.record(call.recording, "dataset:register", call.json))

    def listed(call: Call) -> Reply:
        return paged(call, catalogue, "dataset")

    def show(call: Call) -> Reply:
        name = Name(call.path["dataset"])
        return Reply(catalogue.get("dataset", dataset_ref(name), dataset=name))

    def commit(call: Call) -> Reply:
        name = Name(call.path["dataset"])
        if call.upload is not None:
            return recorded(datasets.commit(call.recording, name, _upload(call, call.upload)))
        return recorded(recorder.record(call.recording, "dataset:commit-version", call.json, dataset=name))

    def versions(call: Call) -> Reply:
        return paged(call, catalogue, "dataset-version", dataset=Name(call.path["dataset"]))

    def version(call: Call) -> Reply:
        return Reply(datasets.version(Name(call.path["dataset"]), call.path["number"]))

    def proof(call: Call) -> Reply:
        return Reply(datasets.proof(Name(call.path["dataset"]), call.path["number"], call.path["record_id"]))

    def verify(call: Call) -> Reply:
        upload = None if call.upload is None else _upload(call, call.upload)
        return Reply(datasets.verify(Name(call.path["dataset"]), call.path["number"], upload))

    base, one = "/v1/datasets", "/v1/datasets/{dataset}/versions/{number}"
    return (
        Route(
            "POST", base, "registerDataset", "Register a data set of your organisation.", register,
            answers=schemas.committed("dataset"), takes=schemas.command("dataset:register"),
            role="recorder", records=True, status=201,
        ),
        Route("GET", base, "listDatasets", "List data sets.", listed, answers=schemas.page("dataset"),
              parameters={**PAGING, "owner": "Only those of this organisation."}),
        Route("GET", base + "/{dataset}", "getDataset", "Read a data set.", show, answers=schemas.shown("dataset")),
        Route(
            "POST", base + "/{dataset}/versions", "commitDatasetVersion",
            "Commit to every record of a version: send the records, or a root that was computed elsewhere.",
            commit, answers=schemas.committed("dataset-version"),
            takes=schemas.command("dataset:commit-version", "dataset"), uploads=MEDIA_TYPES,
            parameters=_COMMITTING, role="recorder", records=True, status=201,
        ),
        Route("GET", base + "/{dataset}/versions", "listDatasetVersions", "List the versions of a data set.", versions,
              answers=schemas.page("dataset-version"), parameters=PAGING),
        Route("GET", one, "getDatasetVersion", "Read a version.", version, answers=schemas.shown("dataset-version")),
        Route(
            "GET", one + "/records/{record_id}/proof", "proveRecord",
            "Evidence that a record is in a version; only its owner's gateway has it.", proof,
            answers=schemas.ANY_OBJECT, role="recorder",
        ),
        Route(
            "POST", one + "/verify", "verifyDatasetVersion",
            "Compare a copy of the records, or the owner's own store, with the ledger.", verify,
            answers=_REPORT, takes={}, uploads=MEDIA_TYPES, optional_body=True, parameters=_READING, role="recorder",
        ),
    )  # fmt: skip


def _upload(call: Call, content: BinaryIO) -> Upload:
    named = call.query.get("purposes", "")
    purposes = purposes_of(name.strip() for name in named.split(",")) if named else 0
    state = state_of(call.query.get("consent", "ConsentUnknown"))
    return Upload(content, call.media_type, call.query.get("id_field"), state, int(purposes))
