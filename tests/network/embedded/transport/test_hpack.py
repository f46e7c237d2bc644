# SPDX-License-Identifier: Apache-2.0
"""Header compression: the examples of RFC 7541, and whatever else may come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.embedded.transport import huffman
from network.embedded.transport.frames import Fault
from network.embedded.transport.hpack import Decoder, encode

FIRST = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")]
SECOND = [*FIRST, ("cache-control", "no-cache")]
THIRD = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
]


def decoded(decoder, text):
    return [(name.decode(), value.decode()) for name, value in decoder.decode(bytes.fromhex(text))]


@pytest.mark.parametrize(
    "blocks",
    [
        (
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ),
        (
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ),
    ],
    ids=["C.3 plain", "C.4 Huffman"],
)
def test_the_requests_of_the_specification(blocks):
    decoder = Decoder()
    assert [decoded(decoder, block) for block in blocks] == [FIRST, SECOND, THIRD]


def test_responses_whose_table_overflows():
    # C.5 with a table of 256 bytes, set by an update at the beginning of the first block (63.6.1: 001 prefix).
    decoder = Decoder()
    dates = ["Mon, 21 Oct 2013 20:13:21 GMT", "Mon, 21 Oct 2013 20:13:22 GMT"]
    first = (
        "3fe101" + "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d"
    )
    location = ("location", "https://www.example.com")
    assert decoded(decoder, first) == [(":status", "302"), ("cache-control", "private"), ("date", dates[0]), location]
    assert decoded(decoder, "4803333037c1c0bf") == [
        (":status", "307"),
        ("cache-control", "private"),
        ("date", dates[0]),
        location,
    ]
    third = (
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b"
        "425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31"
    )
    assert decoded(decoder, third) == [
        (":status", "200"),
        ("cache-control", "private"),
        ("date", dates[1]),
        location,
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ]


def test_the_same_block_may_mean_something_else_after_the_table_has_changed():
    decoder = Decoder()
    add = "40016101{:02x}"
    assert decoded(decoder, add.format(0x31)) == [("a", "1")]
    assert decoded(decoder, "be") == [("a", "1")]
    assert decoded(decoder, "be") == [("a", "1")]
    assert decoded(decoder, add.format(0x32)) == [("a", "2")]
    assert decoded(decoder, "be") == [("a", "2")]
    assert decoded(decoder, add.format(0x32)) == [("a", "2")]
    assert decoded(decoder, "20") == []  # a table of size 0 ...
    with pytest.raises(Fault):
        decoded(decoder, "be")  # ... remembers nothing


@pytest.mark.parametrize(
    "block",
    ["80", "be", "ff", "40", "4001", "400161", "0085", "3fe21f", "00ff8080808080808001", "0081ff0161", "008400000000"],
)
def test_what_cannot_be_decoded_is_a_fault(block):
    with pytest.raises(Fault):
        Decoder().decode(bytes.fromhex(block))


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_random_blocks_are_decoded_or_refused_and_the_table_stays_small(blocks):
    decoder = Decoder()
    for block in blocks:
        try:
            decoder.decode(block)
        except Fault:
            return
        assert 0 <= decoder._size == sum(len(n) + len(v) + 32 for n, v in decoder._table) <= 4096


HEADERS = st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=300)), max_size=10)


@given(HEADERS)
def test_what_is_encoded_is_decoded_without_touching_the_table(headers):
    decoder = Decoder()
    assert list(decoder.decode(encode(headers))) == headers
    assert not decoder._table


def test_known_fields_take_one_byte():
    assert encode([(b":status", b"200"), (b":method", b"POST"), (b":scheme", b"https")]) == b"\x88\x83\x87"


def test_remembered_blocks_do_not_pile_up():
    decoder = Decoder()
    for number in range(1000):
        decoder.decode(encode([(b"n", str(number).encode())]))
    assert len(decoder._known) <= 64


@pytest.mark.parametrize("text", [b"", b"www.example.com", b"302", bytes(range(256))])
def test_every_symbol_has_its_code(text):
    assert huffman.decode(encoded(text)) == text


@given(st.binary(max_size=60))
def test_strings_survive_the_code(text):
    assert huffman.decode(encoded(text)) == text


def test_padding_is_ones_and_shorter_than_a_byte():
    assert huffman.decode(bytes.fromhex("f1e3c2e5f23a6ba0ab90f4ff")) == b"www.example.com"
    for wrong in ("f1e3c2e5f23a6ba0ab90f4ffff", "f1e3c2e5f23a6ba0ab90f4fe", "3fffffff"):
        with pytest.raises(ValueError):
            huffman.decode(bytes.fromhex(wrong))


def encoded(text: bytes) -> bytes:
    codes = {symbol: (length, code) for (length, code), symbol in huffman._CODES.items()}
    bits = "".join(format(code, f"0{length}b") for length, code in (codes[symbol] for symbol in text))
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
