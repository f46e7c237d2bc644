# SPDX-License-Identifier: Apache-2.0
"""Files of evidence: read within bounds, and taken apart into what `proofs` checks.

A file is a JSON object of `kind`, `schema`, `channel`, `version` (the ledger's record of the data set version),
`transaction`, `proof` and `record`, and where it is about a selection too, of `selection` (the ledger's record),
`selection_transaction` and `selection_proof`. Where the record may be used for purposes that the owner registered, it
has their records in `purposes`; docs/guide/evidence.md describes each member. Strangers write such
files, so nothing in them is believed here and nothing is shown without being escaped.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from pedigree.errors import InvalidEvidence
from pedigree.fields import LARGEST_NUMBER, SCHEMA, Fields, is_schema
from pedigree.registered import Registered, registered_in
from pedigree.selected import Selected

KIND: Final = "record-evidence"
KIND_SELECTED: Final = "selection-evidence"
"""Evidence that a record is in a selection besides."""
LARGEST_FILE: Final = 16 * 1024 * 1024
"""The largest file of evidence that is read, in bytes; it holds one record."""
MOST_VALUES: Final = 50_000
"""How many values and members a file may hold; a proof has at most 64 steps, so only column names are many."""
LEAF_SCHEMA: Final = "pedigree-record/v1"
SUBJECT_LEAF_SCHEMA: Final = "pedigree-record/v2"
"""The leaf of a record that is about a subject, whose reference it commits to."""
_SALT_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class Columns:
    """The delimiter and the column names that stand above a record of a table."""

    delimiter: str
    fields: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What a version commits to: SHA-256 over ``{"delimiter":…,"fields":[…]}`` as RFC 8785 writes it, in hex."""
        value = {"delimiter": self.delimiter, "fields": list(self.fields)}
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def of(self, content: bytes) -> dict[str, str] | None:
        """The fields of a record by their columns; `None` where it has others."""
        try:
            values = _split(content.decode(), self.delimiter)
        except UnicodeDecodeError:
            return None
        if values is None or len(values) != len(self.fields) or len(set(self.fields)) != len(self.fields):
            return None
        return dict(zip(self.fields, values, strict=True))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a file says, of the right form and not yet checked."""

    channel: str
    version: dict[str, Any]
    """The ledger's record as the file has it."""
    dataset: str
    number: int
    owner: str
    licence: str
    root: bytes
    size: int
    header: str | None
    """What the version commits to of its columns; see `Columns.digest`."""
    transaction: str
    block: int
    at: str
    proof_version: str
    proof_size: int
    index: int
    salt: bytes
    id_digest: bytes
    content_digest: bytes
    subject_digest: bytes | None
    """``SHA-256(salt ‖ 02 ‖ subject reference)``; only under `SUBJECT_LEAF_SCHEMA`."""
    consent: int
    purposes: int
    path: tuple[bytes, ...]
    id: str
    content: bytes
    columns: Columns | None
    selected: Selected | None = None
    """Where the file is about a selection too."""
    registered: tuple[Registered, ...] = ()
    """What the file says of purposes that the owner registered."""

    @property
    def leaf(self) -> bytes:
        """What the version commits to of the record: 90 bytes, or 122 where it is about a subject."""
        return b"".join(
            (
                b"\x01" if self.subject_digest is None else b"\x02",
                self.salt,
                self.id_digest,
                self.content_digest,
                self.subject_digest or b"",
                bytes([self.consent]),
                self.purposes.to_bytes(8),
            )
        )

    def is_about(self, subject: bytes) -> bool:
        """Whether the record is about the subject with this reference, as evidence of consent names it."""
        return self.subject_digest == hashlib.sha256(self.salt + b"\x02" + subject).digest()

    @classmethod
    def of(cls, value: Any) -> Self:
        """Take a document apart; raises `InvalidEvidence` that names the field."""
        kind = value.get("kind") if isinstance(value, dict) and is_schema(value.get("schema")) else None
        if not isinstance(kind, str) or kind not in (KIND, KIND_SELECTED):
            said = f"it is not a {KIND} of schema {SCHEMA}, or a {KIND_SELECTED} (fields /kind and /schema)"
            raise InvalidEvidence(said)
        more = " selection selection_transaction selection_proof" if kind == KIND_SELECTED else ""
        members = f"kind schema channel version transaction proof record{more}"
        whole = Fields(value, "", members, optional="purposes", kind=kind)
        version = _version(whole.inner("version"))
        transaction = whole.inner("transaction", "id block at")
        proof = whole.inner(
            "proof",
            "kind schema version index size salt id_digest content_digest consent purposes path",
            optional="subject_digest",
        )
        proof.expect("kind", "record-proof")
        if proof.has("subject_digest") is not (version.text("leaf_schema") == SUBJECT_LEAF_SCHEMA):
            raise InvalidEvidence(
                f"the field /proof/subject_digest is there under {SUBJECT_LEAF_SCHEMA}, and only there"
            )
        record = whole.inner("record", "id content", optional="header")
        purposes = int(proof.matching("purposes", "[0-9a-f]{16}", "16 lower-case hexadecimal digits"), 16)
        return cls(
            channel=whole.text("channel"),
            version=version.value,
            dataset=version.text("dataset"),
            number=version.number("number", least=1),
            owner=version.text("owner"),
            licence=version.text("licence"),
            root=version.digest("root"),
            size=version.number("size", least=1),
            header=version.digest("header").hex() if version.has("header") else None,
            transaction=transaction.text("id"),
            block=transaction.number("block"),
            at=transaction.text("at"),
            proof_version=proof.text("version"),
            proof_size=proof.number("size", least=1),
            index=proof.number("index"),
            salt=proof.blob("salt", size=_SALT_SIZE),
            id_digest=proof.digest("id_digest"),
            content_digest=proof.digest("content_digest"),
            subject_digest=proof.digest("subject_digest") if proof.has("subject_digest") else None,
            consent=proof.number("consent", most=255),
            purposes=purposes,
            path=proof.path("path"),
            id=record.text("id"),
            content=record.blob("content"),
            columns=_columns(record.inner("header", "delimiter fields")) if record.has("header") else None,
            selected=Selected.of(whole) if more else None,
            registered=registered_in(whole, version.text("owner"), purposes),
        )


