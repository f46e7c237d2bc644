# SPDX-License-Identifier: Apache-2.0
"""How a chaincode process is configured: read once from the environment, and refused when it is only half there.

Either the process listens for peers (CHAINCODE_SERVER_ADDRESS) or it dials one (CORE_PEER_ADDRESS, or the
argument `-peer.address`). The variables are those of the Go and Node runtimes.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from chaincode.shim.errors import SettingsError

_PUBLIC = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

_SERVER_KEY = ("CHAINCODE_TLS_KEY", "CHAINCODE_TLS_KEY_FILE")
_SERVER_CERTIFICATE = ("CHAINCODE_TLS_CERT", "CHAINCODE_TLS_CERT_FILE")
_CLIENT_CA = (
    "CHAINCODE_CLIENT_CA_CERT",
    "CHAINCODE_CLIENT_CA_CERT_FILE",
    "CHAINCODE_TLS_CLIENT_CA_CERT",
    "CHAINCODE_TLS_CLIENT_CA_CERT_FILE",
    "CHAINCODE_TLS_CLIENT_CACERT",
    "CHAINCODE_TLS_CLIENT_CACERT_FILE",
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Key and certificate in PEM, and the roots by which the other side is judged."""

    key: bytes
    certificate: bytes
    roots: bytes | None = None
    """For a listener: the CAs of the clients that it demands certificates of; `None` demands none."""

    def __repr__(self) -> str:
        return f"Tls(roots={'given' if self.roots is not None else 'none'})"


@dataclass(frozen=True, slots=True)
class Settings:
    """One process. `listen` or `peer` is set, as `host:port`; port 0 lets the system choose."""

    chaincode_id: str
    local_msp_id: str
    listen: str | None = None
    peer: str | None = None
    tls: Tls | None = None
    tls_server_name: str | None = None
    """The name in the peer's certificate where it is not the name that is dialled."""
    health: str | None = None
    clock_window: float = 120.0
    """How far, in seconds, a transaction's timestamp may be from this process's clock."""
    workers: int = 256
    """How many transactions run at once; more wait in order."""
    drain_seconds: float = 25.0
    """How long running transactions may take to end after SIGTERM; a peer waits 30 s for a call."""
    batch_writes: bool = False
    token: str | None = field(default=None, repr=False)
    """What a chaincode that dials presents to an embedded network: the secret in its organisation's folder."""


def settings_from_environment(environ: Mapping[str, str], arguments: Sequence[str] = ()) -> Settings:
    """Read the settings of a process.

    Raises:
        SettingsError: when something needed is missing, contradicts something else, or cannot be read.
    """
    listen = environ.get("CHAINCODE_SERVER_ADDRESS") or None
    peer = _peer_argument(arguments) or environ.get("CORE_PEER_ADDRESS") or None
    if listen is None and peer is None:
        raise SettingsError("set CHAINCODE_SERVER_ADDRESS to listen for peers, or CORE_PEER_ADDRESS to dial one")
    if listen is not None:
        # A process that is to listen may run beside a peer whose own address is in the environment.
        peer = None
    return Settings(
        chaincode_id=_chaincode_id(environ),
        local_msp_id=_required(environ, "CORE_PEER_LOCALMSPID"),
        listen=_address("CHAINCODE_SERVER_ADDRESS", listen),
        peer=_address("CORE_PEER_ADDRESS", peer),
        tls=_server_tls(environ) if listen is not None else _client_tls(environ),
        tls_server_name=environ.get("CORE_PEER_TLS_SERVERHOSTOVERRIDE") or None,
        health=_address("CHAINCODE_HEALTH_ADDRESS", environ.get("CHAINCODE_HEALTH_ADDRESS") or None),
        clock_window=_number(environ, "CHAINCODE_CLOCK_WINDOW_SECONDS", 120.0),
        workers=int(_number(environ, "CHAINCODE_WORKERS", 256, least=1)),
        drain_seconds=_number(environ, "CHAINCODE_DRAIN_SECONDS", 25.0),
        batch_writes=_flag(environ, "CHAINCODE_BATCH_WRITES", default=False),
        token=_token(environ) if listen is None else None,
    )


def _chaincode_id(environ: Mapping[str, str]) -> str:
    names = [environ[name] for name in ("CHAINCODE_ID", "CORE_CHAINCODE_ID_NAME") if environ.get(name)]
    if not names:
        raise SettingsError("CHAINCODE_ID (or CORE_CHAINCODE_ID_NAME) is not set: it is the package id, label:hash")
    if len(set(names)) > 1:
        raise SettingsError("CHAINCODE_ID and CORE_CHAINCODE_ID_NAME name different chaincodes")
    return names[0]


