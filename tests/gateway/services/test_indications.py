# SPDX-License-Identifier: Apache-2.0
"""Whose records they are and what subjects indicated, out of the columns of files."""

import io
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dialects import open_store
from hypothesis import given
from hypothesis import strategies as st
from keptrecords import record_store

from chaincode.domain.consent import STATUSES, Indication
from chaincode.domain.provenance import LeafSchema
from chaincode.domain.records import Consent
from chaincode.domain.values import Purposes, SignedInstant
from gateway.services.drafting import Drafts, Upload
from gateway.services.files import opened
from gateway.services.indications import Columns, Status, indications
from gateway.services.parquet import PARQUET
from gateway.services.progress import Progress
from gateway.services.tables import CSV, JSON_LINES, Table, UnreadableRecords
from gateway.services.trees import Trees, leaf_hashes
from gateway.stores.consent import ConsentStore
from gateway.stores.records import RecordStore

pytestmark = pytest.mark.usefixtures("dialect")

NOW = 1_800_000_000_000
DAY = 1_767_225_600_000


@given(st.sampled_from(Consent), st.integers(0, 2**64 - 1), st.integers(0, 2**53))
def test_a_status_is_read_as_it_was_written(state: Consent, purposes: int, at: int) -> None:
    status = Status(state, purposes, at)
    assert Status.decode(status.encode()) == status
    assert len(status.encode()) == 17
    assert status.permits(63) == (state in (Consent.GIVEN, Consent.RENEWED) and purposes >= 2**63)


@pytest.mark.parametrize("state", Consent)
@given(st.integers(0, 2**64 - 1), st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_status_has_the_bytes_of_the_laws_own_indication(state: Consent, purposes: int, at: int) -> None:
    law = Indication(STATUSES[state], Purposes(purposes), SignedInstant(at))
    assert Status(state, purposes, at).encode() == law.value()


def test_the_law_knows_as_many_states_as_there_are_bytes() -> None:
    assert [state.value for state in Consent] == list(range(len(STATUSES)))


def read(text: str, media_type: str = CSV) -> list[tuple[str, Status]]:
    return list(indications(Table(io.BytesIO(text.encode()), media_type), NOW))


def test_a_file_of_indications_says_who_what_and_when() -> None:
    wanted = [
        ("p1", Status(Consent.GIVEN, 0b11, DAY)),
        ("p2", Status(Consent.WITHDRAWN, 0, NOW)),
    ]
    csv = 'subject,state,purposes,indicated_at\np1,ConsentGiven,"research, model-training",2026-01-01\n'
    assert read(csv + "p2,ConsentWithdrawn,,\n") == wanted
    lines = (
        '{"subject":"p1","state":"ConsentGiven","purposes":["research","model-training"],'
        '"indicated_at":"2026-01-01T00:00:00Z"}\n{"subject":"p2","state":"ConsentWithdrawn"}\n'
    )
    assert read(lines, JSON_LINES) == wanted
    assert read("state,subject\nConsentWithdrawn,p2\n") == wanted[1:]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,purposes\np1,research\n", "line 1: there is no column 'state'"),
        ("subject,state\np1,Consented\n", "record 1: 'Consented' is not a consent state"),
        ("subject,state\np1,ConsentGiven\n,ConsentGiven\n", "record 2: 'subject' must hold the id of a subject"),
        ("subject,state\np1,\n", "record 1: it has no 'state'"),
        ("subject,state,purposes\np1,ConsentGiven,everything\n", "record 1: 'everything' is not a purpose"),
        ("subject,state,indicated_at\np1,ConsentGiven,yesterday\n", "record 1: it must be an instant"),
    ],
)
def test_what_is_wrong_is_named_by_its_place_and_no_subject_is(text: str, said: str) -> None:
    with pytest.raises(UnreadableRecords) as refusal:
        read(text)
    assert str(refusal.value).startswith(said)
    assert "p1" not in str(refusal.value)


