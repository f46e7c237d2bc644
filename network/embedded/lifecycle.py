# SPDX-License-Identifier: Apache-2.0
"""The `_lifecycle` system chaincode of one organisation's peer: install, approve, commit, query (rules L-5 to L-9)."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import proposal_response_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf.message import DecodeError

from network.embedded import approvals, definitions
from network.embedded.approvals import LifecycleError
from network.embedded.chaincode import ChaincodeRegistry
from network.embedded.channelconfig import AccessDenied, ChannelConfig
from network.embedded.definition_rules import InvalidDefinitionError
from network.embedded.definitions import LIFECYCLE, Definition
from network.embedded.execution import SystemCall
from network.embedded.packages import MalformedPackage, Package
from network.embedded.simulator import SimulationError, Simulator

__all__ = ["Lifecycle"]

_LOCAL = frozenset(
    {
        "InstallChaincode",
        "QueryInstalledChaincode",
        "QueryInstalledChaincodes",
        "GetInstalledChaincodePackage",
        "ApproveChaincodeDefinitionForMyOrg",
        "QueryApprovedChaincodeDefinition",
        "QueryApprovedChaincodeDefinitions",
    }
)
"""Functions for administrators of the peer's own organisation (rule P-26)."""


class NamespaceNotDefinedError(LookupError):
    """The chaincode was never committed: status 404 instead of 500."""


class Channels(Protocol):
    """Where the node keeps its channels."""

    @property
    def channels(self) -> Mapping[str, Any]:
        """Channels by id; each has a `store` and a `config`."""
        ...


