# SPDX-License-Identifier: Apache-2.0
"""The consortium in containers as the tests see it: brought up by the product, and each node broken at will."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testcontainers.compose import DockerCompose

from containerharness import engine
from gateway.demo.consortium import held_ports
from gateway.demo.founding import FOUNDING_POLICY
from pedigree import Pedigree

ORGANISATIONS = ("hospital", "lab", "regulator")
_TRIES = 20
_LEDGER_BYTES = 192 * 1024 * 1024
_LEADER = re.compile(r'^consensus_etcdraft_is_leader\{[^}]*channel="([^"]+)"[^}]*\} 1$', re.MULTILINE)


@dataclass
class Consortium:
    """A network of containers on a directory of its own, with every port free."""

    directory: Path
    keys: dict[str, str] = field(default_factory=dict)
    described: Mapping[str, Any] | None = None
    """The topology, where it is not that of three organisations and one channel."""
    small: Path | None = None
    """The lab's peer's ledger folder where it is a small file system of its own, so that it can be filled."""
    _issuing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def compose(self) -> DockerCompose:
        """The rendered description, as testcontainers drives it."""
        return DockerCompose(self.directory, "compose.yaml", keep_volumes=True)

    def up(self) -> float:
        """Bring it up by the product's own command; answers the seconds that it took."""
        started = time.monotonic()
        arguments = ["up", "--ledger", "fabric", "--run-as", "containers", "--dir", str(self.directory)]
        if not (self.directory / "network.json").exists():
            self._choose_ports()
            arguments += ["--topology", str(self._topology())]
        done = engine.ours("pedigree-network", *arguments, within=300)
        assert done.returncode == 0, f"up failed: {done.stderr}"
        return time.monotonic() - started

    def down(self) -> None:
        """Take it down by the product's own command, and hold it to having left nothing."""
        done = engine.ours("pedigree-network", "down", "--dir", str(self.directory))
        left = engine.docker("ps", "--all", "--quiet", "--filter", f"label=pedigree.directory={self.directory}")
        if done.returncode != 0 or left.stdout.strip():
            self.compose.stop()
        assert done.returncode == 0, f"down failed: {done.stderr}"
        assert left.stdout.strip() == "", "down left containers behind"

    @property
    def network(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "network.json").read_text(encoding="utf-8"))
        return found

    def organisation(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.network["organisations"] if one["name"] == name)
        return found

    def key(self, name: str) -> str:
        """A key of an organisation's gateway, issued inside its container."""
        with self._issuing:
            if name not in self.keys:
                gateway = f"gateway.{self.organisation(name)['domain']}"
                command = ["pedigree", "keys", "add", "faults", "--role", "operator", "--data", "/data"]
                printed, complaint, code = self.compose.exec_in_container(command, gateway)
                assert code == 0, complaint
                self.keys[name] = printed.strip().splitlines()[-1]
            return self.keys[name]

    def client(self, name: str, **options: Any) -> Pedigree:
        return Pedigree(self.organisation(name)["gateway"], self.key(name), **options)

    def found(self) -> None:
        """Vote for the policy without which nothing is recorded, unless one is in force."""
        with self.client("hospital") as hospital, self.client("regulator") as regulator:
            if not hospital.policies()["items"]:
                hospital.set_policy(**FOUNDING_POLICY)
                regulator.set_policy(**FOUNDING_POLICY)

    def node(self, name: str) -> Node:
        return Node(self, name)

    def orderers(self) -> list[str]:
        count = len(self.network["orderer"]["addresses"])
        return [f"orderer{number}.{self.network['orderer']['domain']}" for number in range(1, count + 1)]

    def leader(self, within: float = 30.0) -> str:
        """The name of the Raft leader, from the orderers' own metrics."""
        give_up = time.monotonic() + within
        while time.monotonic() < give_up:
            for name, address in zip(self.orderers(), self.network["orderer"]["operations"], strict=True):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/metrics", timeout=2) as answer:
                    if self.network["channel"] in _LEADER.findall(answer.read().decode()):
                        return name
            time.sleep(0.2)
        raise AssertionError("no orderer leads the channel")

    def follower(self) -> str:
        leading = self.leader()
        return next(name for name in self.orderers() if name != leading)

    def wait_until_healthy(self, within: float = 60.0) -> None:
        """Wait until every gateway follows the ledger and every container runs."""
        give_up = time.monotonic() + within
        while (trouble := self._trouble()) is not None:
            assert time.monotonic() < give_up, trouble
            time.sleep(0.2)

    def _trouble(self) -> str | None:
        for one in self.network["organisations"]:
            try:
                with urllib.request.urlopen(f"{one['gateway_health']}/readyz", timeout=2):
                    pass
            except OSError as error:
                return f"the gateway of {one['name']} is not ready: {error}"
        return None

    def _choose_ports(self) -> None:
        """Ports for the gateways that are free now: by themselves they would take the usual ones."""
        names = [f"gateway.{name}.example{of}" for name in ORGANISATIONS for of in ("", "/health")]
        with held_ports(len(names)) as ports:
            kept = dict(zip(names, ports, strict=True))
        path = self.directory / "containers" / "ports.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps(kept), encoding="ascii")

    def _topology(self) -> Path:
        described = self.described or {
            "organisations": [
                {"name": name, "mspid": f"{name.capitalize()}MSP", "domain": f"{name}.example", "peer": "127.0.0.1:0"}
                for name in ORGANISATIONS
            ],
            "orderer": {"addresses": ["127.0.0.1:0"] * 3},
            "channels": [{"name": "pedigree"}],
        }
        path = self.directory.with_name("topology.json")
        path.write_text(json.dumps(described), encoding="utf-8")
        return path


