# SPDX-License-Identifier: Apache-2.0
"""The consortium's policy of logs and witnesses, as this organisation's operator wrote it down (c2sp.org/tlog-policy).

It says whose logs this gateway witnesses, by the keys of its `log` lines, and which witnesses it asks, by the
addresses of the `witness` lines. The file is read again when it changes, so that members can join while gateways run.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gateway.services.logs import Asked
from gateway.tlog import policy
from gateway.tlog.errors import MalformedPolicy
from gateway.tlog.keys import Verifier
from gateway.tlog.notes import Key
from gateway.tlog.policy import Log, Policy

_LOG = logging.getLogger(__name__)
_Mark = tuple[int, int, int]


class PolicyFile:
    """A policy file that may change, or come later; thread-safe."""

    def __init__(self, path: Path, own: Verifier, cosigners: Collection[Key]) -> None:
        """Assign.

        Args:
            own: the key of this gateway's own log, which it does not witness over HTTP.
            cosigners: the keys of the witness and the mirror that this gateway is, which it does not ask.
        """
        self._path = path
        self._own = own
        self._cosigners = cosigners
        self._lock = threading.Lock()
        self._mark: _Mark | None = None
        self._policy: Policy | None = None
        self.trouble: str | None = None
        """Why the file cannot be used, in one line; what it said before holds until it can."""

    def current(self) -> Policy:
        """What the file says; where there is none, that our own log needs no witness."""
        with self._lock:
            self._look()
            found = self._policy
        return Policy((Log(self._own),), {}, (), None) if found is None else found

    def logs(self) -> Mapping[str, Sequence[Verifier]]:
        """The keys of the logs to be witnessed, by origin; our own needs no request."""
        found: dict[str, list[Verifier]] = defaultdict(list)
        for each in self.current().logs:
            if each.verifier.name != self._own.name:
                found[each.verifier.name].append(each.verifier)
        return found

    def asked(self) -> Sequence[Asked]:
        """The witnesses and mirrors to be asked: those with an address, each once with all the keys of its name."""
        now = self.current()
        found: dict[tuple[bytes, str], dict[Key, Verifier]] = defaultdict(dict)
        for each in now.witnesses.values():
            if each.url is not None and each.verifier.key not in self._cosigners:
                found[each.url, each.verifier.name][each.verifier.key] = each.verifier
        beside: dict[bytes, set[str]] = defaultdict(set)
        for log in now.logs:
            if log.url is not None:
                beside[log.url].add(log.verifier.name)
        return [
            Asked(name, url.decode("utf-8", "replace"), keys, frozenset(beside[url]))
            for (url, name), keys in found.items()
        ]

    def served(self) -> bytes:
        """The policy for others: the file's, with our own log among those that are accepted."""
        found = self.current()
        logs = found.logs if any(each.verifier == self._own for each in found.logs) else (Log(self._own), *found.logs)
        return Policy(logs, found.witnesses, found.groups, found.quorum).format()

    def _look(self) -> None:
        """Read the file where it is another one than at the last look; else this is one question to the disk."""
        try:
            status = self._path.stat()
            mark: _Mark = (status.st_ino, status.st_mtime_ns, status.st_size)
            if mark == self._mark:
                return
            text = self._path.read_bytes() if status.st_size <= policy.LARGEST else b" " * (policy.LARGEST + 1)
            self._mark = mark  # also of a file that cannot be used: it says the same until it changes
            self._policy, self.trouble = policy.parse(text), None
        except FileNotFoundError:
            self._policy, self._mark, self.trouble = None, None, None
        except (OSError, MalformedPolicy) as exc:
            trouble = f"{self._path}: {exc.strerror if isinstance(exc, OSError) else exc}"
            if trouble != self.trouble:
                _LOG.error("the policy of logs cannot be used: %s", trouble)
            self.trouble = trouble
