# SPDX-License-Identifier: Apache-2.0
"""Under which key the ledger keeps each record.

Keys are Fabric's composite keys: ``00 kind 00 part 00 part 00 …``, the kind as in the record's JSON, the parts as in
its row of the register. Numbers have ten digits, so that versions sort as they count.
"""

from chaincode.domain.register import KIND_OF, Part
from chaincode.domain.values import Record


def key_of(record: Record) -> str:
    """The key of a record."""
    return key(type(record), *KIND_OF[type(record)].parts_of(record))


def key(kind: type[Record], *parts: Part) -> str:
    """The key of a record of `kind` by the parts that identify it, in the order of its row."""
    return "".join(f"\x00{text}" for text in (KIND_OF[kind].name, *written(parts))) + "\x00"


def written(parts: tuple[Part, ...]) -> list[str]:
    """The parts of a key as text."""
    return [f"{part:010d}" if isinstance(part, int) else str(part) for part in parts]
