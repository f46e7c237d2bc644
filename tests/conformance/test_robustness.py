# SPDX-License-Identifier: Apache-2.0
"""TLS, size, cancellation, restart and several gateways: rules T-1 to T-10."""

import contextlib
import itertools
from pathlib import Path

import pytest
from fabric_protos.common import common_pb2
from fabricharness import blocks, deployments, ledgers, messages
from fabricharness.expect import UNAVAILABLE, refused, value
from fabricharness.networks import BLOCKS, MAIN, VALID, Network, in_parallel

from gateway import fabric


def test_c220_tls_name_override(net: Network) -> None:
    org = net.hospital

    def evaluate(**options: str | bytes) -> bytes:
        with org.connect(**options) as connection:
            gateway = fabric.Gateway(connection, org.identity, org.signer, trust=org.trusts[MAIN])
            return gateway.network(MAIN).contract("anyone").evaluate("mspid")

    root = org.tls_ca.read_bytes()
    assert evaluate(tls_root=root, server_name=org.server_name) == b"HospitalMSP"
    assert evaluate(tls_root=root) == b"HospitalMSP"  # the certificate also names 127.0.0.1
    assert refused(evaluate, tls_root=root, server_name="peer0.elsewhere.example").code == UNAVAILABLE
    assert refused(evaluate, tls_root=net.lab.tls_ca.read_bytes()).code == UNAVAILABLE


def test_c221_mtls_binding(net: Network) -> None:
    org, other = net.hospital, net.lab.client_tls
    if other is None:
        pytest.skip("this network demands no client certificates; Fabric in containers does")
    for kind in ("Deliver", "DeliverFiltered", "DeliverWithPrivateData"):
        answers = []
        for binding in (None, b"", other.binding):
            with org.peer.seeking(kind) as stream:
                stream.ask(messages.seek(MAIN, org.user, 1, 1), binding=binding)
                answers.append(stream.until_status()[1])
        assert answers == [common_pb2.SUCCESS, common_pb2.BAD_REQUEST, common_pb2.BAD_REQUEST]
    with org.network().block_events(start_block=1, stop_block=1) as stream:
        assert [block.header.number for block in stream] == [1]
    with fabric.connect(org.address, tls_root=org.tls_ca.read_bytes()) as nameless:
        gateway = fabric.Gateway(nameless, org.identity, org.signer, trust=org.trusts[MAIN])
        contract = gateway.network(MAIN).contract("anyone")
        assert refused(contract.evaluate, "mspid").code == UNAVAILABLE


def test_c222_large_block_event(net: Network, key: str) -> None:
    org = net.hospital
    start = blocks.height(org, BLOCKS)
    proposals = [org.propose("anyone", "putBlob", f"{key}{n}", str(1 << 20), channel=BLOCKS) for n in range(10)]
    payloads = in_parallel(lambda p=proposal: org.peer.endorse_raw(p) for proposal in proposals)
    net.order_in_turn(proposals, payloads)
    assert {net.outcome(org, proposal).code for proposal in proposals} == {VALID}
    with org.network(BLOCKS).block_events(start_block=start) as stream:
        block = next(stream)
    assert len(block.data.data) == 10
    assert block.ByteSize() > 10 << 20


def test_c223_client_cancel(net: Network, key: str) -> None:
    org = net.hospital

    def open_and_leave(_: int) -> None:
        request = messages.events_request(MAIN, "anyone", org.user)
        with org.peer.events(request):
            pass
        absent = messages.status_request(MAIN, "00" * 32, org.user)
        org.peer.gateway.CommitStatus.future(absent).cancel()

    # A stream's place is given back on Fabric when its next event comes, not when its client leaves, and there are 500
    # places: a thousand clients that leave before there is any event would shut the peer to everybody.
    for _ in range(10):
        for number in range(100):
            open_and_leave(number)
        assert org.submit("anyone", "event", "Left", "p").code == VALID


def test_c224_restart_persistence(net: Network, tmp_path: Path) -> None:
    if net.ledger != "embedded":
        pytest.skip("only on the embedded network: other suites restart Fabric's nodes")
    with ledgers.Embedded(ledgers.topology(), tmp_path) as node, contextlib.ExitStack() as opened:
        first = Network.connect("embedded", tmp_path, node.start())
        opened.callback(first.close)
        deploy_anyone(first)
        written = first.hospital.submit("anyone", "event", "Kept", "p")
        for number in ("1", "2"):
            assert first.hospital.submit("anyone", "put", "k", number).code == VALID
        assert first.hospital.submit("anyone", "pputPlain", "pair", "k", "secret").code == VALID
        before = blocks.fetch(first.hospital, MAIN, 0, "newest")
        node.kill()
        again = Network.connect("embedded", tmp_path, node.start())
        opened.callback(again.close)
        org = again.hospital
        assert blocks.fetch(org, MAIN, 0, "newest") == before
        assert value(org.evaluate("anyone", "get", "k")) == "2"
        assert [entry["value"] for entry in value(org.evaluate("anyone", "history", "k"))] == ["2", "1"]
        assert value(again.lab.evaluate("anyone", "pget", "pair", "k")) == "secret"
        checkpoint = fabric.InMemoryCheckpointer()
        checkpoint.checkpoint_block(written.block - 1)
        with org.network().chaincode_events("anyone", checkpoint=checkpoint) as stream:
            assert next(stream).transaction_id == written.transaction_id
        assert org.submit("anyone", "put", "k", "3").block == len(before)


def deploy_anyone(net: Network) -> None:
    """The one definition that a network of its own needs."""
    net.launch(deployments.PROBE)
    net.deploy(deployments.PROBE, [entry for entry in deployments.MAIN_DEFINITIONS if entry.name == "anyone"])


def test_c035_query_limit(net: Network, tmp_path: Path) -> None:
    if net.ledger != "embedded":
        pytest.skip("only on the embedded network: Fabric's limit is not set for this suite")
    with ledgers.Embedded(ledgers.topology(), tmp_path, query_limit=50) as node, contextlib.ExitStack() as opened:
        limited = Network.connect("embedded", tmp_path, node.start())
        opened.callback(limited.close)
        deploy_anyone(limited)
        limited.hospital.submit("anyone", "many", "k", "80")
        found = value(limited.hospital.evaluate("anyone", "range", "k", "l"))
        assert found == [f"k{number:05d}" for number in range(50)]


def test_c225_two_gateways(net: Network, key: str) -> None:
    start = blocks.height(net.hospital)
    calls = [
        lambda org=org, n=n: org.submit("anyone", "getPut", f"{key}{n % 3}", str(n))
        for org, n in itertools.product((net.hospital, net.lab), range(20))
    ]
    outcomes = in_parallel(calls)
    last = max(outcomes, key=lambda outcome: outcome.block)
    net.settle(last)
    first, second = (blocks.fetch(org, MAIN, start, last.block) for org in (net.hospital, net.lab))
    assert [block.header for block in first] == [block.header for block in second]
    flags = [
        [(t.transaction_id, t.code) for block in found for t in blocks.transactions(block)] for found in (first, second)
    ]
    assert flags[0] == flags[1]
    assert {outcome.transaction_id: outcome.code for outcome in outcomes}.items() <= dict(flags[0]).items()
    assert VALID in {outcome.code for outcome in outcomes}
