# SPDX-License-Identifier: Apache-2.0
"""Selections: commits to them, and proofs that a record is in one."""

from collections.abc import Mapping

from chaincode.domain.usage import InputRole
from chaincode.domain.values import Name, Ref, dataset_version_ref
from gateway.rest.problems import HttpProblem
from gateway.rest.routing import Call, Reply, View, record_id, recorded, version_number
from gateway.services.drafting import Upload
from gateway.services.filters import InvalidParameter
from gateway.services.recording import Recorder
from gateway.services.selecting import Choice, Selections
from gateway.services.splits import By, Split
from gateway.services.tables import delimiter_of

_ROLES = tuple(role.value for role in InputRole)


def views(recorder: Recorder, selections: Selections) -> Mapping[str, View]:
    """The operations on selections that do not follow from their rows, by name."""

    def commit(call: Call) -> Reply:
        dataset, number = Name(call.path["dataset"]), version_number(call)
        if call.upload is None and call.body is not None:
            _refuse_choosing(call)
            version = dataset_version_ref(dataset, number)
            return recorded(recorder.record(call.recording, "selection:commit", call.json, version=version))
        return recorded(selections.select(call.recording, dataset, number, _choice(call)))

    def proof(call: Call) -> Reply:
        selection = Name(call.path["selection"])
        return Reply(selections.proof(Name(call.path["dataset"]), version_number(call), selection, record_id(call)))

    return {"commitSelection": commit, "proveSelected": proof}


def _refuse_choosing(call: Call) -> None:
    """A root that was computed elsewhere comes with everything that is said of it, and leaves nothing to choose."""
    for name in call.query:
        detail = f"{name} is for selections whose records the gateway chooses; here the body says what it is."
        raise HttpProblem(400, "invalid-parameter", detail, parameter=name)


def _choice(call: Call) -> Choice:
    asked = call.query
    if not asked.get("selection"):
        raise InvalidParameter("selection", "it must name the selection, where no body says its root")
    role = asked.get("role")
    if role is not None and role not in _ROLES:
        raise InvalidParameter("role", f"it must be one of {', '.join(_ROLES)}")
    ids = None
    if call.upload is not None:
        ids = Upload(call.upload, call.media_type, asked.get("id_field"), delimiter_of(asked.get("delimiter")))
    parent = asked.get("parent")
    choice = Choice(
        selection=Name(asked["selection"]),
        parent=None if parent is None else Ref(parent),
        ids=ids,
        purpose=asked.get("purpose"),
        split=_split(call, role),
        role=None if role is None else InputRole(role),
        note=asked.get("note"),
    )
    if not any((choice.ids, choice.purpose, choice.split)):
        raise InvalidParameter("selection", "it needs a list of ids, a purpose or a split to choose by")
    return choice


def _split(call: Call, role: str | None) -> Split | None:
    said = call.query.get("split")
    if said is None:
        for name in ("seed", "split_by"):
            if name in call.query:
                raise InvalidParameter(name, "it is of use with a split only")
        return None
    split = Split.parse(said, call.query.get("seed"), call.query.get("split_by", By.RECORD))
    if role not in split.roles:
        raise InvalidParameter("role", f"it must say which part of the split: {', '.join(split.roles)}")
    return split
