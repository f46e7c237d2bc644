# SPDX-License-Identifier: Apache-2.0
"""Who did what in one transaction, as its envelope says it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LedgerWrite:
    """One write of a transaction to the chaincode's own namespace."""

    key: str
    value: dict[str, Any] | None
    """`None` when the entry was deleted."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What an envelope says of who made it and what it does.

    Every text is bounded and fit to be shown: anybody who may order can put any bytes into an envelope. Peers have
    compared the creator's signature with its certificate where the transaction is valid, or failed later than that.
    """

    validity: str = ""
    """Fabric's name for the validation code, such as `MVCC_READ_CONFLICT`; the code itself where it has none."""
    subject: str = ""
    """Of the creator's certificate (RFC 4514); empty where there is none that can be read."""
    certificate: str = ""
    """SHA-256 of the creator's certificate in DER, in hexadecimal digits."""
    client: str | None = None
    """The acting client: whom the gateway of `creator` called for, in 32 hexadecimal digits of its own making."""
    chaincode: str = ""
    """What it invokes; empty for a configuration of the channel, and for what cannot be read."""
    function: str | None = None
    """Its first argument."""
    event: str | None = None
    """The name of the event that it carries."""
    endorsers: tuple[str, ...] = ()
    """MSP ids of the endorsements that are with it, sorted; a peer asks only that enough of them hold."""
    refused: tuple[LedgerWrite, ...] = ()
    """Of an invalid transaction what it would have written, as far as it is read."""


UNTOLD = Deed()
"""Of an envelope that says nothing of it."""
