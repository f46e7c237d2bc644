# SPDX-License-Identifier: Apache-2.0
"""Transactions that a gateway prepared and somebody signs where the key is: what they say, by the bytes themselves."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from google.protobuf.message import DecodeError

from gateway.fabric.errors import MalformedData
from gateway.fabric.identity import Signer
from gateway.fabric.texts import said
from gateway.verifier.signing import spki_of

__all__ = ["FORMAT", "Unsigned", "read_unsigned", "sign_unsigned"]

FORMAT: Final = "pedigree-transaction/v1"
_LARGEST: Final = 4 * 1024 * 1024
_LONGEST_SHOWN: Final = 4_000


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A step of a transaction, out of a file."""

    document: Mapping[str, Any]
    message: bytes
    """What is signed."""
    stage: str
    channel: str
    transaction_id: str
    organisation: str
    certificate: bytes
    """PEM."""
    function: str
    command: str
    answer: str
    """What the chaincode answered to it; empty before it was endorsed."""

    def words(self) -> list[str]:
        """What it says, sentence by sentence, fit to be shown."""
        asks = "asks for" if self.stage == "proposal" else "records"
        lines = [
            f"{said(self.organisation)} {asks} {said(self.function)} on the channel '{said(self.channel)}'.",
            f"The command: {said(self.command, _LONGEST_SHOWN)}",
            f"The transaction's id is {said(self.transaction_id)}.",
        ]
        if self.answer:
            lines.append(f"The organisations that endorsed it answered: {said(self.answer, _LONGEST_SHOWN)}")
        return lines


def read_unsigned(value: Mapping[str, Any]) -> Unsigned:
    """What a prepared file says, by the bytes that are signed and by nothing beside them; raises `ValueError`."""
    if value.get("format") != FORMAT or value.get("stage") not in ("proposal", "transaction"):
        raise ValueError(f"it is not a {FORMAT} file, as `pedigree offline prepare` writes one")
    text = value.get("content")
    try:
        if not isinstance(text, str) or len(text) > _LARGEST:
            raise ValueError
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("its content is not base64") from None
    try:
        found = _proposal(value, content) if value["stage"] == "proposal" else _transaction(value, content)
    except (DecodeError, UnicodeDecodeError, IndexError):
        raise ValueError("its content is not a transaction") from None
    if found.transaction_id != value.get("transaction_id"):
        raise ValueError("the transaction id in its content is another")
    return found


def sign_unsigned(found: Unsigned, key: Any, certificates: bytes) -> dict[str, Any]:
    """The file with its signature; raises `ValueError` where the certificate in it is not that of the key.

    Args:
        certificates: PEM; the first is the signer's.
    """
    try:
        given = x509.load_pem_x509_certificates(certificates)[0]
        own = x509.load_pem_x509_certificate(found.certificate)
        signer = Signer(key)
    except (ValueError, IndexError, UnsupportedAlgorithm):
        raise ValueError("it holds no certificate in PEM") from None
    except MalformedData as exc:
        raise ValueError(str(exc)) from None
    if given != own:
        raise ValueError("the transaction was prepared for another certificate")
    if spki_of(own.public_key()) != spki_of(key.public_key()):
        raise ValueError("the certificate is not that of the key")
    whole = isinstance(key, ed25519.Ed25519PrivateKey)
    signature = signer(found.message if whole else hashlib.sha256(found.message).digest())
    return {**found.document, "signature": base64.b64encode(signature).decode()}


def _proposal(value: Mapping[str, Any], content: bytes) -> Unsigned:
    proposed = gateway_pb2.ProposedTransaction.FromString(content)
    message = proposed.proposal.proposal_bytes
    proposal = proposal_pb2.Proposal.FromString(message)
    header = common_pb2.Header.FromString(proposal.header)
    payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
    return _unsigned(value, message, header, payload.input, b"")


def _transaction(value: Mapping[str, Any], content: bytes) -> Unsigned:
    message = gateway_pb2.PreparedTransaction.FromString(content).envelope.payload
    payload = common_pb2.Payload.FromString(message)
    action = transaction_pb2.Transaction.FromString(payload.data).actions[0]
    endorsed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
    asked = proposal_pb2.ChaincodeProposalPayload.FromString(endorsed.chaincode_proposal_payload)
    outer = proposal_response_pb2.ProposalResponsePayload.FromString(endorsed.action.proposal_response_payload)
    result = proposal_pb2.ChaincodeAction.FromString(outer.extension).response.payload
    return _unsigned(value, message, payload.header, asked.input, result)


def _unsigned(value: Mapping[str, Any], message: bytes, header: Any, invocation: bytes, answer: bytes) -> Unsigned:
    channel = common_pb2.ChannelHeader.FromString(header.channel_header)
    creator = identities_pb2.SerializedIdentity.FromString(
        common_pb2.SignatureHeader.FromString(header.signature_header).creator
    )
    arguments = chaincode_pb2.ChaincodeInvocationSpec.FromString(invocation).chaincode_spec.input.args
    return Unsigned(
        document={name: each for name, each in value.items() if name != "signature"},
        message=message,
        stage=str(value["stage"]),
        channel=channel.channel_id,
        transaction_id=channel.tx_id,
        organisation=creator.mspid,
        certificate=creator.id_bytes,
        function=arguments[0].decode(),
        command=_shown(arguments[1]),
        answer=_shown(answer) if answer else "",
    )


def _shown(content: bytes) -> str:
    try:
        return json.dumps(json.loads(content), ensure_ascii=False, sort_keys=True)
    except ValueError:
        return content.decode("utf-8", "backslashreplace")
