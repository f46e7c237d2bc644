# SPDX-License-Identifier: Apache-2.0
"""Every kind of damage to a ledger file is found and named."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fabric_protos.common import common_pb2

from network.embedded.blocks import data_hash, header_hash
from network.embedded.fsck import fsck

MEMBERS = "OR('HospitalMSP.member','LabMSP.member')"


@pytest.fixture
def path(empty_ledger: Any, kit: Any, store_path: Path) -> Path:
    """A ledger with public and private writes, deletes, metadata, invalid transactions, expiry and a purge."""
    ledger = empty_ledger
    ledger.define(kit.definition(collections=[kit.collection("c", MEMBERS), kit.collection("b", MEMBERS, btl=1)]))

    def draft(*writes: tuple[str, bytes | None], private: Any = (), **options: Any) -> Any:
        one = kit.Draft(**options)
        for key, value in writes:
            one.rwset.add_write("cc", key, value)
        for coll, key, value, purge in private:
            one.rwset.add_private_write("cc", coll, key, value, purge=purge)
        return one

    marked = draft(("m", b"v"))
    marked.rwset.add_metadata_write("cc", "m", {"note": b"n"})
    secret = [("c", "s", b"secret", False), ("c", "t", b"other", False), ("b", "e", b"soon gone", False)]
    ledger.commit(draft(("k", b"1"), ("gone", b"x")), marked, draft(("bad", b"x"), endorsers=("LabMSP",)))  # 2
    ledger.commit(draft(("k", b"2"), private=secret), draft(("gone", None)))  # 3
    ledger.commit(draft(private=[("c", "t", None, True)]))  # 4
    ledger.commit(draft(("k", b"3")), draft(private=[("c", "u", b"more", False)]))  # 5
    ledger.store.close()
    return store_path


def damage(path: Path, sql: str, *args: Any) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(sql, args).rowcount > 0
    connection.close()


def edit_block(path: Path, number: int, edit: Any) -> None:
    connection = sqlite3.connect(path)
    with connection:
        raw = connection.execute("SELECT block FROM blocks WHERE number = ?", (number,)).fetchone()[0]
        block = common_pb2.Block.FromString(raw)
        edit(block)
        connection.execute("UPDATE blocks SET block = ? WHERE number = ?", (block.SerializeToString(), number))
    connection.close()


def problems(path: Path) -> str:
    report = fsck(path)
    assert not report.ok
    return "\n".join(str(finding) for finding in report.findings)


def test_a_sound_ledger_has_no_findings(path: Path) -> None:
    report = fsck(path)
    assert report.findings == []
    assert (report.heights, report.transactions) == ({"pedigree": 6}, 10)


def test_a_directory_stands_for_all_its_ledgers(path: Path, tmp_path: Path) -> None:
    assert fsck(tmp_path).heights == {"pedigree": 6}
    with pytest.raises(FileNotFoundError):
        fsck(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE state SET value = x'00' WHERE key = x'6b'", "state: ns cc, key 'k': differs in value"),
        ("UPDATE state SET block = 1 WHERE key = x'6b'", "state: ns cc, key 'k': differs in block"),
        ("UPDATE state SET metadata = NULL WHERE key = x'6d'", "state: ns cc, key 'm': differs in metadata"),
        ("DELETE FROM state WHERE key = x'6b'", "state: ns cc, key 'k': is missing"),
        ("INSERT INTO state VALUES ('cc', x'7a', x'00', NULL, 1, 0)", "state: ns cc, key 'z': must not be there"),
        ("UPDATE hashes SET value_hash = zeroblob(32)", "hashes: ns cc, coll c"),
        ("DELETE FROM hashes", "private: HospitalMSP, cc/c, key 's': has cleartext without a hash"),
        ("UPDATE history SET value = x'00' WHERE block = 2", "history: ns cc, key 'gone', block 2, tx 0: differs in"),
        ("DELETE FROM history WHERE key = x'6b' AND block = 3", "history: ns cc, key 'k', block 3, tx 0: is missing"),
        ("UPDATE transactions SET code = 0 WHERE code = 10", "transactions: block 2, tx 2: differs in code"),
        ("UPDATE transactions SET txid = 'x' WHERE block = 5", "transactions: block 5, tx 0: differs in txid"),
        ("DELETE FROM transactions WHERE block = 3", "transactions: block 3, tx 0: is missing"),
        ("UPDATE blocks SET hash = x'00' WHERE number = 3", "block 3: is indexed under another hash"),
        ("DELETE FROM blocks WHERE number = 3", "block 3: is missing"),
        ("DELETE FROM blocks", "block 0: is missing"),
        ("UPDATE blocks SET block = x'ff' WHERE number = 3", "block 3: cannot be parsed"),
        ("UPDATE private SET value = x'00' WHERE org = 'LabMSP'", "private: LabMSP, cc/c, key 's': has a value that"),
        ("DELETE FROM private WHERE key = x'75' AND org = 'LabMSP'", "private: LabMSP, cc/c, key 'u': is missing"),
        ("UPDATE private SET key_hash = zeroblob(32)", "is indexed under another key hash"),
        ("UPDATE private SET block = 99", "is newer than its hash"),
        ("UPDATE private_writes SET rwset = x'ff' WHERE block = 3", "LabMSP in block 3 transaction 0, cc/c: cannot be"),
        ("UPDATE private_writes SET coll = 'x' WHERE block = 3", "cc/x: belong to no hashes in the block"),
    ],
)
def test_damage_is_named(path: Path, sql: str, expected: str) -> None:
    damage(path, sql)
    assert expected in problems(path)


def test_an_altered_transaction_is_found_by_the_data_hash(path: Path) -> None:
    edit_block(path, 5, lambda block: block.data.data.__setitem__(0, block.data.data[0][:-1] + b"\0"))
    found = problems(path)
    assert "block 5: has data that do not match their hash" in found
    assert "block 5 transaction 0" in found


def test_a_recomputed_data_hash_breaks_chain_and_signature(path: Path) -> None:
    def edit(block: Any) -> None:
        block.data.data[0] = block.data.data[0][:-1] + b"\0"
        block.header.data_hash = data_hash(block.data.data)

    edit_block(path, 3, edit)
    found = problems(path)
    assert "block 3: is not signed by the ordering service" in found
    assert "block 4: does not name the hash of the block before it" in found


def test_a_changed_validation_code_is_found(path: Path) -> None:
    edit_block(path, 2, lambda block: block.metadata.metadata.__setitem__(2, b"\0\0\0"))
    assert "block 2 transaction 2" in problems(path)


def test_a_lost_validation_code_is_found(path: Path) -> None:
    edit_block(path, 2, lambda block: block.metadata.metadata.__setitem__(2, b"\0"))
    assert "has 1 validation codes for 3 transactions" in problems(path)


def test_a_changed_commit_hash_is_found(path: Path) -> None:
    edit_block(path, 4, lambda block: block.metadata.metadata.__setitem__(4, b""))
    assert "block 4: has another commit hash" in problems(path)


def test_a_missing_signature_is_found(path: Path) -> None:
    edit_block(path, 4, lambda block: block.metadata.metadata.__setitem__(0, b""))
    assert "block 4: is not signed by the ordering service" in problems(path)


def test_forged_private_writes_are_found(path: Path, kit: Any) -> None:
    rwset = kit.Rwset()
    rwset.add_private_write("cc", "c", "u", b"forged")
    raw = rwset.private().ns_pvt_rwset[0].collection_pvt_rwset[0].rwset
    damage(path, "UPDATE private_writes SET rwset = ? WHERE block = 5", raw)
    assert "hold a value of key 'u' that its hash does not match" in problems(path)


def test_a_pinned_genesis_block_is_compared(path: Path, world: Any) -> None:
    right = header_hash(common_pb2.Block.FromString(world.genesis).header).hex()
    assert fsck(path, genesis_hashes={"pedigree": right}).ok
    report = fsck(path, genesis_hashes={"pedigree": "00" * 32})
    assert [str(finding) for finding in report.findings] == [
        "pedigree: block 0: is not the genesis block that was pinned"
    ]


def test_a_file_that_is_no_ledger_is_said_to_be_none(tmp_path: Path) -> None:
    other = tmp_path / "pedigree.db"
    other.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    assert "the file" in problems(other)


def test_torn_pages_are_found(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * 4096)
    assert not fsck(path).ok
