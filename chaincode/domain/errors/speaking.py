# SPDX-License-Identifier: Apache-2.0
"""Refusals about whose certificate speaks for an organisation. Names are those in certificates; times milliseconds."""

from dataclasses import dataclass

from chaincode.domain.errors.base import Forbidden, Malformed, NotFound, Unmet


@dataclass
class CertificateUnreadable(Malformed):
    """It is not a certificate that can be judged."""

    code = "certificate-unreadable"
    sentence = "A certificate cannot be judged: {reason}."
    reason: str


@dataclass
class NotAnAuthority(Unmet):
    """What is declared as an authority may not issue certificates."""

    code = "not-an-authority"
    sentence = "'{name}' is not a certificate authority."
    name: str


@dataclass
class AuthorityUnrooted(Unmet):
    """An intermediate authority that is declared leads to none of the roots."""

    code = "authority-unrooted"
    sentence = "'{name}' was not issued under one of the roots that are declared with it."
    name: str


@dataclass
class RootsMissing(NotFound):
    """The organisation has not said under which roots those are who may speak for it."""

    code = "roots-missing"
    sentence = "{organisation} has not declared the roots of those who may speak for it; its gateway's key alone does."
    organisation: str


@dataclass
class SignerUnrooted(Forbidden):
    """The signer's certificate was issued by somebody else's authority."""

    code = "signer-unrooted"
    sentence = "'{name}' has no certificate under the roots that {organisation} declared."
    name: str
    organisation: str


@dataclass
class SignerOfAnother(Forbidden):
    """The signer is one of another organisation."""

    code = "signer-of-another"
    sentence = "'{name}' has a certificate of {theirs}, and does not speak for {organisation}."
    name: str
    theirs: str
    organisation: str


@dataclass
class SignerNotYetValid(Unmet):
    """A certificate of the signer's chain begins later."""

    code = "signer-not-yet-valid"
    sentence = "The certificate of '{name}' is valid from {starts}, and the transaction of {at}."
    name: str
    starts: int
    at: int


@dataclass
class SignerExpired(Unmet):
    """A certificate of the signer's chain has ended."""

    code = "signer-expired"
    sentence = "The certificate of '{name}' was valid until {ended}, and the transaction is of {at}."
    name: str
    ended: int
    at: int


@dataclass
class SignerRevoked(Forbidden):
    """The organisation has revoked a certificate of the signer's chain."""

    code = "signer-revoked"
    sentence = "The certificate of '{name}' with the serial number {serial} is revoked by {organisation}."
    name: str
    serial: str
    organisation: str


@dataclass
class SignerIsAuthority(Forbidden):
    """Authorities issue certificates, and sign no statements."""

    code = "signer-is-authority"
    sentence = "'{name}' is a certificate authority, and signs no statements."
    name: str


@dataclass
class SignerWithoutUnit(Forbidden):
    """The signer is not of a unit that may speak."""

    code = "signer-without-unit"
    sentence = "'{name}' has the organisational units {units}; it takes one of {needed}, and none of a node."
    name: str
    units: str
    needed: str
