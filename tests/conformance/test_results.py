# SPDX-License-Identifier: Apache-2.0
"""Read-write sets and endorsements: rules R-1 to R-20."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fabric_protos.msp import identities_pb2
from fabricharness import blocks
from fabricharness.members import P256_ORDER
from fabricharness.networks import VALID, Network
from test_simulation import end_of, numbered


def test_c070_lifecycle_read_present(net: Network, key: str) -> None:
    outcome = net.hospital.submit("anyone", "put", key, "v")
    read = blocks.recorded(net.hospital, outcome).namespace("_lifecycle").reads
    assert [entry.key for entry in read] == ["namespaces/fields/anyone/Sequence"]
    assert read[0].HasField("version")


def test_c071_read_absent_version_unset(net: Network, key: str) -> None:
    outcome = net.hospital.submit("anyone", "get", key)
    (read,) = blocks.recorded(net.hospital, outcome).namespace("anyone").reads
    assert read.key == key
    assert not read.HasField("version")


def test_c073_endorsement_signature(net: Network, key: str) -> None:
    recorded = blocks.recorded(net.hospital, net.hospital.submit("probe", "put", key, "v"))
    assert len(recorded.endorsements) == 2
    for endorsement in recorded.endorsements:
        identity = identities_pb2.SerializedIdentity.FromString(endorsement.endorser)
        public = x509.load_pem_x509_certificate(identity.id_bytes).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        signed = recorded.response_payload + endorsement.endorser
        public.verify(endorsement.signature, signed, ec.ECDSA(hashes.SHA256()))
        assert decode_dss_signature(endorsement.signature)[1] <= P256_ORDER // 2


def test_c074_proposal_hash(net: Network, key: str) -> None:
    recorded = blocks.recorded(net.hospital, net.hospital.submit("anyone", "put", key, "v"))
    header = recorded.payload.header
    hashed = header.channel_header + header.signature_header + recorded.action_payload.chaincode_proposal_payload
    assert recorded.proposal_hash == hashlib.sha256(hashed).digest()


def test_c075_same_prp_all_orgs(net: Network, key: str) -> None:
    everyone = [org.mspid for org in net.orgs]
    outcome = net.hospital.submit("anyone", "put", key, "v", endorsing_organisations=everyone)
    assert outcome.code == VALID
    endorsers = {entry.endorser for entry in blocks.recorded(net.hospital, outcome).endorsements}
    assert endorsers == {org.peer_member.serialized for org in net.orgs}


def test_c076_merkle_range(net: Network, key: str) -> None:
    prefix = f"{key}-"
    net.hospital.submit("anyone", "many", prefix, "60")
    outcome = net.hospital.submit("anyone", "rangePut", prefix, end_of(prefix), f"{key}!", "v")
    (query,) = blocks.recorded(net.hospital, outcome).namespace("anyone").range_queries_info
    assert query.reads_merkle_hashes.max_degree == 50
    assert query.itr_exhausted
    assert query.end_key == end_of(prefix)


def test_c077_range_51_vs_50(net: Network, key: str) -> None:
    for count, form in ((50, "raw_reads"), (51, "reads_merkle_hashes")):
        prefix = f"{key}{count}-"
        net.hospital.submit("anyone", "many", prefix, str(count))
        outcome = net.hospital.submit("anyone", "rangePut", prefix, end_of(prefix), f"{key}!", "v")
        (query,) = blocks.recorded(net.hospital, outcome).namespace("anyone").range_queries_info
        assert query.WhichOneof("reads_info") == form
        assert [read.key for read in query.raw_reads.kv_reads] == (numbered(prefix, count) if count == 50 else [])
