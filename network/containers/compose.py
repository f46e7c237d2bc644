# SPDX-License-Identifier: Apache-2.0
"""`compose.yaml`: the consortium as Docker Compose runs it, rendered from a plan.

Every container runs as nobody in particular: no root, no capabilities, no way to gain any, a file system that it
cannot write except for its ledger and a bounded /tmp, and bounds on memory, processors and processes. Nothing is
published beyond the addresses that the topology names, which are loopback ones unless somebody chose otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fabric_protos.common import common_pb2

from network.containers import couchdb, gatewayview
from network.containers.nodes import CA_CONFIG, CA_KEYS, CA_TLS, CONFIG, DATA, NODE
from network.containers.plan import (
    CHAINCODE_HEALTH_PORT,
    CHAINCODE_PORT,
    GATEWAY_HEALTH_PORT,
    GATEWAY_PORT,
    LOOPBACK,
    OPERATIONS_PORT,
    Authority,
    Gateway,
    Orderer,
    Peer,
    Plan,
)
from network.embedded.channelconfig import ChannelConfig
from network.topology import Endpoint, Organisation

Tree = dict[str, Any]

DIRECTORY_LABEL = "pedigree.directory"
CONTENT_LABEL = "pedigree.content"
_NETWORK = "consortium"
_TMP = "/tmp:rw,noexec,nosuid,nodev,mode=1777,size=64m"  # noqa: S108 -- a memory file system of the container's own
_HIDDEN = "rw,noexec,nosuid,nodev,mode=1777,size=1m"
_CHAINCODE_KEYS = "/etc/pedigree/tls"
LOGGING = "info:grpc=error"


def compose(plan: Plan, chaincode_ids: Mapping[str, str], digest: Callable[[Path], str]) -> Tree:
    """The whole description.

    `chaincode_ids` are the package ids with which the chaincodes register, by MSP id. `digest` says what a mounted
    folder of keys or configuration holds: Compose replaces a container whose digest has changed.
    """
    services: dict[str, Tree] = {}
    for authority in plan.authorities:
        services[authority.name] = _authority(plan, authority)
    for node in plan.orderers:
        services[node.name] = _orderer(plan, node)
    for peer in plan.peers:
        services[peer.name] = _peer(plan, peer)
        if couchdb.is_used(plan):
            services[couchdb.name_of(peer)] = _couchdb(plan, peer)
            services[peer.name]["depends_on"] = {couchdb.name_of(peer): {"condition": "service_healthy"}}
    for gateway in plan.gateways:
        member = gateway.organisation
        services[plan.chaincode_name(member)] = _chaincode(plan, member, chaincode_ids[member.msp_id])
        services[enrolment_name(member)] = _enrolment(plan, gateway)
        services[gateway.name] = _gateway(plan, gateway)
    for service in services.values():
        mounted = (Path(volume["source"]) for volume in service["volumes"] if volume.get("read_only"))
        service["labels"][CONTENT_LABEL] = "-".join(digest(folder)[:16] for folder in mounted)
    for gateway in plan.gateways:  # it learns the other members from the channel's blocks, while it runs
        services[gateway.name]["labels"][CONTENT_LABEL] = gatewayview.own_part(plan, gateway, digest)
    return {
        "name": plan.project,
        "services": {name: _literal(service) for name, service in services.items()},
        "networks": {_NETWORK: {"driver": "bridge", "labels": {DIRECTORY_LABEL: str(plan.directory)}}},
    }


def _peer(plan: Plan, peer: Peer) -> Tree:
    return _service(
        plan,
        peer.name,
        plan.images.peer,
        "peer",
        peer.organisation.name,
        command=["peer", "node", "start"],
        environment={"FABRIC_CFG_PATH": CONFIG, "FABRIC_LOGGING_SPEC": LOGGING},
        volumes=[
            _read_only(plan.rendered / peer.name, CONFIG),
            _read_only(plan.material.peer(peer.organisation.domain, peer.number), NODE),
            _writable(plan.ledger(peer.name), DATA),
        ],
        ports=[_port(peer.endpoint, peer.endpoint.port), _loopback(peer.operations_port, OPERATIONS_PORT)],
        healthcheck=_operations_check(),
        memory="2g",
    )


def _orderer(plan: Plan, node: Orderer) -> Tree:
    return _service(
        plan,
        node.name,
        plan.images.orderer,
        "orderer",
        node.domain,
        command=["orderer"],
        environment={"FABRIC_CFG_PATH": CONFIG, "FABRIC_LOGGING_SPEC": LOGGING},
        volumes=[
            _read_only(plan.rendered / node.name, CONFIG),
            _read_only(plan.material.orderer(node.domain, node.number), NODE),
            _writable(plan.ledger(node.name), DATA),
        ],
        ports=[
            _port(node.endpoint, node.endpoint.port),
            _loopback(node.admin_port, node.admin_port),
            _loopback(node.operations_port, OPERATIONS_PORT),
        ],
        healthcheck=_operations_check(),
        memory="2g",
    )


def _authority(plan: Plan, node: Authority) -> Tree:
    return _service(
        plan,
        node.name,
        plan.images.authority,
        "ca",
        node.domain,
        command=["fabric-ca-server", "start", "--home", DATA],
        environment={},
        volumes=[
            _read_only(node.folder / "ca", CA_KEYS),
            _read_only(plan.material.service(node.folder, node.name), CA_TLS),
            _writable(plan.ledger(node.name), DATA),
            # The server looks for it in its home, and takes the folder where it finds it for its home.
            _read_only(plan.rendered / node.name / CA_CONFIG, f"{DATA}/{CA_CONFIG}"),
        ],
        ports=[_loopback(node.port, 7054)],
        healthcheck=_operations_check(),
        memory="256m",
    )


def _couchdb(plan: Plan, peer: Peer) -> Tree:
    """Published nowhere: only the containers' network reaches it, and only its own peer's password opens it."""
    service = _service(
        plan,
        couchdb.name_of(peer),
        plan.images.couchdb,
        "couchdb",
        peer.organisation.name,
        command=None,
        environment={},
        volumes=[
            _writable(plan.ledger(couchdb.name_of(peer)), couchdb.DATA),
            _read_only(couchdb.config_of(plan, peer), couchdb.CONFIG),
        ],
        ports=[],
        healthcheck=_couchdb_check(),
        memory="1g",
    )
    service["tmpfs"].append(f"{couchdb.LOCAL}:{_HIDDEN}")
    # Erlang's machine takes memory for every file that it might open: an engine that sets no limit costs gigabytes.
    return service | {"ulimits": {"nofile": {"soft": 16384, "hard": 16384}}}


def _chaincode(plan: Plan, member: Organisation, chaincode_id: str) -> Tree:
    name = plan.chaincode_name(member)
    return _service(
        plan,
        name,
        plan.images.chaincode,
        "chaincode",
        member.name,
        command=None,
        environment={
            "CHAINCODE_ID": chaincode_id,
            "CHAINCODE_SERVER_ADDRESS": f"0.0.0.0:{CHAINCODE_PORT}",
            "CHAINCODE_HEALTH_ADDRESS": f"127.0.0.1:{CHAINCODE_HEALTH_PORT}",
            "CHAINCODE_TLS_CERT_FILE": f"{_CHAINCODE_KEYS}/server.crt",
            "CHAINCODE_TLS_KEY_FILE": f"{_CHAINCODE_KEYS}/server.key",
            "CHAINCODE_CLIENT_CA_CERT_FILE": f"{_CHAINCODE_KEYS}/ca.crt",
            "CORE_PEER_LOCALMSPID": member.msp_id,
            "PEDIGREE_FOUNDERS": ",".join(_founders(plan)),
        },
        volumes=[_read_only(plan.material.service(plan.material.organisation(member.domain), name), _CHAINCODE_KEYS)],
        ports=[],
        healthcheck=_python_check(f"http://127.0.0.1:{CHAINCODE_HEALTH_PORT}/healthz"),
        memory="512m",
    )


def _founders(plan: Plan) -> list[str]:
    """The members by MSP id with which the channel began; later ones are not founders, and restart nobody."""
    first = plan.genesis_block(plan.topology.channels[0].name)
    if not first.exists():
        return [each.msp_id for each in plan.topology.organisations]
    block = common_pb2.Block.FromString(first.read_bytes())
    return sorted(ChannelConfig.from_block(block).application_orgs.values())


def _gateway(plan: Plan, gateway: Gateway) -> Tree:
    return _service(
        plan,
        gateway.name,
        plan.images.gateway,
        "gateway",
        gateway.organisation.name,
        command=[
            *["serve", "--network", f"{CONFIG}/network.json", "--organisation", gateway.organisation.name],
            *["--host", "0.0.0.0", "--port", str(GATEWAY_PORT), "--health-port", str(GATEWAY_HEALTH_PORT)],  # noqa: S104
            *["--data", "/data"],
        ],
        environment={},
        volumes=[
            _read_only(plan.rendered / gateway.name, CONFIG),
            _writable(plan.gateway_data(gateway.organisation), "/data"),
        ],
        ports=[_loopback(gateway.port, GATEWAY_PORT), _loopback(gateway.health_port, GATEWAY_HEALTH_PORT)],
        healthcheck=_python_check(f"http://127.0.0.1:{GATEWAY_HEALTH_PORT}/healthz"),
        memory="1g",
    )


def enrolment_name(member: Organisation) -> str:
    """The container that enrols an organisation's gateway with its CA; it runs once and is gone."""
    return f"enrolment.{member.domain}"


