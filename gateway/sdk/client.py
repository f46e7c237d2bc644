# SPDX-License-Identifier: Apache-2.0
"""The client: one method for each thing that can be recorded or asked."""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from gateway.sdk.connections import Connections
from gateway.sdk.files import content_of, digest_files, manifest_digest
from gateway.sdk.proofs import verify_record
from gateway.sdk.runs import Code, Run, code_of, environment_of
from gateway.sdk.transport import Json, Recorded, Transport

Fields = Mapping[str, Any]


class Pedigree:
    """One organisation's gateway; thread-safe.

    Every recording method also takes `endorsing_organisations`, the MSP ids of those that must endorse; normally
    the peer chooses them.

    Args:
        url: address of the gateway, such as `http://127.0.0.1:8101`.
        key: an API key, `id.secret`.
        timeout: seconds for each call, repetitions included.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._transport = Transport(Connections(url, f"Bearer {key}", transport), timeout=timeout)

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
        consent: str = "ConsentUnknown",
        purposes: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Recorded:
        """Commit to every record of a CSV or JSON Lines file as the next version; the records stay with the owner."""
        content, media_type = content_of(source, media_type)
        query = {"id_field": id_field, "consent": consent, "purposes": ",".join(purposes) or None}
        return self._recorded(
            f"/v1/datasets/{_segment(dataset)}/versions",
            idempotency_key,
            content=content,
            headers={"Content-Type": media_type},
            params={name: value for name, value in query.items() if value is not None},
        )

    def commit_version(self, dataset: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Commit to a version whose root and size were computed elsewhere."""
        return self._record(f"/v1/datasets/{_segment(dataset)}/versions", fields, idempotency_key)

    def dataset(self, name: str) -> Json:
        """A data set."""
        return self._transport.get(f"/v1/datasets/{_segment(name)}")

    def datasets(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of data sets: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/datasets", cursor=cursor, limit=limit, **filters)

    def dataset_versions(self, name: str, *, cursor: str | None = None, limit: int = 100) -> Json:
        """A page of the versions of a data set."""
        return self._transport.get(f"/v1/datasets/{_segment(name)}/versions", cursor=cursor, limit=limit)

    def dataset_version(self, name: str, number: int) -> Json:
        """A version of a data set."""
        return self._transport.get(f"/v1/datasets/{_segment(name)}/versions/{number}")

    def record_proof(self, dataset: str, number: int, record_id: str) -> Json:
        """Evidence that a record is in a version; `pedigree verify` checks it off line."""
        path = f"/v1/datasets/{_segment(dataset)}/versions/{number}/records/{_segment(record_id)}/proof"
        return self._transport.get(path)

    def verify_dataset(
        self,
        dataset: str,
        number: int,
        source: Path | bytes | None = None,
        *,
        media_type: str | None = None,
        id_field: str | None = None,
    ) -> Json:
        """Compare a copy of the records with the ledger; without one, the copy in the owner's own store.

        The report says `verified`, and names the records that were `changed`, `added`, `removed` or `moved`.
        """
        content, kind = (None, "") if source is None else content_of(source, media_type)
        query = {} if id_field is None else {"id_field": id_field}
        path = f"/v1/datasets/{_segment(dataset)}/versions/{number}/verify"
        return self._transport.send(path, content=content, media_type=kind, query=query)

    def verify_record(self, evidence: Json, *, root: str) -> str:
        """Check evidence against a root that was read from the ledger, off line; one sentence of what it proves.

        Raises `InvalidEvidence`.
        """
        return verify_record(evidence, root=root)

    # -- models ---------------------------------------------------------------------------------------------

    def register_model(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Register a model; fields are title and the optional ones."""
        return self._record("/v1/models", {"model": name, **fields}, idempotency_key)

    def record_model_version(
        self,
        model: str,
        files: Path | Sequence[Json],
        *,
        licence: str,
        number: int | None = None,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Recorded:
        """Record a version of a model: every file of a folder, or entries of path, digest and size.

        Without `number` it is the next one that the gateway knows of.
        """
        if number is None:
            number = 1 + len(list(self._pages(f"/v1/models/{_segment(model)}/versions")))
        entries = digest_files(files) if isinstance(files, Path) else sorted(files, key=lambda file: str(file["path"]))
        body = {
            "number": number,
            "licence": licence,
            "files": list(entries),
            "digest": manifest_digest(entries),
            **fields,
        }
        return self._record(f"/v1/models/{_segment(model)}/versions", body, idempotency_key)

    def declare_parent(self, child: str, parent: str, *, relation: str, idempotency_key: str | None = None) -> Recorded:
        """Add a parent, by reference, to your own model version after it was recorded."""
        model, number = _version(child, "model-version")
        path = f"/v1/models/{_segment(model)}/versions/{number}/parents"
        return self._record(path, {"parent": parent, "relation": relation}, idempotency_key)

    def model(self, name: str) -> Json:
        """A model."""
        return self._transport.get(f"/v1/models/{_segment(name)}")

    def models(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of models: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/models", cursor=cursor, limit=limit, **filters)

    def model_version(self, name: str, number: int) -> Json:
        """A version of a model."""
        return self._transport.get(f"/v1/models/{_segment(name)}/versions/{number}")

    def model_versions(self, name: str, *, cursor: str | None = None, limit: int = 100) -> Json:
        """A page of the versions of a model."""
        return self._transport.get(f"/v1/models/{_segment(name)}/versions", cursor=cursor, limit=limit)

    def verify_model(
        self, name: str, number: int, files: Path, *, progress: Callable[[int], None] | None = None
    ) -> Json:
        """Compare a folder with the recorded version: `verified`, `changed`, `added` and `removed` paths."""
        recorded = {file["path"]: file["digest"] for file in self.model_version(name, number)["record"]["files"]}
        found = {file["path"]: file["digest"] for file in digest_files(files, progress)}
        changed = [path for path in found if path in recorded and found[path] != recorded[path]]
        added = [path for path in found if path not in recorded]
        removed = [path for path in recorded if path not in found]
        return {
            "model": name,
            "number": number,
            "verified": not (changed or added or removed),
            "changed": changed,
            "added": added,
            "removed": removed,
        }

    # -- runs and evaluations -------------------------------------------------------------------------------

    def record_run(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Record a training run that is over."""
        return self._record("/v1/runs", {"run": name, **fields}, idempotency_key)

    def run(
        self,
        name: str | None = None,
        *,
        model: str | None = None,
        datasets: Sequence[str | Json] = (),
        parents: Sequence[str] = (),
        code: Code = None,
        environment: Json | None = None,
        parameters: Fields | None = None,
        note: str | None = None,
    ) -> Run:
        """A training run as a context manager, recorded when the block ends without an error.

        Args:
            name: the run's identifier; without one it is made of `model` and the time.
            model: the model that is being trained.
            datasets: versions, as references or as `{"version": …, "root": …, "role": …}`.
            code: the file or folder that ran, or its SHA-256, or a mapping with digest, repository and commit.
            environment: digest and description; by default, of the installed packages.
        """
        if name is None and model is None:
            raise ValueError("name the run, or the model that it trains")
        chosen = name or f"{model}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        return Run(
            name=chosen,
            inputs=[self._input(given) for given in datasets],
            parents=list(parents),
            code=code_of(code),
            environment=environment or environment_of(),
            parameters=dict(parameters or {}),
            note=note,
            save=lambda fields: self.record_run(chosen, **fields),
        )

    def get_run(self, name: str) -> Json:
        """A training run."""
        return self._transport.get(f"/v1/runs/{_segment(name)}")

    def runs(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of training runs: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/runs", cursor=cursor, limit=limit, **filters)

    def record_evaluation(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Record how a model version did on a data set version."""
        return self._record("/v1/evaluations", {"evaluation": name, **fields}, idempotency_key)

    def evaluations(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> Json:
        """A page of evaluations: `items`, and `next` to pass as `cursor` for the page after it."""
        return self._transport.get("/v1/evaluations", cursor=cursor, limit=limit, **filters)

    # -- endorsement ----------------------------------------------------------------------------------------

    def set_policy(self, *, idempotency_key: str | None = None, **fields: Any) -> Recorded:
        """Vote for a version of the consortium's policy."""
        return self._record("/v1/policies", fields, idempotency_key)

    def policy(self) -> Json:
        """The policy in force."""
        return self._transport.get("/v1/policies/current")

    def policies(self, *, cursor: str | None = None, limit: int = 100) -> Json:
        """A page of the versions of the policy that were in force."""
        return self._transport.get("/v1/policies", cursor=cursor, limit=limit)

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
        return self._transport.get(f"/v1/artifacts/{_segment(reference)}", stage=stage)

    def inbox(self) -> Json:
        """What awaits this organisation's endorsement."""
        return self._transport.get("/v1/inbox")

    # -- lineage, operations, ledger --------------------------------------------------------------------------

    def lineage(self, reference: str, direction: str = "up", *, limit: int | None = None) -> Json:
        """What something was made from (`up`), or what was made from it (`down`)."""
        return self._transport.get(f"/v1/lineage/{_segment(reference)}", direction=direction, limit=limit)

    def operation(self, operation: str) -> Json:
        """What became of a submission."""
        return self._transport.get(f"/v1/operations/{_segment(operation)}")

    def transaction(self, transaction_id: str) -> Json:
        """The outcome of a transaction."""
        return self._transport.get(f"/v1/transactions/{_segment(transaction_id)}")

    def ledger(self) -> Json:
        """Height, channel and organisation."""
        return self._transport.get("/v1/ledger")

    # -- inside -----------------------------------------------------------------------------------------------

    def _input(self, given: str | Json) -> Json:
        if not isinstance(given, str):
            return given
        name, number = _version(given, "dataset-version")
        return {"version": given, "root": self.dataset_version(name, number)["record"]["root"], "role": "train"}

    def _step(self, reference: str, step: str, fields: Fields, key: str | None) -> Recorded:
        # The gateway fills in what it knows of the artifact, so it must have seen what this client has.
        path = f"/v1/artifacts/{_segment(reference)}/{step}"
        return self._record(path, fields, key, {"Min-Ledger-Height": str(self.height)} if self.height else {})

    def _record(self, path: str, fields: Fields, key: str | None, headers: Mapping[str, str] | None = None) -> Recorded:
        body = {name: value for name, value in fields.items() if value is not None}
        organisations = body.pop("endorsing_organisations", None)
        sent = dict(headers or {})
        if organisations is not None:
            sent["Endorsing-Organisations"] = ",".join(organisations)
        return self._recorded(path, key, json=body, headers=sent)

    def _recorded(self, path: str, key: str | None, **request: Any) -> Recorded:
        started = time.perf_counter()
        received = self._transport.record(path, key, **request)
        body = received.body
        return Recorded(
            record=body["record"],
            event=body["event"],
            transaction_id=body["transaction"]["id"],
            block=body["transaction"]["block"],
            height=body["transaction"]["block"] + 1,
            seconds=time.perf_counter() - started,
            replayed=received.headers.get("Idempotent-Replayed") == "true",
        )

    def _pages(self, path: str) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            page = self._transport.get(path, cursor=cursor, limit=100)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return


def _segment(text: str) -> str:
    return quote(text, safe=":")


def _version(reference: str, kind: str) -> tuple[str, int]:
    """Name and number in a reference such as `model-version:net:1`."""
    found = re.fullmatch(rf"{kind}:([^:]+):([0-9]+)", reference)
    if found is None:
        raise ValueError(f"{reference} is no {kind}")
    return found[1], int(found[2])
