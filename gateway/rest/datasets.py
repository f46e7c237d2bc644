# SPDX-License-Identifier: Apache-2.0
"""Data sets, their versions, and proofs of single records."""

from typing import BinaryIO

from chaincode.domain.values import Name, dataset_ref
from gateway.rest import schemas
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import PAGING, Call, Reply, Route, paged, recorded
from gateway.services.catalogue import Catalogue
from gateway.services.consent import PURPOSES, STATES, purposes_of, state_of
from gateway.services.datasets import Datasets
from gateway.services.drafting import Upload
from gateway.services.recording import Recorder
from gateway.services.tables import LONGEST_ID, MEDIA_TYPES, delimiter_of

_READING = {
    "id_field": "Column or member that holds each record's id; without it records are numbered from 1.",
    "delimiter": "What separates fields in CSV: `,`, `;`, `|` or `tab`; a comma by default.",
}
_COMPARING = {name: f"{meaning} As the version was read, where nothing is said." for name, meaning in _READING.items()}
_COMMITTING = {
    **_READING,
    "consent": f"Consent of every record: {', '.join(STATES)}.",
    "purposes": f"Purposes that the consent covers, comma separated, of {', '.join(PURPOSES)}.",
}
_NOT_HELD = {404: ("records-not-held",)}
_REPORT: schemas.Schema = {
    "type": "object",
    "required": ["dataset", "number", "root", "size", "verified", "columns", "changed", "added", "removed", "moved"],
    "properties": {
        "dataset": {"type": "string"},
        "number": {"type": "integer"},
        "root": {"type": "string"},
        "size": {"type": "integer"},
        "transaction": schemas.TRANSACTION,
        "verified": {"type": "boolean"},
        "store_complete": {"type": "boolean"},
        "unreadable": {"type": "string", "description": "Why the records could not be compared under other columns."},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        **{
            name: {"type": "array", "items": {"type": "string"}}
            for name in ("fields", "columns", "changed", "added", "removed", "moved", "altered_in_store")
        },
    },
}


_VERSION: schemas.Schema = schemas.shown("dataset-version")
_VERSION["properties"]["reading"] = {
    "type": "object",
    "description": "How the file was read, where this gateway holds the records.",
    "properties": {
        "media_type": {"enum": list(MEDIA_TYPES)},
        "id_field": {"type": ["string", "null"]},
        "delimiter": {"type": "string"},
        "fields": {"type": "array", "items": {"type": "string"}},
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
        return Reply(datasets.proof(Name(call.path["dataset"]), call.path["number"], _record_id(call)))

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
            takes=schemas.command("dataset:commit-version", "dataset", optional=("number",)), uploads=MEDIA_TYPES,
            parameters=_COMMITTING, role="recorder", records=True, status=201,
        ),
        Route("GET", base + "/{dataset}/versions", "listDatasetVersions", "List the versions of a data set.", versions,
              answers=schemas.page("dataset-version"), parameters=PAGING),
        Route("GET", one, "getDatasetVersion", "Read a version.", version, answers=_VERSION),
        Route(
            "GET", one + "/proof", "proveRecord",
            "Evidence that a record is in a version; only its owner's gateway has it.", proof,
            answers=schemas.ANY_OBJECT, parameters={"id": "The record's id."}, role="recorder", codes=_NOT_HELD,
        ),
        Route(
            "POST", one + "/verify", "verifyDatasetVersion",
            "Compare a copy of the records, or the owner's own store, with the ledger.", verify,
            answers=_REPORT, takes={}, uploads=MEDIA_TYPES, optional_body=True, parameters=_COMPARING, role="recorder",
            codes=_NOT_HELD,
        ),
    )  # fmt: skip


def _record_id(call: Call) -> str:
    """An id in the query: in a path, servers would take some ids apart."""
    record_id = call.query.get("id", "")
    if not 1 <= len(record_id) <= LONGEST_ID:
        detail = f"id is the id of a record, 1 to {LONGEST_ID} characters."
        raise HttpProblem(400, "invalid-parameter", detail, parameter="id")
    return record_id


def _upload(call: Call, content: BinaryIO) -> Upload:
    named = call.query.get("purposes", "")
    purposes = purposes_of(name.strip() for name in named.split(",")) if named else 0
    state = state_of(call.query.get("consent", "ConsentUnknown"))
    delimiter = delimiter_of(call.query.get("delimiter"))
    return Upload(content, call.media_type, call.query.get("id_field"), delimiter, state, int(purposes))
