# SPDX-License-Identifier: Apache-2.0
"""AI models and their versions."""

from chaincode.domain.values import Name, model_ref, model_version_ref
from gateway.rest import schemas
from gateway.rest.routing import PAGING, Call, Reply, Route, paged, recorded, version_number
from gateway.services.catalogue import Catalogue
from gateway.services.recording import Recorder


def routes(recorder: Recorder, catalogue: Catalogue) -> tuple[Route, ...]:
    """The operations on models."""

    def register(call: Call) -> Reply:
        return recorded(recorder.record(call.recording, "model:register", call.json))

    def listed(call: Call) -> Reply:
        return paged(call, catalogue, "model")

    def show(call: Call) -> Reply:
        name = Name(call.path["model"])
        return Reply(catalogue.get("model", model_ref(name), model=name))

    def record(call: Call) -> Reply:
        name = Name(call.path["model"])
        return recorded(recorder.record(call.recording, "model:record-version", call.json, model=name))

    def versions(call: Call) -> Reply:
        return paged(call, catalogue, "model-version", model=Name(call.path["model"]))

    def version(call: Call) -> Reply:
        name, number = Name(call.path["model"]), version_number(call)
        found = catalogue.get("model-version", model_version_ref(name, number), model=name, number=str(number))
        later = catalogue.find("later-parents", child=model_version_ref(name, number))
        return Reply({**found, "later_parents": [] if later is None else later.value["parents"]})

    def declare(call: Call) -> Reply:
        child = model_version_ref(Name(call.path["model"]), version_number(call))
        return recorded(recorder.record(call.recording, "model:declare-parent", call.json, child=child))

    base, one = "/v1/models", "/v1/models/{model}/versions/{number}"
    return (
        Route(
            "POST", base, "registerModel", "Register a model of your organisation.", register,
            answers=schemas.committed("model"), takes=schemas.command("model:register"),
            role="recorder", records=True, status=201,
        ),
        Route("GET", base, "listModels", "List models.", listed, answers=schemas.page("model"),
              parameters={**PAGING, "owner": "Only those of this organisation."}),
        Route("GET", base + "/{model}", "getModel", "Read a model.", show, answers=schemas.shown("model")),
        Route(
            "POST", base + "/{model}/versions", "recordModelVersion",
            "Record a version of your model, the next one unless it says which: every file by its SHA-256.", record,
            answers=schemas.committed("model-version"),
            takes=schemas.command("model:record-version", "model", optional=("number",)),
            role="recorder", records=True, status=201,
        ),
        Route("GET", base + "/{model}/versions", "listModelVersions", "List the versions of a model.", versions,
              answers=schemas.page("model-version"), parameters=PAGING),
        Route("GET", one, "getModelVersion", "Read a version and the parents declared later.", version,
              answers=schemas.shown("model-version")),
        Route(
            "POST", one + "/parents", "declareModelParent", "Add a parent that became known later.", declare,
            answers=schemas.committed("later-parents"), takes=schemas.command("model:declare-parent", "child"),
            role="recorder", records=True, status=201,
        ),
    )  # fmt: skip
