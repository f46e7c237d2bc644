# SPDX-License-Identifier: Apache-2.0
"""Files of records: what is taken byte by byte, and one sentence with a line number for what cannot be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.tables import CSV, JSON_LINES, MEDIA_TYPES, Row, UnreadableRecords, rows


def test_a_record_is_its_line_without_the_line_end() -> None:
    found = rows(b'id,note\r\n7,"a\r\nb"\r\n\r\n8,c', CSV, "id")
    assert found == [Row("7", b'7,"a\r\nb"'), Row("8", b"8,c")]
    assert rows(b'{"id": 7}\n\n{"id":"8" }\n', JSON_LINES, "id") == [Row("7", b'{"id": 7}'), Row("8", b'{"id":"8" }')]
    assert [row.id for row in rows(b"a\nx\ny\n", CSV, None)] == ["1", "2"]


def test_the_mark_of_a_spreadsheet_is_no_part_of_the_header() -> None:
    assert rows(b"\xef\xbb\xbfid,a\n1,2\n", CSV, "id") == [Row("1", b"1,2")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1: the header line is missing"),
        (b"id,a\n", "line 1: the file holds no record"),
        (b"1,2\n3,4\n", "line 1: there is no column 'id'; there are 1, 2"),
        (b"id,id\n1,2\n", "line 1: a column name stands there twice"),
        (b"id,a\n1,2,3\n", "line 2: it has 3 fields where the header has 2"),
        (b"id,a\n1,2\n1,3\n", "record 2 has the id '1', which record 1 has already"),
        (b"id,a\n1,\0\n", "line 2: it holds a NUL"),
        (b"id,a\n1,2\n\xff,3\n", "line 3: it is not UTF-8"),
        ("id,a\n1,2\n".encode("utf-16"), "line 1: it"),
        (b"id,a\r1,2\r", "line 1: its lines end with CR alone"),
        (b'id,a\n"1,2\n', "line 2: a quoted field is never closed"),
        (b"id,a\n,2\n", "line 2: a record id is 1 to 256"),
        (b"id,a\n" + b"x" * 257 + b",2\n", "line 2: a record id is 1 to 256"),
        ("id,a\ne\u0301,2\n".encode(), "line 2: the record id is not in Unicode normal form C"),
    ],
)
def test_a_malformed_csv_names_the_line(content: bytes, says: str) -> None:
    with pytest.raises(UnreadableRecords) as caught:
        rows(content, CSV, "id")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1: the file holds no record"),
        (b'{"id": 1}\n{"id": 2\n', "line 2: it is not one JSON object"),
        (b"[1]\n", "line 1: it is not one JSON object"),
        (b'{"a": 1}\n', "line 1: the member 'id' must be"),
        (b'{"id": 1.5}\n', "line 1: the member 'id' must be"),
        (b'{"id": true}\n', "line 1: the member 'id' must be"),
        (b'{"id": NaN}\n', "NaN is no JSON number"),
        (b'{"id": 1, "id": 2}\n', "a member stands there twice"),
        (b'{"id": 1}\n{"id": "1"}\n', "record 2 has the id '1', which record 1 has already"),
        (b'{"id": "\\u0000"}\n', "line 1: a record id is 1 to 256 printable"),
        ('{"id": 1}'.encode("utf-16"), "line 1: it is not UTF-8"),
        (b'{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 1: it is nested too deeply"),
    ],
)
def test_malformed_json_lines_name_the_line(content: bytes, says: str) -> None:
    with pytest.raises(UnreadableRecords) as caught:
        rows(content, JSON_LINES, "id")
    assert says in str(caught.value)


@given(content=st.binary(max_size=200), media_type=st.sampled_from(MEDIA_TYPES), id_field=st.none() | st.just("id"))
def test_any_bytes_are_records_or_refused(content: bytes, media_type: str, id_field: str | None) -> None:
    try:
        found = rows(content, media_type, id_field)
    except UnreadableRecords:
        return
    assert all(row.content in content for row in found)
    assert len({row.id for row in found}) == len(found)


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3), min_size=1, max_size=5
    )
)
def test_whatever_json_writes_is_taken(records: list[dict[str, str | int]]) -> None:
    lines = [json.dumps(record).encode() for record in records]
    assert [row.content for row in rows(b"\n".join(lines), JSON_LINES, None)] == lines
