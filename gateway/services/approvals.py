# SPDX-License-Identifier: Apache-2.0
"""Approvals that have lost their quorum, and the deployments that must stop for it.

**As of a height**, as in `lineage`: what is rewritten counts as it was written last below that height, and what ends by
itself is over by the given time.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from chaincode.domain import codec
from chaincode.domain.approval import RESTS, Approval
from chaincode.domain.endorsement import Ballot, Endorsement
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.policy import OnQuorumLost, Policy, Stage, stops_deployments
from chaincode.domain.register import locate
from chaincode.domain.values import Instant, Name, Ref, deployment_ref
from gateway.services.catalogue import Catalogue, entries
from gateway.services.conditions import Where
from gateway.services.heights import Heights
from gateway.services.ports import Entry, Json, ReadModel

R = TypeVar("R", bound=codec.Document)

MOST_RUNNING: Final = 1_000
"""How many deployments of an organisation are looked at, the latest left out where there are more."""
MUST_STOP: Final = "must-stop"
"""What is due of a deployment whose model version has lost the quorum of its approval, where the policy says so."""
_AT_ONCE: Final = 100


class Approvals:
    """Says where the quorum of an approval is not there any more; reads, and records nothing."""

    def __init__(self, readmodel: ReadModel) -> None:
        self._readmodel = readmodel
        self._catalogue = Catalogue(readmodel)
        self._heights = Heights(readmodel)

    def lost(self, artifact: Ref, at: int, instant: int) -> bool:
        """Whether an artifact was approved by a quorum that was not there as of a height and a time."""
        return locate(artifact)[0].digest != "" and self._lost(artifact, at, instant)

    def must_stop(self, deployment: Ref, at: int, instant: int) -> bool:
        """Whether a deployment that had not ended had to stop as of a height and a time."""
        begun = self._heights.cited(deployment, at)
        ended = self._heights.first("deployment-end", {"deployment": deployment.name})
        if begun is None or (ended is not None and ended.block < at):
            return False
        version, policy = Ref(begun.value["version"]), self._policy(at)
        return stops_deployments(policy, version) and self._lost(version, at, instant, policy)

    def of_deployment(self, record: Json, instant: int, *, ended: bool) -> Json:
        """What is said of a deployment beside its record: whether the approval holds, and whether it must stop."""
        at, version = self._readmodel.height(), Ref(record["version"])
        lost = self._lost(version, at, instant)
        due = lost and not ended and stops_deployments(self._policy(at), version)
        return {"quorum_lost": lost, "duty": MUST_STOP if due else None}

    def due(self, organisation: str, instant: int) -> tuple[list[Json], bool]:
        """The running deployments of an organisation that must stop, and whether that is all of them.

        Nothing is read where the policy stops none. The first `MOST_RUNNING` are looked at.
        """
        at = self._readmodel.height()
        policy = self._policy(at)
        if policy is None or all(rule.on_quorum_lost is not OnQuorumLost.STOP for rule in policy.rules):
            return [], True
        known: dict[Ref, bool] = {}
        due: list[Json] = []
        for looked_at, entry in enumerate(self._running(organisation)):
            if looked_at == MOST_RUNNING:
                return due, False
            version = Ref(entry.value["version"])
            if version not in known:
                known[version] = self._lost(version, at, instant, policy)
            if known[version]:
                name = Name(entry.value["deployment"])
                due.append({"deployment": str(deployment_ref(name)), "version": str(version), "duty": MUST_STOP})
        return due, True

    def _running(self, organisation: str) -> Iterator[Entry]:
        """The deployments of an organisation that have not ended, in the order of the ledger."""
        some: list[Entry] = []
        for entry in entries(self._readmodel, "deployment", {"owner": organisation}):
            some.append(entry)
            if len(some) == _AT_ONCE:
                yield from self._going_on(some)
                some = []
        yield from self._going_on(some)

    def _going_on(self, some: Iterable[Entry]) -> Iterator[Entry]:
        listed = list(some)
        names = [entry.value["deployment"] for entry in listed]
        ended = {each.value["deployment"] for each in self._catalogue.every("deployment-end", "deployment", names)}
        return (entry for entry in listed if entry.value["deployment"] not in ended)

    def _lost(self, artifact: Ref, at: int, instant: int, policy: Policy | None = None) -> bool:
        """The same; `policy` is the one that was in force, where the caller has read it."""
        standing = self._written("artifact-stage", {"artifact": artifact}, at)
        # Most artifacts of a lineage were never approved: nothing more is read of those.
        if not standing or not _rests(standing[0]):
            return False
        policy = policy or self._policy(at)
        where = {"artifact": artifact, "stage": Stage.APPROVED.value}
        given = [_read(Endorsement, each) for each in self._written("endorsement", where, at)]
        approval = Approval(_read(ArtifactStage, standing[0]), policy, Ballot({each.by: each for each in given}, {}))
        return policy is not None and approval.lost(Instant(instant)) is not None

    def _policy(self, at: int) -> Policy | None:
        """The policy that was in force."""
        found = self._written("policy", (), at)
        return _read(Policy, found[0]) if found else None

    def _written(self, kind: str, where: Where, at: int) -> list[Json]:
        """Records that are rewritten, each as it was below a height; their number is bounded by that of the members."""
        found: list[Json] = []
        for now in entries(self._readmodel, kind, where):
            said = [now] if now.block < at else [each for each in self._readmodel.history(now.key) if each.block < at]
            found += [each.value for each in said[-1:]]
        return found


def _rests(standing: Json) -> bool:
    """Whether a record of a stage is of what has an approval, or lacks one that it had."""
    return standing.get("lost_at") is not None or (standing.get("quarantined_from") or standing["stage"]) in RESTS


def _read(expected: type[R], value: Json) -> R:
    document = codec.from_plain(value)
    if not isinstance(document, expected):
        raise TypeError(f"the read model holds a {type(document).__name__} where a {expected.__name__} belongs")
    return document
