# SPDX-License-Identifier: Apache-2.0
"""Three organisations on one machine: a network, and one chaincode process and one gateway for each of them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gateway.demo import authority
from gateway.demo.processes import Program, StartFailed, command, started_at
from gateway.demo.witnesses import log_policy
from pedigree import Pedigree

CHAINCODE = "pedigree"
ORGANISATIONS = {"hospital": "HospitalMSP", "lab": "LabMSP", "regulator": "RegulatorMSP"}
POLICY = "OutOf(2,'HospitalMSP.peer','LabMSP.peer','RegulatorMSP.peer')"
"""Two of three organisations' peers: no organisation writes alone, and none can block the others."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where an organisation's own programs listen; all on 127.0.0.1."""

    chaincode: int
    gateway: int
    health: int


DEFAULT_PORTS = {
    "hospital": Ports(7061, 8101, 8111),
    "lab": Ports(8061, 8102, 8112),
    "regulator": Ports(9061, 8103, 8113),
}


_DEPLOYED = "deployed.json"
"""What was deployed and where; a start after the first one goes by it, as the ledger does."""
_ANY_PORT = (20_000, 32_000)
USUAL_NETWORK_PORTS = (7050, 7051, 7052, 8051, 8052, 9051, 9052)


def usual_ports_are_free() -> bool:
    """Whether nothing listens where the consortium usually does."""
    own = [port for ports in DEFAULT_PORTS.values() for port in (ports.chaincode, ports.gateway, ports.health)]
    return not any(listens(port) for port in (*own, *USUAL_NETWORK_PORTS))


def free_ports() -> dict[str, Ports]:
    """Ports that are free now, for tests that run beside one another."""
    with held_ports(3 * len(ORGANISATIONS)) as numbers:
        return {name: Ports(*numbers[3 * i : 3 * i + 3]) for i, name in enumerate(ORGANISATIONS)}


@contextmanager
def held_ports(count: int) -> Iterator[list[int]]:
    """Hold `count` ports together, so that no two of them are the same.

    Not of those that the system gives to outgoing connections: one of them could be taken while a program is started
    again.
    """
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            _bind_anywhere(one)
        yield [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _bind_anywhere(one: socket.socket) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):  # it is taken; try another
            one.bind(("127.0.0.1", random.randrange(*_ANY_PORT)))  # noqa: S311  # no secret
            return
    raise StartFailed("no free port was found")


def listens(port: int) -> bool:
    """Whether something accepts connections at a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Consortium:
    """The programs below one directory; `start` works on a fresh directory and on one that was killed."""

    shared = False

    def __init__(self, directory: Path, ledger: str, *, any_port: bool = False, tls: bool = False) -> None:
        """Assign.

        Args:
            tls: whether the gateways are spoken to over TLS.
        """
        self.directory = directory
        self._tls = directory / "tls" if tls else None
        self.ledger = ledger
        self.ports = free_ports() if any_port else DEFAULT_PORTS
        self._any_port = any_port
        self._running = directory / "running.json"
        self._programs: list[Program] = []

    def start(self) -> None:
        """Bring everything up: the network, the chaincodes, the deployment, the gateways; raises StartFailed.

        What does not wait for something else is started beside it.
        """
        self._refuse_taken_ports()
        for folder in (self.directory.parent, self.directory):
            folder.mkdir(mode=0o700, exist_ok=True)
        packages = self._deployed()
        with ThreadPoolExecutor(len(ORGANISATIONS)) as beside:
            keys = [beside.submit(self.key, name) for name in ORGANISATIONS]
            chaincodes = [] if packages is None else self._launch_chaincodes(packages)
            self._start_network()
            for each in keys:
                each.result()
        gateways = [self._launch_gateway(name) for name in ORGANISATIONS]
        if packages is None:
            chaincodes = self._launch_chaincodes(self._deploy())
        for name, program in zip(ORGANISATIONS, chaincodes, strict=True):
            program.wait_until(partial(listens, self.ports[name].chaincode), within=30)
        for name, program in zip(ORGANISATIONS, gateways, strict=True):
            program.wait_until(partial(ready, self.ports[name].health), within=60)
        if packages is None:
            self._agree_on_witnesses()

    def _deployed(self) -> dict[str, str] | None:
        """The package ids of an earlier start, by MSP id; None where nothing is deployed for these addresses yet."""
        try:
            kept = json.loads((self.directory / _DEPLOYED).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        found: dict[str, str] = kept["package_ids"]
        return found if kept["addresses"] == self._addresses() else None

    def _deploy(self) -> dict[str, str]:
        """Deploy the chaincode at the addresses where it is to listen; the package ids, by MSP id."""
        addresses = self._addresses()
        done = json.loads(self._run("deploy", CHAINCODE, *addresses, "--policy", POLICY, "--json"))
        found: dict[str, str] = done["package_ids"]
        kept = json.dumps({"addresses": addresses, "package_ids": found})
        (self.directory / _DEPLOYED).write_text(kept, encoding="utf-8")
        return found

    @property
    def programs(self) -> Sequence[Program]:
        """What was started, in this order."""
        return tuple(self._programs)

    def kill(self) -> None:
        """End every program at once with SIGKILL."""
        for program in self._programs:
            program.kill()
        for kept in (self.directory / "run").glob("*.pid"):  # Fabric's own programs, in sessions of their own
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(kept.read_text(encoding="utf-8").split()[0]), signal.SIGKILL)
        self._wait_for_free_ports()
        self._programs.clear()

    def stop(self) -> None:
        """End every program in the reverse order of its start."""
        for program in reversed(self._programs):
            program.terminate()
        for program in reversed(self._programs):
            program.stop()
        self._programs.clear()
        self._running.unlink(missing_ok=True)

    def is_kept(self) -> bool:
        """Whether a demonstration was left here on purpose, is under way, or was killed."""
        return self._running.exists()

    def left_running(self) -> dict[str, int]:
        """The programs of an earlier or another demonstration here that still run, and their process groups."""
        try:
            kept: dict[str, list[Any]] = json.loads(self._running.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {name: pid for name, (pid, began) in kept.items() if began and started_at(pid) == began}

    def stop_left_running(self) -> int:
        """Stop what an earlier demonstration left running; returns how many programs there were."""
        groups = self.left_running()
        end_groups(reversed(groups.values()), within=20)
        self._running.unlink(missing_ok=True)
        return len(groups)

    def url(self, name: str) -> str:
        """Where an organisation's gateway answers."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.ports[name].gateway}"

    @property
    def ca_certificate(self) -> Path | None:
        """What the gateways' certificates lead to; None where they are spoken to without TLS."""
        return None if self._tls is None else self._tls / "authority.crt"

    def client(self, name: str) -> Pedigree:
        """An application of the organisation's, with a key of its own that may do everything."""
        return Pedigree(self.url(name), key=self.key(name), ca_certificate=self.ca_certificate)

    def network(self) -> dict[str, Any]:
        """What the network says of itself."""
        found: dict[str, Any] = json.loads((self.directory / "network.json").read_text(encoding="utf-8"))
        return found

    def fsck(self) -> str:
        """Recompute the whole ledger from its blocks; returns the report, raises StartFailed when it is not clean.

        Fabric's peers keep their own ledgers: there each organisation judges the blocks that its peer delivers.
        """
        if self.ledger == "embedded":
            return self._run("fsck")
        return "".join(self._output([command("pedigree"), "fsck", *self._gateway_of(name)]) for name in self.ports)

    def _wait_for_free_ports(self) -> None:
        """A killed process group is gone at once; its sockets, as soon as the kernel has buried every member."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(
            listens(port) for one in self.ports.values() for port in (one.chaincode, one.gateway, one.health)
        ):
            time.sleep(0.02)

    def _agree_on_witnesses(self) -> None:
        """Give every gateway the policy of all three logs, two of whose organisations must cosign; they run already."""
        with contextlib.ExitStack() as clients:
            members = {name: (self.url(name), clients.enter_context(self.client(name))) for name in ORGANISATIONS}
            policy = log_policy(members, threshold=2)
        for name in ORGANISATIONS:
            kept = self.data(name) / "log-policy"
            written = kept.with_suffix(".new")
            written.write_text(policy, encoding="utf-8")
            written.replace(kept)  # the gateway reads it whenever it is there

    def _refuse_taken_ports(self) -> None:
        for name, ports in self.ports.items():
            for port in (ports.chaincode, ports.gateway, ports.health):
                if listens(port):
                    raise StartFailed(f"port {port}, which {name} needs, is in use; stop what listens there")

    def _start_network(self) -> None:
        ready_file = self.directory / "network.json"
        ready_file.unlink(missing_ok=True)
        topology = self._topology() if self._any_port else []
        network = self._launch(
            "network",
            [command("pedigree-network"), "up", "--ledger", self.ledger, "--dir", str(self.directory), *topology],
        )
        network.wait_until(ready_file.exists, within=60)

    def _topology(self) -> list[str]:
        """A description of the three organisations that leaves every port to the network."""
        described = {
            "organisations": [
                {"name": name, "mspid": msp_id, "domain": f"{name}.example", "peer": "127.0.0.1:0"}
                for name, msp_id in ORGANISATIONS.items()
            ],
            "orderer": {"addresses": ["127.0.0.1:0"] * (3 if self.ledger == "fabric" else 1)},
            "channels": [{"name": "pedigree"}],
        }
        path = self.directory / "topology.json"
        if not path.exists():  # a second start keeps the first one's ports
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(described), encoding="utf-8")
        return ["--topology", str(path)]

    def _addresses(self) -> list[str]:
        return [
            argument
            for name, msp_id in ORGANISATIONS.items()
            for argument in ("--address", f"{msp_id}=127.0.0.1:{self.ports[name].chaincode}")
        ]

    def _launch_chaincodes(self, packages: dict[str, str]) -> list[Program]:
        return [self._launch_chaincode(name, packages[msp_id]) for name, msp_id in ORGANISATIONS.items()]

    def _launch_chaincode(self, name: str, package: str) -> Program:
        return self._launch(
            f"chaincode-{name}",
            [command("python"), "-m", "chaincode"],
            {
                "CHAINCODE_SERVER_ADDRESS": f"127.0.0.1:{self.ports[name].chaincode}",
                "CHAINCODE_ID": package,
                "CORE_PEER_LOCALMSPID": ORGANISATIONS[name],
                "PEDIGREE_FOUNDERS": ",".join(ORGANISATIONS.values()),
            },
        )

    def _launch_gateway(self, name: str) -> Program:
        ports = self.ports[name]
        return self._launch(
            f"gateway-{name}",
            [
                *[command("pedigree"), "serve", *self._gateway_of(name)],
                *["--port", str(ports.gateway), "--health-port", str(ports.health)],
                *self._door(),
            ],
            # They ask one another as witnesses.
            None if self._tls is None else {"SSL_CERT_FILE": str(self.ca_certificate)},
        )

    def _door(self) -> list[str]:
        if self._tls is None:
            return []
        authority.make(self._tls)
        return ["--tls-certificate", str(self._tls / "server.crt"), "--tls-key", str(self._tls / "server.key")]

    def _gateway_of(self, name: str) -> list[str]:
        network = self.directory / "network.json"
        return ["--network", str(network), "--organisation", name, "--data", str(self.data(name))]

    def key(self, name: str) -> str:
        """The demonstration's key for one gateway, made on first use and kept beside the gateway's data."""
        data = self.data(name)
        kept = data / "demo.key"
        if not kept.exists():
            before = [] if data.exists() else ["--new"]
            made = self._output(
                [command("pedigree"), "keys", "add", "demo", "--role", "operator", "--data", str(data), *before]
            )
            kept.touch(mode=0o600)
            kept.write_text(made.strip().splitlines()[-1], encoding="utf-8")
        return kept.read_text(encoding="utf-8")

    def data(self, name: str) -> Path:
        """A gateway's own data."""
        return self.directory / "gateways" / name

    def _launch(self, name: str, argv: list[str], env: dict[str, str] | None = None) -> Program:
        program = Program(name, argv, self.directory / "logs" / f"{name}.log", env or {})
        self._programs.append(program)
        program.start()
        self._remember()
        return program

    def _remember(self) -> None:
        """Write down which process groups run, and since when: a demonstration that is killed leaves them behind."""
        groups = {one.name: one.process.pid for one in self._programs if one.process is not None}
        kept = {name: [pid, started_at(pid)] for name, pid in groups.items()}
        self._running.write_text(json.dumps(kept), encoding="utf-8")

    def _run(self, verb: str, *arguments: str) -> str:
        return self._output([command("pedigree-network"), verb, *arguments, "--dir", str(self.directory)])

    def _output(self, argv: list[str]) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603  # our own commands
        if done.returncode != 0:
            raise StartFailed(f"{' '.join(argv[:2])} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def end_groups(groups: Iterable[int], within: float) -> None:
    """Ask process groups to end, and end by force those that have not after `within` seconds."""
    left = set(groups)
    for number, patience in ((signal.SIGTERM, within), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        for group in list(left):
            _signal_group(group, number, left)
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            for group in list(left):
                _signal_group(group, 0, left)


def _signal_group(group: int, number: int, left: set[int]) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        left.discard(group)


def ready(port: int) -> bool:
    """Whether a gateway's health port says that it follows the ledger."""
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(request)
            return b" 200 " in connection.recv(64)
    except OSError:
        return False
