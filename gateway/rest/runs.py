# SPDX-License-Identifier: Apache-2.0
"""Training runs and evaluations."""

from chaincode.domain.values import Name, evaluation_ref, run_ref
from gateway.rest import schemas
from gateway.rest.routing import PAGING, Call, Reply, Route, paged, recorded
from gateway.services.catalogue import Catalogue
from gateway.services.recording import Recorder


def routes(recorder: Recorder, catalogue: Catalogue) -> tuple[Route, ...]:
    """The operations on runs and evaluations."""

    def record_run(call: Call) -> Reply:
        return recorded(recorder.record(call.recording, "run:record", call.json))

    def list_runs(call: Call) -> Reply:
        return paged(call, catalogue, "training-run")

    def run(call: Call) -> Reply:
        name = Name(call.path["run"])
        return Reply(catalogue.get("training-run", run_ref(name), run=name))

    def record_evaluation(call: Call) -> Reply:
        return recorded(recorder.record(call.recording, "evaluation:record", call.json))

    def list_evaluations(call: Call) -> Reply:
        return paged(call, catalogue, "evaluation")

    def evaluation(call: Call) -> Reply:
        name = Name(call.path["evaluation"])
        return Reply(catalogue.get("evaluation", evaluation_ref(name), evaluation=name))

    owner = "Only those of this organisation."
    return (
        Route(
            "POST", "/v1/runs", "recordRun", "Record a training run that is over.", record_run,
            answers=schemas.committed("training-run"), takes=schemas.command("run:record"),
            role="recorder", records=True, status=201,
        ),
        Route("GET", "/v1/runs", "listRuns", "List training runs.", list_runs, answers=schemas.page("training-run"),
              parameters={**PAGING, "owner": owner}),
        Route("GET", "/v1/runs/{run}", "getRun", "Read a training run.", run, answers=schemas.shown("training-run")),
        Route(
            "POST", "/v1/evaluations", "recordEvaluation", "Record how a model version did on a data set version.",
            record_evaluation, answers=schemas.committed("evaluation"), takes=schemas.command("evaluation:record"),
            role="recorder", records=True, status=201,
        ),
        Route("GET", "/v1/evaluations", "listEvaluations", "List evaluations.", list_evaluations,
              answers=schemas.page("evaluation"),
              parameters={**PAGING, "owner": owner, "subject": "Only those of this model version."}),
        Route("GET", "/v1/evaluations/{evaluation}", "getEvaluation", "Read an evaluation.", evaluation,
              answers=schemas.shown("evaluation")),
    )  # fmt: skip
