# SPDX-License-Identifier: Apache-2.0
"""Replaces a chaincode by its next version while it is in use.

The new processes run beside the old ones, each under a package id of its own, before the definition of the next
sequence is approved and committed. From the commit on, peers call the new ones; a transaction that was endorsed before
and is ordered after has read a definition that is out of date, is marked as invalid (MVCC_READ_CONFLICT), and its
client makes it again, as gateways do by themselves. The old ones may end when every
peer has committed the definition and its new chaincode has answered.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from network import overview
from network.lifecycle import Deployed, Deployment, committed, deploy, packages_for
from network.operations import machine
from network.operations.errors import OperationsError
from network.operations.ledgerprobes import gist, silence
from network.packaging import Definition, Package
from network.topology import Endpoint
from network.wire import Administrator

__all__ = ["Wanted", "prepare", "upgrade"]

_ANSWER_S = 60.0
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Wanted:
    """The next version of a chaincode; what is None stays as it is."""

    name: str
    version: str
    channel: str
    policy: str | None = None
    collections: bytes | None = None


def prepare(wanted: Wanted, addresses: Mapping[str, Endpoint]) -> dict[str, Package]:
    """The packages of the new processes, by MSP id; refuses with `OperationsError` where one does not listen yet."""
    silent = [f"{msp_id} at {address}" for msp_id, address in addresses.items() if not machine.accepts(address)]
    packages = packages_for(wanted.name, wanted.version, addresses)
    if silent:
        raise OperationsError(
            f"the new chaincode does not listen: {', '.join(silent)}; start it first, with the CHAINCODE_ID that this "
            f"says: pedigree-network package {wanted.name} --version {wanted.version} --address …"
        )
    return packages


def upgrade(
    described: Mapping[str, Any],
    wanted: Wanted,
    packages: Mapping[str, Package],
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Deployed:
    """Bring the next version into force, and return when every organisation's peer gets answers from it.

    Raises `OperationsError`, `WireError`. A repetition goes on where an interrupted upgrade ended.
    """
    with overview.administrators(described) as administrators, overview.ordering(described) as ordering:
        definition = _next_definition(wanted, administrators[0])
        done = deploy(Deployment(wanted.channel, definition, packages), administrators, ordering, progress=progress)
        progress(f"waiting until {wanted.name}, sequence {done.sequence}, answers every peer")
        _wait_until_answered(wanted, [each for each in administrators if each.member.msp_id in packages])
    return done


def _next_definition(wanted: Wanted, administrator: Administrator) -> Definition:
    """The definition in force with what is to change in it."""
    current = committed(administrator, wanted.channel, wanted.name)
    if current is None:
        raise OperationsError(
            f"{wanted.name} is not deployed on channel {wanted.channel}: deploy it with: pedigree-network deploy"
        )
    definition = Definition.make(
        wanted.name, wanted.version, policy=wanted.policy, init_required=bool(current.init_required)
    )
    if wanted.policy is None:
        definition = replace(definition, validation_parameter=bytes(current.validation_parameter))
    collections = current.collections.SerializeToString() if wanted.collections is None else wanted.collections
    return replace(definition, collections=collections)


def _wait_until_answered(wanted: Wanted, administrators: Sequence[Administrator]) -> None:
    give_up = time.monotonic() + _ANSWER_S
    for administrator in administrators:
        while (problem := silence(administrator, wanted.channel, wanted.name)) is not None:
            if time.monotonic() > give_up:
                name = administrator.member.name
                raise OperationsError(f"the new chaincode of {name} does not answer: {gist(problem)}; keep the old one")
            time.sleep(_POLL_S)