class Lifecycle:
    """`_lifecycle` as one organisation's peer runs it."""

    simulates = True

    def __init__(self, msp_id: str, registry: ChaincodeRegistry, node: Channels) -> None:
        self._msp_id = msp_id
        self._registry = registry
        self._node = node
        self._functions: dict[str, tuple[Any, Callable[[SystemCall, Any], Any]]] = {
            "InstallChaincode": (lifecycle_pb2.InstallChaincodeArgs, self._install),
            "QueryInstalledChaincode": (lifecycle_pb2.QueryInstalledChaincodeArgs, self._installed_one),
            "QueryInstalledChaincodes": (lifecycle_pb2.QueryInstalledChaincodesArgs, self._installed_all),
            "GetInstalledChaincodePackage": (lifecycle_pb2.GetInstalledChaincodePackageArgs, self._content),
            "ApproveChaincodeDefinitionForMyOrg": (
                lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs,
                self._approve,
            ),
            "QueryApprovedChaincodeDefinition": (lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs, self._approved),
            "QueryApprovedChaincodeDefinitions": (
                lifecycle_pb2.QueryApprovedChaincodeDefinitionsArgs,
                self._approved_all,
            ),
            "CheckCommitReadiness": (lifecycle_pb2.CheckCommitReadinessArgs, self._readiness),
            "CommitChaincodeDefinition": (lifecycle_pb2.CommitChaincodeDefinitionArgs, self._commit),
            "QueryChaincodeDefinition": (lifecycle_pb2.QueryChaincodeDefinitionArgs, self._definition),
            "QueryChaincodeDefinitions": (lifecycle_pb2.QueryChaincodeDefinitionsArgs, self._definitions),
        }

    def invoke(self, call: SystemCall) -> Any:
        """Answer one call; every refusal is a response of status 500, or 404 for an undefined chaincode (L-6)."""
        if not call.arguments:
            return _error("lifecycle scc must be invoked with arguments")
        if len(call.arguments) != 2:
            return _error(f"lifecycle scc operations require exactly two arguments but received {len(call.arguments)}")
        name = call.arguments[0].decode(errors="replace")
        denied = self._denial(call, name)
        if denied is not None:
            return _error(f"Failed to authorize invocation due to failed ACL check: {denied}")
        message, function = self._functions[name]
        try:
            result = function(call, message.FromString(call.arguments[1]))
        except NamespaceNotDefinedError as error:
            return proposal_response_pb2.Response(status=404, message=str(error))
        except DecodeError as error:
            return _error(f"failed to invoke backing implementation of '{name}': error unmarshaling message: {error}")
        except (
            LifecycleError,
            InvalidDefinitionError,
            MalformedPackage,
            SimulationError,
            definitions.UnusableDefinitionError,
        ) as error:
            return _error(f"failed to invoke backing implementation of '{name}': {error}")
        return proposal_response_pb2.Response(status=200, payload=result.SerializeToString())

    def _denial(self, call: SystemCall, name: str) -> str | None:
        """Why the caller may not use the function, None when it may (rule P-26)."""
        if name not in self._functions:
            return f"Unmapped policy for {LIFECYCLE}/{name}"
        creator = call.transaction.creator
        if name in _LOCAL:
            return self._local_denial(creator)
        channel = call.transaction.channel
        if channel is None:
            return "Invalid channel ID: it must not be empty"
        try:
            channel.config.check_acl_identity(f"{LIFECYCLE}/{name}", creator)
        except AccessDenied as refusal:
            return str(refusal)
        return None

    def _local_denial(self, creator: Any) -> str | None:
        during = "during channelless check policy with policy [Admins]"
        if creator.msp_id != self._msp_id:
            return (
                f"Failed deserializing proposal creator {during}: "
                f"[expected MSP ID {self._msp_id}, received {creator.msp_id}]"
            )
        config: ChannelConfig = next(iter(self._node.channels.values())).config
        role = msp_principal_pb2.MSPRole(msp_identifier=self._msp_id, role=msp_principal_pb2.MSPRole.ADMIN)
        admin = msp_principal_pb2.MSPPrincipal(
            principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=role.SerializeToString()
        )
        if not config.msps.satisfies(creator, admin):
            return (
                f"Failed verifying that proposal's creator satisfies local MSP principal {during}: "
                f"[The identity is not an admin under this MSP [{self._msp_id}]]"
            )
        return None

    # -- packages ------------------------------------------------------------------------------------------------

    def _install(self, call: SystemCall, request: Any) -> Any:
        try:
            package = self._registry.install(request.chaincode_install_package)
        except MalformedPackage as error:
            raise LifecycleError(f"could not parse as a chaincode install package: {error}") from error
        except ValueError as error:
            raise LifecycleError(str(error)) from error
        return lifecycle_pb2.InstallChaincodeResult(package_id=package.package_id, label=package.label)

    def _installed_one(self, call: SystemCall, request: Any) -> Any:
        package = self._registry.installed.get(request.package_id)
        if package is None:
            raise LifecycleError(f"could not find chaincode with package id '{request.package_id}'")
        result = lifecycle_pb2.QueryInstalledChaincodeResult(package_id=package.package_id, label=package.label)
        self._add_references(package, result.references, lifecycle_pb2.QueryInstalledChaincodeResult)
        return result

    def _installed_all(self, call: SystemCall, request: Any) -> Any:
        result = lifecycle_pb2.QueryInstalledChaincodesResult()
        for package in self._registry.installed.values():
            entry = result.installed_chaincodes.add(package_id=package.package_id, label=package.label)
            self._add_references(package, entry.references, lifecycle_pb2.QueryInstalledChaincodesResult)
        return result

    def _content(self, call: SystemCall, request: Any) -> Any:
        package = self._registry.installed.get(request.package_id)
        if package is None or not package.content:
            raise LifecycleError(
                f"could not load cc install package: chaincode install package '{request.package_id}' not found"
            )
        return lifecycle_pb2.GetInstalledChaincodePackageResult(chaincode_install_package=package.content)

    def _add_references(self, package: Package, references: Any, result: Any) -> None:
        """List by channel which committed chaincodes run this package on this organisation's peer."""
        for channel_id, channel in self._node.channels.items():
            with channel.store.snapshot() as snapshot:
                simulator = Simulator(snapshot, channel.config, self._msp_id, "")
                for definition in approvals.committed(simulator):
                    source = approvals.package_of(simulator, self._msp_id, definition.name, definition.sequence)
                    if source == package.package_id:
                        references[channel_id].chaincodes.append(
                            result.Chaincode(name=definition.name, version=definition.version)
                        )

    # -- definitions ---------------------------------------------------------------------------------------------

    def _approve(self, call: SystemCall, request: Any) -> Any:
        simulator, config = _channel(call)
        source = request.source
        package_id = source.local_package.package_id if source.WhichOneof("Type") == "local_package" else ""
        approvals.approve(simulator, config, self._msp_id, _requested(request), package_id)
        return lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgResult()

    def _commit(self, call: SystemCall, request: Any) -> Any:
        simulator, config = _channel(call)
        approvals.commit(simulator, config, self._msp_id, _requested(request))
        return lifecycle_pb2.CommitChaincodeDefinitionResult()

    def _readiness(self, call: SystemCall, request: Any) -> Any:
        simulator, config = _channel(call)
        mismatches = approvals.readiness(simulator, config, _requested(request))
        result = lifecycle_pb2.CheckCommitReadinessResult(
            approvals={msp_id: not items for msp_id, items in mismatches.items()}
        )
        for msp_id, items in mismatches.items():
            if items:
                result.mismatches[msp_id].items.extend(items)
        return result

    def _approved(self, call: SystemCall, request: Any) -> Any:
        simulator, _ = _channel(call)
        sequence = request.sequence or approvals.latest_approved(simulator, self._msp_id, request.name)
        definition = approvals.approved_by(simulator, self._msp_id, request.name, sequence)
        if definition is None:
            raise LifecycleError(
                f"could not fetch approved chaincode definition (name: '{request.name}', sequence: '{sequence}') "
                f"on channel '{call.channel_id}'"
            )
        return lifecycle_pb2.QueryApprovedChaincodeDefinitionResult(
            **_described(definition), source=self._source(simulator, definition)
        )

    def _approved_all(self, call: SystemCall, request: Any) -> Any:
        simulator, _ = _channel(call)
        kind = lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult.ApprovedChaincodeDefinition
        return lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult(
            approved_chaincode_definitions=[
                kind(name=definition.name, **_described(definition), source=self._source(simulator, definition))
                for definition in approvals.all_approved(simulator, self._msp_id)
            ]
        )

    def _source(self, simulator: Simulator, definition: Definition) -> Any:
        package_id = approvals.package_of(simulator, self._msp_id, definition.name, definition.sequence)
        kind = lifecycle_pb2.ChaincodeSource
        if not package_id:
            return kind(unavailable=kind.Unavailable())
        return kind(local_package=kind.Local(package_id=package_id))

    def _definition(self, call: SystemCall, request: Any) -> Any:
        simulator, config = _channel(call)
        definition = approvals.committed_one(simulator, request.name)
        if definition is None:
            raise NamespaceNotDefinedError(f"namespace {request.name} is not defined")
        return lifecycle_pb2.QueryChaincodeDefinitionResult(
            **_described(definition),
            approvals={
                msp_id: not items for msp_id, items in approvals.mismatches(simulator, config, definition).items()
            },
        )

    def _definitions(self, call: SystemCall, request: Any) -> Any:
        simulator, _ = _channel(call)
        kind = lifecycle_pb2.QueryChaincodeDefinitionsResult.ChaincodeDefinition
        return lifecycle_pb2.QueryChaincodeDefinitionsResult(
            chaincode_definitions=[
                kind(name=definition.name, **_described(definition)) for definition in approvals.committed(simulator)
            ]
        )


def _channel(call: SystemCall) -> tuple[Simulator, ChannelConfig]:
    if call.simulator is None:
        raise LifecycleError(f"could not get channelconfig for channel '{call.channel_id}'")
    return call.simulator, call.simulator.config


def _requested(request: Any) -> Definition:
    return Definition(
        name=request.name,
        sequence=request.sequence,
        version=request.version,
        init_required=request.init_required,
        endorsement_plugin=request.endorsement_plugin,
        validation_plugin=request.validation_plugin,
        validation_parameter=request.validation_parameter,
        collections=request.collections,
    )


def _described(definition: Definition) -> dict[str, Any]:
    """The fields that all results share."""
    return {
        "sequence": definition.sequence,
        "version": definition.version,
        "endorsement_plugin": definition.endorsement_plugin,
        "validation_plugin": definition.validation_plugin,
        "validation_parameter": definition.validation_parameter,
        "collections": definition.collections,
        "init_required": definition.init_required,
    }


def _error(message: str) -> Any:
    return proposal_response_pb2.Response(status=500, message=message)
