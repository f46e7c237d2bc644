# SPDX-License-Identifier: Apache-2.0
"""What peers tell their administrators: heights, the newest block's time, and how chaincodes stand."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf.message import Message

from network.lifecycle import committed, definitions, height
from network.operations.facts import Chaincode, Heights, Host, PeerHeight, Tip
from network.topology import Channel
from network.wire import Administrator, Member, WireError

__all__ = ["PATIENCE_S", "chaincodes", "gist", "heights", "silence", "tip"]

PATIENCE_S = 5.0
_SECOND_LOOK_S = 1.0
_LIFECYCLE = "_lifecycle"
_METADATA = b"org.hyperledger.fabric:GetMetadata"
"""A function that reads nothing and writes nothing; a chaincode that lacks it refuses it, and so answers too."""
_LONGEST = 200
_UNREACHED = (
    "could not launch",
    "failed to execute",
    "connection",
    "not connected",
    "timeout",
    "timed out",
    "deadline",
)


def heights(channel: Channel, members: Sequence[tuple[Member, str]]) -> Heights:
    """How many blocks every peer of a channel has; those that differ are looked at again a second later."""
    ours = [each for each in members if each[0].name in channel.organisations]
    with ThreadPoolExecutor(max_workers=max(1, len(ours))) as pool:
        first = list(pool.map(lambda each: _height(each[0], channel.name), ours))
        later: Sequence[int | None] = first
        if len(set(first)) > 1:
            time.sleep(_SECOND_LOOK_S)
            later = list(pool.map(lambda each: _height(each[0], channel.name), ours))
    seen = zip(ours, first, later, strict=True)
    return Heights(channel.name, tuple(PeerHeight(host, one, two) for (_, host), one, two in seen))


def _height(member: Member, channel: str) -> int | None:
    try:
        with Administrator(member, patience_s=PATIENCE_S) as administrator:
            return height(administrator, channel)
    except (WireError, OSError, ValueError):
        return None


def tip(channel: Channel, members: Sequence[Member]) -> Tip | None:
    """How far the newest transaction's own time is ahead of this machine's; None where no peer tells."""
    for member in members:
        try:
            with Administrator(member, patience_s=PATIENCE_S) as administrator:
                number = str(height(administrator, channel.name) - 1).encode()
                raw = administrator.query(channel.name, "qscc", b"GetBlockByNumber", channel.name.encode(), number)
        except (WireError, OSError, ValueError):
            continue
        times = list(_times(common_pb2.Block.FromString(raw)))
        return Tip(channel.name, max(times) - time.time()) if times else None
    return None


def _times(block: Any) -> Iterator[float]:
    for data in block.data.data:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(data).payload)
        stamp = common_pb2.ChannelHeader.FromString(payload.header.channel_header).timestamp
        yield stamp.seconds + stamp.nanos / 1e9


def chaincodes(channel: Channel, expected: str, members: Sequence[Member]) -> list[Chaincode]:
    """How every chaincode of a channel stands, the expected one also when it is not deployed.

    `members` are one answering peer of each organisation; none of them, no answer.
    """
    ours = [member for member in members if member.name in channel.organisations]
    if not ours:
        return []
    with Administrator(ours[0], patience_s=PATIENCE_S) as first:
        sequences = {name: sequence for name, _, sequence in definitions(first, channel.name)}
        if expected:
            sequences.setdefault(expected, 0)
        approvals = {name: _approvals(first, channel.name, name) for name, sequence in sequences.items() if sequence}
    found = []
    for name, sequence in sorted(sequences.items()):
        with ThreadPoolExecutor(max_workers=len(ours)) as pool:
            hosts = list(pool.map(lambda each: _host(each, channel.name, name, sequence), ours)) if sequence else []  # noqa: B023 -- used at once
        pending = _pending(channel.name, name, sequence + 1, ours)
        found.append(Chaincode(name, channel.name, sequence, approvals.get(name, {}), pending, tuple(hosts)))
    return found


def _approvals(administrator: Administrator, channel: str, name: str) -> Mapping[str, bool]:
    current = committed(administrator, channel, name)
    return {} if current is None else dict(current.approvals)


def _pending(channel: str, name: str, sequence: int, members: Sequence[Member]) -> Mapping[str, bool] | None:
    """Who approved the next sequence as the first organisation that did so; None when nobody did."""
    for member in members:
        with Administrator(member, patience_s=PATIENCE_S) as administrator:
            approved = _approved(administrator, channel, name, sequence)
            if approved is None or approved.sequence != sequence:
                continue
            request = lifecycle_pb2.CheckCommitReadinessArgs(
                name=name,
                sequence=sequence,
                version=approved.version,
                endorsement_plugin=approved.endorsement_plugin,
                validation_plugin=approved.validation_plugin,
                validation_parameter=approved.validation_parameter,
                collections=approved.collections,
                init_required=approved.init_required,
            )
            answer = _ask(administrator, channel, "CheckCommitReadiness", request)
            return dict(lifecycle_pb2.CheckCommitReadinessResult.FromString(answer).approvals)
    return None


def _host(member: Member, channel: str, name: str, sequence: int) -> Host:
    """One organisation's chaincode as its own peer sees it."""
    with Administrator(member, patience_s=PATIENCE_S) as administrator:
        try:
            approved = _approved(administrator, channel, name, sequence)
            if approved is None:
                return Host(member.name, None, None, None)
            package = str(approved.source.local_package.package_id)
            if not package:
                return Host(member.name, "", None, None)
            installed = package in _installed(administrator)
            problem = silence(administrator, channel, name) if installed else None
        except WireError as error:
            return Host(member.name, None, None, str(error))
    return Host(member.name, package, installed, problem)


def _approved(administrator: Administrator, channel: str, name: str, sequence: int) -> Any:
    request = lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name=name, sequence=sequence)
    try:
        answer = _ask(administrator, channel, "QueryApprovedChaincodeDefinition", request)
    except WireError as error:
        if error.status is None:
            raise
        return None
    return lifecycle_pb2.QueryApprovedChaincodeDefinitionResult.FromString(answer)


def _installed(administrator: Administrator) -> set[str]:
    answer = _ask(administrator, "", "QueryInstalledChaincodes", lifecycle_pb2.QueryInstalledChaincodesArgs())
    found = lifecycle_pb2.QueryInstalledChaincodesResult.FromString(answer).installed_chaincodes
    return {str(each.package_id) for each in found}


def silence(administrator: Administrator, channel: str, name: str) -> str | None:
    """Why a chaincode does not answer its peer, None when it does, were it only to refuse the question."""
    try:
        administrator.query(channel, name, _METADATA)
    except WireError as error:
        text = str(error)
        if error.status is None or any(word in text.lower() for word in _UNREACHED):
            return gist(text)
    return None


def gist(text: str) -> str:
    """The innermost of the reasons that a peer nests into one another; its end where it does not quote one."""
    quoted = re.search(r'desc = "(?:transport: error while dialing: )?([^"]+)"', text)
    return quoted[1] if quoted else text[-_LONGEST:]


def _ask(administrator: Administrator, channel: str, function: str, request: Message) -> bytes:
    return administrator.query(channel, _LIFECYCLE, function.encode(), request.SerializeToString())
