# SPDX-License-Identifier: Apache-2.0
"""What this gateway says of its log, of its witnesses, and of the logs that it witnesses and mirrors itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.services.logs import Head, Heads, Leaves
from gateway.services.mirroring import Mirror
from gateway.services.ports import Json
from gateway.services.publishing import Publisher, Standing
from gateway.services.witnessing import Witness
from gateway.tlog.keys import Verifier


@dataclass(frozen=True, slots=True)
class LogView:
    """Describes the log and its surroundings."""

    publisher: Publisher
    witness: Witness
    mirror: Mirror
    leaves: Leaves
    heads: Heads
    own: Verifier
    """The key of the log."""
    cosigners: Sequence[Verifier]
    """The keys that this gateway cosigns with as a witness."""
    mirrors: Sequence[Verifier]
    """Those that it cosigns with as a mirror."""
    policy_trouble: Callable[[], str | None]

    def describe(self) -> Json:
        """The log, for programs."""
        latest = self.publisher.latest()
        return {
            "origin": self.own.name,
            "key": self.own.vkey,
            "cosigner_keys": [each.vkey for each in self.cosigners],
            "mirror_keys": [each.vkey for each in self.mirrors],
            "entries": self.leaves.size(),
            "checkpoint": None if latest is None else _head(latest.head),
            "trouble": self.publisher.trouble or self.policy_trouble(),
            "witnesses": [_standing(each) for each in self.publisher.standings()],
            "witnessed": [
                {"origin": origin, "checkpoint": None if head is None else _head(head)}
                for origin, head in self.witness.witnessed().items()
            ],
            "mirrored": [
                {"origin": origin, "checkpoint": None if found is None else _head(found.head)}
                for origin, found in self.mirror.mirrored().items()
            ],
            "refused": [
                {"origin": each.origin, "at": int(each.at), "reason": each.why, "checkpoint": each.note.decode()}
                for each in self.heads.refusals()
            ],
        }


def _head(head: Head) -> Json:
    return {"size": head.size, "root": head.root.hex()}


def _standing(standing: Standing) -> Json:
    return {
        "name": standing.asked.name,
        "url": standing.asked.url,
        "cosigned": standing.cosigned,
        "trouble": standing.trouble,
    }
