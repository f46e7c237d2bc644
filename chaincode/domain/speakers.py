# SPDX-License-Identifier: Apache-2.0
"""Who may speak for an organisation beside its gateway: those to whom an authority that it declared gave a certificate.

The law cannot see the channel's configuration. So an organisation says itself, by a transaction of its gateway, under
which roots the certificates of its people are. Without a declaration only the creator of a transaction speaks.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from chaincode.domain.errors import (
    AuthorityUnrooted,
    InvalidField,
    NotAnAuthority,
    RootsMissing,
    SignerExpired,
    SignerIsAuthority,
    SignerNotYetValid,
    SignerOfAnother,
    SignerRevoked,
    SignerUnrooted,
    SignerWithoutUnit,
)
from chaincode.domain.values import Blob, Command, Event, Instant, Number, OrgId, Outcome, Record, Text, refuse_repeats

MOST_SENT: Final = 3
"""How many certificates travel with a statement: the signer's, and intermediate ones; the root is declared."""
LONGEST_CHAIN: Final = 4
"""How many certificates a chain has at most, from the signer's to the root."""
LARGEST: Final = 4_096
"""Bytes of one certificate."""
_SERIAL: Final = re.compile(r"[1-9a-f][0-9a-f]{0,39}")
_NODES: Final = frozenset({"peer", "orderer"})
"""Units of programs, which speak for nobody unless a declaration names them."""


@dataclass(frozen=True, slots=True)
class EncodedCertificate:
    """A certificate as it was issued."""

    der: Blob = field(metadata={"max": LARGEST})
    """X.509 in DER."""


@dataclass(frozen=True, slots=True)
class DeclareRoots(Command):
    """Say under which certificate authorities those are who may speak for one's own organisation."""

    roots: tuple[EncodedCertificate, ...] = field(metadata={"max": 4})
    intermediates: tuple[EncodedCertificate, ...] = field(default=(), metadata={"max": 8})
    """Authorities between a root and the signers; those that travel with a statement need not be here."""
    revoked: tuple[Text, ...] = field(default=(), metadata={"max": 256})
    """Serial numbers of certificates that speak no more, in lower-case hexadecimal without leading zeros."""
    units: tuple[Text, ...] = field(default=(), metadata={"max": 4})
    """A signer has one of these organisational units, such as client and admin; empty: units are not looked at."""


@dataclass(frozen=True, slots=True)
class OrganisationRoots(Record):
    """Under which authorities those are who may speak for an organisation; rewritten by each declaration."""

    owner: OrgId
    number: Number
    """Counts the declarations."""
    at: Instant
    roots: tuple[EncodedCertificate, ...]
    intermediates: tuple[EncodedCertificate, ...]
    revoked: tuple[Text, ...]
    units: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class RootsDeclared(Event):
    """An organisation said who may speak for it."""

    owner: OrgId
    number: Number


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate says, as far as the law asks."""

    name: str
    """The subject, fit to be shown."""
    serial: str
    """In lower-case hexadecimal."""
    starts: Instant
    ends: Instant
    units: tuple[str, ...]
    """Organisational units of the subject."""
    authority: bool
    """Whether it may issue certificates."""
    key: object
    """The public key, opaque to the law."""


class Tracing(Protocol):
    """Finds the way from a certificate to a root; reads, compares and checks signatures, and decides nothing else."""

    def __call__(
        self, chain: Sequence[bytes], intermediates: Sequence[bytes], roots: Sequence[bytes]
    ) -> tuple[Certified, ...]:
        """The certificates from the first of `chain` to one of the `roots`, each signed by the next.

        Empty where at most `LONGEST_CHAIN` certificates lead to no root. Raises `errors.CertificateUnreadable`.
        """
        ...


def declare_roots(
    command: DeclareRoots, *, by: OrgId, at: Instant, existing: OrganisationRoots | None, trace: Tracing
) -> Outcome:
    """Record who may speak for `by`; the last declaration holds for every word that comes after it."""
    if not command.roots:
        raise InvalidField("/roots", "it must name a root")
    for name, listed in (("roots", command.roots), ("intermediates", command.intermediates)):
        refuse_repeats(f"/{name}", (str(each.der) for each in listed))
    for index, serial in enumerate(command.revoked):
        if _SERIAL.fullmatch(serial) is None:
            raise InvalidField(f"/revoked/{index}", "it must be a serial number in lower-case hexadecimal")
    refuse_repeats("/revoked", command.revoked)
    refuse_repeats("/units", command.units)
    roots, intermediates = _bytes(command.roots), _bytes(command.intermediates)
    for root in roots:
        (found, *_) = trace((root,), (), (root,))
        if not found.authority:
            raise NotAnAuthority(found.name)
    for each in intermediates:
        (found, *path) = trace((each,), intermediates, roots) or trace((each,), (), (each,))
        if not path and each not in roots:
            raise AuthorityUnrooted(found.name)
        if not found.authority:
            raise NotAnAuthority(found.name)
    number = Number.after(0 if existing is None else existing.number, "/number")
    declared = OrganisationRoots(
        by, number, at, command.roots, command.intermediates, command.revoked, command.units
    )  # fmt: skip
    return Outcome(writes=(declared,), event=RootsDeclared(by, number))


def signer_of(
    chain: Sequence[EncodedCertificate],
    *,
    by: OrgId,
    at: Instant,
    declared: OrganisationRoots | None,
    others: Callable[[], Iterable[OrganisationRoots]],
    trace: Tracing,
) -> Certified:
    """Whose key a statement that `chain` travels with is to be signed with, where that one may speak for `by` at `at`.

    `others` answers the declarations of the other members; they are read where the certificate is none of `by`, to say
    whose it is.
    """
    if not chain:
        raise InvalidField("/chain", "it must begin with the signer's certificate")
    if declared is None:
        raise RootsMissing(by)
    path = _path(_bytes(chain), by, declared, others, trace)
    for each in path:
        if at < each.starts:
            raise SignerNotYetValid(each.name, int(each.starts), int(at))
        if at > each.ends:
            raise SignerExpired(each.name, int(each.ends), int(at))
        if each.serial in declared.revoked:
            raise SignerRevoked(each.name, each.serial, by)
    _refuse_others_than_persons(path[0], declared)
    return path[0]


def _path(
    sent: tuple[bytes, ...],
    by: OrgId,
    declared: OrganisationRoots,
    others: Callable[[], Iterable[OrganisationRoots]],
    trace: Tracing,
) -> tuple[Certified, ...]:
    """The way from the signer's certificate to a root of `by`."""
    path = trace(sent, _bytes(declared.intermediates), _bytes(declared.roots))
    if path:
        return path
    leaf = trace(sent[:1], (), sent[:1])[0]
    for other in others():
        if trace(sent, _bytes(other.intermediates), _bytes(other.roots)):
            raise SignerOfAnother(leaf.name, other.owner, by)
    raise SignerUnrooted(leaf.name, by)


def _refuse_others_than_persons(leaf: Certified, declared: OrganisationRoots) -> None:
    if leaf.authority:
        raise SignerIsAuthority(leaf.name)
    held = set(leaf.units)
    if declared.units and (held.isdisjoint(declared.units) or held & (_NODES - set(declared.units))):
        raise SignerWithoutUnit(leaf.name, ", ".join(leaf.units) or "none", ", ".join(declared.units))


def _bytes(certificates: Iterable[EncodedCertificate]) -> tuple[bytes, ...]:
    return tuple(bytes(each.der) for each in certificates)
