# SPDX-License-Identifier: Apache-2.0
"""`rotate-tls` on Fabric's own programs as local processes; skipped, loudly, where there are none."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from network.material import Material
from network.native import NativeError
from network.native.processes import Binaries
from network.operations.tlsrotation import JOURNAL, is_unfinished
from network.presented import presented
from network.running import description
from network.topology import Endpoint

try:
    Binaries.find()
    MISSING = ""
except NativeError as error:
    MISSING = str(error)

pytestmark = [
    pytest.mark.fabric,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"rotate-tls is NOT tried on Fabric: {MISSING}"),
]


def shown(directory: Path, organisation: str) -> dict[str, x509.Certificate]:
    """What the servers of an organisation show."""
    described, material = description(directory), Material(directory / "organizations")
    orderer, client = described["orderer"], material.user("lab.example", "Admin") / "tls"
    if organisation == orderer["domain"]:
        names = {f"orderer{number}.{organisation}": at for number, at in enumerate(orderer["addresses"], 1)}
        named = {name: Endpoint.parse(at) for name, at in names.items()}
        root = material.orderer_tls_ca(organisation)
    else:
        (entry,) = [each for each in described["organisations"] if each["domain"] == organisation]
        named, root = {f"peer0.{organisation}": Endpoint.parse(entry["peer"])}, material.tls_ca(organisation)
    return {name: presented(endpoint, name, root, client) for name, endpoint in named.items()}


def sequence(run: Any, directory: Path) -> int:
    return int(json.loads(run("config", "show", "--dir", directory, "--json").stdout)["sequence"])


@pytest.mark.parametrize("organisation", ["lab.example", "orderer.example"])
def test_each_node_shows_another_certificate_and_the_channel_goes_on(organisation: str, fabric: Path, run: Any) -> None:
    before, former = shown(fabric, organisation), sequence(run, fabric)
    done = run("rotate-tls", "--org", organisation, "--dir", fabric, "--json")
    assert done.exit_code == 0, done.output
    after = shown(fabric, organisation)
    assert after.keys() == before.keys()
    assert set(after) <= set(json.loads(done.stdout)["renewed"])
    assert not [name for name in before if after[name].public_key() == before[name].public_key()]
    of_orderers = len(after) if organisation == "orderer.example" else 0
    assert sequence(run, fabric) == former + of_orderers, "one change of the channel for each consenter"
    assert not is_unfinished(fabric)
    assert run("status", "--dir", fabric).exit_code == 0


def test_killed_while_an_orderer_is_between_two_certificates_it_is_finished_by_asking_again(
    fabric: Path, run: Any
) -> None:
    before = shown(fabric, "orderer.example")
    command = [sys.executable, "-m", "network.cli", "rotate-tls", "--org", "orderer.example", "--dir", str(fabric)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as rotating:
        give_up = time.monotonic() + 60
        while not (fabric / JOURNAL).exists():  # the first node's turn has begun
            assert time.monotonic() < give_up
            time.sleep(0.01)
        time.sleep(0.5)
        os.kill(rotating.pid, signal.SIGKILL)
    assert is_unfinished(fabric)
    assert "the renewal of TLS certificates is at work, or was interrupted" in run("doctor", "--dir", fabric).output
    done = run("rotate-tls", "--org", "orderer.example", "--dir", fabric)
    assert done.exit_code == 0, done.output
    after = shown(fabric, "orderer.example")
    assert not [name for name in before if after[name].public_key() == before[name].public_key()]
    assert not is_unfinished(fabric)
