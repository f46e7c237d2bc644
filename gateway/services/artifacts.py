# SPDX-License-Identifier: Apache-2.0
"""Artifacts on their way to approval: where they stand, who vouches for them, and the statements they sign.

An endorsement is evidence that outlives this gateway: an in-toto Statement in a DSSE envelope, signed with the
key of the organisation's own user, which is also the creator of the transaction.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, cast

from chaincode.domain import codec
from chaincode.domain.approval import Approval, rests
from chaincode.domain.endorsement import Ballot, Endorsement, Rejection, expiry
from chaincode.domain.errors import InvalidField, MissingField, PolicyMissing, RecordNotFound, RuleMissing
from chaincode.domain.evidence import PAYLOAD_TYPE, Decision
from chaincode.domain.intoto import encode_statement
from chaincode.domain.lifecycle import AWAITING, Artifact, ArtifactStage, standing_at
from chaincode.domain.lineage import MOST_ANCESTORS, REPLACES
from chaincode.domain.policy import Policy, Stage, rule_for
from chaincode.domain.register import locate
from chaincode.domain.selection import Selection
from chaincode.domain.status import GetStatus, status
from chaincode.domain.taint import Cause, Seen, Taint, look_up
from chaincode.domain.values import Command, Digest, Instant, OrgId, Ref, Seconds
from gateway.services.awaiting import RESTS, SOON, Judged, stages_of
from gateway.services.catalogue import Catalogue
from gateway.services.conditions import Conditions, conditions
from gateway.services.counterclaims import CounterClaims
from gateway.services.envelopes import sign_statement
from gateway.services.filters import conditions_of
from gateway.services.ports import Clock, Json, Signer, Tally
from gateway.services.recording import Recorder, command_from
from gateway.services.references import identifying
from gateway.services.statements import (
    OF_CLAIMS,
    Word,
    assessment_in,
    compose,
    evaluations_of,
    read_document,
    refusal_of,
    shown,
)
from gateway.services.statements import Seen as SeenOfIt
from gateway.services.statements import Speaker as Speaker
from gateway.services.submitter import Answer, Intent

MOST_EXAMINED: Final = 500
"""How many open artifacts one page of the inbox looks at."""
MOST_COUNTED: Final = 200
"""How many open artifacts are looked at to count those that await a word."""
MOST_ABOVE: Final = 100
"""How many ancestors the inbox looks at for each of its items."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_FUNCTIONS: Final = {
    Decision.ENDORSE: "endorsement:endorse",
    Decision.REJECT: "endorsement:reject",
    Decision.WITHDRAW: "endorsement:withdraw",
    Decision.COUNTER_CLAIM: "claim:state",
}
_NOT_READ: Final = Seen((), None)
_UNSIGNED: Json = {"payload": "", "payloadType": PAYLOAD_TYPE, "signatures": []}


