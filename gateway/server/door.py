# SPDX-License-Identifier: Apache-2.0
"""The gateway's certificate for its clients, from files that may be renewed while it runs."""

import logging
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from gateway.server.options import Options
from gateway.server.settings import SettingsError

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN = 1.0
"""Seconds between two looks at the files, at least."""
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: with forward secrecy and authenticated; those of 1.3 all are."""
_LIST = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
Found = TypeVar("Found")
_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class DoorFiles:
    """Where the gateway's certificate, with those that lead to its root, and its key are, in PEM."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """The authorities of client certificates; without them none is asked for."""
    client_crl: Path | None = None
    """The lists of what these authorities revoked."""

    @classmethod
    def of(cls, options: Options) -> "DoorFiles | None":
        """What options say; `None` where the door has no TLS. Raises `SettingsError` for one without the other."""
        certificate, key = options.tls_certificate, options.tls_key
        for name in ("client_ca", "client_crl"):
            if getattr(options, name) is not None and certificate is None:
                option = name.replace("_", "-")
                raise SettingsError(f"--{option} needs --tls-certificate beside it: TLS verifies client certificates")
        if options.client_crl is not None and options.client_ca is None:
            raise SettingsError("--client-crl needs --client-ca beside it")
        if certificate is None and key is None:
            return None
        if certificate is None or key is None:
            given, missing = ("--tls-key", "--tls-certificate") if key else ("--tls-certificate", "--tls-key")
            raise SettingsError(f"{given} needs {missing} beside it")
        return cls(certificate, key, options.client_ca, options.client_crl)

    def load(self) -> ssl.SSLContext:
        """What connections are secured with; raises `SettingsError` naming the file that will not do."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        self.ends()
        try:
            context.load_cert_chain(self.certificate, self.key, password=self._no_password)
        except OSError as exc:
            raise SettingsError(self._fault(exc)) from None
        if self.client_ca is not None:
            self._ask_clients(context, self.client_ca)
        return context

    def _ask_clients(self, context: ssl.SSLContext, authorities: Path) -> None:
        """Ask clients for a certificate; those who have none may come with another credential."""
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority between may be all that is believed
        # A session that is resumed would not be verified anew.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        _read_all("--client-ca", authorities, x509.load_pem_x509_certificates)
        context.load_verify_locations(authorities)
        if self.client_crl is not None:
            self.revoked()
            context.load_verify_locations(self.client_crl)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    def revoked(self) -> frozenset[tuple[bytes, int]]:
        """The issuer (DER) and the number of each certificate that is revoked; raises `SettingsError`."""
        if self.client_crl is None:
            return frozenset()
        lists = _read_all("--client-crl", self.client_crl, _revocation_lists)
        return frozenset((each.issuer.public_bytes(), entry.serial_number) for each in lists for entry in each)

    def ends(self) -> float:
        """When the certificate ends, in seconds since 1970; raises `SettingsError` where it is none."""
        found = _read_all("--tls-certificate", self.certificate, x509.load_pem_x509_certificates)
        return found[0].not_valid_after_utc.timestamp()

    def stamp(self) -> _Stamp:
        """What changes when a file does; raises `OSError`."""
        paths = (self.certificate, self.key, self.client_ca, self.client_crl)
        found = [path.stat() for path in paths if path is not None]
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _no_password(self) -> str:
        raise SettingsError(f"--tls-key: {self.key} is encrypted; a key without a passphrase is wanted")

    def _fault(self, error: OSError) -> str:
        reason = getattr(error, "reason", None)
        if reason == "KEY_VALUES_MISMATCH":
            return f"--tls-key: {self.key} is not the key of the certificate in {self.certificate}"
        if isinstance(error, ssl.SSLError):
            return f"--tls-key: {self.key} holds no private key in PEM that TLS takes ({reason or 'unreadable'})"
        return f"--tls-key: {self.key}: {error.strerror}"


def _read_all(option: str, path: Path, read: Callable[[bytes], list[Found]]) -> list[Found]:
    try:
        return read(path.read_bytes())
    except OSError as exc:
        raise SettingsError(f"{option}: {path}: {exc.strerror}") from None
    except ValueError:
        what = "revocation list" if option == "--client-crl" else "certificate"
        raise SettingsError(f"{option}: {path} holds no {what} in PEM") from None


def _revocation_lists(content: bytes) -> list[x509.CertificateRevocationList]:
    """Raises `ValueError` where there is none."""
    found = [x509.load_pem_x509_crl(each) for each in _LIST.findall(content)]
    if not found:
        raise ValueError("there is none")
    return found


class Door:
    """What new connections are secured with: what the files hold now; thread-safe.

    Files that will not do, such as a certificate whose key has not been put beside it yet, leave it as it was.
    """

    def __init__(self, files: DoorFiles, clock: Callable[[], float] = time.monotonic) -> None:
        """Load the files; raises `SettingsError` naming the one that will not do."""
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = self._stamped()
        self._context = files.load()
        self._ends = files.ends()
        self._revoked = files.revoked()
        self._looked = clock()
        self._refused: _Stamp | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """For a new connection."""
        self._look()
        return self._context

    @property
    def ends(self) -> float:
        """When the certificate in use ends, in seconds since 1970."""
        self._look()
        return self._ends

    def has_revoked(self, certificate: bytes) -> bool:
        """Whether a client's certificate was revoked, perhaps after its connection was made."""
        self._look()
        return bool(self._revoked) and _told_by(certificate) in self._revoked

    def _look(self) -> None:
        with self._lock:
            now = self._clock()
            if now - self._looked < _LOOK_AGAIN:
                return
            self._looked = now
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            try:
                context, ends, revoked = self._files.load(), self._files.ends(), self._files.revoked()
            except SettingsError as exc:
                if stamp != self._refused:
                    _LOG.warning("what connections are secured with stays as it was: %s", exc)
                self._refused = stamp
                return
            self._stamp, self._context, self._ends, self._refused = stamp, context, ends, None
            self._revoked = revoked
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
            _LOG.info(
                "what connections are secured with is renewed; the certificate ends at %s",
                at,
            )

    def _stamped(self) -> _Stamp:
        try:
            return self._files.stamp()
        except OSError:
            return ()


@lru_cache(maxsize=1024)
def _told_by(certificate: bytes) -> tuple[bytes, int]:
    found = x509.load_der_x509_certificate(certificate)
    return found.issuer.public_bytes(), found.serial_number
