# SPDX-License-Identifier: Apache-2.0
"""Configuration files of Fabric's programs in containers.

Peers and orderers have what local processes have (`network.native.render`), laid over with what differs in a
container: names instead of loopback addresses, folders of its own, and TLS on which both sides prove themselves.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from network.containers import couchdb
from network.containers.plan import OPERATIONS_PORT, Authority, Orderer, Peer, Plan
from network.native import render
from network.native.plan import OrdererNode, PeerNode, Tuning
from network.native.plan import Plan as NativePlan

Tree = dict[str, Any]

CONFIG = "/etc/pedigree"
"""Where a container finds its rendered configuration, read-only."""
NODE = "/etc/hyperledger/node"
"""Where it finds its own key material, `msp` and `tls`, read-only."""
DATA = "/var/hyperledger/production"
"""Where it keeps its ledger."""
BUILDER = "/opt/hyperledger/ccaas_builder"
"""The external builder for chaincode as a service, as in Fabric's own images."""
CA_CONFIG = "fabric-ca-server-config.yaml"
CA_KEYS = "/etc/hyperledger/ca"
CA_TLS = "/etc/hyperledger/tls"
CLIENT_ROOTS = f"{CONFIG}/client-roots.pem"
_TRIES = 12
"""How often a peer asks its CouchDB again, after 125 ms and then twice as long each time: eight minutes in all.

A peer that gives up while it checks a block never takes another one, though it goes on running (3.1.5): only a restart
helps. As the waits double, a peer has its database back at the latest when it was away for twice as long as it was.
"""
_TRIES_AT_START = 9
"""The same when a peer starts: a minute, after which it ends itself and is started again."""
_REPLICATION = "simple"
"""How an orderer that was away gets the blocks that it lacks, whose signatures it checks.

Fabric's usual way, `consensus`, asks several nodes at once, and leaves out the hash of its TLS certificate (3.1.5), for
want of which nodes that demand mutual TLS give it nothing: a SmartBFT node would never catch up.
"""
_EVERYWHERE = "0.0.0.0"  # noqa: S104 -- inside a container; what is published outside is decided in compose.yaml


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """`base` with the values of `over`, key by key down to the leaves."""
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = overlaid(known, value) if both else value  # type: ignore[arg-type]
    return merged


def core(plan: Plan, peer: Peer, couchdb_password: str = "") -> Tree:
    """A peer's `core.yaml`; the password is of its CouchDB, where it has one."""
    member = peer.organisation
    node = PeerNode(member.msp_id, member.domain, peer.endpoint.port, member.chaincode.port, OPERATIONS_PORT)
    base = render.core(_native(plan), node, Path(BUILDER))
    others = [each.inside for each in plan.peers if each.organisation == member and each != peer]
    tls = f"{NODE}/tls"
    over: Tree = {
        "peer": {
            "id": peer.name,
            "networkId": plan.project,
            "listenAddress": f"{_EVERYWHERE}:{peer.endpoint.port}",
            "address": peer.inside,
            # Chaincode runs as a service; nothing dials in, so nothing but the peer itself can.
            "chaincodeListenAddress": "127.0.0.1:17052",
            "chaincodeAddress": "127.0.0.1:17052",
            "mspConfigPath": f"{NODE}/msp",
            "fileSystemPath": DATA,
            "gossip": {
                "bootstrap": others[0] if others else peer.inside,
                "endpoint": peer.inside,
                "externalEndpoint": peer.outside,
                "membershipTrackerInterval": "1s",
            },
            "tls": {
                "clientAuthRequired": True,
                "cert": {"file": f"{tls}/server.crt"},
                "key": {"file": f"{tls}/server.key"},
                "rootcert": {"file": f"{tls}/ca.crt"},
                # All members' roots, not its own alone: peers gossip before they have read the channel's.
                "clientRootCAs": {"files": [CLIENT_ROOTS]},
                "clientCert": {"file": f"{tls}/server.crt"},
                "clientKey": {"file": f"{tls}/server.key"},
            },
        },
        "ledger": {"snapshots": {"rootDir": f"{DATA}/snapshots"}},
        "operations": {"listenAddress": f"{_EVERYWHERE}:{OPERATIONS_PORT}", "tls": {"enabled": False}},
    }
    tree = overlaid(base, over)
    if couchdb.is_used(plan):
        # What is left out counts as nothing here: no time limit, no second try and no cache.
        tree["ledger"]["state"] |= {
            "stateDatabase": "CouchDB",
            "couchDBConfig": {
                "couchDBAddress": f"{couchdb.name_of(peer)}:{couchdb.PORT}",
                "username": couchdb.USER,
                "password": couchdb_password,
                "maxRetries": _TRIES,
                "maxRetriesOnStartup": _TRIES_AT_START,
                "requestTimeout": "35s",
                "internalQueryLimit": 1000,
                "maxBatchUpdateSize": 1000,
                "createGlobalChangesDB": False,
                "cacheSize": 64,
            },
        }
    return tree


