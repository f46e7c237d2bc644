# SPDX-License-Identifier: Apache-2.0
"""What this gateway knows of the ledger itself: height, channel, organisation, and how it keeps up."""

from dataclasses import dataclass

from gateway.services.ports import Json
from gateway.services.projector import Projector


@dataclass(frozen=True, slots=True)
class LedgerView:
    """Describes the ledger and this gateway's place at it."""

    projector: Projector
    organisation: str
    domain: str
    channel: str
    chaincode: str
    genesis_hash: str

    def describe(self) -> Json:
        progress = self.projector.progress()
        return {
            "organisation": self.organisation,
            "domain": self.domain,
            "channel": self.channel,
            "chaincode": self.chaincode,
            "genesis_hash": self.genesis_hash,
            "height": progress.height,
            "caught_up": progress.caught_up,
        }
