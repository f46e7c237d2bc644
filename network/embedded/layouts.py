# SPDX-License-Identifier: Apache-2.0
"""Which organisations' peers must endorse so that the policies concerned are satisfied (rules G-20 to G-22)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fabric_protos.msp import msp_principal_pb2
from fabric_protos.peer import proposal_response_pb2

from network.embedded.definitions import Collection, UnusableDefinitionError
from network.embedded.identity import Identity, Msps
from network.embedded.policy import MalformedPolicy, Policy, SignaturePolicy, to_signature_policy
from network.embedded.principals import Principal, PrincipalSet, merged_sets, principal_sets

__all__ = ["Candidate", "Definitions", "Layout", "NoLayout", "plan"]

_PREFIX = "no combination of peers can be derived which satisfy the endorsement policy: "

Layout = Mapping[str, int]
"""How many peers of each organisation (MSP id) must endorse."""


class NoLayout(Exception):
    """No peers can satisfy the policies; the text is that of rule G-20."""

    def __init__(self, problem: str) -> None:
        super().__init__(_PREFIX + problem)


class Definitions(Protocol):
    """What a layout depends on; each method raises `UnusableDefinitionError` for what is not defined."""

    def policy(self, chaincode: str) -> Policy:
        """The endorsement policy of a chaincode, `_lifecycle` included (G-22)."""

    def collection(self, chaincode: str, name: str) -> Collection:
        """A collection in force."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One peer of the channel: as whom it signs, and which chaincodes its organisation approved and installed."""

    identity: Identity
    serves: Callable[[str], bool]


def plan(
    interest: proposal_response_pb2.ChaincodeInterest,
    definitions: Definitions,
    msps: Msps,
    channel_id: str,
    available: Sequence[Candidate],
) -> list[Layout]:
    """All layouts for an interest, the smallest first; raises `NoLayout` (G-20)."""
    calls = interest.chaincodes
    policies: list[Policy] = []
    readers: list[frozenset[str]] = []
    for call in calls:
        try:
            policies += _policies(call, definitions, msps)
            readers += _readers(call, definitions)
        except UnusableDefinitionError as error:
            raise NoLayout(f"No metadata was found for chaincode {call.name} in channel {channel_id}") from error
    if not policies:
        raise NoLayout("no peer combination can satisfy the endorsement policy")
    members = [peer for peer in available if all(peer.identity.msp_id in msp_ids for msp_ids in readers)]
    layouts = _layouts(policies, members, msps)
    if not layouts:
        raise NoLayout("no peer combination can satisfy the endorsement policy")
    serving = [peer for peer in members if all(peer.serves(call.name) for call in calls)]
    if len(serving) < len(members):
        layouts = _layouts(policies, serving, msps)
    if not layouts:
        raise NoLayout("required chaincodes are not installed on sufficient peers")
    return layouts


def _policies(call: proposal_response_pb2.ChaincodeCall, definitions: Definitions, msps: Msps) -> Iterator[Policy]:
    """G-21 steps 1 and 2: what a call's writes must satisfy."""
    namespace = definitions.policy(call.name)
    own: list[Policy] = [] if call.collection_names else [namespace]
    for name in call.collection_names:
        endorsement = definitions.collection(call.name, name).endorsement_policy
        own.append(namespace if endorsement is None else endorsement)
    yield from own[1:] if call.disregard_namespace_policy else own
    for envelope in call.key_policies:
        try:
            yield SignaturePolicy(envelope, msps)
        except MalformedPolicy as error:
            raise NoLayout("no peer combination can satisfy the endorsement policy") from error


def _readers(call: proposal_response_pb2.ChaincodeCall, definitions: Definitions) -> Iterator[frozenset[str]]:
    """Which organisations hold the cleartext that the call reads, for each collection."""
    if not call.no_private_reads:
        for name in call.collection_names:
            yield definitions.collection(call.name, name).member_msps


def _layouts(policies: Iterable[Policy], peers: Sequence[Candidate], msps: Msps) -> list[Layout]:
    """G-21 steps 3 to 6."""
    matches: dict[Principal, list[Candidate]] = {}

    def matching(principal: Principal) -> list[Candidate]:
        if principal not in matches:
            message = msp_principal_pb2.MSPPrincipal(principal_classification=principal[0], principal=principal[1])
            matches[principal] = [peer for peer in peers if msps.satisfies(peer.identity, message)]
        return matches[principal]

    sets = merged_sets(
        [
            principal_sets(to_signature_policy(policy), lambda principal: bool(matching(principal)))
            for policy in policies
        ]
    )
    layouts: dict[tuple[tuple[str, int], ...], Layout] = {}
    for principals in sets:
        chosen = _assigned(principals, matching, ())
        if chosen is not None:
            layout: dict[str, int] = {}
            for peer in chosen:
                layout[peer.identity.msp_id] = layout.get(peer.identity.msp_id, 0) + 1
            layouts.setdefault(tuple(sorted(layout.items())), layout)
    return sorted(layouts.values(), key=lambda layout: sum(layout.values()))


def _assigned(
    principals: PrincipalSet, matching: Callable[[Principal], list[Candidate]], taken: tuple[Candidate, ...]
) -> tuple[Candidate, ...] | None:
    """A different peer for each principal, None when there is no such choice."""
    if not principals:
        return taken
    for peer in matching(principals[0]):
        if peer not in taken:
            chosen = _assigned(principals[1:], matching, (*taken, peer))
            if chosen is not None:
                return chosen
    return None