def _enrolment(plan: Plan, gateway: Gateway) -> Tree:
    """It alone holds the registrar's identity: the gateway can neither register nor revoke anybody."""
    member = gateway.organisation
    folder = plan.material.organisation(member.domain)
    name = f"ca.{member.domain}"
    service = _service(
        plan,
        enrolment_name(member),
        plan.images.gateway,
        "enrolment",
        member.name,
        command=None,
        environment={
            "PEDIGREE_MSP_ID": member.msp_id,
            "PEDIGREE_CA_URL": f"https://{name}:7054",
            "PEDIGREE_CA_NAME": name,
            "PEDIGREE_CA_TLS_ROOT": f"{CONFIG}/tls-root.pem",
            "PEDIGREE_CA_ROOT": f"{CONFIG}/root.pem",
        },
        volumes=[
            _read_only(plan.material.service(folder, name) / "ca.crt", f"{CONFIG}/tls-root.pem"),
            _read_only(folder / "ca" / f"{name}-cert.pem", f"{CONFIG}/root.pem"),
            _writable(plan.registrar(member), "/registrar"),
            _writable(plan.gateway_data(member), "/data"),
        ],
        ports=[],
        healthcheck=None,
        memory="256m",
    )
    return service | {"entrypoint": ["pedigree-enrol"], "restart": "no", "profiles": ["jobs"]}


