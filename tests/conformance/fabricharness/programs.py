# SPDX-License-Identifier: Apache-2.0
"""Processes of chaincode, started by the suite beside the network under test."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from fabricharness import lifecycle
from fabricharness.ledgers import REPOSITORY

LOOPBACK = "127.0.0.1"


@dataclass
class Program:
    """One organisation's process of a chaincode package."""

    mspid: str
    label: str
    command: tuple[str, ...]
    log: Path
    host: str
    """The address at which the organisation's peer finds it."""
    port: int
    tls: Path | None = None
    """The folder of the keys with which it and the peer prove themselves, where the network runs on mutual TLS."""
    package_id: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def on_free_port(
        cls, mspid: str, label: str, command: tuple[str, ...], log: Path, host: str, tls: Path | None
    ) -> "Program":
        with socket.socket() as probe:
            probe.bind((host, 0))
            return cls(mspid, label, command, log, host, probe.getsockname()[1], tls)

    @property
    def package(self) -> bytes:
        return lifecycle.package(self.label, f"{self.host}:{self.port}", self.tls)

    def start(self) -> None:
        self.package_id = lifecycle.package_id(self.package, self.label)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                env=os.environ | self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_until_listening()

    def _environment(self) -> dict[str, str]:
        """In the variables of our runtime, and of the Node runtime where that has names of its own."""
        found = {
            "PYTHONPATH": str(REPOSITORY),
            "CHAINCODE_SERVER_ADDRESS": f"{self.host}:{self.port}",
            "CHAINCODE_ID": self.package_id,
            "CORE_PEER_LOCALMSPID": self.mspid,
        }
        if self.tls is not None:
            files = {"CERT": "server.crt", "KEY": "server.key", "CLIENT_CACERT": "ca.crt"}
            for variable, name in files.items():
                found[f"CHAINCODE_TLS_{variable}_FILE"] = str(self.tls / name)
                found[f"CORE_CHAINCODE_TLS_{variable}_FILE"] = str(self.tls / name)
        return found

    def wait_until_listening(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError(f"chaincode {self.label} did not start:\n{self.log.read_text()[-3000:]}")

    def wait_until_gone(self) -> None:
        assert self.process is not None
        self.process.wait(timeout=10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
