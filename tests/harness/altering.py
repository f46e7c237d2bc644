# SPDX-License-Identifier: Apache-2.0
"""Documents of evidence as a stranger may alter them, drawn from a source of chance."""

import copy
import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 11, 2**53, 2**200, 1.5, float("nan"), "", "0", "\ud800", "\u202e", "\x00",
    "\x1b[2J", "a\nb", "x" * 5_000, [], {}, [[]], {"kind": "record-proof"}, ["00" * 32] * 65, "00" * 32, "=", ",",
)  # fmt: skip


def containers(value: Any) -> list[Any]:
    """Every object and list in a document."""
    found = [value]
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            found += containers(item)
    return found


def altered(chance: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    """The document with one to three places changed: another value, a lost, moved, doubled or new member."""
    for _ in range(chance.randint(1, 3)):
        inner = chance.choice([each for each in containers(document) if each])
        places = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        place = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del inner[place]
            case 1:
                inner[place] = copy.deepcopy(inner[chance.choice(places)])
            case 2 if isinstance(inner[place], str) and inner[place]:
                text, at = inner[place], chance.randrange(len(inner[place]))
                inner[place] = text[:at] + chance.choice("0aF_:\u202e") + text[at + 1 :]
            case 3 if isinstance(inner[place], int):
                inner[place] += chance.choice((-1, 1, 2**32))
            case 4 if isinstance(inner, dict):
                inner[chance.choice(("colour", "schema", "kind", "index", "header"))] = copy.deepcopy(
                    chance.choice(ODD)
                )
            case _:
                inner[place] = copy.deepcopy(chance.choice(ODD))
    return document


def cut_up(chance: random.Random, content: bytes) -> bytes:
    """The bytes with a few of them lost, doubled or replaced."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        put = chance.choice((b"", b"\xff", b'"', b"{", b"9", changed[at : at + 50]))
        changed[at : at + chance.choice((0, 1, 1, 30))] = put
    return bytes(changed)
