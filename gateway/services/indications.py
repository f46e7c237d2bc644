# SPDX-License-Identifier: Apache-2.0
"""What data subjects indicated, out of files: who, which state, for which purposes, and when.

In a consent map an indication is a value of 17 bytes: ``state u8 ‖ purposes u64 ‖ indicated_at i64``, big-endian, the
time in milliseconds since 1970 (UTC). Ids of subjects are never part of it.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self, TypeGuard

from chaincode.domain.consent import PERMITTING, STATUSES, ConsentStatus
from chaincode.domain.errors import InvalidField
from chaincode.domain.marking import EVERY_PURPOSE
from chaincode.domain.records import Consent
from chaincode.domain.sparsemerkle import VALUE
from chaincode.domain.values import Instant, Purposes, SignedInstant
from gateway.services.consent import EVERYBODYS, UnknownTerm, Vocabulary, state_of
from gateway.services.files import RecordFile
from gateway.services.filters import instant_of
from gateway.services.jsonobjects import WholeNumber, typed_members
from gateway.services.parquet import PARQUET
from gateway.services.pieces import Row, fault_of_id
from gateway.services.ports import Reading
from gateway.services.tables import UnreadableRecords, fields_of

_DAY: Final = 86_400_000
_LONGEST_SAID: Final = 1 << 16
"""Characters of the purposes of one record: more than 64 of them, which is all that there can be, need."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a map says of a subject; ``Status.decode(status.encode()) == status``."""

    state: Consent
    purposes: int = 0
    """Bit set of 64 purposes."""
    indicated_at: int = 0
    """Milliseconds since 1970 (UTC)."""

    def encode(self) -> bytes:
        """The 17 bytes of a leaf's value."""
        return self.state.to_bytes(1) + self.purposes.to_bytes(8) + self.indicated_at.to_bytes(8, signed=True)

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read them; `ValueError` for bytes that are not one."""
        if len(value) != VALUE:
            raise ValueError(f"a value has {VALUE} bytes, not {len(value)}")
        return cls(Consent(value[0]), int.from_bytes(value[1:9]), int.from_bytes(value[9:], signed=True))

    @property
    def permitted(self) -> int:
        """The set of purposes for which processing is permitted."""
        return self.purposes if STATUSES[self.state] in PERMITTING else 0

    def permits(self, purpose: int) -> bool:
        """Whether processing for the purpose with this bit (0 to 63) is permitted."""
        return bool(self.permitted >> purpose & 1)

    def shown(self) -> dict[str, Any]:
        """As documents of the law have it: `status`, `purposes` in hex and `indicated_at`."""
        return {
            "status": STATUSES[self.state].value,
            "purposes": str(Purposes(self.purposes)),
            "indicated_at": int(SignedInstant(self.indicated_at)),
        }


"""The set of all purposes."""
_ENDED: Final = frozenset(
    {ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN, ConsentStatus.EXPIRED, ConsentStatus.INVALIDATED,
     ConsentStatus.TERMINATED}
)  # fmt: skip


def lost(before: Status | None, after: Status | None) -> int:
    """The set of purposes that a subject no longer permits.

    These are all where consent has just ended: records may have been selected for no purpose of the map's.
    """
    if _ended(after) and not _ended(before):
        return EVERY_PURPOSE
    return (0 if before is None else before.permitted) & ~(0 if after is None else after.permitted)


def _ended(status: Status | None) -> bool:
    return status is not None and STATUSES[status.state] in _ENDED


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns, or members, of a file say what; `None` where none does."""

    subject: str | None = None
    state: str | None = None
    purposes: str | None = None
    indicated_at: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are said."""
        return tuple(filter(None, (self.subject, self.state, self.purposes, self.indicated_at)))


INDICATIONS: Final = Columns("subject", "state", "purposes", "indicated_at")
"""The columns of a file that holds nothing but indications."""


class Interpreter:
    """Reads subject and status out of each row of a table.

    Purposes are names or IRIs with blanks, commas or semicolons between them, or a list of them. A time is text, or in
    Parquet a date or a timestamp in UTC. What no column says is as in `default`. Refusals name the record's number in
    the file, and never a subject.

    Args:
        vocabulary: what purposes are called.
        required: columns, or members of every record, that must be there; a member may be null.
    """

    def __init__(
        self,
        reading: Reading,
        columns: Columns,
        default: Status,
        *,
        vocabulary: Vocabulary = EVERYBODYS,
        required: tuple[str, ...] = (),
    ) -> None:
        self._reading = reading
        self._columns = columns
        self._default = default
        self._named = vocabulary.set_of
        self._of_texts = lru_cache(1_024, typed=True)(self._status)
        self._names = (columns.subject, columns.state, columns.purposes, columns.indicated_at)
        self._required = required
        self._places = [reading.fields.index(name) if name in reading.fields else None for name in self._names]
        missing = [name for name in required if name not in reading.fields] if reading.fields else []
        if missing:
            reason = f"there is no column {missing[0]!r}; there are {', '.join(reading.fields)[:200]}"
            if reading.media_type == PARQUET:
                raise UnreadableRecords(f"Parquet: {reason}", row=0, reason=reason)
            raise UnreadableRecords(f"line 1: {reason}", line=1, reason=reason)

    def of(self, row: Row, number: int) -> tuple[str, Status]:
        """The subject, empty where no column says who it is, and the status; raises `UnreadableRecords`."""
        if not self._columns.names:
            return "", self._default
        try:
            subject, state, purposes, at = self._said(row)
            # Of many rows few say anything that none before them said.
            texts = all(isinstance(each, str | None) for each in (state, purposes, at))
            status = self._of_texts if texts else self._status
            return self._subject(subject), status(state, purposes, at)
        except (UnknownTerm, InvalidField, ValueError) as exc:
            reason = exc.message if isinstance(exc, UnknownTerm) else str(exc)
            raise UnreadableRecords(f"record {number}: {reason}", index=number, reason=reason) from None

    def _said(self, row: Row) -> list[Any]:
        """What the row has in each of the four columns; `None` where it has nothing, or no column says it."""
        if self._reading.delimiter is None:
            members = typed_members(row.content)
            for name in self._required:
                if name not in members:
                    raise ValueError(f"it has no member {name!r}; where nothing is said that is null")
            return [None if name is None else members.get(name) for name in self._names]
        fields = fields_of(row, self._reading)
        return [None if place is None else fields[place] for place in self._places]

    def _subject(self, subject: object) -> str:
        if self._columns.subject is None:
            return ""
        if not isinstance(subject, str):
            raise ValueError(f"{self._columns.subject!r} must hold the id of a subject, as text or a whole number")
        if (fault := fault_of_id(subject, "subject")) is not None:
            raise ValueError(f"{self._columns.subject!r} must hold the id of a subject; {fault}")
        return str(subject)

    def _status(self, state: object, purposes: object, at: object) -> Status:
        default, columns = self._default, self._columns
        if state is not None and not _is_text(state):
            raise ValueError(f"{columns.state!r} must be a consent state such as ConsentGiven")
        return Status(
            state_of(state) if state else default.state,
            default.purposes if columns.purposes is None else self._purposes(() if purposes is None else purposes),
            default.indicated_at if at in (None, "") else self._instant(at),
        )

    def _instant(self, said: object) -> Instant:
        """A time in milliseconds; what is finer is rounded up, as everywhere."""
        if _is_text(said):
            return Instant(instant_of(said))
        match said if self._reading.media_type == PARQUET else None:
            case {"$timestamp": WholeNumber() as nanoseconds}:
                return Instant(-(-int(nanoseconds) // 1_000_000))
            case {"$date": WholeNumber() as days}:
                return Instant(int(days) * _DAY)
            case {"$datetime": _}:
                raise ValueError(f"{self._columns.indicated_at!r} has no time zone; write it as a timestamp in UTC")
        raise ValueError(f"{self._columns.indicated_at!r} must be an instant of RFC 3339, or a date, as text")

    def _purposes(self, said: object) -> int:
        if _is_text(said):
            self._refuse_long(len(said))
            return self._named(tuple(said.replace(",", " ").replace(";", " ").split()))
        if isinstance(said, list | tuple) and all(map(_is_text, said)):
            self._refuse_long(sum(map(len, said)))
            return self._named(tuple(said))
        raise ValueError(f"{self._columns.purposes!r} must be a list of purposes, or a text with blanks between them")

    def _refuse_long(self, characters: int) -> None:
        if characters > _LONGEST_SAID:
            raise ValueError(f"{self._columns.purposes!r} has more than {_LONGEST_SAID} characters")


def _is_text(said: object) -> TypeGuard[str]:
    return isinstance(said, str) and not isinstance(said, WholeNumber)


def indications(table: RecordFile, now: int, vocabulary: Vocabulary = EVERYBODYS) -> Generator[tuple[str, Status]]:
    """Every indication of a file with the columns `INDICATIONS`, in its order; one record is in memory at a time.

    The last two columns may be left out: what has no time is of `now` (milliseconds).
    """
    unknown = Status(Consent.UNKNOWN, 0, now)
    with closing(table):
        interpreter = Interpreter(
            table.reading, INDICATIONS, unknown, vocabulary=vocabulary, required=INDICATIONS.names[:2]
        )
        for number, row in enumerate(table.rows(), start=1):
            subject, status = interpreter.of(row, number)
            if status.state == Consent.UNKNOWN:
                reason = f"it has no {INDICATIONS.state!r} that anyone indicated"
                raise UnreadableRecords(f"record {number}: {reason}", index=number, reason=reason)
            yield subject, status
