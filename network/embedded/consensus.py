# SPDX-License-Identifier: Apache-2.0
"""How a channel's configuration describes its ordering service: the consenters of Raft or SmartBFT, and their options.

The content is what Fabric's configtxgen writes. The embedded network orders by itself and reads none of it.
"""

from dataclasses import dataclass
from pathlib import Path

from fabric_protos.common import configuration_pb2, policies_pb2
from fabric_protos.msp import identities_pb2, msp_principal_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as raft_pb2
from fabric_protos.orderer.smartbft import configuration_pb2 as bft_pb2

from network.material import Material
from network.publicfiles import certificate_of
from network.topology import Topology

__all__ = ["Consensus", "consensus"]


@dataclass(frozen=True, slots=True)
class Consensus:
    """The parts of the Orderer group that depend on the kind of consensus."""

    kind: orderer_pb2.ConsensusType
    consenters: configuration_pb2.Orderers | None = None
    """The value `Orderers`, which SmartBFT needs; Raft names its consenters in its metadata."""
    block_validation: policies_pb2.SignaturePolicyEnvelope | None = None
    """Whose signatures make a block of SmartBFT's true: those of a quorum of the consenters themselves."""


def consensus(topology: Topology, material: Material, *, tick_ms: int = 500) -> Consensus:
    """What the topology's consensus needs; `tick_ms` is Raft's clock, ten ticks of which start an election.

    Raises `OSError` or `ValueError` for certificates that cannot be read.
    """
    return _bft(topology, material) if topology.orderer.consensus == "bft" else _raft(topology, material, tick_ms)


def quorum(nodes: int) -> int:
    """How many of so many nodes SmartBFT needs: more than half of the honest ones and all liars (f of 3f+1)."""
    liars = (nodes - 1) // 3
    return -(-(nodes + liars + 1) // 2)


def _raft(topology: Topology, material: Material, tick_ms: int) -> Consensus:
    metadata = raft_pb2.ConfigMetadata(
        options=raft_pb2.Options(
            tick_interval=f"{tick_ms}ms",
            election_tick=10,
            heartbeat_tick=1,
            max_inflight_blocks=5,
            snapshot_interval_size=16 * 1024 * 1024,
        )
    )
    orderer = topology.orderer
    for number, address in enumerate(orderer.addresses, 1):
        certificate = _tls(material, orderer.domain, number)
        metadata.consenters.add(
            host=address.host, port=address.port, client_tls_cert=certificate, server_tls_cert=certificate
        )
    return Consensus(orderer_pb2.ConsensusType(type="etcdraft", metadata=metadata.SerializeToString()))


def _bft(topology: Topology, material: Material) -> Consensus:
    options = bft_pb2.Options(
        request_batch_max_count=100,
        request_batch_max_bytes=10 * 1024 * 1024,
        request_batch_max_interval="50ms",
        incoming_message_buffer_size=200,
        request_pool_size=400,
        request_forward_timeout="2s",
        request_complain_timeout="20s",
        request_auto_remove_timeout="3m0s",
        view_change_resend_interval="5s",
        view_change_timeout="20s",
        leader_heartbeat_timeout="1m0s",
        leader_heartbeat_count=10,
        collect_timeout="1s",
    )
    orderer = topology.orderer
    consenters = configuration_pb2.Orderers()
    signers: list[msp_principal_pb2.MSPPrincipal] = []
    for number, address in enumerate(orderer.addresses, 1):
        certificate = _tls(material, orderer.domain, number)
        folder = material.orderer(orderer.domain, number) / "msp"
        identity = certificate_of(folder, f"signcerts/{_only_file(folder / 'signcerts').name}")
        consenters.consenter_mapping.add(
            id=number,
            host=address.host,
            port=address.port,
            msp_id=orderer.msp_id,
            identity=identity,
            client_tls_cert=certificate,
            server_tls_cert=certificate,
        )
        serialized = identities_pb2.SerializedIdentity(mspid=orderer.msp_id, id_bytes=identity).SerializeToString()
        kind = msp_principal_pb2.MSPPrincipal.IDENTITY
        signers.append(msp_principal_pb2.MSPPrincipal(principal_classification=kind, principal=serialized))
    signed = [policies_pb2.SignaturePolicy(signed_by=index) for index in range(len(signers))]
    of = policies_pb2.SignaturePolicy.NOutOf(n=quorum(len(signers)), rules=signed)
    return Consensus(
        orderer_pb2.ConsensusType(type="BFT", metadata=options.SerializeToString()),
        consenters,
        policies_pb2.SignaturePolicyEnvelope(rule=policies_pb2.SignaturePolicy(n_out_of=of), identities=signers),
    )


def _tls(material: Material, domain: str, number: int) -> bytes:
    return certificate_of(material.orderer(domain, number) / "tls", "server.crt")


def _only_file(folder: Path) -> Path:
    files = [path for path in folder.iterdir() if path.is_file()]
    if len(files) != 1:
        raise OSError(f"{folder} must hold one certificate")
    return files[0]