def children() -> set[int]:
    """Processes of this one that have not ended; those of other tests may be among them."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def parquet(**columns: Any) -> list[tuple[str, Status]]:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return list(indications(opened(out, PARQUET), NOW))


AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "at",
    [
        pa.array([AT, None], pa.timestamp("ns", "UTC")),
        pa.array([AT, None], pa.timestamp("s", "Europe/Berlin")),
        pa.array([date(2026, 1, 1), None], pa.date32()),
        pa.array([date(2026, 1, 1), None], pa.date64()),
        ["2026-01-01", ""],
        ["2026-01-01T01:00:00+01:00", None],
    ],
    ids=["nanoseconds", "seconds", "days", "days in milliseconds", "text", "text with an offset"],
)
@pytest.mark.parametrize(
    "purposes", [[["research", "model-training"], None], ["research;model-training", ""]], ids=["list", "text"]
)
def test_parquet_says_who_what_and_when_in_its_own_types(at: Any, purposes: Any) -> None:
    found = parquet(
        subject=["p1", "p2"],
        state=pa.array(["ConsentGiven", "ConsentWithdrawn"]).dictionary_encode(),
        purposes=purposes,
        indicated_at=at,
    )
    assert found == [("p1", Status(Consent.GIVEN, 0b11, DAY)), ("p2", Status(Consent.WITHDRAWN, 0, NOW))]
    assert [subject for subject, _ in parquet(subject=[17], state=["ConsentGiven"])] == ["17"]


def test_a_part_of_a_millisecond_is_rounded_up_in_parquet_as_in_text() -> None:
    at = pa.array([DAY * 1_000_000 + 1], pa.timestamp("ns", "UTC"))
    (found,) = parquet(subject=["p1"], state=["ConsentGiven"], indicated_at=at)
    assert found[1].indicated_at == DAY + 1
    text = '{"subject":"p1","state":"ConsentGiven","indicated_at":"2026-01-01T00:00:00.000001Z"}'
    assert read(text, JSON_LINES)[0][1].indicated_at == DAY + 1


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"subject": ["p1"]}, "Parquet: there is no column 'state'"),
        ({"indicated_at": pa.array([AT.replace(tzinfo=None)])}, "record 1: 'indicated_at' has no time zone"),
        ({"indicated_at": [1_767_225_600]}, "record 1: 'indicated_at' must be an instant"),
        ({"indicated_at": pa.array([-1], pa.date32())}, "record 1: "),
        ({"purposes": [["research", None]]}, "record 1: 'purposes' must be a list of purposes"),
        ({"subject": pa.array([None], pa.string())}, "record 1: 'subject' must hold the id of a subject"),
        ({"subject": [b"p1"]}, "record 1: 'subject' must hold the id of a subject"),
    ],
)
def test_what_is_wrong_in_parquet_is_named_by_its_place(columns: dict[str, Any], said: str) -> None:
    before = children()
    given = columns if columns == {"subject": ["p1"]} else {"subject": ["p1"], "state": ["ConsentGiven"], **columns}
    with pytest.raises(UnreadableRecords) as refusal:
        parquet(**given)
    assert children() <= before
    assert str(refusal.value).startswith(said)
    assert "p1" not in str(refusal.value)


def test_json_lines_have_no_times_but_texts() -> None:
    with pytest.raises(UnreadableRecords, match="as text"):
        read('{"subject":"p1","state":"ConsentGiven","indicated_at":{"$timestamp":1}}', JSON_LINES)


@pytest.mark.parametrize(
    "line",
    [
        '{"subject":"p1","state":7}',
        '{"subject":["p1"],"state":"ConsentGiven"}',
        '{"subject":"p1","state":"ConsentGiven","purposes":{"research":true}}',
        '{"subject":"p1","state":"ConsentGiven","indicated_at":20260101}',
    ],
)
def test_a_member_of_another_type_is_refused(line: str) -> None:
    with pytest.raises(UnreadableRecords, match="record 1"):
        read(line, JSON_LINES)


@pytest.fixture
def drafts(tmp_path: Path) -> Iterator[tuple[Drafts, RecordStore, ConsentStore]]:
    records = open_store(tmp_path / "records.db", "records", durable=False)
    consent = open_store(tmp_path / "consent.db", "consent", durable=False)
    store, maps = record_store(records), ConsentStore(consent)
    yield Drafts(store, Trees(store), maps, lambda: NOW / 1_000), store, maps
    records.close()
    consent.close()


COLUMNS = Columns("patient", "agreed", "uses", "on")
FILE = b"""id,patient,agreed,uses,on
r1,ann,ConsentGiven,research;model-training,2026-01-01
r2,bob,ConsentRefused,,2026-01-01
r3,ann,ConsentGiven,research;model-training,2026-01-01
"""


def test_an_upload_says_whose_each_record_is_and_what_they_agreed_to(
    drafts: tuple[Drafts, RecordStore, ConsentStore],
) -> None:
    maker, store, maps = drafts
    upload = Upload(io.BytesIO(FILE), CSV, "id", columns=COLUMNS)
    body = maker.draft("cohort", upload, None, Progress())
    found = list(store.all(body["root"]))
    ann, bob = maps.references("cohort", ["ann", "bob"])
    assert [record.subject for record in found] == [ann, bob, ann]
    assert [(record.consent, record.purposes) for record in found] == [(2, 3), (4, 0), (2, 3)]
    assert leaf_hashes(found, LeafSchema.RECORD_V2) == b"".join(record.leaf for record in found)
    assert store.of_subject(body["root"], ann) == [(0, "r1"), (2, "r3")]
    assert store.of_subject(body["root"], bytes(32)) == []
    assert store.names_subjects(body["root"])
    assert not store.names_subjects("00" * 32)
    assert dict(maps.collected("cohort")) == {
        ann: Status(Consent.GIVEN, 3, DAY).encode(),
        bob: Status(Consent.REFUSED, 0, DAY).encode(),
    }


def test_of_a_subject_what_was_indicated_last_holds_wherever_it_is_in_the_file(
    drafts: tuple[Drafts, RecordStore, ConsentStore],
) -> None:
    maker, _, maps = drafts
    later = b"r9,ann,ConsentWithdrawn,,2026-03-02\n"
    header, *rows = FILE.splitlines(keepends=True)
    for content in (header + later + b"".join(rows), FILE + later):
        maker.draft("cohort", Upload(io.BytesIO(content), CSV, "id", columns=COLUMNS), None, Progress())
        (ann,) = maps.references("cohort", ["ann"])
        assert Status.decode(dict(maps.collected("cohort"))[ann]).state is Consent.WITHDRAWN


def test_a_version_extends_the_last_only_where_subjects_and_consent_are_the_same(
    drafts: tuple[Drafts, RecordStore, ConsentStore],
) -> None:
    maker, _, _ = drafts

    def drafted(content: bytes, last: dict[str, object] | None, columns: Columns = COLUMNS) -> dict[str, object]:
        return maker.draft("cohort", Upload(io.BytesIO(content), CSV, "id", columns=columns), last, Progress())

    first = drafted(FILE, None)
    assert drafted(FILE + b"r4,eve,ConsentGiven,research,\n", first)["change"] == "extends"
    assert drafted(FILE, first, Columns())["change"] == "replaces"
    assert drafted(FILE, first, Columns(state="agreed", purposes="uses"))["change"] == "replaces"


def test_a_column_that_is_not_there_is_named(drafts: tuple[Drafts, RecordStore, ConsentStore]) -> None:
    with pytest.raises(UnreadableRecords, match="no column 'whose'"):
        drafts[0].draft("cohort", Upload(io.BytesIO(FILE), CSV, columns=Columns("whose")), None, Progress())


def test_a_parquet_file_without_the_column_leaves_no_decoder(
    drafts: tuple[Drafts, RecordStore, ConsentStore],
) -> None:
    out, before = io.BytesIO(), children()
    pq.write_table(pa.table({"id": ["r1"]}), out)
    with pytest.raises(UnreadableRecords, match="Parquet: there is no column 'whose'") as refusal:
        drafts[0].draft("cohort", Upload(out, PARQUET, "id", columns=Columns("whose")), None, Progress())
    assert children() <= before, refusal
