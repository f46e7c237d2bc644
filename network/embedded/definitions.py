# SPDX-License-Identifier: Apache-2.0
"""Chaincode definitions as they are in the `_lifecycle` namespace, and the collections and policies they name (L-9).

A definition is public state; an organisation's approval of it lies in that organisation's implicit collection, so
that every peer can compare hashes with what it would have approved itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import collection_pb2, policy_pb2
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2
from google.protobuf.message import DecodeError

from network.embedded.entries import Version, hash_key
from network.embedded.policy import MalformedPolicy, Policy, SignaturePolicy
from network.embedded.snapshot import Snapshot

LIFECYCLE = "_lifecycle"
NAMESPACES = "namespaces"
SOURCES = "chaincode-sources"
IMPLICIT_PREFIX = "_implicit_org_"
DEFAULT_POLICY_REFERENCE = "/Channel/Application/Endorsement"
LIFECYCLE_POLICY_REFERENCE = "/Channel/Application/LifecycleEndorsement"

Read = Callable[[str], bytes | None]
"""Reads one key of `_lifecycle` (or of an implicit collection there); None when absent."""


class UnusableDefinitionError(ValueError):
    """A definition, collection or policy that is not there or cannot be understood."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What the consortium agreed on for one chaincode; `validation_parameter` is a serialised `ApplicationPolicy`."""

    name: str
    sequence: int
    version: str
    init_required: bool = False
    endorsement_plugin: str = "escc"
    validation_plugin: str = "vscc"
    validation_parameter: bytes = b""
    collections: Any = field(default_factory=collection_pb2.CollectionConfigPackage)


@dataclass(frozen=True, slots=True)
class Collection:
    """A private data collection in force: who holds its cleartext, for how many blocks, and who endorses writes."""

    name: str
    member_msps: frozenset[str]
    member_policy: Policy
    required_peer_count: int = 0
    max_peer_count: int = 1
    block_to_live: int = 0
    """0 means for ever."""
    member_only_read: bool = False
    member_only_write: bool = False
    endorsement_policy: Policy | None = None


# -- keys ----------------------------------------------------------------------------------------------------------


def metadata_key(name: str, area: str = NAMESPACES) -> str:
    """Where the kind and the field names of `name` stand."""
    return f"{area}/metadata/{name}"


def field_key(name: str, field_name: str, area: str = NAMESPACES) -> str:
    """Where one field of `name` stands; the sequence of a definition is the field `Sequence` (rule R-9)."""
    return f"{area}/fields/{name}/{field_name}"


def implicit_collection(msp_id: str) -> str:
    """The collection that every application organisation has without definition (rule S-33)."""
    return IMPLICIT_PREFIX + msp_id


def implicit_org(collection_name: str) -> str | None:
    """The MSP id of an implicit collection's organisation, None for other collections."""
    return collection_name[len(IMPLICIT_PREFIX) :] if collection_name.startswith(IMPLICIT_PREFIX) else None


# -- encoding ------------------------------------------------------------------------------------------------------


def committed_entries(definition: Definition) -> dict[str, bytes]:
    """The public `_lifecycle` entries of a committed definition; write only those whose bytes differ (rule L-9)."""
    fields = {"Sequence": db_pb2.StateData(Int64=definition.sequence), **_parameters(definition)}
    return _entries(NAMESPACES, definition.name, "ChaincodeDefinition", fields)


def approval_entries(definition: Definition) -> dict[str, bytes]:
    """The private entries by which an organisation approves `definition`, in its implicit collection."""
    return _entries(NAMESPACES, private_name(definition), "ChaincodeParameters", _parameters(definition))


def source_entries(name: str, sequence: int, package_id: str) -> dict[str, bytes]:
    """The private entries that say which package an organisation runs; an empty id means that it only validates."""
    fields = {"PackageID": db_pb2.StateData(String=package_id)}
    return _entries(SOURCES, f"{name}#{sequence}", "ChaincodeLocalPackage", fields)


def private_name(definition: Definition) -> str:
    return f"{definition.name}#{definition.sequence}"


def _entries(area: str, name: str, datatype: str, fields: dict[str, Any]) -> dict[str, bytes]:
    head = db_pb2.StateMetadata(datatype=datatype, fields=list(fields))
    entries = {metadata_key(name, area): head.SerializeToString()}
    for field_name, data in fields.items():
        entries[field_key(name, field_name, area)] = data.SerializeToString()
    return entries


def _parameters(definition: Definition) -> dict[str, Any]:
    endorsement = chaincode_definition_pb2.ChaincodeEndorsementInfo(
        version=definition.version,
        init_required=definition.init_required,
        endorsement_plugin=definition.endorsement_plugin,
    )
    validation = chaincode_definition_pb2.ChaincodeValidationInfo(
        validation_plugin=definition.validation_plugin, validation_parameter=definition.validation_parameter
    )
    return {
        "EndorsementInfo": db_pb2.StateData(Bytes=endorsement.SerializeToString()),
        "ValidationInfo": db_pb2.StateData(Bytes=validation.SerializeToString()),
        "Collections": db_pb2.StateData(Bytes=definition.collections.SerializeToString()),
    }


