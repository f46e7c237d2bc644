# SPDX-License-Identifier: Apache-2.0
"""Whether a certificate may still be used: its time, and its issuer's revocation list (RFC 5280, section 5).

Peers look at revocation lists only where the channel's configuration holds them, and at no certificate's time when they
validate; so a gateway looks by itself, at its own identity and at those that are presented to it. A list that should
have been replaced (its nextUpdate has passed) proves nothing: writes are refused then, reads go on.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.fabric.durable import Disk, write_file
from gateway.identities.credential import check_validity, common_name
from gateway.identities.errors import (
    CaMisbehaved,
    CertificateRevoked,
    IdentityError,
    RevocationUnknown,
)
from gateway.identities.files import private_folder

_LOG = logging.getLogger(__name__)


class RevocationList:
    """One CA's list; immutable. Its signature has been verified."""

    def __init__(self, crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> None:
        self._crl = crl
        self.issuer = issuer
        self.this_update = crl.last_update_utc
        self.next_update = crl.next_update_utc
        self._revoked = {entry.serial_number: entry.revocation_date_utc for entry in crl}

    @classmethod
    def parse(cls, pem: bytes, issuers: Iterable[x509.Certificate], what: str) -> "RevocationList":
        """A list from PEM that one of `issuers` has signed; raises `IdentityError` that names `what` otherwise."""
        try:
            crl = x509.load_pem_x509_crl(pem)
            for issuer in issuers:
                if issuer.subject == crl.issuer and _signed_by(crl, issuer):
                    return cls(crl, issuer)
        except Exception:  # the library has no family of errors, and reads entries only when they are asked for
            raise IdentityError(f"{what}: not a revocation list in PEM") from None
        raise IdentityError(f"{what}: the revocation list is not signed by a CA that is known here")

    @property
    def pem(self) -> bytes:
        """The list as PEM."""
        return self._crl.public_bytes(Encoding.PEM)

    @property
    def serials(self) -> dict[str, datetime]:
        """Serial numbers in lower-case hexadecimal digits, and since when they are revoked."""
        return {f"{serial:x}": at for serial, at in self._revoked.items()}

    def covers(self, certificate: x509.Certificate) -> bool:
        """Whether the certificate is one of this list's CA."""
        return certificate.issuer == self.issuer.subject

    def stale(self, at: datetime) -> bool:
        """Whether a newer list should have been published; so is one without a nextUpdate."""
        return self.next_update is None or at >= self.next_update

    def check(self, certificate: x509.Certificate, at: datetime, *, write: bool = True) -> None:
        """Raises `CertificateRevoked`, and for a write `RevocationUnknown` when the list is stale."""
        since = self._revoked.get(certificate.serial_number)
        if since is not None and self.covers(certificate):
            raise CertificateRevoked(
                f"the certificate {certificate.serial_number:x} of {common_name(certificate)} is revoked since "
                f"{since:%Y-%m-%d %H:%M:%S} UTC"
            )
        if write and self.stale(at):
            raise RevocationUnknown(
                f"the revocation list of {common_name(self.issuer)} should have been replaced at "
                f"{_instant(self.next_update)}; fetch a new one with: pedigree identity crl"
            )


class Revocations:
    """The current lists of an organisation's CAs, kept in one file; thread-safe.

    `issuers` are the CA certificates whose lists are believed. A list never goes back: one that is older than what is
    held is refused, so an old list played again does not bring a revoked certificate to life. What another process
    writes into the file counts from the next check on; a file that cannot be read is logged, and what is held stays.
    """

    def __init__(
        self,
        issuers: Sequence[x509.Certificate],
        file: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        disk: Disk | None = None,
    ) -> None:
        self._issuers = tuple(issuers)
        self._file = file
        self._clock = clock
        self._disk = disk if disk is not None else Disk()
        self._lock = threading.Lock()
        self._lists: dict[bytes, RevocationList] = {}
        self._seen: tuple[int, ...] = ()

    def load(self) -> None:
        """Read what the file holds; a missing file holds nothing. Raises `IdentityError` that names it."""
        with self._lock:
            self._load()

    def _load(self) -> None:
        self._seen = self._state()
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return
        lists = dict(self._lists)
        for block in _blocks(content):
            found = RevocationList.parse(block, self._issuers, str(self._file))
            held = lists.get(_key(found.issuer))
            if held is None or found.this_update >= held.this_update:
                lists[_key(found.issuer)] = found
        self._lists = lists

    def _state(self) -> tuple[int, ...]:
        """What changes when the file is replaced; empty where there is none."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _follow(self) -> None:
        if self._state() == self._seen:
            return
        with self._lock:
            if self._state() == self._seen:
                return
            try:
                self._load()
            except (IdentityError, OSError) as exc:
                _LOG.error("the revocation lists held before stay in use: %s", exc)

    def update(self, pem: bytes) -> RevocationList:
        """Take a newer list, and store it before it counts; raises `CaMisbehaved` for an older one.

        A crash leaves the former file.
        """
        new = RevocationList.parse(pem, self._issuers, "the CA's answer")
        with self._lock:
            held = self._lists.get(_key(new.issuer))
            if held is not None and new.this_update < held.this_update:
                raise CaMisbehaved(
                    f"the CA answered with a revocation list of {_instant(new.this_update)}, "
                    f"older than the one held, of {_instant(held.this_update)}"
                )
            lists = {**self._lists, _key(new.issuer): new}
            private_folder(self._file.parent)
            write_file(self._file, b"".join(each.pem for each in lists.values()), mode=0o644, disk=self._disk)
            self._lists = lists
            self._seen = self._state()
        return new

    def check(self, certificate: x509.Certificate, *, write: bool = True) -> None:
        """Raises `CertificateRefused`: expired, revoked, or for a write that nobody can tell."""
        self._follow()
        at = self._clock()
        check_validity(certificate, at)
        held = self.covering(certificate)
        if held is not None:
            held.check(certificate, at, write=write)
        elif write:
            raise RevocationUnknown(
                f"there is no revocation list of {certificate.issuer.rfc4514_string()}; "
                "fetch one with: pedigree identity crl"
            )

    def covering(self, certificate: x509.Certificate) -> RevocationList | None:
        """The list of the CA that issued this certificate, or None."""
        return self._lists.get(certificate.issuer.public_bytes())


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # a CA's key is of a kind that signs
    except Exception:  # signed with a key or algorithm of another kind
        return False


def _blocks(content: bytes) -> list[bytes]:
    end = b"-----END X509 CRL-----\n"
    return [part + end for part in content.split(end) if part.strip()]


def _key(issuer: x509.Certificate) -> bytes:
    return issuer.subject.public_bytes()


def _instant(at: datetime | None) -> str:
    return "a time that it does not tell" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
