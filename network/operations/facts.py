# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at, as plain records: gathered by probes, judged by `network.operations.judging`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps the network from being run or examined, already in words."""

    about: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Node:
    """A program of the network that ought to run when the network does."""

    name: str
    running: bool
    answers: bool
    """Whether it accepts connections where the others look for it."""
    address: str = ""
    log: str = ""
    """What shows its log."""


@dataclass(frozen=True, slots=True)
class TakenPort:
    """Somebody else listens where a program of the network is to listen."""

    owner: str
    address: str
    holder: str
    """Such as `nginx (process 812)`; empty where the system does not tell."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that containers are made from."""

    name: str
    present: bool
    own: bool
    """Whether it is built from this source rather than Fabric's."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program of Fabric's, and what it says that it is."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Clock:
    """How far another clock is ahead of this machine's, in seconds; negative when it is behind."""

    name: str
    ahead_s: float
    uncertain_s: float
    """Half of the span in which the other clock was read, and half of its resolution."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest transaction of a channel claims a time this many seconds ahead of this machine's clock."""

    channel: str
    ahead_s: float


@dataclass(frozen=True, slots=True)
class Disk:
    """Room where something is kept, in bytes; a file system that does not count entries has `entries` 0."""

    path: str
    free: int
    total: int
    free_entries: int = 0
    entries: int = 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of the network."""

    path: str
    purpose: str
    """`TLS`, `signing`, `CA` or `TLS CA`."""
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that only its owner should read."""

    path: str
    mode: int


@dataclass(frozen=True, slots=True)
class Consenter:
    """One orderer as it sees one channel."""

    name: str
    answers: bool
    leads: bool = False
    height: int = 0
    active: int | None = None
    """How many nodes it finds active, of which it is one; None where it does not say."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """The ordering service of one channel."""

    channel: str
    consensus: str
    consenters: tuple[Consenter, ...]


@dataclass(frozen=True, slots=True)
class PeerHeight:
    """How many blocks a peer had at a first look and at one a moment later; None where it did not answer."""

    name: str
    first: int | None
    later: int | None


@dataclass(frozen=True, slots=True)
class Heights:
    """The peers of one channel."""

    channel: str
    peers: tuple[PeerHeight, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """One organisation's chaincode: what it approved, whether that is installed, and whether it answers."""

    organisation: str
    package: str | None
    """The package id it approved; empty for none, None where its peer does not say."""
    installed: bool | None
    problem: str | None
    """Why the chaincode does not answer; None when it does."""


@dataclass(frozen=True, slots=True)
class Chaincode:
    """A chaincode of a channel: its definition in force, and a next one that some organisations approved."""

    name: str
    channel: str
    sequence: int
    """0 when none is in force."""
    approvals: Mapping[str, bool] = field(default_factory=dict)
    """Who approved the definition in force, by MSP id."""
    pending: Mapping[str, bool] | None = None
    """Who approved the definition of the next sequence; None when nobody did."""
    hosts: tuple[Host, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway's readiness; `problem` is None when it is ready."""

    name: str
    address: str
    problem: str | None
    disabled: Mapping[str, str] = field(default_factory=dict)
    """Members whose definition on the channel it does not understand, by MSP id, and why."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was found; what does not apply to a kind of network stays empty."""

    directory: Path
    at: datetime
    state: str
    """`running`, `down`, or `absent` where no network was ever made."""
    run_as: str = "process"
    """`process` (embedded), `processes` or `containers`."""
    obstacles: tuple[Obstacle, ...] = ()
    nodes: tuple[Node, ...] = ()
    taken_ports: tuple[TakenPort, ...] = ()
    images: tuple[Image, ...] = ()
    programs: tuple[Program, ...] = ()
    clocks: tuple[Clock, ...] = ()
    tips: tuple[Tip, ...] = ()
    disks: tuple[Disk, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    secrets: tuple[SecretFile, ...] = ()
    ordering: tuple[Ordering, ...] = ()
    heights: tuple[Heights, ...] = ()
    chaincodes: tuple[Chaincode, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    rotating: bool = False
    """Whether a renewal of TLS certificates has begun and not ended."""
