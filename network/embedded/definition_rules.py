# SPDX-License-Identifier: Apache-2.0
"""What a chaincode definition may say (rules L-2 to L-4), and where two definitions differ (rule L-7)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import policy_pb2

from network.embedded import definitions
from network.embedded.channelconfig import ChannelConfig
from network.embedded.definitions import Definition, UnusableDefinitionError
from network.embedded.policytext import MalformedPolicy

__all__ = ["InvalidDefinitionError", "check_collections_kept", "check_definition", "difference", "with_defaults"]

_NAME = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9_.+-]+")
_COLLECTION = re.compile(r"[A-Za-z0-9-]+([A-Za-z0-9_-]+)*")
_RESERVED = frozenset({"cscc", "escc", "lscc", "qscc", "vscc"})


class InvalidDefinitionError(ValueError):
    """The definition breaks a rule; the text names the field."""


def with_defaults(definition: Definition) -> Definition:
    """Fill in the plugins and the endorsement policy where the request left them out (rule L-3)."""
    default_policy = policy_pb2.ApplicationPolicy(
        channel_config_policy_reference=definitions.DEFAULT_POLICY_REFERENCE
    ).SerializeToString()
    return replace(
        definition,
        endorsement_plugin=definition.endorsement_plugin or "escc",
        validation_plugin=definition.validation_plugin or "vscc",
        validation_parameter=definition.validation_parameter or default_policy,
    )


def check_definition(definition: Definition, config: ChannelConfig) -> None:
    """Raises InvalidDefinitionError for a bad name, version, policy or collection (rules L-2, L-4)."""
    if _NAME.fullmatch(definition.name) is None:
        raise InvalidDefinitionError(
            f"invalid chaincode name '{definition.name}'. Names can only consist of alphanumerics, '_', and '-' "
            "and can only begin with alphanumerics"
        )
    if definition.name in _RESERVED:
        raise InvalidDefinitionError(f"chaincode name '{definition.name}' is the name of a system chaincode")
    if _VERSION.fullmatch(definition.version) is None:
        raise InvalidDefinitionError(
            f"invalid chaincode version '{definition.version}'. Versions can only consist of alphanumerics, "
            "'_', '-', '+', and '.'"
        )
    try:
        definitions.application_policy(definition.validation_parameter, config)
    except (UnusableDefinitionError, MalformedPolicy) as error:
        raise InvalidDefinitionError(f"invalid endorsement policy: {error}") from error
    seen: set[str] = set()
    for entry in definition.collections.config:
        static = entry.static_collection_config
        if static.name in seen:
            raise InvalidDefinitionError(
                f"collection-name: {static.name} -- found duplicate in collection configuration"
            )
        seen.add(static.name)
        _check_collection(static, config)


def _check_collection(static: Any, config: ChannelConfig) -> None:
    name = static.name
    if _COLLECTION.fullmatch(name) is None:
        raise InvalidDefinitionError(
            f"invalid collection name '{name}'. Names can only consist of alphanumerics, '_', and '-' "
            "and cannot begin with '_'"
        )
    if static.required_peer_count < 0:
        raise InvalidDefinitionError(
            f"collection-name: {name} -- requiredPeerCount ({static.required_peer_count}) cannot be less than zero"
        )
    if static.maximum_peer_count < static.required_peer_count:
        raise InvalidDefinitionError(
            f"collection-name: {name} -- maximum peer count ({static.maximum_peer_count}) cannot be less than "
            f"the required peer count ({static.required_peer_count})"
        )
    members = static.member_orgs_policy.signature_policy
    if not members.identities:
        raise InvalidDefinitionError(f"collection-name: {name} -- collection member policy is not set")
    _check_or(name, members.rule)
    for msp_id in _members(members):
        if msp_id not in config.msps.ids:
            raise InvalidDefinitionError(
                f"collection-name: {name} -- collection member '{msp_id}' is not part of the channel"
            )
    if static.HasField("endorsement_policy"):
        try:
            definitions.application_policy(static.endorsement_policy.SerializeToString(), config)
        except (UnusableDefinitionError, MalformedPolicy) as error:
            raise InvalidDefinitionError(f"collection-name: {name} -- invalid endorsement policy: {error}") from error


def _check_or(name: str, rule: Any) -> None:
    if rule.WhichOneof("Type") != "n_out_of":
        return
    if rule.n_out_of.n != 1:
        raise InvalidDefinitionError(
            f"collection-name: {name} -- error in member org policy: signature policy is not an OR concatenation, "
            f"NOutOf {rule.n_out_of.n}"
        )
    for below in rule.n_out_of.rules:
        _check_or(name, below)


def _members(envelope: Any) -> Iterator[str]:
    for principal in envelope.identities:
        if principal.principal_classification == msp_principal_pb2.MSPPrincipal.ROLE:
            yield msp_principal_pb2.MSPRole.FromString(principal.principal).msp_identifier
        elif principal.principal_classification == msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT:
            yield msp_principal_pb2.OrganizationUnit.FromString(principal.principal).msp_identifier


def check_collections_kept(proposed: Definition, committed: Definition) -> None:
    """Raises InvalidDefinitionError when an existing collection is dropped or lives differently long (rule L-4)."""
    new = {entry.static_collection_config.name: entry.static_collection_config for entry in proposed.collections.config}
    for entry in committed.collections.config:
        old = entry.static_collection_config
        if old.name not in new:
            raise InvalidDefinitionError(
                f"existing collection [{old.name}] missing in the proposed collection configuration"
            )
        if new[old.name].block_to_live != old.block_to_live:
            raise InvalidDefinitionError(
                f"the BlockToLive in an existing collection [{old.name}] modified. Existing value [{old.block_to_live}]"
            )


def difference(expected: Definition, passed: Definition) -> str | None:
    """Name the first parameter in which two definitions differ; None when they agree. Names and sequences aside."""
    for label, name in (
        ("Version", "version"),
        ("EndorsementPlugin", "endorsement_plugin"),
        ("InitRequired", "init_required"),
        ("ValidationPlugin", "validation_plugin"),
        ("ValidationParameter", "validation_parameter"),
    ):
        old, new = (_shown(getattr(definition, name)) for definition in (expected, passed))
        if old != new:
            return f"expected {label} '{old}' does not match passed {label} '{new}'"
    if expected.collections.SerializeToString() != passed.collections.SerializeToString():
        return "Collections do not match"
    return None


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return str(value).lower() if isinstance(value, bool) else str(value)
