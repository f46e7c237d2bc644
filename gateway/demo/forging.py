# SPDX-License-Identifier: Apache-2.0
"""What an attacker makes of genuine evidence."""

import base64
import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from pedigree.documents import Envelope

File = dict[str, Any]


def forged(envelope: Envelope, swaps: dict[str, str]) -> Envelope:
    """A genuine DSSE envelope with other words in its statement, under the signature that it had."""
    statement = base64.b64decode(envelope["payload"]).decode()
    for genuine, false in swaps.items():
        statement = statement.replace(genuine, false)
    return {**envelope, "payload": base64.b64encode(statement.encode()).decode()}


def altered(file: Mapping[str, Any], how: str) -> File:
    """A copy of the evidence of a transaction, altered in one of the `WAYS`."""
    found = copy.deepcopy(dict(file))
    WAYS[how](found)
    return found


def _flip(block: File, name: str, at: int) -> None:
    """Change one bit of what is in base64."""
    content = bytearray(base64.b64decode(block[name]))
    content[at] ^= 1
    block[name] = base64.b64encode(content).decode()


def _renumber(file: File) -> None:
    file["block"]["number"] += 1
    file["transaction"]["block"] += 1


WAYS: Final[Mapping[str, Callable[[File], object]]] = {
    "a byte of the transaction": lambda file: _flip(file["block"], "data", len(file["block"]["data"]) // 3),
    "the end of the block": lambda file: file["block"].update(data=file["block"]["data"][:-8]),
    "the number of the block": _renumber,
    "the configurations": lambda file: file["configurations"].clear(),
    "the channel's first block": lambda file: _flip(file["configurations"][0], "data", 400),
    "a block of transactions among the configurations": lambda file: file["configurations"].append(file["block"]),
    "the place in the block": lambda file: file["transaction"].update(index=1_000),
    "the transaction's id": lambda file: file["transaction"].update(id="ab" * 32),
    "the name of the channel": lambda file: file.update(channel="elsewhere"),
    "the record that it is about": lambda file: file.update(reference="model-version:other:1"),
    "the definition of the chaincode": lambda file: file["definitions"].clear(),
    "the endorsement policy": lambda file: file["definitions"][0].update(block=file["block"], index=0),
}
"""What is altered, and how; each is found out in another sentence."""