def orderer(plan: Plan, node: Orderer) -> Tree:
    """An orderer's `orderer.yaml`."""
    native = OrdererNode(node.number, node.msp_id, node.domain, node.endpoint.port, node.admin_port, OPERATIONS_PORT)
    base = render.orderer(_native(plan), native)
    tls = f"{NODE}/tls"
    pair = {"Certificate": f"{tls}/server.crt", "PrivateKey": f"{tls}/server.key", "RootCAs": [f"{tls}/ca.crt"]}
    over: Tree = {
        "General": {
            "ListenAddress": _EVERYWHERE,
            "ListenPort": node.endpoint.port,
            "LocalMSPDir": f"{NODE}/msp",
            "TLS": {"Enabled": True, **pair, "ClientAuthRequired": True, "ClientRootCAs": [CLIENT_ROOTS]},
            "Cluster": {
                "ClientCertificate": pair["Certificate"],
                "ClientPrivateKey": pair["PrivateKey"],
                "RootCAs": pair["RootCAs"],
                "ReplicationPolicy": _REPLICATION,
            },
        },
        "FileLedger": {"Location": DATA},
        "Operations": {"ListenAddress": f"{_EVERYWHERE}:{OPERATIONS_PORT}", "TLS": {"Enabled": False}},
        "Admin": {
            "ListenAddress": f"{_EVERYWHERE}:{node.admin_port}",
            # Only the ordering organisation's own certificates open this door.
            "TLS": {"Enabled": True, **pair, "ClientAuthRequired": True, "ClientRootCAs": [f"{tls}/ca.crt"]},
        },
        "Consensus": {"WALDir": f"{DATA}/etcdraft/wal", "SnapDir": f"{DATA}/etcdraft/snapshot"},
    }
    return overlaid(base, over)


def authority(node: Authority, secret: str) -> Tree:
    """A Fabric CA's configuration; `secret` is its administrator's, so the file is for its owner only."""
    return {
        "port": 7054,
        "debug": False,
        "crlsizelimit": 512000,
        "tls": {
            "enabled": True,
            "certfile": f"{CA_TLS}/server.crt",
            "keyfile": f"{CA_TLS}/server.key",
            "clientauth": {"type": "verifyclientcertifgiven", "certfiles": [f"{CA_TLS}/ca.crt"]},
        },
        "ca": {
            "name": node.name,
            "certfile": f"{CA_KEYS}/{node.name}-cert.pem",
            "keyfile": f"{CA_KEYS}/priv_sk",
            "reenrollIgnoreCertExpiry": False,
        },
        "crl": {"expiry": "24h"},
        "registry": {
            "maxenrollments": -1,
            "identities": [
                {
                    "name": "admin",
                    "pass": secret,
                    "type": "client",
                    "affiliation": "",
                    "attrs": {
                        "hf.Registrar.Roles": "client,peer,orderer,admin",
                        "hf.Registrar.DelegateRoles": "client,peer,orderer,admin",
                        "hf.Registrar.Attributes": "*",
                        "hf.Revoker": True,
                        "hf.GenCRL": True,
                        "hf.IntermediateCA": False,
                        "hf.AffiliationMgr": True,
                    },
                }
            ],
        },
        "db": {"type": "sqlite3", "datasource": "fabric-ca-server.db"},
        "affiliations": {},
        "signing": {
            "default": {"usage": ["digital signature"], "expiry": "8760h"},
            "profiles": {
                "tls": {
                    "usage": ["digital signature", "key agreement", "server auth", "client auth"],
                    "expiry": "8760h",
                }
            },
        },
        "cfg": {"identities": {"passwordattempts": 10, "allowremove": False}},
        "bccsp": {"default": "SW", "sw": {"hash": "SHA2", "security": 256}},
        "operations": {"listenAddress": f"{_EVERYWHERE}:{OPERATIONS_PORT}", "tls": {"enabled": False}},
        "metrics": {"provider": "prometheus"},
    }


def _native(plan: Plan) -> NativePlan:
    """A plan of processes for its tuning's sake; every path and address that comes from it is laid over."""
    return NativePlan(Path(DATA), plan.topology, (), (), Tuning())
