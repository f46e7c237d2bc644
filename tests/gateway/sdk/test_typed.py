# SPDX-License-Identifier: Apache-2.0
"""The client against the table of operations: what each method asks, the types it names, and what it raises."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from chaincode.domain import errors as law
from chaincode.domain.register import KIND
from gateway.api.operations import EXAMPLES, OPERATIONS
from gateway.api.rows import Operation
from gateway.rest.refusals import codes_of
from gateway.rest.schemas import Components
from pedigree import (
    Conflict,
    Forbidden,
    InvalidInput,
    InvalidRequest,
    LedgerFault,
    NotFound,
    OutcomeUnknown,
    Pedigree,
    Recorded,
    Refused,
    Unauthenticated,
    Unavailable,
    Unmet,
    digest_file,
    digest_files,
    read_evidence,
)
from pedigree.errors import from_problem
from pedigree.runs import code_of
from pedigree.saving import save_run

GENERATED = [operation for operation in OPERATIONS if "sdk" not in operation.odd]
_RECORDING = ("endorsing_organisations", "idempotency_key")
_SENDING = ("source", "media_type", "progress")
BY_HAND: dict[str, tuple[str, tuple[str, ...]]] = {
    "commit_records": ("commitDatasetVersion", (*_SENDING, "idempotency_key")),
    "commit_version": ("commitDatasetVersion", _RECORDING),
    "save_bundle": ("getBundle", ("path", "progress")),
    "receipt": ("getReceipt", ()),
    "prepare_transaction": ("prepareTransaction", ("function", "command", "certificate", "key")),
    "endorse_transaction": ("endorseTransaction", ("signed",)),
    "submit_transaction": ("submitTransaction", ("signed",)),
    "batch": ("recordBatch", ("commands", *_RECORDING)),
    "checkpoint": ("getCheckpoint", ()),
    "save_audit_log": ("exportAuditLog", ("path",)),
    "log_policy": ("getLogPolicy", ()),
    "publish_dataset": ("publishDatasetVersion", _SENDING),
    "publish_selection": ("publishSelection", _SENDING),
    "save_selection_bundle": ("getSelectionBundle", ("path", "progress")),
    "verify_dataset": ("verifyDatasetVersion", (*_SENDING, "check")),
    "record_model_version": ("recordModelVersion", (*_RECORDING, "full")),
    "record_run": ("recordRun", _RECORDING),
    "record_evaluation": ("recordEvaluation", _RECORDING),
    "register_criteria": ("registerCriteria", _RECORDING),
    "open_consent": ("openConsent", ("indications", "idempotency_key")),
    "change_consent": ("changeConsent", ("indications", "idempotency_key")),
    "commit_selection": ("commitSelection", _RECORDING),
    "select_records": ("commitSelection", (*_SENDING, "idempotency_key")),
}
"""The row of each method that is written by hand, and what it takes beside the row's fields and parameters."""
PUBLIC = [name for name in dir(Pedigree) if not name.startswith("_") and callable(getattr(Pedigree, name))]
KINDS_OF_RECORDS = sorted({kind for operation in OPERATIONS if operation.records for kind in operation.answer.kinds})
DONE = {"record": {"kind": "model", "model": "net"}, "event": {}, "transaction": {"id": "ab" * 32, "block": 6}}


