# SPDX-License-Identifier: Apache-2.0
"""What this gateway knows of the ledger itself: height, channel, organisation, and how it keeps up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.services.catalogue import Catalogue
from gateway.services.ports import Json
from gateway.services.projector import Projector


@dataclass(frozen=True, slots=True)
class LedgerView:
    """Describes the ledger and this gateway's place at it."""

    projector: Projector
    catalogue: Catalogue
    organisation: str
    domain: str
    channel: str
    chaincode: str
    genesis_hash: str
    disabled: Callable[[], Mapping[str, str]]
    """Members whose definition on the channel this gateway does not understand, by MSP id, and why."""

    def describe(self) -> Json:
        """The ledger, and members whose definition is not understood here."""
        return {**self._place(), "disabled_members": as_list(self.disabled())}

    def caller(self, key: Json, roles: Sequence[str]) -> Json:
        """Who asks with a key that may act in these roles, and at which ledger."""
        return {**self._place(), "key": key, "roles": list(roles), "consortium_roles": self._consortium_roles()}

    def _place(self) -> Json:
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

    def _consortium_roles(self) -> list[str] | None:
        """What the policy in force makes of the organisation; `None` where it names it not, or there is none."""
        found = self.catalogue.find("policy")
        members = [] if found is None else found.value["members"]
        return next((list(each["roles"]) for each in members if each["organisation"] == self.organisation), None)


def as_list(disabled: Mapping[str, str]) -> list[Json]:
    """Disabled members as programs and people are given them."""
    return [{"organisation": msp_id, "reason": reason} for msp_id, reason in disabled.items()]
