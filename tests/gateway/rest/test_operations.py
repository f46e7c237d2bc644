# SPDX-License-Identifier: Apache-2.0
"""The table of operations against what it describes: routes, OpenAPI document, Python client, command line."""

import inspect
import re
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

import click
import pytest

from chaincode.domain.access import AccessAction
from chaincode.domain.derivation import Activity
from chaincode.domain.policy import Stage
from chaincode.domain.provenance import LawfulBasis, Sensitivity
from chaincode.domain.register import COMMANDS, RECORDS
from gateway.api.operations import (
    ACCESS_ACTIONS,
    ACTIVITIES,
    BASES,
    CONSENT_STATES,
    EXAMPLES,
    KINDS,
    OPERATIONS,
    PURPOSES,
    RECORDS_OF,
    SENSITIVITIES,
    STAGES,
)
from gateway.api.permissions import BESIDE_OPERATIONS
from gateway.api.rows import Operation
from gateway.api.scopes import ROLES
from gateway.cli import main as pedigree
from gateway.services import auditview, consent, tables, transactions
from gateway.services.filters import FILTERS
from gateway.services.parquet import PARQUET
from pedigree import Pedigree

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def document(api: Any) -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path): described
        for path, methods in api.get("/openapi.json", role=None).json["paths"].items()
        for method, described in methods.items()
    }


def find_command(words: str) -> click.Command | None:
    command: click.Command | None = pedigree
    for word in words.split():
        command = command.commands.get(word) if isinstance(command, click.Group) else None
    return command


def test_the_routes_that_are_served_are_those_of_the_table(api: Any) -> None:
    served = {
        (method, re.sub(r"<(?:path:)?([a-z_]+)>", r"{\1}", rule.rule), rule.endpoint.rpartition(".")[2])
        for rule in api.service.api.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    table = {(operation.method, operation.path, operation.name) for operation in OPERATIONS}
    beside = {(row.method, row.path, row.name) for row in BESIDE_OPERATIONS}
    assert served - beside == table
    assert beside <= served


def test_the_document_says_what_the_table_says(api: Any) -> None:
    described = document(api)
    assert set(described) == {(operation.method, operation.path) for operation in OPERATIONS}
    for operation in OPERATIONS:
        found = described[operation.method, operation.path]
        parameters = {(each["in"], each["name"]): each for each in found["parameters"]}
        assert found["operationId"] == operation.name
        assert found["summary"] == operation.does
        assert f"`{operation.role}`" in found["description"]
        assert [name for place, name in parameters if place == "path"] == list(operation.places)
        assert {name: each["description"] for (place, name), each in parameters.items() if place == "query"} == {
            each.name: each.meaning for each in operation.taken
        }
        assert (("header", "Idempotency-Key") in parameters) == operation.keyed
        assert str(operation.status) in found["responses"]
        assert ("202" in found["responses"]) == operation.keyed
        taken = found.get("requestBody", {"content": {}})
        json = ["application/json"] if operation.body else []
        assert sorted(taken["content"]) == sorted([*json, *operation.uploads])
        assert taken.get("required", False) == bool(taken["content"] and not operation.optional_body)
        for status, codes in operation.codes.items():
            assert set(codes) <= set(api.codes[operation.name][status])


def ask(api: Any, operation: Operation, role: str | None, **more: Any) -> Any:
    """A request for an operation, with an empty body where it takes one."""
    path = operation.path.format_map(EXAMPLES)
    required = {each.name: EXAMPLES[each.name] for each in operation.taken if each.required}
    if required:
        path += f"?{urlencode(required)}"
    if operation.method == "GET":
        return api.get(path, role=role, **more)
    if operation.body is None:
        return api.post(path, b"", role=role, **more)
    return api.post(path, {}, role=role, **more)


def test_every_operation_lets_in_its_role_and_those_above_and_nobody_else(api: Any) -> None:
    for operation in OPERATIONS:
        assert ask(api, operation, None).json["code"] == "unauthenticated"
        for rank, role in enumerate(ROLES):
            answer = ask(api, operation, role)
            refused = answer.status_code == 403 and answer.json["code"] == "role-too-low"
            assert refused == (rank < ROLES.index(operation.role)), f"{operation.name}: {role}"
            assert answer.status_code < 500, f"{operation.name}: {answer.json}"


def test_every_operation_refuses_parameters_of_others_and_repeated_ones(api: Any) -> None:
    for operation in OPERATIONS:
        path = operation.path.format_map(EXAMPLES)
        send = api.get if operation.method == "GET" else api.post
        unknown = send(f"{path}?surprise=1", role="operator")
        assert (unknown.status_code, unknown.json["code"]) == (400, "unknown-parameter"), operation.name
        for parameter in operation.taken:
            repeated = send(f"{path}?{parameter.name}=1&{parameter.name}=1", role="operator")
            assert (repeated.status_code, repeated.json["code"]) == (400, "repeated-parameter"), operation.name


def test_every_number_in_a_query_is_held_within_its_bounds(api: Any) -> None:
    for operation in OPERATIONS:
        for parameter in operation.taken:
            if parameter.form != "number":
                continue
            for wrong in ("0", "-1", "x", "1.5", "\u0661", *([str(parameter.most + 1)] if parameter.most else [])):
                path = f"{operation.path.format_map(EXAMPLES)}?{urlencode({parameter.name: wrong})}"
                answer = api.get(path, role="operator")
                assert (answer.status_code, answer.json["code"]) == (400, "invalid-parameter"), f"{path}: {answer.json}"


@each_operation
def test_every_operation_has_a_method_of_the_client(operation: Operation) -> None:
    method = getattr(Pedigree, operation.sdk, None)
    assert method is not None
    assert inspect.getdoc(method)


@each_operation
def test_every_operation_has_a_verb_of_the_command(operation: Operation) -> None:
    command = find_command(operation.verb.words)
    assert command is not None
    assert not isinstance(command, click.Group)


def test_names_are_unique_and_examples_are_given_for_all_that_must_be_named() -> None:
    for names in (
        [operation.name for operation in OPERATIONS],
        [(operation.method, operation.path) for operation in OPERATIONS],
        [operation.sdk for operation in OPERATIONS],
    ):
        assert len(set(names)) == len(names)
    named = {name for operation in OPERATIONS for name in operation.places}
    named |= {each.name for operation in OPERATIONS for each in operation.taken if each.required}
    assert named == set(EXAMPLES)


def test_every_command_of_the_ledger_can_be_recorded_by_one_operation() -> None:
    assert sorted(operation.body.command for operation in OPERATIONS if operation.body) == sorted(COMMANDS)


def test_the_table_uses_the_words_of_the_rules() -> None:
    assert tuple(Stage) == STAGES
    assert tuple(Sensitivity) == SENSITIVITIES
    assert tuple(LawfulBasis) == BASES
    assert tuple(kind.name for kind in RECORDS if kind.reference) == KINDS
    assert {each for operation in OPERATIONS for each in map(attrgetter("name"), operation.filters)} <= {
        *FILTERS,
        *transactions.FILTERS,
        *auditview.FILTERS,
    }
    assert tuple(consent.STATES) == CONSENT_STATES
    assert tuple(Activity) == ACTIVITIES
    assert tuple(AccessAction) == ACCESS_ACTIONS
    assert consent.PURPOSES == PURPOSES
    assert (*tables.MEDIA_TYPES, PARQUET) == RECORDS_OF


def test_what_is_written_by_hand_says_why() -> None:
    for operation in OPERATIONS:
        for reason in operation.odd.values():
            assert len(reason.split()) > 2, operation.name