# -- decoding ------------------------------------------------------------------------------------------------------


def decode(name: str, read: Read) -> Definition | None:
    """The committed definition of `name` through `read`, None when there is none. Inverse of `committed_entries`.

    Raises UnusableDefinitionError when what is stored is not a definition.
    """
    sequence = _field(read, field_key(name, "Sequence"))
    return None if sequence is None else _decode_parameters(name, name, int(sequence.Int64), read)


def decode_approval(name: str, sequence: int, read: Read) -> Definition | None:
    """What an organisation approved for `sequence`, through a `read` of its implicit collection; None if nothing."""
    stored = f"{name}#{sequence}"
    if read(metadata_key(stored)) is None:
        return None
    return _decode_parameters(name, stored, sequence, read)


def decode_source(name: str, sequence: int, read: Read) -> str | None:
    """The package id that an organisation chose for `sequence`; empty when it only validates, None if never said."""
    data = _field(read, field_key(f"{name}#{sequence}", "PackageID", SOURCES))
    return None if data is None else str(data.String)


def _decode_parameters(name: str, stored: str, sequence: int, read: Read) -> Definition:
    parts = {part: _field(read, field_key(stored, part)) for part in ("EndorsementInfo", "ValidationInfo")}
    if None in parts.values():
        raise UnusableDefinitionError(f"the definition of chaincode {name} is incomplete")
    collections = _field(read, field_key(stored, "Collections"))
    try:
        endorsement = chaincode_definition_pb2.ChaincodeEndorsementInfo.FromString(parts["EndorsementInfo"].Bytes)
        validation = chaincode_definition_pb2.ChaincodeValidationInfo.FromString(parts["ValidationInfo"].Bytes)
        package = collection_pb2.CollectionConfigPackage.FromString(b"" if collections is None else collections.Bytes)
    except DecodeError as exc:
        raise UnusableDefinitionError(f"the definition of chaincode {name} cannot be parsed") from exc
    return Definition(
        name=name,
        sequence=sequence,
        version=endorsement.version,
        init_required=endorsement.init_required,
        endorsement_plugin=endorsement.endorsement_plugin,
        validation_plugin=validation.validation_plugin,
        validation_parameter=validation.validation_parameter,
        collections=package,
    )


def _field(read: Read, key: str) -> Any:
    raw = read(key)
    try:
        return None if raw is None else db_pb2.StateData.FromString(raw)
    except DecodeError as exc:
        raise UnusableDefinitionError(f"{key} cannot be parsed") from exc


# -- what is in force ----------------------------------------------------------------------------------------------


def sequence_version(snapshot: Snapshot, chaincode: str) -> Version | None:
    """The version of the definition's sequence, which changes with every commit of a definition."""
    entry = snapshot.get(LIFECYCLE, field_key(chaincode, "Sequence"))
    return None if entry is None else entry.version


def lookup(snapshot: Snapshot, chaincode: str) -> Definition | None:
    """The definition of `chaincode` in force at the snapshot, None when it was never committed.

    Raises UnusableDefinitionError when what was committed is not a definition.
    """
    version = sequence_version(snapshot, chaincode)
    if version is None:
        return None

    def read(key: str) -> bytes | None:
        entry = snapshot.get(LIFECYCLE, key)
        return None if entry is None else entry.value

    memo_key = ("definition", chaincode, version)
    if memo_key not in snapshot.memo:
        snapshot.memo[memo_key] = decode(chaincode, read)
    found: Definition | None = snapshot.memo[memo_key]
    return found


def approved(snapshot: Snapshot, msp_id: str, definition: Definition) -> bool:
    """Whether that organisation approved exactly `definition`, seen from hashes: works on every peer (rule L-6)."""
    collection_name = implicit_collection(msp_id)
    for key, value in approval_entries(definition).items():
        entry = snapshot.get_hash(LIFECYCLE, collection_name, hash_key(key))
        if entry is None or entry.value_hash != sha256(value).digest():
            return False
    return True


def policy(snapshot: Snapshot, config: Any, chaincode: str) -> Policy:
    """The endorsement policy of a chaincode or of `_lifecycle`; raises UnusableDefinitionError when undefined."""
    if chaincode == LIFECYCLE:
        return _referenced(config, LIFECYCLE_POLICY_REFERENCE)
    memo_key = ("policy", chaincode, sequence_version(snapshot, chaincode), config)
    if memo_key not in snapshot.memo:
        definition = lookup(snapshot, chaincode)
        if definition is None:
            raise UnusableDefinitionError(f"chaincode {chaincode} not found")
        snapshot.memo[memo_key] = application_policy(definition.validation_parameter, config)
    found: Policy = snapshot.memo[memo_key]
    return found


