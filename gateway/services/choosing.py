# SPDX-License-Identifier: Apache-2.0
"""Which records of a version are chosen, and why the others are not: by a list, by consent, by a split.

Records are looked at in batches, in the order of the version; in memory are a bit for each, and a few of their hashes.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Final, NamedTuple

from chaincode.domain.consent import PERMITTING, STATUSES
from chaincode.domain.records import Consent
from chaincode.domain.usage import InputRole
from gateway.services.holdings import RecordHead
from gateway.services.indications import Status
from gateway.services.members import Members
from gateway.services.ports import Records, RecordSet
from gateway.services.progress import Progress
from gateway.services.splits import By, Split, Splitter
from gateway.services.statusmaps import StatusMaps
from gateway.services.tiles import Growing, Tile
from gateway.services.trees import NotHeld, batches

NOT_LISTED: Final = "not on the list"
NO_SUBJECT: Final = "no data subject is named"
NOT_IN_THE_MAP: Final = "the data subject is not in the consent map"
OTHER_PURPOSES: Final = "consent is for other purposes only"
NO_PART: Final = "in no part of the split"

Reasons = Sequence[str | None]
Condition = Callable[[int, Sequence[RecordHead]], Reasons]
"""Given the position of the first of some records, and these: why each of them is left out, `None` where it is not."""


class Chosen(NamedTuple):
    """What was chosen of a version."""

    members: Members
    tree: Growing
    tiles: list[Tile]
    """Those of the tree above its leaves."""
    left_out: Counter[str]
    """How many were left out, by the first reason of each."""


def choose(
    records: Records, held: RecordSet, within: Members | None, conditions: Sequence[Condition], progress: Progress
) -> Chosen:
    """The records that every condition lets through; raises `NotHeld` where the store is not what was committed.

    Args:
        within: where given, no other records are looked at.
    """
    bits = bytearray((held.size + 7) // 8)
    whole, tree = Growing(), Growing()
    tiles: list[Tile] = []
    left_out: Counter[str] = Counter()
    start = 0
    for heads in batches(records.heads(held.root)):
        whole.extend(b"".join([head.leaf for head in heads]))
        leaves = bytearray()
        for position, (head, reason) in enumerate(zip(heads, _first(conditions, start, heads), strict=True), start):
            if within is not None and position not in within:
                continue
            if reason is None:
                bits[position >> 3] |= 1 << (position & 7)
                leaves += head.leaf
            else:
                left_out[reason] += 1
        tiles += tree.extend(bytes(leaves))
        start += len(heads)
        progress.records = start
    if whole.root().hex() != held.root:
        raise NotHeld("the stored records no longer lead to the committed root; run dataset verify", root=held.root)
    tiles += tree.edge()
    return Chosen(Members(bytes(bits)), tree, [tile for tile in tiles if tile.level], left_out)


def _first(conditions: Sequence[Condition], start: int, heads: Sequence[RecordHead]) -> Iterator[str | None]:
    """Of each record the first reason that there is."""
    found = [condition(start, heads) for condition in conditions]
    if not found:
        return repeat(None, len(heads))
    if len(found) == 1:
        return iter(found[0])
    return (next(filter(None, reasons), None) for reasons in zip(*found, strict=True))


# --- Conditions -------------------------------------------------------------------------------------------------


def on_list(numbers: "array[int]") -> Condition:
    """Those that a list names; `numbers` are as `idlists.listed` has them."""

    def reasons(start: int, heads: Sequence[RecordHead]) -> Reasons:
        return [None if number else NOT_LISTED for number in numbers[start : start + len(heads)]]

    return reasons


def in_part(split: Split, role: InputRole) -> Condition:
    """Those in one part of a split; of one by subjects, a record of nobody is in none."""
    part_of = Splitter(split).part_of
    why: dict[InputRole | None, str | None] = {each: other_part(each) for each in split.roles}
    why |= {None: NO_PART, role: None}

    def by_record(_: int, heads: Sequence[RecordHead]) -> Reasons:
        return [why[part_of(head.id.encode())] for head in heads]

    def by_subject(_: int, heads: Sequence[RecordHead]) -> Reasons:
        return [why[part_of(head.subject)] if head.subject else NO_SUBJECT for head in heads]

    return by_subject if split.by is By.SUBJECT else by_record


def other_part(role: InputRole) -> str:
    """Why a record is left out that is in this part, where another one is chosen."""
    return f"in the part '{role}' of the split"


def permitted_by(maps: StatusMaps, dataset: str, number: int, bit: int) -> Condition:
    """Those whose data subjects permit the purpose with this bit, as a version of the consent map has it."""
    said: dict[bytes | None, str | None] = {None: NOT_IN_THE_MAP}

    def why(value: bytes | None) -> str | None:
        # Values that differ in nothing but their times are few: each is read once.
        known = None if value is None else value[:9]
        if known not in said and value is not None:
            said[known] = _why_not(Status.decode(value), bit)
        return said[known]

    def reasons(_: int, heads: Sequence[RecordHead]) -> Reasons:
        subjects = list({head.subject for head in heads if head.subject})
        values = dict(zip(subjects, maps.values(dataset, number, subjects), strict=True))
        return [why(values[head.subject]) if head.subject else NO_SUBJECT for head in heads]

    return reasons


def permitted_as_collected(bit: int) -> Condition:
    """Those whose consent permitted the purpose with this bit when they were collected."""
    said: dict[tuple[int, int], str | None] = {}

    def why(head: RecordHead) -> str | None:
        known = head.consent, head.purposes
        if known not in said:
            said[known] = _why_not(Status(Consent(head.consent), head.purposes), bit)
        return said[known]

    return lambda _, heads: [why(head) for head in heads]


def _why_not(status: Status, bit: int) -> str | None:
    if status.permits(bit):
        return None
    name = STATUSES[status.state]
    return OTHER_PURPOSES if name in PERMITTING else str(name.value)
