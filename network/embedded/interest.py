# SPDX-License-Identifier: Apache-2.0
"""Whose endorsement a simulated transaction needs, given to the gateway as a `ChaincodeInterest` (rule R-20)."""

from collections.abc import Container, Iterable
from typing import Any

from fabric_protos.common import policies_pb2
from fabric_protos.peer import proposal_response_pb2
from google.protobuf.message import DecodeError

from network.embedded.simulator import SimulationError, Simulator

__all__ = ["describe_interest"]


def describe_interest(simulator: Simulator, system: Container[str]) -> Any:
    """Describe every application namespace in the results; raises SimulationError for a policy that cannot be read."""
    calls: list[Any] = []
    for namespace in simulator.rwset.namespaces:
        if namespace not in system:
            calls += _calls(simulator, namespace)
    return proposal_response_pb2.ChaincodeInterest(chaincodes=calls)


def _calls(simulator: Simulator, namespace: str) -> Iterable[Any]:
    public = simulator.rwset.written_keys(namespace)
    private = simulator.rwset.written_private_keys(namespace)
    key_policies = []
    public_required = not public and not private
    collections = {name for space, name in simulator.private_reads if space == namespace}
    for key in public:
        policy = simulator.key_policy(namespace, key)
        if policy:
            key_policies.append(_parse(policy, key))
        else:
            public_required = True
    for name, keys in private.items():
        for key in keys:
            policy = simulator.private_key_policy(namespace, name, key)
            if policy:
                key_policies.append(_parse(policy, key))
            else:
                collections.add(name)
    if public_required or key_policies:
        yield proposal_response_pb2.ChaincodeCall(
            name=namespace, key_policies=key_policies, disregard_namespace_policy=not public_required
        )
    for name in sorted(collections):
        yield proposal_response_pb2.ChaincodeCall(
            name=namespace,
            collection_names=[name],
            no_private_reads=(namespace, name) not in simulator.private_reads,
        )


def _parse(policy: bytes, key: str) -> Any:
    try:
        return policies_pb2.SignaturePolicyEnvelope.FromString(policy)
    except DecodeError as error:
        raise SimulationError(f"the endorsement policy of key {key!r} cannot be parsed: {error}") from error
