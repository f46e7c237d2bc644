# SPDX-License-Identifier: Apache-2.0
"""A client for Hyperledger Fabric's Gateway service, in the vocabulary of the official ones.

    with connect("127.0.0.1:7051", tls_root=ca_pem) as channel:
        gateway = Gateway(channel, Identity.from_msp_folder("LabMSP", msp), Signer.from_msp_folder(msp),
                          trust=Trust.from_msp_folders({"LabMSP": lab_msp, "HospitalMSP": hospital_msp}, genesis_hash))
        contract = gateway.network("pedigree").contract("pedigree")
        result = contract.submit("model:register", b"{}")

Unlike the official clients this one checks what its peer hands it before it signs; see `gateway.fabric.verify`.
It retries nothing and closes no channel that it was given.
"""

from gateway.fabric.blocks import Block, decode_block
from gateway.fabric.calls import Deadlines
from gateway.fabric.checkpoint import Checkpoint, FileCheckpointer, InMemoryCheckpointer
from gateway.fabric.client import Gateway
from gateway.fabric.commit import Commit, Status, SubmittedTransaction
from gateway.fabric.connection import Connection, connect
from gateway.fabric.contract import Contract
from gateway.fabric.errors import (
    CheckpointError,
    CommitError,
    CommitStatusError,
    DeliverError,
    EndorseError,
    ErrorDetail,
    FabricError,
    GatewayError,
    InvalidIdentity,
    KeyUnavailable,
    MalformedData,
    SigningError,
    SubmitError,
    UntrustedResponse,
)
from gateway.fabric.identity import Identity, Signer, no_hash, sha3_256, sha3_384, sha256, sha384
from gateway.fabric.network import Network
from gateway.fabric.proposal import Proposal
from gateway.fabric.requests import BlockEventsRequest, ChaincodeEventsRequest
from gateway.fabric.streams import ChaincodeEvent, EventStream
from gateway.fabric.transaction import Transaction
from gateway.fabric.verify import Trust

__all__ = [
    "Block",
    "BlockEventsRequest",
    "ChaincodeEvent",
    "ChaincodeEventsRequest",
    "Checkpoint",
    "CheckpointError",
    "Commit",
    "CommitError",
    "CommitStatusError",
    "Connection",
    "Contract",
    "Deadlines",
    "DeliverError",
    "EndorseError",
    "ErrorDetail",
    "EventStream",
    "FabricError",
    "FileCheckpointer",
    "Gateway",
    "GatewayError",
    "Identity",
    "InMemoryCheckpointer",
    "InvalidIdentity",
    "KeyUnavailable",
    "MalformedData",
    "Network",
    "Proposal",
    "Signer",
    "SigningError",
    "Status",
    "SubmitError",
    "SubmittedTransaction",
    "Transaction",
    "Trust",
    "UntrustedResponse",
    "connect",
    "decode_block",
    "no_hash",
    "sha3_256",
    "sha3_384",
    "sha256",
    "sha384",
]
