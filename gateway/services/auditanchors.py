# SPDX-License-Identifier: Apache-2.0
"""Anchors the audit log: from time to time, where it has grown, its size and root are committed to on the ledger.

One thread, which nobody waits for. An anchor is on the disk before it is sent, and is sent until the ledger has it or
another one under its number; a restart goes on with the same one. So the ledger never has two that this gateway meant
for one number. An anchor needs one transaction and one place among the submissions, like a client's.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Final

from chaincode.domain import canonical
from chaincode.domain.auditing import AnchorAudit, AuditAnchor
from chaincode.domain.errors import LedgerError
from chaincode.domain.register import FUNCTION_OF, KIND_OF
from gateway.services.auditlog import Anchor, AuditLog
from gateway.services.catalogue import Catalogue
from gateway.services.monotonic import SYSTEM, Monotonic
from gateway.services.ports import Category, Json, PortError, Recorded
from gateway.services.recording import Recorder, command_from
from gateway.services.submitter import Answer, Intent

_LOG = logging.getLogger(__name__)
FUNCTION: Final = FUNCTION_OF[AnchorAudit]
KIND: Final = KIND_OF[AuditAnchor].name
CLIENT: Final = "gateway:audit-log"
"""Whom transactions of the gateway's own are for; no API key has this id."""
_FILLED: Final[Json] = {"log": "0" * 64, "number": 1, "size": 1, "root": "0" * 64}
"""Stands for what the gateway fills in."""
_TICK: Final = 1.0
"""Seconds until an entry is on the disk, at most, and until what was counted is looked at."""
_FIRST_PAUSE: Final = 5.0


class NothingToAnchor(PortError):
    """The log has no entry that is not anchored."""

    code = "nothing-to-anchor"
    category = Category.CONFLICT


class LogAltered(PortError):
    """The log on this disk is not the one that was anchored: nothing is anchored until its operator has looked."""

    code = "audit-log-altered"
    category = Category.FAULT


