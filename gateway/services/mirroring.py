# SPDX-License-Identifier: Apache-2.0
"""This gateway as a mirror of others' logs (c2sp.org/tlog-mirror): it states that it has all their entries.

A mirror has a copy of a log. This one need not be sent any: the entries of every log of a channel are the valid
transactions of the ledger that this organisation keeps itself. A log's checkpoint comes by `add-checkpoint`, where the
witness accepts it only if it is the very head that our own blocks give; so whatever checkpoint is pending, its entries
are here. What is left of `add-entries` is to compare them once more, to keep the checkpoint as the one that is
mirrored, and to cosign it, by keys of the mirror's own. It is on the disk before a cosignature leaves.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from gateway.services.logs import Heads, Leaves, SignedHead
from gateway.services.ports import Category, Meter, PortError, Unavailable
from gateway.services.witnessing import Forked, UnknownLog
from gateway.tlog import notes
from gateway.tlog.errors import TlogError
from gateway.tlog.keys import Verifier
from gateway.tlog.notes import NoteSignature, NoteSigner
from gateway.tlog.uploads import Upload

_LOG: Final = logging.getLogger(__name__)


class UploadRefused(PortError):
    """A request is not what the protocol asks for."""

    code = "malformed-upload"
    category = Category.UNREADABLE


class NothingPending(PortError):
    """The log has sent no checkpoint yet."""

    code = "no-pending-checkpoint"
    category = Category.UNACCEPTABLE


class AnotherUpload(PortError):
    """The entries that were named are not those that are needed; the protocol has its own form for this answer."""

    code = "another-upload-needed"
    category = Category.CONFLICT

    def __init__(self, size: int, following: int) -> None:
        super().__init__(f"This mirror knows a checkpoint of {size} entries.", size=size, next=following)
        self.size = size
        self.following = following


class Mirror:
    """Says up to where it has other organisations' logs; thread-safe."""

    def __init__(
        self, signers: Sequence[NoteSigner], leaves: Leaves, heads: Heads, *,
        logs: Callable[[], Mapping[str, Sequence[Verifier]]], meter: Meter,
    ) -> None:  # fmt: skip
        """Assign.

        Args:
            signers: the mirror's own keys; by another name than the witness's, and none of its keys.
            logs: the keys of the logs that are mirrored, by origin, as they are configured now.
        """
        self._signers = signers
        self._leaves = leaves
        self._heads = heads
        self._logs = logs
        self._meter = meter

    def mirrored(self) -> Mapping[str, SignedHead | None]:
        """The logs that are mirrored, by origin, each with the checkpoint up to which it is."""
        return {origin: self._heads.mirrored(origin) for origin in self._logs()}

    def find(self, origin_hash: str) -> SignedHead | None:
        """The checkpoint up to which the log is mirrored whose origin has this SHA-256, in hex."""
        origins = (origin for origin in self._logs() if sha256(origin.encode()).hexdigest() == origin_hash)
        return next((found for origin in origins if (found := self._heads.mirrored(origin)) is not None), None)

    def add_entries(self, content: bytes) -> bytes:
        """Move the mirrored checkpoint on to the one that is pending, and answer the mirror's signature lines.

        Raises `UploadRefused`, `UnknownLog`, `NothingPending`, `AnotherUpload`, `Forked`, and `Unavailable` where this
        gateway is still reading the ledger.
        """
        try:
            upload = Upload.parse(content)
        except TlogError as exc:
            raise UploadRefused(f"This is not an upload to a mirror: {exc}.") from None
        if upload.origin not in self._logs():
            raise UnknownLog("No log with this origin is mirrored here.")
        pending = self._heads.pending(upload.origin)
        if pending is None:
            raise NothingPending("This log has sent no checkpoint yet: add-checkpoint comes before add-entries.")
        kept = self._heads.mirrored(upload.origin)
        if kept is not None and upload.end == upload.start == kept.head.size and (lines := self._own(kept.note)):
            return _format(lines)
        # What is pending is here: every entry that would be sent is one too many.
        if not upload.start == upload.end == pending.head.size:
            raise AnotherUpload(pending.head.size, pending.head.size)
        self._refuse_other_entries(pending)
        note = notes.parse(pending.note)
        lines = tuple(notes.signature_of(note.text, each) for each in self._signers)
        if not self._heads.mirror(upload.origin, SignedHead(pending.head, note.with_signatures(*lines).format())):
            raise AnotherUpload(pending.head.size, pending.head.size)  # another request was faster and went further
        self._meter.count("log-mirrored")
        return _format(lines)

    def _own(self, note: bytes) -> tuple[NoteSignature, ...]:
        """The lines of this mirror's keys, where all of them signed."""
        own = {each.key for each in self._signers}
        found = tuple(each for each in notes.parse(note).signatures if each.key in own)
        return found if len(found) == len(own) else ()

    def _refuse_other_entries(self, pending: SignedHead) -> None:
        """Show that the entries which this gateway has are those of the checkpoint; else raise."""
        tree = self._leaves.tree()
        if tree.size < pending.head.size:
            raise Unavailable(f"This mirror has read {tree.size} entries itself.", code="catching-up")
        if tree.root(pending.head.size) != pending.head.root:
            _LOG.critical("the ledger that is read does not give the %d entries to be mirrored", pending.head.size)
            raise Forked(f"Its root over {pending.head.size} entries is not the one that the ledger gives.")


def _format(lines: Sequence[NoteSignature]) -> bytes:
    return b"".join(each.format() for each in lines)
