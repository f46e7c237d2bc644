# SPDX-License-Identifier: Apache-2.0
"""Under which key each record stands on the ledger.

Keys are Fabric's composite keys: ``00 kind 00 part 00 part 00 …``, the kind as in the record's JSON. Numbers have ten
digits, so that versions sort as they count.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from chaincode.domain.claims import DigestClaim, RootClaim
from chaincode.domain.codec import kind_of
from chaincode.domain.endorsement import Endorsement, Rejection
from chaincode.domain.idempotency import Idempotency
from chaincode.domain.lifecycle import ArtifactStage
from chaincode.domain.lineage import Edge
from chaincode.domain.model import LaterParents, Model, ModelVersion
from chaincode.domain.policy import Policy, PolicyVersion, PolicyVote
from chaincode.domain.provenance import Dataset, DatasetVersion
from chaincode.domain.training import Evaluation, TrainingRun
from chaincode.domain.values import Digest, Record

Part = str | int | Digest

_PARTS: Final[Mapping[type[Record], Callable[[Any], tuple[Part, ...]]]] = MappingProxyType(
    {
        Dataset: lambda it: (it.dataset,),
        DatasetVersion: lambda it: (it.dataset, it.number),
        DigestClaim: lambda it: (it.digest,),
        RootClaim: lambda it: (it.root,),
        Model: lambda it: (it.model,),
        ModelVersion: lambda it: (it.model, it.number),
        LaterParents: lambda it: (it.child,),
        TrainingRun: lambda it: (it.run,),
        Evaluation: lambda it: (it.evaluation,),
        Edge: lambda it: (it.parent, it.child),
        Policy: lambda _: (),
        PolicyVersion: lambda it: (it.policy.number,),
        PolicyVote: lambda it: (it.number, it.by),
        ArtifactStage: lambda it: (it.artifact,),
        Endorsement: lambda it: (it.artifact, it.stage, it.by),
        Rejection: lambda it: (it.artifact, it.stage, it.by),
        Idempotency: lambda it: (it.by, it.token),
    }
)

OWNED: Final = (
    Dataset,
    DatasetVersion,
    DigestClaim,
    RootClaim,
    Model,
    ModelVersion,
    LaterParents,
    TrainingRun,
    Evaluation,
)
"""What an owner says of its own: these keys carry a policy of their own, the owner and a majority.

All but `LaterParents` are written once; that one grows, and its policy is set again each time.

Stages, endorsements, rejections and policies keep the chaincode's policy, so that no owner can block them.
"""


def key_of(record: Record) -> str:
    """The key of a record."""
    return key(type(record), *_PARTS[type(record)](record))


def key(kind: type[Record], *parts: Part) -> str:
    """The key of a record of `kind` by the parts that identify it, in the order of the table above."""
    return "".join(f"\x00{text}" for text in (kind_of(kind), *written(parts))) + "\x00"


def written(parts: tuple[Part, ...]) -> list[str]:
    """The parts of a key as text."""
    return [f"{part:010d}" if isinstance(part, int) else str(part) for part in parts]
