# SPDX-License-Identifier: Apache-2.0
"""A consortium that runs in containers already, as `pedigree-network up --run-as containers` left it."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from gateway.demo.processes import StartFailed, command
from pedigree import Pedigree

_LONGEST = 300.0


class Containers:
    """Plays on a network that others may use too: nothing of it is emptied, and it is left running."""

    shared = True
    ca_certificate = None
    ledger = "fabric"

    def __init__(self, network: Path, directory: Path) -> None:
        """`network` is the network's directory, `directory` the demonstration's own."""
        self._network = network
        self.directory = directory

    @classmethod
    def find(cls, network: Path, directory: Path) -> Containers | None:
        """The consortium of a network's directory, None unless containers of it run now."""
        found = cls(network, directory)
        if not (network / "network.json").exists() or shutil.which("docker") is None:
            return None
        described = found.network()
        if described.get("ledger") != "fabric" or described.get("run_as") != "containers":
            return None
        return found if found._running() else None

    def start(self) -> None:
        """Bring up what does not run, and wait until all of it serves; raises `StartFailed`."""
        arguments = ["up", "--ledger", "fabric", "--run-as", "containers", "--dir", str(self._network)]
        _output([command("pedigree-network"), *arguments])

    def kill(self) -> None:
        """End every container at once with SIGKILL."""
        running = self._running()
        if running:
            _output(["docker", "kill", *running])

    def stop(self) -> None:
        """Leave it running; `make network-down` stops it."""

    def remember(self) -> None:
        """Nothing to remember: the engine knows what runs."""

    def url(self, name: str) -> str:
        """Where an organisation's gateway answers."""
        return str(self._organisation(name)["gateway"])

    def client(self, name: str) -> Pedigree:
        """An application of the organisation's, with a key of its own that may do everything."""
        return Pedigree(self.url(name), key=self.key(name))

    def network(self) -> dict[str, Any]:
        """What the network says of itself."""
        found: dict[str, Any] = json.loads((self._network / "network.json").read_text(encoding="utf-8"))
        return found

    def data(self, name: str) -> Path:
        """A gateway's own data, as this machine has it."""
        return self._network / "gateways" / name

    def fsck(self) -> str:
        """Fabric's peers check their own ledgers; there is nothing to recompute from here."""
        raise StartFailed("the ledgers of containers are their peers' own")

    def _organisation(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.network()["organisations"]
        for entry in found:
            if entry["name"] == name:
                return entry
        known = ", ".join(entry["name"] for entry in found)
        raise StartFailed(f"the demonstration plays with hospital, lab and regulator; {self._network} has {known}")

    def _running(self) -> list[str]:
        label = f"label=com.docker.compose.project={self.network()['compose_project']}"
        return _output(["docker", "ps", "--quiet", "--filter", label]).split()

    def key(self, name: str) -> str:
        """The demonstration's key for one gateway, issued inside its container on first use."""
        kept = self.directory / "keys" / name
        if not kept.exists():
            gateway = f"gateway.{self._organisation(name)['domain']}"
            inside = ["exec", "-T", gateway, "pedigree", "keys", "add", f"demo-{secrets.token_hex(4)}"]
            described = self.network()
            project = ["--project-name", described["compose_project"], "--file", described["compose"]]
            made = _output(["docker", "compose", *project, *inside, "--role", "operator", "--data", "/data"])
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept.touch(mode=0o600)
            kept.write_text(made.strip().splitlines()[-1], encoding="utf-8")
        return kept.read_text(encoding="utf-8")


def _output(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_LONGEST)  # noqa: S603
    except subprocess.TimeoutExpired as expired:
        raise StartFailed(f"{' '.join(argv[:3])} did not end within {_LONGEST:.0f} s") from expired
    if done.returncode != 0:
        raise StartFailed(f"{' '.join(argv[:3])} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
