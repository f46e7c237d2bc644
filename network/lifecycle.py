# SPDX-License-Identifier: Apache-2.0
"""Deploys chaincode as the organisations' administrators would: install, approve, commit, over the wire (section 7).

The same steps work on the embedded network and on Fabric. A repetition finds what was done before and goes on from
there, so an interrupted deployment is finished by asking for it again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from fabric_protos.common import ledger_pb2
from fabric_protos.peer import collection_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf.message import Message

from network.packaging import Definition, DefinitionError, Package, ServiceTls, make_package
from network.topology import Endpoint
from network.wire import Administrator, Endorsed, OrderingService, WireError

__all__ = [
    "Deployed",
    "Deployment",
    "approve",
    "approvers",
    "commit",
    "committed",
    "definitions",
    "deploy",
    "height",
    "in_force",
    "install",
    "packages_for",
]

_T = TypeVar("_T")
_LIFECYCLE = "_lifecycle"
_NOT_DEFINED = 404
_INSTALLED_ALREADY = "already successfully installed"
_APPROVED_ALREADY = "with unchanged content"
_AGREEMENT_SECONDS = 30.0
_AGREEMENT_PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Deployment:
    """What shall be deployed where; an organisation without an address approves, but its peer does not endorse."""

    channel: str
    definition: Definition
    packages: Mapping[str, Package]
    """By MSP id."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is in force after a deployment."""

    sequence: int
    changed: bool
    """False when the same was deployed already."""
    package_ids: Mapping[str, str]
    """By MSP id."""


def packages_for(
    name: str, version: str, addresses: Mapping[str, Endpoint], tls: Mapping[str, ServiceTls] | None = None
) -> dict[str, Package]:
    """One package for each organisation, which carries the address of that organisation's own chaincode process.

    With `tls`, by MSP id, also how the two prove themselves to one another.
    """
    proofs = tls or {}
    return {
        msp_id: make_package(f"{name}_{version}", address, proofs.get(msp_id)) for msp_id, address in addresses.items()
    }


def deploy(
    deployment: Deployment,
    administrators: Sequence[Administrator],
    ordering: OrderingService,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Deployed:
    """Bring a definition into force for all organisations; raises `WireError` or `DefinitionError`.

    Deploying what is deployed changes nothing; anything else becomes the next sequence. `progress` is given each step
    in words. Returns when every organisation's peer has committed it.
    """
    for msp_id in deployment.packages.keys() - {each.member.msp_id for each in administrators}:
        raise DefinitionError(f"--address: no organisation has the MSP id {msp_id}")
    package_ids = {msp_id: package.package_id for msp_id, package in deployment.packages.items()}
    current = committed(administrators[0], deployment.channel, deployment.definition.name)
    if current is not None and in_force(current, deployment.definition):
        approved = _each(administrators, lambda each: _approved_package(each, deployment, current.sequence))
        wanted = [package_ids.get(each.member.msp_id, "") for each in administrators]
        if approved == wanted:
            return Deployed(current.sequence, changed=False, package_ids=package_ids)
    sequence = 1 if current is None else current.sequence + 1
    progress(f"installing {deployment.definition.name}")
    _each(administrators, lambda each: install(each, deployment.packages.get(each.member.msp_id)))
    progress(f"approving {deployment.definition.name}, sequence {sequence}")
    _each(administrators, lambda each: _approve(each, deployment, sequence, ordering))
    progress(f"committing {deployment.definition.name}, sequence {sequence}")
    commit(deployment, sequence, administrators, ordering, waiting=administrators)
    return Deployed(sequence, changed=True, package_ids=package_ids)


def committed(
    administrator: Administrator, channel: str, name: str
) -> lifecycle_pb2.QueryChaincodeDefinitionResult | None:
    """The definition in force, None when there is none; raises `WireError`."""
    request = lifecycle_pb2.QueryChaincodeDefinitionArgs(name=name)
    try:
        answer = _invoke(administrator, channel, "QueryChaincodeDefinition", request)
    except WireError as error:
        if error.status == _NOT_DEFINED:
            return None
        raise
    return lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(answer)


def definitions(administrator: Administrator, channel: str) -> list[tuple[str, str, int]]:
    """Name, version and sequence of every chaincode of the channel; raises `WireError`."""
    answer = _invoke(administrator, channel, "QueryChaincodeDefinitions", lifecycle_pb2.QueryChaincodeDefinitionsArgs())
    found = lifecycle_pb2.QueryChaincodeDefinitionsResult.FromString(answer).chaincode_definitions
    return sorted((entry.name, entry.version, int(entry.sequence)) for entry in found)


def height(administrator: Administrator, channel: str) -> int:
    """How many blocks this organisation's peer has committed; raises `WireError`."""
    answer = administrator.query(channel, "qscc", b"GetChainInfo", channel.encode())
    return int(ledger_pb2.BlockchainInfo.FromString(answer).height)


def install(administrator: Administrator, package: Package | None) -> None:
    """Install a package on one peer, where it is not there yet; raises `WireError`."""
    if package is None:
        return
    request = lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=package.content)
    try:
        _invoke(administrator, "", "InstallChaincode", request)
    except WireError as error:
        if _INSTALLED_ALREADY not in str(error):
            raise WireError(f"{administrator.member.name}: installing failed: {error}", error.status) from error


