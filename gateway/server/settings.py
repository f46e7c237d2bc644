# SPDX-License-Identifier: Apache-2.0
"""What a gateway needs to run, read once and checked before anything starts."""

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.fabric.durable import write_file
from gateway.server.options import Options

FIRST_PORT = 8101
FIRST_HEALTH_PORT = 8111
THREADS_BESIDE_IN_FLIGHT = 32
_SLOTS_RESERVED = 64
SECRET_SIZE = 32
_TEXT = re.compile(r"[^\x00-\x1f]+")
_ADDRESS = re.compile(r"[^\s:=]+:[0-9]{1,5}")
_NAMED_ADDRESS = re.compile(r"(?:(?P<name>[^\s:=]+)=)?(?P<address>[^\s:=]+:[0-9]{1,5})")
_HASH = re.compile(r"[0-9a-f]{64}")
_MSP_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
"""As the law has it."""


class SettingsError(Exception):
    """A setting or file that the gateway cannot start with; the message names it."""


class _Misused(Exception):
    """A field of the network file that is missing or holds something else than it must."""


class _Fields:
    """An object of the network file, and its place there."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise _Misused(f"{path or 'the whole'} must be an object")
        self._value = value
        self._prefix = f"{path}." if path else ""

    def text(self, name: str, default: str | None = None, *, form: re.Pattern[str] = _TEXT, what: str = "text") -> str:
        value = self._get(name, default)
        if not isinstance(value, str) or form.fullmatch(value) is None:
            raise _Misused(f"{self._prefix}{name} must be {what}")
        return value

    def optional(self, name: str) -> str | None:
        return None if self._value.get(name) is None else self.text(name)

    def msp_id(self) -> str:
        what = "an MSP id: 1 to 64 letters, digits, dots and hyphens, with a letter or digit at both ends"
        return self.text("mspid", form=_MSP_ID, what=what)

    def has(self, name: str) -> bool:
        return name in self._value

    def texts(self, name: str, *, form: re.Pattern[str], what: str) -> list[str]:
        """A list, not empty, of texts."""
        value = self._get(name)
        if not isinstance(value, list) or not value:
            raise _Misused(f"{self._prefix}{name} must be a list with at least one entry")
        for index, item in enumerate(value):
            if not isinstance(item, str) or form.fullmatch(item) is None:
                raise _Misused(f"{self._prefix}{name}[{index}] must be {what}")
        return value

    def inner(self, name: str) -> "_Fields":
        return _Fields(self._get(name), f"{self._prefix}{name}")

    def items(self, name: str) -> "Iterator[_Fields]":
        value = self._get(name)
        if not isinstance(value, list) or not value:
            raise _Misused(f"{self._prefix}{name} must be a list with at least one entry")
        for index, item in enumerate(value):
            yield _Fields(item, f"{self._prefix}{name}[{index}]")

    def _get(self, name: str, default: str | None = None) -> object:
        value = self._value.get(name, default)
        if value is None:
            raise _Misused(f"{self._prefix}{name} is missing")
        return value


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer listens, and the host name that its TLS certificate proves."""

    address: str
    server_name: str

    @classmethod
    def parse(cls, text: str, position: int, domain: str) -> "PeerAddress":
        """Read `[NAME=]HOST:PORT`.

        Without NAME it is HOST where that lies in the organisation's domain, else `peer<position>.<domain>`, as
        Fabric's tools name an organisation's peers. Raises `ValueError`.
        """
        found = _NAMED_ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not [NAME=]HOST:PORT")
        host = found["address"].rpartition(":")[0]
        name = host if host.endswith(f".{domain}") else f"peer{position}.{domain}"
        return cls(found["address"], found["name"] or name)


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation of the network file."""

    name: str
    msp_id: str
    domain: str
    peers: tuple[PeerAddress, ...]
    """In the order in which they are preferred."""
    tls_ca: Path
    msp: Path
    user_msp: Path
    tls_client: Path | None = None
    """Folder of client.crt and client.key, where the organisation's peers ask their clients for a certificate."""

    def tls_pair(self) -> tuple[bytes | None, bytes | None]:
        """The TLS client certificate and its key in PEM, two Nones where none is used. Raises `SettingsError`."""
        if self.tls_client is None:
            return None, None
        try:
            return (self.tls_client / "client.crt").read_bytes(), (self.tls_client / "client.key").read_bytes()
        except OSError as exc:
            raise SettingsError(f"{exc.filename}: cannot be read: {exc.strerror}") from None


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """The network that a gateway joins, as its operators wrote it down."""

    channel: str
    chaincode: str
    organisations: tuple[Organisation, ...]
    orderer_msp_id: str
    orderer_msp: Path
    genesis_hash: str

    @classmethod
    def read(cls, path: Path) -> "NetworkFile":
        """Read `network.json`; relative paths in it are relative to its folder. Raises `SettingsError`."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise SettingsError(f"the network file {path} cannot be read: {exc.strerror}") from None
        except ValueError as exc:
            raise SettingsError(f"the network file {path} is not JSON: {exc}") from None
        except RecursionError:
            raise SettingsError(f"the network file {path} is not JSON: it is nested too deeply") from None
        try:
            return cls.parse(value, path.parent)
        except SettingsError as exc:
            raise SettingsError(f"the network file {path}: {exc}") from None

    @classmethod
    def parse(cls, document: object, folder: Path) -> "NetworkFile":
        """Read a document; relative paths in it are relative to `folder`. Raises `SettingsError`."""
        try:
            return cls._parse(_Fields(document, ""), folder)
        except _Misused as exc:
            raise SettingsError(str(exc)) from None

    @classmethod
    def _parse(cls, value: "_Fields", folder: Path) -> "NetworkFile":
        orderer = value.inner("orderer")
        return cls(
            channel=value.text("channel"),
            chaincode=value.text("chaincode_default", "pedigree"),
            organisations=tuple(
                Organisation(
                    name=item.text("name"),
                    msp_id=item.msp_id(),
                    domain=item.text("domain"),
                    peers=_peers(item),
                    tls_ca=folder / item.text("tls_ca"),
                    msp=folder / item.text("msp"),
                    user_msp=folder / item.text("user_msp"),
                    tls_client=folder / client if (client := item.optional("tls_client")) is not None else None,
                )
                for item in value.items("organisations")
            ),
            orderer_msp_id=orderer.msp_id(),
            orderer_msp=folder / orderer.text("msp"),
            genesis_hash=value.text("genesis_hash", form=_HASH, what="64 lower-case hexadecimal digits"),
        )

    def organisation(self, name: str) -> tuple[int, Organisation]:
        """The organisation of this name or MSP id, and its position, which decides the default ports."""
        for index, organisation in enumerate(self.organisations):
            if name in (organisation.name, organisation.msp_id):
                return index, organisation
        known = ", ".join(organisation.name for organisation in self.organisations)
        raise SettingsError(f"the network has no organisation {name!r}; it has {known}")


def _peers(item: _Fields) -> tuple[PeerAddress, ...]:
    """An organisation's `peers`, or its one `peer`."""
    if item.has("peers"):
        named = item.texts("peers", form=_NAMED_ADDRESS, what="[NAME=]HOST:PORT")
    else:
        named = [item.text("peer", form=_ADDRESS, what="HOST:PORT")]
    domain = item.text("domain")
    return tuple(PeerAddress.parse(text, position, domain) for position, text in enumerate(named))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `pedigree serve` runs with."""

    network: NetworkFile
    organisation: Organisation
    data: Path
    port: int
    health_port: int
    options: Options = field(default_factory=Options)
    """What was given; `data` and the ports are what follows from it."""
    commit_wait: float = 30.0
    """Seconds that a request waits for its commit before it is answered 202."""
    upload_limit: int = 256 * 1024 * 1024
    network_file: Path | None = None
    """Where `network` was read from."""

    @property
    def threads(self) -> int:
        """Server threads: one for each request in flight, and some for reads and refusals."""
        return self.options.in_flight + THREADS_BESIDE_IN_FLIGHT

    @classmethod
    def build(cls, network: Path, organisation: str, options: Options) -> "Settings":
        """Read the network file and fill in the conventions. Raises `SettingsError`."""
        file = NetworkFile.read(network)
        index, member = file.organisation(organisation)
        keys = () if options.wallet is not None else (member.user_msp,)
        for path in (member.tls_ca, member.msp, *keys, file.orderer_msp):
            if not path.exists():
                raise SettingsError(f"the network file names {path}, which does not exist")
        if options.peers:
            member = replace(member, peers=_chosen(options.peers, member))
        return cls(
            network=file,
            organisation=member,
            data=options.data if options.data is not None else network.parent / "gateways" / member.name,
            port=FIRST_PORT + index if options.port is None else options.port,
            health_port=FIRST_HEALTH_PORT + index if options.health_port is None else options.health_port,
            options=options,
            network_file=network,
        )

    @property
    def reserved_slots(self) -> int:
        """Places at each peer that new work leaves to what was begun."""
        return min(_SLOTS_RESERVED, self.options.peer_slots // 4)


def _chosen(texts: Sequence[str], member: Organisation) -> tuple[PeerAddress, ...]:
    """The peers named on the command line; one that the network file knows keeps its name from there."""
    known = {peer.address: peer for peer in member.peers}
    try:
        chosen = tuple(
            known.get(text) or PeerAddress.parse(text, position, member.domain) for position, text in enumerate(texts)
        )
    except ValueError as exc:
        raise SettingsError(f"--peer: {exc}") from None
    if len({peer.address for peer in chosen}) < len(chosen):
        raise SettingsError("--peer: the same address is named twice")
    return chosen


def load_secret(path: Path) -> bytes:
    """The gateway's secret, made once; an organisation that loses it loses the link from idempotency keys to
    transactions.

    The file appears complete or not at all.
    """
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = secrets.token_bytes(SECRET_SIZE)
        write_file(path, secret, mode=0o600)
    if len(secret) != SECRET_SIZE:
        raise SettingsError(f"{path} must hold {SECRET_SIZE} bytes")
    return secret
