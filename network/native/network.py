# SPDX-License-Identifier: Apache-2.0
"""Bringing the planned processes up, watching them and taking them down.

Every step looks at what is there before it does something, so that a first start, a restart and a start after a crash
are the same walk: survivors of a killed tool are stopped first, ledgers stay, joins that were done are not repeated.
"""

import os
import queue
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from network import reloading
from network.material import ensure_material
from network.native import channel, render
from network.native.errors import NativeError
from network.native.plan import OrdererNode, PeerNode, Plan, extended
from network.native.processes import Binaries, ended, refuse_taken_ports, start, stop, wait_for_port
from network.profiles import write_json
from network.topology import Topology, TopologyError

Children = dict[str, int]
"""The process id of each node, by host name."""


def bring_up(plan: Plan, binaries: Binaries) -> Children:
    """Start every node, create the channel where it is missing, join all, and wait until all serve it.

    Raises `NativeError` after stopping what it started, so that a refused start leaves nothing running.
    """
    stop([plan.pid_file(node) for node in plan.nodes()])
    refuse_taken_ports(_listeners(plan))
    ensure_material(plan.topology, plan.directory)
    _render(plan)
    channel.make_genesis_blocks(plan, binaries)
    try:
        children = {node.host: _start(plan, binaries, node) for node in plan.nodes()}
        for node in plan.nodes():
            for port in _awaited_ports(node):
                wait_for_port(port, who=node.host, log=plan.log(node), pid=children[node.host])
        with ThreadPoolExecutor(max_workers=8) as pool:
            joins = [pool.submit(channel.join_orderer, plan, binaries, node) for node in plan.orderers]
            joins += [pool.submit(channel.join_peer, plan, binaries, member) for member in plan.organisations]
        for join in joins:
            join.result()
        channel.wait_until_served(plan)
    except BaseException:
        take_down(plan.directory)
        raise
    return children


def take_down(directory: Path) -> None:
    """Stop every node whose pid file lies below `directory`; ledgers, keys and logs stay."""
    stop(sorted((directory / "run").glob("*.pid")))


class Signalled:
    """Whether one of some signals came, from now on; only the main thread may make one, or wait.

    A handler interrupts the main thread anywhere, also where it holds the lock of a `threading.Event` that it waits
    for, and setting the event there would wait for ever. Putting into this kind of queue may be interrupted by itself.
    """

    def __init__(self, *numbers: int) -> None:
        self._queue: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in numbers:
            signal.signal(number, lambda number, _frame: self._queue.put(number))

    def wait(self, seconds: float) -> bool:
        """Whether one came since the last that this or `take` returned, after waiting for it at most so long."""
        try:
            self._queue.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def take(self) -> bool:
        """Whether some came; they count as seen afterwards."""
        came = False
        while self.wait(0):
            came = True
        return came


def watch(
    children: Children,
    interrupted: Signalled,
    look: Callable[[], None] = lambda: None,
    lost: Callable[[str], None] = lambda _host: None,
) -> None:
    """Wait for an interruption; `look` is called twice a second, `lost` once for a node that has ended by itself.

    The other nodes go on: whether the channel still has enough of them is for its policies to say. Raises
    `NativeError` when the last one has ended.
    """
    while not interrupted.wait(0.5):
        _forget_ended(children, lost)
        if not children:
            raise NativeError("every program of the network has ended by itself; see the logs")
        look()


def _forget_ended(children: Children, lost: Callable[[str], None]) -> None:
    for host in [host for host, pid in children.items() if ended(pid)]:
        del children[host]
        lost(host)


def describe(plan: Plan, pid: int | None) -> dict[str, object]:
    """What `network.json` says: where everybody is and which files prove who they are."""
    domain = plan.orderers[0].domain
    first = plan.channels[0]
    return {
        "channel": first.name,
        "chaincode_default": plan.topology.chaincode,
        "ledger": "fabric",
        "pid": pid,
        "organisations": [
            {
                "name": member.name,
                "mspid": member.mspid,
                "domain": member.domain,
                "peer": member.peer.address,
                "tls_ca": str(plan.material.peer(member.domain) / "tls" / "ca.crt"),
                "msp": str(plan.material.organisation(member.domain) / "msp"),
                "user_msp": str(plan.material.user(member.domain) / "msp"),
                "admin_msp": str(plan.material.user(member.domain, "Admin") / "msp"),
            }
            for member in plan.members(first)
        ],
        "orderer": {
            "mspid": plan.orderers[0].mspid,
            "domain": domain,
            "addresses": [node.address for node in plan.orderers],
            "tls_ca": str(plan.material.orderer(domain) / "tls" / "ca.crt"),
            "msp": str(plan.material.orderer_organisation(plan.topology.orderer.domain) / "msp"),
        },
        "genesis_block": str(plan.genesis_block(first)),
        "genesis_hash": channel.genesis_hash(plan.genesis_block(first).read_bytes()),
    }


def write_description(directory: Path, description: dict[str, object]) -> None:
    """Write `network.json` in one step, so that no reader sees half of it."""
    write_json(directory / "network.json", description)


