# SPDX-License-Identifier: Apache-2.0
"""Messages, deadlines and statuses of gRPC."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.embedded.transport.messages import (
    MessageFault,
    MessageReader,
    check_answer,
    fields,
    framed,
    status_of,
    timeout_of,
    trailers,
)


@given(st.lists(st.binary(max_size=200), max_size=8), st.lists(st.integers(0, 3000), max_size=12))
def test_any_division_gives_the_same_messages(messages, cuts):
    data = b"".join(framed(message) for message in messages)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    reader = MessageReader()
    parts = [data[a:b] for a, b in pairwise(places)]
    assert [message for part in parts for message in reader.feed(part)] == messages


def test_a_message_beyond_the_limit_is_refused_by_its_prefix():
    reader = MessageReader(10)
    assert list(reader.feed(framed(bytes(10)))) == [bytes(10)]
    with pytest.raises(MessageFault, match=r"larger than max \(11 vs. 10\)") as fault:
        list(reader.feed(framed(bytes(11))[:5]))
    assert fault.value.code == 8
    with pytest.raises(MessageFault):
        list(MessageReader(10).feed(framed(bytes(11))))


def test_compressed_messages_are_refused():
    with pytest.raises(MessageFault) as fault:
        list(MessageReader().feed(b"\1\0\0\0\1x"))
    assert fault.value.code == 12


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"30S", 30),
        (b"1500m", 1.5),
        (b"99999999u", 99.999999),
        (b"5n", 5e-9),
        (b"", None),
        (b"S", None),
        (b"5", None),
        (b"5x", None),
        (b"-5S", None),
        (b"123456789S", None),
    ],
)
def test_timeouts(value, seconds):
    assert timeout_of(value) == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(0, 16), st.text(max_size=100))
def test_a_status_survives_its_trailers(code, text):
    encoded = tuple(trailers(code, text))
    assert all(all(0x20 <= byte < 0x7F for byte in value) for _, value in encoded)
    assert status_of(encoded) == (code, text.encode(errors="replace").decode())


def test_no_status_and_no_grpc():
    assert status_of(((b"grpc-message", b"x"),)) is None
    assert status_of(((b"grpc-status", b"9" * 5_000),)) is None
    assert check_answer(((b":status", b"200"), (b"content-type", b"application/grpc+proto"))) is None
    assert "HTTP status 404" in check_answer(((b":status", b"404"),))
    assert "does not speak gRPC" in check_answer(((b":status", b"200"), (b"content-type", b"text/html")))


def test_binary_metadata_is_base_64_without_padding():
    assert list(fields([("x-bin", b"\0\1"), ("Name", "v")])) == [(b"x-bin", b"AAE"), (b"name", b"v")]
