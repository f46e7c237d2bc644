# SPDX-License-Identifier: Apache-2.0
"""What the use cases need of the world outside, as small as their use.

Failures are in `failures.py`, the owner's records in `holdings.py`, submissions in `submissions.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.services.conditions import Tally as Tally
from gateway.services.conditions import Where as Where
from gateway.services.deeds import UNTOLD
from gateway.services.deeds import Deed as Deed
from gateway.services.deeds import LedgerWrite as LedgerWrite
from gateway.services.endings import Ending as Ending
from gateway.services.endings import Failed as Failed
from gateway.services.endings import Recorded as Recorded
from gateway.services.failures import AlreadyProposed as AlreadyProposed
from gateway.services.failures import Category as Category
from gateway.services.failures import Damaged as Damaged
from gateway.services.failures import (
    EndorsementMismatch as EndorsementMismatch,
)
from gateway.services.failures import (
    EndorsementRefused as EndorsementRefused,
)
from gateway.services.failures import (
    Forbidden as Forbidden,
)
from gateway.services.failures import (
    IdentityExpired as IdentityExpired,
)
from gateway.services.failures import (
    LedgerMisuse as LedgerMisuse,
)
from gateway.services.failures import (
    NothingOrdered as NothingOrdered,
)
from gateway.services.failures import (
    OrganisationsRequired as OrganisationsRequired,
)
from gateway.services.failures import (
    OutcomeUnknown as OutcomeUnknown,
)
from gateway.services.failures import (
    PortError as PortError,
)
from gateway.services.failures import (
    Refused as Refused,
)
from gateway.services.failures import (
    StorageFailed as StorageFailed,
)
from gateway.services.failures import (
    StorageFull as StorageFull,
)
from gateway.services.failures import (
    TimedOut as TimedOut,
)
from gateway.services.failures import (
    TooLarge as TooLarge,
)
from gateway.services.failures import (
    Unavailable as Unavailable,
)
from gateway.services.holdings import Reading as Reading
from gateway.services.holdings import RecordColumns as RecordColumns
from gateway.services.holdings import RecordHead as RecordHead
from gateway.services.holdings import Records as Records
from gateway.services.holdings import RecordSet as RecordSet
from gateway.services.holdings import RepeatedRecord as RepeatedRecord
from gateway.services.holdings import StoredRecord as StoredRecord
from gateway.services.memberships import Memberships as Memberships
from gateway.services.memberships import Whereabouts as Whereabouts
from gateway.services.ordered import BlockBytes as BlockBytes
from gateway.services.ordered import EvidenceTooLarge as EvidenceTooLarge
from gateway.services.ordered import OrderedTransaction as OrderedTransaction
from gateway.services.signing import Signature as Signature
from gateway.services.signing import Signer as Signer
from gateway.services.signing import ToSign as ToSign
from gateway.services.submissions import Submission as Submission
from gateway.services.submissions import Submissions as Submissions
from gateway.services.walks import Links

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An endorsed transaction that is ready to be submitted."""

    transaction_id: str
    envelope: bytes
    """Serialised, so that exactly this transaction can be sent again after a restart."""
    reply: Json
    """What the chaincode answered: `record` and `event`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one transaction: Fabric's validation code (0 is VALID) and the block that holds it."""

    transaction_id: str
    code: int
    block: int
    envelope: str = ""
    """The mark of the envelope that is there (see `Ledger.mark`); empty where that is not known. Anybody may order
    an envelope under an id that they have seen, and make it invalid by that."""

    @property
    def valid(self) -> bool:
        return self.code == 0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a peer answered to a query."""

    answer: Json
    height: int
    """How many blocks the peer held before it was asked."""


class Ledger(Protocol):
    """The consortium's ledger as one organisation's gateway reaches it; thread-safe."""

    def prepare(
        self, function: str, command: str, *, nonce: bytes, token: str, client: str, organisations: tuple[str, ...]
    ) -> Prepared:
        """Simulate and collect endorsements for canonical JSON `command`.

        The transaction id depends on `nonce` alone (and on the signing certificate). `token` (64 hexadecimal digits)
        names the request on the ledger, whatever certificate signs: it finds a repeat after a new enrolment. `client`
        (32 digits) says who called, to this gateway alone. `organisations` (MSP ids) are those whose peers must
        endorse; without any the peer chooses. Raises `Refused`, `AlreadyProposed` or a `NothingOrdered`.
        """
        ...

    def submit(self, envelope: bytes) -> None:
        """Hand the envelope to ordering; returns when it is accepted, which is before it is committed.

        Sending the same envelope twice is harmless. Raises `OutcomeUnknown` or a `NothingOrdered`.
        """
        ...

    def mark(self, envelope: bytes) -> str:
        """What tells an envelope from any other with the same transaction id: SHA-256 over what was signed and the
        signature, in hex."""
        ...

    def outcome(self, transaction_id: str, timeout: float) -> Outcome | None:
        """Ask the peer how a transaction ended; `None` when it is not known within `timeout` seconds."""
        ...

    def evaluate(self, function: str, command: str) -> Evaluated:
        """Run a query on the organisation's own peer; nothing is ordered. Raises `Refused` or a `NothingOrdered`."""
        ...


REQUESTS_APART = "\n"
"""What is between the requests that one transaction recorded."""


