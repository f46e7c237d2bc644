# SPDX-License-Identifier: Apache-2.0
"""Sealing is undone by opening, in any range and however it is cut; whatever is changed is refused by its chunk."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sealing.blobs import CHUNK, HEADER, TAG, Header
from gateway.sealing.errors import DamagedBlob, MalformedBlob, MalformedKey, SealError, WrongKey, WrongLength
from gateway.sealing.streams import Blob, Held, seal

KEY = bytes(range(32))
CHUNK_OF_TESTS = 16


def header_of(content: bytes, *, known: bool = True, chunk: int = CHUNK_OF_TESTS) -> Header:
    made = Header.new(KEY, size=len(content) if known else None)
    return Header(made.blob_id, made.key_id, made.prefix, made.size, chunk)


def sealed(content: bytes, *, known: bool = True) -> bytes:
    return b"".join(seal(KEY, header_of(content, known=known), [content]))


def into(given: bytearray, pieces: Iterable[bytes]) -> None:
    """Keep what is given out, also where there is no end of it."""
    for piece in pieces:
        given += piece


class Counted(Held):
    """A blob in memory that says which of its bytes were read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, length: int) -> bytes:
        self.reads.append((start, length))
        return super().read(start, length)


@given(st.binary(max_size=90), st.lists(st.integers(0, 90)), st.booleans())
def test_what_is_sealed_opens_however_it_came(content: bytes, cuts: list[int], known: bool) -> None:
    places = [0, *sorted(cuts), 90]
    pieces = [content[a:b] for a, b in pairwise(places)]
    header = header_of(content, known=known)
    whole = b"".join(seal(KEY, header, pieces))
    assert len(whole) == header.sealed_size(len(content))
    assert header.opened_size(len(whole)) == len(content)
    blob = Blob(KEY, Held(whole))
    assert blob.size == len(content)
    assert b"".join(blob.read()) == content


@given(st.binary(max_size=90), st.integers(0, 90), st.integers(0, 90), st.booleans())
def test_any_range_is_that_of_the_content(content: bytes, one: int, other: int, known: bool) -> None:
    start, stop = sorted((min(one, len(content)), min(other, len(content))))
    blob = Blob(KEY, Held(sealed(content, known=known)))
    assert b"".join(blob.read(start, stop - start)) == content[start:stop]


def test_a_range_reads_no_more_chunks_than_it_needs() -> None:
    content = bytes(10 * CHUNK_OF_TESTS)
    source = Counted(sealed(content))
    blob = Blob(KEY, source)
    source.reads.clear()
    assert len(b"".join(blob.read(3 * CHUNK_OF_TESTS + 5, CHUNK_OF_TESTS))) == CHUNK_OF_TESTS
    assert source.reads == [(HEADER + 3 * (CHUNK_OF_TESTS + TAG), 2 * (CHUNK_OF_TESTS + TAG))]


@given(st.binary(max_size=70), st.data(), st.booleans())
def test_a_changed_bit_is_refused_and_nothing_changed_is_given_out(
    content: bytes, data: st.DataObject, known: bool
) -> None:
    whole = bytearray(sealed(content, known=known))
    place, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    whole[place] ^= 1 << bit
    given_out = bytearray()

    def opened() -> None:
        into(given_out, Blob(KEY, Held(bytes(whole))).read())

    with pytest.raises(SealError) as refused:
        opened()
    assert content.startswith(bytes(given_out))
    if place >= HEADER:
        assert isinstance(refused.value, DamagedBlob)
        assert refused.value.chunk == (place - HEADER) // (CHUNK_OF_TESTS + TAG)


@given(st.binary(max_size=70), st.data(), st.booleans())
def test_what_is_cut_or_longer_is_refused(content: bytes, data: st.DataObject, known: bool) -> None:
    whole = sealed(content, known=known)
    length = data.draw(st.integers(0, len(whole) + 40).filter(lambda n: n != len(whole)))
    with pytest.raises(SealError):
        list(Blob(KEY, Held((whole + bytes(40))[:length])).read())


@given(st.binary(min_size=40, max_size=70), st.permutations(range(3)))
def test_chunks_in_another_order_are_refused_by_the_first_that_moved(content: bytes, order: list[int]) -> None:
    whole = sealed(content[:48].ljust(48, b"x"))
    size = CHUNK_OF_TESTS + TAG
    chunks = [whole[HEADER + n * size : HEADER + (n + 1) * size] for n in range(3)]
    moved = Held(whole[:HEADER] + b"".join(chunks[n] for n in order))
    if order == [0, 1, 2]:
        assert len(b"".join(Blob(KEY, moved).read())) == 48
        return
    with pytest.raises(DamagedBlob) as refused:
        list(Blob(KEY, moved).read())
    assert refused.value.chunk == next(at for at, n in enumerate(order) if at != n)


def test_a_range_opens_where_only_another_chunk_is_damaged() -> None:
    whole = bytearray(sealed(bytes(5 * CHUNK_OF_TESTS)))
    whole[HEADER + 4 * (CHUNK_OF_TESTS + TAG)] ^= 1
    blob = Blob(KEY, Held(bytes(whole)))
    assert b"".join(blob.read(0, 4 * CHUNK_OF_TESTS)) == bytes(4 * CHUNK_OF_TESTS)
    with pytest.raises(DamagedBlob, match="chunk 4 is not what was sealed there"):
        list(blob.read(4 * CHUNK_OF_TESTS, 1))


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 33), (33, 0), (5, -1)])
def test_a_range_that_is_not_there_is_refused_before_anything_is_read(start: int, length: int) -> None:
    blob = Blob(KEY, Held(sealed(bytes(32))))
    with pytest.raises(WrongLength):
        blob.read(start, length)


@pytest.mark.parametrize("came", [31, 33, 0, 80])
def test_more_or_less_than_the_header_says_is_not_sealed_to_an_end(came: int) -> None:
    header = header_of(bytes(32))
    made = bytearray()
    with pytest.raises(WrongLength, match="the header says 32"):
        into(made, seal(KEY, header, [bytes(came)]))
    with pytest.raises(SealError):
        list(Blob(KEY, Held(bytes(made))).read())


def test_two_blobs_of_the_same_content_have_nothing_in_common() -> None:
    one, other = sealed(bytes(64)), sealed(bytes(64))
    assert not {one[at : at + 16] for at in range(HEADER, len(one) - 15)} & {
        other[at : at + 16] for at in range(HEADER, len(other) - 15)
    }


def test_another_key_and_a_key_of_another_length_are_refused() -> None:
    held = Held(sealed(b"x"))
    with pytest.raises(WrongKey, match="was sealed under the key"):
        Blob(bytes(32), held)
    with pytest.raises(MalformedKey, match="a data key has 32 bytes, not 16"):
        Blob(bytes(16), held)


def test_the_usual_chunk_is_64_kib_and_a_header_says_what_it_is() -> None:
    header = Header.new(KEY, size=3 * CHUNK)
    assert (CHUNK, header.chunk, header.chunks_of(3 * CHUNK)) == (65_536, 65_536, 3)
    assert Header.parse(header.encode()) == header
    with pytest.raises(MalformedBlob):
        Header.parse(b"")
