# SPDX-License-Identifier: Apache-2.0
"""Bundles: what somebody needs to check a copy of a version or a selection without its owner, in one file.

A bundle holds for every record its id, and what its leaf is made of beside that id and its content: the salt, the
digest of the content, the digest of the subject where there is one, consent and purposes. No content is in it. Its
reader computes every leaf, and with them the root that the ledger has, so that nothing in it need be believed. The
bundle of a selection holds its records alone, and nothing by which a guess at another one could be confirmed.
`docs/records.md` has the layout.
"""

import base64
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Final

from chaincode.domain import merkle
from chaincode.domain.errors import InvalidField
from chaincode.domain.provenance import LeafSchema
from gateway.services.members import Members
from gateway.services.ports import Json, Reading, StoredRecord

KIND: Final = "version-bundle"
KIND_OF_SELECTION: Final = "selection-bundle"
SCHEMA: Final = 1
MEDIA_TYPE: Final = "application/vnd.pedigree.bundle"
MAGIC: Final = b"\x89PEDBUN\n"
FORMAT: Final = 1
BLOCK: Final = 4_096
"""Records of every block but the last."""
MOST_COLUMNS: Final = 10_000
"""How many column names a bundle holds at most, of 1 MiB together; a copy names its own."""
_LONGEST_NAMES: Final = 1 << 20
_MOST_MEMBERS: Final = 8 << 20
"""Bytes of all sets of members together, a bit for each record: with the rest, what a reader takes of a head."""


def head_of(
    channel: str, version: Json, reading: Reading | None, selections: Mapping[str, Members] | None = None
) -> Json:
    """What a bundle says of itself, before its records.

    Args:
        version: the version's record and transaction, as a `Reader` answers.
        reading: how the committed file was read; None where nobody knows it any more.
        selections: which records selections from the version have, by the names of these.

    Raises `InvalidField` where their members are larger than `_MOST_MEMBERS`.
    """
    head: Json = {
        "kind": KIND,
        "schema": SCHEMA,
        "channel": channel,
        "version": version["record"],
        "transaction": version["transaction"],
        "numbered": reading is not None and reading.id_field is None,
    }
    if reading is not None:
        head["reading"] = _said_of(reading)
    if selections:
        if sum(len(members.bits) for members in selections.values()) > _MOST_MEMBERS:
            raise InvalidField("/selections", f"the members of all have at most {_MOST_MEMBERS >> 20} MiB: name fewer")
        head["selections"] = {name: base64.b64encode(each.bits).decode() for name, each in selections.items()}
    return head


def head_of_selection(channel: str, version: Json, selection: Json, reading: Reading | None) -> Json:
    """What the bundle of a selection says of itself, before its records; the arguments are those of `head_of`.

    The ids of its records are in its blocks also where these are numbered: they are numbers in the version.
    """
    head: Json = {
        "kind": KIND_OF_SELECTION,
        "schema": SCHEMA,
        "channel": channel,
        "version": version["record"],
        "transaction": version["transaction"],
        "selection": selection["record"],
        "selection_transaction": selection["transaction"],
        "numbered": False,
    }
    if reading is not None:
        head["reading"] = _said_of(reading)
    return head


def _said_of(reading: Reading) -> Json:
    said: Json = {"media_type": reading.media_type}
    if reading.id_field is not None:
        said["id_field"] = reading.id_field
    if reading.delimiter is not None:
        said["delimiter"] = reading.delimiter
    if 0 < len(reading.fields) <= MOST_COLUMNS and sum(map(len, reading.fields)) <= _LONGEST_NAMES:
        said["fields"] = list(reading.fields)
    return said


def pieces(head: Json, schema: LeafSchema, records: Iterable[StoredRecord]) -> Iterator[bytes]:
    """The bytes of a bundle, a block of records at a time."""
    whole = sha256()
    for piece in _before_the_end(head, schema, records):
        whole.update(piece)
        yield piece
    yield whole.digest()


def _before_the_end(head: Json, schema: LeafSchema, records: Iterable[StoredRecord]) -> Iterator[bytes]:
    text = json.dumps(head, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    yield MAGIC + struct.pack(">HI", FORMAT, len(text)) + text
    rows = ((record.id.encode(), _row(record, schema)) for record in records)  # contents may be long: one at a time
    while block := list(islice(rows, BLOCK)):
        ids = b"" if head["numbered"] else _joined([each for each, _ in block])
        yield struct.pack(">II", len(block), len(ids)) + ids + b"".join([row for _, row in block])
    yield struct.pack(">I", 0)


def _joined(ids: Sequence[bytes]) -> bytes:
    return struct.pack(f">{len(ids)}H", *map(len, ids)) + b"".join(ids)


def _row(record: StoredRecord, schema: LeafSchema) -> bytes:
    salt, tail = record.salt, merkle.record_tail(record.consent, record.purposes)
    content = sha256(salt + b"\x01" + record.content).digest()
    if schema is LeafSchema.RECORD_V1:
        return salt + content + tail
    return salt + content + sha256(salt + b"\x02" + record.subject).digest() + tail
