# SPDX-License-Identifier: Apache-2.0
"""What people see when an organisation has become a member: what runs of it, and what is theirs to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from network.config.growth import Outcome
from network.topology import Organisation

__all__ = ["left_to_do"]


def left_to_do(outcome: Outcome, newcomer: Organisation, described: Mapping[str, Any]) -> Iterator[str]:
    """What became of a newcomer, and what people still have to do, one line each; `described` is network.json."""
    count, msp_id = len(outcome.members), newcomer.msp_id
    yield f"members: {', '.join(outcome.members)}; MAJORITY now takes {count // 2 + 1} of {count}"
    entry = next(entry for entry in described["organisations"] if entry["mspid"] == msp_id)
    runs_already = described["chaincode_default"] if described.get("run_as") == "containers" else None
    for name in outcome.chaincodes:
        if name != runs_already:
            yield (
                f"left to do: {msp_id} starts its own {name} process, and all approve the next sequence, where a "
                f"policy that names organisations should name {msp_id}: "
                f"pedigree-network deploy {name} --address ORG=HOST:PORT …"
            )
    if runs_already is not None:
        service = f"gateway.{newcomer.domain}"
        yield f"running: {msp_id}'s peer, CA, {runs_already} chaincode and gateway, which serves at {entry['gateway']}"
        yield (
            f"left to do: keys for {newcomer.name}'s applications: docker compose -f {described['compose']} exec "
            f"{service} pedigree keys add NAME --role recorder --data /data"
        )
    if described["chaincode_default"] in outcome.chaincodes:
        yield f"left to do: the members vote for a consortium policy that names {msp_id}: pedigree policy vote FILE"
