# SPDX-License-Identifier: Apache-2.0
"""Renews TLS certificates one program at a time, each with a new key from the same TLS CA, while the others serve.

What a program proves itself with lies in one folder, `tls`. Its successor is made whole elsewhere, noted in the
journal, made known to those who compare certificates byte by byte (the other orderers), and then exchanged for
the present one in one step; the program is started anew and waited for before the next one's turn.

A crash leaves one program between two certificates at most. The journal names it and the certificate that it is to
have, so asking again begins with that one: while the successor is there nothing is made a second time, and when the
folders are exchanged already it only has to be started and waited for. Until then an orderer whose new
certificate is announced and that was not started with it is cut off from the others, who go on without it. After the
exchange the former key lies where the successor was; it is removed when the program is well.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509

from network.durable import Disk
from network.material import renew_tls
from network.operations.errors import OperationsError
from network.profiles import write_json

__all__ = ["JOURNAL", "Journal", "Nodes", "Step", "exchange", "is_unfinished", "rotate"]

JOURNAL = "tls-rotation.json"
_AT_CWD, _EXCHANGE = -100, 2
"""Of Linux's renameat2(2)."""
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
_DISK = Disk()


@dataclass(frozen=True, slots=True)
class Step:
    """One program, or one person, and the folder of what proves who it is."""

    name: str
    role: str
    """`ca`, `chaincode`, `peer`, `gateway`, `orderer` or `user`."""
    folder: Path
    """Its `tls`: ca.crt, and server.crt or client.crt or both, each with its key."""
    owner: Path
    """The organisation's folder, whose TLS CA issues."""
    domain: str
    kept: tuple[str, ...] = ()
    """Which of its pairs are not renewed: `server` or `client`."""

    @property
    def beside(self) -> Path:
        """Where its successor lies until the two are exchanged, and the former one afterwards.

        Not in the program's own folder: a container sees all of that, and is replaced when something changes in it.
        """
        return self.folder.parent.with_name(f".{self.folder.parent.name}.tls.next")


class Nodes(Protocol):
    """How the programs of one kind of network are notified; every call may be repeated, and raises `RunningError`."""

    def steps(self) -> Sequence[Step]:
        """Everything that is to be renewed, in the order in which that disturbs least."""
        ...

    def announce(self, step: Step) -> None:
        """Have those who must know the certificate in advance know the one in `step.beside`."""
        ...

    def restart(self, step: Step) -> None:
        """Have the program run with what is in its folder now."""
        ...

    def settle(self, step: Step) -> None:
        """Wait until the program proves itself with what is in its folder, is well, and has what the others have."""
        ...


@dataclass(slots=True)
class Journal:
    """What is done of a rotation; a file in the network's directory for as long as it lasts."""

    path: Path
    scope: str
    """Whose certificates: a domain, or empty for everybody's."""
    begun: str
    name: str = ""
    """Whose turn it is; empty between two turns."""
    digest: str = ""
    """Of the certificates that it is to have."""
    done: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, directory: Path, scope: str) -> "Journal":
        """Go on with an unfinished rotation, or begin one; raises `OperationsError` when the scopes differ."""
        path = directory / JOURNAL
        try:
            kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found = cls(path, kept["scope"], kept["begun"], kept["name"], kept["digest"], list(kept["done"]))
        except FileNotFoundError:
            return cls(path, scope, datetime.now(UTC).isoformat(timespec="seconds"))
        except (ValueError, KeyError, TypeError) as error:
            raise OperationsError(f"{path} is damaged: restore it, or remove it to begin a new rotation") from error
        if found.scope != scope:
            option = f"with --org {found.scope}" if found.scope else "without --org"
            raise OperationsError(f"--org: a rotation that began at {found.begun} is not finished; repeat it {option}")
        return found

    def begin(self, name: str, digest: str) -> None:
        """Note whose turn it is, before anybody hears of it."""
        self.name, self.digest = name, digest
        self._write()

    def finish(self) -> None:
        """Note that the turn is over."""
        self.done.append(self.name)
        self.name, self.digest = "", ""
        self._write()

    def close(self) -> None:
        """The rotation is over."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        kept = {"scope": self.scope, "begun": self.begun, "name": self.name, "digest": self.digest, "done": self.done}
        write_json(self.path, kept)


def is_unfinished(directory: Path) -> bool:
    """Whether a rotation of this directory's network was interrupted, or is at work."""
    return (directory / JOURNAL).exists()


