# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with identities.

    IdentityError
    ├── CaError                the CA said no
    │   ├── AlreadyRegistered  … since it knows the name already
    │   ├── NotAuthenticated   … since it does not believe who is calling
    │   ├── NotAuthorised      … since the caller may not do that
    │   └── NotFoundAtCa       … since there is no such identity, certificate or affiliation
    ├── CaUnreachable          no answer, or none that a Fabric CA gives
    ├── CaMisbehaved           an answer that must not be believed
    ├── WalletError            a wallet that cannot be used
    │   ├── NoSuchIdentity     … has no such label
    │   ├── WrongPassphrase    … is locked
    │   └── DamagedIdentity    … holds something else than was written
    └── CertificateRefused     a certificate that must not be used
        ├── CertificateExpired
        ├── CertificateRevoked
        └── RevocationUnknown  … since the revocation list is missing or stale

Messages are one line for operators and never hold a secret.
"""


class IdentityError(Exception):
    """The root of this package's refusals."""


class CaError(IdentityError):
    """The CA refused; `status` is the HTTP status, `code` the CA's own error code (lib/caerrors of Fabric CA)."""

    def __init__(self, message: str, *, status: int, code: int) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class AlreadyRegistered(CaError):
    """An identity of this name is registered already."""


class NotAuthenticated(CaError):
    """The CA does not accept the name and secret, or the certificate, that the request carries."""


class NotAuthorised(CaError):
    """The CA knows the caller, and does not let it do that."""


class NotFoundAtCa(CaError):
    """The CA has no such identity, certificate, affiliation or CA name."""


class CaUnreachable(IdentityError):
    """The CA did not answer in time, or not as a CA answers; nothing is known about what it did."""


class CaMisbehaved(IdentityError):
    """The CA answered with something that must not be used, such as a certificate for another key."""


class WalletError(IdentityError):
    """A wallet that cannot be used as asked."""


class NoSuchIdentity(WalletError):
    """The wallet holds nothing under this label."""


class WrongPassphrase(WalletError):
    """The passphrase or PIN does not open the wallet."""


class DamagedIdentity(WalletError):
    """What the wallet holds is not what was written."""


class CertificateRefused(IdentityError):
    """A certificate that must not be used."""


class CertificateExpired(CertificateRefused):
    """The certificate is not valid yet, or not any more."""


class CertificateRevoked(CertificateRefused):
    """The certificate's serial number is in its issuer's revocation list."""


class RevocationUnknown(CertificateRefused):
    """Nobody can say whether the certificate is revoked: there is no list, or it should have been replaced."""
