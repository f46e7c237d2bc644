# SPDX-License-Identifier: Apache-2.0
"""The statement of a training run: SLSA provenance v1 in an in-toto Statement v1, made from the record alone.

What is signed is the canonical JSON of `run_statement`. So the ledger keeps of a statement only its signature; anyone
who has the record makes the very same bytes again. A run is a build (SLSA 1.2, *Build: Provenance*): what it read is in
`resolvedDependencies`, what it wrote are the subjects, after the run itself, whose digest is that of the predicate.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from chaincode.domain.canonical import Json, encode
from chaincode.domain.evidence import STATEMENT_TYPE
from chaincode.domain.training import RecordRun, TrainingRun
from chaincode.domain.usage import Metric
from chaincode.domain.values import Digest, Instant, OrgId, Ref, run_ref

PROVENANCE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "https://pedigree.example/training-run/v1"
"""What the parameters and dependencies of a training run are; it serves as an identifier and is not an address."""
BUILDER: Final = "https://pedigree.example/organisations/"
"""What the id of a builder begins with; the organisation's MSP id follows."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Run = RecordRun | TrainingRun


def run_statement(
    run: Run, parents: Mapping[Ref, Digest], *, organisation: OrgId, channel: str, genesis: Digest | None
) -> bytes:
    """The canonical bytes of the statement of a run; `parents` holds the digests of the versions that it began from."""
    reference = run_ref(run.run)
    predicate: dict[str, Json] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": _external(run),
            "internalParameters": _without_none(
                {"channel": channel, "genesis": None if genesis is None else str(genesis)}
            ),
            "resolvedDependencies": list(_dependencies(run, parents)),
        },
        "runDetails": {
            "builder": {"id": BUILDER + organisation},
            "metadata": {
                "invocationId": str(reference),
                "startedOn": _rfc3339(run.started),
                "finishedOn": _rfc3339(run.finished),
            },
            "byproducts": list(_byproducts(run)),
        },
    }
    subjects: list[Json] = [{"name": str(reference), "digest": _sha256(_digest_of(predicate))}]
    subjects += [{"name": str(each.path), "digest": _sha256(each.digest)} for each in run.artifacts or ()]
    return encode({"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": PROVENANCE, "predicate": predicate})


def _external(run: Run) -> dict[str, Json]:
    """What the run was asked to do."""
    return _without_none(
        {
            "run": str(run.run),
            "purpose": None if run.purpose is None else str(run.purpose),
            "note": None if run.note is None else str(run.note),
            # A list, since names may hold what the names of members may not.
            "parameters": [{"name": str(each.name), "value": str(each.value)} for each in run.parameters],
        }
    )


def _dependencies(run: Run, parents: Mapping[Ref, Digest]) -> Iterator[Json]:
    for used in run.inputs:
        annotations = {
            "role": used.role.value,
            "found": None if used.found is None else used.found.value,
            "grant": None if used.grant is None else str(used.grant),
        }
        yield {
            "name": str(used.selection or used.version),
            "digest": _sha256(used.root),
            "annotations": _without_none({**annotations, "version": str(used.version) if used.selection else None}),
        }
    for parent in run.parents:
        yield {"name": str(parent), "digest": _sha256(parents[parent])}
    commit = {} if run.code.commit is None else {"gitCommit": str(run.code.commit)}
    yield _without_none(
        {
            "name": "code",
            "uri": None if run.code.repository is None else str(run.code.repository),
            "digest": {**_sha256(run.code.digest), **commit},
            "annotations": {"ignored": [str(each) for each in run.code.ignored]} if run.code.ignored else None,
        }
    )
    described = run.environment.description
    yield _without_none(
        {
            "name": "environment",
            "digest": _sha256(run.environment.digest),
            "annotations": None if described is None else {"description": str(described)},
        }
    )


def _byproducts(run: Run) -> Iterator[Json]:
    if run.metrics:
        listed = [_measured(each) for each in run.metrics]
        yield {"name": "metrics", "mediaType": "application/json", "digest": _sha256(_digest_of(listed))}
    if run.history is not None:
        yield {
            "name": "metric-history",
            "mediaType": "application/jsonl",
            "digest": _sha256(run.history.digest),
            "annotations": {"entries": int(run.history.entries)},
        }


def _measured(metric: Metric) -> Json:
    step = None if metric.step is None else int(metric.step)
    return _without_none({"name": str(metric.name), "value": str(metric.value), "step": step})


def _digest_of(value: Json) -> Digest:
    """SHA-256 of the canonical JSON of a value."""
    return Digest(sha256(encode(value)).digest())


def _sha256(digest: Digest) -> dict[str, Json]:
    return {"sha256": str(digest)}


def _without_none(members: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}


def _rfc3339(instant: Instant) -> str:
    at = _EPOCH + timedelta(milliseconds=instant)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