def application_policy(raw: bytes, config: Any) -> Policy:
    """A policy from a serialised `ApplicationPolicy`: inline signature policy or channel reference (rule V-23)."""
    try:
        parsed = policy_pb2.ApplicationPolicy.FromString(raw)
    except DecodeError as exc:
        raise UnusableDefinitionError("the endorsement policy cannot be parsed") from exc
    match parsed.WhichOneof("Type"):
        case "signature_policy":
            return _signature(parsed.signature_policy, config)
        case "channel_config_policy_reference":
            return _referenced(config, parsed.channel_config_policy_reference)
        case _:
            raise UnusableDefinitionError("the endorsement policy is empty")


def _signature(envelope: Any, config: Any) -> Policy:
    try:
        return SignaturePolicy(envelope, config.msps)
    except MalformedPolicy as exc:
        raise UnusableDefinitionError(str(exc)) from exc


def _referenced(config: Any, path: str) -> Policy:
    try:
        found: Policy = config.policy(path)
    except KeyError as exc:
        raise UnusableDefinitionError(f"the channel has no policy {path}") from exc
    return found


def collection(snapshot: Snapshot, config: Any, chaincode: str, name: str) -> Collection:
    """The collection in force; raises UnusableDefinitionError when the chaincode has none of that name."""
    version = None if chaincode == LIFECYCLE else sequence_version(snapshot, chaincode)
    memo_key = ("collection", chaincode, name, version, config)
    if memo_key not in snapshot.memo:
        snapshot.memo[memo_key] = _collection(snapshot, config, chaincode, name)
    found: Collection = snapshot.memo[memo_key]
    return found


def _collection(snapshot: Snapshot, config: Any, chaincode: str, name: str) -> Collection:
    msp_id = implicit_org(name)
    if msp_id is not None:
        return _implicit(config, name, msp_id)
    definition = None if chaincode == LIFECYCLE else lookup(snapshot, chaincode)
    for found in () if definition is None else collections_of(definition, config):
        if found.name == name:
            return found
    raise UnusableDefinitionError(f"chaincode {chaincode} has no collection {name}")


def collections_of(definition: Definition, config: Any) -> list[Collection]:
    """The collections that a definition names, in its order; raises UnusableDefinitionError."""
    return [_static(entry.static_collection_config, config) for entry in definition.collections.config]


def _static(static: Any, config: Any) -> Collection:
    members = static.member_orgs_policy.signature_policy
    raw = static.endorsement_policy.SerializeToString()
    try:
        member_msps = frozenset(_msp_ids(members))
    except DecodeError as exc:
        raise UnusableDefinitionError(f"the members of collection {static.name} cannot be parsed") from exc
    return Collection(
        name=static.name,
        member_msps=member_msps,
        member_policy=_signature(members, config),
        required_peer_count=static.required_peer_count,
        max_peer_count=static.maximum_peer_count,
        block_to_live=static.block_to_live,
        member_only_read=static.member_only_read,
        member_only_write=static.member_only_write,
        endorsement_policy=application_policy(raw, config) if static.HasField("endorsement_policy") else None,
    )


def _implicit(config: Any, name: str, msp_id: str) -> Collection:
    names = [org for org, member in config.application_orgs.items() if member == msp_id]
    if not names:
        raise UnusableDefinitionError(f"{name} names no organisation of the channel")
    members = SignaturePolicy(any_member(msp_id), config.msps)
    try:
        endorsement = _referenced(config, f"/Channel/Application/{names[0]}/Endorsement")
    except UnusableDefinitionError:
        endorsement = members
    return Collection(name, frozenset({msp_id}), members, endorsement_policy=endorsement)


def any_member(msp_id: str) -> Any:
    """A signature policy that any one member of the organisation satisfies."""
    role = msp_principal_pb2.MSPRole(msp_identifier=msp_id, role=msp_principal_pb2.MSPRole.MEMBER)
    principal = msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=role.SerializeToString()
    )
    one = policies_pb2.SignaturePolicy(signed_by=0)
    rule = policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=1, rules=[one]))
    return policies_pb2.SignaturePolicyEnvelope(version=0, rule=rule, identities=[principal])


def _msp_ids(envelope: Any) -> set[str]:
    found: set[str] = set()
    for principal in envelope.identities:
        match principal.principal_classification:
            case msp_principal_pb2.MSPPrincipal.ROLE:
                found.add(msp_principal_pb2.MSPRole.FromString(principal.principal).msp_identifier)
            case msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT:
                found.add(msp_principal_pb2.OrganizationUnit.FromString(principal.principal).msp_identifier)
            case _:
                continue
    return found
