# SPDX-License-Identifier: Apache-2.0
"""The configuration files of Fabric's programs as pods need them.

Peers and orderers are configured as everywhere else; only paths and addresses are those of a pod.
"""

from pathlib import Path
from typing import Any

from network.kubernetes.part import ADMIN_PORT, CA_PORT, CHAINCODE_PORT, OPERATIONS_PORT, Part, reachable
from network.native import render
from network.native.plan import OrdererNode, PeerNode, Plan, Tuning
from network.topology import OrdererOrganisation, Organisation

CONFIGURATION = "/etc/pedigree"
DATA = "/var/lib/pedigree"
BUILDER = "/opt/hyperledger/ccaas_builder"
"""Where the peer's image has the builder of chaincode as a service."""
REGISTRAR = "registrar"
"""Who registers others at a CA."""
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a pod's own address is not known before it runs; a NetworkPolicy bounds who comes in
_TLS = f"{CONFIGURATION}/tls"


def core(part: Part, owner: Organisation) -> dict[str, Any]:
    """The peer's `core.yaml`."""
    address = str(reachable(owner.peer, owner.peer_name))
    node = PeerNode(owner.msp_id, owner.domain, owner.peer.port, CHAINCODE_PORT, OPERATIONS_PORT)
    tree: dict[str, Any] = render.core(_plan(part), node, Path(BUILDER))
    peer = tree["peer"]
    peer["listenAddress"] = f"{_EVERYWHERE}:{owner.peer.port}"
    peer["address"] = address
    # Chaincode never dials the peer here, so nobody needs to reach this listener.
    peer["chaincodeListenAddress"] = peer["chaincodeAddress"] = f"127.0.0.1:{CHAINCODE_PORT}"
    peer["mspConfigPath"] = f"{CONFIGURATION}/msp"
    peer["fileSystemPath"] = f"{DATA}/peer"
    peer["gossip"] |= {"bootstrap": address, "endpoint": address, "externalEndpoint": address}
    peer["tls"] |= {
        # Besides this root the peer trusts those of every member, which the channel's configuration names.
        "clientAuthRequired": True,
        "clientRootCAs": {"files": [f"{_TLS}/ca.crt"]},
        "cert": {"file": f"{_TLS}/tls.crt"},
        "key": {"file": f"{_TLS}/tls.key"},
        "rootcert": {"file": f"{_TLS}/ca.crt"},
    }
    tree["ledger"]["snapshots"] = {"rootDir": f"{DATA}/peer/snapshots"}
    tree["operations"] = {"listenAddress": f"{_EVERYWHERE}:{OPERATIONS_PORT}"}
    return tree


def orderer(part: Part, owner: OrdererOrganisation, number: int) -> dict[str, Any]:
    """An orderer's `orderer.yaml`; nodes are counted from 1."""
    port = owner.addresses[number - 1].port
    node = OrdererNode(number, owner.msp_id, owner.domain, port, ADMIN_PORT, OPERATIONS_PORT)
    tree: dict[str, Any] = render.orderer(_plan(part), node)
    files: dict[str, Any] = {
        "Certificate": f"{_TLS}/tls.crt",
        "PrivateKey": f"{_TLS}/tls.key",
        "RootCAs": [f"{_TLS}/ca.crt"],
    }
    general = tree["General"]
    general |= {"ListenAddress": _EVERYWHERE, "LocalMSPDir": f"{CONFIGURATION}/msp"}
    general["TLS"] |= files | {"ClientAuthRequired": True, "ClientRootCAs": list(files["RootCAs"])}
    general["Cluster"] |= {"ClientCertificate": files["Certificate"], "ClientPrivateKey": files["PrivateKey"]}
    tree["FileLedger"] = {"Location": f"{DATA}/orderer"}
    tree["Operations"] = {"ListenAddress": f"{_EVERYWHERE}:{OPERATIONS_PORT}"}
    tree["Admin"]["ListenAddress"] = f"{_EVERYWHERE}:{ADMIN_PORT}"
    tree["Admin"]["TLS"] |= files | {"ClientRootCAs": list(files["RootCAs"])}
    tree["Consensus"] = {
        "WALDir": f"{DATA}/orderer/etcdraft/wal",
        "SnapDir": f"{DATA}/orderer/etcdraft/snapshot",
    }
    return tree


def authority(part: Part, owner: Organisation, password: str) -> dict[str, Any]:
    """The `fabric-ca-server-config.yaml` of a CA that issues under the organisation's existing root.

    `password` is that of its first identity, the registrar, which the CA takes into its database at its first start.

    Its TLS certificate it makes by itself, under the same root, and keeps it with its database.
    """
    name = f"ca.{owner.domain}"
    return {
        "port": CA_PORT,
        "tls": {"enabled": True},
        "ca": {
            "name": name,
            "certfile": f"{CONFIGURATION}/authority/ca.pem",
            "keyfile": f"{CONFIGURATION}/authority/key.pem",
        },
        "crl": {"expiry": "24h"},
        "registry": {"maxenrollments": -1, "identities": [_registrar(password)]},
        "db": {"type": "sqlite3", "datasource": "fabric-ca-server.db"},
        "affiliations": {owner.name.lower(): []},
        "signing": {
            "default": {"usage": ["digital signature"], "expiry": "8760h"},
            "profiles": {
                "tls": {
                    "usage": ["signing", "key encipherment", "server auth", "client auth", "key agreement"],
                    "expiry": "8760h",
                }
            },
        },
        "csr": {"cn": name, "hosts": [name, f"{part.prefix}-ca", "localhost"]},
        "operations": {"listenAddress": f"{_EVERYWHERE}:{OPERATIONS_PORT}"},
        "metrics": {"provider": "prometheus"},
    }


def _registrar(password: str) -> dict[str, Any]:
    return {
        "name": REGISTRAR,
        "pass": password,
        "type": "client",
        "affiliation": "",
        "attrs": {
            "hf.Registrar.Roles": "*",
            "hf.Registrar.DelegateRoles": "*",
            "hf.Registrar.Attributes": "*",
            "hf.Revoker": True,
            "hf.GenCRL": True,
            "hf.AffiliationMgr": True,
        },
    }


def _plan(part: Part) -> Plan:
    """A plan of nothing: it lends the shared rendering its tuning; every path that comes of it is replaced."""
    return Plan(Path(DATA), part.topology, (), (), Tuning())
