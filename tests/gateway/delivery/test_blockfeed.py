# SPDX-License-Identifier: Apache-2.0
"""What a block becomes for the gateway's readers."""

from chaincode.domain.idempotency import Idempotency
from chaincode.domain.keys import key
from gateway.delivery.blockfeed import ledger_block
from gateway.fabric.blocks import Block, Transaction
from gateway.fabric.rwset import NamespaceReadWriteSet, Write

TX = "ab" * 32


def test_only_valid_writes_of_our_chaincode_become_rows() -> None:
    def transaction(code: int, chaincode: str = "pedigree") -> Transaction:
        writes = (Write("k", b'{"kind":"model"}', False), Write("gone", b"", True), Write("odd", b"\xff", False),
                  Write(key(Idempotency, "LabMSP", "ab" * 32), b'{"kind":"idempotency"}', False))  # fmt: skip
        sets = tuple(
            NamespaceReadWriteSet(name, (), writes, (), (), ()) for name in (chaincode, "another", "_lifecycle")
        )
        return Transaction(
            index=0, validation_code=code, envelope=b"", transaction_id=TX, chaincode=chaincode,
            creator_msp_id="LabMSP", result=b'{"record":{}}', namespaces=sets,
        )  # fmt: skip

    block = Block(7, b"\x01", b"", b"\x02", (transaction(0), transaction(11), transaction(0, "another")))
    valid, invalid, foreign = ledger_block(block, "pedigree").transactions
    assert [(write.key, write.value) for write in valid.writes] == [("k", {"kind": "model"}), ("gone", None)]
    assert valid.reply == {"record": {}}
    assert invalid.writes == ()
    assert invalid.code == 11
    assert foreign.reply is None
