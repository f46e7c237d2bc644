# SPDX-License-Identifier: Apache-2.0
"""Splits of a data set by a seed: which part a record is in follows from the seed, the shares, and its id or subject.

A record's place is the number that the first eight bytes, big-endian, of

    SHA-256("pedigree-split/v1" ‖ 00 ‖ seed ‖ 00 ‖ id)

make, divided by 2^64; seed and id are UTF-8. Where all records of a data subject are to be in one part, it is that of

    SHA-256("pedigree-split/v2" ‖ 00 ‖ seed ‖ 00 ‖ subject reference)

with the 32 bytes of the reference, so that nobody is in training and test both. The parts share the range from 0 to 1
in the order in which they are named, and a record is in the part that its place falls into. So anyone who knows the ids
(or the references) finds the same parts, and a record stays in its part whatever is added to the data set, left out of
it or withdrawn: nothing that a model was trained on comes into the test of the next. The parts have their shares of the
records (or subjects) as chance has them: of `n` a share `s` has ``n·s``, give or take about the square root of
``n·s·(1-s)``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256
from itertools import accumulate
from math import ceil
from typing import Final, Self

from chaincode.domain.usage import InputRole
from gateway.services.filters import InvalidParameter


class By(StrEnum):
    """What a split keeps together."""

    RECORD = "record"
    """Nothing: each record has a place of its own."""
    SUBJECT = "subject"
    """All records of a data subject."""


SCHEMES: Final[Mapping[By, str]] = {By.RECORD: "pedigree-split/v1", By.SUBJECT: "pedigree-split/v2"}
LONGEST_SEED: Final = 100
_SHARE: Final = re.compile(r"0?\.[0-9]{1,9}|1(?:\.0{1,9})?")
_ROLES: Final = tuple(role.value for role in InputRole)
_EXAMPLE: Final = "train=0.8,validation=0.1,test=0.1"


@dataclass(frozen=True, slots=True)
class Split:
    """Shares of a data set by their roles, and a seed."""

    parts: tuple[tuple[InputRole, str], ...]
    """Each part with its share, as it was written."""
    seed: str
    by: By = By.RECORD

    @classmethod
    def parse(cls, parts: str, seed: str | None, by: str = By.RECORD) -> Self:
        """Read `train=0.8,validation=0.1,test=0.1`, the seed and what is kept together; raises `InvalidParameter`.

        Where the shares come to less than 1, the rest of the records is in no part.
        """
        found: dict[InputRole, str] = {}
        for part in parts.split(","):
            role, _, share = (word.strip() for word in part.partition("="))
            if role not in _ROLES or not _SHARE.fullmatch(share) or not Fraction(share):
                said = f"it names shares above 0 of {', '.join(_ROLES)}, such as {_EXAMPLE}"
                raise InvalidParameter("split", said)
            if InputRole(role) in found:
                raise InvalidParameter("split", f"it names {role} twice")
            found[InputRole(role)] = share
        if sum(map(Fraction, found.values())) > 1:
            raise InvalidParameter("split", "the shares come to more than 1")
        if seed is None or not 1 <= len(seed) <= LONGEST_SEED or not seed.isprintable():
            raise InvalidParameter("seed", f"a split needs a seed, 1 to {LONGEST_SEED} printable characters")
        if by not in list(By):
            raise InvalidParameter("split_by", f"it must be one of {', '.join(By)}")
        return cls(tuple(found.items()), seed, By(by))

    @property
    def roles(self) -> tuple[InputRole, ...]:
        """The parts that there are."""
        return tuple(role for role, _ in self.parts)

    def __str__(self) -> str:
        """What the ledger is given to say of it; it suffices to find the parts again."""
        shares = ",".join(f"{role}={share}" for role, share in self.parts)
        return f"split {shares} by the seed {self.seed!r} ({SCHEMES[self.by]})"


class Splitter:
    """Finds the part of each record of a split."""

    def __init__(self, split: Split) -> None:
        ends = accumulate(Fraction(share) for _, share in split.parts)
        # Rounded up: what is below the end, which need not be whole, is below this too.
        self._ends = [(role, ceil(end * (1 << 64))) for role, end in zip(split.roles, ends, strict=True)]
        self._seeded = sha256(f"{SCHEMES[split.by]}\0{split.seed}\0".encode())

    def part_of(self, name: bytes) -> InputRole | None:
        """The part that a record is in; `None` where it is in none.

        Args:
            name: the record's id in UTF-8; or, of a split by subjects, the reference of its subject.
        """
        digest = self._seeded.copy()
        digest.update(name)
        place = int.from_bytes(digest.digest()[:8])
        return next((role for role, end in self._ends if place < end), None)