class Asked:
    """Answers from a list, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.requests: list[httpx.Request] = []
        self.answers = list(answers)
        self.client = Pedigree("http://gateway", "id.secret", transport=httpx.MockTransport(self))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json=self.answers.pop(0) if self.answers else DONE)


def arguments_of(operation: Operation) -> tuple[list[Any], dict[str, Any]]:
    """What a method must be given: by place, and by name."""
    places: list[Any] = [int(EXAMPLES[name]) if name == "number" else EXAMPLES[name] for name in operation.places]
    if operation.body is None:
        return [*places, *(EXAMPLES[each.name] for each in operation.parameters if each.required)], {}
    components = Components()
    fields: dict[str, Any] = components.example(components.body(operation))
    bound = [template.format_map(EXAMPLES) for template in operation.body.bound.values()]
    first = [fields.pop(name) for name in (*operation.verb.arguments, *operation.verb.required)]
    return [*bound, *first], fields


@pytest.mark.parametrize("operation", GENERATED, ids=lambda operation: operation.name)
def test_a_method_asks_what_its_row_says(operation: Operation) -> None:
    asked = Asked({"items": [], "next": None} if operation.answer.paged else DONE)
    places, named = arguments_of(operation)
    answer = getattr(asked.client, operation.sdk)(*places, **named)
    (request,) = asked.requests
    assert request.method == operation.method
    assert unquote(request.url.path) == operation.path.format_map(EXAMPLES)
    assert set(request.url.params) <= {each.name for each in operation.taken}
    assert {each.name for each in operation.taken if each.required} <= set(request.url.params)
    assert ("Idempotency-Key" in request.headers) == operation.records == isinstance(answer, Recorded)
    if operation.body is not None:
        components = Components()
        assert json.loads(request.content) == components.example(components.body(operation))


@pytest.mark.parametrize("operation", GENERATED, ids=lambda operation: operation.name)
def test_a_method_takes_every_field_and_parameter_of_its_row_and_no_other(operation: Operation) -> None:
    taken = set(inspect.signature(getattr(Pedigree, operation.sdk)).parameters) - {"self"}
    if operation.body is None:
        assert taken == {*operation.places, *(each.python for each in operation.taken)}
        return
    components = Components()
    schema = components.schemas[components.body(operation)["$ref"].rpartition("/")[2]]
    assert taken == {*bound_in(operation), *schema["properties"], "endorsing_organisations", "idempotency_key"}


def bound_in(operation: Operation) -> list[str]:
    """How a method calls what the path decides of a body: a reference, or a name."""
    bound = {} if operation.body is None else operation.body.bound
    return [name if ":" in template else template.strip("{}") for name, template in bound.items()]


@pytest.mark.parametrize("method", BY_HAND)
def test_a_method_that_is_written_by_hand_takes_every_field_and_parameter_of_its_row(method: str) -> None:
    name, more = BY_HAND[method]
    operation = next(each for each in OPERATIONS if each.name == name)
    taken = set(inspect.signature(getattr(Pedigree, method)).parameters) - {"self"}
    components = Components()
    if operation.body is None or (operation.uploads and {"source", "indications"} & {*more}):
        assert taken == {*operation.places, *(each.python for each in operation.parameters), *more}
        return
    schema = components.schemas[components.body(operation)["$ref"].rpartition("/")[2]]
    assert taken == {*bound_in(operation), *schema["properties"], *more}


def test_every_operation_is_a_method_of_one_or_the_other_sort() -> None:
    by_hand = {name for name, _ in BY_HAND.values()}
    assert by_hand == {operation.name for operation in OPERATIONS if "sdk" in operation.odd}
    assert {operation.sdk for operation in OPERATIONS} <= {*PUBLIC}


@pytest.mark.parametrize("name", PUBLIC)
def test_no_method_takes_or_answers_what_has_no_type(name: str) -> None:
    signature = inspect.signature(getattr(Pedigree, name))
    assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty
    written = [str(signature.return_annotation), *(str(each.annotation) for each in signature.parameters.values())]
    assert not [each for each in written if "Any" in each]


LISTS = [operation for operation in GENERATED if operation.answer.paged]


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.name)
def test_every_list_can_be_gone_through(operation: Operation) -> None:
    asked = Asked({"items": [1, 2], "next": "a"}, {"items": [], "next": "b"}, {"items": [3], "next": None})
    places = arguments_of(operation)[0]
    found = getattr(asked.client, f"iterate_{operation.sdk}")(*places)
    assert asked.requests == []
    assert next(found) == 1
    assert len(asked.requests) == 1
    assert list(found) == [2, 3]
    assert [request.url.params.get("cursor") for request in asked.requests] == [None, "a", "b"]
    assert {request.url.params["limit"] for request in asked.requests} == {"100"}


def test_filters_hold_for_every_page() -> None:
    asked = Asked({"items": [], "next": "a"}, {"items": [], "next": None})
    assert list(asked.client.iterate_models(owner="LabMSP")) == []
    assert [request.url.params["owner"] for request in asked.requests] == ["LabMSP", "LabMSP"]


@pytest.mark.parametrize("kind", KINDS_OF_RECORDS)
def test_what_was_recorded_knows_how_it_is_referred_to(kind: str) -> None:
    components = Components()
    fields = components.schemas[components.record(kind)["$ref"].rpartition("/")[2]]["properties"]
    record = {"kind": kind, **{name: components.example(fields[name]) for name in KIND[kind].key}}
    recorded = Recorded(record, {"name": "X", "schema": 1}, "ab", 1, 2, 0.1, replayed=False)
    if KIND[kind].reference:
        assert recorded.reference == ":".join((KIND[kind].reference, *(str(record[name]) for name in KIND[kind].key)))
    elif kind in {
        "access-approval",
        "access-batch",
        "audit-anchor",
        "access-review",
        "organisation-roots",
        "policy",
        "policy-vote",
        "purpose",
    }:
        with pytest.raises(LookupError, match=f"a {kind} has no reference"):
            _ = recorded.reference
    elif kind == "deployment-end":
        assert recorded.reference == f"deployment:{record['deployment']}"
    else:
        (about,) = {"artifact", "child", "selection"} & {*record}
        assert recorded.reference == record[about]


REFUSALS = sorted({(status, code) for each in OPERATIONS for status, codes in codes_of(each).items() for code in codes})


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_every_code_has_an_exception_of_its_kind(status: int, code: str) -> None:
    error = from_problem(status, {"code": code, "detail": "No.", "retryable": False})
    assert type(error) is not Refused
    assert type(from_problem(status, {"code": code, "detail": "No.", "retryable": True})) in {
        Unavailable, OutcomeUnknown,
    }  # fmt: skip


def test_exceptions_are_the_laws_kinds_of_refusal() -> None:
    kinds = {law.Malformed: InvalidRequest, law.NotFound: NotFound, law.Conflict: Conflict, law.Forbidden: Forbidden,
             law.Unmet: Unmet}  # fmt: skip
    statuses = {law.Malformed: 422, law.NotFound: 404, law.Conflict: 409, law.Forbidden: 403, law.Unmet: 422}
    seen = 0
    for kind, expected in kinds.items():
        for refusal in _leaves(kind):
            assert type(from_problem(statuses[kind], {"code": refusal.code})) is expected, refusal
            seen += 1
    assert seen > 30
    assert type(from_problem(401, {"code": "identity-expired"})) is Unauthenticated
    assert type(from_problem(502, {"code": "blob-integrity"})) is LedgerFault


def _leaves(kind: type[law.LedgerError]) -> list[type[law.LedgerError]]:
    below = [each for each in kind.__subclasses__() if each.__module__.startswith("chaincode.")]
    return [leaf for each in below for leaf in _leaves(each)] if below else [kind]


@pytest.mark.parametrize("form", [str, Path])
def test_a_path_may_be_text(tmp_path: Path, form: Callable[[Path], Any]) -> None:
    (tmp_path / "w.bin").write_bytes(b"w")
    (tmp_path / "r.csv").write_bytes(b"id,age\np1,61\n")
    folder, table = form(tmp_path), form(tmp_path / "r.csv")
    files = digest_files(folder)
    assert [entry["path"] for entry in files] == ["r.csv", "w.bin"]
    assert digest_file(form(tmp_path / "w.bin")) == files[1]["digest"]
    assert code_of(form(tmp_path / "w.bin")) == {"digest": files[1]["digest"]}
    asked = Asked(DONE, DONE, *[{"verified": True}] * 3, {"record": {"files": files}}, DONE)
    asked.client.commit_records("d", table)
    asked.client.record_model_version("net", folder, licence="MIT")
    assert json.loads(asked.requests[-1].content)["files"] == files
    assert asked.client.verify_dataset("d", 1, table)["verified"]
    assert asked.client.publish_dataset("d", 1, table)["verified"]
    assert asked.client.publish_selection("d", 1, "s", table)["verified"]
    assert asked.client.verify_model("net", 1, folder)["verified"]
    saved = save_run(tmp_path, "r-1", "key", {"started": 1})
    asked.client.record_saved_run(form(saved))
    assert asked.requests[-1].headers["Idempotency-Key"] == "key"
    run = Asked().client.run(model="net", code=form(tmp_path / "w.bin"), save_in=folder)
    assert run.name.startswith("net-")
    (tmp_path / "e.json").write_text('{"a": 1}')
    assert read_evidence(form(tmp_path / "e.json")) == {"a": 1}


def test_text_that_is_neither_a_path_nor_a_digest_is_not_code() -> None:
    assert code_of("ab" * 32) == {"digest": "ab" * 32}
    with pytest.raises(InvalidInput, match="neither a path that exists nor a SHA-256"):
        code_of("train.py.missing")
