# SPDX-License-Identifier: Apache-2.0
"""Counter-claims as the read model has them, and what the law would say to one that is stated now."""

from collections.abc import Iterable, Mapping
from typing import Final

from chaincode.domain import codec
from chaincode.domain.counterclaim import CounterClaim, StateClaim, claimants, state_claim
from chaincode.domain.endorsement import Endorsement
from chaincode.domain.errors import LedgerError
from chaincode.domain.evidence import PAYLOAD_TYPE, Envelope, Presented, Signature, Statement
from chaincode.domain.intoto import encode_statement
from chaincode.domain.lifecycle import Artifact, ArtifactStage
from chaincode.domain.policy import Policy, Stage, refuses_claims, roles_of
from chaincode.domain.register import locate
from chaincode.domain.values import Blob, Digest, Instant, OrgId, Record, Ref, Text
from gateway.services.catalogue import Catalogue, shown
from gateway.services.ports import Json
from gateway.services.references import identifying

MOST_DUE: Final = 100
"""How many claims the inbox shows that await an answer, the first of them."""
_MOST_LOOKED_AT: Final = 1_000


class CounterClaims:
    """Reads counter-claims."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def of(self, artifact: Ref) -> list[Json]:
        """Every organisation's last claim against an artifact, open or not, each with its transaction."""
        return self._catalogue.all("counter-claim", artifact=artifact)

    def open_against(self, artifacts: Iterable[Ref]) -> Mapping[str, list[str]]:
        """Those whose claim is open, for each artifact against which there is one."""
        claims: dict[str, list[CounterClaim]] = {}
        for entry in self._catalogue.every("counter-claim", "artifact", artifacts):
            claims.setdefault(str(entry.value["artifact"]), []).append(_read(shown(entry)))
        return {artifact: sorted(claimants(stated)) for artifact, stated in claims.items()}

    def standing_in_the_way(self, artifact: Ref, policy: Policy) -> frozenset[OrgId]:
        """The members whose open claims keep an artifact from being approved, where the policy says so."""
        if not refuses_claims(policy, artifact):
            return frozenset()
        found = claimants(_read(each) for each in self.of(artifact))
        return frozenset(org for org in found if roles_of(policy, org) is not None)

    def due_from(self, organisation: str) -> tuple[list[Json], bool]:
        """The open claims that await an organisation's answer, and whether those are all; the oldest first."""
        due: list[Json] = []
        cursor, looked_at = None, 0
        while len(due) < MOST_DUE and looked_at < _MOST_LOOKED_AT:
            found, cursor = self._catalogue.some(
                "counter-claim", {"due_from": organisation}, cursor=cursor, limit=MOST_DUE
            )
            looked_at += len(found)
            for entry in found:
                claim = _read(shown(entry))
                if claim.open and claim.answered_at is None:
                    due.append(
                        {"artifact": claim.artifact, "by": claim.by, "against": claim.against, "since": int(claim.at),
                         "reason": claim.reason}
                    )  # fmt: skip
            if cursor is None:
                return due[:MOST_DUE], len(due) <= MOST_DUE
        return due[:MOST_DUE], False

    def refusal_of(
        self, statement: Statement, by: OrgId, at: Instant, standing: ArtifactStage | None, policy: Policy
    ) -> LedgerError | None:
        """What the law would say to a claim that was signed now; None where it would take it."""
        artifact, stage = Ref(statement.artifact), Stage(statement.stage)
        against = None if statement.against is None else OrgId(statement.against)
        evidence = None if statement.evidence is None else Ref(statement.evidence)
        envelope = Envelope(Blob(encode_statement(statement)), Text(PAYLOAD_TYPE), (Signature(Blob(b"unsigned")),))
        command = StateClaim(
            artifact, statement.reason or Text("none"), envelope, stage, against, evidence, statement.evidence_digest
        )
        given = None if against is None else self._find("endorsement", artifact=artifact, stage=stage.value, by=against)
        held = self._find("counter-claim", artifact=artifact, by=by)
        try:
            state_claim(
                command, by=by, at=at, artifact=self._artifact(artifact), standing=standing, policy=policy,
                existing=held if isinstance(held, CounterClaim) else None,
                endorsement=given if isinstance(given, Endorsement) else None,
                evidence=None if evidence is None else self._cited(evidence),
                presented=Presented(statement.channel, statement, lambda _message, _signature: None),
            )  # fmt: skip
        except LedgerError as refusal:
            return refusal
        return None

    def _artifact(self, artifact: Ref) -> Artifact | None:
        kind, where = identifying(artifact)
        entry, field = self._catalogue.find(kind, **where), locate(artifact)[0].digest
        if entry is None or not field:
            return None
        return Artifact(artifact, OrgId(entry.value["owner"]), Digest.parse(str(entry.value[field])))

    def _cited(self, reference: Ref) -> Record | None:
        kind, where = identifying(reference)
        found = self._find(kind, **where)
        return found if isinstance(found, Record) else None

    def _find(self, kind: str, **where: str) -> codec.Document | None:
        entry = self._catalogue.find(kind, **where)
        return None if entry is None else codec.from_plain(entry.value)


def _read(entry: Mapping[str, Json]) -> CounterClaim:
    document = codec.from_plain(entry["record"])
    if not isinstance(document, CounterClaim):
        raise TypeError(f"the read model holds a {type(document).__name__} where a counter-claim belongs")
    return document
