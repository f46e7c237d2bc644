# SPDX-License-Identifier: Apache-2.0
"""Where the programs of a network publish their metrics, found from what the network's directory says."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from network.topology import Endpoint, Topology

GATEWAY_HEALTH_PORT = 8111
"""The first organisation's gateway publishes here unless it is configured otherwise; each further one a port higher."""
_LOOPBACK = "127.0.0.1"


class MonitoringError(ValueError):
    """Refuses to render; the message names the option or file and what would be right."""


@dataclass(frozen=True, slots=True)
class Target:
    """One program that publishes metrics."""

    job: str
    """`peer`, `orderer`, `ca`, `gateway` or `node`."""
    organisation: str
    name: str
    """The host name that people know it by."""
    address: str
    """`HOST:PORT` that Prometheus scrapes."""


def find_targets(
    topology: Topology, directory: Path, *, gateways: Mapping[str, Endpoint] | None = None, node: str | None = None
) -> list[Target]:
    """Everything that can be scraped, orderers first.

    Peers and orderers are found where containers or processes were started from `directory`; the embedded network has
    none. `gateways` says by organisation where one listens that is not where it is by convention; `node` is the
    address of this machine's node exporter. Raises `MonitoringError`.
    """
    chosen = dict(gateways or {})
    for name in chosen.keys() - {member.name for member in topology.organisations}:
        known = ", ".join(member.name for member in topology.organisations)
        raise MonitoringError(f"--gateway: no organisation is called {name!r}; there are {known}")
    published = _containers(directory) if (directory / "containers" / "ports.json").exists() else _processes(directory)
    is_site = (directory / "site.json").exists()
    found = [*_orderers(topology, published), *_members(topology, published)]
    for index, member in enumerate(topology.organisations):
        name = f"gateway.{member.domain}"
        if is_site and f"{name}/health" not in published and member.name not in chosen:
            continue  # it runs on its organisation's own host
        port = published.get(f"{name}/health", GATEWAY_HEALTH_PORT + index)
        address = chosen.get(member.name, Endpoint(_LOOPBACK, port))
        found.append(Target("gateway", member.name, name, str(address)))
    if node is not None:
        found.append(Target("node", "", "node", node))
    return found


def _orderers(topology: Topology, published: Mapping[str, int]) -> Iterator[Target]:
    domain = topology.orderer.domain
    for listener in _sorted(published, f".{domain}/operations"):
        name = listener.partition("/")[0]
        if name.startswith("orderer"):
            yield Target("orderer", "orderer", name, f"{_LOOPBACK}:{published[listener]}")


def _members(topology: Topology, published: Mapping[str, int]) -> Iterator[Target]:
    for member in topology.organisations:
        for listener in _sorted(published, f".{member.domain}/operations"):
            name = listener.partition("/")[0]
            job = "ca" if name.startswith("ca.") else "peer"
            yield Target(job, member.name, name, f"{_LOOPBACK}:{published[listener]}")


def _sorted(published: Mapping[str, int], ending: str) -> list[str]:
    """The listeners of one domain; a domain may end like another, so what stands before it may hold no dot."""
    return sorted(key for key in published if key.endswith(ending) and "." not in key.removesuffix(ending))


def _containers(directory: Path) -> dict[str, int]:
    """The ports that containers are published on, by listener, such as `peer0.lab.example/operations`."""
    path = directory / "containers" / "ports.json"
    try:
        return {str(listener): int(port) for listener, port in json.loads(path.read_text(encoding="ascii")).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise MonitoringError(f"{path}: does not hold ports by listener; start the network again") from error


def _processes(directory: Path) -> dict[str, int]:
    """The operations ports of peers and orderers that run as processes; they are chosen anew at every start."""
    found: dict[str, int] = {}
    for file, section in (("core.yaml", "operations"), ("orderer.yaml", "Operations")):
        for path in (directory / "fabric").glob(f"*/{file}"):
            found[f"{path.parent.name}/operations"] = _listener(path, section)
    return found


def _listener(path: Path, section: str) -> int:
    try:
        settings: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        fields = {key.lower(): value for key, value in settings[section].items()}
        return Endpoint.parse(fields["listenaddress"]).port
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise MonitoringError(f"{path}: names no {section}.listenAddress; start the network again") from error
