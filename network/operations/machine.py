# SPDX-License-Identifier: Apache-2.0
"""What this machine tells: who listens where, how much room is left, which certificates end when."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from network.operations.facts import Certificate, Disk, Obstacle, SecretFile
from network.operations.secretfiles import secret_files
from network.topology import Endpoint

__all__ = ["accepts", "certificates", "disk", "holder_of", "is_taken", "secrets_of"]

_LISTENING = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_CONNECT_S = 2.0
_KEPT = ("organizations", "gateways", "registrars")
_PURPOSES = {"signcerts": "signing", "tls": "TLS", "ca": "CA", "tlsca": "TLS CA"}
_WHERE = ("tlsca/*-cert.pem", "ca/*-cert.pem", "signcerts/*", "tls/*.crt")


def accepts(endpoint: Endpoint) -> bool:
    """Whether something accepts connections there, within two seconds."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=_CONNECT_S):
            return True
    except OSError:
        return False


def is_taken(endpoint: Endpoint) -> bool:
    """Whether a program of ours could not listen there now, because another does or may not be disturbed."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as our programs do
        try:
            probe.bind((endpoint.host, endpoint.port))
        except OSError as error:
            return error.errno in (errno.EADDRINUSE, errno.EACCES)
    return False


def holder_of(port: int, proc: Path = Path("/proc")) -> str:
    """Which process listens on a TCP port, such as `nginx (process 812)`; empty where the system does not tell."""
    inodes = {inode for table in _TABLES for inode in _listening(proc / Path(table).relative_to("/proc"), port)}
    if not inodes:
        return ""
    for process in sorted(path for path in proc.iterdir() if path.name.isdigit()):
        if _sockets(process) & inodes:
            name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{name} (process {process.name})"
    return ""


def _listening(table: Path, port: int) -> Iterator[str]:
    """The socket inodes that listen on a port; the kernel writes address and port in hexadecimal."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _sockets(process: Path) -> set[str]:
    """A process's socket inodes; none of a process that has ended or is not ours to look into."""
    found: set[str] = set()
    try:
        for link in (process / "fd").iterdir():
            target = str(link.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        return found
    return found


def disk(path: Path) -> Disk:
    """The room where `path` lies, or will lie; raises `OSError`."""
    place = path
    while not place.exists():
        place = place.parent
    room = os.statvfs(place)
    return Disk(str(path), room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize, room.f_favail, room.f_files)


def certificates(directory: Path) -> tuple[list[Certificate], list[Obstacle]]:
    """Every certificate of the network once, and the files that hold none."""
    found: dict[bytes, Certificate] = {}
    bad: list[Obstacle] = []
    for kept in _KEPT:
        for pattern in _WHERE:
            for path in sorted((directory / kept).glob(f"**/{pattern}")):
                if path.is_file():
                    _read(path, str(path.relative_to(directory)), found, bad)
    return list(found.values()), bad


def _read(path: Path, name: str, found: dict[bytes, Certificate], bad: list[Obstacle]) -> None:
    try:
        parsed = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "holds no PEM certificate"
        bad.append(Obstacle(name, reason or "cannot be read", "restore it from a backup"))
        return
    purpose = "TLS CA" if path.name == "ca.crt" else _PURPOSES[path.parent.name]
    for each in parsed:
        certificate = Certificate(name, purpose, each.not_valid_before_utc, each.not_valid_after_utc)
        found.setdefault(each.fingerprint(hashes.SHA256()), certificate)


def secrets_of(directory: Path) -> list[SecretFile]:
    """The permissions of every secret file; raises `OSError`."""
    folders = (directory / kept for kept in _KEPT)
    found = []
    for path in (path for folder in folders if folder.is_dir() for path in secret_files(folder)):
        with contextlib.suppress(FileNotFoundError):  # replaced just now, as gateways do with keys they renew
            found.append(SecretFile(str(path.relative_to(directory)), path.stat().st_mode & 0o7777))
    return found
