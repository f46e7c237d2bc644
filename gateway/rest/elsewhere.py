# SPDX-License-Identifier: Apache-2.0
"""Whole transactions that are signed elsewhere: prepare, endorse, submit."""

from collections.abc import Mapping
from typing import Final

from chaincode.domain import canonical
from chaincode.domain.errors import InvalidField, MissingField
from gateway.rest import problems
from gateway.rest.auth import authorise_command
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View
from gateway.services.elsewhere import LARGEST_DOCUMENT, SignedElsewhere
from gateway.services.ports import Json, Recorded

_ASKED: Final = ("function", "command", "certificate", "key")


def views(elsewhere: SignedElsewhere) -> Mapping[str, View]:
    """The operations on transactions that are signed elsewhere, by name."""

    def prepare(call: Call) -> Reply:
        asked = _document(call)
        for name in _ASKED:
            if name not in asked:
                raise MissingField(f"/{name}")
        for name in asked:
            if name not in _ASKED:
                raise InvalidField(f"/{name}", f"it is none of {', '.join(_ASKED)}")
        function, command = _text(asked, "function"), asked["command"]
        authorise_command(call.client, function)
        if not isinstance(command, dict):
            raise InvalidField("/command", "it must be an object with the fields of the command")
        return Reply(
            elsewhere.prepare(call.client.id, function, command, _text(asked, "certificate"), _text(asked, "key"))
        )

    def endorse(call: Call) -> Reply:
        document = _document(call)
        authorise_command(call.client, _text(document, "function"))
        return Reply(elsewhere.endorse(call.client.id, document))

    def submit(call: Call) -> Reply:
        document = _document(call)
        authorise_command(call.client, _text(document, "function"))
        answer = elsewhere.submit(call.client.id, document)
        ending = answer.ending
        if ending is not None and not isinstance(ending, Recorded):
            return problems.reply_for(ending)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
        state = "pending" if ending is None else "succeeded"
        body = {"operation": answer.submission_id, "state": state, "result": None if ending is None else ending.body}
        return Reply(body, headers=headers)

    return {"prepareTransaction": prepare, "endorseTransaction": endorse, "submitTransaction": submit}


def _document(call: Call) -> Json:
    upload = call.upload
    content = b"" if upload is None else upload.read(LARGEST_DOCUMENT + 1)
    if len(content) > LARGEST_DOCUMENT:
        raise HttpProblem(413, "body-too-large", f"The body may have {LARGEST_DOCUMENT} bytes.")
    value = canonical.parse(content)
    if not isinstance(value, dict):
        raise HttpProblem(400, "invalid-body", "The body must be a JSON object.")
    return value


def _text(document: Json, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise InvalidField(f"/{name}", "it must be text")
    return value
