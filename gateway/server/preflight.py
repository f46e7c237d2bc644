# SPDX-License-Identifier: Apache-2.0
"""What would keep a gateway from starting, found before any process is made and reported in one line each.

A peer that does not answer is not among it: gateways and peers may be started in any order.
"""

import fcntl
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.fabric import Identity, Signer, Trust
from gateway.fabric.errors import DisabledMember, InvalidIdentity, MalformedData
from gateway.server import sharing
from gateway.server.door import DoorFiles
from gateway.server.oidc import claims_of
from gateway.server.options import Options
from gateway.server.proxies import Proxies
from gateway.server.settings import Settings, SettingsError
from gateway.server.signing import look_up

_STORES = ("keys", "readmodel", "records", "submissions")


def check(settings: Settings) -> None:
    """Look at certificates, keys, stores and ports; raises `SettingsError`, `FabricError` or `OSError` naming one."""
    _check_tls_roots(settings.organisation.tls_ca)
    _check_identity(settings)
    _check_door(settings.options)
    _check_unused(settings.data)
    sharing.check(settings)
    for name in _STORES:
        _check_store(settings.data / f"{name}.db")
    if not settings.options.rebuild:
        _check_chain(settings.data / "readmodel.db", settings.network.genesis_hash)
    for option, port in (("--port", settings.port), ("--health-port", settings.health_port)):
        _check_port(option, settings.options.host, port)


def _check_tls_roots(path: Path) -> None:
    try:
        x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise SettingsError(f"{path}: not a PEM certificate; the peer's TLS root is wanted") from None


def _check_door(options: Options) -> None:
    """What the API is served with: its certificate and key, and who is believed."""
    claims_of(options)
    files = DoorFiles.of(options)
    if files is not None:
        files.load()
    try:
        Proxies.of(options.trusted_proxies)
    except ValueError as exc:
        raise SettingsError(f"--trusted-proxy: {exc}") from None


def _check_identity(settings: Settings) -> None:
    """That the certificate to sign with belongs to the organisation, and the key to the certificate."""
    wallet = settings.options.wallet
    network, member = settings.network, settings.organisation
    identity = Identity.from_msp_folder(member.msp_id, member.user_msp) if wallet is None else look_up(settings)
    folders = {organisation.msp_id: organisation.msp for organisation in network.organisations}
    folders[network.orderer_msp_id] = network.orderer_msp
    for folder in folders.values():
        if not any((folder / "cacerts").glob("*")):
            raise SettingsError(f"{folder / 'cacerts'}: holds no certificate; the organisation's root is wanted")
    trust = Trust.from_msp_folders(folders, bytes.fromhex(network.genesis_hash))
    try:
        trust.msps.member(identity.serialized)
    except DisabledMember as exc:
        raise SettingsError(exc.problem) from None
    except InvalidIdentity as exc:
        place = member.user_msp / "signcerts" if wallet is None else wallet
        raise SettingsError(f"{place}: not of {member.msp_id}: {exc}") from None
    if wallet is not None:
        return  # its key was looked up with it
    try:
        Signer.from_msp_folder(member.user_msp)
    except MalformedData as exc:
        raise SettingsError(f"{member.user_msp / 'keystore'}: {exc}") from None
    _check_pair(identity, member.user_msp)


def _check_pair(identity: Identity, folder: Path) -> None:
    (file,) = (path for path in (folder / "keystore").iterdir() if path.is_file())
    key = load_pem_private_key(file.read_bytes(), None).public_key()
    certificate = identity.certificate
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate is None or certificate.public_key().public_bytes(*form) != key.public_bytes(*form):
        raise SettingsError(f"{file}: not the key of the certificate in {folder / 'signcerts'}")


def _check_unused(data: Path) -> None:
    if not (data / "lock").exists():
        return
    with (data / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"another gateway uses {data}; give this one a folder of its own with --data") from None


def _check_store(path: Path) -> None:
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as exc:
        raise SettingsError(f"{path}: cannot be opened: {exc}") from None
    except sqlite3.DatabaseError as exc:
        raise SettingsError(f"{path}: {exc}") from None


def _check_chain(path: Path, genesis_hash: str) -> None:
    """That the read model is of the pinned chain: a network of the same names may have been made anew."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path)) as connection:
        known = any(name == "genesis" for _, name, *_ in connection.execute("PRAGMA table_info(position)"))
        found = connection.execute("SELECT genesis FROM position").fetchone()[0] if known else None
    if found not in (None, genesis_hash):
        raise another_chain(path, str(found), genesis_hash)


def another_chain(path: Path, found: str, pinned: str) -> SettingsError:
    """What is said of a read model of another chain."""
    return SettingsError(
        f"{path}: holds another chain, whose first block is {found}, and the network file pins {pinned}; "
        "start once with --rebuild to read that one"
    )


def _check_port(option: str, host: str, port: int) -> None:
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does after a restart
            listener.bind((host, port))
            listener.listen(1)
    except (OSError, UnicodeError) as exc:
        problem = exc.strerror if isinstance(exc, OSError) else "no such host"
        raise SettingsError(f"cannot listen on {host}:{port} ({option}): {problem or exc}") from None
