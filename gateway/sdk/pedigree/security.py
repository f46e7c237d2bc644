# SPDX-License-Identifier: Apache-2.0
"""How gateways prove who they are to this client, under TLS, and this client to its own gateway."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from pedigree.errors import InvalidInput, Unreachable


@dataclass(frozen=True, slots=True)
class Security:
    """Which certificates a client believes."""

    ca_certificate: Path | str | None = None
    """File of the certificates (PEM) that a gateway's must lead to; the system's without one."""
    client_certificate: Path | str | None = None
    """File of this client's own certificate (PEM), which only its own gateway is shown."""
    client_key: Path | str | None = None
    """File of its key; by default it is in the same file."""

    def own(self) -> ssl.SSLContext:
        """For one's own gateway: it is held to the file where there is one; raises `InvalidInput`."""
        if self.ca_certificate is None:
            context = _usual()
        else:
            context = ssl.create_default_context(cadata=self._certificates())
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.client_certificate is not None:
            self._come_with(context, self.client_certificate)
        elif self.client_key is not None:
            raise InvalidInput("a client's key needs its certificate beside it", field="client_key")
        return context

    def _come_with(self, context: ssl.SSLContext, certificate: Path | str) -> None:
        def refuse() -> str:
            raise InvalidInput(f"{self.client_key or certificate} is encrypted", field="client_key")

        try:
            context.load_cert_chain(certificate, self.client_key, password=refuse)
        except OSError as exc:
            both = f"{certificate}{'' if self.client_key is None else f', {self.client_key}'}"
            why = "not a certificate (PEM) and its key" if isinstance(exc, ssl.SSLError) else f"{exc.strerror}"
            raise InvalidInput(f"{both}: {why}", field="client_certificate") from None

    def others(self) -> ssl.SSLContext:
        """For gateways of others: the file, and what else this system believes; raises `InvalidInput`."""
        context = _usual()
        if self.ca_certificate is not None:
            context.load_verify_locations(cadata=self._certificates())
        return context

    def _certificates(self) -> str:
        path = Path(str(self.ca_certificate))
        try:
            found = path.read_text(encoding="ascii", errors="replace")
            ssl.create_default_context(cadata=found)
        except OSError as exc:
            said = "holds no certificate in PEM" if isinstance(exc, ssl.SSLError) else f"cannot be read: {exc.strerror}"
            raise InvalidInput(f"{path} {said}", field="ca_certificate") from None
        return found


def _usual() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


def refused(url: str, error: BaseException) -> Unreachable | None:
    """What a connection failed for that trying again does not mend: a certificate; `None` for any other reason."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = f"the certificate of {url} is not believed: {cause.verify_message}"
        return Unreachable(reason, code="untrusted-certificate", retryable=False)
    reason = "" if cause is None else str(cause.reason)
    if reason in _NO_TLS:
        return Unreachable(f"{url} does not speak TLS: is it http://?", code="no-tls", retryable=False)
    if "_ALERT_" in reason and ("CERTIFICATE" in reason or reason.endswith("UNKNOWN_CA")):
        why = reason.partition("_ALERT_")[2].replace("_", " ").lower()
        return Unreachable(
            f"{url} does not accept this client's certificate: {why}", code="certificate-refused", retryable=False
        )
    return None


_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
