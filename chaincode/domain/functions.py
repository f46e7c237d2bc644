# SPDX-License-Identifier: Apache-2.0
"""The functions of the chaincode, by the name under which a gateway calls them.

Each takes the canonical JSON of its command or query as its argument. Commands are submitted, queries evaluated.
A command may be followed by a second argument, the idempotency token: 64 lower-case hexadecimal digits by which its
organisation names the request. Nothing else can be called.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.domain import endorsement, lifecycle, lineage, model, policy, provenance, status, training
from chaincode.domain.values import Command, Query

COMMANDS: Final[Mapping[str, type[Command]]] = MappingProxyType(
    {
        "dataset:register": provenance.RegisterDataset,
        "dataset:commit-version": provenance.CommitVersion,
        "model:register": model.RegisterModel,
        "model:record-version": model.RecordModelVersion,
        "model:declare-parent": model.DeclareParent,
        "run:record": training.RecordRun,
        "evaluation:record": training.RecordEvaluation,
        "endorsement:set-policy": policy.SetPolicy,
        "endorsement:submit": endorsement.Submit,
        "endorsement:endorse": endorsement.Endorse,
        "endorsement:reject": endorsement.Reject,
        "endorsement:withdraw": endorsement.Withdraw,
        "endorsement:quarantine": lifecycle.Quarantine,
        "endorsement:release": lifecycle.Release,
        "endorsement:advance": lifecycle.Advance,
    }
)

QUERIES: Final[Mapping[str, type[Query]]] = MappingProxyType(
    {
        "dataset:get": provenance.GetDataset,
        "dataset:version": provenance.GetDatasetVersion,
        "model:get": model.GetModel,
        "model:version": model.GetModelVersion,
        "run:get": training.GetRun,
        "evaluation:get": training.GetEvaluation,
        "endorsement:policy": policy.GetPolicy,
        "endorsement:status": status.GetStatus,
        "lineage:ancestry": lineage.Ancestry,
        "lineage:impact": lineage.Impact,
    }
)

FUNCTION_OF: Final[Mapping[type[Command] | type[Query], str]] = MappingProxyType(
    {takes: name for table in (COMMANDS, QUERIES) for name, takes in table.items()}
)
"""The function that takes a command or query, by its class."""
