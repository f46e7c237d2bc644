# SPDX-License-Identifier: Apache-2.0
"""Data sets, their versions, and proofs of single records."""

from collections.abc import Callable, Mapping
from typing import BinaryIO

from chaincode.domain.values import Name
from gateway.api.operations import ACTIVITIES
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View, record_id, recorded
from gateway.services.consent import Vocabulary, state_of
from gateway.services.datasets import Datasets
from gateway.services.drafting import Upload
from gateway.services.indications import Columns
from gateway.services.ports import Json
from gateway.services.recording import Recorder
from gateway.services.tables import delimiter_of


def views(recorder: Recorder, datasets: Datasets, vocabulary: Callable[[], Vocabulary]) -> Mapping[str, View]:
    """The operations on data sets that do not follow from their rows, by name."""

    def commit(call: Call) -> Reply:
        name = Name(call.path["dataset"])
        if call.upload is not None:
            upload, derivation = _upload(call, call.upload, vocabulary()), _derivation(call)
            return recorded(datasets.commit(call.recording, name, upload, derivation))
        return recorded(recorder.record(call.recording, "dataset:commit-version", call.json, dataset=name))

    def version(call: Call) -> Reply:
        return Reply(datasets.version(Name(call.path["dataset"]), call.path["number"], call.source))

    def proof(call: Call) -> Reply:
        return Reply(datasets.proof(Name(call.path["dataset"]), call.path["number"], record_id(call)))

    def verify(call: Call) -> Reply:
        selection = call.query.get("selection")
        if call.upload is None and selection is not None:
            detail = "selection is for a copy, which the request has to send."
            raise HttpProblem(400, "invalid-parameter", detail, parameter="selection")
        upload = None if call.upload is None else _upload(call, call.upload, vocabulary())
        return Reply(datasets.verify(Name(call.path["dataset"]), call.path["number"], upload, selection))

    def bundle(call: Call) -> Reply:
        dataset, number = Name(call.path["dataset"]), call.path["number"]
        named = call.query.get("selections", "")
        selections = list(dict.fromkeys(name.strip() for name in named.split(","))) if named else []
        pieces = datasets.bundle(dataset, number, selections)
        attached = f'attachment; filename="{dataset}-{number}.pedigree-bundle"'
        return Reply({}, headers={"Content-Disposition": attached}, pieces=pieces)

    return {
        "commitDatasetVersion": commit,
        "getBundle": bundle,
        "getDatasetVersion": version,
        "proveRecord": proof,
        "verifyDatasetVersion": verify,
    }


def _upload(call: Call, content: BinaryIO, vocabulary: Vocabulary) -> Upload:
    named = call.query.get("purposes", "")
    purposes = int(vocabulary.set_of(name.strip() for name in named.split(","))) if named else 0
    state = state_of(call.query.get("consent", "ConsentUnknown"))
    delimiter = delimiter_of(call.query.get("delimiter"))
    columns = Columns(
        *(call.query.get(f"{name}_field") or None for name in ("subject", "consent", "purposes", "indicated"))
    )
    id_field = call.query.get("id_field")
    return Upload(content, call.media_type, id_field, delimiter, state, purposes, columns, vocabulary)


def _derivation(call: Call) -> Json | None:
    """What the records of an upload were made from, how, and under which grants; the law reads the references."""
    parents, activity = call.query.get("parents", ""), call.query.get("activity", "")
    if not parents and not activity:
        return None
    if activity not in ACTIVITIES:
        detail = f"activity says how the records were made from their parents: {', '.join(ACTIVITIES)}."
        raise HttpProblem(400, "invalid-parameter", detail, parameter="activity")
    if not parents:
        detail = f"parents names the versions that the activity {activity} was over, such as dataset-version:visits:3."
        raise HttpProblem(400, "invalid-parameter", detail, parameter="parents")
    grants = {"grants": _listed(given)} if (given := call.query.get("grants", "")) else {}
    return {"activity": activity, "parents": _listed(parents), **grants}


def _listed(given: str) -> list[str]:
    return [each.strip() for each in given.split(",")]