def rotate(directory: Path, scope: str, nodes: Nodes, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Renew everything that `nodes` names, or what is left of it; answers the names, also those of earlier attempts.

    Raises `OperationsError`, `RunningError`, `WireError`, `ConfigError` or `OSError`; asking again goes on from there.
    """
    steps = nodes.steps()
    _refuse_without_issuer(steps)
    journal = Journal.open(directory, scope)
    for step in sorted(steps, key=lambda each: each.name != journal.name):  # who is between two certificates is first
        if step.name not in journal.done:
            _renew(step, nodes, journal, say)
    journal.close()
    return journal.done


def _renew(step: Step, nodes: Nodes, journal: Journal, say: Callable[[str], None]) -> None:
    if journal.name != step.name or journal.digest not in (_digest(step.folder), _digest(step.beside)):
        renew_tls(step.owner, step.domain, step.folder, step.beside, kept=step.kept)
        _own_like(step.folder, step.beside)
        journal.begin(step.name, _digest(step.beside))
    say(f"renewing {step.name}")
    if _digest(step.folder) != journal.digest:
        nodes.announce(step)
        exchange(step.beside, step.folder)
    nodes.restart(step)
    nodes.settle(step)
    for former in (step.beside, _aside(step.beside)):
        shutil.rmtree(former, ignore_errors=True)
    journal.finish()


def _refuse_without_issuer(steps: Sequence[Step]) -> None:
    """Before anything is made: an authority that is elsewhere, or has ended, issues nothing that anybody trusts."""
    for owner, domain in dict.fromkeys((step.owner, step.domain) for step in steps):
        certificate, key = owner / "tlsca" / f"tlsca.{domain}-cert.pem", owner / "tlsca" / "priv_sk"
        for path in (certificate, key):
            if not path.is_file():
                raise OperationsError(f"{path} is missing: without it nothing is issued; put it back from a backup")
        end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        if end <= datetime.now(UTC):
            raise OperationsError(f"{certificate} ended on {end:%Y-%m-%d}: what it issues is trusted by nobody")


def _digest(folder: Path) -> str:
    """What the certificates of a TLS folder are, and that their keys are there; empty when something is missing."""
    found = hashlib.sha256()
    names = sorted(path.name for path in folder.glob("*.crt"))
    for name in names:
        if name != "ca.crt" and not (folder / name).with_suffix(".key").is_file():
            return ""
        found.update(f"{name}\0".encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    return found.hexdigest() if names else ""


def _own_like(present: Path, new: Path) -> None:
    """Give the new files to whom the present ones belong: a program that starts by itself meanwhile must read them."""
    if os.getuid() != 0:
        return
    for path in (new, *new.iterdir()):
        known = present if path == new else present / path.name
        owner = known.stat() if known.exists() else present.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def exchange(one: Path, other: Path, *, disk: Disk = _DISK) -> None:
    """Exchange two folders in one step, where the system can, and have the disk hold it; raises `OSError`.

    Where it cannot, a crash between the renames leaves `other` away and its successor beside it: asking again finds
    no certificates there and goes on.
    """
    if not _exchanged_at_once(one, other):
        aside = _aside(one)
        if other.exists():
            shutil.rmtree(aside, ignore_errors=True)
            other.rename(aside)
        one.rename(other)
        aside.rename(one)
    for folder in {one.parent, other.parent}:
        disk.sync_folder(folder)


def _aside(one: Path) -> Path:
    return one.with_name(f"{one.name}.former")


def _exchanged_at_once(one: Path, other: Path) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None or not other.exists():
        return False
    if call(_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number), str(one))