@dataclass(frozen=True, slots=True)
class LedgerTransaction:
    """One transaction of a block, valid or not."""

    transaction_id: str
    index: int
    code: int
    creator: str
    """MSP id of who signed it; empty when the envelope could not be read."""
    at: str
    """The client's claimed time, RFC 3339 in UTC."""
    reply: Json | None
    """What the chaincode answered: `record` and `event`. Only where the transaction is valid and the record is among
    its public writes, since those are what the chaincode's endorsement policy covers."""
    writes: tuple[LedgerWrite, ...]
    """Empty unless the transaction is valid."""
    envelope: str = ""
    """The envelope's mark, see `Ledger.mark`."""
    request: str | None = None
    """Organisation, token and SHA-256 of the command that it recorded, joined by colons; of a batch those of each
    command and of the whole, with `REQUESTS_APART` between them. `None` where it recorded none."""
    said: Json | None = None
    """What was answered without public writes to show for it: the word of `creator` and of its endorsers."""
    leaf: bytes = b""
    """Its entry in the transparency log (64 bytes); empty where it is not valid, or is a channel's configuration."""
    deed: Deed = UNTOLD


@dataclass(frozen=True, slots=True)
class LedgerBlock:
    """A committed block in the gateway's own terms."""

    number: int
    hash: str
    previous_hash: str
    transactions: tuple[LedgerTransaction, ...]
    config: bytes | None = None
    """The channel's configuration that holds from here on, as the ledger has it; `None` where it stays as it was."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the blocks say of a transaction id: of the occurrence that is valid, else of the first one."""

    outcome: Outcome
    creator: str
    """MSP id of who signed it; proven only where it is valid."""
    request: str | None
    reply: Json | None
    said: Json | None
    """These three as in `LedgerTransaction`."""


class BlockSource(Protocol):
    """The one stream of committed blocks."""

    def command(self, transaction_id: str, block: int) -> str | None:
        """A committed command in canonical JSON, as its block has it; nobody compared it with what was done."""

    def ordered(self, transaction_id: str, block: int) -> OrderedTransaction | None:
        """A transaction as its block has it, with what shows it; `None` where the block has none of that id.

        Raises `EvidenceTooLarge`, and as `blocks` does.
        """
        ...

    def tip(self) -> int | None:
        """How many blocks the ledger is known to hold; `None` when nobody knows. Raises as `blocks` does."""
        ...

    def blocks(
        self, start: int, stop: Callable[[], bool], *, previous_hash: str | None, config: bytes | None = None
    ) -> Iterator[LedgerBlock]:
        """Yield blocks from number `start` on, in order and without gaps, until the stream breaks or `stop()`.

        The first one follows on the block with header hash `previous_hash` (hex), where that is known, and was ordered
        under `config`, the last one that a block before it put in force. A broken stream
        raises `Unavailable`; the caller starts again from its own position. Blocks that do not follow raise
        `LedgerMisuse`.
        """
        ...

    def interrupt(self) -> None:
        """Wake a thread that waits in `blocks`, from another thread, so that it can stop."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """The current value of one ledger entry in the read model, and the transaction that wrote it."""

    key: str
    kind: str
    value: Json
    transaction_id: str
    block: int
    at: str


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in their order; `next` continues after the last one and is `None` at the end."""

    items: tuple[Entry, ...]
    next: str | None
    complete: bool = True
    """Whether every beginning that was asked for was looked up in full (see `conditions.Begins`)."""


class ReadModel(Protocol):
    """What queries see. Rebuilt from blocks at any time; never the only copy of anything."""

    def height(self) -> int:
        """The number of blocks applied; 0 for an empty read model."""
        ...

    def time_below(self, height: int) -> int:
        """The time of the last block below a height in which something was written, in milliseconds since 1970."""
        ...

    def last_hash(self) -> str | None:
        """Header hash of the last applied block, or `None` before the first."""
        ...

    def genesis(self) -> str | None:
        """Header hash of the chain's first block, or `None` before it was applied."""
        ...

    def config(self) -> bytes | None:
        """The channel's configuration as of the last applied block, or `None` before the first."""
        ...

    def apply(self, block: LedgerBlock) -> None:
        """Apply the next block; rows, configuration and position move in one SQL transaction.

        Refuses gaps and foreign blocks.
        """
        ...

    def clear(self) -> None:
        """Forget everything, so that the same path can rebuild it from block 0."""
        ...

    def get(self, key: str) -> Entry | None: ...

    def list(self, kind: str, *, where: Where, after: str | None, limit: int) -> Page:
        """Entries of a kind (or of `ANY_KIND`) that are as `where` says; the order is that of `conditions`.

        `after` is the `next` of the page before; `ValueError` where it is not one. What one call looks at is bounded:
        where two conditions or more are given, a page may hold fewer than `limit` entries, or none, and still have a
        `next`.
        """
        ...

    def count(self, kind: str, *, where: Where) -> Tally:
        """How many entries there are, counted as far as one call may look."""
        ...

    def last(self, kind: str, *, where: Where) -> Entry | None:
        """The entry of a kind that was first written last, of those that are as `where` says."""
        ...

    def transaction(self, transaction_id: str) -> Seen | None:
        """What is known of a transaction, or `None` when no applied block holds it."""
        ...

    def recorded(self, request: str) -> Seen | None:
        """The valid transaction whose text of requests begins so, such as with `MSPID:TOKEN:`; or `None`."""
        ...

    def history(self, key: str) -> Sequence[Entry]:
        """Every value that an entry had, oldest first; deletions are left out."""
        ...

    def links(self, place: int, block: int, limit: int) -> Links:
        """Links of the lineage after a place, in their order; and the stages and marks written from a block on."""
        ...


Clock = Callable[[], float]
"""Wall-clock seconds since the epoch, UTC."""


class Meter(Protocol):
    """Where durations and counts go; implementations must not raise."""

    def observe(self, stage: str, seconds: float) -> None: ...

    def count(self, what: str) -> None: ...