def _approve(administrator: Administrator, deployment: Deployment, sequence: int, ordering: OrderingService) -> None:
    package = deployment.packages.get(administrator.member.msp_id)
    request = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(**_agreed(deployment.definition, sequence))
    if package is None:
        request.source.unavailable.SetInParent()
    else:
        request.source.local_package.package_id = package.package_id
    args = (b"ApproveChaincodeDefinitionForMyOrg", request.SerializeToString())
    try:
        endorsed = administrator.endorse(deployment.channel, _LIFECYCLE, args, (administrator,))
    except WireError as error:
        if _APPROVED_ALREADY in str(error):
            return
        raise WireError(f"{administrator.member.name}: approving failed: {error}", error.status) from error
    ordering.broadcast(administrator.envelope(endorsed))
    administrator.wait_for_commit(deployment.channel, endorsed.transaction_id)


def approve(administrator: Administrator, deployment: Deployment, sequence: int, ordering: OrderingService) -> bool:
    """Have one organisation approve a definition with its own package; False where it has. Raises `WireError`."""
    wanted = deployment.packages[administrator.member.msp_id].package_id
    if _approved_package(administrator, deployment, sequence) == wanted:
        return False
    _approve(administrator, deployment, sequence, ordering)
    return True


def approvers(administrator: Administrator, deployment: Deployment, sequence: int) -> set[str]:
    """The MSP ids of those who have approved exactly this definition, which is not in force; raises `WireError`."""
    request = lifecycle_pb2.CheckCommitReadinessArgs(**_agreed(deployment.definition, sequence))
    answer = _invoke(administrator, deployment.channel, "CheckCommitReadiness", request)
    found = lifecycle_pb2.CheckCommitReadinessResult.FromString(answer).approvals
    return {str(msp_id) for msp_id, approved in found.items() if approved}


def commit(
    deployment: Deployment,
    sequence: int,
    administrators: Sequence[Administrator],
    ordering: OrderingService,
    *,
    waiting: Sequence[Administrator],
) -> None:
    """Have these peers endorse what a majority approved; returns when those in `waiting` have committed it.

    Raises `WireError`.
    """
    request = lifecycle_pb2.CommitChaincodeDefinitionArgs(**_agreed(deployment.definition, sequence))
    args = (b"CommitChaincodeDefinition", request.SerializeToString())
    endorsed = _agree(administrators, deployment.channel, args)
    ordering.broadcast(administrators[0].envelope(endorsed))
    _each(waiting, lambda each: each.wait_for_commit(deployment.channel, endorsed.transaction_id))


def _agree(administrators: Sequence[Administrator], channel: str, args: Sequence[bytes]) -> Endorsed:
    """Endorse on all peers; separate peers may still lag behind the approvals, so they are asked again for 30 s."""
    give_up = time.monotonic() + _AGREEMENT_SECONDS
    while True:
        try:
            return administrators[0].endorse(channel, _LIFECYCLE, args, administrators)
        except WireError:
            if time.monotonic() >= give_up:
                raise
        time.sleep(_AGREEMENT_PAUSE)


def _approved_package(administrator: Administrator, deployment: Deployment, sequence: int) -> str | None:
    """The package id that an organisation approved, empty for none, None when it approved nothing at this sequence."""
    request = lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name=deployment.definition.name, sequence=sequence)
    try:
        answer = _invoke(administrator, deployment.channel, "QueryApprovedChaincodeDefinition", request)
    except WireError as error:
        if error.status is None:
            raise
        return None
    return str(lifecycle_pb2.QueryApprovedChaincodeDefinitionResult.FromString(answer).source.local_package.package_id)


def in_force(current: lifecycle_pb2.QueryChaincodeDefinitionResult, wanted: Definition) -> bool:
    """Whether the definition in force is the wanted one."""
    return bool(
        current.version == wanted.version
        and current.init_required == wanted.init_required
        and current.validation_parameter == wanted.validation_parameter
        and current.collections == collection_pb2.CollectionConfigPackage.FromString(wanted.collections)
    )


def _agreed(definition: Definition, sequence: int) -> dict[str, Any]:
    """What all organisations must approve alike."""
    return {
        "name": definition.name,
        "sequence": sequence,
        "version": definition.version,
        "endorsement_plugin": "escc",
        "validation_plugin": "vscc",
        "validation_parameter": definition.validation_parameter,
        "collections": collection_pb2.CollectionConfigPackage.FromString(definition.collections),
        "init_required": definition.init_required,
    }


def _invoke(administrator: Administrator, channel: str, function: str, request: Message) -> bytes:
    return administrator.query(channel, _LIFECYCLE, function.encode(), request.SerializeToString())


def _each(administrators: Sequence[Administrator], work: Callable[[Administrator], _T]) -> list[_T]:
    with ThreadPoolExecutor(max_workers=min(8, len(administrators))) as pool:
        return list(pool.map(work, administrators))
