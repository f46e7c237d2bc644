# SPDX-License-Identifier: Apache-2.0
"""Two members and the ordering organisation, each on a host of its own as far as one machine can play three.

Each host has an address, a directory, a Compose project and a container network of its own; what passes between them
is join packages and what their nodes say over published ports.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from containerharness import engine
from containerharness.sites import Host, addresses

from pedigree import Pedigree

pytestmark = pytest.mark.fabric
ORGANISATIONS = ("orderer", "hospital", "lab")
NAME = "hospital-host.test"
POLICY = {
    "number": 1,
    "members": [
        {"organisation": "HospitalMSP", "roles": ["supplier"]},
        {"organisation": "LabMSP", "roles": ["auditor"]},
    ],
    "rules": [{"artifact_kind": "model-version", "threshold": 1, "required_roles": ["auditor"]}],
    "amendment_threshold": 2,
}


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, Host]]:
    """Hosts on which nothing was done yet: two known by address, and the hospital's by a name that DNS lacks."""
    with ExitStack() as closing:
        try:
            closing.enter_context(engine.running())
            engine.have_images()
        except engine.Missing as missing:
            pytest.skip(f"NOT RUN on Fabric in containers: {missing}")
        at = dict(zip(ORGANISATIONS, closing.enter_context(addresses(len(ORGANISATIONS))), strict=True))
        described = {
            "organisations": [
                {"name": name, "mspid": f"{name.capitalize()}MSP", "domain": f"{name}.example", "peer": "127.0.0.1:0"}
                for name in ORGANISATIONS[1:]
            ],
            "orderer": {"addresses": ["127.0.0.1:0"]},
        }
        topology = tmp_path / "consortium.json"
        topology.write_text(json.dumps(described), encoding="utf-8")
        common = ("--topology", str(topology), "--resolve", f"{NAME}={at['hospital']}")
        found = {}
        for name in ORGANISATIONS:
            own = ("--host", NAME, "--listen", at[name]) if name == "hospital" else ("--host", at[name])
            found[name] = Host(name, tmp_path / name, (*common, *own))
        closing.callback(take_down, found.values())
        yield found


def take_down(hosts: Iterable[Host]) -> None:
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(host.down) for host in hosts]:
            done.result()


def exchange(hosts: dict[str, Host]) -> None:
    """Every operator makes keys, and takes the packages of all the others."""
    said = {name: host.start() for name, host in hosts.items()}
    for name, host in hosts.items():
        assert set(said[name]["missing"]) == set(ORGANISATIONS) - {name}
        for other in set(ORGANISATIONS) - {name}:
            host.take(said[other]["package"], said[other]["fingerprint"])
            assert "PRIVATE KEY" not in Path(said[other]["package"]).read_text(encoding="ascii")


def test_sites_found_a_consortium_by_join_packages_and_endorse_for_one_another(hosts: dict[str, Host]) -> None:
    started = time.monotonic()
    exchange(hosts)
    alone = hosts["lab"].up()
    assert (alone.returncode, json.loads(alone.stdout)["missing"]) == (3, []), alone.stderr
    assert "the orderers do not serve channel pedigree" in json.loads(alone.stdout)["waiting"]
    running = {name: host.begin("--wait", "180") for name, host in hosts.items()}
    blocks = set()
    for name, process in running.items():
        out, complaint = process.communicate(timeout=240)
        assert process.returncode == 0, f"{name}: {complaint}"
        blocks.add(json.loads(out)["first_blocks"]["pedigree"])
    assert len(blocks) == 1
    print(f"\nthree sites: {time.monotonic() - started:.1f} s from nothing to a transaction")
    for name, host in hosts.items():
        keys = [
            path for path in (host.directory / "organizations").rglob("*") if path.name in ("priv_sk", "server.key")
        ]
        assert keys
        assert all(f"{name}.example" in path.parts[len(host.directory.parts) + 2] for path in keys)
    record_through_two_gateways(hosts)
    look_after(hosts)


def record_through_two_gateways(hosts: dict[str, Host]) -> None:
    clients = {}
    with ExitStack() as closing:
        for name in ORGANISATIONS[1:]:
            (own,) = hosts[name].network["organisations"]
            clients[name] = closing.enter_context(Pedigree(own["gateway"], hosts[name].key()))
        for client in clients.values():
            client.set_policy(**POLICY)  # type: ignore[arg-type]
        recorded = clients["hospital"].register_model("shared", title="Seen at the other site", task="classification")
        clients["lab"].at_least(recorded.height)
        assert clients["lab"].model("shared")["record"]["title"] == "Seen at the other site"
        answered = clients["lab"].register_model("second", title="From the lab", task="classification")
    for seen_by in ORGANISATIONS[1:]:
        for transaction in (recorded, answered):
            found = hosts[seen_by].endorsers(transaction.transaction_id)
            assert found == ("VALID", {"HospitalMSP", "LabMSP"})


def look_after(hosts: dict[str, Host]) -> None:
    """Published where the others look and nowhere else; a second `up` changes nothing; verbs know their bounds."""
    lab = hosts["lab"]
    address = lab.network["organisations"][0]["peer"].partition(":")[0]
    assert lab.published() == {
        "ca.lab.example": {"127.0.0.1"},
        "chaincode.lab.example": set(),
        "gateway.lab.example": {"127.0.0.1"},
        "peer0.lab.example": {address, "127.0.0.1"},
    }
    before = lab.containers()
    again = lab.up()
    assert again.returncode == 0, again.stderr
    assert lab.containers() == before
    for verb, name in (("status", "lab"), ("doctor", "lab"), ("doctor", "orderer")):
        done = engine.ours("pedigree-network", verb, "--dir", str(hosts[name].directory))
        assert done.returncode == 0, f"{verb} of {name}: {done.stdout}{done.stderr}"
    refused = engine.ours("pedigree-network", "remove-org", "hospital", "--dir", str(lab.directory))
    assert refused.returncode == 1
    assert "is one organisation's part" in refused.stderr