def _token(environ: Mapping[str, str]) -> str | None:
    given, file = environ.get("CHAINCODE_TOKEN"), environ.get("CHAINCODE_TOKEN_FILE")
    if given and file:
        raise SettingsError("CHAINCODE_TOKEN and CHAINCODE_TOKEN_FILE are both set")
    token = _read("CHAINCODE_TOKEN_FILE", file).decode("latin-1").strip() if file else given
    if token and not (token.isascii() and token.isprintable()):
        raise SettingsError("the chaincode's token is not one line of printable ASCII")
    return token or None


def _server_tls(environ: Mapping[str, str]) -> Tls | None:
    key = _one_pem(environ, _SERVER_KEY)
    certificate = _one_pem(environ, _SERVER_CERTIFICATE)
    roots = _one_pem(environ, _CLIENT_CA)
    disabled = _flag(environ, "CHAINCODE_TLS_DISABLED", default=key is None and certificate is None and roots is None)
    if disabled:
        if key is not None or certificate is not None or roots is not None:
            raise SettingsError("CHAINCODE_TLS_DISABLED is true, but TLS keys or certificates are given")
        return None
    if key is None or certificate is None:
        missing = "CHAINCODE_TLS_KEY" if key is None else "CHAINCODE_TLS_CERT"
        raise SettingsError(f"TLS is configured by half: {missing} is not set")
    return _checked(Tls(key, certificate, roots))


def _client_tls(environ: Mapping[str, str]) -> Tls | None:
    if not _flag(environ, "CORE_PEER_TLS_ENABLED", default=None):
        return None
    key = _file_or_base64(environ, "CORE_TLS_CLIENT_KEY_FILE", "CORE_TLS_CLIENT_KEY_PATH")
    certificate = _file_or_base64(environ, "CORE_TLS_CLIENT_CERT_FILE", "CORE_TLS_CLIENT_CERT_PATH")
    variable = "CORE_PEER_TLS_ROOTCERT_FILE"
    return _checked(Tls(key, certificate, _read(variable, _required(environ, variable))))


def _checked(tls: Tls) -> Tls:
    """Refuse a key that is not the certificate's now, rather than at the first handshake."""
    try:
        certificate = x509.load_pem_x509_certificate(tls.certificate)
        key = serialization.load_pem_private_key(tls.key, password=None)
        if tls.roots is not None:
            x509.load_pem_x509_certificates(tls.roots)
    except (ValueError, TypeError) as error:
        raise SettingsError("the TLS key or one of the TLS certificates is not readable PEM") from error
    if certificate.public_key().public_bytes(*_PUBLIC) != key.public_key().public_bytes(*_PUBLIC):
        raise SettingsError("the TLS key does not belong to the TLS certificate")
    return tls


def _one_pem(environ: Mapping[str, str], variables: Sequence[str]) -> bytes | None:
    """The PEM text that one of the variables holds or names as a file."""
    given = [variable for variable in variables if environ.get(variable)]
    if len(given) > 1:
        raise SettingsError(f"{given[0]} and {given[1]} are both set")
    if not given:
        return None
    value = environ[given[0]]
    return value.encode() if value.startswith("-----BEGIN") else _read(given[0], value)


def _file_or_base64(environ: Mapping[str, str], plain: str, encoded: str) -> bytes:
    if environ.get(plain):
        return _read(plain, environ[plain])
    if not environ.get(encoded):
        raise SettingsError(f"CORE_PEER_TLS_ENABLED is true, but neither {plain} nor {encoded} is set")
    try:
        return base64.b64decode(b"".join(_read(encoded, environ[encoded]).split()), validate=True)
    except binascii.Error as error:
        raise SettingsError(f"the file that {encoded} names is not base64") from error


def _read(variable: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"the file that {variable} names cannot be read: {error.strerror}") from error


def _required(environ: Mapping[str, str], variable: str) -> str:
    value = environ.get(variable)
    if not value:
        raise SettingsError(f"{variable} is not set")
    return value


def _address(variable: str, value: str | None) -> str | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{variable} is not host:port")
    return f"{host or '0.0.0.0'}:{port}"  # noqa: S104  an address without a host means every interface, as in Go


def _flag(environ: Mapping[str, str], variable: str, *, default: bool | None) -> bool:
    value = environ.get(variable, "").lower()
    if value in ("true", "1", "false", "0"):
        return value in ("true", "1")
    if value == "" and default is not None:
        return default
    raise SettingsError(f"{variable} must be set to true or false")


def _number(environ: Mapping[str, str], variable: str, default: float, least: float = 0.0) -> float:
    text = environ.get(variable)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value < 1e9:
        raise SettingsError(f"{variable} is not a number of at least {least:g}")
    return value


def _peer_argument(arguments: Sequence[str]) -> str | None:
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in ("-peer.address", "--peer.address"):
            return value if equals else next(iter(arguments[position + 1 :]), None)
    return None
