# SPDX-License-Identifier: Apache-2.0
"""One organisation on a host of its own: what its operator chose, and what its network becomes by the others' packages.

Every site is given the same description of the consortium, which names the organisations, and learns from their signed
join packages where the others are. Nothing of it is secret.
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from network.containers.errors import ContainersError
from network.operations.joinpackage import FOLDER, ORDERING, Joining
from network.profiles import write_json
from network.topology import Endpoint, OrdererOrganisation, Organisation, Topology, parse

__all__ = ["EVERYWHERE", "Agreement", "Choice", "Site", "agreement", "parse_names", "refuse_moves"]

EVERYWHERE = "0.0.0.0"  # noqa: S104 -- for hosts that are reached by a name, whose addresses may change
_FILE = "site.json"
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_FRESH_START = "begin with an empty directory for another"


@dataclass(frozen=True, slots=True)
class Choice:
    """What an operator asks for on the command line; what is None was not mentioned."""

    organisation: str | None = None
    host: str | None = None
    listen: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """Whose part of the consortium a directory is, and how its host is reached."""

    organisation: str
    """The organisation's name, or `orderer`."""
    host: str
    """The name or IPv4 address by which the others reach this host; it is part of certificates and of the channel."""
    listen: str
    """The IPv4 address of this machine that peers and orderers are published on."""
    names: Mapping[str, str] = field(default_factory=dict)
    """IPv4 addresses of hosts that DNS does not know."""

    @property
    def orders(self) -> bool:
        """Whether the ordering organisation runs here."""
        return self.organisation == ORDERING

    @classmethod
    def read(cls, directory: Path) -> "Site | None":
        """What was chosen for a directory, None where it holds no site; raises `ContainersError`."""
        path = directory / _FILE
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ContainersError(f"{path} is damaged: restore it from a backup") from error

    def write(self, directory: Path) -> None:
        """Remember it; raises `OSError`."""
        write_json(directory / _FILE, asdict(self))

    @classmethod
    def chosen(cls, topology: Topology, directory: Path, choice: Choice) -> "Site":
        """What the operator asks for, on top of what was chosen before; raises `ContainersError`."""
        former = cls.read(directory)
        if former is not None:
            return former._with(choice, directory)
        if choice.organisation is None or choice.host is None:
            raise ContainersError(
                "--org and --host belong together: say whose part this is, and by which name or address the others "
                "reach this host, such as --org lab --host lab.example.net"
            )
        host = _refuse_bad_host(choice.host)
        listen = choice.listen or (host if _is_address(host) else EVERYWHERE)
        return cls(_known(topology, choice.organisation), host, _refuse_bad_address("--listen", listen), choice.names)

    def _with(self, choice: Choice, directory: Path) -> "Site":
        if choice.organisation not in (None, self.organisation):
            raise ContainersError(f"--org: {directory} is the part of {self.organisation}; {_FRESH_START}")
        if choice.host not in (None, self.host):
            raise ContainersError(
                f"--host: {directory} was made for {self.host}, which its certificates name; {_FRESH_START}"
            )
        listen = self.listen if choice.listen is None else _refuse_bad_address("--listen", choice.listen)
        return replace(self, listen=listen, names={**self.names, **choice.names})

    def reached(self, endpoint: Endpoint) -> Endpoint:
        """Where this machine reaches another site's node."""
        return replace(endpoint, host=self.names.get(endpoint.host, endpoint.host))

    def extra_hosts(self) -> list[str]:
        """The names that containers resolve without DNS, as Compose writes them.

        Orderers reach one another by their host's own name, which many networks do not lead back from within.
        """
        names = dict(self.names)
        if not _is_address(self.host) and self.listen == EVERYWHERE:
            names.setdefault(self.host, "host-gateway")
        return [f"{name}:{address}" for name, address in sorted(names.items())]


def parse_names(texts: Iterable[str]) -> dict[str, str]:
    """Read `HOST=ADDRESS` arguments of `--resolve`; raises `ContainersError`."""
    names: dict[str, str] = {}
    for text in texts:
        host, separator, address = text.partition("=")
        if not separator or not _HOST.fullmatch(host) or _is_address(host):
            raise ContainersError(f"--resolve: {text!r} is not HOST=ADDRESS, such as lab.example.net=192.0.2.7")
        names[host] = _refuse_bad_address("--resolve", address)
    return names


