# SPDX-License-Identifier: Apache-2.0
"""Proposals, packages and definitions as clients write them, with every part open to a test that wants to spoil it."""

import gzip
import io
import json
import os
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, collection_pb2, policy_pb2, proposal_pb2

from network.embedded.identity import Signer
from network.embedded.policy import parse


def event(name: str, payload: bytes = b"") -> object:
    return chaincode_event_pb2.ChaincodeEvent(chaincode_id="forged", tx_id="forged", event_name=name, payload=payload)


def make_package(label: str, address: str, *, kind: str = "ccaas", **connection) -> bytes:
    description = {"address": address, "dial_timeout": "1s", "tls_required": False} | connection
    code = _tar({"connection.json": json.dumps(description).encode()})
    return _tar({"metadata.json": json.dumps({"type": kind, "label": label}).encode(), "code.tar.gz": code})


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def described(name: str, sequence: int = 1, *, version="1.0", policy=None, collections=(), init_required=False) -> dict:
    parameter = b""
    if policy is not None:
        parameter = policy_pb2.ApplicationPolicy(signature_policy=parse(policy)).SerializeToString()
    return {
        "name": name,
        "sequence": sequence,
        "version": version,
        "init_required": init_required,
        "validation_parameter": parameter,
        "collections": collection_pb2.CollectionConfigPackage(
            config=[
                collection_pb2.CollectionConfig(static_collection_config=make_collection(**entry))
                for entry in collections
            ]
        ),
    }


def make_collection(name: str, members: str, required=0, maximum=1, **options):
    return collection_pb2.StaticCollectionConfig(
        name=name,
        member_orgs_policy=collection_pb2.CollectionPolicyConfig(signature_policy=parse(members)),
        required_peer_count=required,
        maximum_peer_count=maximum,
        **options,
    )


@dataclass
class Draft:
    """An unsigned proposal whose parts a test may spoil."""

    signer: Signer
    channel: object
    signature_header: object
    extension: object
    payload: object
    spec: object


def build(signer: Signer, chaincode: str, *args: bytes, channel_id="pedigree", transient=None, is_init=False) -> Draft:
    nonce = os.urandom(24)
    channel = common_pb2.ChannelHeader(
        type=common_pb2.HeaderType.ENDORSER_TRANSACTION,
        channel_id=channel_id,
        tx_id=sha256(nonce + signer.serialized).hexdigest(),
    )
    channel.timestamp.FromDatetime(datetime.now(UTC))
    spec = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode),
            input=chaincode_pb2.ChaincodeInput(args=args, is_init=is_init),
        )
    )
    return Draft(
        signer,
        channel,
        common_pb2.SignatureHeader(creator=signer.serialized, nonce=nonce),
        proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode)),
        proposal_pb2.ChaincodeProposalPayload(TransientMap=transient or {}),
        spec,
    )


def sign(draft: Draft):
    draft.channel.extension = draft.extension.SerializeToString()
    draft.payload.input = draft.spec.SerializeToString()
    header = common_pb2.Header(
        channel_header=draft.channel.SerializeToString(), signature_header=draft.signature_header.SerializeToString()
    )
    raw = proposal_pb2.Proposal(
        header=header.SerializeToString(), payload=draft.payload.SerializeToString()
    ).SerializeToString()
    return proposal_pb2.SignedProposal(proposal_bytes=raw, signature=draft.signer.sign(raw))
