# SPDX-License-Identifier: Apache-2.0
"""A running network as its administrators see it, from what network.json says about it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from network.lifecycle import definitions, height
from network.topology import Endpoint
from network.wire import Administrator, Member, OrderingService, WireError, client_tls

__all__ = ["administrators", "ordering", "report"]

_REPORT_S = 10.0


@contextmanager
def administrators(described: Mapping[str, Any], *, patience_s: float = 60.0) -> Iterator[list[Administrator]]:
    """Connections to every organisation's peer as its administrator, closed afterwards; raises `OSError`.

    `patience_s` is how long a call may take, in seconds.
    """
    with ExitStack() as closing:
        members = [_member(entry) for entry in described["organisations"]]
        yield [closing.enter_context(Administrator(member, patience_s=patience_s)) for member in members]


def ordering(described: Mapping[str, Any]) -> OrderingService:
    """The connection to the ordering service."""
    orderer = described["orderer"]
    names = [f"orderer{number}.{orderer['domain']}" for number in range(1, len(orderer["addresses"]) + 1)]
    client = client_tls(Path(described["organisations"][0]["admin_msp"]))
    return OrderingService(orderer["addresses"], Path(orderer["tls_ca"]), names, client)


def _member(entry: Mapping[str, str]) -> Member:
    return Member(
        name=entry["name"],
        msp_id=entry["mspid"],
        peer=entry["peer"],
        host_name=f"peer0.{entry['domain']}",
        tls_ca=Path(entry["tls_ca"]),
        msp=Path(entry["admin_msp"]),
    )


def report(described: Mapping[str, Any], pid: int | None) -> dict[str, Any]:
    """Whether every peer answers, how many blocks each has, and what is deployed; raises `OSError`.

    `pid` is the process that runs the network, None where containers do.
    """
    channel = described["channel"]
    organisations: list[dict[str, Any]] = []
    deployed: list[tuple[str, str, int]] = []
    with administrators(described, patience_s=_REPORT_S) as found:
        for administrator in found:
            member = administrator.member
            entry: dict[str, Any] = {"name": member.name, "mspid": member.msp_id, "peer": member.peer}
            try:
                entry["height"] = height(administrator, channel) if _answers(member.peer) else None
                deployed = deployed or (definitions(administrator, channel) if entry["height"] is not None else [])
            except WireError as error:  # one that hangs, or knows its own administrator no more
                entry |= {"height": None, "problem": str(error)}
            entry["reachable"] = entry["height"] is not None
            organisations.append(entry)
    chaincodes = [{"name": name, "version": version, "sequence": number} for name, version, number in deployed]
    return {
        "running": True,
        "pid": pid,
        "ledger": described["ledger"],
        "channel": channel,
        "organisations": organisations,
        "chaincodes": chaincodes,
    }


def _answers(address: str) -> bool:
    endpoint = Endpoint.parse(address)
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=2):
            return True
    except OSError:
        return False
