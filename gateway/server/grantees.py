# SPDX-License-Identifier: Apache-2.0
"""Who belongs to which organisation, by the roots that the channel's configuration has now."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature

from gateway.fabric.errors import FabricError
from gateway.fabric.identity import Identity
from gateway.fabric.msp import Msps
from gateway.services.deliveries import Refuted
from gateway.services.ports import Clock


class ChannelMembers:
    """Implements `services.deliveries.Members`."""

    def __init__(self, msps: Callable[[], Msps], clock: Clock) -> None:
        """Assign.

        Args:
            msps: of the channel, as the blocks that were followed say.
        """
        self._msps = msps
        self._clock = clock

    def check(self, organisation: str, certificate: bytes, message: bytes, signature: bytes) -> str:
        """The SHA-256 of the certificate, where it is the organisation's and signed the message."""
        try:
            member = self._msps().member(Identity(organisation, certificate).serialized)
            member.verify(message, signature)
        except FabricError as exc:
            raise Refuted(str(exc)) from None
        except InvalidSignature:
            raise Refuted("the certificate's key did not sign this statement") from None
        parsed = member.certificate.parsed
        now = datetime.fromtimestamp(self._clock(), UTC)
        # Peers do not look at expiry when they judge a transaction; here nothing was ordered, and now is what counts.
        if not parsed.not_valid_before_utc <= now <= parsed.not_valid_after_utc:
            raise Refuted(
                f"the certificate is valid from {parsed.not_valid_before_utc} to {parsed.not_valid_after_utc}"
            )
        return sha256(member.certificate.der).hexdigest()
