# SPDX-License-Identifier: Apache-2.0
"""A chaincode runtime for Python: the peer's chaincode protocol in both directions; it knows nothing of AI.

Contracts are plain functions `f(stub, args) -> bytes`, gathered by a `Router` and run by `serve` (as a service)
or `dial` (registering at a peer).
"""

from chaincode.shim.clock import ClockGuard
from chaincode.shim.errors import (
    MalformedIdentity,
    MalformedProposal,
    MessageTooLarge,
    PeerError,
    ProtocolError,
    SettingsError,
    ShimError,
    StreamEnded,
)
from chaincode.shim.identity import ClientIdentity
from chaincode.shim.keys import create_composite_key, split_composite_key
from chaincode.shim.policy import PolicyError
from chaincode.shim.results import KV, KeyModification, Page, Results
from chaincode.shim.router import Chaincode, Router, refuse
from chaincode.shim.server import ChaincodeClient, ChaincodeServer, dial, serve
from chaincode.shim.settings import Settings, Tls, settings_from_environment
from chaincode.shim.stub import Response, Stub

__all__ = [
    "KV",
    "Chaincode",
    "ChaincodeClient",
    "ChaincodeServer",
    "ClientIdentity",
    "ClockGuard",
    "KeyModification",
    "MalformedIdentity",
    "MalformedProposal",
    "MessageTooLarge",
    "Page",
    "PeerError",
    "PolicyError",
    "ProtocolError",
    "Response",
    "Results",
    "Router",
    "Settings",
    "SettingsError",
    "ShimError",
    "StreamEnded",
    "Stub",
    "Tls",
    "create_composite_key",
    "dial",
    "refuse",
    "serve",
    "settings_from_environment",
    "split_composite_key",
]
