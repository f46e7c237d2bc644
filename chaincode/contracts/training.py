# SPDX-License-Identifier: Apache-2.0
"""Training runs: what the rule of `domain.training` needs, and the check of the statement that was signed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from chaincode.contracts.state import Ledger, Load
from chaincode.domain.evidence import PAYLOAD_TYPE, pre_authentication_encoding
from chaincode.domain.model import ModelVersion
from chaincode.domain.permission import map_versions
from chaincode.domain.slsa import run_statement
from chaincode.domain.training import RecordRun, RunSignature, TrainingRun, cited_by_run
from chaincode.domain.values import Command, Record


def for_run(ledger: Ledger, command: RecordRun) -> Mapping[str, object]:
    """What recording a run needs: what it cites, and the maps that the selections it cites were made from."""
    cited = ledger.cited(Record, cited_by_run(command))

    def check(signature: RunSignature) -> None:
        parents = {each: found.digest for each, found in cited.items() if isinstance(found, ModelVersion)}
        payload = run_statement(
            command, parents, organisation=ledger.by, channel=ledger.channel, genesis=signature.genesis
        )
        message = pre_authentication_encoding(PAYLOAD_TYPE, payload)
        ledger.site.check(ledger.creator_key, message, signature.sig)

    return {
        "existing": ledger.get(TrainingRun, command.run),
        "cited": cited | ledger.cited(Record, map_versions(cited)),
        "check": check,
    }


LOADS: Final[Mapping[type[Command], Load]] = MappingProxyType({RecordRun: for_run})
