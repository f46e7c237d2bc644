# SPDX-License-Identifier: Apache-2.0
"""From the name in a call to the function that answers it, and from what it raises to a response."""

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from chaincode.shim.stub import Response, Stub

log = logging.getLogger("chaincode.shim")

Function = Callable[[Stub, tuple[bytes, ...]], bytes]
Refusal = Callable[[Exception], Response | None]

GET_METADATA = "org.hyperledger.fabric:GetMetadata"
"""The function that clients ask for a description of the contracts."""

OK = 200
REFUSED = 400
FAILED = 500


class Chaincode(Protocol):
    """What the runtime executes; calls come from several threads at once."""

    def init(self, stub: Stub) -> Response:
        """Answer the call that initialises the chaincode."""
        ...

    def invoke(self, stub: Stub) -> Response:
        """Answer any other call."""
        ...


def refuse(status: int, code: str, message: str, facts: Mapping[str, Any] | None = None) -> Response:
    """A response whose message is canonical JSON with a permanent `code`."""
    document = {"code": code, "facts": dict(facts or {}), "message": message}
    return Response(status, json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def failure(error: BaseException, transaction_id: str) -> Response:
    """The answer to a bug: it says nothing of the error, and the log says where but not with which data."""
    places = " < ".join(
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(traceback.extract_tb(error.__traceback__))
    )
    log.error("transaction %s failed with %s at %s", transaction_id, type(error).__name__, places)
    return refuse(FAILED, "internal", "the chaincode failed; its operator's log says where")


class Router:
    """A chaincode made of named functions: a table that one can read.

    `refusal` maps an exception that a function may raise to the response that tells the client; for
    what it does not know it answers `None`, and the client learns only that the chaincode failed.
    """

    def __init__(
        self,
        functions: Mapping[str, Function],
        refusal: Refusal = lambda error: None,
        *,
        title: str = "chaincode",
        version: str = "",
    ) -> None:
        self._functions = MappingProxyType({GET_METADATA: self._metadata, **functions})
        self._refusal = refusal
        self._title = title
        self._version = version

    def init(self, stub: Stub) -> Response:
        """Without arguments there is nothing to do; with them it is a call as any other."""
        return self.invoke(stub) if stub.args else Response(OK)

    def invoke(self, stub: Stub) -> Response:
        """Answer a call; never raises an `Exception`."""
        try:
            name, parameters = stub.function_and_parameters()
        except UnicodeDecodeError:
            return refuse(REFUSED, "malformed-function", "the name of the function is not UTF-8")
        function = self._functions.get(name)
        if function is None:
            return refuse(REFUSED, "unknown-function", "the chaincode has no such function", {"function": name})
        try:
            payload = function(stub, parameters)
            if not isinstance(payload, bytes):
                raise TypeError(f"{name} answered {type(payload).__name__} instead of bytes")
        except Exception as error:
            return self._refusal(error) or failure(error, stub.transaction_id)
        return Response(OK, payload=payload)

    def _metadata(self, stub: Stub, parameters: tuple[bytes, ...]) -> bytes:
        contracts: dict[str, Any] = {}
        info = {"title": self._title, "version": self._version}
        for function in self._functions:
            contract, _, name = function.rpartition(":")
            entry = contracts.setdefault(contract, {"info": info, "name": contract, "transactions": []})
            entry["transactions"].append({"name": name})
        document = {"components": {"schemas": {}}, "contracts": contracts, "info": info}
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
