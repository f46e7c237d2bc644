# SPDX-License-Identifier: Apache-2.0
"""Rows against `csv.reader` and against the grammar of RFC 4180, and what a version says of its columns."""

import csv
import json
import re
import sys
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaincode.domain.tabular import DELIMITERS, RowError, header_digest, open_after, split

ROWS = st.text(st.sampled_from('ab",;\t| \r\n\x0b\x0c\x1c\x85\u2028é'), max_size=12)
DELIMITER = st.sampled_from(DELIMITERS)

# RFC 4180, section 2, for any delimiter and any character: `escaped` and `non-escaped`.
_ESCAPED = '"(?:[^"]|"")*"'
_PLAIN = '[^"\r\n{delimiter}]*'


def _strictly(row: str, delimiter: str) -> list[str] | None:
    """What RFC 4180 makes of a row; `None` where its grammar does not give it."""
    field = f"(?:{_ESCAPED}|{_PLAIN.format(delimiter=re.escape(delimiter))})"
    if re.fullmatch(f"{field}(?:{re.escape(delimiter)}{field})*", row) is None:
        return None
    found = re.finditer(f"(?:^|{re.escape(delimiter)})({field})", row)
    texts = [match[1] for match in found]
    return [text[1:-1].replace('""', '"') if text.startswith('"') else text for text in texts]


def _ours(row: str, delimiter: str) -> list[str] | None:
    try:
        return [field.decode() for field in split(row.encode(), delimiter.encode())]
    except RowError:
        return None


def _python(row: str, delimiter: str) -> list[list[str]] | None:
    try:
        return list(csv.reader([row], delimiter=delimiter, strict=True))
    except csv.Error:
        return None


@given(row=ROWS, delimiter=DELIMITER)
@example(row='1,pipe 5",12', delimiter=",")
@example(row='"a""b",c', delimiter=",")
@example(row='a,"b\r\nc"', delimiter=",")
@example(row='"a"b', delimiter=",")
@example(row='"a', delimiter=",")
@example(row="a\rb", delimiter=",")
@example(row="a,", delimiter=",")
@example(row='"",', delimiter=",")
def test_what_is_taken_is_what_csv_reader_reads(row: str, delimiter: str) -> None:
    found = _ours(row, delimiter)
    if found is not None:
        # An empty line is no row for csv.reader, and one of one empty field for RFC 4180.
        assert [found] == (_python(row, delimiter) if row else [[""]])
    elif "\r" not in row and "\n" not in row:
        assert _python(row, delimiter) is None


@given(row=ROWS, delimiter=DELIMITER)
def test_what_rfc_4180_describes_is_read_as_it_says(row: str, delimiter: str) -> None:
    expected = _strictly(row, delimiter)
    if expected is not None:
        assert _ours(row, delimiter) == expected


@given(fields=st.lists(st.text(max_size=5), min_size=1, max_size=4), delimiter=DELIMITER)
def test_what_is_written_by_the_rules_comes_back(fields: list[str], delimiter: str) -> None:
    row = delimiter.join('"' + field.replace('"', '""') + '"' for field in fields)
    assert _ours(row, delimiter) == fields
    assert not open_after(row.encode(), delimiter.encode(), quoted=False)


def test_a_field_may_be_as_long_as_it_likes() -> None:
    assert csv.field_size_limit() < 10**6 < sys.maxsize
    assert _ours("1," + "x" * 10**6, ",") == ["1", "x" * 10**6]
    assert _ours('1,"' + "x" * 10**6 + '"', ",") == ["1", "x" * 10**6]


@pytest.mark.parametrize(
    ("lines", "states"),
    [
        (['a,"b\n', 'c"",d\n', 'e",f\n'], [True, True, False]),
        (['pipe 5",12\n'], [False]),
        (['"a",b"\n'], [False]),
        (['"a","\n', '"\n'], [True, False]),
        (['"a"b,"c\n'], [True]),
    ],
)
def test_a_row_goes_on_while_a_quoted_field_is_open(lines: list[str], states: list[bool]) -> None:
    quoted = False
    found = []
    for line in lines:
        quoted = open_after(line.encode(), b",", quoted=quoted)
        found.append(quoted)
    assert found == states


def _open_by_character(line: str, delimiter: str, quoted: bool) -> bool:
    """Whether a quoted field is open at the end, as docs/records.md says it, one character after the other."""
    beginning = not quoted
    characters = list(line)
    while characters:
        character = characters.pop(0)
        if quoted and character == '"' and characters[:1] == ['"']:
            characters.pop(0)
        elif quoted:
            quoted = character != '"'
        else:
            quoted = beginning and character == '"'
            beginning = character == delimiter
    return quoted


@given(line=ROWS | st.text(st.sampled_from('a",\n'), max_size=30), delimiter=DELIMITER, quoted=st.booleans())
@example(line='"a""', delimiter=",", quoted=False)
@example(line='"', delimiter=",", quoted=True)
def test_an_open_field_is_found_as_it_is_defined(line: str, delimiter: str, quoted: bool) -> None:
    expected = _open_by_character(line, delimiter, quoted)
    assert open_after(line.encode(), delimiter.encode(), quoted=quoted) is expected


def test_a_line_of_any_length_is_read_once() -> None:
    for line in (b'"",' * 300_000, b'"' * 1_000_001, b',"' * 300_000, b'"a"b' * 300_000):
        open_after(line, b",", quoted=False)
        open_after(line, b",", quoted=True)


def test_the_columns_are_hashed_as_rfc_8785_writes_them() -> None:
    text = '{"delimiter":"\\t","fields":["id","größe\\n\\u001f","\\""]}'
    assert json.loads(text) == {"delimiter": "\t", "fields": ["id", "größe\n\x1f", '"']}
    assert header_digest(["id", "größe\n\x1f", '"'], "\t") == sha256(text.encode()).digest()


@given(
    first=st.lists(st.text(max_size=3)),
    second=st.lists(st.text(max_size=3)),
    delimiters=st.tuples(DELIMITER, DELIMITER),
)
def test_other_columns_or_another_delimiter_have_another_digest(
    first: list[str], second: list[str], delimiters: tuple[str, str]
) -> None:
    same = (first, delimiters[0]) == (second, delimiters[1])
    assert (header_digest(first, delimiters[0]) == header_digest(second, delimiters[1])) is same
