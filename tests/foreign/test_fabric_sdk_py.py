# SPDX-License-Identifier: Apache-2.0
"""fabric-sdk-py 1.0.0, unchanged and in its own environment, does its transactions on the network."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from fabricharness import blocks, environments, pythonsdk
from fabricharness.networks import MAIN, VALID, Network

from network.material import Material, ensure_service

SERVER = Path(os.environ.get("FABRIC_BIN") or "/opt/fabric/bin") / "fabric-ca-server"
SECRET = "a-bootstrap-secret"
CALLEE, AGREED = "callee", "agreed"

Drive = Callable[..., Any]


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of the SDK's own environment; skips, where nobody overlooks it, when that cannot be made."""
    try:
        return pythonsdk.installed()
    except environments.NotInstalled as problem:
        said = f"NOT RUN: fabric-sdk-py was not tested, because it cannot be installed: {problem}"
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)


@pytest.fixture
def drive(plain: Network, python: Path) -> Drive:
    """Run a scenario as the hospital's User1, with the peers of all three organisations to endorse."""
    orderer = plain.description["orderer"]

    def run(scenario: str, *, chaincode: str = AGREED, **given: Any) -> Any:
        peers = [{"name": org.server_name, "address": org.address, "tls_ca": str(org.tls_ca)} for org in plain.orgs]
        node = {
            "name": f"orderer1.{orderer['domain']}",
            "address": orderer["addresses"][0],
            "tls_ca": orderer["tls_ca"],
        }
        described = {
            "scenario": scenario,
            "peers": peers,
            "orderer": node,
            "organisation": plain.hospital.name,
            "mspid": plain.hospital.mspid,
            "msp": str(plain.hospital.user_msp),
            "tls_client": str(plain.hospital.tls_client or ""),
            "channel": MAIN,
            "chaincode": chaincode,
            **given,
        }
        return pythonsdk.drive(python, described)

    return run


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key that no other test uses."""
    name: str = request.node.name
    return name


def test_it_queries(plain: Network, drive: Drive, key: str) -> None:
    assert plain.hospital.submit(AGREED, "put", key, "v").code == VALID
    assert json.loads(drive("query", args=["get", key])) == "v"


def test_it_invokes_and_waits_until_three_peers_have_committed(plain: Network, drive: Drive, key: str) -> None:
    done = drive("invoke", args=["putGet", key, "v"])
    assert [event["status"] for event in done["events"]] == ["VALID"] * 3
    (number,) = {int(event["block"]) for event in done["events"]}
    recorded = blocks.transactions(*blocks.fetch(plain.lab, MAIN, number, number))
    assert done["transaction"] in [each.transaction_id for each in recorded if each.code == VALID]
    assert json.loads(plain.regulator.evaluate(AGREED, "get", key)) == "v"


def test_transient_data_reaches_the_chaincode_and_no_block(plain: Network, drive: Drive) -> None:
    secret = "a secret of forty-two letters, more or less"
    start = blocks.height(plain.hospital)
    assert drive("transient", value=secret, chaincode=CALLEE) == {"query": secret, "invoke": secret}
    for block in blocks.fetch(plain.hospital, MAIN, start, blocks.height(plain.hospital) - 1):
        for envelope in blocks.transactions(block):
            assert secret.encode() not in envelope.action_payload.chaincode_proposal_payload


def test_it_waits_for_the_chaincodes_own_event(drive: Drive, key: str) -> None:
    events = drive("event", args=["eventPut", "Named", "payload", key], pattern="^Named$")
    assert [event["status"] for event in events] == ["VALID"] * 3


def test_events_of_past_blocks_are_replayed_with_what_they_carry(plain: Network, drive: Drive, key: str) -> None:
    start = blocks.height(plain.hospital)
    done = [plain.hospital.submit(AGREED, "eventPut", f"Replayed{number}", str(number), key) for number in range(3)]
    assert {each.code for each in done} == {VALID}
    found = drive("replay", pattern="^Replayed", start=start, stop=blocks.height(plain.hospital) - 1)
    assert [(event["name"], event["payload"]) for event in found] == [(f"Replayed{n}", str(n)) for n in range(3)]
    assert [event["transaction"] for event in found] == [each.transaction_id for each in done]
    assert {event["status"] for event in found} == {"VALID"}


def test_blocks_arrive_whole_and_filtered(drive: Drive) -> None:
    assert drive("follow", start=1, stop=4) == {"filtered": [1, 2, 3, 4], "full": [1, 2, 3, 4]}


def test_blocks_are_found_by_number_hash_and_transaction(plain: Network, drive: Drive, key: str) -> None:
    done = plain.hospital.submit(AGREED, "put", key, "v")
    number = blocks.height(plain.hospital) - 1
    (block,) = blocks.fetch(plain.hospital, MAIN, number, number)
    found = drive("blocks", number=number, transaction=done.transaction_id)
    assert (found["number"], found["by_transaction"], found["by_hash"]) == (number, number, found["height"] - 1)
    assert found["height"] == number + 1
    assert found["data_hash"] == block.header.data_hash.hex()
    assert found["previous_hash"] == block.header.previous_hash.hex()
    assert (found["code"], found["creator"]) == (0, "HospitalMSP")
    assert MAIN in found["channels"]


def test_what_is_wrong_with_it_is_what_the_guide_says(plain: Network, drive: Drive, key: str) -> None:
    """When one of these changes, docs/guide/fabric-sdk-py.md is no longer true."""
    found = drive("defects", args=["putGet", key, "v"])
    assert "no" in found["refused"], "the refusal of a chaincode is answered as if it were its result"
    assert found["queried"] == "Exception"
    assert "ENDORSEMENT_POLICY_FAILURE" in found["invalid"], "told only to those who wait"
    assert json.loads(found["unwaited"]) is None or found["unwaited"], "and without waiting it looks like success"


@dataclass(frozen=True)
class Authority:
    """A Fabric CA that issues under the hospital's own root."""

    url: str
    name: str
    tls_ca: Path
    registrar: str
    secret: str


