# SPDX-License-Identifier: Apache-2.0
"""Hosts that this machine plays, each with an address and a directory of its own, and what operators do on them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import transaction_pb2

from containerharness import engine
from network import overview


@contextlib.contextmanager
def addresses(count: int) -> Iterator[list[str]]:
    """So many addresses of this machine that containers reach: those of networks which exist for that alone."""
    made: list[str] = []
    try:
        for number in range(count):
            name = f"pedigree-host-{os.getpid()}-{number}"
            engine.done("network", "create", name)
            made.append(name)
        yield [engine.done("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", at) for at in made]
    finally:
        for name in made:
            engine.docker("network", "rm", name)


@dataclass(frozen=True)
class Host:
    """One organisation's host."""

    organisation: str
    directory: Path
    options: tuple[str, ...]

    def up(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command to its end."""
        done: subprocess.CompletedProcess[str] = engine.ours("pedigree-network", *self._up(*more))
        return done

    def begin(self, *more: str) -> subprocess.Popen[str]:
        """Run it while the others run theirs."""
        program = str(Path(sys.executable).with_name("pedigree-network"))
        return subprocess.Popen(
            [program, *self._up(*more)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def _up(self, *more: str) -> Sequence[str]:
        return ["up", "--json", "--dir", str(self.directory), *more]

    def start(self) -> dict[str, Any]:
        """The first run, which makes keys and a package and then waits for the others' packages."""
        done = self.up("--org", self.organisation, *self.options)
        assert done.returncode == 3, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def take(self, package: str, fingerprint: str) -> None:
        arguments = ["import-msp", package, "--fingerprint", fingerprint, "--dir", str(self.directory)]
        done = engine.ours("pedigree-network", *arguments)
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        """Take it down by the product's own command, and hold it to having left nothing."""
        done = engine.ours("pedigree-network", "down", "--dir", str(self.directory))
        left = engine.docker("ps", "--all", "--quiet", "--filter", f"label=pedigree.directory={self.directory}")
        assert done.returncode == 0, done.stderr
        assert left.stdout.strip() == "", "down left containers behind"

    def containers(self) -> dict[str, str]:
        """The id of every container by its name."""
        form = '{{.Label "com.docker.compose.service"}} {{.ID}}'
        label = f"label=pedigree.directory={self.directory}"
        listed = engine.done("ps", "--no-trunc", "--filter", label, "--format", form)
        return dict(line.split(" ", 1) for line in listed.splitlines())

    def published(self) -> dict[str, set[str]]:
        """The addresses on which each container is published, by its name."""
        found = {}
        for name, identifier in self.containers().items():
            bound = json.loads(engine.done("inspect", "--format", "{{json .HostConfig.PortBindings}}", identifier))
            found[name] = {each["HostIp"] for bindings in (bound or {}).values() for each in bindings}
        return found

    @property
    def network(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "network.json").read_text(encoding="utf-8"))
        return found

    def key(self) -> str:
        """A key of this host's gateway, issued inside its container."""
        gateway = next(identifier for name, identifier in self.containers().items() if name.startswith("gateway."))
        issued = engine.done(
            *["exec", gateway, "pedigree", "keys", "add", "test", "--role", "operator", "--data", "/data"]
        )
        return re.split(r"\s+", issued)[-1]

    def endorsers(self, transaction_id: str) -> tuple[str, set[str]]:
        """What this host's own peer found of a transaction, and whose peers endorsed it."""
        channel = self.network["channel"].encode()
        with overview.administrators(self.network) as (own,):
            answer = own.query(channel.decode(), "qscc", b"GetTransactionByID", channel, transaction_id.encode())
        processed = transaction_pb2.ProcessedTransaction.FromString(answer)
        payload = common_pb2.Payload.FromString(processed.transactionEnvelope.payload)
        (action,) = transaction_pb2.Transaction.FromString(payload.data).actions
        endorsed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload).action
        found = {identities_pb2.SerializedIdentity.FromString(each.endorser).mspid for each in endorsed.endorsements}
        return transaction_pb2.TxValidationCode.Name(processed.validationCode), found
