# SPDX-License-Identifier: Apache-2.0
"""What somebody without any key can do to a receipt; each way is found out in another sentence."""

import base64
from collections.abc import Callable, Mapping
from typing import Final

Lines = list[bytes]
"""Those of a receipt: of the proof, an empty one, the checkpoint's, an empty one, the signatures', and what ends it."""


def altered(receipt: bytes, how: str) -> bytes:
    """A copy of a receipt, altered in one of the `WAYS`."""
    lines = receipt.split(b"\n")
    WAYS[how](lines)
    return b"\n".join(lines)


def _index(lines: Lines) -> int:
    return next(at for at, line in enumerate(lines) if line.startswith(b"index "))


def _origin(lines: Lines) -> int:
    return lines.index(b"") + 1


def _signed(lines: Lines, name: bytes) -> list[int]:
    """The places of the signature lines whose key's name begins so."""
    return [at for at, line in enumerate(lines) if line.startswith("— ".encode() + name)]


def _flip(lines: Lines, at: int, byte: int) -> None:
    """Change one bit of what is in base64 at the end of a line."""
    before, space, encoded = lines[at].rpartition(b" ")
    content = bytearray(base64.b64decode(encoded))
    content[byte] ^= 1
    lines[at] = before + space + base64.b64encode(content)


def _of_log(lines: Lines) -> int:
    return _signed(lines, lines[_origin(lines)] + b" ")[0]


def _witnesses(lines: Lines) -> Lines:
    """The names of the witnesses' keys that cosigned, each once."""
    named = [line.split(b" ")[1] for line in lines if line.startswith("— ".encode())]
    return list(dict.fromkeys(name for name in named if name != lines[_origin(lines)]))


def _renumber(lines: Lines) -> None:
    """Say that it is the entry behind the last one."""
    lines[_index(lines)] = b"index " + lines[_origin(lines) + 1]


def _leave_out_witnesses(lines: Lines) -> None:
    for name in _witnesses(lines)[1:]:
        for at in reversed(_signed(lines, name + b" ")):
            del lines[at]


def _pass_off(lines: Lines) -> None:
    """Put the signature of one witness's key in the place of another witness's, behind that key's id."""
    first, second = (_signed(lines, name + b" ")[0] for name in _witnesses(lines)[:2])
    before, space, encoded = lines[second].rpartition(b" ")
    own, other = base64.b64decode(encoded), base64.b64decode(lines[first].rpartition(b" ")[2])
    lines[second] = before + space + base64.b64encode(own[:_KEY_ID] + other[_KEY_ID:])


_KEY_ID: Final = 4
_LAST: Final = -1

WAYS: Final[Mapping[str, Callable[[Lines], object]]] = {
    "a byte of the tree's root": lambda lines: _flip(lines, _origin(lines) + 2, 0),
    "a byte of a cosignature": lambda lines: _flip(lines, _signed(lines, _witnesses(lines)[0])[0], _LAST),
    "the key that signed for the log": lambda lines: _flip(lines, _of_log(lines), 0),
    "the log's name": lambda lines: lines.__setitem__(_origin(lines), b"pedigree/elsewhere/" + lines[_origin(lines)]),
    "the place in the log": _renumber,
    "a byte of what it is about": lambda lines: _flip(lines, _index(lines) - 1, 0),
    "what it is about, left out": lambda lines: lines.pop(_index(lines) - 1),
    "a hash of the path, left out": lambda lines: lines.pop(_index(lines) + 1),
    "a hash more in the path": lambda lines: lines.insert(_index(lines) + 1, lines[_index(lines) + 1]),
    "one witness's word in the place of another's": _pass_off,
    "too few of the witnesses": _leave_out_witnesses,
    "the end of the file": lambda lines: lines.__delitem__(slice(_LAST, None)),
}
"""What is altered, and how."""
