# SPDX-License-Identifier: Apache-2.0
"""The readers of files over input that is bad on purpose: each record is taken exactly or refused with its place."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora import DOCUMENTS, WORDS, Document, Word
from hypothesis import given
from hypothesis import strategies as st
from keptrecords import record_store

from chaincode.domain.records import Consent
from gateway.services.drafting import Drafts, Upload
from gateway.services.files import opened
from gateway.services.indications import Columns, Status, indications
from gateway.services.parquet import PARQUET
from gateway.services.progress import Progress
from gateway.services.tables import CSV, JSON_LINES, Row, Table, UnreadableRecords
from gateway.services.trees import Trees
from gateway.stores.consent import ConsentStore
from gateway.stores.database import Database
from gateway.stores.records import RecordStore

NOW = 1_800_000_000_000
named = pytest.mark.parametrize("document", DOCUMENTS, ids=[each.name for each in DOCUMENTS])
SHORT = [each for each in DOCUMENTS if len(each.content) < 1 << 20]
words = pytest.mark.parametrize("word", WORDS, ids=[each.name for each in WORDS])


def rows(content: io.BytesIO, media_type: str) -> Iterator[Row]:
    return Table(content, media_type).rows()


def plain(refusal: UnreadableRecords) -> str:
    """The sentence of a refusal, which people and terminals can read."""
    assert refusal.message.isprintable()
    assert len(refusal.message) < 600
    return refusal.message


def check(refusal: UnreadableRecords, *, wanted: bool, begins: str = "", holds: str = "", hides: str = "") -> None:
    """A refusal is due, and says what it should."""
    assert wanted, refusal
    assert plain(refusal).startswith(begins)
    assert holds in refusal.message
    assert len(hides) < 2 or hides not in refusal.message


@named
def test_a_line_is_a_record_exactly_or_refused_with_its_number(document: Document) -> None:
    file = io.BytesIO(b'{"id":1}\n' + document.content + b"\n")
    if document.record:
        assert [row.content for row in rows(file, JSON_LINES)] == [b'{"id":1}', document.content]
        return
    if not document.content.strip():
        assert len(list(rows(file, JSON_LINES))) == 1
        return
    with pytest.raises(UnreadableRecords) as refusal:
        list(rows(file, JSON_LINES))
    assert plain(refusal.value).startswith("line 2: ")


@pytest.mark.parametrize("document", SHORT, ids=[each.name for each in SHORT])
def test_a_line_says_what_a_subject_indicated_or_is_refused_with_its_number(document: Document) -> None:
    """The members are found again in what was read before, at whatever depth of calls that is."""
    said = b'"subject":"p1","state":"ConsentGiven"'
    whole = document.content.replace(b"{", b"{" + said + b",", 1).replace(b",}", b"}")
    table = Table(io.BytesIO(whole), JSON_LINES)
    try:
        found = list(indications(table, NOW))
    except UnreadableRecords as refusal:
        check(refusal, wanted=not document.record, holds="1: ")
    else:
        assert found == [("p1", Status(Consent.GIVEN, 0, NOW))]


@given(st.integers(900, 1_100))
def test_depth_that_one_reader_takes_the_next_one_takes_or_refuses(depth: int) -> None:
    line = b'{"subject":"p","state":"ConsentGiven","a":' + b"[" * depth + b"]" * depth + b"}"
    try:
        assert len(list(indications(Table(io.BytesIO(line), JSON_LINES), NOW))) == 1
    except UnreadableRecords as refusal:
        check(refusal, wanted=True, holds="nested too deeply")


def file_with(text: str, media_type: str, column: str = "id") -> bytes | None:
    """A file of one record with a text in this column; None where the format has no such text."""
    if media_type == JSON_LINES:
        return json.dumps({column: text, "state": "ConsentGiven"}).encode()
    if media_type == PARQUET:
        sink = io.BytesIO()
        pq.write_table(pa.table({column: [text], "state": ["ConsentGiven"]}), sink)
        return sink.getvalue()
    sheet = io.StringIO(newline="")
    csv.writer(sheet, lineterminator="\n").writerows([(column, "state"), (text, "ConsentGiven")])
    return sheet.getvalue().encode()


@words
@pytest.mark.parametrize("media_type", [CSV, JSON_LINES, PARQUET])
def test_a_word_is_an_id_as_it_stands_or_refused(word: Word, media_type: str) -> None:
    content = file_with(word.text, media_type)
    assert content is not None
    try:
        (row,) = opened(io.BytesIO(content), media_type, "id").rows()
    except UnreadableRecords as refusal:
        place = {CSV: "line 2: ", JSON_LINES: "line 1: ", PARQUET: "row 1: "}[media_type]
        check(refusal, wanted=not word.is_id, begins=place)
    else:
        assert (word.is_id, row.id) == (True, word.text)


@words
@pytest.mark.parametrize("media_type", [CSV, JSON_LINES, PARQUET])
def test_a_word_is_a_subject_as_it_stands_or_refused_without_being_shown(word: Word, media_type: str) -> None:
    content = file_with(word.text, media_type, "subject")
    assert content is not None
    try:
        ((subject, _),) = indications(opened(io.BytesIO(content), media_type), NOW)
    except UnreadableRecords as refusal:
        check(refusal, wanted=not word.is_id, hides=word.text)
    else:
        assert (word.is_id, subject) == (True, word.text)


@pytest.mark.parametrize("number", ["0", "-0", "00", "1", "12345678901234567890", "9" * 256])
def test_a_whole_number_is_a_subject_by_its_digits(number: str) -> None:
    line = b'{"subject":%s,"state":"ConsentGiven"}' % number.encode()
    try:
        ((subject, _),) = indications(Table(io.BytesIO(line), JSON_LINES), NOW)
    except UnreadableRecords as refusal:
        check(refusal, wanted=number == "00")
    else:
        assert subject == number


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b'"state":["ConsentGiven"]', "'state' must be a consent state"),
        (b'"state":1', "'state' must be a consent state"),
        (b'"state":"consentgiven"', "is not a consent state"),
        (b'"state":"ConsentGiven","purposes":1', "'purposes' must be a list of purposes"),
        (b'"state":"ConsentGiven","purposes":false', "'purposes' must be a list of purposes"),
        (b'"state":"ConsentGiven","purposes":[["research"]]', "'purposes' must be a list of purposes"),
        (b'"state":"ConsentGiven","purposes":"' + b"research " * 10_000 + b'"', "more than 65536 characters"),
        (b'"state":"ConsentGiven","purposes":[' + b'"research",' * 10_000 + b'""]', "more than 65536 characters"),
        (b'"state":"ConsentGiven","indicated_at":20260101', "'indicated_at' must be an instant"),
        (b'"state":"ConsentGiven","indicated_at":"20260101"', "it must be an instant"),
        (b'"state":"ConsentGiven","indicated_at":"2026-01-01T00:00:00"', "it must be an instant"),
        (b'"state":"ConsentGiven","indicated_at":"2026-02-30"', "it must be an instant"),
        (b'"state":"ConsentGiven","indicated_at":"9999-12-31T23:59:59-23:59"', ""),
    ],
)
def test_what_says_no_consent_is_refused_with_the_member(said: bytes, why: str) -> None:
    line = b'{"subject":"p1",%s}' % said
    with pytest.raises(UnreadableRecords) as refusal:
        list(indications(Table(io.BytesIO(line), JSON_LINES), NOW))
    assert why in plain(refusal.value)
    assert refusal.value.message.startswith("record 1: ")


# -- nothing half done -----------------------------------------------------------------------------------------------


@pytest.fixture
def drafts(tmp_path: Path) -> Iterator[tuple[Drafts, RecordStore, ConsentStore]]:
    records = Database.open(tmp_path / "records.db", "records", durable=False)
    consent = Database.open(tmp_path / "consent.db", "consent", durable=False)
    store, maps = record_store(records), ConsentStore(consent)
    yield Drafts(store, Trees(store), maps, lambda: NOW / 1_000), store, maps
    records.close()
    consent.close()


def consents(count: int) -> bytes:
    return b"id,who,agreed\n" + b"".join(b"r%d,p%d,ConsentGiven\n" % (number, number) for number in range(count))


@pytest.mark.parametrize(
    "end",
    [
        b"bad,p",
        b'"',
        b"x,p,Consented\n",
        b"x,,ConsentGiven\n",
        "x,e\u0301,ConsentGiven\n".encode(),
        b"r0,p0,\n",
        b"\xff",
    ],
)
def test_of_a_file_that_is_refused_at_its_end_nothing_is_kept(
    drafts: tuple[Drafts, RecordStore, ConsentStore], end: bytes
) -> None:
    maker, store, maps = drafts
    columns = Columns("who", "agreed")

    def draft(content: bytes) -> str:
        upload = Upload(io.BytesIO(content), CSV, "id", columns=columns)
        return str(maker.draft("cohort", upload, None, Progress())["root"])

    with pytest.raises(UnreadableRecords) as refusal:
        draft(consents(12_000) + end)
    assert "12001" in plain(refusal.value) or "12002" in plain(refusal.value)
    assert list(maps.collected("cohort")) == []
    root = draft(consents(12_000))
    assert sum(1 for _ in maps.collected("cohort")) == sum(1 for _ in store.all(root)) == 12_000


def test_a_named_member_is_in_every_record(drafts: tuple[Drafts, RecordStore, ConsentStore]) -> None:
    """A name that is mistyped must not turn into the consent that was given for all."""
    lines = b'{"who":"p1","agreed":"ConsentGiven"}\n{"who":"p2","agreed":null}\n{"who":"p3"}\n'
    upload = Upload(io.BytesIO(lines), JSON_LINES, consent=Consent.GIVEN, columns=Columns("who", "agreed"))
    with pytest.raises(UnreadableRecords, match="record 3: it has no member 'agreed'"):
        drafts[0].draft("cohort", upload, None, Progress())
    sink = io.BytesIO()
    pq.write_table(pa.table({"who": ["p1"]}), sink)
    with pytest.raises(UnreadableRecords, match="Parquet: there is no column 'agreed'; there are who"):
        drafts[0].draft("cohort", Upload(sink, PARQUET, columns=Columns("who", "agreed")), None, Progress())


# -- many columns ----------------------------------------------------------------------------------------------------


def wide(columns: int, records: int) -> bytes:
    names = [f"c{number}" for number in range(columns)]
    lines = [",".join(names), *(",".join(f"{row}x{column}" for column in range(columns)) for row in range(records))]
    return "\n".join(lines).encode()


def test_ten_thousand_columns_are_records_and_another_number_of_fields_is_named() -> None:
    content = wide(10_000, 20)
    table = Table(io.BytesIO(content), CSV, "c9999")
    assert len(table.reading.fields) == 10_000
    assert [row.id for row in table.rows()] == [f"{row}x9999" for row in range(20)]
    with pytest.raises(UnreadableRecords, match="line 22: it has 10001 fields where the header has 10000"):
        list(rows(io.BytesIO(content + b"\n" + b"," * 10_000), CSV))
    with pytest.raises(UnreadableRecords) as refusal:
        Table(io.BytesIO(content), CSV, "absent")
    assert len(plain(refusal.value)) < 400
    with pytest.raises(UnreadableRecords, match="a column name is there twice"):
        Table(io.BytesIO(content.replace(b"c9999", b"c0", 1)), CSV)


def test_columns_that_look_alike_are_two_and_each_keeps_its_name() -> None:
    names = [word.text for word in WORDS if len(word.text) < 1_000 and not {'"', "\0", "\n"} & {*word.text}]
    header = ",".join(f'"{name}"' for name in names)
    table = Table(io.BytesIO(f"{header}\n".encode("utf-8", "surrogatepass") + b"," * (len(names) - 1)), CSV)
    assert list(table.reading.fields) == names
    assert list(table.rows()) == [Row("1", b"," * (len(names) - 1))]
