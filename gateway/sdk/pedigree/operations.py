# SPDX-License-Identifier: Apache-2.0
"""The methods of the client that follow from the table of operations.

`make generate` writes this file from the table of operations.
"""

from collections.abc import Iterator, Sequence

from pedigree.calls import Calls, segment, version_of
from pedigree.documents import (
    About,
    Access,
    AccessAction,
    AccessApproval,
    AccessApprovalEntry,
    AccessApprovalPage,
    AccessAttempt,
    AccessAttemptEntry,
    AccessAttemptPage,
    AccessBatch,
    AccessBatchEntry,
    AccessBatchPage,
    AccessDecision,
    Accesses,
    AccessGrant,
    AccessGrantEntry,
    AccessGrantPage,
    AccessOfferEntry,
    AccessOfferPage,
    AccessPolicy,
    AccessPolicyEntry,
    AccessPolicyPage,
    AccessReads,
    AccessRequest,
    AccessRequestEntry,
    AccessRequestPage,
    AccessReview,
    AccessReviewEntry,
    AccessReviewPage,
    AccessSlotEntry,
    AccessSlotPage,
    ArtifactStage,
    ArtifactStatus,
    AuditAnchor,
    AuditAnchorEntry,
    AuditAnchorPage,
    AuditEntry,
    AuditPage,
    AuditProof,
    Caller,
    ConsentEvidence,
    ConsentHistory,
    ConsentImpact,
    ConsentMapEntry,
    ConsentMapVersionEntry,
    ConsentMapVersionPage,
    ConsentReceipt,
    CounterClaim,
    CounterClaimEntry,
    CounterClaimPage,
    CriteriaEntry,
    CriteriaPage,
    Dataset,
    DatasetEntry,
    DatasetPage,
    DatasetVersionDetails,
    DatasetVersionEntry,
    DatasetVersionPage,
    Decision,
    Deliveries,
    Deployment,
    DeploymentDetails,
    DeploymentEnd,
    DeploymentEndEntry,
    DeploymentEndPage,
    DeploymentEntry,
    DeploymentPage,
    Direction,
    EdgeEntry,
    EdgePage,
    EffectiveLicence,
    EncodedCertificate,
    Endorsement,
    EndorsementEntry,
    EndorsementPage,
    Envelope,
    EvaluationEntry,
    EvaluationPage,
    Evidence,
    FetchStatement,
    From,
    GrantStatus,
    ImpactItem,
    Inbox,
    InboxItem,
    Kind,
    LaterParents,
    LawfulBasis,
    Ledger,
    LiftVote,
    Lineage,
    LineagePage,
    ListedTransaction,
    Member,
    Model,
    ModelEntry,
    ModelPage,
    ModelVersionDetails,
    ModelVersionEntry,
    ModelVersionPage,
    Order,
    OrganisationRoots,
    OrganisationRootsEntry,
    OrganisationRootsPage,
    Origin,
    Outcome,
    Policy,
    PolicyEntry,
    PolicyVersionEntry,
    PolicyVersionPage,
    PolicyVote,
    PolicyVoteEntry,
    PolicyVotePage,
    Purpose,
    PurposeEntry,
    PurposePage,
    QuorumRule,
    ReachedArtifact,
    Reason,
    Rejection,
    RejectionEntry,
    RejectionPage,
    Relation,
    Reminders,
    SearchResult,
    SearchResults,
    SelectionEntry,
    SelectionEvidence,
    SelectionMark,
    SelectionPage,
    Sensitivity,
    SignedImpact,
    SignedStatement,
    Stage,
    State,
    StatementDraft,
    Submission,
    TaintRules,
    TrainingRunEntry,
    TrainingRunPage,
    TransactionEvidence,
    TransactionOutcome,
    TransactionPage,
    TransparencyLog,
    Verdict,
)
from pedigree.recorded import Recorded


