# SPDX-License-Identifier: Apache-2.0
"""Views that follow from a row of the table of operations: record a command, list records, read one."""

from collections.abc import Mapping, Sequence

from chaincode.domain.values import Name, OrgId, Ref
from gateway.api.operations import NOUNS
from gateway.api.rows import Body, Operation
from gateway.rest.routing import Call, Reply, Route, View, paged, recorded, version_number
from gateway.services.catalogue import Catalogue
from gateway.services.reading import Reader
from gateway.services.recording import Recorder


def routes_of(
    recorder: Recorder, catalogue: Catalogue, reader: Reader, by_hand: Mapping[str, View]
) -> Mapping[str, Sequence[Route]]:
    """A route for every operation, by its noun.

    Args:
        by_hand: the views of the operations that the table calls odd, and of no other.
    """
    odd = {operation.name for rows in NOUNS.values() for operation in rows if "rest" in operation.odd}
    if odd != set(by_hand):
        raise ValueError(f"the table and the views written by hand differ in {', '.join(sorted(odd ^ set(by_hand)))}")
    return {
        noun: [
            Route(operation, by_hand.get(operation.name) or _view(operation, recorder, catalogue, reader))
            for operation in rows
        ]
        for noun, rows in NOUNS.items()
    }


def _view(operation: Operation, recorder: Recorder, catalogue: Catalogue, reader: Reader) -> View:
    kind = operation.answer.kinds[0]
    match operation.answer.form, operation.body:
        case "outcome", Body() as body:
            return _recording(body, recorder)
        case "page", None:
            return lambda call: paged(call, catalogue, kind, **_places(call))
        case "entry", None if operation.about:
            return _reading(operation.about, reader)
    raise ValueError(f"nothing follows from the row of {operation.name}")


def _recording(body: Body, recorder: Recorder) -> View:
    def view(call: Call) -> Reply:
        places = _places(call)
        bound = {name: value.format_map(places) for name, value in body.bound.items()}
        return recorded(recorder.record(call.recording, body.command, call.json, **bound))

    return view


def _reading(about: str, reader: Reader) -> View:
    return lambda call: Reply(reader.read(about.format_map(_places(call)), call.source))


def _places(call: Call) -> dict[str, str]:
    """What the path names; raises `InvalidField` for what is not a name, and 404 for what is not a version."""
    return {name: _place(call, name) for name in call.path}


def _place(call: Call, name: str) -> str:
    match name:
        case "number":
            return str(version_number(call))
        case "reference":
            return Ref(call.path[name])
        case "claimant":
            return OrgId(call.path[name])
    return Name(call.path[name])
