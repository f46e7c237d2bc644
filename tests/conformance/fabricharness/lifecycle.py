# SPDX-License-Identifier: Apache-2.0
"""The chaincode life cycle over the wire, step by step, so that tests may leave a step out (section 7)."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2, policy_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from network.embedded import policytext


@dataclass(frozen=True)
class Collection:
    """A private data collection as a test wants it."""

    name: str
    members: tuple[str, ...]
    required: int = 0
    maximum: int = 1
    block_to_live: int = 0
    member_only_read: bool = False
    member_only_write: bool = False
    endorsement: str = ""

    def message(self) -> Any:
        chosen = (
            policy_pb2.ApplicationPolicy(signature_policy=policytext.parse(self.endorsement))
            if self.endorsement
            else None
        )
        static = collection_pb2.StaticCollectionConfig(
            name=self.name,
            member_orgs_policy=collection_pb2.CollectionPolicyConfig(signature_policy=any_member(self.members)),
            required_peer_count=self.required,
            maximum_peer_count=self.maximum,
            block_to_live=self.block_to_live,
            member_only_read=self.member_only_read,
            member_only_write=self.member_only_write,
            endorsement_policy=chosen,
        )
        return collection_pb2.CollectionConfig(static_collection_config=static)


@dataclass(frozen=True)
class Definition:
    """What the organisations approve and commit under a chaincode's name."""

    name: str
    policy: str = ""
    collections: tuple[Collection, ...] = ()
    init_required: bool = False
    version: str = "1"
    sequence: int = 1

    def fields(self) -> dict[str, Any]:
        """The fields that approval, readiness and commit requests share."""
        parameter = b""
        if self.policy:
            parameter = policy_pb2.ApplicationPolicy(signature_policy=policytext.parse(self.policy)).SerializeToString()
        return {
            "name": self.name,
            "version": self.version,
            "sequence": self.sequence,
            "init_required": self.init_required,
            "validation_parameter": parameter,
            "collections": collection_pb2.CollectionConfigPackage(
                config=[collection.message() for collection in self.collections]
            )
            if self.collections
            else None,
        }

    def approval(self, package_id: str) -> bytes:
        local = lifecycle_pb2.ChaincodeSource.Local(package_id=package_id)
        source = (
            lifecycle_pb2.ChaincodeSource(local_package=local)
            if package_id
            else lifecycle_pb2.ChaincodeSource(unavailable=lifecycle_pb2.ChaincodeSource.Unavailable())
        )
        args = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(source=source, **self.fields())
        approved: bytes = args.SerializeToString()
        return approved

    def commitment(self) -> bytes:
        committed: bytes = lifecycle_pb2.CommitChaincodeDefinitionArgs(**self.fields()).SerializeToString()
        return committed

    def readiness(self) -> bytes:
        asked: bytes = lifecycle_pb2.CheckCommitReadinessArgs(**self.fields()).SerializeToString()
        return asked


def any_member(mspids: Sequence[str]) -> Any:
    """The policy "a member of one of these organisations", built without our policy parser."""
    role = msp_principal_pb2.MSPRole
    principals = [
        msp_principal_pb2.MSPPrincipal(
            principal_classification=msp_principal_pb2.MSPPrincipal.ROLE,
            principal=role(msp_identifier=mspid, role=role.MEMBER).SerializeToString(),
        )
        for mspid in mspids
    ]
    rules = [policies_pb2.SignaturePolicy(signed_by=index) for index in range(len(mspids))]
    rule = policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=1, rules=rules))
    return policies_pb2.SignaturePolicyEnvelope(version=0, rule=rule, identities=principals)


def package(label: str, address: str, tls: Path | None = None) -> bytes:
    """A chaincode-as-a-service package: the same bytes for the same label, address and keys (L-1).

    `tls` is the folder of the keys with which peer and chaincode prove themselves to one another.
    """
    connection: dict[str, Any] = {"address": address, "dial_timeout": "10s", "tls_required": tls is not None}
    if tls is not None:
        files = {"root_cert": "ca.crt", "client_cert": "client.crt", "client_key": "client.key"}
        connection |= {field: (tls / name).read_text(encoding="ascii") for field, name in files.items()}
        connection["client_auth_required"] = True
    code = _archive({"connection.json": json.dumps(connection).encode()})
    metadata = {"type": "ccaas", "label": label}
    return _archive({"metadata.json": json.dumps(metadata).encode(), "code.tar.gz": code})


def package_id(content: bytes, label: str) -> str:
    return f"{label}:{hashlib.sha256(content).hexdigest()}"


def _archive(files: Mapping[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)
