# SPDX-License-Identifier: Apache-2.0
"""What failures are made of, compared with what the OpenAPI document lists: their facts, and the law's refusals."""

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway.delivery
import gateway.rest
import gateway.services
import gateway.stores
from chaincode.domain.errors import LedgerError
from chaincode.domain.register import ACTION
from gateway.api.operations import OPERATIONS
from gateway.rest.refusals import codes_of
from gateway.rest.reports import REPORTS
from gateway.services.failures import PortError
from gateway.stores.keys import InvalidKeyRequest

PACKAGES = (gateway.delivery, gateway.rest, gateway.services, gateway.stores)
LISTED = REPORTS["Facts"]["properties"]
NOT_FACTS = {"code", "headers", "retries", "retry_after"}
"""Arguments of constructors that are something else."""


def test_every_fact_that_is_raised_is_listed() -> None:
    given = dict(facts_given())
    assert {"parameter", "organisation", "height"} <= given.keys(), "no exception was found"
    assert {name: where for name, where in given.items() if name not in LISTED} == {}


@pytest.mark.parametrize("function", ACTION)
def test_the_refusals_that_a_rules_module_names_are_listed(function: str) -> None:
    """The row of an operation names the chapters of the law's refusals; what its rule's chapter imports is in those."""
    row = next(each for each in OPERATIONS if each.body is not None and each.body.command == function)
    named = {
        thing.code
        for thing in vars(sys.modules[ACTION[function][1].rule.__module__]).values()
        if isinstance(thing, type) and issubclass(thing, LedgerError)
    }
    assert named - {""}, "the rule refuses nothing"
    assert named - {""} <= set().union(*codes_of(row).values())


def facts_given() -> Iterator[tuple[str, str]]:
    """The name of every fact that the source gives to a failure, and where."""
    raised = {"HttpProblem"}
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    waiting: list[type[PortError]] = [PortError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if not issubclass(kind, InvalidKeyRequest):  # of the command line, not of a request
            raised.add(kind.__name__)
    for package in PACKAGES:
        for path in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in raised:
                    names = {each.arg for each in node.keywords} - NOT_FACTS - {None}
                    yield from ((str(name), f"{path.name}:{node.lineno}") for name in names)
                if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".facts"):
                    yield ast.literal_eval(node.slice), f"{path.name}:{node.lineno}"
