# SPDX-License-Identifier: Apache-2.0
"""The client: one method for each thing that can be recorded or asked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pedigree.calls import Fields, checked, segment
from pedigree.connections import Connections
from pedigree.evidence import Evidence
from pedigree.models import ModelCalls
from pedigree.proofs import Verdict, verify_record
from pedigree.trainings import RunCalls
from pedigree.transport import Json, Recorded, Transport
from pedigree.uploads import Progress, Upload

if TYPE_CHECKING:
    import httpx


class Pedigree(ModelCalls, RunCalls):
    """One organisation's gateway; thread-safe.

    Every recording method also takes `endorsing_organisations`, the MSP ids of those that must endorse; normally
    the peer chooses them.

    Args:
        url: address of the gateway, such as `http://127.0.0.1:8101`.
        key: an API key, `id.secret`.
        timeout: seconds for each call, repetitions included.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 60.0, transport: "httpx.BaseTransport | None" = None
    ) -> None:
        super().__init__(Transport(Connections(url, f"Bearer {key}", transport), timeout=timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def height(self) -> int:
        """Ledger height that the next reads wait for."""
        return self._transport.height

    def at_least(self, height: int) -> None:
        """Let the following reads wait for a height, such as that of another organisation's recording."""
        self._transport.at_least(height)

    # -- data sets ----------------------------------------------------------------------------------------

    def register_dataset(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Register a data set; fields are title, licence, origin, sensitivity and the optional ones."""
        return self._record("/v1/datasets", {"dataset": name, **fields}, idempotency_key)

    def commit_records(
        self,
        dataset: str,
        source: Path | bytes,
        *,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        consent: str = "ConsentUnknown",
        purposes: Sequence[str] = (),
        progress: Callable[[Progress], None] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded:
        """Commit to every record of a CSV or JSON Lines file as the next version; the records stay with the owner.

        The file is sent in pieces. The gateway works on a large one by itself and is asked how far it is; `progress`
        is given that. The same file with the same `idempotency_key` continues what an earlier call began.
        """
        query = {
            "id_field": id_field, "delimiter": delimiter, "consent": consent, "purposes": ",".join(purposes) or None,
        }  # fmt: skip
        return self._recorded(
            f"/v1/datasets/{segment(dataset)}/versions",
            idempotency_key,
            upload=Upload.of(source, media_type, progress),
            params={name: value for name, value in query.items() if value is not None},
        )

    def commit_version(self, dataset: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Commit to a version whose root and size were computed elsewhere."""
        return self._record(f"/v1/datasets/{segment(dataset)}/versions", fields, idempotency_key)

    def dataset(self, name: str, *, source: str | None = None) -> Json:
        """A data set."""
        return self._transport.get(f"/v1/datasets/{segment(name)}", **{"from": source})

    def datasets(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of data sets: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/datasets", cursor=cursor, limit=limit, **filters)

    def dataset_versions(self, name: str, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of the versions of a data set."""
        return self._transport.get(f"/v1/datasets/{segment(name)}/versions", cursor=cursor, limit=limit, **filters)

    def all_dataset_versions(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of versions of all data sets."""
        return self._transport.get("/v1/dataset-versions", cursor=cursor, limit=limit, **filters)

    def dataset_version(self, name: str, number: int, *, source: str | None = None) -> Json:
        """A version of a data set."""
        return self._transport.get(f"/v1/datasets/{segment(name)}/versions/{number}", **{"from": source})

    def record_proof(self, dataset: str, number: int, record_id: str) -> Json:
        """Evidence that a record is in a version; `pedigree verify` checks it offline."""
        return self._transport.get(f"/v1/datasets/{segment(dataset)}/versions/{number}/proof", id=record_id)

    def verify_dataset(
        self,
        dataset: str,
        number: int,
        source: Path | bytes | None = None,
        *,
        media_type: str | None = None,
        id_field: str | None = None,
        delimiter: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        check: bool = False,
    ) -> Json:
        """Compare a copy of the records with the ledger; without one, the copy in the owner's own store.

        A copy is read as the committed file was; `id_field` and `delimiter` are for one that is written otherwise. The
        report says `verified`, and names the `columns` that differ and the records that were `changed`, `added`,
        `removed` or `moved`. With
        `check` a difference is raised as `Disagreement`.
        """
        upload = None if source is None else Upload.of(source, media_type, progress)
        options = {"id_field": id_field, "delimiter": delimiter}
        query = {name: value for name, value in options.items() if value is not None}
        path = f"/v1/datasets/{segment(dataset)}/versions/{number}/verify"
        report = self._transport.send(path, upload=upload, query=query)
        return checked(report, f"dataset-version:{dataset}:{number}", check=check)

    def verify_record(self, evidence: Json, *, root: str | None = None, size: int | None = None) -> Verdict:
        """Check evidence against the version that it names, as this gateway has it from the ledger.

        With a root that was read before (and its size) nothing is asked, as with `pedigree.verify_record`. Raises
        `InvalidEvidence`.
        """
        if root is not None:
            return verify_record(evidence, root=root, size=size)
        named = Evidence.of(evidence)
        return verify_record(evidence, version=self.dataset_version(named.dataset, named.number))

    # -- endorsement ----------------------------------------------------------------------------------------

    def set_policy(self, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Vote for a version of the consortium's policy."""
        return self._record("/v1/policies", fields, idempotency_key)

    def policy(self, *, source: str | None = None) -> Json:
        """The policy in force."""
        return self._transport.get("/v1/policies/current", **{"from": source})

    def policies(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of the versions of the policy that were in force."""
        return self._transport.get("/v1/policies", cursor=cursor, limit=limit, **filters)

    def policy_votes(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of votes for versions of the policy; `number` keeps those for one version."""
        return self._transport.get("/v1/policies/votes", cursor=cursor, limit=limit, **filters)

    def submit(self, reference: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Ask the consortium to endorse an artifact of your organisation."""
        return self._step(reference, "submission", fields, idempotency_key)

    def endorse(self, reference: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Vouch for an artifact; `digest` says which bytes were examined, the recorded ones by default."""
        return self._step(reference, "endorsements", fields, idempotency_key)

    def reject(self, reference: str, reason: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Say that an artifact must not reach a stage."""
        return self._step(reference, "rejections", {"reason": reason, **fields}, idempotency_key)

    def withdraw(self, reference: str, reason: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Take an endorsement back."""
        return self._step(reference, "withdrawal", {"reason": reason, **fields}, idempotency_key)

    def quarantine(self, reference: str, reason: str, *, idempotency_key: str | None = None) -> Recorded:
        """Stop an artifact at whatever stage it is."""
        return self._step(reference, "quarantine", {"reason": reason}, idempotency_key)

    def release(self, reference: str, reason: str, *, idempotency_key: str | None = None) -> Recorded:
        """End a quarantine that your organisation imposed."""
        return self._step(reference, "release", {"reason": reason}, idempotency_key)

    def advance(self, reference: str, to: str, *, idempotency_key: str | None = None) -> Recorded:
        """Move an artifact of your organisation to its next stage."""
        return self._step(reference, "stage", {"to": to}, idempotency_key)

    def artifact(self, reference: str, *, stage: str | None = None) -> Json:
        """Where an artifact stands, who vouches for it, and who is missing."""
        return self._transport.get(f"/v1/artifacts/{segment(reference)}", stage=stage)

    def inbox(self, *, cursor: str | None = None, limit: int = 100) -> Json:
        """A page of what awaits this organisation's endorsement, in the order of first submission.

        `items`, and `next` to pass as `cursor` for the page after it; a page may hold few items, or none, and have one.
        """
        return self._transport.get("/v1/inbox", cursor=cursor, limit=limit)

    # -- lineage, operations, ledger --------------------------------------------------------------------------

    def lineage(self, reference: str, direction: str = "up", *, limit: int | None = None) -> Json:
        """What something was made from (`up`), or what was made from it (`down`).

        `complete` is false where `limit` nodes, or ten edges for each, ended the walk; `edges` pages all of one.
        """
        return self._transport.get(f"/v1/lineage/{segment(reference)}", direction=direction, limit=limit)

    def edges(self, reference: str, direction: str = "up", *, cursor: str | None = None, limit: int = 100) -> Json:
        """A page of the edges on the ledger that end (`up`) or begin (`down`) at an artifact."""
        path = f"/v1/lineage/{segment(reference)}/edges"
        return self._transport.get(path, direction=direction, cursor=cursor, limit=limit)

    def operation(self, operation: str) -> Json:
        """What became of a submission."""
        return self._transport.get(f"/v1/operations/{segment(operation)}")

    def transaction(self, transaction_id: str) -> Json:
        """The outcome of a transaction."""
        return self._transport.get(f"/v1/transactions/{segment(transaction_id)}")

    def search(self, query: str, *, kind: str | None = None, cursor: str | None = None, limit: int = 100) -> Json:
        """A page of what has these words in its name or texts, or names a digest that is or begins so."""
        return self._transport.get("/v1/search", q=query, kind=kind, cursor=cursor, limit=limit)

    def whoami(self) -> Json:
        """Who you are to the gateway, and which ledger it serves."""
        return self._transport.get("/v1/whoami")

    def ledger(self) -> Json:
        """Height, channel and organisation."""
        return self._transport.get("/v1/ledger")

    # -- inside -----------------------------------------------------------------------------------------------

    def _step(self, reference: str, step: str, fields: Fields, key: str | None) -> Recorded:
        # The gateway fills in what it knows of the artifact, so it must have seen what this client has.
        path = f"/v1/artifacts/{segment(reference)}/{step}"
        return self._record(path, fields, key, {"Min-Ledger-Height": str(self.height)} if self.height else {})
