# SPDX-License-Identifier: Apache-2.0
"""The configuration files of Fabric's programs, rendered from a plan.

Each function answers a plain mapping; `write` puts it into a YAML file. What is not set here has Fabric's own default.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml

from network.native.plan import HOST, OrdererNode, Organisation, PeerNode, Plan
from network.patience import ENDORSEMENT_TIMEOUT_S, ORDERING_TIMEOUT_S
from network.topology import Channel

Tree = dict[str, object]

_BUILDER = {
    "detect": "#!/bin/sh\n# Is this package chaincode as a service?  $2: folder of metadata.json\n"
    'grep -q \'"type" *: *"ccaas"\' "$2/metadata.json"\n',
    "build": "#!/bin/sh\n# Keep the file that says where the chaincode listens.  $1: source, $3: output\n"
    'cp "$1/connection.json" "$3/connection.json"\n',
    "release": "#!/bin/sh\n# Hand the connection file to the peer.  $1: build output, $2: release folder\n"
    'mkdir -p "$2/chaincode/server" && cp "$1/connection.json" "$2/chaincode/server/"\n',
}


def write(path: Path, tree: Mapping[str, object]) -> None:
    """Write `tree` as YAML, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text: str = yaml.safe_dump(dict(tree), sort_keys=False, default_flow_style=None, width=120)
    path.write_text(text, encoding="utf-8")


def write_builder(folder: Path) -> None:
    """Write the external builder that runs chaincode as a service: three small shell scripts."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name, script in _BUILDER.items():
        (programs / name).write_text(script, encoding="ascii")
        (programs / name).chmod(0o755)


def core(plan: Plan, peer: PeerNode, builder: Path) -> Tree:
    """A peer's `core.yaml`."""
    home, material = plan.home(peer), plan.material.peer(peer.domain)
    return {
        "peer": _peer_section(plan, peer, home, material),
        "vm": {"endpoint": ""},
        "chaincode": {
            "externalBuilders": [{"name": "ccaas", "path": str(builder), "propagateEnvironment": []}],
            "installTimeout": "60s",
            "startuptimeout": "60s",
            "executetimeout": f"{plan.tuning.execute_timeout_s}s",
            "system": {"_lifecycle": "enable", "cscc": "enable", "lscc": "enable", "qscc": "enable"},
            "runtimeParams": {
                "useWriteBatch": True,
                "maxSizeWriteBatch": 1000,
                "useGetMultipleKeys": True,
                "maxSizeGetMultipleKeys": 1000,
            },
        },
        "ledger": {
            "state": {"stateDatabase": "goleveldb", "totalQueryLimit": 100000},
            "history": {"enableHistoryDatabase": True},
            "pvtdataStore": {
                "collElgProcMaxDbBatchSize": 5000,
                "collElgProcDbBatchesInterval": 1000,
                "purgeInterval": 100,
            },
            "snapshots": {"rootDir": str(home / "data" / "snapshots")},
        },
        "operations": {"listenAddress": f"{HOST}:{peer.operations_port}"},
        "metrics": {"provider": "prometheus"},
    }


