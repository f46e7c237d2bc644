# SPDX-License-Identifier: Apache-2.0
"""The golden values of Fabric's own packages (C-072), re-derived with the product's code and nothing of the suite's."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fabric_protos.common import common_pb2
from fabric_protos.msp import msp_config_pb2, msp_principal_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, proposal_pb2, proposal_response_pb2

from gateway.fabric import blocks as client_blocks
from gateway.fabric import messages, verify
from network.embedded import blocks as node_blocks
from network.embedded.commithash import Write, commit_hash, update_bytes
from network.embedded.endorsing import Invocation, prepared_transaction
from network.embedded.identity import Msp, Msps, Signer
from network.embedded.policy import PolicyNotSatisfied, SignaturePolicy, SignedData, parse
from network.embedded.principals import merged_sets, principal_sets
from network.embedded.rwset import RangeQuery, RwsetBuilder, summarise

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "fabric"
P256_HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 >> 1


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def test_c072_public_results() -> None:
    builder = RwsetBuilder()
    builder.add_read("_lifecycle", "namespaces/fields/basic/Sequence", (5, 0))
    # Out of order on purpose: the encoding sorts.
    builder.add_read("basic", "k2", (7, 3))
    builder.add_read("basic", "k1", None)
    builder.add_read("basic", "k0", (0, 0))
    for key, value in (("k4", b""), ("k2", b"v2"), ("k1", b"v1"), ("k3", None)):
        builder.add_write("basic", key, value)
    builder.add_metadata_write("basic", "k1", {"VALIDATION_PARAMETER": b"ep"})
    builder.add_metadata_write("basic", "k2", {})
    assert builder.public().hex() == vectors("rwset")["public"]


def test_c072_private_results() -> None:
    builder = RwsetBuilder()
    builder.add_hashed_read("basic", "coll", "pk0", (3, 1))
    builder.add_hashed_read("basic", "coll", "pk9", None)
    builder.add_private_write("basic", "coll", "pk1", b"pv1")
    builder.add_private_write("basic", "coll", "pk2", b"pv2")
    builder.add_private_write("basic", "coll", "pk3", None)
    builder.add_private_write("basic", "coll", "pk4", None, purge=True)
    builder.add_private_metadata_write("basic", "coll", "pk1", {"VALIDATION_PARAMETER": b"ep"})
    assert builder.public().hex() == vectors("rwset")["private_public_part"]
    assert builder.private().SerializeToString().hex() == vectors("rwset")["private_private_part"]


def reads(count: int) -> list[tuple[str, tuple[int, int]]]:
    return [(f"key{number:05d}", (number // 10 + 1, number % 10)) for number in range(count)]


@pytest.mark.parametrize("vector", vectors("range_merkle"), ids=lambda vector: f"{vector['N']}-results")
def test_c072_range_queries(vector: Any) -> None:
    query = RangeQuery("key00000", "key99999")
    for key, version in reads(vector["N"]):
        query.fetched(key, version)
    query.ran_out()
    if vector["RQIHex"]:
        assert query.encode().SerializeToString().hex() == vector["RQIHex"]
    summary = summarise(reads(vector["N"]))
    if vector["Hashes"]:
        assert (summary.max_degree, summary.max_level) == (vector["MaxDegree"], vector["MaxLevel"])
        found = [digest.hex() for digest in summary.max_level_hashes]
        # Of a long list the file holds the first two, the number and the last.
        shortened = [*found[:2], f"...{len(found)} total...", found[-1]] if len(found) > 3 else found
        assert shortened == vector["Hashes"]
    else:
        assert (0 if summary is None else len(summary.kv_reads)) == vector["Raw"]


@pytest.mark.parametrize("vector", vectors("block")["headers"], ids=lambda vector: str(vector["number"]))
def test_c072_block_headers(vector: Any) -> None:
    header = common_pb2.BlockHeader(number=vector["number"], previous_hash=b"prevhash", data_hash=b"datahash")
    parts = (header.number, header.previous_hash, header.data_hash)
    assert node_blocks.header_bytes(header).hex() == client_blocks.header_bytes(*parts).hex() == vector["asn1"]
    assert node_blocks.header_hash(header).hex() == client_blocks.header_hash(*parts).hex() == vector["hash"]


def test_c072_genesis_header_data_hash_and_metadata() -> None:
    known = vectors("block")
    genesis = common_pb2.BlockHeader(number=0, data_hash=b"datahash")
    assert node_blocks.header_hash(genesis).hex() == known["genesis_nil_prev"]["hash"]
    assert client_blocks.header_hash(0, b"", b"datahash").hex() == known["genesis_nil_prev"]["hash"]
    assert node_blocks.data_hash([b"ab", b"cd"]).hex() == known["datahash_ab_cd"]
    assert client_blocks.data_hash([b"ab", b"cd"]).hex() == known["datahash_ab_cd"]
    assert len(node_blocks.make_block(1, b"", [b"x"]).metadata.metadata) == known["newblock_metadata_len"]


class Raw:
    """An identity of bytes that no MSP would know, as the vectors have it."""

    serialized = b"creator"
    mspid = ""


def test_c072_transaction_id() -> None:
    assert messages.Creator(Raw()).transaction_id(b"nonce") == vectors("block")["txid_nonce_creator"]


@pytest.fixture
def invocation() -> Invocation:
    """The vectors' proposal as the embedded node's Gateway unpacks it."""
    proposal_bytes = bytes.fromhex(vectors("transaction")["proposal_bytes"])
    return Invocation.unpack(proposal_pb2.SignedProposal(proposal_bytes=proposal_bytes))


def test_c072_proposal() -> None:
    known = {name: bytes.fromhex(value) for name, value in vectors("transaction").items()}
    parts = messages.read_proposal(known["proposal_bytes"])
    assert parts.payload == known["proposal_payload_without_transient"]
    assert verify.proposal_hash(parts.channel_header, parts.signature_header, parts.payload) == known["proposal_hash"]
    assert parts.transaction_id.encode().hex() == vectors("transaction")["txid"].encode().hex()


def test_c072_transaction(invocation: Invocation) -> None:
    known = {name: bytes.fromhex(value) for name, value in vectors("transaction").items()}
    endorsement = proposal_response_pb2.Endorsement(endorser=b"endorser-identity", signature=b"sig")
    envelope = prepared_transaction(invocation, known["proposal_response_payload"], [endorsement])
    assert envelope.payload == known["envelope_payload"]
    assert common_pb2.Payload.FromString(envelope.payload).data == known["transaction"]
    assert messages.read_transaction(envelope.payload).result == b"result"


def test_c072_chaincode_action() -> None:
    known = vectors("transaction")
    event = chaincode_event_pb2.ChaincodeEvent(chaincode_id="basic", tx_id=known["txid"], event_name="E", payload=b"ep")
    action = proposal_pb2.ChaincodeAction(
        results=b"RWSET",
        events=event.SerializeToString(),
        response=proposal_response_pb2.Response(status=200, message="OK", payload=b"result"),
        chaincode_id=chaincode_pb2.ChaincodeID(name="basic", version="1.0"),
    )
    payload = proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=bytes.fromhex(known["proposal_hash"]), extension=action.SerializeToString()
    )
    assert payload.SerializeToString().hex() == known["proposal_response_payload"]


def test_c072_commit_hash() -> None:
    known = vectors("commit_hash")
    hashed, value_hash = bytes.fromhex(KEY_HASH), bytes.fromhex(VALUE_HASH)
    writes = [
        Write("ns1", "", b"k0", b"v0", (1, 1)),
        Write("ns1", "", b"k1", b"v1", (1, 0)),
        Write("ns1", "", b"k2", None, (1, 2)),
        Write("ns2", "", b"m", b"v", (1, 3)),
        Write("ns2", "collA", hashed, None, (1, 5)),
        Write("ns2", "collB", hashed, value_hash, (1, 4)),
        Write("ns3", "coll", hashed, value_hash, (1, 6)),
    ]
    assert update_bytes(reversed(writes)).hex() == known["update_bytes"]
    first = commit_hash(bytes(7), writes, b"")
    assert first.hex() == known["commit_hash_first"]
    assert commit_hash(bytes([0, 11, 10]), [], first).hex() == known["commit_hash_second_no_updates_flags_0_11_10"]


# SHA-256 of "pk" and of "pv".
KEY_HASH = "eb3102a6cb586765d01fad324523ec0bc67b9efd6a2d9589c135adfedf7922cc"
VALUE_HASH = "0717031b935f131e7a4974ff41f4511bbd630b61dd1a813d47a214106b9ec14b"


@pytest.mark.parametrize("vector", vectors("layouts"), ids=lambda vector: " + ".join(vector["Policies"]))
def test_c072_layouts(vector: Any) -> None:
    found = merged_sets([principal_sets(parse(policy)) for policy in vector["Policies"]])
    named = sorted("+".join(sorted(role(principal) for _, principal in principals)) for principals in found)
    assert named == sorted("+".join(sorted(sets.split("+"))) for sets in vector["Sets"])


def role(principal: bytes) -> str:
    parsed = msp_principal_pb2.MSPRole.FromString(principal)
    name: str = msp_principal_pb2.MSPRole.MSPRoleType.Name(parsed.role)
    return f"{parsed.msp_identifier}.{name.lower()}"


class Authority:
    """An organisation made for these vectors: a CA, an MSP with NodeOUs, and members by role."""

    def __init__(self, mspid: str) -> None:
        self.mspid = mspid
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue(self.key, f"ca.{mspid}", None)
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        units = {
            f"{role}_ou_identifier": msp_config_pb2.FabricOUIdentifier(organizational_unit_identifier=role)
            for role in ("client", "peer", "admin", "orderer")
        }
        self.msp = Msp(
            msp_config_pb2.FabricMSPConfig(
                name=mspid, root_certs=[pem], fabric_node_ous=msp_config_pb2.FabricNodeOUs(enable=True, **units)
            )
        )
        self._members: dict[str, Signer] = {}

    def member(self, name: str, unit: str) -> Signer:
        if name not in self._members:
            key = ec.generate_private_key(ec.SECP256R1())
            pem = self._issue(key, name, unit).public_bytes(serialization.Encoding.PEM)
            self._members[name] = Signer(self.mspid, pem, key)
        return self._members[name]

    def _issue(self, key: ec.EllipticCurvePrivateKey, name: str, unit: str | None) -> x509.Certificate:
        names = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if unit is not None:
            names.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
        issuer = x509.Name(names) if unit is None else self.certificate.subject
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=unit is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(_usage(authority=unit is None), critical=True)
        )
        return builder.sign(self.key, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.fixture(scope="module")
def authorities() -> dict[str, Authority]:
    return {mspid: Authority(mspid) for mspid in "ABC"}


@pytest.mark.parametrize("vector", vectors("policy_eval"), ids=lambda vector: vector["Policy"])
def test_c072_policy_evaluation(vector: Any, authorities: dict[str, Authority]) -> None:
    policy = SignaturePolicy(parse(vector["Policy"]), Msps(entry.msp for entry in authorities.values()))
    signed = []
    for entry in vector["Sigs"]:
        mspid, unit, name = entry["ID"].split(".")
        signer = authorities[mspid].member(name, unit.lower())
        signature = signer.sign(b"message" if entry["Sig"] == "ok" else b"another message")
        signed.append(SignedData(b"message", signer.serialized, signature))
    if vector["OK"]:
        policy.evaluate(signed)
    else:
        with pytest.raises(PolicyNotSatisfied):
            policy.evaluate(signed)
