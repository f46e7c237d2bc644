# SPDX-License-Identifier: Apache-2.0
"""Files of records: what is taken byte by byte, and one sentence with a line number for what cannot be."""

import csv
import io
import json
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincode.domain.tabular import DELIMITERS, split
from gateway.services import tables
from gateway.services.tables import CSV, JSON_LINES, MEDIA_TYPES, Row, Table, UnreadableRecords


def rows_of(
    content: BinaryIO, media_type: str, id_field: str | None = None, delimiter: str | None = None
) -> Iterator[Row]:
    return Table(content, media_type, id_field, delimiter).rows()


def rows(content: bytes, media_type: str, id_field: str | None, delimiter: str | None = None) -> list[Row]:
    return list(rows_of(io.BytesIO(content), media_type, id_field, delimiter))


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
        (b"id,id\n1,2\n", "line 1: a column name is there twice"),
        (b"id,a\n1,2,3\n", "line 2: it has 3 fields where the header has 2"),
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
        (b'{"id": NaN}\n', "NaN is not a JSON number"),
        (b'{"id": 1, "id": 2}\n', "a member is there twice"),
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


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3), min_size=1, max_size=5
    )
)
def test_whatever_json_writes_is_taken(records: list[dict[str, str | int]]) -> None:
    lines = [json.dumps(record).encode() for record in records]
    assert [row.content for row in rows(b"\n".join(lines), JSON_LINES, None)] == lines


TEXTS = st.text(st.sampled_from('ab1",;|\t \r\n\x0b\x0c\x1c\x1e\x85\u2028\u2029\ufeffé'), max_size=40)


@given(text=TEXTS | st.text(max_size=40), delimiter=st.sampled_from(DELIMITERS))
@example(text='id,part,stock\n1,pipe 5",12\n2,elbow,3\n3,valve,9\n4,pipe 8",7\n5,cap,1\n', delimiter=",")
@example(text='id,note,text,tag\n1,"a, b",first\u2028second,x\n2,plain,y,z\n', delimiter=",")
@example(text="a;b\r\n\r\n1;2\r\n", delimiter=";")
def test_what_is_taken_is_what_csv_reader_reads(text: str, delimiter: str) -> None:
    content = text.encode()
    try:
        table = Table(io.BytesIO(content), CSV, None, delimiter)
        found = list(table.rows())
    except UnreadableRecords:
        return
    if text.lower().startswith("sep="):
        return
    # csv.reader calls a blank line a row of no fields; nothing else may be left out, merged or read otherwise.
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    header, *expected = [row for row in reader if row]
    assert list(table.reading.fields) == header
    assert [next(csv.reader([row.content.decode()], delimiter=delimiter)) for row in found] == expected
    assert all(row.content in content for row in found)


PLAIN = st.text(st.sampled_from("ab1;\n\ré"), max_size=60)