def _peer_section(plan: Plan, peer: PeerNode, home: Path, material: Path) -> Tree:
    return {
        "id": peer.host,
        "networkId": "pedigree",
        "listenAddress": peer.address,
        "address": peer.address,
        "chaincodeListenAddress": f"{HOST}:{peer.chaincode_port}",
        "chaincodeAddress": f"{HOST}:{peer.chaincode_port}",
        "localMspId": peer.mspid,
        "mspConfigPath": str(material / "msp"),
        "fileSystemPath": str(home / "data"),
        "gateway": {
            "enabled": True,
            "endorsementTimeout": f"{ENDORSEMENT_TIMEOUT_S}s",
            "broadcastTimeout": f"{ORDERING_TIMEOUT_S}s",
            "dialTimeout": "2m",
        },
        # Left out, they would be 0, which gRPC takes for every 10 s and servers answer with "too many pings".
        "keepalive": {
            "interval": "7200s",
            "timeout": "20s",
            "minInterval": "60s",
            "client": {"interval": "60s", "timeout": "20s"},
            "deliveryClient": {"interval": "60s", "timeout": "20s"},
        },
        "gossip": {
            "bootstrap": peer.address,
            "endpoint": peer.address,
            "externalEndpoint": peer.address,
            "useLeaderElection": False,
            "orgLeader": True,
            # Fabric's 25 s stalls a start by half a minute when the first contact fails.
            "reconnectInterval": "2s",
            "state": {"enabled": False},
            "pvtData": {
                "implicitCollectionDisseminationPolicy": {
                    "requiredPeerCount": 0,
                    "maxPeerCount": plan.tuning.dissemination_of_implicit_collections,
                },
                "pullRetryThreshold": "5s",
                # Without these a peer refuses to pass private data on, or never fetches what it missed.
                "pushAckTimeout": "3s",
                "btlPullMargin": 10,
                "transientstoreMaxBlockRetention": 20000,
                "reconciliationEnabled": True,
                "reconcileBatchSize": 10,
                "reconcileSleepInterval": "1m",
                "skipPullingInvalidTransactionsDuringCommit": False,
            },
        },
        "tls": {
            "enabled": True,
            "clientAuthRequired": False,
            "cert": {"file": str(material / "tls" / "server.crt")},
            "key": {"file": str(material / "tls" / "server.key")},
            "rootcert": {"file": str(material / "tls" / "ca.crt")},
        },
        "authentication": {"timewindow": "15m"},
        "BCCSP": _software_keys(),
        "deliveryclient": {"reconnectTotalTimeThreshold": "3600s", "policy": "cluster"},
        "handlers": {
            "authFilters": [{"name": "DefaultAuth"}, {"name": "ExpirationCheck"}, {"name": "TimeWindowCheck"}],
            "decorators": [{"name": "DefaultDecorator"}],
            "endorsers": {"escc": {"name": "DefaultEndorsement"}},
            "validators": {"vscc": {"name": "DefaultValidation"}},
        },
        "discovery": {
            "enabled": True,
            "authCacheEnabled": True,
            "authCacheMaxSize": 1000,
            "authCachePurgeRetentionRatio": 0.75,
        },
        "limits": {"concurrency": {"endorserService": 2500, "deliverService": 2500, "gatewayService": 500}},
    }


def orderer(plan: Plan, node: OrdererNode) -> Tree:
    """An orderer's `orderer.yaml`."""
    home, material = plan.home(node), plan.material.orderer(node.domain, node.number)
    certificate, key = str(material / "tls" / "server.crt"), str(material / "tls" / "server.key")
    roots = [str(material / "tls" / "ca.crt")]
    return {
        "General": {
            "ListenAddress": HOST,
            "ListenPort": node.port,
            "LocalMSPID": node.mspid,
            "LocalMSPDir": str(material / "msp"),
            "BootstrapMethod": "none",
            "TLS": {"Enabled": True, "PrivateKey": key, "Certificate": certificate, "RootCAs": roots},
            "Cluster": {"SendBufferSize": 100, "ClientCertificate": certificate, "ClientPrivateKey": key},
            "BCCSP": _software_keys(),
            "Authentication": {"TimeWindow": "15m"},
        },
        "FileLedger": {"Location": str(home / "data")},
        "Operations": {"ListenAddress": f"{HOST}:{node.operations_port}"},
        "Metrics": {"Provider": "prometheus"},
        "Admin": {
            "ListenAddress": f"{HOST}:{node.admin_port}",
            "TLS": {
                "Enabled": True,
                "Certificate": certificate,
                "PrivateKey": key,
                "RootCAs": roots,
                "ClientAuthRequired": True,
                "ClientRootCAs": roots,
            },
        },
        "ChannelParticipation": {"Enabled": True, "MaxRequestBodySize": "1 MB"},
        "Consensus": {
            "WALDir": str(home / "data" / "etcdraft" / "wal"),
            "SnapDir": str(home / "data" / "etcdraft" / "snapshot"),
        },
    }


