# SPDX-License-Identifier: Apache-2.0
"""The purposes that an organisation registered for itself, as evidence names them and as a ledger's answers do.

Evidence proves bits. What the bits 32 to 63 mean, the owner of the data set has put on the ledger, each once; a file of
evidence repeats those records in its member `purposes`. That is the file's word until the ledger's answer says it too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pedigree.errors import InvalidEvidence, InvalidInput
from pedigree.fields import Fields
from pedigree.given import compare, given_record, quoted, same_transaction

FIRST_OWN: Final = 32
"""The first bit that is an organisation's own."""
LAST: Final = 63
_KIND: Final = "registered purpose"


@dataclass(frozen=True, slots=True)
class Registered:
    """What a bit means in the data sets of an organisation, of the right form and not yet compared."""

    record: Mapping[str, Any]
    owner: str
    bit: int
    iri: str
    title: str | None
    transaction: Mapping[str, Any] | None
    """`id`, `block` and `at` of the transaction that registered it; None where that is not said."""

    @property
    def sentence(self) -> str:
        """What it says, in words; texts out of the file are escaped."""
        called = quoted(self.iri) if self.title is None else f"{quoted(self.title)}, {quoted(self.iri)}"
        where = self.transaction
        by = (
            ""
            if where is None
            else f", by the transaction {quoted(where['id'])} in block {where['block']}, {quoted(where['at'])}"
        )
        return f"The purpose with the bit {self.bit} is {called}, which {quoted(self.owner)} has registered{by}."


class Named(NamedTuple):
    """The sentences on an organisation's own purposes."""

    recorded: tuple[str, ...]
    """Said by the ledger's answers."""
    said: tuple[str, ...]
    """Said by the file alone."""


def registered_in(whole: Fields, owner: str, purposes: int) -> tuple[Registered, ...]:
    """The member `purposes` of a file, by bits; raises `InvalidEvidence`.

    Args:
        owner: of the data set, whose purposes they have to be.
        purposes: the set of bits that the file proves; no other purpose may be named.
    """
    if not whole.has("purposes"):
        return ()
    listed = whole.value["purposes"]
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InvalidEvidence("the field /purposes must be a list of objects")
    found: dict[int, Registered] = {}
    for place, each in enumerate(listed):
        one = _read(Fields(each, f"/purposes/{place}", "record transaction", kind=_KIND))
        if one.owner != owner:
            raise InvalidEvidence(f"the field /purposes/{place} is a purpose of another organisation than the owner's")
        if not purposes >> one.bit & 1 or one.bit in found:
            raise InvalidEvidence(f"the field /purposes/{place} names a purpose that the proof does not have, or twice")
        found[one.bit] = one
    return tuple(found[bit] for bit in sorted(found))


def given_purposes(answers: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """The ledger's answers for purposes: of each the entry, out of a list of purposes too; raises `InvalidInput`."""
    found: list[Mapping[str, Any]] = []
    for answer in [answers] if isinstance(answers, Mapping) else answers or ():
        entries = answer.get("items", [answer])
        if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in entries):
            raise InvalidInput("what you gave as the ledger's purposes is not a list of them", field="purposes")
        for each in entries:
            given_record(each, "purpose", "registered purpose", "purposes")
            found.append(each)
    return found


def named(purposes: int, owner: str, said: Sequence[Registered], answers: Sequence[Mapping[str, Any]]) -> Named:
    """What the own purposes of a set are: by the ledger's answers where these name them, else by the file.

    Raises `InvalidEvidence` where the file says something else of a purpose than an answer, and `InvalidInput`.
    """
    by_file = {each.bit: each for each in said}
    by_ledger = {each.bit: (each, answer) for each, answer in _of_owner(owner, answers)}
    recorded: list[str] = []
    left: list[str] = []
    for bit in range(FIRST_OWN, LAST + 1):
        if not purposes >> bit & 1:
            continue
        own = by_file.get(bit)
        if bit in by_ledger:
            one, answer = by_ledger[bit]
            if own is not None:
                compare(own.record, one.record, f"purpose with the bit {bit}")
                same_transaction(own.transaction or {}, answer, f"purpose with the bit {bit}")
            recorded.append(one.sentence)
        elif own is not None:
            left.append(own.sentence)
    return Named(tuple(recorded), tuple(left))


def _of_owner(owner: str, answers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Registered, Mapping[str, Any]]]:
    for answer in answers:
        whole = answer if "record" in answer else {"record": answer}
        try:
            one = _read(Fields(dict(whole), "", None, kind=_KIND))
        except InvalidEvidence as exc:
            raise InvalidInput(f"what you gave as the ledger's purposes: {exc.detail}", field="purposes") from None
        if one.owner == owner:
            yield one, answer


def _read(whole: Fields) -> Registered:
    record = whole.inner("record")
    record.expect("kind", "purpose")
    where = whole.inner("transaction", "id block at") if whole.has("transaction") else None
    transaction = None
    if where is not None:
        transaction = {"id": where.text("id"), "block": where.number("block"), "at": where.text("at")}
    return Registered(
        record=record.value,
        owner=record.text("owner"),
        bit=record.number("bit", least=FIRST_OWN, most=LAST),
        iri=record.text("iri"),
        title=record.text("title") if record.has("title") else None,
        transaction=transaction,
    )