@dataclass(frozen=True)
class Node:
    """One container, and the ways in which it can fail."""

    consortium: Consortium
    name: str

    @property
    def id(self) -> str:
        project = f"label=com.docker.compose.project={self.consortium.network['compose_project']}"
        service = f"label=com.docker.compose.service={self.name}"
        found = engine.done("ps", "--all", "--quiet", "--no-trunc", "--filter", project, "--filter", service).split()
        assert len(found) == 1, f"{self.name} has {len(found)} containers"
        return found[0]

    def inspect(self, form: str) -> str:
        return engine.done("inspect", "--format", form, self.id)

    @property
    def starts(self) -> tuple[str, str]:
        """Changes whenever the process is another one."""
        return self.inspect("{{.State.StartedAt}}"), self.inspect("{{.RestartCount}}")

    def crash(self) -> None:
        """SIGKILL to its process, which the engine then starts again by the restart policy that the product set.

        Only root sees that process; for others the engine kills it, and takes that for an order to leave it down.
        """
        if os.geteuid() == 0:
            os.kill(int(self.inspect("{{.State.Pid}}")), signal.SIGKILL)
        else:
            engine.done("kill", "--signal", "KILL", self.id)
            engine.done("start", self.id)

    def restart(self) -> None:
        """An operator's restart: SIGTERM, and a new process."""
        engine.done("restart", "--time", "20", self.id)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Frozen, with its connections left open; the engine's `pause` stops every process as SIGSTOP does."""
        identifier = self.id
        for attempt in range(_TRIES):  # the kernel may refuse to freeze a process in the middle of a system call
            frozen = engine.docker("pause", identifier)
            if frozen.returncode == 0:
                break
            assert attempt < _TRIES - 1, frozen.stderr
            time.sleep(0.2)
        try:
            yield
        finally:
            engine.done("unpause", identifier)

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """Running, and on no network."""
        identifier = self.id
        networks: Mapping[str, Any] = json.loads(self.inspect("{{json .NetworkSettings.Networks}}"))
        ((network, _),) = networks.items()
        engine.done("network", "disconnect", network, identifier)
        try:
            yield
        finally:
            engine.done("network", "connect", "--alias", self.name, network, identifier)


@contextlib.contextmanager
def small_disk(folder: Path, size: int = _LEDGER_BYTES) -> Iterator[Path | None]:
    """A file system of `size` bytes at `folder`; None where this process may not mount one."""
    if os.geteuid() != 0:
        yield None
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "pedigree-ledger", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)
