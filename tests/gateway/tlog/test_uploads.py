# SPDX-License-Identifier: Apache-2.0
"""What a mirror is asked: the bytes of the specification, and nothing that is not so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tlog.uploads import LARGEST_HEADER, MalformedUpload, Upload, mirror_info

WHOLE = Upload("example.com/log", 256, 300, b"\x01\x02")


def test_an_upload_is_what_the_specification_says() -> None:
    assert WHOLE.format() == (
        b"\x00\x0fexample.com/log" + bytes(6) + b"\x01\x00" + bytes(6) + b"\x01\x2c" + b"\x00\x02\x01\x02"
    )
    assert mirror_info(300, 256) == b"300\n256\n\n"


@given(
    st.text(max_size=99), st.integers(0, 2**61), st.integers(0, 2**61), st.binary(max_size=99), st.binary(max_size=99)
)
def test_what_is_written_is_read_and_packages_behind_it_are_left(
    origin: str, start: int, more: int, ticket: bytes, packages: bytes
) -> None:
    upload = Upload(origin, start, start + more, ticket)
    assert Upload.parse(upload.format() + packages) == upload
    assert len(upload.format()) <= LARGEST_HEADER


@pytest.mark.parametrize("length", range(len(WHOLE.format())))
def test_what_ends_too_early_is_refused(length: int) -> None:
    with pytest.raises(MalformedUpload, match="ends"):
        Upload.parse(WHOLE.format()[:length])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (Upload("a", 2, 1).format(), "the entries from 2 to 1 are not part of a log"),
        (Upload("a", 0, 2**63).format(), "not part of a log"),
        (WHOLE.format().replace(b"e.com", b"\xff.com"), "UTF-8"),
    ],
)
def test_what_is_no_part_of_a_log_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(MalformedUpload, match=said):
        Upload.parse(content)