class Artifacts:
    """Submission, endorsement, rejection, withdrawal and quarantine; status and inbox."""

    def __init__(
        self, recorder: Recorder, catalogue: Catalogue, signer: Signer, speaker: Speaker, clock: Clock,
        soon: int = SOON,
    ) -> None:  # fmt: skip
        """Assign; `soon` is how many seconds before a quorum ends another word is asked for."""
        self._recorder = recorder
        self._catalogue = catalogue
        self._signer = signer
        self._speaker = speaker
        self._clock = clock
        self.soon = Seconds(soon)
        self._claims = CounterClaims(catalogue)

    def submit(self, intent: Intent, reference: str, body: Json) -> Answer:
        """Ask the consortium for endorsement; the digest is the recorded one unless the body says it."""
        artifact = Ref(reference)
        filled = body if "digest" in body else {**body, "digest": self._digest(artifact)}
        return self._recorder.record(intent, "endorsement:submit", filled, artifact=artifact)

    def decide(self, intent: Intent, reference: str, body: Json, decision: Decision) -> Answer:
        """Sign a statement about an artifact and record it.

        The body may hold a signed `envelope`; then nothing is signed here. Otherwise it may name `stage` (default:
        approved) and `digest`, the bytes that were examined (default: the recorded ones). A rejection names its
        `reason`, and so does a withdrawal.
        """
        artifact = Ref(reference)
        rest = {name: value for name, value in body.items() if name != "digest"}
        function = _FUNCTIONS[decision]
        if "envelope" in rest:
            # Signed by a caller that keeps its own key; the chaincode checks it like ours.
            return self._recorder.record(intent, function, rest, artifact=artifact)
        if rest.get("chain") is not None:
            raise InvalidField("/chain", "it goes with an envelope that was signed with its first certificate's key")
        digest = str(body.get("digest") or self._digest(artifact))
        reason = str(body["reason"]) if decision is not Decision.ENDORSE and "reason" in body else None
        beside = {name: str(body[name]) for name in OF_CLAIMS if body.get(name) is not None}
        word = Word(artifact, digest, str(body.get("stage", Stage.APPROVED.value)), decision, reason, beside)

        def build() -> Command:
            return command_from(function, rest, {"artifact": artifact, "envelope": self._envelope(word)})

        # Everything but the statement is checked before anything is signed.
        command_from(function, rest, {"artifact": artifact, "envelope": _UNSIGNED})
        return self._recorder.submit(intent, function, build)

    def draft(self, reference: str, decision: Decision, said: Mapping[str, str]) -> Json:
        """The statement that would be signed for a word, and what the law would say to it now; nothing is signed.

        `said` may hold `stage`, `digest`, `reason` and, for a counter-claim, what only that says. Raises `MissingField`
        for anything but an endorsement without a reason, and `PolicyMissing`.
        """
        artifact, reason, stage = Ref(reference), said.get("reason"), said.get("stage", Stage.APPROVED.value)
        beside = {name: said[name] for name in OF_CLAIMS if name in said}
        if beside and decision is not Decision.COUNTER_CLAIM:
            raise InvalidField(f"/{next(iter(beside))}", "only a counter-claim has one")
        if decision is not Decision.ENDORSE and reason is None:
            raise MissingField("/reason")
        if decision is Decision.ENDORSE and reason is not None:
            raise InvalidField("/reason", "an endorsement has none")
        word = Word(artifact, said.get("digest") or self._digest(artifact), stage, decision, reason, beside)
        seen, at = self._seen_of(artifact), self._at()
        statement = compose(word, seen, self._catalogue, self._speaker, at)
        standing = self._catalogue.find("artifact-stage", artifact=artifact)
        policy = self._policy()
        if policy is None:
            raise PolicyMissing
        now = None if standing is None else self._now(standing.value)
        by = OrgId(self._speaker.organisation)
        if decision is Decision.COUNTER_CLAIM:
            refused = self._claims.refusal_of(statement, by, at, now, policy)
        else:
            refused = refusal_of(
                statement,
                by,
                at,
                standing=now,
                policy=policy,
                ballot=self._ballot(artifact, stage),
                assessment=assessment_in(self._catalogue, now),
                open_claims=self._claims.standing_in_the_way(artifact, policy),
            )
        return {"artifact": artifact, "decision": decision.value, **shown(statement, seen, refused)}

    def apply(self, intent: Intent, function: str, reference: str, body: Json) -> Answer:
        """Record one of the steps that need no statement: quarantine, release, advance."""
        return self._recorder.record(intent, function, body, artifact=Ref(reference))

    def status(self, reference: str, stage: str = Stage.APPROVED.value) -> Json:
        """Where an artifact stands: stage, who endorsed or rejected it, what is still missing and from whom."""
        artifact = Ref(reference)
        kind, where = identifying(artifact)
        record = self._catalogue.get(kind, artifact, **where)
        standing = self._catalogue.find("artifact-stage", artifact=artifact)
        known = None if standing is None else self._now(standing.value)
        policy, count = self._policy(), None
        if locate(artifact)[0].digest:
            owner, digest = record["record"]["owner"], self._digest_of(artifact, record["record"])
            counted = Artifact(artifact, OrgId(owner), Digest.parse(digest))
            count = self._count(counted, stage, known, policy)
        return {
            "artifact": artifact,
            **record,
            "stage": Stage.DRAFT.value if known is None else known.stage.value,
            "quorum_lost": known is not None and self._has_lost(known, policy),
            "standing": None if known is None else codec.to_plain(known),
            "tainted_by": self._tainted_by([artifact])[artifact],
            "status": count,
            "endorsements": self._catalogue.all("endorsement", artifact=artifact),
            "rejections": self._catalogue.all("rejection", artifact=artifact),
            "counter_claims": self._claims.of(artifact),
        }

    def inbox(self, *, cursor: str | None = None, limit: int = 50, filters: Mapping[str, str] = _NONE) -> Json:
        """A page of what awaits this organisation's word, in the order of first submission, and what is missing.

        At most `limit` items, and no more than `MOST_EXAMINED` open artifacts are looked at for them: a page may hold
        fewer items than there are, or none, and still have a `next`. `count` is of the whole list, and for it the first
        `MOST_COUNTED` open artifacts are looked at. Raises `InvalidParameter` for filters that cannot be understood.
        """
        policy = self._policy()
        asked: Conditions = (*conditions({"stage": stages_of(policy)}), *conditions_of(filters))
        items: list[Json] = []
        examined, after = 0, cursor
        while len(items) < limit and examined < MOST_EXAMINED:
            wanted = min(limit - len(items), MOST_EXAMINED - examined)
            found, after = self._catalogue.some("artifact-stage", asked, cursor=after, limit=wanted)
            examined += len(found)
            items += filter(None, (self._awaiting(entry.value, policy) for entry in found))
            if after is None:
                break
        above = self._tainted_by([Ref(item["artifact"]) for item in items], most=MOST_ABOVE)
        claimed = self._claims.open_against([Ref(item["artifact"]) for item in items])
        items = [
            {**item, "tainted_by": above[item["artifact"]], "open_claims": claimed.get(item["artifact"], [])}
            for item in items
        ]
        whole = cursor is None and after is None
        tally = Tally(len(items), exact=True) if whole else self._counted(asked, policy)
        claims, complete = self._claims.due_from(self._speaker.organisation)
        return {
            "organisation": self._speaker.organisation,
            "claims": claims,
            "claims_complete": complete,
            "items": items,
            "next": after,
            "count": tally.count,
            "count_exact": tally.exact,
        }

    def _counted(self, asked: Conditions, policy: Policy | None) -> Tally:
        """How many of the open artifacts await this organisation's word."""
        found, more = self._catalogue.some("artifact-stage", asked, cursor=None, limit=MOST_COUNTED)
        awaiting = (self._awaited(self._now(entry.value), policy) for entry in found)
        return Tally(sum(status is not None for status in awaiting), exact=more is None)

    def _awaiting(self, standing: Json, policy: Policy | None) -> Json | None:
        """What the inbox says of an open artifact; `None` where it does not await this organisation's word."""
        now = self._now(standing)
        status = self._awaited(now, policy)
        if status is None:
            return None
        due = self._ends(now, policy, Stage(status["for_stage"])) if now.stage in RESTS else None
        return {
            "artifact": now.artifact,
            "owner": now.owner,
            "since": int(now.since),
            "status": status,
            "quorum_lost": self._has_lost(now, policy),
            "ends_at": None if due is None else int(due),
        }

    def judged(self, standing: Json, policy: Policy | None) -> Judged:
        """How an artifact with this record of its stage stands for this organisation now."""
        now = self._now(standing)
        ends = self._ends(now, policy, Stage.APPROVED) if now.stage in RESTS else None
        return Judged(now, self._awaited(now, policy), self._has_lost(now, policy), ends)

    def _awaited(self, now: ArtifactStage, policy: Policy | None) -> Json | None:
        """The count for the first stage of an artifact that awaits this organisation's word."""
        for stage, needed in AWAITING.items():
            if now.stage in needed and (found := self._awaited_for(stage, now, policy)) is not None:
                return found
        return None

    def _awaited_for(self, stage: Stage, now: ArtifactStage, policy: Policy | None) -> Json | None:
        """The count for one stage: where the quorum is open, was lost or ends soon, and this organisation may speak."""
        # A stage is written with the owner and the digest of the artifact's own record, which is written once.
        status = self._count(Artifact(now.artifact, now.owner, now.digest), stage.value, now, policy)
        if status is None or self._speaker.organisation not in cast("list[str]", status["may_endorse"]):
            return None
        if status["complete"]:
            ends = self._ends(now, policy, stage)
            return status if ends is not None and ends <= self._at().plus(self.soon) else None
        return status

    def _has_lost(self, now: ArtifactStage, policy: Policy | None) -> bool:
        """Whether an artifact was approved by a quorum that is not there any more."""
        if not rests(now):
            return False
        return Approval(now, policy, self._ballot(now.artifact, Stage.APPROVED.value)).lost(self._at()) is not None

    def _ends(self, now: ArtifactStage, policy: Policy | None, stage: Stage) -> Instant | None:
        """When the first of the endorsements that count for a stage stops counting; `None`: none ever does."""
        rule = None if policy is None else rule_for(policy, now.artifact.kind, stage)
        at = self._at()
        given = self._ballot(now.artifact, stage.value).endorsements.values()
        counting = [each for each in given if each.counts(now.round, at, rule)]
        ends = [end for each in counting for end in (each.expires_at, expiry(each.at, rule)) if end is not None]
        return min(ends, default=None)

    def _at(self) -> Instant:
        return Instant(int(self._clock() * 1000))

    def _now(self, standing: Json) -> ArtifactStage:
        """Where an artifact stands now: a quarantine that has lapsed is over, although nobody wrote so."""
        return standing_at(read_document(ArtifactStage, standing), self._at())

    def _tainted_by(self, artifacts: Sequence[Ref], most: int = MOST_ANCESTORS) -> dict[Ref, list[Json]]:
        """What above each artifact is stopped now, the nearest first, as the law would find it.

        What lies above all of them is read level by level, each level at once.
        """
        known: dict[Ref, Seen] = {}
        missing = list(artifacts)
        found: dict[Ref, tuple[Taint, ...]] = {}
        while missing:
            known |= self._seen(missing)
            wanted: dict[Ref, None] = {}
            look = partial(_look, known, wanted)
            found = {artifact: look_up(artifact, known[artifact].parents, look, most=most) for artifact in artifacts}
            missing = list(wanted)
        return {
            artifact: [{"cause": taint.cause.value, "path": [str(one) for one in taint.path]} for taint in taints]
            for artifact, taints in found.items()
        }

    def _seen(self, references: Sequence[Ref]) -> dict[Ref, Seen]:
        """What the read model has of several artifacts, as the law looks at them."""
        parents: dict[Ref, list[Ref]] = {reference: [] for reference in references}
        for edge in self._catalogue.every("edge", "child", references):
            if edge.value["relation"] != REPLACES:
                parents[Ref(edge.value["child"])].append(Ref(edge.value["parent"]))
        # As the law: selections have marks and no stages, and only what has a digest has stages.
        kinds = {reference: locate(reference)[0] for reference in references}
        selections = (one for one, kind in kinds.items() if kind.record is Selection)
        marks = self._catalogue.every("selection-mark", "selection", selections)
        causes = {Ref(mark.value["selection"]): Cause.WITHDRAWN for mark in marks}
        staged = (one for one, kind in kinds.items() if kind.digest)
        for entry in self._catalogue.every("artifact-stage", "artifact", staged):
            if self._now(entry.value).stage is Stage.QUARANTINED:
                causes[Ref(entry.value["artifact"])] = Cause.QUARANTINED
        return {reference: Seen(tuple(parents[reference]), causes.get(reference)) for reference in references}

    def _policy(self) -> Policy | None:
        found = self._catalogue.find("policy")
        return None if found is None else read_document(Policy, found.value)

    def _count(
        self, artifact: Artifact, stage: str, standing: ArtifactStage | None, policy: Policy | None
    ) -> Json | None:
        """The law's own count for a stage; `None` while the policy says nothing about it."""
        try:
            counted = status(
                GetStatus(artifact.reference, Stage(stage)),
                at=self._at(),
                artifact=artifact,
                standing=standing,
                policy=policy,
                ballot=self._ballot(artifact.reference, stage),
                assessment=assessment_in(self._catalogue, standing),
            )
        except (PolicyMissing, RuleMissing):
            return None
        return codec.to_plain(counted)

    def _ballot(self, artifact: Ref, stage: str) -> Ballot:
        endorsements = (
            read_document(Endorsement, found["record"])
            for found in self._catalogue.all("endorsement", artifact=artifact, stage=stage)
        )
        rejections = (
            read_document(Rejection, found["record"])
            for found in self._catalogue.all("rejection", artifact=artifact, stage=stage)
        )
        return Ballot({given.by: given for given in endorsements}, {given.by: given for given in rejections})

    def _digest(self, artifact: Ref) -> str:
        kind, where = identifying(artifact)
        entry = self._catalogue.find(kind, **where)
        if entry is None:
            raise RecordNotFound(artifact)
        return self._digest_of(artifact, entry.value)

    def _digest_of(self, artifact: Ref, record: Json) -> str:
        field = locate(artifact)[0].digest
        if not field:
            raise InvalidField("/artifact", "only versions of data sets and models are endorsed")
        return str(record[field])

    def _envelope(self, word: Word) -> Json:
        statement = compose(word, self._seen_of(word.artifact), self._catalogue, self._speaker, self._at())
        return sign_statement(self._signer, encode_statement(statement))

    def _seen_of(self, artifact: Ref) -> SeenOfIt:
        """What is known of an artifact here and now, for a statement about it."""
        return SeenOfIt(evaluations_of(self._catalogue, artifact), self._tainted_by([artifact])[artifact])


def _look(known: Mapping[Ref, Seen], wanted: dict[Ref, None], level: Sequence[Ref]) -> list[Seen]:
    """What is known of a level; what is not is wanted, and looks as if nothing were above it."""
    wanted.update(dict.fromkeys(one for one in level if one not in known))
    return [known.get(one, _NOT_READ) for one in level]