def foreground(
    plan: Plan,
    binaries: Binaries,
    ready: Callable[[dict[str, object]], None],
    changed: Callable[[Topology, dict[str, object]], None],
    lost: Callable[[str], None],
) -> dict[str, object]:
    """Run the network until SIGTERM or Ctrl-C, and stop it; `ready` is called once, when all is served.

    While it runs it follows its topology file (`reloading`), also to start nodes again that have ended by themselves;
    `changed` is given each change that was made, `lost` the name of each node that has ended.
    """
    interrupted, asked = Signalled(signal.SIGTERM, signal.SIGINT), Signalled(reloading.SIGNAL)
    children = bring_up(plan, binaries)
    present, shown = plan, _certificates(plan)

    def look() -> None:
        nonlocal present, shown
        if not asked.take():
            return
        _forget_ended(children, lost)  # one that ended a moment ago is to be started again as well
        digest = reloading.digest_of(plan.directory)
        try:
            topology = reloading.wanted(plan.directory)
            following = extended(present, topology)
            converge(following, binaries, children)
            shown = _start_renewed(following, binaries, children, shown)
            present = following
            changed(topology, _write_running(present))
        except (NativeError, TopologyError, OSError, ValueError) as error:
            reloading.answer(plan.directory, digest, str(error))
        else:
            reloading.answer(plan.directory, digest, None)

    try:
        description = _write_running(plan)
        ready(description)
        watch(children, interrupted, look, lost)
        return description
    finally:
        take_down(plan.directory)


def _write_running(plan: Plan) -> dict[str, object]:
    description = describe(plan, os.getpid()) | {"follows_topology": True}
    write_description(plan.directory, description)
    return description


def converge(plan: Plan, binaries: Binaries, children: Children) -> None:
    """Start and join the nodes that are planned and do not run, and stop those that are left out; `children` follows.

    Raises `NativeError` after stopping what it started; what ran before goes on running.
    """
    added = [node for node in plan.nodes() if node.host not in children]
    refuse_taken_ports({f"{node.host}, listener {at}": port for node in added for at, port in _numbered(node)})
    ensure_material(plan.topology, plan.directory)
    _render(plan)
    begun: Children = {}
    try:
        for node in added:
            begun[node.host] = _start(plan, binaries, node)
        for node in added:
            for port in _awaited_ports(node):
                wait_for_port(port, who=node.host, log=plan.log(node), pid=begun[node.host])
        for node in added:
            if isinstance(node, OrdererNode):
                channel.join_orderer(plan, binaries, node)
        for member in plan.organisations:
            channel.join_peer(plan, binaries, member)
        channel.wait_until_served(plan)
    except BaseException:
        stop([plan.pid_file(node) for node in added])
        raise
    children.update(begun)
    hosts = {node.host for node in plan.nodes()}
    left = [host for host in children if host not in hosts]
    stop([plan.directory / "run" / f"{host}.pid" for host in left])
    for host in left:
        del children[host]


def _certificates(plan: Plan) -> dict[str, bytes]:
    """The TLS certificate in every node's folder, by host name."""
    return {node.host: (_tls(plan, node) / "server.crt").read_bytes() for node in plan.nodes()}


def _tls(plan: Plan, node: PeerNode | OrdererNode) -> Path:
    if isinstance(node, OrdererNode):
        return plan.material.orderer(node.domain, node.number) / "tls"
    return plan.material.peer(node.domain) / "tls"


def _start_renewed(plan: Plan, binaries: Binaries, children: Children, shown: dict[str, bytes]) -> dict[str, bytes]:
    """Start the nodes anew whose certificate is another than the one that they show, one by one; answers what is shown.

    Raises `NativeError` for one that does not come back; the others go on.
    """
    now = _certificates(plan)
    for node in plan.nodes():
        if shown.get(node.host, now[node.host]) == now[node.host]:
            continue
        del children[node.host]  # it is not missed while it is away
        stop([plan.pid_file(node)])
        children[node.host] = _start(plan, binaries, node)
        for port in _awaited_ports(node):
            wait_for_port(port, who=node.host, log=plan.log(node), pid=children[node.host])
        channel.wait_until_served(plan)
    return now


def _render(plan: Plan) -> None:
    builder = plan.directory / "fabric" / "builder"
    render.write_builder(builder)
    for organisation in plan.organisations:
        peer = organisation.peer
        render.write(plan.home(peer) / "core.yaml", render.core(plan, peer, builder))
    for node in plan.orderers:
        render.write(plan.home(node) / "orderer.yaml", render.orderer(plan, node))


def _start(plan: Plan, binaries: Binaries, node: PeerNode | OrdererNode) -> int:
    arguments = ["peer", "node", "start"] if isinstance(node, PeerNode) else ["orderer"]
    return start(
        [str(binaries.folder / arguments[0]), *arguments[1:]],
        log=plan.log(node),
        pid_file=plan.pid_file(node),
        environment={"FABRIC_CFG_PATH": str(plan.home(node)), "FABRIC_LOGGING_SPEC": plan.tuning.logging},
    )


def _awaited_ports(node: PeerNode | OrdererNode) -> tuple[int, ...]:
    if isinstance(node, PeerNode):
        return node.port, node.operations_port
    return node.port, node.admin_port, node.operations_port


def _listeners(plan: Plan) -> dict[str, int]:
    ports = {f"{node.host}, listener {index}": port for node in plan.nodes() for index, port in _numbered(node)}
    return ports | {f"{member.peer.host}, chaincode": member.peer.chaincode_port for member in plan.organisations}


def _numbered(node: PeerNode | OrdererNode) -> list[tuple[int, int]]:
    return list(enumerate(_awaited_ports(node), start=1))