@dataclass(frozen=True, slots=True)
class Agreement:
    """The consortium as far as a site knows it."""

    topology: Topology
    """With the addresses that the others' packages name."""
    missing: tuple[str, ...]
    """Whose packages were not imported yet."""


def agreement(topology: Topology, site: Site, packages: Mapping[str, Joining], label: str) -> Agreement:
    """Put the others' addresses into the topology, which has the site's own; raises `ContainersError`.

    `packages` are by domain; `label` is of the chaincode package that this site means to run. Raises `TopologyError`
    where two organisations name the same address.
    """
    known = {*(member.domain for member in topology.organisations), topology.orderer.domain}
    for domain, stranger in packages.items():
        if domain not in known:
            raise ContainersError(
                f"{FOLDER}/{domain}.join is of {stranger.organisation.msp_id}, which the topology does not name: "
                "remove that file, or name the organisation in the topology of every site"
            )
    missing: list[str] = []
    organisations = []
    for member in topology.organisations:
        joining = packages.get(member.domain)
        if member.name == site.organisation:
            organisations.append(member)
        elif joining is None:
            missing.append(member.name)
            organisations.append(member)
        else:
            organisations.append(_member(member, joining, label))
    orderer = topology.orderer
    if not site.orders:
        if orderer.domain in packages:
            orderer = _orderer(orderer, packages[orderer.domain])
        else:
            missing.append(ORDERING)
    whole = replace(topology, organisations=tuple(organisations), orderer=orderer)
    return Agreement(whole if missing else parse(whole.to_json()), tuple(missing))


def refuse_moves(topology: Topology, former: Topology) -> None:
    """Raise `ContainersError` where an address is another than that which the channels were made with."""
    if [each.name for each in topology.organisations] != [each.name for each in former.organisations]:
        raise ContainersError("organisations: are others than those that the channels were made with")
    pairs = [(a.name, [a.peer], [b.peer]) for a, b in zip(topology.organisations, former.organisations, strict=True)]
    pairs.append((ORDERING, list(topology.orderer.addresses), list(former.orderer.addresses)))
    for name, wanted, made in pairs:
        if wanted != made:
            said = ", ".join(map(str, made))
            raise ContainersError(
                f"{name}: is at {', '.join(map(str, wanted))} now, but the channels were made with {said}; addresses "
                "in a channel are changed by a configuration update, not by a new package"
            )


def _member(member: Organisation, joining: Joining, label: str) -> Organisation:
    found = joining.organisation
    same = isinstance(found, Organisation) and (found.name, found.msp_id) == (member.name, member.msp_id)
    if not isinstance(found, Organisation) or not same:
        raise ContainersError(
            f"{FOLDER}/{member.domain}.join is of {joining.name} ({found.msp_id}), but the topology says that "
            f"{member.domain} is {member.name} ({member.msp_id})"
        )
    if joining.chaincode != label:
        raise ContainersError(
            f"{member.name} means to run {joining.chaincode}, and this site {label}: use the same version of Pedigree "
            "at every site"
        )
    return found


def _orderer(orderer: OrdererOrganisation, joining: Joining) -> OrdererOrganisation:
    found = joining.organisation
    if not isinstance(found, OrdererOrganisation) or found.msp_id != orderer.msp_id:
        raise ContainersError(
            f"{FOLDER}/{orderer.domain}.join is of {joining.name} ({found.msp_id}), but the topology says that "
            f"{orderer.domain} orders, as {orderer.msp_id}"
        )
    return found


def _known(topology: Topology, name: str) -> str:
    if name in (ORDERING, topology.orderer.msp_id):
        return ORDERING
    try:
        return topology.organisation(name).name
    except KeyError:
        names = ", ".join(each.name for each in topology.organisations)
        raise ContainersError(f"--org: no organisation is called {name!r}; there are {names} and {ORDERING}") from None


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _refuse_bad_host(host: str) -> str:
    if not _HOST.fullmatch(host) or host.replace(".", "").isdigit() != _is_address(host):
        raise ContainersError(f"--host: {host!r} is neither a lower-case host name nor an IPv4 address")
    if host == "localhost" or (_is_address(host) and not _is_reachable(host)):
        raise ContainersError(f"--host: {host} means another machine at every site; name an address that all reach")
    return host


def _is_reachable(address: str) -> bool:
    parsed = ipaddress.IPv4Address(address)
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast)


def _refuse_bad_address(option: str, address: str) -> str:
    if not _is_address(address):
        raise ContainersError(f"{option}: {address!r} is not an IPv4 address")
    return address