def taken(content: bytes, delimiter: str, block: int) -> list[Row] | str:
    """The rows of a file that is read in blocks of so many bytes, or why there are none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_BLOCK", block)
        patch.setattr(tables, "AT_ONCE", 3)
        try:
            return list(rows_of(io.BytesIO(content), CSV, "a" if content.startswith(b"a") else None, delimiter))
        except UnreadableRecords as refusal:
            return refusal.message


@given(text=PLAIN | TEXTS | st.text(max_size=40), block=st.integers(2, 70))
@example(text="a;b\n1;2\n3;4\n5;6\n7;8\n", block=60)
@example(text="a;b\r\n1;2\r\n\r\n3;4\r\n5;6", block=60)
@example(text='a;b\n1;2\n"3";4\n5;6\n7;8\n', block=8)
@example(text="b;a\n1;2\n3;4;5\n5;6\n", block=60)
@example(text="b;a;c\n1;2;3\n4;5\n6;7;8;9\n", block=60)
@example(text="a\n1\n2\n\n3\n", block=60)
def test_blocks_of_plain_rows_are_what_is_read_row_by_row(text: str, block: int) -> None:
    content = text.encode()
    assert taken(content, ";", block) == taken(content, ";", 1)
    bad = content + b"\n\xff;1\n"
    assert taken(bad, ";", block) == taken(bad, ";", 1)


HOSTILE = st.text(st.sampled_from('ab",;|\t\r\n\0\x85\u2028é'), max_size=20)


@given(row=HOSTILE.map(str.encode) | st.binary(max_size=12), delimiter=st.sampled_from(DELIMITERS))
@example(row=b"", delimiter=",")
@example(row=b'"a"\r', delimiter=",")
@example(row=b'"a"\n', delimiter=",")
@example(row=b'"a\nb"', delimiter=",")
@example(row=b'"\0"', delimiter=",")
@example(row=b'"a"b', delimiter=",")
@example(row=b'"\xff"', delimiter=",")
def test_what_is_split_at_once_is_split_as_the_definition_does(row: bytes, delimiter: str) -> None:
    found = tables.split_at_once(row, delimiter)
    if found is not None:
        assert b"\0" not in row
        assert [field.encode() for field in found] == split(row, delimiter.encode())


@pytest.mark.parametrize("row", [b'1,"a, b"', b'"a""b",', b'x,"a\r\nb\n"', 'pipe 5",é'.encode()])
def test_a_row_as_programs_write_it_is_split_at_once(row: bytes) -> None:
    found = tables.split_at_once(row, ",")
    assert found is not None
    assert [field.encode() for field in found] == split(row, b",")


@given(
    cells=st.lists(st.lists(st.text(max_size=6), min_size=3, max_size=3), min_size=1, max_size=5),
    delimiter=st.sampled_from(DELIMITERS),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_csv_writes_is_taken(cells: list[list[str]], delimiter: str, end: str) -> None:
    sink = io.StringIO(newline="")
    # The writer leaves a lone CR unquoted where lines do not end with one, and the reader then ends a row there.
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in cells for cell in row) else csv.QUOTE_MINIMAL
    writer = csv.writer(sink, delimiter=delimiter, lineterminator=end, quoting=quoting)
    cells = [[cell.replace("\0", "0") for cell in row] for row in cells]
    writer.writerows([["x", "y", "z"], *cells])
    found = rows(sink.getvalue().encode(), CSV, None, delimiter)
    assert [next(csv.reader([row.content.decode()], delimiter=delimiter)) for row in found] == cells


def test_an_inch_mark_is_data_and_joins_no_rows() -> None:
    found = rows(b'id,part,stock\n1,pipe 5",12\n2,elbow,3\n3,valve,9\n4,pipe 8",7\n5,cap,1\n', CSV, "id")
    assert [row.id for row in found] == ["1", "2", "3", "4", "5"]
    assert found[0].content == b'1,pipe 5",12'


def _outcome(text: str, delimiter: str) -> list[Row] | str:
    try:
        return rows(text.encode(), CSV, None, delimiter)
    except UnreadableRecords as exc:
        return str(exc)


@given(
    text=st.text(st.sampled_from('a"",\n\n\r'), max_size=60).map(lambda body: "x,y\n" + body),
    delimiter=st.sampled_from(DELIMITERS),
    kept=st.sampled_from([0, 8, 64 * 1024]),
)
@example(text='x,y\n1,"a\n\n"\n2,b\n', delimiter=",", kept=8)
@example(text='x,y\n1",a\n2",b\n', delimiter=",", kept=64 * 1024)
@example(text='x,y\n1,"a\n2,"b\n3,c\n', delimiter=",", kept=64 * 1024)
def test_rows_joined_at_once_are_joined_as_the_definition_does(text: str, delimiter: str, kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_LINES_KEPT", kept)
        found = _outcome(text, delimiter)
        patch.setattr(tables, "split_at_once", lambda row, delimiter: None)
        assert found == _outcome(text, delimiter)


def test_rows_that_only_seem_open_are_read_twice_at_most() -> None:
    class Counting(io.BytesIO):
        lines = 0

        def readline(self, size: int | None = -1) -> bytes:
            self.lines += 1
            return super().readline(size)

    content = Counting(b"id,part,stock\n" + b'1,pipe 5",12\n2,elbow,3\n3,"a, b",4\n' * 1_000)
    assert len(list(rows_of(content, CSV))) == 3_000
    assert content.lines < 2 * 3_000 + 100


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_only_line_ends_end_lines(character: str) -> None:
    content = f'id,note,text,tag\n1,"a, b",one{character}two,x\n2,plain,y,z\n'.encode()
    assert [row.id for row in rows(content, CSV, "tag")] == ["x", "z"]
    lines = f'{{"id": 1, "t": "{max(character, " ")}"}}\n{{"id": 2}}\n'.encode()
    assert [row.id for row in rows(lines, JSON_LINES, "id")] == ["1", "2"]


def test_a_field_and_a_number_may_be_as_long_as_they_like() -> None:
    for cell in (b"x" * 300_000, b'"' + b'y""\n' * 100_000 + b'"'):
        assert rows(b"id,text\n1," + cell + b"\n2,b\n", CSV, "id")[0].content == b"1," + cell
    digits = b"9" * 5_000
    assert rows(b'{"id": 1, "n": ' + digits + b"}\n", JSON_LINES, "id")[0].id == "1"


def test_a_field_that_nobody_closes_does_not_bring_the_file_into_memory() -> None:
    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1) -> bytes:
            self.most = max(self.most, size if size is not None and size >= 0 else len(self.getbuffer()))
            return super().read(size)

    content = Counting(b'id,a\n1,"x\n' + (b"2," + b"y" * 1_000 + b"\n") * 4_000)
    with pytest.raises(UnreadableRecords, match="line 2: a quoted field is never closed"):
        list(rows_of(content, CSV, "id"))
    assert content.most <= 1 << 19


@pytest.mark.parametrize(
    ("start", "line"),
    [
        (b"id,a\n1,2\n2,", 3),
        (b'id,a\n1,2\n2,"', 3),
        (b'id,a\n1,"' + b"x\n" * 1_000, 2),
        (b"id,", 1),
        (b'{"id":"1"}\n{"id":"', 2),
    ],
)
def test_a_record_that_is_too_long_is_refused_before_it_is_read(start: bytes, line: int) -> None:
    lines = b"\n" if start.endswith(b"\n") else b"x"
    content = io.BytesIO(start + (b"x" * 99 + lines) * (1 << 18))
    media_type = JSON_LINES if start.startswith(b"{") else CSV
    with pytest.raises(UnreadableRecords, match=f"line {line}: it is longer than the 8 MiB that a record may have"):
        list(rows_of(content, media_type))
    assert content.tell() < 10 << 20


def test_a_record_may_have_eight_mebibytes() -> None:
    longest = b"1," + b"x" * (tables.LONGEST_RECORD - 2)
    for end in (b"\n", b"\r\n", b""):
        (row,) = rows_of(io.BytesIO(b"id,a\n" + longest + end), CSV)
        assert row.content == longest
    with pytest.raises(UnreadableRecords, match="line 2: it is longer"):
        list(rows_of(io.BytesIO(b"id,a\n" + longest + b"yyy\n"), CSV))


def test_a_byte_order_mark_is_treated_alike() -> None:
    mark = b"\xef\xbb\xbf"
    assert rows(mark + b'{"id": "a"}\n{"id": "b"}\n', JSON_LINES, "id") == rows(
        b'{"id": "a"}\n{"id": "b"}\n', JSON_LINES, "id"
    )
    assert rows(mark + b'"id",a\n1,2\n', CSV, "id") == [Row("1", b"1,2")]


@pytest.mark.parametrize(
    ("content", "id_field", "says"),
    [
        (b"id;alter;laborwert\n1;44;3,5\n", "id", "separated by semicolons? say --delimiter ';'"),
        (b"id;alter;laborwert\n1;44;3,5\n", None, "separated by semicolons? say --delimiter ';'"),
        (b"id;alter\n1;44\n", None, "separated by semicolons? say --delimiter ';'"),
        (b"id\talter\n1\t44\n", "id", "separated by tabs? say --delimiter tab"),
        (b"id;a, b;c\n1;2;3\n", None, "line 2: it has 1 fields where the header has 2; separated by semicolons?"),
        (b"sep=:\nid:a\n1:2\n", None, "line 1: it says that ':' separates fields"),
    ],
)
def test_another_delimiter_is_guessed_and_never_taken_by_itself(
    content: bytes, id_field: str | None, says: str
) -> None:
    with pytest.raises(UnreadableRecords) as caught:
        rows(content, CSV, id_field)
    assert says in str(caught.value)


def test_the_delimiter_is_the_one_that_is_named() -> None:
    assert rows(b"id;alter;laborwert\n1;44;3,5\n", CSV, "id", ";") == [Row("1", b"1;44;3,5")]
    assert rows(b"sep=;\r\nid;alter\r\n1;44\r\n", CSV, "id") == [Row("1", b"1;44")]
    assert rows(b"id;alter\n1;44\n", CSV, None, ",") == [Row("1", b"1;44")]
    with pytest.raises(UnreadableRecords, match="contradicts"):
        rows(b"sep=;\nid;a\n1;2\n", CSV, "id", ",")


def test_an_empty_line_is_a_record_only_where_it_is_said() -> None:
    for content in (b"a\nx\n\ny\n", b"a\nx\n\n", b"\na\nx\n"):
        with pytest.raises(UnreadableRecords, match=r'in a file of one column an empty line .* write ""'):
            rows(content, CSV, None)
    assert [row.content for row in rows(b'a\nx\n""\n  \n', CSV, None)] == [b"x", b'""', b"  "]
    with pytest.raises(UnreadableRecords, match="line 3: it has 1 fields where the header has 2"):
        rows(b"a,b\n1,2\n  \n", CSV, None)
