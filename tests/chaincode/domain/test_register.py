# SPDX-License-Identifier: Apache-2.0
"""The register: every record's name, key and guard as they are on ledgers, and references that lead to a record."""

import dataclasses
import json
from pathlib import Path
from typing import get_type_hints

import pytest

from chaincode.domain import codec
from chaincode.domain.endorsement import Endorsement
from chaincode.domain.errors import InvalidField
from chaincode.domain.keys import key, key_of
from chaincode.domain.policy import SetPolicy, Stage
from chaincode.domain.register import (
    ACTION,
    KIND,
    KIND_OF,
    QUESTIONS,
    RECORDS,
    SENT_OFF_CHAIN,
    edges_of,
    locate,
    reference_to,
    successor,
)
from chaincode.domain.values import Answer, ArtifactKind, Digest, Event, Name, Number, OrgId, Record, Ref
from tests.chaincode.samples import sample

RELEASES = sorted((Path(__file__).parents[2] / "vectors").glob("[0-9]*/documents.json"))
DOCUMENTS = [
    pytest.param(vector, id=f"{release.parent.name} {vector['kind']}")
    for release in RELEASES
    for vector in json.loads(release.read_text("utf-8"))
]
"""What releases wrote: never changed again, and read and written the same by every later one."""
CITED = [kind for kind in RECORDS if kind.reference]


@pytest.mark.parametrize("vector", DOCUMENTS)
def test_a_document_is_written_and_kept_as_it_always_was(vector):
    document = codec.from_json(vector["json"].encode())
    assert codec.kind_of(document) == vector["kind"]
    assert codec.to_json(document).decode() == vector["json"]
    if isinstance(document, Record):
        assert key_of(document) == vector["key"]
        assert bool(KIND_OF[type(document)].guard) is vector["guarded"]
    else:
        assert "key" not in vector


def test_no_two_documents_have_one_name():
    events = [event for _, action in ACTION.values() for event in action.events]
    answers = {question.answers for question in QUESTIONS if issubclass(question.answers, Answer)}
    assert len(events) == len(set(events))
    assert len(codec.KINDS) == len(RECORDS) + len(ACTION) + len(QUESTIONS) + len(answers) + len(events) + len(
        SENT_OFF_CHAIN
    )
    assert len(KIND) == len(KIND_OF) == len(RECORDS)
    assert len({kind.reference for kind in CITED}) == len(CITED)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.name)
def test_a_row_names_fields_that_its_records_have(kind):
    for name, part in kind.key.items():
        place = kind.record
        *above, last = name.split(".")
        for field in above:
            place = get_type_hints(place)[field]
        assert get_type_hints(place)[last] is part
    fields = {field.name for field in dataclasses.fields(kind.record)}
    assert {name for name in (kind.guard, kind.digest) if name} <= fields
    assert kind.replaces is None or kind.replaces[0] in fields


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.name)
def test_a_row_agrees_with_the_rows_that_it_names(kind):
    if kind.belongs_to:
        assert [*KIND[kind.belongs_to].key, "number"] == list(kind.key)
    if kind.amended_by is not None:
        assert list(KIND_OF[kind.amended_by].key.values()) == [Ref]
        assert KIND_OF[kind.amended_by].edges is not None
    if kind.digest:
        assert kind.guard
    assert bool(kind.digest) is (kind.reference in set(ArtifactKind))


@pytest.mark.parametrize(("kind", "action"), ACTION.values(), ids=lambda row: getattr(row, "function", ""))
def test_a_command_of_the_standard_form_names_the_key_of_what_it_records(kind, action):
    assert all(issubclass(event, Event) for event in action.events)
    if action.cites is not None:
        hints = get_type_hints(action.takes)
        assert {name: hints[name] for name in kind.key} == dict(kind.key)


@pytest.mark.parametrize("kind", CITED, ids=lambda kind: kind.name)
def test_a_reference_leads_to_the_key_of_its_record(kind):
    parts = {Name: Name("net"), Number: Number(7), Digest: Digest(bytes(32))}
    expected = tuple(parts[part] for part in kind.key.values())
    found, located = locate(Ref.of(kind.reference, *expected))
    assert found is kind
    assert located == expected
    assert [type(part) for part in located] == list(kind.key.values())


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.name)
def test_a_record_says_by_which_reference_it_is_cited_and_what_it_was_made_from(kind):
    record = sample(kind.name)
    if kind.reference:
        found, parts = locate(reference_to(record))
        assert key(found.record, *parts) == key_of(record)
    assert bool(edges_of(record)) is (kind.edges is not None)


@pytest.mark.parametrize(
    "text",
    ["model:net:1", "model-version:net", "model-version:net:0", "model-version:net:01", "model-version:net:1:2",
     "thing:net", "training-run:r-1", "edge:a:b", "model-version:net:1234567890", "model-version:net:x"],
)  # fmt: skip
def test_a_reference_to_nothing_that_can_be_cited_is_refused_with_its_place(text):
    with pytest.raises(InvalidField):
        locate(Ref(text))
    with pytest.raises(InvalidField) as caught:
        codec.from_plain({"kind": "ancestry", "schema": 1, "of": text})
    assert caught.value.pointer == "/of"


def test_the_parts_of_a_key_are_read_as_what_they_are():
    row = KIND_OF[Endorsement]
    parts = row.read_key(("model-version:net:1", "approved", "LabMSP"))
    assert parts == ("model-version:net:1", Stage.APPROVED, "LabMSP")
    assert [type(part) for part in parts] == [Ref, Stage, OrgId]
    for texts, place in (
        (("thing:net", "approved", "LabMSP"), "/0"),
        (("model-version:net:1", "loved", "LabMSP"), "/1"),
        (("model-version:net:1", "approved", "-"), "/2"),
        (("model-version:net:1", "approved"), ""),
    ):
        with pytest.raises(InvalidField) as caught:
            row.read_key(texts)
        assert caught.value.pointer == place


def test_the_version_after_a_version():
    assert successor(Ref("dataset-version:wdbc:9")) == "dataset-version:wdbc:10"
    assert successor(Ref("dataset-version:wdbc:999999999")) is None
    assert successor(Ref("model-version:net:1")) is None
    assert successor(Ref("run:r-1")) is None


def test_only_artifacts_have_rules():
    rule = {"artifact_kind": "run", "threshold": 1}
    body = {"number": 1, "members": [], "rules": [rule], "amendment_threshold": 2}
    with pytest.raises(InvalidField) as caught:
        codec.from_plain({"kind": codec.kind_of(SetPolicy), "schema": 1, **body})
    assert caught.value == InvalidField("/rules/0/artifact_kind", "it must be one of dataset-version, model-version")


@pytest.mark.parametrize("kind", [kind for kind in RECORDS if kind.edges is not None], ids=lambda kind: kind.name)
def test_what_has_a_lineage_can_be_marked(kind):
    assert "tainted_by" in {field.name for field in dataclasses.fields(kind.record)}