class Operations(Calls):
    """One method for each operation that needs no more than its fields."""

    def register_dataset(
        self,
        dataset: str,
        *,
        title: str,
        licence: str,
        origin: Origin,
        sensitivity: Sensitivity,
        jurisdictions: Sequence[str] | None = None,
        description: str | None = None,
        creator: str | None = None,
        card: str | None = None,
        distributions: Sequence[str] | None = None,
        basis: LawfulBasis | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Dataset]:
        """Register a data set of your organisation."""
        fields = {
            "dataset": dataset,
            "title": title,
            "licence": licence,
            "origin": origin,
            "sensitivity": sensitivity,
            "jurisdictions": jurisdictions,
            "description": description,
            "creator": creator,
            "card": card,
            "distributions": distributions,
            "basis": basis,
        }
        return self._record("/v1/datasets", fields, idempotency_key, endorsing_organisations)

    def datasets(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        sensitivity: Sensitivity | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> DatasetPage:
        """List data sets.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            stage: Only versions at this stage; of data sets and models, those with such a version.
            licence: Only those under this SPDX expression, or with this licence in it.
            sensitivity: Only those that are so sensitive.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: DatasetPage = self._get(
            "/v1/datasets",
            owner=owner,
            stage=stage,
            licence=licence,
            sensitivity=sensitivity,
            name=name,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_datasets(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        sensitivity: Sensitivity | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[DatasetEntry]:
        """All that `datasets` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/datasets",
            owner=owner,
            stage=stage,
            licence=licence,
            sensitivity=sensitivity,
            name=name,
            digest=digest,
            since=since,
            before=before,
        )

    def dataset(self, dataset: str, source: From | None = None) -> DatasetEntry:
        """Read a data set.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: DatasetEntry = self._get(f"/v1/datasets/{segment(dataset)}", **{"from": source})
        return found

    def dataset_versions(
        self,
        dataset: str,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> DatasetVersionPage:
        """List the versions of a data set.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            stage: Only versions at this stage; of data sets and models, those with such a version.
            licence: Only those under this SPDX expression, or with this licence in it.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: DatasetVersionPage = self._get(
            f"/v1/datasets/{segment(dataset)}/versions",
            owner=owner,
            stage=stage,
            licence=licence,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_dataset_versions(
        self,
        dataset: str,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[DatasetVersionEntry]:
        """All that `dataset_versions` lists, page after page as they are needed."""
        return self._iterate(
            f"/v1/datasets/{segment(dataset)}/versions",
            owner=owner,
            stage=stage,
            licence=licence,
            digest=digest,
            since=since,
            before=before,
        )

    def all_dataset_versions(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        sensitivity: Sensitivity | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> DatasetVersionPage:
        """List versions of all data sets.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            stage: Only versions at this stage; of data sets and models, those with such a version.
            licence: Only those under this SPDX expression, or with this licence in it.
            sensitivity: Only those that are so sensitive.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: DatasetVersionPage = self._get(
            "/v1/dataset-versions",
            owner=owner,
            stage=stage,
            licence=licence,
            sensitivity=sensitivity,
            name=name,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_all_dataset_versions(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        sensitivity: Sensitivity | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[DatasetVersionEntry]:
        """All that `all_dataset_versions` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/dataset-versions",
            owner=owner,
            stage=stage,
            licence=licence,
            sensitivity=sensitivity,
            name=name,
            digest=digest,
            since=since,
            before=before,
        )

    def dataset_version(self, dataset: str, number: int, source: From | None = None) -> DatasetVersionDetails:
        """Read a version.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: DatasetVersionDetails = self._get(
            f"/v1/datasets/{segment(dataset)}/versions/{number}", **{"from": source}
        )
        return found

    def record_proof(self, dataset: str, number: int, record_id: str) -> Evidence:
        """Evidence that a record is in a version; only its owner's gateway has it.

        Args:
            record_id: The record's id.
        """
        found: Evidence = self._get(f"/v1/datasets/{segment(dataset)}/versions/{number}/proof", id=record_id)
        return found

    def selections(
        self,
        dataset: str,
        number: int,
        *,
        owner: str | None = None,
        role: str | None = None,
        purpose: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> SelectionPage:
        """List the selections from a version.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            role: Only those that are this part of a split: `train`, `validation` or `test`.
            purpose: Only those for this purpose, by its IRI.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: SelectionPage = self._get(
            f"/v1/datasets/{segment(dataset)}/versions/{number}/selections",
            owner=owner,
            role=role,
            purpose=purpose,
            name=name,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_selections(
        self,
        dataset: str,
        number: int,
        *,
        owner: str | None = None,
        role: str | None = None,
        purpose: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[SelectionEntry]:
        """All that `selections` lists, page after page as they are needed."""
        return self._iterate(
            f"/v1/datasets/{segment(dataset)}/versions/{number}/selections",
            owner=owner,
            role=role,
            purpose=purpose,
            name=name,
            digest=digest,
            since=since,
            before=before,
        )

    def all_selections(
        self,
        *,
        owner: str | None = None,
        role: str | None = None,
        purpose: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> SelectionPage:
        """List selections from all data set versions.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            role: Only those that are this part of a split: `train`, `validation` or `test`.
            purpose: Only those for this purpose, by its IRI.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: SelectionPage = self._get(
            "/v1/selections",
            owner=owner,
            role=role,
            purpose=purpose,
            name=name,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_all_selections(
        self,
        *,
        owner: str | None = None,
        role: str | None = None,
        purpose: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[SelectionEntry]:
        """All that `all_selections` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/selections",
            owner=owner,
            role=role,
            purpose=purpose,
            name=name,
            digest=digest,
            since=since,
            before=before,
        )

    def selection(self, dataset: str, number: int, selection: str, source: From | None = None) -> SelectionEntry:
        """Read a selection.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: SelectionEntry = self._get(
            f"/v1/datasets/{segment(dataset)}/versions/{number}/selections/{segment(selection)}", **{"from": source}
        )
        return found

    def selection_proof(self, dataset: str, number: int, selection: str, record_id: str) -> SelectionEvidence:
        """Evidence that a record is in a selection, by the leaf that it has in the version; its owner has it.

        Args:
            record_id: The record's id.
        """
        found: SelectionEvidence = self._get(
            f"/v1/datasets/{segment(dataset)}/versions/{number}/selections/{segment(selection)}/proof", id=record_id
        )
        return found

    def consent(self, dataset: str, source: From | None = None) -> ConsentMapEntry:
        """Read the consent map of a data set as it is now.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: ConsentMapEntry = self._get(f"/v1/datasets/{segment(dataset)}/consent", **{"from": source})
        return found

    def mark_selections(
        self,
        dataset: str,
        *,
        number: int,
        selections: Sequence[str],
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[SelectionMark]:
        """Mark more selections that a version of your consent map affects, where you keep the map by yourself."""
        fields = {
            "number": number,
            "selections": selections,
        }
        return self._record(
            f"/v1/datasets/{segment(dataset)}/consent/marks", fields, idempotency_key, endorsing_organisations
        )

    def consent_proof(self, dataset: str, subject: str, *, number: int | None = None) -> ConsentEvidence:
        """Evidence of what a data subject's consent is, or that there is none; its controller's gateway has it.

        Args:
            subject: Your own id of the data subject.
            number: A version of the consent map; the last one by default.
        """
        found: ConsentEvidence = self._get(
            f"/v1/datasets/{segment(dataset)}/consent/proof", subject=subject, number=number
        )
        return found

    def consent_history(self, dataset: str, subject: str) -> ConsentHistory:
        """What a data subject's consent is, and every change of it; its controller's gateway has it.

        Args:
            subject: Your own id of the data subject.
        """
        found: ConsentHistory = self._get(f"/v1/datasets/{segment(dataset)}/consent/history", subject=subject)
        return found

    def consent_receipt(self, dataset: str, subject: str, *, number: int | None = None) -> ConsentReceipt:
        """A receipt for a data subject (ISO/IEC TS 27560, in DPV's terms), with the proof of what it says.

        Args:
            subject: Your own id of the data subject.
            number: A version of the consent map; the last one by default.
        """
        found: ConsentReceipt = self._get(
            f"/v1/datasets/{segment(dataset)}/consent/receipt", subject=subject, number=number
        )
        return found

    def consent_impact(
        self, dataset: str, subject: str, *, as_of: int | None = None, cursor: str | None = None, limit: int = 100
    ) -> ConsentImpact:
        """What was made with a data subject's records, whether they trained it, and what each owner has to do.

        Args:
            subject: Your own id of the data subject.
            as_of: Only what the blocks below this height say, at the time of the last of them; all, and now, by
                default.
        """
        found: ConsentImpact = self._get(
            f"/v1/datasets/{segment(dataset)}/consent/impact", subject=subject, as_of=as_of, cursor=cursor, limit=limit
        )
        return found

    def iterate_consent_impact(self, dataset: str, subject: str, *, as_of: int | None = None) -> Iterator[ImpactItem]:
        """All that `consent_impact` lists, page after page as they are needed."""
        return self._iterate(f"/v1/datasets/{segment(dataset)}/consent/impact", subject=subject, as_of=as_of)

    def consent_impact_statement(self, dataset: str, subject: str, *, as_of: int | None = None) -> SignedImpact:
        """The impact of a data subject's withdrawal as a statement that this organisation signs, without ids.

        Args:
            subject: Your own id of the data subject.
            as_of: Only what the blocks below this height say, at the time of the last of them; all, and now, by
                default.
        """
        found: SignedImpact = self._get(
            f"/v1/datasets/{segment(dataset)}/consent/impact/statement", subject=subject, as_of=as_of
        )
        return found

    def consent_versions(
        self,
        dataset: str,
        *,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ConsentMapVersionPage:
        """List the versions of a data set's consent map.

        Args:
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: ConsentMapVersionPage = self._get(
            f"/v1/datasets/{segment(dataset)}/consent/versions", since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_consent_versions(
        self, dataset: str, *, since: str | None = None, before: str | None = None
    ) -> Iterator[ConsentMapVersionEntry]:
        """All that `consent_versions` lists, page after page as they are needed."""
        return self._iterate(f"/v1/datasets/{segment(dataset)}/consent/versions", since=since, before=before)

    def consent_version(self, dataset: str, number: int, source: From | None = None) -> ConsentMapVersionEntry:
        """Read a version of a data set's consent map.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: ConsentMapVersionEntry = self._get(
            f"/v1/datasets/{segment(dataset)}/consent/versions/{number}", **{"from": source}
        )
        return found

    def register_purpose(
        self,
        bit: int,
        iri: str,
        *,
        title: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Purpose]:
        """Give one of the bits 32 to 63 a meaning in your organisation's data sets."""
        fields = {
            "bit": bit,
            "iri": iri,
            "title": title,
        }
        return self._record("/v1/purposes", fields, idempotency_key, endorsing_organisations)

    def purposes(
        self,
        *,
        owner: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> PurposePage:
        """List the purposes that organisations have registered.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: PurposePage = self._get(
            "/v1/purposes", owner=owner, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_purposes(
        self, *, owner: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[PurposeEntry]:
        """All that `purposes` lists, page after page as they are needed."""
        return self._iterate("/v1/purposes", owner=owner, since=since, before=before)

    def register_model(
        self,
        model: str,
        *,
        title: str,
        task: str | None = None,
        description: str | None = None,
        card: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Model]:
        """Register a model of your organisation."""
        fields = {
            "model": model,
            "title": title,
            "task": task,
            "description": description,
            "card": card,
        }
        return self._record("/v1/models", fields, idempotency_key, endorsing_organisations)

    def models(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ModelPage:
        """List models.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            stage: Only versions at this stage; of data sets and models, those with such a version.
            licence: Only those under this SPDX expression, or with this licence in it.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: ModelPage = self._get(
            "/v1/models",
            owner=owner,
            stage=stage,
            licence=licence,
            name=name,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_models(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[ModelEntry]:
        """All that `models` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/models",
            owner=owner,
            stage=stage,
            licence=licence,
            name=name,
            digest=digest,
            since=since,
            before=before,
        )

    def model(self, model: str, source: From | None = None) -> ModelEntry:
        """Read a model.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: ModelEntry = self._get(f"/v1/models/{segment(model)}", **{"from": source})
        return found

    def model_versions(
        self,
        model: str,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ModelVersionPage:
        """List the versions of a model.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            stage: Only versions at this stage; of data sets and models, those with such a version.
            licence: Only those under this SPDX expression, or with this licence in it.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: ModelVersionPage = self._get(
            f"/v1/models/{segment(model)}/versions",
            owner=owner,
            stage=stage,
            licence=licence,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_model_versions(
        self,
        model: str,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[ModelVersionEntry]:
        """All that `model_versions` lists, page after page as they are needed."""
        return self._iterate(
            f"/v1/models/{segment(model)}/versions",
            owner=owner,
            stage=stage,
            licence=licence,
            digest=digest,
            since=since,
            before=before,
        )

    def all_model_versions(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ModelVersionPage:
        """List versions of all models.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            stage: Only versions at this stage; of data sets and models, those with such a version.
            licence: Only those under this SPDX expression, or with this licence in it.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: ModelVersionPage = self._get(
            "/v1/model-versions",
            owner=owner,
            stage=stage,
            licence=licence,
            name=name,
            digest=digest,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_all_model_versions(
        self,
        *,
        owner: str | None = None,
        stage: Stage | None = None,
        licence: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[ModelVersionEntry]:
        """All that `all_model_versions` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/model-versions",
            owner=owner,
            stage=stage,
            licence=licence,
            name=name,
            digest=digest,
            since=since,
            before=before,
        )

    def model_version(self, model: str, number: int, source: From | None = None) -> ModelVersionDetails:
        """Read a version and the parents declared later.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: ModelVersionDetails = self._get(f"/v1/models/{segment(model)}/versions/{number}", **{"from": source})
        return found

    def declare_parent(
        self,
        child: str,
        parent: str,
        relation: Relation,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[LaterParents]:
        """Add a parent that became known later."""
        model, number = version_of(child, "model-version")
        fields = {
            "parent": parent,
            "relation": relation,
        }
        return self._record(
            f"/v1/models/{segment(model)}/versions/{number}/parents",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def runs(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> TrainingRunPage:
        """List training runs.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: TrainingRunPage = self._get(
            "/v1/runs", owner=owner, name=name, digest=digest, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_runs(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[TrainingRunEntry]:
        """All that `runs` lists, page after page as they are needed."""
        return self._iterate("/v1/runs", owner=owner, name=name, digest=digest, since=since, before=before)

    def get_run(self, run: str, source: From | None = None) -> TrainingRunEntry:
        """Read a training run.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: TrainingRunEntry = self._get(f"/v1/runs/{segment(run)}", **{"from": source})
        return found

    def run_statement(self, run: str, source: From | None = None) -> SignedStatement:
        """The signed statement of a run: SLSA provenance, in an in-toto statement, in a DSSE envelope.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: SignedStatement = self._get(f"/v1/runs/{segment(run)}/statement", **{"from": source})
        return found

    def all_criteria(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        version: str | None = None,
        model: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> CriteriaPage:
        """List criteria of evaluations.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
            version: Only those that are measured on this data set version.
            model: Only those for this model.
        """
        found: CriteriaPage = self._get(
            "/v1/criteria",
            owner=owner,
            name=name,
            digest=digest,
            since=since,
            before=before,
            version=version,
            model=model,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_all_criteria(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        version: str | None = None,
        model: str | None = None,
    ) -> Iterator[CriteriaEntry]:
        """All that `all_criteria` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/criteria",
            owner=owner,
            name=name,
            digest=digest,
            since=since,
            before=before,
            version=version,
            model=model,
        )

    def criteria(self, criteria: str, source: From | None = None) -> CriteriaEntry:
        """Read criteria of evaluations.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: CriteriaEntry = self._get(f"/v1/criteria/{segment(criteria)}", **{"from": source})
        return found

    def evaluations(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        subject: str | None = None,
        criteria: str | None = None,
        verdict: Verdict | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> EvaluationPage:
        """List evaluations.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
            subject: Only those of this model version.
            criteria: Only those that these criteria judged.
            verdict: Only those whose criteria are all met (`pass`), or not (`fail`).
        """
        found: EvaluationPage = self._get(
            "/v1/evaluations",
            owner=owner,
            name=name,
            digest=digest,
            since=since,
            before=before,
            subject=subject,
            criteria=criteria,
            verdict=verdict,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_evaluations(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        subject: str | None = None,
        criteria: str | None = None,
        verdict: Verdict | None = None,
    ) -> Iterator[EvaluationEntry]:
        """All that `evaluations` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/evaluations",
            owner=owner,
            name=name,
            digest=digest,
            since=since,
            before=before,
            subject=subject,
            criteria=criteria,
            verdict=verdict,
        )

    def evaluation(self, evaluation: str, source: From | None = None) -> EvaluationEntry:
        """Read an evaluation.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: EvaluationEntry = self._get(f"/v1/evaluations/{segment(evaluation)}", **{"from": source})
        return found

    def record_deployment(
        self,
        deployment: str,
        version: str,
        location: str,
        *,
        territories: Sequence[str] | None = None,
        digest: str | None = None,
        started: int | None = None,
        purpose: str | None = None,
        note: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Deployment]:
        """Record that your organisation puts a model version to use."""
        fields = {
            "deployment": deployment,
            "version": version,
            "location": location,
            "territories": territories,
            "digest": digest,
            "started": started,
            "purpose": purpose,
            "note": note,
        }
        return self._record("/v1/deployments", fields, idempotency_key, endorsing_organisations)

    def deployments(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        version: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> DeploymentPage:
        """List deployments.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            name: Only those whose name begins so; in the order of names.
            digest: Only those that name a digest which is this, or begins with these 8 digits or more.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
            version: Only those of this model version.
        """
        found: DeploymentPage = self._get(
            "/v1/deployments",
            owner=owner,
            name=name,
            digest=digest,
            since=since,
            before=before,
            version=version,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_deployments(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        since: str | None = None,
        before: str | None = None,
        version: str | None = None,
    ) -> Iterator[DeploymentEntry]:
        """All that `deployments` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/deployments", owner=owner, name=name, digest=digest, since=since, before=before, version=version
        )

    def deployment(self, deployment: str, source: From | None = None) -> DeploymentDetails:
        """Read a deployment, and its end where it has ended.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: DeploymentDetails = self._get(f"/v1/deployments/{segment(deployment)}", **{"from": source})
        return found

    def end_deployment(
        self,
        deployment: str,
        *,
        ended: int | None = None,
        reason: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[DeploymentEnd]:
        """Record that a deployment of yours ended; that is recorded once."""
        fields = {
            "ended": ended,
            "reason": reason,
        }
        return self._record(
            f"/v1/deployments/{segment(deployment)}/end", fields, idempotency_key, endorsing_organisations, reads=True
        )

    def deployment_ends(
        self,
        *,
        owner: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> DeploymentEndPage:
        """List which deployments ended, and when.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: DeploymentEndPage = self._get(
            "/v1/deployment-ends", owner=owner, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_deployment_ends(
        self, *, owner: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[DeploymentEndEntry]:
        """All that `deployment_ends` lists, page after page as they are needed."""
        return self._iterate("/v1/deployment-ends", owner=owner, since=since, before=before)

    def set_access_policy(
        self,
        dataset: str,
        *,
        purposes: Sequence[str],
        actions: Sequence[AccessAction],
        longest: int,
        number: int | None = None,
        most_uses: int | None = None,
        organisations: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
        approvers: Sequence[str] | None = None,
        conditions: str | None = None,
        conditions_digest: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessPolicy]:
        """Say under which terms others get access to your data set."""
        fields = {
            "purposes": purposes,
            "actions": actions,
            "longest": longest,
            "number": number,
            "most_uses": most_uses,
            "organisations": organisations,
            "roles": roles,
            "approvers": approvers,
            "conditions": conditions,
            "conditions_digest": conditions_digest,
        }
        return self._record(
            f"/v1/datasets/{segment(dataset)}/access-policies", fields, idempotency_key, endorsing_organisations
        )

    def access_policies(
        self,
        dataset: str,
        *,
        owner: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessPolicyPage:
        """List the versions of a data set's access policy.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessPolicyPage = self._get(
            f"/v1/datasets/{segment(dataset)}/access-policies",
            owner=owner,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_access_policies(
        self, dataset: str, *, owner: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[AccessPolicyEntry]:
        """All that `access_policies` lists, page after page as they are needed."""
        return self._iterate(
            f"/v1/datasets/{segment(dataset)}/access-policies", owner=owner, since=since, before=before
        )

    def access_policy(self, dataset: str, number: int, source: From | None = None) -> AccessPolicyEntry:
        """Read a version of a data set's access policy.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: AccessPolicyEntry = self._get(
            f"/v1/datasets/{segment(dataset)}/access-policies/{number}", **{"from": source}
        )
        return found

    def access_offers(
        self,
        *,
        owner: str | None = None,
        name: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessOfferPage:
        """List which data sets have an access policy, and the version in force.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            name: Only those whose name begins so; in the order of names.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessOfferPage = self._get(
            "/v1/access-offers", owner=owner, name=name, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_access_offers(
        self, *, owner: str | None = None, name: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[AccessOfferEntry]:
        """All that `access_offers` lists, page after page as they are needed."""
        return self._iterate("/v1/access-offers", owner=owner, name=name, since=since, before=before)

    def request_access(
        self,
        request: str,
        *,
        artifact: str,
        purpose: str,
        actions: Sequence[AccessAction],
        expires: int,
        not_before: int | None = None,
        uses: int | None = None,
        recipient: str | None = None,
        recipient_key: str | None = None,
        justification: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessRequest]:
        """Ask for access to another organisation's data."""
        fields = {
            "request": request,
            "artifact": artifact,
            "purpose": purpose,
            "actions": actions,
            "expires": expires,
            "not_before": not_before,
            "uses": uses,
            "recipient": recipient,
            "recipient_key": recipient_key,
            "justification": justification,
        }
        return self._record("/v1/access-requests", fields, idempotency_key, endorsing_organisations)

    def access_requests(
        self,
        *,
        owner: str | None = None,
        by: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        name: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessRequestPage:
        """List requests for access.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            by: Only those of this organisation.
            artifact: Only those of this data: a data set version or a selection.
            purpose: Only those for this purpose, by its IRI.
            name: Only those whose name begins so; in the order of names.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessRequestPage = self._get(
            "/v1/access-requests",
            owner=owner,
            by=by,
            artifact=artifact,
            purpose=purpose,
            name=name,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_access_requests(
        self,
        *,
        owner: str | None = None,
        by: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        name: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[AccessRequestEntry]:
        """All that `access_requests` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/access-requests",
            owner=owner,
            by=by,
            artifact=artifact,
            purpose=purpose,
            name=name,
            since=since,
            before=before,
        )

    def access_request(self, request: str, source: From | None = None) -> AccessRequestEntry:
        """Read a request for access, and what was said of it.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: AccessRequestEntry = self._get(f"/v1/access-requests/{segment(request)}", **{"from": source})
        return found

    def approve_access(
        self,
        request: str,
        *,
        note: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessApproval]:
        """Approve a request for access, as an organisation that the access policy names."""
        fields = {
            "note": note,
        }
        return self._record(
            f"/v1/access-requests/{segment(request)}/approval",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def deny_access(
        self,
        request: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessApproval]:
        """Deny a request for access, as the data's owner or as an organisation that the access policy names."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/access-requests/{segment(request)}/denial",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def access_approvals(
        self,
        *,
        by: str | None = None,
        request: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessApprovalPage:
        """List what organisations that have a say said of requests for access.

        Args:
            by: Only those of this organisation.
            request: Only those of this request, by its name.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessApprovalPage = self._get(
            "/v1/access-approvals", by=by, request=request, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_access_approvals(
        self, *, by: str | None = None, request: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[AccessApprovalEntry]:
        """All that `access_approvals` lists, page after page as they are needed."""
        return self._iterate("/v1/access-approvals", by=by, request=request, since=since, before=before)

    def grant_access(
        self,
        grant: str,
        *,
        request: str | None = None,
        renews: str | None = None,
        grantee: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        actions: Sequence[AccessAction] | None = None,
        not_before: int | None = None,
        expires: int | None = None,
        uses: int | None = None,
        recipient: str | None = None,
        recipient_key: str | None = None,
        emergency: str | None = None,
        batched: bool | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessGrant]:
        """Give another organisation access to your data, as it asked for or as you say."""
        fields = {
            "grant": grant,
            "request": request,
            "renews": renews,
            "grantee": grantee,
            "artifact": artifact,
            "purpose": purpose,
            "actions": actions,
            "not_before": not_before,
            "expires": expires,
            "uses": uses,
            "recipient": recipient,
            "recipient_key": recipient_key,
            "emergency": emergency,
            "batched": batched,
        }
        return self._record("/v1/access-grants", fields, idempotency_key, endorsing_organisations)

    def access_grants(
        self,
        *,
        owner: str | None = None,
        grantee: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        grant_status: GrantStatus | None = None,
        name: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessGrantPage:
        """List grants of access.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            grantee: Only those to this organisation.
            artifact: Only those of this data: a data set version or a selection.
            purpose: Only those for this purpose, by its IRI.
            grant_status: Only those in this status.
            name: Only those whose name begins so; in the order of names.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessGrantPage = self._get(
            "/v1/access-grants",
            owner=owner,
            grantee=grantee,
            artifact=artifact,
            purpose=purpose,
            grant_status=grant_status,
            name=name,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_access_grants(
        self,
        *,
        owner: str | None = None,
        grantee: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        grant_status: GrantStatus | None = None,
        name: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[AccessGrantEntry]:
        """All that `access_grants` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/access-grants",
            owner=owner,
            grantee=grantee,
            artifact=artifact,
            purpose=purpose,
            grant_status=grant_status,
            name=name,
            since=since,
            before=before,
        )

    def access_grant(self, grant: str, source: From | None = None) -> AccessGrantEntry:
        """Read a grant of access.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: AccessGrantEntry = self._get(f"/v1/access-grants/{segment(grant)}", **{"from": source})
        return found

    def suspend_access(
        self,
        grant: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessGrant]:
        """Stop a grant of yours until you resume it."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/access-grants/{segment(grant)}/suspension",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def resume_access(
        self,
        grant: str,
        *,
        reason: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessGrant]:
        """Let a suspended grant of yours run on."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/access-grants/{segment(grant)}/resumption",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def revoke_access(
        self,
        grant: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessGrant]:
        """End a grant of yours at once, for good."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/access-grants/{segment(grant)}/revocation",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def expire_access(
        self, grant: str, *, endorsing_organisations: Sequence[str] | None = None, idempotency_key: str | None = None
    ) -> Recorded[AccessGrant]:
        """Write that a grant of yours is over, once its time has passed."""
        fields: dict[str, object] = {}
        return self._record(
            f"/v1/access-grants/{segment(grant)}/expiry", fields, idempotency_key, endorsing_organisations, reads=True
        )

    def review_access(
        self,
        grant: str,
        *,
        justified: bool,
        note: str,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessReview]:
        """Say, as a third member, whether a grant that was given in an emergency was right."""
        fields = {
            "justified": justified,
            "note": note,
        }
        return self._record(
            f"/v1/access-grants/{segment(grant)}/reviews", fields, idempotency_key, endorsing_organisations, reads=True
        )

    def access_reviews(
        self,
        *,
        by: str | None = None,
        grant: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessReviewPage:
        """List what third members found of grants that were given in an emergency.

        Args:
            by: Only those of this organisation.
            grant: Only those of this grant, by its name.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessReviewPage = self._get(
            "/v1/access-reviews", by=by, grant=grant, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_access_reviews(
        self, *, by: str | None = None, grant: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[AccessReviewEntry]:
        """All that `access_reviews` lists, page after page as they are needed."""
        return self._iterate("/v1/access-reviews", by=by, grant=grant, since=since, before=before)

    def attempt_access(
        self,
        grant: str,
        artifact: str,
        *,
        action: AccessAction,
        purpose: str,
        recipient: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessAttempt]:
        """Ask to use data under a grant, now; what is denied is recorded as well, with its reason."""
        fields = {
            "grant": grant,
            "artifact": artifact,
            "action": action,
            "purpose": purpose,
            "recipient": recipient,
        }
        return self._record("/v1/access-attempts", fields, idempotency_key, endorsing_organisations)

    def access_attempts(
        self,
        *,
        owner: str | None = None,
        by: str | None = None,
        grant: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        access_decision: AccessDecision | None = None,
        reason: Reason | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessAttemptPage:
        """List attempts to use data, the allowed and the denied ones.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            by: Only those that this organisation made.
            grant: Only those of this grant, by its name.
            artifact: Only those of this data: a data set version or a selection.
            purpose: Only those for this purpose, by its IRI.
            access_decision: Only those that came to this.
            reason: Only those that were denied for this reason.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessAttemptPage = self._get(
            "/v1/access-attempts",
            owner=owner,
            by=by,
            grant=grant,
            artifact=artifact,
            purpose=purpose,
            access_decision=access_decision,
            reason=reason,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_access_attempts(
        self,
        *,
        owner: str | None = None,
        by: str | None = None,
        grant: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        access_decision: AccessDecision | None = None,
        reason: Reason | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[AccessAttemptEntry]:
        """All that `access_attempts` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/access-attempts",
            owner=owner,
            by=by,
            grant=grant,
            artifact=artifact,
            purpose=purpose,
            access_decision=access_decision,
            reason=reason,
            since=since,
            before=before,
        )

    def access_attempt(self, attempt: str, source: From | None = None) -> AccessAttemptEntry:
        """Read an attempt to use data, by the id of its transaction.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: AccessAttemptEntry = self._get(f"/v1/access-attempts/{segment(attempt)}", **{"from": source})
        return found

    def sign_fetch(self, attempt: str, *, recipient_key: str | None = None) -> FetchStatement:
        """Sign that your organisation fetches what an attempt of it was allowed, for the owner's gateway.

        Args:
            recipient_key: Public key that the data key is to go to: base64 of its SubjectPublicKeyInfo, on P-256.
        """
        found: FetchStatement = self._get(
            f"/v1/access-attempts/{segment(attempt)}/statement", recipient_key=recipient_key
        )
        return found

    def deliveries(self, *, before: int | None = None) -> Deliveries:
        """List what this gateway gave out of its organisation's data and what it refused, the last first.

        Args:
            before: Only those before this one.
        """
        found: Deliveries = self._get("/v1/deliveries", before=before)
        return found

    def accesses(
        self,
        *,
        owner: str | None = None,
        by: str | None = None,
        grant: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        access_decision: AccessDecision | None = None,
        reason: Reason | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Accesses:
        """List attempts and the small reads that this gateway decided together, in the order of time.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            by: Only those that this organisation made.
            grant: Only those of this grant, by its name.
            artifact: Only those of this data: a data set version or a selection.
            purpose: Only those for this purpose, by its IRI.
            access_decision: Only those that came to this.
            reason: Only those that were denied for this reason.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: Accesses = self._get(
            "/v1/accesses",
            owner=owner,
            by=by,
            grant=grant,
            artifact=artifact,
            purpose=purpose,
            access_decision=access_decision,
            reason=reason,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_accesses(
        self,
        *,
        owner: str | None = None,
        by: str | None = None,
        grant: str | None = None,
        artifact: str | None = None,
        purpose: str | None = None,
        access_decision: AccessDecision | None = None,
        reason: Reason | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[Access]:
        """All that `accesses` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/accesses",
            owner=owner,
            by=by,
            grant=grant,
            artifact=artifact,
            purpose=purpose,
            access_decision=access_decision,
            reason=reason,
            since=since,
            before=before,
        )

    def access_reads(self, *, before: int | None = None, grant: str | None = None) -> AccessReads:
        """List the reads that this gateway decided without a transaction each, the last first, with their proofs.

        Args:
            before: Only those before this one.
            grant: Only those of this grant, by its name.
        """
        found: AccessReads = self._get("/v1/access-reads", before=before, grant=grant)
        return found

    def sign_read_list(self, organisation: str, number: int) -> FetchStatement:
        """Sign that your organisation asks to see a list of another organisation's reads, for that one's gateway."""
        found: FetchStatement = self._get(f"/v1/access-batches/{segment(organisation)}/{number}/statement")
        return found

    def access_slots(
        self,
        grant: str,
        *,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessSlotPage:
        """List the uses of a grant that are taken.

        Args:
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessSlotPage = self._get(
            f"/v1/access-grants/{segment(grant)}/uses", since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_access_slots(
        self, grant: str, *, since: str | None = None, before: str | None = None
    ) -> Iterator[AccessSlotEntry]:
        """All that `access_slots` lists, page after page as they are needed."""
        return self._iterate(f"/v1/access-grants/{segment(grant)}/uses", since=since, before=before)

    def anchor_access(
        self,
        *,
        number: int,
        root: str,
        size: int,
        since: int,
        until: int,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AccessBatch]:
        """Commit to a list of reads of your data that had no transaction each."""
        fields = {
            "number": number,
            "root": root,
            "size": size,
            "since": since,
            "until": until,
        }
        return self._record("/v1/access-batches", fields, idempotency_key, endorsing_organisations)

    def access_batches(
        self,
        *,
        owner: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AccessBatchPage:
        """List what commits to lists of reads.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AccessBatchPage = self._get(
            "/v1/access-batches", owner=owner, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_access_batches(
        self, *, owner: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[AccessBatchEntry]:
        """All that `access_batches` lists, page after page as they are needed."""
        return self._iterate("/v1/access-batches", owner=owner, since=since, before=before)

    def set_policy(
        self,
        *,
        number: int,
        members: Sequence[Member],
        rules: Sequence[QuorumRule],
        amendment_threshold: int,
        amendment_roles: Sequence[str] | None = None,
        taint: TaintRules | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Policy | PolicyVote]:
        """Vote for a version of the policy; the vote that completes the quorum puts it in force."""
        fields = {
            "number": number,
            "members": members,
            "rules": rules,
            "amendment_threshold": amendment_threshold,
            "amendment_roles": amendment_roles,
            "taint": taint,
        }
        return self._record("/v1/policies", fields, idempotency_key, endorsing_organisations)

    def policies(
        self, *, since: str | None = None, before: str | None = None, cursor: str | None = None, limit: int = 100
    ) -> PolicyVersionPage:
        """Every version that was in force.

        Args:
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: PolicyVersionPage = self._get("/v1/policies", since=since, before=before, cursor=cursor, limit=limit)
        return found

    def iterate_policies(self, *, since: str | None = None, before: str | None = None) -> Iterator[PolicyVersionEntry]:
        """All that `policies` lists, page after page as they are needed."""
        return self._iterate("/v1/policies", since=since, before=before)

    def policy(self, source: From | None = None) -> PolicyEntry:
        """The policy in force.

        Args:
            source: `ledger` asks this organisation's own peer; `read-model` (the default) answers what was read from
                blocks.
        """
        found: PolicyEntry = self._get("/v1/policies/current", **{"from": source})
        return found

    def policy_votes(
        self,
        *,
        number: int | None = None,
        by: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> PolicyVotePage:
        """Votes for versions of the policy.

        Args:
            number: Only votes for this version.
            by: Only the votes of this organisation.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: PolicyVotePage = self._get(
            "/v1/policies/votes", number=number, by=by, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_policy_votes(
        self, *, number: int | None = None, by: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[PolicyVoteEntry]:
        """All that `policy_votes` lists, page after page as they are needed."""
        return self._iterate("/v1/policies/votes", number=number, by=by, since=since, before=before)

    def declare_roots(
        self,
        *,
        roots: Sequence[EncodedCertificate],
        intermediates: Sequence[EncodedCertificate] | None = None,
        revoked: Sequence[str] | None = None,
        units: Sequence[str] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[OrganisationRoots]:
        """Declare under which certificate authorities those are who may sign statements for your organisation."""
        fields = {
            "roots": roots,
            "intermediates": intermediates,
            "revoked": revoked,
            "units": units,
        }
        return self._record("/v1/roots", fields, idempotency_key, endorsing_organisations)

    def roots(
        self,
        *,
        owner: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> OrganisationRootsPage:
        """List whose certificates may speak for which organisation.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: OrganisationRootsPage = self._get(
            "/v1/roots", owner=owner, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_roots(
        self, *, owner: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[OrganisationRootsEntry]:
        """All that `roots` lists, page after page as they are needed."""
        return self._iterate("/v1/roots", owner=owner, since=since, before=before)

    def artifact(self, reference: str, stage: Stage | None = None) -> ArtifactStatus:
        """Where an artifact stands, who vouches for it, and who is missing.

        Args:
            stage: The stage that is counted for; `approved` by default.
        """
        found: ArtifactStatus = self._get(f"/v1/artifacts/{segment(reference)}", stage=stage)
        return found

    def inbox(
        self,
        *,
        kind: Kind | None = None,
        owner: str | None = None,
        name: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Inbox:
        """What awaits this organisation's endorsement.

        Args:
            kind: Only artifacts of this kind.
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            name: Only those whose name begins so; in the order of names.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: Inbox = self._get(
            "/v1/inbox", kind=kind, owner=owner, name=name, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_inbox(
        self,
        *,
        kind: Kind | None = None,
        owner: str | None = None,
        name: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[InboxItem]:
        """All that `inbox` lists, page after page as they are needed."""
        return self._iterate("/v1/inbox", kind=kind, owner=owner, name=name, since=since, before=before)

    def reminders(
        self, *, after: int | None = None, about: About | None = None, state: State | None = None
    ) -> Reminders:
        """What this gateway reminded its organisation of, in order, each once: words awaited, approvals that end.

        Args:
            after: Only those after this number, such as the `next` of an answer.
            about: Only those of this kind.
            state: Only those of what is due still, or of what is over.
        """
        found: Reminders = self._get("/v1/reminders", after=after, about=about, state=state)
        return found

    def draft_statement(
        self,
        reference: str,
        decision: Decision | None = None,
        stage: Stage | None = None,
        *,
        digest: str | None = None,
        reason: str | None = None,
        against: str | None = None,
        evidence: str | None = None,
        evidence_digest: str | None = None,
    ) -> StatementDraft:
        """The statement that a word on an artifact signs, before it is signed; nothing is recorded.

        Args:
            decision: What is said of the artifact.
            stage: The stage that the word is on.
            digest: The bytes that you examined; the recorded ones by default.
            reason: Why, of anything but an endorsement; it is signed.
            against: Of a counter-claim, whose endorsement it is against; the artifact by default.
            evidence: Of a counter-claim, the reference of a record that shows it.
            evidence_digest: Of a counter-claim, the SHA-256 of a document that shows it.
        """
        found: StatementDraft = self._get(
            f"/v1/artifacts/{segment(reference)}/statement",
            decision=decision,
            stage=stage,
            digest=digest,
            reason=reason,
            against=against,
            evidence=evidence,
            evidence_digest=evidence_digest,
        )
        return found

    def submit(
        self,
        reference: str,
        *,
        digest: str | None = None,
        note: str | None = None,
        evaluation: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[ArtifactStage]:
        """Ask the consortium to endorse your artifact."""
        fields = {
            "digest": digest,
            "note": note,
            "evaluation": evaluation,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/submission",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def endorse(
        self,
        reference: str,
        *,
        envelope: Envelope | None = None,
        stage: Stage | None = None,
        chain: Sequence[EncodedCertificate] | None = None,
        digest: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Endorsement]:
        """Vouch for an artifact; the gateway signs the statement."""
        fields = {
            "envelope": envelope,
            "stage": stage,
            "chain": chain,
            "digest": digest,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/endorsements",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def reject(
        self,
        reference: str,
        reason: str,
        *,
        envelope: Envelope | None = None,
        stage: Stage | None = None,
        chain: Sequence[EncodedCertificate] | None = None,
        digest: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Rejection]:
        """Say that an artifact must not reach a stage."""
        fields = {
            "reason": reason,
            "envelope": envelope,
            "stage": stage,
            "chain": chain,
            "digest": digest,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/rejections",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def withdraw(
        self,
        reference: str,
        reason: str,
        *,
        stage: Stage | None = None,
        envelope: Envelope | None = None,
        chain: Sequence[EncodedCertificate] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[Endorsement | ArtifactStage]:
        """Take your endorsement back; the gateway signs the statement."""
        fields = {
            "reason": reason,
            "stage": stage,
            "envelope": envelope,
            "chain": chain,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/withdrawal",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def quarantine(
        self,
        reference: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[ArtifactStage]:
        """Stop an artifact at whatever stage it is."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/quarantine",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def confirm_quarantine(
        self,
        reference: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[ArtifactStage]:
        """Make the quarantine that another member imposed a lasting one."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/quarantine/confirmation",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def lift_quarantine(
        self,
        reference: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[ArtifactStage | LiftVote]:
        """Vote for the end of a quarantine; as many votes as amend the policy end it."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/quarantine/votes",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def release(
        self,
        reference: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[ArtifactStage]:
        """End a quarantine that your organisation imposed and nobody confirmed."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/release", fields, idempotency_key, endorsing_organisations, reads=True
        )

    def advance(
        self,
        reference: str,
        to: Stage,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[ArtifactStage]:
        """Move your artifact to its next stage."""
        fields = {
            "to": to,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/stage", fields, idempotency_key, endorsing_organisations, reads=True
        )

    def endorsements(
        self,
        *,
        artifact: str | None = None,
        by: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> EndorsementPage:
        """List who endorsed what, with which key and under which policy; those that were withdrawn too.

        Args:
            artifact: Only those of this artifact, by its reference.
            by: Only those of this organisation.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: EndorsementPage = self._get(
            "/v1/endorsements", artifact=artifact, by=by, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_endorsements(
        self, *, artifact: str | None = None, by: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[EndorsementEntry]:
        """All that `endorsements` lists, page after page as they are needed."""
        return self._iterate("/v1/endorsements", artifact=artifact, by=by, since=since, before=before)

    def rejections(
        self,
        *,
        artifact: str | None = None,
        by: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> RejectionPage:
        """List who rejected what, with which key and why.

        Args:
            artifact: Only those of this artifact, by its reference.
            by: Only those of this organisation.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: RejectionPage = self._get(
            "/v1/rejections", artifact=artifact, by=by, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_rejections(
        self, *, artifact: str | None = None, by: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[RejectionEntry]:
        """All that `rejections` lists, page after page as they are needed."""
        return self._iterate("/v1/rejections", artifact=artifact, by=by, since=since, before=before)

    def state_claim(
        self,
        reference: str,
        reason: str,
        *,
        envelope: Envelope | None = None,
        stage: Stage | None = None,
        against: str | None = None,
        evidence: str | None = None,
        evidence_digest: str | None = None,
        chain: Sequence[EncodedCertificate] | None = None,
        digest: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[CounterClaim]:
        """Object to another organisation's artifact, or to an endorsement of it; the gateway signs it."""
        fields = {
            "reason": reason,
            "envelope": envelope,
            "stage": stage,
            "against": against,
            "evidence": evidence,
            "evidence_digest": evidence_digest,
            "chain": chain,
            "digest": digest,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/counter-claims",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def answer_claim(
        self,
        reference: str,
        claimant: str,
        answer: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[CounterClaim]:
        """Answer a counter-claim against your artifact or endorsement; that is recorded once."""
        fields = {
            "answer": answer,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/counter-claims/{segment(claimant)}/answer",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def withdraw_claim(
        self,
        reference: str,
        reason: str,
        *,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[CounterClaim]:
        """Take your counter-claim back."""
        fields = {
            "reason": reason,
        }
        return self._record(
            f"/v1/artifacts/{segment(reference)}/counter-claims/withdrawal",
            fields,
            idempotency_key,
            endorsing_organisations,
            reads=True,
        )

    def claims(
        self,
        *,
        artifact: str | None = None,
        by: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> CounterClaimPage:
        """List counter-claims, open or not.

        Args:
            artifact: Only those against this artifact.
            by: Only those of this organisation.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: CounterClaimPage = self._get(
            "/v1/counter-claims", artifact=artifact, by=by, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_claims(
        self, *, artifact: str | None = None, by: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[CounterClaimEntry]:
        """All that `claims` lists, page after page as they are needed."""
        return self._iterate("/v1/counter-claims", artifact=artifact, by=by, since=since, before=before)

    def lineage(
        self, reference: str, direction: Direction | None = None, *, as_of: int | None = None, limit: int | None = None
    ) -> Lineage:
        """Walk up to the sources, or down to what depends on it.

        Args:
            direction: `up` (the default) or `down`.
            limit: Most nodes to visit; 1000 by default.
            as_of: Only what the blocks below this height say, at the time of the last of them; all, and now, by
                default.
        """
        found: Lineage = self._get(f"/v1/lineage/{segment(reference)}", direction=direction, as_of=as_of, limit=limit)
        return found

    def impact(
        self,
        reference: str,
        direction: Direction | None = None,
        *,
        depth: int | None = None,
        as_of: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> LineagePage:
        """List all that was made from an artifact, or that it was made from, to any depth, nearest first.

        Args:
            direction: `down` (the default) or `up`.
            depth: Only what is at most so many steps away; all by default.
            as_of: Only what the blocks below this height say, at the time of the last of them; all, and now, by
                default.
        """
        found: LineagePage = self._get(
            f"/v1/lineage/{segment(reference)}/artifacts",
            direction=direction,
            depth=depth,
            as_of=as_of,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_impact(
        self, reference: str, direction: Direction | None = None, *, depth: int | None = None, as_of: int | None = None
    ) -> Iterator[ReachedArtifact]:
        """All that `impact` lists, page after page as they are needed."""
        return self._iterate(
            f"/v1/lineage/{segment(reference)}/artifacts", direction=direction, depth=depth, as_of=as_of
        )

    def edges(
        self,
        reference: str,
        direction: Direction | None = None,
        *,
        relation: str | None = None,
        kind: Kind | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> EdgePage:
        """List the edges on the ledger that end (`up`) or begin (`down`) at an artifact.

        Args:
            direction: `up` (the default) or `down`.
            relation: Only edges of this relation, such as extends, input:train or fine-tuned.
            kind: Only edges whose other end is of this kind.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: EdgePage = self._get(
            f"/v1/lineage/{segment(reference)}/edges",
            direction=direction,
            relation=relation,
            kind=kind,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_edges(
        self,
        reference: str,
        direction: Direction | None = None,
        *,
        relation: str | None = None,
        kind: Kind | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[EdgeEntry]:
        """All that `edges` lists, page after page as they are needed."""
        return self._iterate(
            f"/v1/lineage/{segment(reference)}/edges",
            direction=direction,
            relation=relation,
            kind=kind,
            since=since,
            before=before,
        )

    def effective_licence(
        self, reference: str, *, as_of: int | None = None, limit: int | None = None
    ) -> EffectiveLicence:
        """What the licences of a version and of all its ancestors come to, and the path to what does not fit.

        Args:
            limit: Most ancestors to look at; 1000 by default.
            as_of: Only what the blocks below this height say, at the time of the last of them; all, and now, by
                default.
        """
        found: EffectiveLicence = self._get(f"/v1/lineage/{segment(reference)}/licence", as_of=as_of, limit=limit)
        return found

    def search(
        self, query: str, *, kind: Kind | None = None, cursor: str | None = None, limit: int = 100
    ) -> SearchResults:
        """Search names, titles, descriptions, notes and digests; every word has to begin one of a record's.

        Args:
            query: Words, a digest or its first 8 digits or more, or a reference.
            kind: Only records of this kind.
        """
        found: SearchResults = self._get("/v1/search", q=query, kind=kind, cursor=cursor, limit=limit)
        return found

    def iterate_search(self, query: str, *, kind: Kind | None = None) -> Iterator[SearchResult]:
        """All that `search` lists, page after page as they are needed."""
        return self._iterate("/v1/search", q=query, kind=kind)

    def find_operation(self, idempotency_key: str) -> Submission:
        """What became of the submission with an idempotency key of yours.

        Args:
            idempotency_key: The key that the request was sent with.
        """
        found: Submission = self._get("/v1/operations", **{"idempotency-key": idempotency_key})
        return found

    def operation(self, operation: str) -> Submission:
        """What became of a submission."""
        found: Submission = self._get(f"/v1/operations/{segment(operation)}")
        return found

    def ledger(self) -> Ledger:
        """Height, channel and organisation."""
        found: Ledger = self._get("/v1/ledger")
        return found

    def whoami(self) -> Caller:
        """Who the caller is: organisation, roles, and the ledger and channel of this gateway."""
        found: Caller = self._get("/v1/whoami")
        return found

    def transaction(self, transaction: str) -> TransactionOutcome:
        """The outcome of a transaction."""
        found: TransactionOutcome = self._get(f"/v1/transactions/{segment(transaction)}")
        return found

    def transaction_evidence(self, transaction: str) -> TransactionEvidence:
        """Evidence that a transaction was ordered and endorsed: a file that is checked offline."""
        found: TransactionEvidence = self._get(f"/v1/transactions/{segment(transaction)}/evidence")
        return found

    def evidence(self, reference: str) -> TransactionEvidence:
        """Evidence of the transaction that wrote a record, by the record's reference."""
        found: TransactionEvidence = self._get(f"/v1/evidence/{segment(reference)}")
        return found

    def transactions(
        self,
        order: Order | None = None,
        *,
        organisation: str | None = None,
        identity: str | None = None,
        client: str | None = None,
        function: str | None = None,
        validity: str | None = None,
        about: str | None = None,
        since: str | None = None,
        before: str | None = None,
        from_height: int | None = None,
        until_height: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> TransactionPage:
        """Every transaction of the channel, invalid ones too: who did what, and when.

        Args:
            order: `ledger` (the default), which is that of the blocks and of times where these are asked for, or
                `newest`, the other way round.
            organisation: Only those that this organisation signed, by its MSP id.
            identity: Only those signed with this certificate, by its SHA-256, or by one with this subject, such as
                `CN=User1@lab.example,OU=client,O=lab.example`.
            client: Only those of this acting client, by its 32 digits or by the name of a key of this gateway.
            function: Only calls of this function, such as `model:register`.
            validity: `VALID`, `INVALID`, or a validation code by Fabric's name, such as `MVCC_READ_CONFLICT`.
            about: Only those about this reference, such as `model-version:net:1`.
            since: Only those whose client claims this instant or a later one (RFC 3339, or a date).
            before: Only those whose client claims an earlier instant (RFC 3339, or a date).
            from_height: Only those in blocks from this number on.
            until_height: Only those in blocks below this number.
        """
        found: TransactionPage = self._get(
            "/v1/transactions",
            order=order,
            organisation=organisation,
            identity=identity,
            client=client,
            function=function,
            validity=validity,
            about=about,
            since=since,
            before=before,
            from_height=from_height,
            until_height=until_height,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_transactions(
        self,
        order: Order | None = None,
        *,
        organisation: str | None = None,
        identity: str | None = None,
        client: str | None = None,
        function: str | None = None,
        validity: str | None = None,
        about: str | None = None,
        since: str | None = None,
        before: str | None = None,
        from_height: int | None = None,
        until_height: int | None = None,
    ) -> Iterator[ListedTransaction]:
        """All that `transactions` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/transactions",
            order=order,
            organisation=organisation,
            identity=identity,
            client=client,
            function=function,
            validity=validity,
            about=about,
            since=since,
            before=before,
            from_height=from_height,
            until_height=until_height,
        )

    def history(
        self,
        reference: str,
        order: Order | None = None,
        *,
        organisation: str | None = None,
        identity: str | None = None,
        client: str | None = None,
        function: str | None = None,
        validity: str | None = None,
        since: str | None = None,
        before: str | None = None,
        from_height: int | None = None,
        until_height: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> TransactionPage:
        """Every transaction that touched an artifact or another record, in order, refused ones too.

        Args:
            order: `ledger` (the default), which is that of the blocks and of times where these are asked for, or
                `newest`, the other way round.
            organisation: Only those that this organisation signed, by its MSP id.
            identity: Only those signed with this certificate, by its SHA-256, or by one with this subject, such as
                `CN=User1@lab.example,OU=client,O=lab.example`.
            client: Only those of this acting client, by its 32 digits or by the name of a key of this gateway.
            function: Only calls of this function, such as `model:register`.
            validity: `VALID`, `INVALID`, or a validation code by Fabric's name, such as `MVCC_READ_CONFLICT`.
            since: Only those whose client claims this instant or a later one (RFC 3339, or a date).
            before: Only those whose client claims an earlier instant (RFC 3339, or a date).
            from_height: Only those in blocks from this number on.
            until_height: Only those in blocks below this number.
        """
        found: TransactionPage = self._get(
            f"/v1/history/{segment(reference)}",
            order=order,
            organisation=organisation,
            identity=identity,
            client=client,
            function=function,
            validity=validity,
            since=since,
            before=before,
            from_height=from_height,
            until_height=until_height,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_history(
        self,
        reference: str,
        order: Order | None = None,
        *,
        organisation: str | None = None,
        identity: str | None = None,
        client: str | None = None,
        function: str | None = None,
        validity: str | None = None,
        since: str | None = None,
        before: str | None = None,
        from_height: int | None = None,
        until_height: int | None = None,
    ) -> Iterator[ListedTransaction]:
        """All that `history` lists, page after page as they are needed."""
        return self._iterate(
            f"/v1/history/{segment(reference)}",
            order=order,
            organisation=organisation,
            identity=identity,
            client=client,
            function=function,
            validity=validity,
            since=since,
            before=before,
            from_height=from_height,
            until_height=until_height,
        )

    def log(self) -> TransparencyLog:
        """This organisation's transparency log: its keys, its size, its witnesses, and the logs that it witnesses."""
        found: TransparencyLog = self._get("/v1/log")
        return found

    def audit_entries(
        self,
        *,
        client: str | None = None,
        operation: str | None = None,
        outcome: Outcome | None = None,
        code: str | None = None,
        target: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AuditPage:
        """What this gateway refused, and what failed: who asked for what, when, and why not; the last first.

        Args:
            client: Only those of this client, by its 32 digits or the name of its key; `none` for those without a key.
            operation: Only attempts at this operation, such as `registerModel`.
            outcome: `refused`, where the caller may not or said something wrong, or `failed`, where it could not be
                done.
            code: Only those refused with this code, such as `role-too-low`.
            target: Only those about the record of this reference, such as `model:net`.
            since: Only those at this instant or after it (RFC 3339, or a date).
            before: Only those before this instant (RFC 3339, or a date).
        """
        found: AuditPage = self._get(
            "/v1/audit",
            client=client,
            operation=operation,
            outcome=outcome,
            code=code,
            target=target,
            since=since,
            before=before,
            cursor=cursor,
            limit=limit,
        )
        return found

    def iterate_audit_entries(
        self,
        *,
        client: str | None = None,
        operation: str | None = None,
        outcome: Outcome | None = None,
        code: str | None = None,
        target: str | None = None,
        since: str | None = None,
        before: str | None = None,
    ) -> Iterator[AuditEntry]:
        """All that `audit_entries` lists, page after page as they are needed."""
        return self._iterate(
            "/v1/audit",
            client=client,
            operation=operation,
            outcome=outcome,
            code=code,
            target=target,
            since=since,
            before=before,
        )

    def audit_entry(self, entry: str) -> AuditProof:
        """One entry of the audit log, and the proof that it is in the log that was anchored last."""
        found: AuditProof = self._get(f"/v1/audit/{segment(entry)}")
        return found

    def anchor_audit(
        self,
        *,
        log: str | None = None,
        number: int | None = None,
        size: int | None = None,
        root: str | None = None,
        previous: str | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded[AuditAnchor]:
        """Commit to the audit log as it is now; the gateway says by itself what the command needs."""
        fields = {
            "log": log,
            "number": number,
            "size": size,
            "root": root,
            "previous": previous,
        }
        return self._record("/v1/audit/anchors", fields, idempotency_key, endorsing_organisations)

    def audit_anchors(
        self,
        *,
        owner: str | None = None,
        since: str | None = None,
        before: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AuditAnchorPage:
        """List what organisations committed to of their audit logs: how many entries, and their root.

        Args:
            owner: Only those of this organisation; none where no record is of it. An id that is not an MSP id is
                refused.
            since: Only those recorded at this instant or after it (RFC 3339, or a date); in the order of time.
            before: Only those recorded before this instant (RFC 3339, or a date); in the order of time.
        """
        found: AuditAnchorPage = self._get(
            "/v1/audit/anchors", owner=owner, since=since, before=before, cursor=cursor, limit=limit
        )
        return found

    def iterate_audit_anchors(
        self, *, owner: str | None = None, since: str | None = None, before: str | None = None
    ) -> Iterator[AuditAnchorEntry]:
        """All that `audit_anchors` lists, page after page as they are needed."""
        return self._iterate("/v1/audit/anchors", owner=owner, since=since, before=before)
