# SPDX-License-Identifier: Apache-2.0
"""Frames: what is written is read, however the bytes were divided on the way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.embedded.transport.frames import Error, Fault, Flag, FrameReader, Kind, frame, settings, unpadded

FRAMES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=300)), max_size=8
)


def divided(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@given(FRAMES, st.lists(st.integers(0, 10_000), max_size=20))
def test_any_division_gives_the_same_frames(frames, cuts):
    reader = FrameReader()
    found = [one for part in divided(b"".join(frame(*f) for f in frames), cuts) for one in reader.feed(part)]
    assert [tuple(one) for one in found] == frames


def test_a_frame_arrives_byte_by_byte():
    reader = FrameReader()
    data = frame(Kind.PING, 0, 0, b"12345678") + frame(Kind.DATA, 1, 3, b"")
    assert [tuple(one) for byte in data for one in reader.feed(bytes((byte,)))] == [
        (Kind.PING, 0, 0, b"12345678"),
        (Kind.DATA, 1, 3, b""),
    ]


def test_a_frame_larger_than_announced_is_refused_before_it_is_kept():
    reader = FrameReader(limit=100)
    assert len(list(reader.feed(frame(Kind.DATA, 0, 1, bytes(100))))) == 1
    with pytest.raises(Fault) as fault:
        list(reader.feed(frame(Kind.DATA, 0, 1, bytes(101))[:9]))
    assert fault.value.code == Error.FRAME_SIZE_ERROR


@pytest.mark.parametrize(
    ("payload", "expected"), [(b"\x00abc", b"abc"), (b"\x02abc\0\0", b"abc"), (b"\x03\0\0\0", b"")]
)
def test_padding_is_taken_off(payload, expected):
    assert unpadded(Flag.PADDED, payload) == expected
    assert unpadded(0, payload) == payload


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd"])
def test_padding_that_is_longer_than_its_frame_is_refused(payload):
    with pytest.raises(Fault):
        unpadded(Flag.PADDED, payload)


def test_settings_come_in_sixes():
    assert list(settings(bytes.fromhex("00040000ffff000500004000"))) == [(4, 65535), (5, 16384)]
    with pytest.raises(Fault):
        list(settings(b"12345"))