class AuditAnchors:
    """Commits to the audit log of this gateway; thread-safe."""

    def __init__(
        self,
        log: AuditLog,
        recorder: Recorder,
        catalogue: Catalogue,
        organisation: str,
        *,
        interval: float,
        leads: Callable[[], bool] = lambda: True,
        monotonic: Monotonic = SYSTEM,
    ) -> None:
        """Assign.

        Args:
            interval: seconds between two anchors, at least.
            leads: whether it is for this gateway to anchor from time to time.
        """
        self._leads = leads
        self._log = log
        self._recorder = recorder
        self._catalogue = catalogue
        self._organisation = organisation
        self._interval = interval
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._tries = 0
        """Keys of the present anchor that ended in a refusal which stands."""
        self.trouble: str | None = None
        """Why the last round anchored nothing although there was something new; `None` where it did."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-anchors", daemon=True)

    @property
    def anchored(self) -> int:
        """How many entries the last anchor on the ledger covers."""
        last, _ = self._log.store.anchors()
        return 0 if last is None else last.size

    def start(self) -> None:
        """Begin to anchor."""
        self._thread.start()

    def stop(self, within: float = 2.0) -> None:
        """Anchor once more where there is anything new; what is not there in time (seconds) comes after a restart."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within)

    def anchor(self, intent: Intent, given: Json) -> Answer:
        """Anchor the log as it is now; what the command says is filled in where it is not given.

        Raises `NothingToAnchor`, `LogAltered`, and as `Recorder.record` does.
        """

        _command({**_FILLED, **given})  # what is wrong with its form is said at once

        def build() -> AnchorAudit:
            with self._turn:
                anchor, said = self._next()
            if anchor is None and not _FILLED.keys() <= given.keys():
                raise NothingToAnchor("every entry of the audit log is anchored")
            return _command({**said, **given})

        answer = self._recorder.submit(intent, FUNCTION, build)
        with self._turn:
            self._confirmed()
        return answer

    def round(self) -> bool:
        """Anchor what is new; False where the ledger does not have it yet."""
        try:
            done = self._round()
        except (PortError, LedgerError) as exc:
            self._complain(str(exc))
            return False
        if done:
            self.trouble = None
        return done

    def _round(self) -> bool:
        with self._turn:
            self._confirmed()
            anchor, said = self._next()
        if anchor is None:
            return True
        command = _command(said)
        key = f"{said['log']}:{anchor.number}:{self._tries}"
        intent = Intent(CLIENT, key, sha256(canonical.encode(said)).hexdigest())
        answer = self._recorder.submit(intent, FUNCTION, lambda: command)
        if isinstance(answer.ending, Recorded):
            transaction = answer.ending.body["transaction"]
            with self._turn:
                self._keep(replace(anchor, transaction_id=transaction["id"], block=transaction["block"]))
            return True
        if answer.ending is not None:
            # A refusal that stands is kept under its key: what was in the way may be gone, so the next key is asked.
            self._tries += not answer.ending.retryable
            self._complain(answer.ending.detail)
        return False

    def _next(self) -> tuple[Anchor | None, Json]:
        """The anchor that is to be on the ledger next, kept on the disk, and its command's fields."""
        last, pending = self._log.store.anchors()
        tree = self._log.tree()
        size, before = tree.size, 0 if last is None else last.size
        if last is not None and (size < before or tree.root(before) != last.root):
            raise LogAltered(
                f"the audit log does not begin with the {before} entries of its anchor {last.number}: it was set back "
                "or altered"
            )
        if pending is None and size > before:
            self._keep(Anchor(1 if last is None else last.number + 1, size, tree.root(size)))
            _, pending = self._log.store.anchors()
        if pending is None:
            return None, {}
        if size < pending.size or tree.root(pending.size) != pending.root:
            raise LogAltered(f"the audit log does not begin with the {pending.size} entries that are being anchored")
        said: Json = {
            "log": tree.leaf(0).hex(),
            "number": pending.number,
            "size": pending.size,
            "root": pending.root.hex(),
        }
        return pending, said if last is None else {**said, "previous": last.root.hex()}

    def _confirmed(self) -> None:
        """Keep what the blocks say of the next anchor; raises `LogAltered` where they have another under its number."""
        _, pending = self._log.store.anchors()
        if pending is None:
            return
        log = self._log.tree().leaf(0).hex()
        found = self._catalogue.find(KIND, owner=self._organisation, log=log, number=str(pending.number))
        if found is None:
            return
        if (found.value["size"], found.value["root"]) != (pending.size, pending.root.hex()):
            raise LogAltered(
                f"the ledger has another anchor {pending.number} of this audit log, over {found.value['size']} "
                "entries: it was set back, or another gateway writes it too"
            )
        self._keep(replace(pending, transaction_id=found.transaction_id, block=found.block))

    def _keep(self, anchor: Anchor) -> None:
        self._log.store.keep_anchor(anchor)
        self._tries = 0

    def _complain(self, why: str) -> None:
        if self.trouble != why:
            _LOG.warning("the audit log is not anchored: %s", why)
        self.trouble = why

    def _run(self) -> None:
        _, pending = self._log.store.anchors()
        pause = _FIRST_PAUSE
        due = self._monotonic.now() + (_FIRST_PAUSE if pending is not None else self._interval)
        last = False
        while not last:
            self._monotonic.pause(self._stopping, _TICK)
            last = self._stopping.is_set()
            try:
                self._log.settle(everything=last)
                self._log.sync()
                if self._leads() and (last or self._monotonic.now() >= due):
                    pause = self._interval if self.round() else min(2 * pause, self._interval)
                    due = self._monotonic.now() + pause
            except Exception:  # anything that stopped this thread would stop anchoring without a word
                _LOG.exception("the audit log could not be anchored; trying again")
                due = self._monotonic.now() + self._interval


def _command(said: Json) -> AnchorAudit:
    command = command_from(FUNCTION, said)
    if not isinstance(command, AnchorAudit):
        raise TypeError(f"{FUNCTION} takes no {type(command).__name__}")
    return command
