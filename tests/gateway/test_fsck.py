# SPDX-License-Identifier: Apache-2.0
"""A running consortium's ledger is found sound, and every way to falsify it is found out."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2

from gateway.demo.consortium import Consortium
from gateway.demo.founding import found
from gateway.demo.processes import command
from gateway.fabric import Gateway, Identity, Signer, connect
from gateway.fabric.blocks import data_hash
from gateway.fabric.rwset import NamespaceReadWriteSet, Read, Version, Write
from gateway.verifier.keys import Keys
from gateway.verifier.ledger import LedgerCheck


class Ledger(NamedTuple):
    """A consortium that runs, and the blocks that it has made."""

    consortium: Consortium
    blocks: tuple[bytes, ...]

    def copies(self) -> list[Any]:
        return [common_pb2.Block.FromString(block) for block in self.blocks]

    def judge(self, blocks: list[Any], genesis_hash: str | None = None) -> list[str]:
        network = self.consortium.network()
        check = LedgerCheck(network["channel"], bytes.fromhex(genesis_hash or network["genesis_hash"]))
        return [str(finding) for block in blocks if not check.broken for finding in check.read(block)]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    consortium = Consortium(tmp_path_factory.mktemp("fsck"), "embedded", any_port=True)
    try:
        consortium.start()
        found(consortium)
        with consortium.client("lab") as lab:
            for number in range(4):
                lab.register_model(f"judged-{number}", title="Judged")
        yield Ledger(consortium, tuple(read(consortium.network())))
    finally:
        consortium.stop()


def read(network: dict[str, Any]) -> Iterator[bytes]:
    """Every block as the regulator's peer delivers it, unverified."""
    member = network["organisations"][2]
    connection = connect(
        member["peer"], tls_root=Path(member["tls_ca"]).read_bytes(), server_name=f"peer0.{member['domain']}"
    )
    with closing(connection):
        user = member["user_msp"]
        identity, signer = Identity.from_msp_folder(member["mspid"], user), Signer.from_msp_folder(user)
        channel = Gateway(connection, identity, signer, verify=False).network(network["channel"])
        with channel.block_events(start_block=0, stop_block=channel.height() - 1) as blocks:
            yield from (block.SerializeToString() for block in blocks)


def rewritten(block: Any, change: Callable[[Any, Any], None]) -> Any:
    """The block with its first transaction changed, and its data hash made to fit."""
    envelope = common_pb2.Envelope.FromString(block.data.data[0])
    payload = common_pb2.Payload.FromString(envelope.payload)
    change(envelope, payload)
    envelope.payload = payload.SerializeToString()
    block.data.data[0] = envelope.SerializeToString()
    block.header.data_hash = data_hash(block.data.data)
    return block


def unendorse(envelope: Any, payload: Any) -> None:
    """Leave one endorsement, where two are demanded."""
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    del action.action.endorsements[1:]
    transaction.actions[0].payload = action.SerializeToString()
    payload.data = transaction.SerializeToString()


def other_input(envelope: Any, payload: Any) -> None:
    """Another input than the one that the endorsements are about."""
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    action.chaincode_proposal_payload += b"\x1a\x00"
    transaction.actions[0].payload = action.SerializeToString()
    payload.data = transaction.SerializeToString()


def other_channel(envelope: Any, payload: Any) -> None:
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    header.channel_id = "elsewhere"
    payload.header.channel_header = header.SerializeToString()


def other_nonce(envelope: Any, payload: Any) -> None:
    header = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
    header.nonce = bytes(24)
    payload.header.signature_header = header.SerializeToString()


def test_a_ledger_as_its_peers_made_it_is_sound(ledger: Ledger) -> None:
    assert ledger.judge(ledger.copies()) == []


def test_the_first_block_must_be_the_one_that_was_pinned(ledger: Ledger) -> None:
    (found,) = ledger.judge(ledger.copies(), genesis_hash="00" * 32)
    assert "not the genesis block that was pinned" in found


def test_a_block_that_is_left_out_is_missed(ledger: Ledger) -> None:
    blocks = ledger.copies()
    del blocks[2]
    (found,) = ledger.judge(blocks)
    assert "block 3 came where block 2 was due" in found


def test_a_changed_transaction_does_not_match_its_header(ledger: Ledger) -> None:
    blocks = ledger.copies()
    blocks[-1].data.data[0] += b"\x18\x01"
    (found,) = ledger.judge(blocks)
    assert "its transactions do not match its header" in found


def test_a_block_whose_hash_was_made_to_fit_breaks_the_chain_at_the_next(ledger: Ledger) -> None:
    blocks = ledger.copies()
    rewritten(blocks[-2], unendorse)
    assert any("does not follow on the block before it" in found for found in ledger.judge(blocks))


