# SPDX-License-Identifier: Apache-2.0
"""A channel in memory whose blocks tests make one by one, well or badly, and evidence of what is in them."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2

from chaincode.domain import codec
from chaincode.domain.keys import key_of
from chaincode.domain.model import Model
from gateway.delivery.ordered import OrderedReader
from gateway.services.transactionevidence import document_of
from gateway.verifier.transactions import RefutedEvidence, verify_transaction
from network.config.revocation import make_list
from network.embedded import definitions
from network.embedded.blocks import header_hash, make_block, sign_block
from network.embedded.identity import Signer

# The ledger's own tests make worlds and transactions; test folders are no packages, so it is loaded from its file.
_FILE = Path(__file__).parents[1] / "network" / "embedded" / "ledger" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("orderkit", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
kit: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(kit)

CHAINCODE = "pedigree"
File = dict[str, Any]
MODEL = codec.read(
    Model,
    b'{"earlier_claims":[],"kind":"model","model":"net","owner":"LabMSP","registered_at":1700000000000,"schema":1,'
    b'"title":"Net"}',
)
DEFINED = (1, 0)
"""Where the chaincode is defined."""


class SampleChannel:
    """Three organisations, the chaincode's definition in block 1, and whatever is added; nothing validates it."""

    def __init__(self, directory: Path, policy: str | None = None) -> None:
        self.world = kit.load_world(directory)
        self.blocks: list[Any] = [common_pb2.Block.FromString(self.world.genesis)]
        self.configured = 0
        self._nonce = 0
        self.define(kit.definition(CHAINCODE, policy=policy))

    @property
    def genesis_hash(self) -> bytes:
        return bytes(header_hash(self.blocks[0].header))

    def add(self, *entries: bytes, signer: Any = None, configured: int | None = None) -> int:
        """A block of these envelopes, signed; its number."""
        block = make_block(len(self.blocks), header_hash(self.blocks[-1].header), entries)
        sign_block(
            block,
            signer or self.world.orderer,
            b"nonce",
            self.configured if configured is None else configured,
        )
        block.metadata.metadata[2] = bytes(len(entries))
        self.blocks.append(block)
        return len(self.blocks) - 1

    def envelope(self, draft: Any, **signers: Any) -> bytes:
        """An endorsed and signed transaction.

        Args:
            signers: by MSP id, who endorses in place of the organisation's peer; `creator`, who signs.
        """
        creator = signers.pop("creator", None)
        world = replace(
            self.world,
            peers={**self.world.peers, **signers},
            users={**self.world.users, **({draft.creator: creator} if creator else {})},
        )
        ledger = kit.Ledger(world, SimpleNamespace())
        self._nonce += 1
        ledger.start_nonces(self._nonce)
        return bytes(ledger.transaction(draft)[1])

    def draft(self, value: bytes | None = None, *, defined: tuple[int, int] | None = DEFINED, **options: Any) -> Any:
        """The transaction that registers a model, made now."""
        draft = kit.Draft(**{"chaincode": CHAINCODE, "creator": "LabMSP", "timestamp": now(), **options})
        if defined is not None:
            draft.rwset.add_read(definitions.LIFECYCLE, f"namespaces/fields/{draft.chaincode}/Sequence", defined)
        draft.rwset.add_write(draft.chaincode, key_of(MODEL), codec.to_json(MODEL) if value is None else value)
        return draft

    def define(self, definition: Any, *, only: Callable[[str], bool] = lambda _: True, **options: Any) -> int:
        """A block that defines the chaincode, writing those fields of which `only` holds."""
        draft = kit.Draft(chaincode=definitions.LIFECYCLE, version="syscc", **{"timestamp": now(), **options})
        for key, value in definitions.committed_entries(definition).items():
            if only(key):
                draft.rwset.add_write(definitions.LIFECYCLE, key, value)
            else:
                draft.rwset.add_read(definitions.LIFECYCLE, key, DEFINED)
        return self.add(self.envelope(draft))

    def reconfigure(self, change: Callable[[Any], None], *, steps: int = 1, signer: Any = None) -> int:
        """A block with the next configuration, `change`d."""
        found = common_pb2.Payload.FromString(
            common_pb2.Envelope.FromString(self.blocks[self.configured].data.data[0]).payload
        )
        envelope = configtx_pb2.ConfigEnvelope.FromString(found.data)
        envelope.config.sequence += steps
        change(envelope.config)
        payload = common_pb2.Payload(header=found.header, data=envelope.SerializeToString()).SerializeToString()
        entry = common_pb2.Envelope(payload=payload, signature=self.world.orderer.sign(payload)).SerializeToString()
        number = self.add(entry, configured=len(self.blocks), signer=signer)
        self.configured = number
        return number

    def evidence(self, number: int, index: int = 0) -> File:
        """The file about a transaction, as a gateway makes it."""
        payload = common_pb2.Payload.FromString(
            common_pb2.Envelope.FromString(self.blocks[number].data.data[index]).payload
        )
        transaction_id = common_pb2.ChannelHeader.FromString(payload.header.channel_header).tx_id
        found = OrderedReader(lambda at: self.blocks[at], CHAINCODE).of(transaction_id, number)
        assert found is not None
        return document_of(found, transaction_id, "pedigree")

    def authority(self, domain: str) -> Path:
        """The folder of an organisation's certificate authority."""
        return Path(self.world.material.organisation(domain) / "ca")

    def issued(self, msp_id: str, domain: str, *, by: str | None = None, ended: bool = False) -> Signer:
        """A new peer of an organisation, whose certificate another authority issued or whose time is over."""
        folder = self.authority(by or domain)
        authority = x509.load_pem_x509_certificate(next(folder.glob("*-cert.pem")).read_bytes())
        key = serialization.load_pem_private_key((folder / "priv_sk").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        own = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "peer"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"peer9.{domain}"),
            ]
        )
        end = datetime.now(UTC) + timedelta(days=-1 if ended else 9)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority.subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=20))
            .not_valid_after(end)
            .sign(key, hashes.SHA256())
        )
        return Signer(msp_id, certificate.public_bytes(serialization.Encoding.PEM), own)

    def revocation(self, domain: str, certificate: bytes) -> bytes:
        """An organisation's list with one certificate on it."""
        return make_list(self.authority(domain), [certificate])


def now() -> int:
    """The time, in seconds."""
    return int(datetime.now(UTC).timestamp())


def revoking(msp_id: str, revocation: bytes) -> Callable[[Any], None]:
    """A change of a configuration that puts a list of revoked certificates into an organisation's MSP."""

    def change(config: Any) -> None:
        for group in config.channel_group.groups["Application"].groups.values():
            wrapped = msp_config_pb2.MSPConfig.FromString(group.values["MSP"].value)
            msp = msp_config_pb2.FabricMSPConfig.FromString(wrapped.config)
            if msp.name == msp_id:
                msp.revocation_list.append(revocation)
                wrapped.config = msp.SerializeToString()
                group.values["MSP"].value = wrapped.SerializeToString()

    return change


def refusal(file: File, trusted: bytes | None, **given: Any) -> str:
    with pytest.raises(RefutedEvidence) as refused:
        verify_transaction(file, trusted=trusted, **given)
    return str(refused.value)