def _software_keys() -> Tree:
    return {"Default": "SW", "SW": {"Hash": "SHA2", "Security": 256}}


def configtx(plan: Plan) -> Tree:
    """The `configtx.yaml` from which configtxgen makes first blocks; a profile is called as its channel."""
    return {"Profiles": {channel.name: _profile(plan, channel) for channel in plan.channels}}


def _profile(plan: Plan, channel: Channel) -> Tree:
    majority = {"Type": "ImplicitMeta", "Rule": "MAJORITY Endorsement"}
    application = {
        "Organizations": [_peer_organisation(plan, organisation) for organisation in plan.members(channel)],
        "Capabilities": {"V2_5": True},
        "Policies": _implicit() | {"LifecycleEndorsement": majority, "Endorsement": dict(majority)},
    }
    return {
        "Policies": _implicit(),
        "Capabilities": {"V3_0": True},
        "Orderer": _ordering(plan, channel),
        "Application": application,
    }


def _ordering(plan: Plan, channel: Channel) -> Tree:
    return {
        "OrdererType": "etcdraft",
        "BatchTimeout": channel.batch.timeout_text,
        "BatchSize": {
            "MaxMessageCount": channel.batch.max_messages,
            "AbsoluteMaxBytes": channel.batch.absolute_max_bytes,
            "PreferredMaxBytes": channel.batch.preferred_max_bytes,
        },
        "Organizations": [_orderer_organisation(plan)],
        "Capabilities": {"V2_0": True},
        "Policies": _implicit() | {"BlockValidation": {"Type": "ImplicitMeta", "Rule": "ANY Writers"}},
        "EtcdRaft": {
            "Consenters": [_consenter(plan, node) for node in plan.orderers],
            "Options": {
                # On one machine a leader that is gone is noticed after 2 s rather than 5.
                "TickInterval": "200ms",
                "ElectionTick": 10,
                "HeartbeatTick": 1,
                "MaxInflightBlocks": 5,
                "SnapshotIntervalSize": "16 MB",
            },
        },
    }


def _implicit() -> Tree:
    return {
        "Readers": {"Type": "ImplicitMeta", "Rule": "ANY Readers"},
        "Writers": {"Type": "ImplicitMeta", "Rule": "ANY Writers"},
        "Admins": {"Type": "ImplicitMeta", "Rule": "MAJORITY Admins"},
    }


def _signature(*principals: str) -> Tree:
    return {"Type": "Signature", "Rule": f"OR({','.join(repr(principal) for principal in principals)})"}


def _orderer_organisation(plan: Plan) -> Tree:
    mspid = plan.orderers[0].mspid
    return {
        "Name": mspid,
        "ID": mspid,
        "MSPDir": str(plan.material.orderer_organisation(plan.topology.orderer.domain) / "msp"),
        "Policies": {
            "Readers": _signature(f"{mspid}.member"),
            "Writers": _signature(f"{mspid}.member"),
            "Admins": _signature(f"{mspid}.admin"),
        },
        "OrdererEndpoints": [node.address for node in plan.orderers],
    }


def _peer_organisation(plan: Plan, organisation: Organisation) -> Tree:
    mspid = organisation.mspid
    return {
        "Name": mspid,
        "ID": mspid,
        "MSPDir": str(plan.material.organisation(organisation.domain) / "msp"),
        "Policies": {
            "Readers": _signature(f"{mspid}.admin", f"{mspid}.peer", f"{mspid}.client"),
            "Writers": _signature(f"{mspid}.admin", f"{mspid}.client"),
            "Admins": _signature(f"{mspid}.admin"),
            "Endorsement": _signature(f"{mspid}.peer"),
        },
        "AnchorPeers": [{"Host": HOST, "Port": organisation.peer.port}],
    }


def _consenter(plan: Plan, node: OrdererNode) -> Tree:
    certificate = str(plan.material.orderer(node.domain, node.number) / "tls" / "server.crt")
    return {"Host": HOST, "Port": node.port, "ClientTLSCert": certificate, "ServerTLSCert": certificate}
