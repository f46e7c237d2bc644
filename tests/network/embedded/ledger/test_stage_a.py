# SPDX-License-Identifier: Apache-2.0
"""Every transaction keeps the first fault that Fabric would find in it (rules V-1 to V-19)."""

from collections.abc import Callable
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.peer import proposal_response_pb2, transaction_pb2

WRITE = ("cc", "k", b"v")


def written(kit: Any, *writes: tuple[str, str, bytes]) -> Any:
    rwset = kit.Rwset()
    for write in writes or (WRITE,):
        rwset.add_write(*write)
    return rwset


CASES: list[tuple[str, int, Callable[[Any], dict[str, Any]]]] = [
    ("valid", 0, lambda kit: {}),
    ("unknown header type", 3, lambda kit: {"header_type": 9}),
    ("epoch", 3, lambda kit: {"epoch": 1}),
    ("garbled signature", 4, lambda kit: {"signature": b"\x30\x03\x02\x01\x01"}),
    ("no signature", 4, lambda kit: {"signature": b""}),
    ("wrong transaction id", 8, lambda kit: {"transaction_id": "ab" * 32}),
    ("signature comes before transaction id", 4, lambda kit: {"transaction_id": "ab" * 32, "signature": b"x"}),
    ("garbage for a transaction", 5, lambda kit: {"payload_data": b"\xff\xff\xff"}),
    ("no action", 5, lambda kit: {"actions": 0}),
    ("two actions", 5, lambda kit: {"actions": 2}),
    ("other proposal hash", 5, lambda kit: {"proposal_hash": b"0" * 32}),
    ("configuration without data", 6, lambda kit: {"header_type": 1, "payload_data": b""}),
    ("configuration update in a block", 7, lambda kit: {"header_type": 2}),
    ("garbled results", 22, lambda kit: {"results": b"\xff"}),
    ("header names no chaincode", 255, lambda kit: {"extension": b""}),
    ("event of another chaincode", 255, lambda kit: {"event": "E", "event_chaincode": "other"}),
    ("garbled extension", 19, lambda kit: {"extension": b"\xff"}),
    ("action names another chaincode", 25, lambda kit: {"action_name": "other"}),
    ("no version", 25, lambda kit: {"version": ""}),
    ("undefined chaincode", 25, lambda kit: {"chaincode": "nope"}),
    ("writes to an undefined chaincode", 25, lambda kit: {"rwset": written(kit, ("nope", "k", b"v"))}),
    ("system chaincode", 25, lambda kit: {"chaincode": "qscc", "version": "syscc"}),
    ("one endorsement of three", 10, lambda kit: {"endorsers": ("HospitalMSP",)}),
    ("no endorsement", 10, lambda kit: {"endorsers": ()}),
    ("one organisation twice", 10, lambda kit: {"endorsers": ("HospitalMSP", "HospitalMSP")}),
    ("clients' endorsements", 10, lambda kit: {"endorse_with_users": True}),
]


@pytest.mark.parametrize(("name", "code", "spoil"), CASES, ids=[case[0] for case in CASES])
def test_a_fault_gets_its_code(ledger: Any, kit: Any, name: str, code: int, spoil: Any) -> None:
    draft = kit.Draft(**{"rwset": written(kit), **spoil(kit)})
    assert ledger.commit(draft) == [code]
    assert ledger.value("k") == (b"v" if code == 0 else None)


def test_the_same_namespace_twice_is_an_illegal_write_set(ledger: Any, kit: Any) -> None:
    one = rwset_pb2.TxReadWriteSet.FromString(written(kit).public()).ns_rwset[0]
    results = rwset_pb2.TxReadWriteSet(ns_rwset=[one, one]).SerializeToString()
    assert ledger.commit(kit.Draft(results=results)) == [23]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"\xff\xff", 255),
        (b"", 3),
        (common_pb2.Envelope(payload=b"\xff", signature=b"s").SerializeToString(), 2),
        (common_pb2.Envelope(signature=b"s").SerializeToString(), 3),
    ],
)
def test_bytes_that_are_no_transaction_stay_in_the_block_with_a_code(
    ledger: Any, kit: Any, raw: bytes, code: int
) -> None:
    _, good = ledger.transaction(kit.Draft(written(kit)))
    assert ledger.commit_raw(raw, good) == [code, 0]
    assert ledger.version("k") == (2, 1)  # the index counts what failed


