# SPDX-License-Identifier: Apache-2.0
"""What the package offers is listed, and what is listed is there; errors form the tree that is drawn."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
import types

import grpc
import pytest

import gateway.fabric as package
from gateway.fabric import errors

MODULES = sorted(module.name for module in pkgutil.iter_modules(package.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_a_modules_list_is_what_it_defines(name):
    module = importlib.import_module(f"gateway.fabric.{name}")
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", module.__name__) == module.__name__
        if inspect.isclass(value) or inspect.isfunction(value)
    }
    assert public <= set(module.__all__), "defined and not listed"
    assert all(hasattr(module, key) for key in module.__all__), "listed and not there"
    assert len(set(module.__all__)) == len(module.__all__)


def test_the_packages_list_is_what_it_imports():
    public = {
        key
        for key, value in vars(package).items()
        if not key.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public == set(package.__all__)


def test_everything_public_says_what_it_is():
    for key in package.__all__:
        value = getattr(package, key)
        assert inspect.getdoc(value), key
        if inspect.isclass(value) and value.__module__.startswith("gateway.fabric"):
            for name, member in vars(value).items():
                if not name.startswith("_") and callable(getattr(member, "__func__", member)):
                    assert inspect.getdoc(getattr(value, name)), f"{key}.{name}"


def test_every_error_is_a_fabric_error():
    listed = [getattr(errors, name) for name in errors.__all__]
    raised = [error for error in listed if isinstance(error, type) and issubclass(error, Exception)]
    assert all(issubclass(error, errors.FabricError) for error in raised)
    assert issubclass(errors.InvalidIdentity, errors.MalformedData)
    assert {e for e in raised if issubclass(e, errors.GatewayError)} == {
        errors.GatewayError,
        errors.EndorseError,
        errors.SubmitError,
        errors.CommitStatusError,
        errors.DeliverError,
    }


@pytest.mark.parametrize(
    "error",
    [
        errors.EndorseError(grpc.StatusCode.ABORTED, "no", [errors.ErrorDetail("a", "b", "c")], "tx"),
        errors.DeliverError(grpc.StatusCode.NOT_FOUND, "no", 404),
        errors.CommitError("tx", 11, "MVCC_READ_CONFLICT", 7),
        errors.UntrustedResponse("reason", "message"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_copying_and_pickling(error):
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert vars(again) == vars(error)
        assert str(again) == str(error)


def test_the_verifiers_modules_do_without_grpc():
    """They are imported where there is no peer, so their own imports may not name gRPC."""
    for name in ("identity", "policy", "blocks", "verify", "errors", "msp", "mspfolder", "rwset", "wire"):
        module = importlib.import_module(f"gateway.fabric.{name}")
        assert not [key for key, value in vars(module).items() if getattr(value, "__name__", "").startswith("grpc")]
