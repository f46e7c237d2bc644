# SPDX-License-Identifier: Apache-2.0
"""The transparency log of a gateway, and the witness and the mirror that it is of others, put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint

from gateway.rest import c2sp
from gateway.rest import log as log_routes
from gateway.rest.routing import RequestPipeline, View
from gateway.server.app import Metrics
from gateway.server.logkeys import LogKeys
from gateway.server.logpolicy import PolicyFile
from gateway.services.logs import Heads, Leaves, Witnesses
from gateway.services.logview import LogView
from gateway.services.mirroring import Mirror
from gateway.services.ports import ReadModel
from gateway.services.publishing import Publisher
from gateway.services.witnessing import Witness


@dataclass(frozen=True, slots=True)
class LogParts:
    """What a log is made of on the outside."""

    leaves: Leaves
    heads: Heads
    keys: LogKeys
    policy: PolicyFile
    witnesses: Witnesses

    @classmethod
    def of(
        cls, leaves: Leaves, heads: Heads, folder: Path, place: tuple[str, str], policy: Path, witnesses: Witnesses
    ) -> "LogParts":
        """The parts with the keys in a folder, which are made where there are none. Raises `SettingsError`.

        Args:
            place: channel and MSP id.
            policy: the file that says who witnesses whom; it may come later.
        """
        keys = LogKeys.load(folder, *place)
        own = [each.key for each in (*keys.cosigners, *keys.mirrors)]
        return cls(leaves, heads, keys, PolicyFile(policy, keys.log.verifier, own), witnesses)


class Transparency:
    """The log, the witness, and what they answer."""

    def __init__(
        self, parts: LogParts, readmodel: ReadModel, caught_up: Callable[[], bool], metrics: Metrics,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        keys, policy = parts.keys, parts.policy
        self._parts = parts
        self._readmodel = readmodel
        self.publisher = Publisher(
            keys.origin, (keys.log, *keys.cosigners), parts.leaves, parts.heads,
            asked=policy.asked, edition=policy.current, witnesses=parts.witnesses, meter=metrics, leads=leads,
        )  # fmt: skip
        self._witness = Witness(
            keys.cosigners, parts.leaves, parts.heads,
            logs=policy.logs, caught_up=caught_up, meter=metrics, heard=self.publisher.heard,
        )  # fmt: skip
        self._mirror = Mirror(keys.mirrors, parts.leaves, parts.heads, logs=policy.logs, meter=metrics)
        self._view = LogView(
            self.publisher, self._witness, self._mirror, parts.leaves, parts.heads, keys.log.verifier,
            [each.verifier for each in keys.cosigners], [each.verifier for each in keys.mirrors],
            lambda: policy.trouble,
        )  # fmt: skip
        metrics.gauge("pedigree_log_entries", "Entries of the transparency log", lambda: parts.leaves.size())
        metrics.gauge("pedigree_log_signed", "Entries of the log that its last checkpoint covers", self._signed)
        metrics.gauge("pedigree_log_witnesses", "Witnesses that cosigned the last checkpoint", self._cosigned)
        metrics.gauge(
            "pedigree_log_refused", "Checkpoints that were refused because a log forked, as far as they are kept",
            lambda: len(parts.heads.refusals()),
        )  # fmt: skip

    def views(self) -> Mapping[str, View]:
        """The operations on the log, by name."""
        return log_routes.views(self._view, self.publisher, self._parts.policy.served, self._readmodel)

    def blueprint(self, pipeline: RequestPipeline) -> Blueprint:
        """What logs, witnesses, mirrors and monitors ask."""
        return c2sp.blueprint(pipeline, self._parts.leaves, self._witness, self._mirror)

    def _signed(self) -> int:
        found = self.publisher.latest()
        return 0 if found is None else found.head.size

    def _cosigned(self) -> int:
        found = self.publisher.latest()
        return 0 if found is None else len(found.witnesses)
