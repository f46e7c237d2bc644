# SPDX-License-Identifier: Apache-2.0
"""Each judgement of `doctor` on made-up facts: on the wrong side of its limit, and on the right one."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from network.operations import facts as f
from network.operations.judging import BLOCKS_BEHIND, FULL_BYTES, NEARLY_FULL_BYTES, judge, older_than_supported

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
APPROVED = {"AMSP": True, "BMSP": True}
RUNS = f.Host("a", "cc:1", True, None)


def judged(state: str = "running", **found: Any) -> list[str]:
    """The findings on a network that is otherwise in order, as people read them."""
    return [str(finding) for finding in judge(f.Facts(Path("/net"), AT, state, **found))]


def test_a_network_in_order_has_no_findings() -> None:
    assert not judged(
        nodes=(f.Node("peer0.a", True, True),),
        images=(f.Image("hyperledger/fabric-peer:3.1.5", present=True, own=False),),
        programs=(f.Program("peer0.a", "3.1.5"), f.Program("peer0.b", "v2.5.16"), f.Program("ca.a", "1.5.21")),
        clocks=(f.Clock("peer0.a", 0.4, 0.5),),
        tips=(f.Tip("c", -4000.0),),
        disks=(f.Disk("/net", NEARLY_FULL_BYTES, 10 * NEARLY_FULL_BYTES, 50, 100),),
        certificates=(f.Certificate("x.crt", "TLS", AT - timedelta(1), AT + timedelta(30)),),
        secrets=(f.SecretFile("x.key", 0o600),),
        ordering=(f.Ordering("c", "raft", (f.Consenter("o1", True, True, 5, 1),)),),
        heights=(f.Heights("c", (f.PeerHeight("peer0.a", 5, 5),)),),
        chaincodes=(f.Chaincode("cc", "c", 1, APPROVED, None, (RUNS,)),),
        gateways=(f.Gateway("gateway.a", "http://127.0.0.1:1", None),),
    )


def test_every_kind_of_fact_is_judged() -> None:
    """A field of `Facts` that no check reads would be gathered for nothing."""
    source = Path(__file__).parents[3].joinpath("network/operations/judging.py").read_text(encoding="utf-8")
    fields = {field.name for field in dataclasses.fields(f.Facts)}
    assert {name for name in fields if f"facts.{name}" in source} == fields


def test_a_network_that_is_down_or_was_never_made_is_only_a_warning() -> None:
    assert judged("down") == [
        "warning: /net: the network does not run; start it with: pedigree-network up --dir /net",
    ]
    assert judged("absent") == ["warning: /net: holds no network; make one with: pedigree-network up"]


def test_an_obstacle_is_passed_on() -> None:
    assert judged(obstacles=(f.Obstacle("docker", "does not answer", "start it"),)) == [
        "wrong: docker: does not answer; start it"
    ]


def test_a_node_that_ended_or_hangs_is_named_with_its_log() -> None:
    nodes = (
        f.Node("peer0.a", False, False, "127.0.0.1:1", "a.log"),
        f.Node("peer0.b", True, False, "127.0.0.1:2", "b"),
    )
    assert judged(nodes=nodes) == [
        "wrong: peer0.a: does not run; look at a.log, then start what is missing with: pedigree-network up --dir /net",
        "wrong: peer0.b: runs, but does not answer at 127.0.0.1:2; look at b",
    ]
    assert not [line for line in judged("down", nodes=nodes) if "peer0" in line]


def test_a_taken_port_names_who_wants_it_and_who_has_it_and_says_nothing_else_of_its_owner() -> None:
    nodes = (f.Node("peer0.a", False, False),)
    for holder, words in (("nginx (process 8)", "nginx (process 8) does"), ("", "another program does")):
        (line,) = judged(nodes=nodes, taken_ports=(f.TakenPort("peer0.a", "127.0.0.1:7051", holder),))
        assert line.startswith(f"wrong: port 127.0.0.1:7051: peer0.a is to listen there, but {words}; ")


@pytest.mark.parametrize(("own", "how"), [(True, "build it with: make network-images"), (False, "pull it, or pack it")])
def test_a_missing_image_says_how_to_get_it(own: bool, how: str) -> None:
    (line,) = judged("down", images=(f.Image("x:1", False, own),))[:1]
    assert line.startswith(f"wrong: image x:1: is not on this machine; {how}")


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("3.1.5", None),
        ("v3.1.6", None),
        ("3.2.0", None),
        ("4.0.0", None),
        ("2.5.16", None),
        ("2.5.17-rc1", None),
        ("3.1.4", "3.1.5"),
        ("3.0.9", "3.1.5"),
        ("v2.5.15", "2.5.16"),
        ("2.4.99", "2.5.16"),
        ("1.4.12", "2.5.16"),
        ("latest", None),
        ("", None),
    ],
)
def test_versions_are_held_to_the_oldest_of_their_line(version: str, wanted: str | None) -> None:
    assert older_than_supported(version) == wanted
    lines = judged(programs=(f.Program("peer0.a", version),))
    assert bool(lines) == (wanted is not None)
    assert all(f"is Fabric {version}, which is older than {wanted}" in line for line in lines)


def test_a_certificate_authority_is_held_to_its_own_line() -> None:
    assert judged(programs=(f.Program("ca.a", "1.4.9"),))[0].endswith("replace it by 1.5.0 or newer")
    assert not judged(programs=(f.Program("ca.a", "1.5.0"),))


@pytest.mark.parametrize(
    ("ahead", "uncertain", "severity"),
    [(2.4, 0.5, None), (-2.4, 0.5, None), (2.6, 0.5, "warning"), (-60.4, 0.5, "warning"), (60.6, 0.5, "wrong"),
     (-61.0, 0.5, "wrong"), (70.0, 69.0, None)],
)  # fmt: skip
def test_clocks_are_judged_by_what_is_certain(ahead: float, uncertain: float, severity: str | None) -> None:
    lines = judged(clocks=(f.Clock("peer0.a", ahead, uncertain),))
    assert [line.partition(":")[0] for line in lines] == ([] if severity is None else [severity])
    assert all(("ahead of" if ahead > 0 else "behind") in line for line in lines)


def test_a_transaction_from_the_future_betrays_a_clock() -> None:
    assert judged(tips=(f.Tip("c", 5.0),))[0].startswith(
        "warning: channel c: its newest transaction is dated 5 s after"
    )
    assert judged(tips=(f.Tip("c", 61.0),))[0].startswith("wrong:")
    assert not judged(tips=(f.Tip("c", 1.9),))


@pytest.mark.parametrize(
    ("free", "severity"),
    [(0, "wrong"), (FULL_BYTES - 1, "wrong"), (FULL_BYTES, "warning"), (NEARLY_FULL_BYTES - 1, "warning")],
)
def test_a_disk_is_full_before_an_orderer_needs_the_rest(free: int, severity: str) -> None:
    (line,) = judged(disks=(f.Disk("/net", free, 1 << 40),))
    assert line.startswith(f"{severity}: /net: the disk is ")
    assert ("nearly" in line) == (severity == "warning")


def test_a_disk_without_room_for_more_files_is_full_too() -> None:
    (line,) = judged(disks=(f.Disk("/net", 1 << 40, 1 << 41, 1, 100),))
    assert "room for only 1 more files" in line


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (timedelta(days=-1), "ended on 2026-02-28 12:00 UTC; renew it"),
        (timedelta(0), "ended on 2026-03-01 12:00 UTC"),
        (timedelta(days=1, hours=1), "ends on 2026-03-02 13:00 UTC, in 1 day; renew it before then"),
        (timedelta(days=29), "in 29 days"),
        (timedelta(days=30), None),
    ],
)
def test_certificates_are_told_of_a_month_ahead(end: timedelta, words: str | None) -> None:
    lines = judged(certificates=(f.Certificate("tls/server.crt", "TLS", AT - timedelta(400), AT + end),))
    assert len(lines) == (0 if words is None else 1)
    assert all(line.startswith("wrong: tls/server.crt: this TLS certificate") and str(words) in line for line in lines)


@pytest.mark.parametrize(("purpose", "named"), [("TLS", True), ("TLS CA", False), ("CA", False), ("signing", False)])
def test_a_tls_certificate_is_renewed_by_a_verb(purpose: str, named: bool) -> None:
    near = f.Certificate("c", purpose, AT - timedelta(400), AT + timedelta(3))
    (line,) = judged(certificates=(near,))
    assert ("renew it before then with: pedigree-network rotate-tls --dir /net" in line) == named
    assert line.endswith("renew it before then") != named


def test_the_certificate_in_a_chaincodes_package_is_renewed_by_an_upgrade() -> None:
    path = "organizations/peerOrganizations/lab.example/services/chaincode2.lab.example/tls/client.crt"
    (line,) = judged(certificates=(f.Certificate(path, "TLS", AT - timedelta(400), AT + timedelta(3)),))
    assert line.endswith("and the next upgrade-chaincode brings a new one")


def test_an_interrupted_renewal_is_told() -> None:
    (line,) = judged(rotating=True)
    assert line.startswith("warning: /net: the renewal of TLS certificates is at work, or was interrupted; ")


def test_a_certificate_that_has_not_begun_points_to_the_clock() -> None:
    (line,) = judged(certificates=(f.Certificate("c", "CA", AT + timedelta(1), AT + timedelta(900)),))
    assert "this CA certificate begins on 2026-03-02 12:00 UTC only; set this machine's clock" in line


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o644])
def test_a_secret_that_others_may_read_or_write_is_wrong(mode: int) -> None:
    (line,) = judged(secrets=(f.SecretFile("a/priv_sk", mode),))
    assert f"(mode {mode:03o}); close it with: chmod 600 a/priv_sk" in line
    assert not judged(secrets=(f.SecretFile("a/priv_sk", 0o400), f.SecretFile("b", 0o700)))


def _ordering(consensus: str, total: int, answering: int, *, leader: bool) -> tuple[f.Ordering, ...]:
    nodes = [f.Consenter(f"o{n}", n <= answering, leader and n == 1, 5) for n in range(1, total + 1)]
    return (f.Ordering("c", consensus, tuple(nodes)),)


@pytest.mark.parametrize(
    ("consensus", "total", "answering", "needed"),
    [("raft", 3, 1, 2), ("raft", 5, 2, 3), ("raft", 1, 0, 1), ("bft", 4, 2, 3), ("bft", 7, 4, 5)],
)
def test_consensus_without_a_leader_says_how_many_are_needed(
    consensus: str, total: int, answering: int, needed: int
) -> None:
    (line,) = judged(ordering=_ordering(consensus, total, answering, leader=False))
    assert f"has no leader: {answering} of {total} orderers answer, {needed} are needed; bring back" in line
    assert f"o{total}" in line.partition("bring back")[2]
    assert not judged(ordering=_ordering(consensus, total, max(answering, 1), leader=True))


def test_an_election_that_lasts_points_to_the_logs() -> None:
    (line,) = judged(ordering=_ordering("raft", 3, 3, leader=False))
    assert line.endswith("wait for an election, then look at the orderers' logs")


def test_a_consenter_far_behind_is_named() -> None:
    def lines(behind: int) -> list[str]:
        nodes = (f.Consenter("o1", True, True, 100), f.Consenter("o2", True, False, 100 - behind))
        return judged(ordering=(f.Ordering("c", "raft", nodes),))

    assert lines(BLOCKS_BEHIND)[0].startswith(f"wrong: o2: is {BLOCKS_BEHIND} blocks behind")
    assert not lines(BLOCKS_BEHIND - 1)


def test_a_leader_that_misses_nodes_which_answer_us_is_a_warning() -> None:
    nodes = (f.Consenter("o1", True, True, 5, 2), f.Consenter("o2", True, False, 5), f.Consenter("o3", True, False, 5))
    (line,) = judged(ordering=(f.Ordering("c", "raft", nodes),))
    assert line.startswith("warning: o1: leads channel c, but finds only 2 of 3 orderers active")


def test_a_peer_is_behind_only_when_it_lacks_what_another_had_before() -> None:
    def lines(*peers: tuple[int | None, int | None]) -> list[str]:
        return judged(heights=(f.Heights("c", tuple(f.PeerHeight(f"p{n}", *each) for n, each in enumerate(peers))),))

    assert not lines((10, 12), (9, 10)), "it only follows a moment later"
    assert lines((10, 12), (9, 9))[0].startswith("wrong: p1: has 9 blocks of channel c, others have 10")
    assert not lines((10, 10), (None, None)), "that it does not answer is said of the node"


def test_who_has_not_approved_is_named() -> None:
    def lines(sequence: int, approvals: dict[str, bool], pending: dict[str, bool] | None = None) -> list[str]:
        return judged(chaincodes=(f.Chaincode("cc", "c", sequence, approvals, pending),))

    assert lines(2, {"AMSP": True, "CMSP": False, "BMSP": False})[0].startswith(
        "wrong: chaincode cc: sequence 2 is in force on c, but not approved by BMSP, CMSP; "
    )
    assert lines(2, APPROVED, {"AMSP": True, "BMSP": False})[0].startswith(
        "warning: chaincode cc: sequence 3 is approved by AMSP, not by BMSP; have them approve it, then commit it"
    )
    assert lines(0, {}, {"AMSP": True, "BMSP": False})[0].startswith("wrong: chaincode cc: sequence 1 is approved by")
    assert "but not committed; commit it" in lines(2, APPROVED, APPROVED)[0]
    assert lines(0, {}) == [
        "warning: chaincode cc: is not deployed on channel c; deploy it with: pedigree-network deploy"
    ]


def test_a_chaincode_that_is_not_installed_or_silent_is_named_by_organisation() -> None:
    hosts = (
        f.Host("a", "cc:1", False, None),
        f.Host("b", "cc:2", True, "connection refused"),
        f.Host("c", "", None, None),
        f.Host("d", None, None, None),
        RUNS,
    )
    assert [
        line.partition(";")[0] for line in judged(chaincodes=(f.Chaincode("cc", "c", 1, APPROVED, None, hosts),))
    ] == [
        "wrong: chaincode cc of a: its package cc:1 is approved, but not installed on its peer",
        "wrong: chaincode cc of b: does not answer: connection refused",
    ]


def test_a_gateway_that_is_not_ready_says_why() -> None:
    gateways = (f.Gateway("gateway.a", "http://127.0.0.1:1", "stale"),)
    assert judged(gateways=gateways) == ["wrong: gateway.a at http://127.0.0.1:1: is not ready: stale; look at its log"]
    assert len(judged("down", gateways=gateways)) == 1


def test_what_is_wrong_comes_before_warnings() -> None:
    lines = judged("down", secrets=(f.SecretFile("x.key", 0o644),), tips=(f.Tip("c", 3.0),))
    assert [line.partition(":")[0] for line in lines] == ["wrong", "warning", "warning"]
