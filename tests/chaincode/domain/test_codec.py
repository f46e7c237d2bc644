# SPDX-License-Identifier: Apache-2.0
"""Every document of every kind leads back from its JSON, and a wrong one is refused at the field that is wrong."""

import base64
import dataclasses
import json
import types
import unicodedata
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaincode.domain import codec, errors, intoto
from chaincode.domain.canonical import encode, parse
from chaincode.domain.characters import objection
from chaincode.domain.evidence import Statement, Subject
from chaincode.domain.exactdecimal import ExactDecimal
from chaincode.domain.float64 import Float64
from chaincode.domain.keys import key, key_of
from chaincode.domain.model import FileEntry, RecordModelVersion
from chaincode.domain.provenance import Dataset, DatasetRegistered, RegisterDataset
from chaincode.domain.reading import GetRecord
from chaincode.domain.register import RECORDS
from chaincode.domain.spdx import Licence
from chaincode.domain.values import (
    Blob,
    ClientId,
    CommitId,
    Count,
    Digest,
    Event,
    FilePath,
    Instant,
    Iri,
    Name,
    Number,
    OrgId,
    Purposes,
    Ref,
    Role,
    Seconds,
    Setting,
    SignedInstant,
    Territory,
    Text,
)

names = st.from_regex(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(Digest)
versions = st.integers(1, 999_999_999)
instants = st.integers(0, 2**53 - 1)


def _text() -> st.SearchStrategy[str]:
    return (
        st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1, max_size=20)
        .map(lambda text: unicodedata.normalize("NFC", text))
        .filter(lambda text: objection(text) is None and not text.isspace())
    )


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    OrgId: st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?", fullmatch=True).map(OrgId),
    Name: names.map(Name),
    Role: st.from_regex(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True).map(Role),
    ExactDecimal: st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-9, max_value=9).map(
        lambda number: ExactDecimal(str(number))
    ),
    Float64: st.floats().map(repr).map(Float64),
    Iri: st.sampled_from(["https://w3id.org/dpv#ScientificResearch", "http://a.example/b"]).map(Iri),
    Territory: st.sampled_from(["DE", "US-WI"]).map(Territory),
    ClientId: st.sampled_from(["u-7f3a", "x" * 128]).map(ClientId),
    CommitId: st.sampled_from(["0" * 40, "a1" * 32]).map(CommitId),
    FilePath: st.lists(names, min_size=1, max_size=4).map("/".join).map(FilePath),
    Text: _text().map(Text),
    Setting: (st.just("") | _text()).map(Setting),
    Digest: digests,
    Blob: st.binary(max_size=30).map(Blob),
    Count: instants.map(Count),
    Number: versions.map(Number),
    Instant: st.integers(0, 253_402_300_799_999).map(Instant),
    SignedInstant: st.integers(-62_135_596_800_000, 253_402_300_799_999).map(SignedInstant),
    Seconds: st.integers(1, 3_155_760_000).map(Seconds),
    Purposes: st.integers(0, 2**64 - 1).map(Purposes),
    Licence: st.sampled_from(["MIT", "CC-BY-4.0 OR LicenseRef-x", "(MIT AND ISC)"]).map(Licence),
    Ref: st.one_of(
        st.builds(lambda name, number: Ref.of("model-version", name, number), names, versions),
        st.builds(lambda name: Ref.of("run", name), names),
    ),
}


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Values of any type that a field can have."""
    if get_origin(hint) in {Union, types.UnionType}:
        return st.none() | strategy(next(arm for arm in get_args(hint) if arm is not type(None)))
    if get_origin(hint) is tuple:
        return st.lists(strategy(get_args(hint)[0]), max_size=3).map(tuple)
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: strategy(hints[field.name]) for field in dataclasses.fields(hint)})
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return SCALARS[hint]


@pytest.mark.parametrize("kind", sorted(codec.KINDS))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_document_leads_back_from_its_json(kind, data):
    document = data.draw(strategy(codec.KINDS[kind]))
    written = codec.to_json(document)
    assert codec.from_json(written) == document
    assert type(codec.from_json(written)) is codec.KINDS[kind]
    assert encode(parse(written)) == written
    assert codec.read(codec.KINDS[kind], written) == document


@pytest.mark.parametrize("record", [kind.record for kind in RECORDS])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_record_has_a_composite_key_of_its_kind(record, data):
    document = data.draw(strategy(record))
    assert key_of(document).startswith(f"\x00{codec.kind_of(document)}\x00")
    assert key_of(document).endswith("\x00")


def test_the_keys_of_versions_sort_as_they_count():
    assert sorted(key(Dataset, "a", number) for number in (10, 9, 1)) == [
        "\x00dataset\x00a\x000000000001\x00",
        "\x00dataset\x00a\x000000000009\x00",
        "\x00dataset\x00a\x000000000010\x00",
    ]


def test_an_event_has_a_name_where_others_have_a_kind():
    event = DatasetRegistered(Name("wdbc"), OrgId("HospitalMSP"))
    assert codec.to_json(event) == b'{"dataset":"wdbc","name":"DatasetRegistered","owner":"HospitalMSP","schema":1}'
    assert isinstance(codec.from_json(codec.to_json(event)), Event)


def test_no_field_hides_the_label_of_its_document():
    for document in codec.KINDS.values():
        assert not {"kind", "name", "schema"} & {field.name for field in dataclasses.fields(document)}


WELL_FORMED = {
    "kind": "register-dataset",
    "schema": 1,
    "dataset": "wdbc",
    "title": "Breast cancer",
    "licence": "CC-BY-4.0",
    "origin": {"source": "UCI", "method": "biopsy", "geography": ["US"]},
    "sensitivity": "personal",
}


def _change(pointer: str, value: object) -> dict[str, Any]:
    document = json.loads(json.dumps(WELL_FORMED))
    *path, last = pointer.strip("/").split("/")
    where = document
    for step in path:
        where = where[int(step)] if isinstance(where, list) else where[step]
    if value is None:
        del where[last]
    elif isinstance(where, list):
        where[int(last)] = value
    else:
        where[last] = value
    return document


def test_the_document_that_is_changed_below_is_well_formed():
    assert isinstance(codec.from_json(json.dumps(WELL_FORMED).encode()), RegisterDataset)


@pytest.mark.parametrize(
    ("pointer", "value", "code"),
    [
        ("/dataset", 7, "invalid-field"),
        ("/dataset", "A B", "invalid-field"),
        ("/dataset", None, "missing-field"),
        ("/kind", None, "missing-field"),
        ("/schema", None, "missing-field"),
        ("/title", "e\u0301", "not-normalised"),
        ("/title", True, "invalid-field"),
        ("/licence", "MIT AND", "licence-malformed"),
        ("/licence", "Llama-3", "licence-unknown"),
        ("/origin", [], "invalid-field"),
        ("/origin/method", None, "missing-field"),
        ("/origin/colour", "red", "unknown-field"),
        ("/origin/geography", "US", "invalid-field"),
        ("/origin/geography/0", "usa", "invalid-field"),
        ("/origin/geography", ["US"] * 65, "too-large"),
        ("/origin/collected_from", True, "invalid-field"),
        ("/origin/collected_from", "1", "invalid-field"),
        ("/origin/collected_from", -62_135_596_800_001, "invalid-field"),
        ("/sensitivity", "secret", "invalid-field"),
        ("/sensitivity", 1, "invalid-field"),
        ("/card", "00", "invalid-field"),
        ("/card", 0, "invalid-field"),
        ("/a~1b", 1, "unknown-field"),
    ],
)
def test_a_wrong_document_is_refused_at_the_field_that_is_wrong(pointer, value, code):
    with pytest.raises(errors.Malformed) as caught:
        codec.from_json(json.dumps(_change(pointer, value)).encode())
    assert caught.value.code == code
    facts = caught.value.facts()
    if code.startswith("licence"):
        assert "pointer" not in facts
    else:
        assert facts["pointer"] == pointer.replace("~", "~0")


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ([], errors.InvalidField("", "it must be an object")),
        ({}, errors.MissingField("/kind")),
        ({"kind": "nothing", "schema": 1}, errors.UnknownKind("nothing")),
        ({"kind": 7, "schema": 1}, errors.UnknownKind("what is not text")),
        ({"kind": "é" * 65, "schema": 1}, errors.UnknownKind("?" * 64 + "...")),
        ({"kind": "DatasetRegistered", "schema": 1}, errors.UnknownKind("DatasetRegistered")),
        ({"name": "get-record", "schema": 1}, errors.UnknownKind("get-record")),
        ({"kind": "get-record", "schema": 2}, errors.UnknownSchema("get-record", 2)),
        ({"kind": "get-record", "schema": True}, errors.UnknownSchema("get-record", 1)),
        ({"kind": "get-record", "schema": "1"}, errors.UnknownSchema("get-record", -1)),
    ],
)
def test_an_unknown_document_is_refused_and_not_guessed(document, refusal):
    with pytest.raises(errors.Malformed) as caught:
        codec.from_plain(document)
    assert caught.value == refusal


def test_all_missing_fields_are_named_at_once():
    origin = {"source": "UCI"}
    with pytest.raises(errors.MissingField) as caught:
        codec.from_plain({"kind": "register-dataset", "schema": 1, "title": "W", "origin": origin})
    pointers = ("/dataset", "/licence", "/origin/method", "/origin/geography", "/sensitivity")
    assert caught.value.facts() == {"pointer": "/dataset", "pointers": pointers}
    named = "', '".join(pointers)
    assert str(caught.value) == f"The fields '{named}' are missing."
    assert str(errors.MissingField("/a")) == "The field '/a' is missing."


def test_text_from_plain_values_is_in_normal_form_too():
    with pytest.raises(errors.NotNormalised) as caught:
        codec.from_plain(WELL_FORMED | {"title": "e\u0301"})
    assert caught.value == errors.NotNormalised("/title")


def test_a_truth_value_is_one():
    rule = {"artifact_kind": "model-version", "threshold": 1, "stage": "approved", "owner_counts": 1}
    policy = {"kind": "set-policy", "schema": 1, "number": 1, "members": [], "rules": [rule], "amendment_threshold": 2}
    with pytest.raises(errors.InvalidField) as caught:
        codec.from_plain(policy)
    assert caught.value.pointer == "/rules/0/owner_counts"


@pytest.mark.parametrize(("field", "most"), [("payload", 65_536), ("sig", 1_024)])
def test_bytes_are_bounded_as_lists_are(field, most):
    def document(size):
        given = {"payload": b"", "sig": b""} | {field: bytes(size)}
        written = {name: base64.b64encode(value).decode() for name, value in given.items()}
        signatures = [{"sig": written["sig"]}]
        envelope = {"payload": written["payload"], "payloadType": "t", "signatures": signatures}
        return {"kind": "endorse", "schema": 1, "artifact": "model-version:n:1", "envelope": envelope}

    codec.from_plain(document(most))
    with pytest.raises(errors.TooLarge) as caught:
        codec.from_plain(document(most + 1))
    assert (caught.value.pointer.rpartition("/")[2], caught.value.limit) == (field, most)


def test_only_the_expected_class_is_read():
    with pytest.raises(errors.UnknownKind):
        codec.read(Dataset, codec.to_json(GetRecord(Text("dataset"), (Text("x"),))))


def test_the_envelope_has_the_names_of_dsse():
    assert '"payloadType"' in json.dumps(
        codec.to_plain(
            codec.from_plain(
                {
                    "kind": "endorse",
                    "schema": 1,
                    "artifact": "model-version:n:1",
                    "envelope": {"payload": "", "payloadType": "t", "signatures": []},
                }
            )
        )
    )


def test_a_long_manifest_is_admitted_where_the_field_says_so():
    files = tuple(FileEntry(FilePath(f"{index:05}"), Digest(bytes(32)), Count(1)) for index in range(2_000))
    command = RecordModelVersion(Name("n"), Number(1), Digest(bytes(32)), files, Licence("MIT"))
    assert codec.from_json(codec.to_json(command)) == command


@settings(deadline=None)
@given(
    st.builds(
        Statement,
        subjects=st.lists(st.builds(Subject, _text(), digests)).map(tuple),
        channel=_text(),
        organisation=_text(),
        artifact=_text(),
        stage=_text(),
        decision=_text(),
        round=st.integers(0, 2**53 - 1),
        policy=st.integers(0, 2**53 - 1),
        genesis=st.none() | digests,
    )
)
def test_a_statement_leads_back_from_its_json(statement):
    assert intoto.decode_statement(intoto.encode_statement(statement)) == statement