def _service(
    plan: Plan,
    name: str,
    image: str,
    role: str,
    owner: str,
    *,
    command: Sequence[str] | None,
    environment: Mapping[str, str],
    volumes: Sequence[Tree],
    ports: Sequence[Tree],
    healthcheck: Tree | None,
    memory: str,
) -> Tree:
    """A container with everything that all of them have in common."""
    tree: Tree = {
        "image": image,
        "pull_policy": "never",
        "hostname": name,
        "user": plan.user,
        "read_only": True,
        "tmpfs": [_TMP],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
        "init": role in ("gateway", "chaincode"),
        "mem_limit": memory,
        "memswap_limit": memory,
        "cpus": 2.0,
        "pids_limit": 1024,
        "labels": {DIRECTORY_LABEL: str(plan.directory), "pedigree.role": role, "pedigree.organisation": owner},
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "networks": {_NETWORK: {"aliases": [name]}},
        "environment": dict(environment),
        "volumes": list(volumes),
    }
    if plan.site is not None:
        tree["extra_hosts"] = plan.site.extra_hosts()
    if command is not None:
        tree["command"] = list(command)
    if ports:
        tree["ports"] = list(ports)
    if healthcheck is not None:
        tree["healthcheck"] = healthcheck
    return tree


def _literal(value: Any) -> Any:
    """The same with every dollar doubled: Compose would take a single one for a variable of its environment."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _literal(each) for key, each in value.items()}
    return [_literal(each) for each in value] if isinstance(value, list) else value


def _read_only(source: Path, target: str) -> Tree:
    return {**_writable(source, target), "read_only": True}


def _writable(source: Path, target: str) -> Tree:
    """A folder of this machine; never one that the engine would have to make, as root."""
    return {"type": "bind", "source": str(source), "target": target, "bind": {"create_host_path": False}}


def _port(endpoint: Endpoint, inside: int) -> Tree:
    return {"target": inside, "published": str(endpoint.port), "host_ip": endpoint.host, "protocol": "tcp"}


def _loopback(outside: int, inside: int) -> Tree:
    return _port(Endpoint(LOOPBACK, outside), inside)


def _operations_check() -> Tree:
    """Fabric's own images have bash but no HTTP client, ours have wget: ask for the health, or at least knock."""
    url = f"http://127.0.0.1:{OPERATIONS_PORT}/healthz"
    knock = f"bash -c '</dev/tcp/127.0.0.1/{OPERATIONS_PORT}'"
    return _check(["CMD-SHELL", f"if command -v wget >/dev/null; then wget -q -O /dev/null {url}; else {knock}; fi"])


def _python_check(url: str) -> Tree:
    return _check(["CMD", "python3", "-c", f"import urllib.request; urllib.request.urlopen('{url}', timeout=4)"])


def _couchdb_check() -> Tree:
    """Its image need not have an HTTP client, but has bash; peers start as soon as this answers."""
    ask = f"exec 3<>/dev/tcp/127.0.0.1/{couchdb.PORT} && printf 'GET /_up HTTP/1.0\\r\\n\\r\\n' >&3"
    return _check(["CMD", "bash", "-c", f'{ask} && read -r answer <&3 && [[ $answer == *" 200 "* ]]']) | {
        "interval": "5s",
        "retries": 12,
    }


def _check(test: Sequence[str]) -> Tree:
    return {"test": list(test), "interval": "15s", "timeout": "5s", "retries": 4, "start_period": "20s"}
