# SPDX-License-Identifier: Apache-2.0
"""From a call to a function, and from what it raises to a response."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from chaincode.shim import Response, Router, refuse
from chaincode.shim.wire import MessageType


class Refused(Exception):
    pass


def refusal(error: Exception) -> Response | None:
    return refuse(400, "refused", str(error)) if isinstance(error, Refused) else None


def call(router: Router, *args: bytes) -> Response:
    name = (args or (b"",))[0]
    stub: Any = SimpleNamespace(
        args=args, transaction_id="t1", function_and_parameters=lambda: (name.decode(), args[1:])
    )
    return router.invoke(stub)


def test_a_function_gets_the_stub_and_its_arguments_as_bytes() -> None:
    """Nothing is inferred from signatures: an argument without an annotation is an argument."""

    def echo(stub, args):  # type: ignore[no-untyped-def]
        return b"|".join(args) + stub.transaction_id.encode()

    assert call(Router({"echo": echo}), b"echo", b"\xff", b"") == Response(200, "", b"\xff|t1")


def test_a_result_that_is_not_text_comes_back_as_it_is() -> None:
    assert call(Router({"f": lambda stub, args: b"\xff\x00"}), b"f").payload == b"\xff\x00"


def test_an_unknown_function_and_an_unreadable_name_are_told_apart() -> None:
    router = Router({})
    unknown, unreadable, empty = call(router, b"nope"), call(router, b"\xff"), call(router)
    assert (unknown.status, json.loads(unknown.message)["code"]) == (400, "unknown-function")
    assert json.loads(unknown.message)["facts"] == {"function": "nope"}
    assert (unreadable.status, json.loads(unreadable.message)["code"]) == (400, "malformed-function")
    assert json.loads(empty.message)["code"] == "unknown-function"


def test_a_refusal_reaches_the_client_and_a_bug_does_not(caplog: pytest.LogCaptureFixture) -> None:
    def raises(error: Exception) -> Any:
        def function(stub: Any, args: Any) -> bytes:
            raise error

        return function

    router = Router({"no": raises(Refused("not yours")), "bug": raises(KeyError("the secret"))}, refusal)
    assert call(router, b"no") == Response(400, '{"code":"refused","facts":{},"message":"not yours"}')
    with caplog.at_level(logging.DEBUG):
        answer = call(router, b"bug")
    assert (answer.status, json.loads(answer.message)["code"]) == (500, "internal")
    assert "secret" not in answer.message
    assert "secret" not in caplog.text
    assert "KeyError" in caplog.text
    assert "test_router.py" in caplog.text


def test_a_function_that_answers_no_bytes_has_a_bug() -> None:
    text: Any = lambda stub, args: "text"  # noqa: E731
    assert call(Router({"f": text}), b"f").status == 500


def test_initialisation_without_arguments_does_nothing(kit: Any) -> None:
    with kit.converse(Router({"f": lambda stub, args: b"called"})) as peer:
        assert kit.respond(peer.transact(kind=MessageType.INIT)).payload == b""
        assert kit.respond(peer.transact("f", kind=MessageType.INIT)).payload == b"called"


def test_the_contracts_are_described_to_those_who_ask() -> None:
    function: Any = lambda stub, args: b""  # noqa: E731
    router = Router({"model:get": function, "model:register": function, "ping": function}, title="T", version="1")
    document = json.loads(call(router, b"org.hyperledger.fabric:GetMetadata").payload)
    assert document["info"] == {"title": "T", "version": "1"}
    assert [entry["name"] for entry in document["contracts"]["model"]["transactions"]] == ["get", "register"]
    assert document["contracts"]["org.hyperledger.fabric"]["transactions"] == [{"name": "GetMetadata"}]
    assert document["contracts"][""]["transactions"] == [{"name": "ping"}]
