# SPDX-License-Identifier: Apache-2.0
"""The gateway's certificate for its clients, from files that may be renewed while it runs."""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from gateway.server.options import Options
from gateway.server.settings import SettingsError

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN = 1.0
"""Seconds between two looks at the files, at least."""
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: with forward secrecy and authenticated; those of 1.3 all are."""
_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class DoorFiles:
    """Where the gateway's certificate, with those that lead to its root, and its key are, in PEM."""

    certificate: Path
    key: Path

    @classmethod
    def of(cls, options: Options) -> "DoorFiles | None":
        """What options say; `None` where the door has no TLS. Raises `SettingsError` for one without the other."""
        certificate, key = options.tls_certificate, options.tls_key
        if certificate is None and key is None:
            return None
        if certificate is None or key is None:
            given, missing = ("--tls-key", "--tls-certificate") if key else ("--tls-certificate", "--tls-key")
            raise SettingsError(f"{given} needs {missing} beside it")
        return cls(certificate, key)

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
        return context

    def ends(self) -> float:
        """When the certificate ends, in seconds since 1970; raises `SettingsError` where it is none."""
        try:
            found = x509.load_pem_x509_certificates(self.certificate.read_bytes())
        except OSError as exc:
            raise SettingsError(f"--tls-certificate: {self.certificate}: {exc.strerror}") from None
        except ValueError:
            raise SettingsError(f"--tls-certificate: {self.certificate} holds no certificate in PEM") from None
        return found[0].not_valid_after_utc.timestamp()

    def stamp(self) -> _Stamp:
        """What changes when a file does; raises `OSError`."""
        found = [path.stat() for path in (self.certificate, self.key)]
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
                context, ends = self._files.load(), self._files.ends()
            except SettingsError as exc:
                if stamp != self._refused:
                    _LOG.warning("the certificate for clients stays as it was: %s", exc)
                self._refused = stamp
                return
            self._stamp, self._context, self._ends, self._refused = stamp, context, ends, None
            _LOG.info(
                "the certificate for clients is renewed; it ends at %s", time.strftime("%FT%TZ", time.gmtime(ends))
            )

    def _stamped(self) -> _Stamp:
        try:
            return self._files.stamp()
        except OSError:
            return ()
