# SPDX-License-Identifier: Apache-2.0
"""Who signed the statements that a transaction recorded, where persons signed them with keys of their own."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.msp import identities_pb2

from chaincode.crypto import check_signature
from chaincode.domain.counterclaim import CounterClaim
from chaincode.domain.endorsement import Endorsement, Rejection
from chaincode.domain.errors import LedgerError
from chaincode.domain.evidence import Envelope, pre_authentication_encoding
from gateway.fabric.certificates import Certificate, read_certificate
from gateway.fabric.errors import MalformedData
from gateway.fabric.msp import Msps
from gateway.fabric.texts import said
from gateway.verifier.ordered import RefutedEvidence
from gateway.verifier.written import WrittenRecord

__all__ = ["Person", "persons_of"]


_SIGNED: Final = (Endorsement, Rejection, CounterClaim)


class Person(NamedTuple):
    """Someone who signed a statement."""

    organisation: str
    certificate: Certificate
    problem: str
    """Why the channel's configuration does not vouch for the certificate; empty where it does."""

    @property
    def name(self) -> str:
        """The certificate's subject and its serial number."""
        return f"{self.certificate.name}, serial number {self.certificate.serial:x}"


def persons_of(written: Iterable[WrittenRecord], msps: Msps) -> Iterator[Person]:
    """The persons whose statements were recorded; raises `RefutedEvidence` where the certificate's key did not sign."""
    for each in written:
        record = each.record
        if isinstance(record, Endorsement) and record.withdrawn_at is not None:
            # Who endorsed was said when that was recorded.
            if record.withdrawal is not None and record.withdrawal_chain:
                yield _person(record, record.withdrawal, record.withdrawal_chain[0].der, msps)
        elif isinstance(record, CounterClaim) and (record.withdrawn_at or record.answered_at) is not None:
            # Who made it was said when that was recorded; an answer and its end are the transaction's own.
            continue
        elif isinstance(record, _SIGNED) and record.chain:
            yield _person(record, record.envelope, record.chain[0].der, msps)


def _person(record: Endorsement | Rejection | CounterClaim, envelope: Envelope, der: bytes, msps: Msps) -> Person:
    try:
        certificate = read_certificate(x509.load_der_x509_certificate(der))
        message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
        check_signature(certificate.public_key, message, envelope.signatures[0].sig)
    except (LedgerError, MalformedData, ValueError, LookupError):
        raise RefutedEvidence(
            "the statement that it recorded is not signed with the key that the record names"
        ) from None
    identity = identities_pb2.SerializedIdentity(
        mspid=record.by, id_bytes=certificate.parsed.public_bytes(Encoding.PEM)
    )
    try:
        msps.member(identity.SerializeToString())
    except MalformedData as exc:
        return Person(said(record.by), certificate, said(str(exc)))
    return Person(said(record.by), certificate, "")
