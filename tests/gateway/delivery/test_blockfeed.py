# SPDX-License-Identifier: Apache-2.0
"""What a block becomes for the gateway's readers."""

import pytest

from chaincode.domain.idempotency import Idempotency
from chaincode.domain.keys import key
from gateway.delivery.blockfeed import ledger_block
from gateway.fabric.blocks import Block, Transaction
from gateway.fabric.rwset import CollectionReadWriteSet, HashedWrite, NamespaceReadWriteSet, Write

TX = "ab" * 32


def test_only_valid_writes_of_our_chaincode_become_rows() -> None:
    def transaction(code: int, chaincode: str = "pedigree") -> Transaction:
        row = b'{"by":"LabMSP","command":"cc","kind":"idempotency","token":"tt"}'
        writes = (Write("k", b'{"kind":"model"}', False), Write("gone", b"", True), Write("odd", b"\xff", False),
                  Write(key(Idempotency, "LabMSP", "ab" * 32), row, False))  # fmt: skip
        sets = tuple(
            NamespaceReadWriteSet(name, (), writes, (), (), ()) for name in (chaincode, "another", "_lifecycle")
        )
        return Transaction(
            index=0, validation_code=code, envelope=b"", transaction_id=TX, chaincode=chaincode,
            creator_msp_id="LabMSP", result=b'{"record":{"kind":"model"}}', namespaces=sets,
        )  # fmt: skip

    block = Block(7, b"\x01", b"", b"\x02", (transaction(0), transaction(11), transaction(0, "another")))
    valid, invalid, foreign = ledger_block(block, "pedigree").transactions
    assert [(write.key, write.value) for write in valid.writes] == [("k", {"kind": "model"}), ("gone", None)]
    assert (valid.reply, valid.said, valid.request) == ({"record": {"kind": "model"}}, None, "LabMSP:tt:cc")
    assert (invalid.writes, invalid.reply, invalid.said, invalid.request) == ((), None, None, None)
    assert invalid.code == 11
    assert (foreign.reply, foreign.said) == (None, None)


@pytest.mark.parametrize("namespace", ["", "pedigree", "_lifecycle"])
def test_an_answer_without_the_public_writes_to_show_for_it_is_merely_said(namespace: str) -> None:
    """What writes to its organisation's own private collection alone is valid with that organisation's endorsement."""
    private = CollectionReadWriteSet("_implicit_org_EvilMSP", (), (HashedWrite(b"k", b"v", False, False),), (), b"h")
    other = (Write("k", b'{"kind":"something else"}', False),) if namespace else ()
    sets = [NamespaceReadWriteSet("pedigree", (), other if namespace == "pedigree" else (), (), (), (private,))]
    if namespace == "_lifecycle":
        sets.append(NamespaceReadWriteSet("_lifecycle", (), (Write("k", b'{"kind":"model"}', False),), (), (), ()))
    invented = Transaction(
        index=0, validation_code=0, envelope=b"", transaction_id=TX, chaincode="pedigree", creator_msp_id="EvilMSP",
        result=b'{"event":{"name":"ModelRegistered"},"record":{"kind":"model"}}', namespaces=tuple(sets),
    )  # fmt: skip
    (found,) = ledger_block(Block(7, b"", b"", b"", (invented,)), "pedigree").transactions
    assert found.reply is None
    assert found.said == {"event": {"name": "ModelRegistered"}, "record": {"kind": "model"}}
    assert found.creator == "EvilMSP"
