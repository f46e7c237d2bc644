# SPDX-License-Identifier: Apache-2.0
"""Chaincode packages and definitions as an operator describes them (rules L-1 to L-4, S-8)."""

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabric_protos.peer import collection_pb2, policy_pb2

from network.embedded.policy import MalformedPolicy, parse
from network.publicfiles import certificate_of
from network.topology import Endpoint

__all__ = [
    "Definition",
    "DefinitionError",
    "Package",
    "ServiceTls",
    "load_collections",
    "make_package",
    "parse_addresses",
]

_NAME = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9_.+-]+")
_COLLECTION = re.compile(r"[A-Za-z0-9-]+[A-Za-z0-9_-]*")
_RESERVED = frozenset({"cscc", "escc", "lscc", "qscc", "vscc"})
_DEFAULT_POLICY = "/Channel/Application/Endorsement"


class DefinitionError(ValueError):
    """Refuses what an operator asked to deploy; the message names the field."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package file and its id, which the chaincode process must register with on Fabric."""

    package_id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Definition:
    """What the organisations agree on, apart from the sequence."""

    name: str
    version: str
    validation_parameter: bytes
    """A serialised `ApplicationPolicy`."""
    collections: bytes
    """A serialised `CollectionConfigPackage`; empty when there are none."""
    init_required: bool

    @classmethod
    def make(
        cls,
        name: str,
        version: str,
        *,
        policy: str | None = None,
        collections: bytes = b"",
        init_required: bool = False,
    ) -> "Definition":
        """Check and encode; without a policy the channel's default, a majority of organisations, holds.

        Raises `DefinitionError`.
        """
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise DefinitionError(f"NAME: {name!r} is not a chaincode name")
        if not _VERSION.fullmatch(version):
            raise DefinitionError(f"--version: {version!r} may hold letters, digits and '_.+-' only")
        if policy is None:
            application = policy_pb2.ApplicationPolicy(channel_config_policy_reference=_DEFAULT_POLICY)
        else:
            application = policy_pb2.ApplicationPolicy(signature_policy=_policy(policy, "--policy"))
        return cls(name, version, application.SerializeToString(), collections, init_required)


@dataclass(frozen=True, slots=True)
class ServiceTls:
    """How a peer proves itself to the chaincode that it dials, and how it knows that chaincode; all in PEM."""

    root: str
    client_certificate: str
    client_key: str
    """It lies in the package, and so on the organisation's own peers: it gives access to nothing but the chaincode."""

    @classmethod
    def from_folder(cls, folder: Path) -> "ServiceTls":
        """Read ca.crt, client.crt and client.key; raises `OSError` or `PublicFileError`."""
        root, certificate = (certificate_of(folder, name).decode() for name in ("ca.crt", "client.crt"))
        return cls(root, certificate, (folder / "client.key").read_text(encoding="ascii"))


def make_package(label: str, address: Endpoint, tls: ServiceTls | None = None) -> Package:
    """Package the address of a chaincode that runs as a service; equal arguments give equal bytes.

    With `tls` the peer and the chaincode prove themselves to one another.
    """
    connection: dict[str, object] = {"address": str(address), "dial_timeout": "10s", "tls_required": tls is not None}
    if tls is not None:
        connection |= {
            "client_auth_required": True,
            "root_cert": tls.root,
            "client_cert": tls.client_certificate,
            "client_key": tls.client_key,
        }
    code = _archive({"connection.json": json.dumps(connection, sort_keys=True).encode()})
    metadata = json.dumps({"path": "", "type": "ccaas", "label": label}, sort_keys=True).encode()
    content = _archive({"metadata.json": metadata, "code.tar.gz": code})
    return Package(f"{label}:{hashlib.sha256(content).hexdigest()}", content)


