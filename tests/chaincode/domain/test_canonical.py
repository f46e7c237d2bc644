# SPDX-License-Identifier: Apache-2.0
"""The one JSON: RFC 8785 on what it admits, one refusal with a pointer for everything else."""

import json
import unicodedata

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import canonical, errors
from chaincode.domain.canonical import encode, parse
from chaincode.domain.characters import objection
from chaincode.domain.values import MAX_INTEGER

texts = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=12).filter(
    lambda text: unicodedata.is_normalized("NFC", text) and "Unicode" not in str(objection(text))
)
names = st.text(st.characters(max_codepoint=127), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_admitted_is_written_as_rfc_8785_writes_it(value):
    assert encode(value) == rfc8785.dumps(value)


@given(values)
def test_what_was_written_is_read_back(value):
    assert parse(encode(value)) == value


@given(values)
def test_layout_does_not_matter_on_reading(value):
    assert parse(json.dumps(value, indent=2).encode()) == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(data):
    try:
        value = parse(data)
    except errors.Malformed:
        return
    assert parse(encode(value)) == value


scalars = ["1", "-0", "true", "null", '"a"', '"\\u0061"', "1.5", "1e3", "NaN", "-Infinity", "999999999999999",
           "9007199254740991", "9007199254740992", "-9007199254740992", "x"]  # fmt: skip
spelled = st.recursive(
    st.sampled_from(scalars),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(["a", "b", "\\u0061"]), inner), max_size=3).map(
            lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
        )
    ),
    max_leaves=8,
)


def outcome(text: str, last: int | None = None) -> object:
    """What reading comes to: the value, or the item of it that is asked for; else the sort of refusal."""
    try:
        value = parse(text.encode())
    except errors.Malformed as refusal:
        return type(refusal)
    return value if last is None else value[last]


@given(spelled)
def test_what_is_read_at_once_is_what_is_read_with_care(text):
    # So many arrays are never taken for plain, and each value is looked at.
    assert outcome(text) == outcome(f"[{'[],' * canonical.MAX_DEPTH}{text}]", -1)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ('{"a":1.0}', errors.FloatRefused("/a")),
        ("1e2", errors.FloatRefused("")),
        ('{"a":[0,NaN]}', errors.NotANumber("/a/1")),
        ("-Infinity", errors.NotANumber("")),
        ('{"a":{"b":1,"b":1}}', errors.DuplicateName("/a/b")),
        ('{"a":[{"x":1,"x/y~":2,"x/y~":3}]}', errors.DuplicateName("/a/0/x~1y~0")),
        ("9007199254740992", errors.IntegerOutOfRange("")),
        ("[-9007199254740992]", errors.IntegerOutOfRange("/0")),
        ("9" * 5000, errors.IntegerOutOfRange("")),
        ('{"e\u0301":1}', errors.NotNormalised("/e?")),
        ('["e\u0301"]', errors.NotNormalised("/0")),
        ('{"é":1}', errors.InvalidField("/?", "names must be ASCII")),
        ('{"\\ud800":1}', errors.InvalidField("/?", "it holds half of a surrogate pair")),
        ('{"é":1,"é":2}', errors.DuplicateName("/?")),
        ('{"%s":1.5}' % ("n" * 65), errors.FloatRefused("/" + "n" * 64 + "...")),
        ('"\\ud800"', errors.InvalidField("", "it holds half of a surrogate pair")),
        ("[" * 33 + "]" * 33, errors.TooDeep(32)),
        ('{"a":' * 33 + "1" + "}" * 33, errors.TooDeep(32)),
        ("[" * 100_000, errors.TooDeep(32)),
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(text, refusal):
    with pytest.raises(errors.Malformed) as caught:
        parse(text.encode())
    assert caught.value == refusal


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"{} {}", b"{'a':1}", b"[1,]"])
def test_what_is_no_json_is_refused(data):
    with pytest.raises(errors.InvalidJson):
        parse(data)


def test_the_deepest_admitted_document_is_read():
    text = "[" * 32 + "]" * 32
    assert encode(parse(text.encode())) == text.encode()


def test_a_document_is_bounded():
    with pytest.raises(errors.TooLarge):
        parse(b" " * (canonical.MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        (1.5, errors.FloatRefused("")),
        ({"a": [float("nan")]}, errors.NotANumber("/a/0")),
        (float("inf"), errors.NotANumber("")),
        ({"a": 2**53}, errors.IntegerOutOfRange("/a")),
    ],
)
def test_what_the_ledger_does_not_hold_is_not_written(value, refusal):
    with pytest.raises(errors.Malformed) as caught:
        encode(value)
    assert caught.value == refusal


def test_what_would_not_be_read_back_is_not_written():
    parse(encode("x" * (canonical.MAX_BYTES - 2)))
    with pytest.raises(errors.TooLarge):
        encode("x" * (canonical.MAX_BYTES - 1))


@pytest.mark.parametrize("value", [b"bytes", {1: "a number as a name"}, {"a": object()}])
def test_what_is_no_json_value_is_a_fault_of_the_program(value):
    with pytest.raises(TypeError):
        encode(value)
