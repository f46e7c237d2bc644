# SPDX-License-Identifier: Apache-2.0
"""What a server answers to `doctor`: read, or taken for no answer, whatever it is."""

import pytest

from network.operations.loadtargets import _problem
from network.operations.webprobes import _disabled, _trouble, _version

ODD = [b"", b"[]", b"null", b"7", b"9" * 5_000, b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b'"text"']


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_an_answer_of_no_known_form_says_nothing(body: bytes) -> None:
    assert (_version(body), _trouble(body), _disabled(body)) == (None, None, {})
    assert _problem(503, body) == "503"


def test_answers_are_read() -> None:
    assert _version(b'{"Version": "3.1.4"}') == "3.1.4"
    assert _trouble(b'{"trouble": "behind", "status": "late"}') == "behind, late"
    assert _disabled(b'{"disabled_members": [{"organisation": "AMSP", "reason": "odd"}]}') == {"AMSP": "odd"}
    assert _problem(503, b'{"code": "behind"}') == "503 behind"