def load_collections(path: Path) -> bytes:
    """Read collections in the format of Fabric's `collections_config.json`; raises `DefinitionError`."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"--collections: {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DefinitionError(f"--collections: {path} is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise DefinitionError("--collections: must hold a list of collections")
    configs = [_collection(entry, f"collections[{index}]") for index, entry in enumerate(entries)]
    names = [config.static_collection_config.name for config in configs]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise DefinitionError(f"collections[{index}].name: {name!r} is used twice")
    encoded: bytes = collection_pb2.CollectionConfigPackage(config=configs).SerializeToString()
    return encoded


_FIELDS = {
    "name",
    "policy",
    "requiredPeerCount",
    "maxPeerCount",
    "blockToLive",
    "memberOnlyRead",
    "memberOnlyWrite",
    "endorsementPolicy",
}


def _collection(entry: object, path: str) -> collection_pb2.CollectionConfig:
    if not isinstance(entry, dict):
        raise DefinitionError(f"{path}: must be an object")
    for key in entry.keys() - _FIELDS:
        raise DefinitionError(f"{path}.{key}: is not a known field")
    name = entry.get("name")
    if not isinstance(name, str) or not _COLLECTION.fullmatch(name):
        raise DefinitionError(f"{path}.name: {name!r} is not a collection name")
    config = collection_pb2.StaticCollectionConfig(
        name=name,
        required_peer_count=_count(entry, "requiredPeerCount", path, 0),
        maximum_peer_count=_count(entry, "maxPeerCount", path, 1),
        block_to_live=_count(entry, "blockToLive", path, 0),
        member_only_read=_flag(entry, "memberOnlyRead", path),
        member_only_write=_flag(entry, "memberOnlyWrite", path),
    )
    if config.maximum_peer_count < config.required_peer_count:
        raise DefinitionError(f"{path}.maxPeerCount: is less than requiredPeerCount")
    config.member_orgs_policy.signature_policy.CopyFrom(_policy(entry.get("policy"), f"{path}.policy"))
    if "endorsementPolicy" in entry:
        config.endorsement_policy.CopyFrom(_endorsement(entry["endorsementPolicy"], f"{path}.endorsementPolicy"))
    return collection_pb2.CollectionConfig(static_collection_config=config)


def _endorsement(entry: object, path: str) -> policy_pb2.ApplicationPolicy:
    match entry:
        case {"signaturePolicy": expression, **rest} if not rest:
            return policy_pb2.ApplicationPolicy(signature_policy=_policy(expression, f"{path}.signaturePolicy"))
        case {"channelConfigPolicy": str(reference), **rest} if not rest:
            return policy_pb2.ApplicationPolicy(channel_config_policy_reference=reference)
        case _:
            raise DefinitionError(f"{path}: must hold either signaturePolicy or channelConfigPolicy")


def _policy(expression: object, path: str) -> Any:
    if not isinstance(expression, str):
        raise DefinitionError(f"{path}: must be a policy expression")
    try:
        return parse(expression)
    except MalformedPolicy as error:
        raise DefinitionError(f"{path}: {error}") from error


def _count(entry: Mapping[str, Any], key: str, path: str, default: int) -> int:
    value = entry.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise DefinitionError(f"{path}.{key}: {value!r} is not a whole number of 0 or more")
    return value


def _flag(entry: Mapping[str, Any], key: str, path: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise DefinitionError(f"{path}.{key}: {value!r} is neither true nor false")
    return value


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tar without times and owners, so that the same content has the same id everywhere."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def parse_addresses(texts: Sequence[str], option: str = "--address") -> dict[str, Endpoint]:
    """Read `ORG=HOST:PORT` arguments of an option; raises `DefinitionError`."""
    addresses: dict[str, Endpoint] = {}
    for text in texts:
        organisation, separator, address = text.partition("=")
        if not separator or not organisation:
            raise DefinitionError(f"{option}: {text!r} is not ORG=HOST:PORT")
        if organisation in addresses:
            raise DefinitionError(f"{option}: {organisation} is named twice")
        try:
            addresses[organisation] = Endpoint.parse(address)
        except ValueError as error:
            raise DefinitionError(f"{option}: {error}") from error
        if addresses[organisation].port == 0:
            raise DefinitionError(f"{option}: {text!r} has no port")
    return addresses
