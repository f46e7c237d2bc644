# SPDX-License-Identifier: Apache-2.0
"""What this gateway knows of the ledger itself: height, channel, organisation, and how it keeps up."""

from collections.abc import Callable, Mapping
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
    disabled: Callable[[], Mapping[str, str]]
    """Members whose definition on the channel this gateway does not understand, by MSP id, and why."""

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
            "disabled_members": as_list(self.disabled()),
        }


def as_list(disabled: Mapping[str, str]) -> list[Json]:
    """Disabled members as programs and people are given them."""
    return [{"organisation": msp_id, "reason": reason} for msp_id, reason in disabled.items()]