def test_a_change_after_endorsement_is_found(ledger: Any, kit: Any) -> None:
    _, raw = ledger.transaction(kit.Draft(written(kit)))
    envelope = common_pb2.Envelope.FromString(raw)
    payload = common_pb2.Payload.FromString(envelope.payload)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    body = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    response = proposal_response_pb2.ProposalResponsePayload.FromString(body.action.proposal_response_payload)
    response.extension = response.extension.replace(b"\x01v", b"\x01w")
    body.action.proposal_response_payload = response.SerializeToString()
    transaction.actions[0].payload = body.SerializeToString()
    payload.data = transaction.SerializeToString()
    forged = payload.SerializeToString()
    signature = ledger.world.users["HospitalMSP"].sign(forged)
    assert ledger.commit_raw(common_pb2.Envelope(payload=forged, signature=signature).SerializeToString()) == [10]


def test_a_transaction_id_is_used_once(ledger: Any, kit: Any) -> None:
    txid, raw = ledger.transaction(kit.Draft(written(kit)))
    assert ledger.commit_raw(raw, raw) == [0, 9]
    assert ledger.commit_raw(raw) == [9]
    assert ledger.store.by_transaction(txid) == (2, 0, 0)


def test_an_invalid_transaction_uses_up_its_id_too(ledger: Any, kit: Any) -> None:
    nonce = b"n" * 24
    assert ledger.commit(kit.Draft(written(kit), endorsers=(), nonce=nonce)) == [10]
    assert ledger.commit(kit.Draft(written(kit), nonce=nonce)) == [9]


def test_of_two_equal_ids_the_first_that_passes_stage_a_counts(ledger: Any, kit: Any) -> None:
    nonce = b"n" * 24
    bad = kit.Draft(written(kit), endorsers=(), nonce=nonce)
    assert ledger.commit(bad, kit.Draft(written(kit), nonce=nonce)) == [10, 0]


def test_the_first_of_two_equal_ids_counts_even_when_it_is_stale(ledger: Any, kit: Any) -> None:
    stale = written(kit)
    stale.add_read("cc", "k", (1, 0))
    nonce = b"n" * 24
    assert ledger.commit(kit.Draft(stale, nonce=nonce), kit.Draft(written(kit), nonce=nonce)) == [11, 9]


def test_every_written_namespace_needs_its_own_endorsements(ledger: Any, kit: Any) -> None:
    ledger.define(kit.definition("strict", policy="AND('HospitalMSP.peer','RegulatorMSP.peer')"))
    both = written(kit, WRITE, ("strict", "k", b"v"))
    assert ledger.commit(kit.Draft(both)) == [10]
    assert ledger.commit(kit.Draft(both, endorsers=("HospitalMSP", "RegulatorMSP"))) == [0]


def test_greedy_policies_depend_on_the_order_of_their_rules(ledger: Any, kit: Any) -> None:
    either = "OR('HospitalMSP.peer','LabMSP.peer')"
    ledger.define(kit.definition("greedy", policy=f"AND({either},'HospitalMSP.peer')"))
    ledger.define(kit.definition("careful", policy=f"AND('HospitalMSP.peer',{either})"))
    greedy = kit.Draft(written(kit, ("greedy", "k", b"v")), chaincode="greedy")
    careful = kit.Draft(written(kit, ("careful", "k", b"v")), chaincode="careful")
    assert ledger.commit(greedy, careful) == [10, 0]


def test_a_new_policy_is_in_force_from_the_next_block(ledger: Any, kit: Any) -> None:
    alone = kit.Draft(written(kit), endorsers=("LabMSP",))
    assert ledger.commit(alone) == [10]
    ledger.define(kit.definition(sequence=2, policy="OR('LabMSP.peer')"))
    assert ledger.commit(kit.Draft(written(kit), endorsers=("LabMSP",))) == [0]


def test_an_unreadable_policy_lets_nothing_through(ledger: Any, kit: Any) -> None:
    broken = kit.definition("broken")
    ledger.define(type(broken)("broken", 1, "1.0", validation_parameter=b"\xff"))
    assert ledger.commit(kit.Draft(written(kit, ("broken", "k", b"v")), chaincode="broken")) == [10]


def test_a_definition_needs_the_majority_of_the_channel(ledger: Any, kit: Any) -> None:
    rwset = written(kit, ("_lifecycle", "namespaces/fields/x/Sequence", b"\x08\x01"))
    draft = kit.Draft(rwset, chaincode="_lifecycle", version="syscc", endorsers=("LabMSP",))
    assert ledger.commit(draft) == [10]