def started(folder: Path, network: Network, *, old_tokens: bool) -> tuple["subprocess.Popen[bytes]", Authority]:
    """fabric-ca-server as a process; the channel knows its root already, so whom it enrols is a member."""
    hospital = network.hospital
    name = f"ca.{hospital.domain}"
    tls = ensure_service(Material(hospital.folder.parents[1]), hospital.folder, hospital.domain, name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(SERVER), "start", "-H", str(folder), "-b", f"admin:{SECRET}", "--address", "127.0.0.1",
        "--port", str(port), "--ca.name", name, "--ca.certfile", str(hospital.folder / "ca" / f"{name}-cert.pem"),
        "--ca.keyfile", str(hospital.folder / "ca" / "priv_sk"), "--tls.enabled",
        "--tls.certfile", str(tls / "server.crt"), "--tls.keyfile", str(tls / "server.key"),
    ]  # fmt: skip
    environment = {
        "FABRIC_CA_SERVER_OPERATIONS_LISTENADDRESS": "127.0.0.1:0",
        "FABRIC_CA_SERVER_COMPATIBILITY_MODE_V1_3": str(old_tokens).lower(),
        "PATH": os.environ["PATH"],
    }
    log = (folder / "log").open("wb")
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    log.close()
    authority = Authority(f"https://127.0.0.1:{port}", name, tls / "ca.crt", "admin", SECRET)
    give_up = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, authority
        time.sleep(0.05)
    process.kill()
    raise AssertionError((folder / "log").read_text(errors="replace")[-500:])


@pytest.fixture
def authority(plain: Network, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Authority]:
    """The hospital's CA: the network's own where it runs one, else one that is started beside it."""
    (entry,) = (each for each in plain.description["organisations"] if each["name"] == plain.hospital.name)
    if "ca" in entry:
        if request.param:
            pytest.skip("NOT RUN: the network's own CA takes no tokens of before Fabric CA 1.4")
        ca = entry["ca"]
        secret = Path(ca["registrar_secret"]).read_text().strip()
        yield Authority(ca["url"], ca["name"], Path(ca["tls_ca"]), ca["registrar"], secret)
        return
    if not os.access(SERVER, os.X_OK):
        said = f"NOT RUN: fabric-sdk-py's CA client was not tested, because {SERVER} is missing (set FABRIC_BIN)"
        print(f"\n{'!' * 20} {said} {'!' * 20}", file=sys.__stderr__)
        pytest.skip(said)
    process, found = started(tmp_path, plain, old_tokens=request.param)
    yield found
    process.terminate()
    process.wait()


def described(authority: Authority) -> dict[str, str]:
    return {
        "url": authority.url,
        "name": authority.name,
        "tls_ca": str(authority.tls_ca),
        "registrar": authority.registrar,
        "secret": authority.secret,
    }


@pytest.mark.parametrize("authority", [False], indirect=True)
def test_its_ca_client_enrols_and_can_do_no_more_at_todays_ca(
    plain: Network, drive: Drive, authority: Authority, key: str
) -> None:
    assert plain.hospital.submit(AGREED, "put", key, "v").code == VALID
    found = drive("authority", ca=described(authority), name="nobody", args=["get", key])
    assert json.loads(found["registrar"]) == "v"
    assert "Authentication failure" in found["refused"], "its tokens are of before Fabric CA 1.4"


@pytest.mark.parametrize("authority", [True], indirect=True)
def test_its_ca_client_registers_renews_and_revokes_at_a_ca_that_takes_old_tokens(
    plain: Network, drive: Drive, authority: Authority, key: str
) -> None:
    assert plain.hospital.submit(AGREED, "put", key, "v").code == VALID
    found = drive("authority", ca=described(authority), name="a-client", args=["get", key])
    assert (json.loads(found["registrar"]), json.loads(found["client"])) == ("v", "v")
    first, again = (x509.load_pem_x509_certificate(found[name].encode()) for name in ("certificate", "again"))
    assert first.subject == again.subject
    assert first.public_key() != again.public_key()
    assert found["revoked"] == 2
