# SPDX-License-Identifier: Apache-2.0
"""The administrator's client towards orderers and peers that refuse, hesitate or are not there."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc
from fabric_protos.peer import peer_pb2_grpc, proposal_response_pb2

from network import wire
from network.material import Material
from network.wire import Administrator, Member, OrderingService, ResultsDiffer, WireError


class Node(ab_pb2_grpc.AtomicBroadcastServicer, peer_pb2_grpc.EndorserServicer, gateway_pb2_grpc.GatewayServicer):
    """An orderer and a peer in one that answer what they are told to."""

    def __init__(self) -> None:
        self.statuses: list[int] = [200]
        self.response = proposal_response_pb2.ProposalResponse(
            response=proposal_response_pb2.Response(status=200, payload=b"answer"), payload=b"same"
        )
        self.differing: list[Any] = []
        self.code = 0
        self.received = 0

    def Broadcast(self, envelopes: Iterator[Any], _context: Any) -> Iterator[Any]:  # noqa: N802
        for _ in envelopes:
            self.received += 1
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            if status == 0:
                return
            yield ab_pb2.BroadcastResponse(status=status, info="as told")

    def ProcessProposal(self, _signed: Any, _context: Any) -> Any:  # noqa: N802
        return self.differing.pop() if self.differing else self.response

    def CommitStatus(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return gateway_pb2.CommitStatusResponse(result=self.code, block_number=3)


@pytest.fixture
def node(shared_material: Material) -> Iterator[tuple[Node, str]]:
    tls = shared_material.peer("lab.example") / "tls"
    credentials = grpc.ssl_server_credentials([((tls / "server.key").read_bytes(), (tls / "server.crt").read_bytes())])
    served = Node()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        ab_pb2_grpc.add_AtomicBroadcastServicer_to_server(served, server)
        peer_pb2_grpc.add_EndorserServicer_to_server(served, server)
        gateway_pb2_grpc.add_GatewayServicer_to_server(served, server)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        yield served, f"127.0.0.1:{port}"
        server.stop(None).wait()


def _ordering(shared_material: Material, *addresses: str) -> OrderingService:
    root = shared_material.tls_ca("lab.example")
    return OrderingService(addresses, root, ["peer0.lab.example"] * len(addresses))


def _administrator(shared_material: Material, address: str) -> Administrator:
    msp = shared_material.user("lab.example", "Admin") / "msp"
    tls_ca = shared_material.tls_ca("lab.example")
    return Administrator(Member("lab", "LabMSP", address, "peer0.lab.example", tls_ca, msp))


def test_an_envelope_is_ordered_by_the_first_node_that_takes_it(
    shared_material: Material, node: tuple[Node, str]
) -> None:
    served, address = node
    with _ordering(shared_material, "127.0.0.1:1", address) as ordering:
        ordering.broadcast(common_pb2.Envelope(payload=b"p"))
    assert served.received == 1


def test_a_cluster_without_a_leader_is_asked_again(
    shared_material: Material, node: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_NO_LEADER_PAUSE", 0.001)
    served, address = node
    served.statuses = [503, 0, 503, 200]
    with _ordering(shared_material, address) as ordering:
        ordering.broadcast(common_pb2.Envelope(payload=b"p"))
    assert served.received == 4


def test_a_cluster_that_stays_without_a_leader_is_given_up(
    shared_material: Material, node: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_NO_LEADER_SECONDS", 0.0)
    served, address = node
    served.statuses = [503]
    with (
        _ordering(shared_material, address) as ordering,
        pytest.raises(WireError, match=f"orderer at {address}: SERVICE_UNAVAILABLE: as told"),
    ):
        ordering.broadcast(common_pb2.Envelope(payload=b"p"))


def test_a_refusal_by_the_orderer_is_final(shared_material: Material, node: tuple[Node, str]) -> None:
    served, address = node
    served.statuses = [403]
    with _ordering(shared_material, address) as ordering, pytest.raises(WireError, match="FORBIDDEN: as told"):
        ordering.broadcast(common_pb2.Envelope(payload=b"p"))
    assert served.received == 1


def test_a_query_answers_the_payload_or_the_chaincodes_status(
    shared_material: Material, node: tuple[Node, str]
) -> None:
    served, address = node
    with _administrator(shared_material, address) as administrator:
        assert administrator.query("pedigree", "cc", b"get") == b"answer"
        served.response.response.status, served.response.response.message = 404, "not there"
        with pytest.raises(WireError, match=r"^not there$") as refusal:
            administrator.query("pedigree", "cc", b"get")
    assert refusal.value.status == 404


def test_a_peer_that_is_not_there_is_named(shared_material: Material) -> None:
    with (
        _administrator(shared_material, "127.0.0.1:1") as administrator,
        pytest.raises(WireError, match=r"lab's peer at 127\.0\.0\.1:1: ") as refusal,
    ):
        administrator.query("pedigree", "cc", b"get")
    assert refusal.value.status is None


def test_peers_must_give_the_same_result(shared_material: Material, node: tuple[Node, str]) -> None:
    served, address = node
    with _administrator(shared_material, address) as first, _administrator(shared_material, address) as second:
        assert len(first.endorse("pedigree", "cc", [b"f"], [first, second]).endorsements) == 2
        served.differing = [proposal_response_pb2.ProposalResponse(), served.response]
        served.differing[0].CopyFrom(served.response)
        served.differing[0].payload = b"other"
        with pytest.raises(ResultsDiffer, match="different results"):
            first.endorse("pedigree", "cc", [b"f"], [first, second])


def test_an_invalid_transaction_is_told_by_its_code(shared_material: Material, node: tuple[Node, str]) -> None:
    served, address = node
    with _administrator(shared_material, address) as administrator:
        administrator.wait_for_commit("pedigree", "tx")
        served.code = 11
        with pytest.raises(WireError, match="transaction tx was committed as invalid: MVCC_READ_CONFLICT"):
            administrator.wait_for_commit("pedigree", "tx")