def read_evidence(path: Path | str) -> dict[str, Any]:
    """The document in a file of at most 16 MiB; raises `InvalidEvidence`, or `OSError` where it cannot be read.

    What two readers could understand differently is refused: fractions, NaN and a member that is there twice.
    """
    with Path(path).open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    return parse_evidence(content)


def parse_evidence(content: bytes) -> dict[str, Any]:
    """The same from bytes."""
    if len(content) > LARGEST_FILE:
        raise InvalidEvidence(f"it is larger than {LARGEST_FILE >> 20} MiB")
    # A parsed value takes many times the room of its text: what could be too many is refused before it is parsed.
    if sum(map(content.count, (b",", b":", b"[", b"{"))) > MOST_VALUES:
        raise InvalidEvidence(f"it holds more than {MOST_VALUES} values")
    try:
        value = json.loads(
            content.decode(), parse_float=_no_fraction, parse_constant=_no_fraction, object_pairs_hook=_members
        )
    except UnicodeDecodeError:
        raise InvalidEvidence("it is not JSON: it is not UTF-8 text") from None
    except RecursionError:
        raise InvalidEvidence("it is not JSON that anyone wrote: it is nested too deeply") from None
    except ValueError as exc:
        raise InvalidEvidence(f"it is not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise InvalidEvidence("it must hold a JSON object")
    return value


def _split(row: str, delimiter: str) -> list[str] | None:
    """The fields of a row as RFC 4180 has them, without a limit on their length; `None` where it is not such a row."""
    fields: list[str] = []
    at = 0
    while True:
        if quoted := _QUOTED.match(row, at):
            fields.append(quoted[1].replace('""', '"'))
            at = quoted.end()
        else:
            end = row.find(delimiter, at)
            end = len(row) if end < 0 else end
            fields.append(row[at:end])
            if row.startswith('"', at) or "\n" in fields[-1] or "\r" in fields[-1]:
                return None
            at = end
        if at == len(row):
            return fields
        if row[at] != delimiter:
            return None
        at += 1


_QUOTED: Final = re.compile('"((?:[^"]|"")*+)"')


def _version(fields: Fields) -> Fields:
    """The version's own fields; a ledger may say more of it, and what is not relied on is passed over."""
    if not isinstance(fields.value.get("kind"), str) or fields.value["kind"] != "dataset-version":
        raise InvalidEvidence("the field /version must hold a dataset-version")
    fields.expect("leaf_schema", LEAF_SCHEMA, SUBJECT_LEAF_SCHEMA)
    fields.expect("change", "first", "extends", "replaces")
    fields.number("committed_at", least=-LARGEST_NUMBER)
    return fields


def _columns(fields: Fields) -> Columns:
    delimiter = fields.matching("delimiter", "[,;\t|]", "one of , ; tab |")
    return Columns(delimiter, fields.texts("fields", MOST_VALUES, lambda _: True))


def _no_fraction(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is not a whole number, and nothing that Pedigree keeps is a fraction")


def _members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"the member {name[:60]!r} is there twice")
        members[name] = value
    return members
