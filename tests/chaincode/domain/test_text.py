# SPDX-License-Identifier: Apache-2.0
"""Free text: everybody who reads it sees the same, and the scripts of people can be written."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain.canonical import parse
from chaincode.domain.characters import RANGES, VERSION, objection
from chaincode.domain.errors import InvalidField, NotNormalised
from chaincode.domain.text import FilePath, Setting, Text
from tests.chaincode.domain import unicode_table

# Visible although their category is Cf: signs of numbers and verses that Arabic, Syriac and Kaithi put around others.
VISIBLE_FORMAT = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}


@pytest.mark.parametrize(
    "text",
    [
        "Wisconsin Diagnostic Breast Cancer",
        "Größe, naïve, 東京, Ελληνικά, עברית, العربية",
        "می\u200cخواهم",
        "نمی\u200cدانم",
        "क्\u200dष",
        "শ্রী র\u200d\u09cdয",
        "ශ්\u200dරී ලංකා",
        "👩\u200d🔬 👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈",
        "❤\ufe0f © ©\ufe0f 1\ufe0f\u20e3 #\ufe0f\u20e3",
        "🙂\u200d↔\ufe0f",
        "葛\U000e0100城市",
        "ᠠ\u180eᠨ\u180b",
        "ۖ سورة \u06dd",
        "line\r\nline\n\ttab",
        "no\u00a0break　ideographic",
        "\U0001f1e9\U0001f1ea 👋🏽",
    ],
)
def test_what_people_write_is_taken(text):
    text = unicodedata.normalize("NFC", text)
    assert Text(text) == Setting(text) == text


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("invoice\u202egnp.exe", "U+202E"),
        ("a\u2066b\u2069", "U+2066"),
        ("a\u200eb", "U+200E"),
        ("\u061ca", "U+061C"),
        ("pay\u200bpal", "U+200B"),
        ("\ufeffname", "U+FEFF"),
        ("a\u2060b", "U+2060"),
        ("soft\u00adhyphen", "U+00AD"),
        ("a\u034fb", "U+034F"),
        ("a\u3164b", "U+3164"),
        ("a\u2800b", "U+2800"),
        ("a\u2028b", "U+2028"),
        ("\U0001f3f4\U000e0067\U000e007f", "U+E0067"),
        ("a\U000e0001", "U+E0001"),
        ("pay\u200dpal", "U+200D"),
        ("pay\u200cpal", "U+200C"),
        ("می\u200c", "U+200C"),
        ("\u200cمی", "U+200C"),
        ("می\u200c\u200cخ", "U+200C"),
        ("👩\u200d", "U+200D"),
        ("👩\u200da", "U+200D"),
        ("a\u200d👩", "U+200D"),
        ("a\ufe0f", "U+FE0F"),
        ("❤\ufe0f\ufe0f", "U+FE0F"),
        ("1\ufe0f", "U+FE0F"),
        ("a\U000e0100", "U+E0100"),
        ("葛\U000e0100\U000e0101", "U+E0101"),
        ("a\ufe03", "U+FE03"),
        ("a\u180e", "U+180E"),
        ("a\u180b", "U+180B"),
        ("\ue000", "U+E000"),
        ("\U0010fffd", "U+10FFFD"),
        ("a\u0378", "U+0378"),
        ("a\uffff", "U+FFFF"),
        ("\U0001fae8", "U+1FAE8"),
        ("red \x1b[31m", "U+001B"),
        ("a\rb", "U+000D"),
        ("a\x85b", "U+0085"),
        ("a\x00", "U+0000"),
    ],
)
@pytest.mark.parametrize("kind", [Text, Setting, FilePath])
def test_what_cannot_be_seen_is_refused_and_named(kind, text, point):
    with pytest.raises(InvalidField) as refused:
        kind(text)
    position = next(index for index, each in enumerate(text, 1) if f"U+{ord(each):04X}" == point)
    assert f"is {point}, " in refused.value.reason
    assert kind is not Text or refused.value.reason.startswith("its character ")
    assert f"character {position} " in refused.value.reason or text.count(text[position - 1]) > 1
    assert refused.value.reason.isascii()


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r\nb"])
def test_a_path_is_one_line(text):
    assert Text(text) == text
    with pytest.raises(InvalidField, match="control character"):
        FilePath(text)


@pytest.mark.parametrize("text", [" ", "\n", "\t \n", "\u3000"])
def test_text_for_people_can_be_seen(text):
    with pytest.raises(InvalidField, match="nothing that can be seen"):
        Text(text)
    assert Setting(text) == text


def test_every_character_of_an_odd_category_is_refused_alone():
    """Against Python's own database; what is not assigned stands in a table of its own."""
    for point in (*range(0xE1000), 0xF0000, 0xFFFFD, 0x100000, 0x10FFFD):
        odd = unicodedata.category(chr(point)) in {"Cc", "Cf", "Co", "Zl", "Zp"} and point not in VISIBLE_FORMAT
        if odd and chr(point) not in "\t\n":
            assert objection(chr(point)) is not None, f"U+{point:04X}"
    for point in VISIBLE_FORMAT:
        assert objection(chr(point)) is None


def test_the_ends_of_every_unassigned_range_are_refused_and_their_neighbours_are_not():
    spans = [[int(end, 16) for end in span.split("-")] for span in RANGES.split()]
    for first, last in spans:
        assert all("does not assign" in str(objection(chr(end))) for end in (first, last))
        beside = [point for point in (first - 1, last + 1) if point <= 0x10FFFF]
        assert not any("does not assign" in str(objection(chr(point))) for point in beside)


def test_what_json_may_hold_does_not_depend_on_the_python_that_reads_it():
    for text in ('"\\u0378"', '"\\ud83e\\udee8"'):
        with pytest.raises(InvalidField, match=f"which Unicode {VERSION} does not assign"):
            parse(text.encode())
    with pytest.raises(NotNormalised):
        parse(b'"e\\u0301"')


@pytest.mark.skipif(unicodedata.unidata_version != VERSION, reason="this Python has a later version of Unicode")
def test_the_table_is_as_the_script_writes_it():
    assert unicode_table.render() == unicode_table.TABLE.read_text(encoding="utf-8")


@given(st.text(max_size=40))
def test_any_text_is_taken_as_it_is_or_refused_with_a_character(text):
    reason = objection(text)
    if reason is None and not any("\ud800" <= each <= "\udfff" for each in text):
        normal = unicodedata.normalize("NFC", text)
        assert Setting(normal) == normal or objection(normal) is not None