def test_a_block_without_the_orderers_signature_is_nobodys(ledger: Ledger) -> None:
    blocks = ledger.copies()
    blocks[-1].metadata.metadata[common_pb2.SIGNATURES] = b""
    (found,) = ledger.judge(blocks)
    assert "is not signed as the ordering service must sign" in found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (unendorse, "is not endorsed as chaincode pedigree demands"),
        (other_input, "has endorsements of another proposal"),
        (other_channel, "is of channel 'elsewhere'"),
        (other_nonce, "has an id that is not of its creator and nonce"),
    ],
)
def test_a_forged_transaction_in_the_last_block_is_found_by_what_is_forged_in_it(
    ledger: Ledger, change: Callable[[Any, Any], None], problem: str
) -> None:
    blocks = ledger.copies()
    rewritten(blocks[-1], change)
    found = ledger.judge(blocks)
    assert any(problem in each for each in found)
    assert any("is not signed by its creator of LabMSP" in each for each in found)
    assert any("is not signed as the ordering service must sign" in each for each in found)


def test_a_transaction_that_is_there_again_is_found(ledger: Ledger) -> None:
    blocks = ledger.copies()
    last = blocks[-1]
    last.data.data[0] = blocks[-2].data.data[0]
    last.header.data_hash = data_hash(last.data.data)
    assert any("is valid for the second time" in found for found in ledger.judge(blocks))


def test_a_read_of_what_did_not_stand_there_is_stale() -> None:
    keys = Keys()
    keys.apply(touching(writes=("there", "gone")), 4, 1)
    keys.end_block()
    keys.apply(touching(deletes=("gone",)), 5, 0)
    keys.end_block()
    assert list(keys.stale(touching(reads={"there": (4, 1), "gone": None, "never": None}))) == []
    stale = list(keys.stale(touching(reads={"there": (4, 0), "gone": (4, 1), "never": (0, 0)})))
    assert [one.key for one in stale] == ["there", "gone", "never"]


def touching(
    *,
    reads: dict[str, tuple[int, int] | None] | None = None,
    writes: tuple[str, ...] = (),
    deletes: tuple[str, ...] = (),
) -> NamespaceReadWriteSet:
    versions = {key: None if at is None else Version(*at) for key, at in (reads or {}).items()}
    return NamespaceReadWriteSet(
        namespace="pedigree",
        reads=tuple(Read(key, version) for key, version in versions.items()),
        writes=(*(Write(key, b"1", False) for key in writes), *(Write(key, b"", True) for key in deletes)),
        metadata_writes=(),
        range_queries=(),
        collections=(),
    )


def run(ledger: Ledger, *options: str) -> subprocess.CompletedProcess[str]:
    network = ledger.consortium.directory / "network.json"
    return subprocess.run(
        [command("pedigree"), "fsck", "--network", str(network), "--organisation", "lab", *options],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_command_judges_every_peer_and_the_read_model_of_a_gateway_that_runs(ledger: Ledger) -> None:
    done = run(ledger, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["ok"], report["findings"], report["notes"]) == (True, [], [])
    assert report["blocks"] == len(ledger.blocks)
    assert report["read_model"] == len(ledger.blocks)
    assert sorted(report["peers"]) == ["peer0.hospital.example", "peer0.lab.example", "peer0.regulator.example"]


def test_a_read_model_that_says_something_else_is_found(ledger: Ledger, tmp_path: Path) -> None:
    source = ledger.consortium.directory / "gateways" / "lab" / "readmodel.db"
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(tmp_path / "readmodel.db")) as copy:
        original.backup(copy)
        copy.execute("UPDATE entry SET value = replace(value, 'Judged', 'Forged') WHERE value LIKE '%judged-2%'")
        copy.commit()
    done = run(ledger, "--data", str(tmp_path))
    assert done.returncode == 1
    assert "read model, table entry: lacks 1 rows that the blocks give:" in done.stdout
    assert "NOT sound" in done.stdout


def test_without_a_read_model_the_ledger_is_judged_all_the_same(ledger: Ledger, tmp_path: Path) -> None:
    done = run(ledger, "--data", str(tmp_path))
    assert done.returncode == 0
    assert "does not exist: no read model was compared" in done.stderr


def pinning(ledger: Ledger, tmp_path: Path, genesis_hash: str) -> list[str]:
    """The options by which the ledger is judged under another pin, and without a read model."""
    network = {**ledger.consortium.network(), "genesis_hash": genesis_hash}
    (tmp_path / "network.json").write_text(json.dumps(network))
    return ["--network", str(tmp_path / "network.json"), "--data", str(tmp_path / "none")]


def test_a_peer_of_another_chain_is_one_line(ledger: Ledger, tmp_path: Path) -> None:
    options = pinning(ledger, tmp_path, "00" * 32)
    done = run(ledger, *options)
    said = f"peer0.lab.example: holds another chain, whose first block is {ledger.consortium.network()['genesis_hash']}"
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith(f"pedigree: {said}, and the network file pins {'00' * 32}; ")
    error = json.loads(run(ledger, *options, "--json").stderr)
    assert (error["code"], error["exit_code"]) == ("another-chain", 1)


def test_a_read_model_of_another_chain_is_one_line(ledger: Ledger, tmp_path: Path) -> None:
    source = ledger.consortium.directory / "gateways" / "lab" / "readmodel.db"
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(tmp_path / "readmodel.db")) as copy:
        original.backup(copy)
        copy.execute("UPDATE position SET genesis = ?", ("ab" * 32,))
        copy.commit()
    done = run(ledger, "--data", str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    said = f"{tmp_path}/readmodel.db: holds another chain, whose first block is {'ab' * 32}"
    assert said in done.stderr
    assert "--rebuild" in done.stderr
