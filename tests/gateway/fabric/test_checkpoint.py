# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in memory and in files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gateway.fabric import CheckpointError, FileCheckpointer, InMemoryCheckpointer


def position(checkpoint):
    return checkpoint.block_number, checkpoint.transaction_id


def test_nothing_recorded_is_no_position(tmp_path: Path):
    assert position(InMemoryCheckpointer()) == (None, None)
    assert position(FileCheckpointer(tmp_path / "none")) == (None, None)


def test_a_block_dealt_with_means_the_next_one(tmp_path: Path):
    for checkpoint in (InMemoryCheckpointer(), FileCheckpointer(tmp_path / "c")):
        checkpoint.checkpoint_transaction(6, "tx")
        assert position(checkpoint) == (6, "tx")
        checkpoint.checkpoint_block(6)
        assert position(checkpoint) == (7, None)
        with pytest.raises(ValueError, match="negative"):
            checkpoint.checkpoint_transaction(-1, "tx")


def test_block_zero_is_a_position(tmp_path: Path):
    FileCheckpointer(tmp_path / "c").checkpoint_transaction(0, "tx")
    assert position(FileCheckpointer(tmp_path / "c")) == (0, "tx")


def test_a_file_keeps_the_position_and_leaves_nothing_beside_it(tmp_path: Path):
    checkpoint = FileCheckpointer(str(tmp_path / "c"))
    for number in range(5):
        checkpoint.checkpoint_block(number)
    assert position(FileCheckpointer(tmp_path / "c")) == (5, None)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"blockNumber": -1}',
        b'{"blockNumber": true}',
        b'{"blockNumber": "1"}',
        b'{"blockNumber": 1, "transactionId": 2}',
    ],
)
def test_a_file_that_makes_no_sense_is_not_taken_for_the_beginning(tmp_path: Path, content):
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(CheckpointError, match="checkpoint"):
        FileCheckpointer(tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == content


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        FileCheckpointer(tmp_path)  # a directory


def test_a_failed_write_changes_neither_file_nor_position(tmp_path: Path, monkeypatch):
    checkpoint = FileCheckpointer(tmp_path / "c")
    checkpoint.checkpoint_block(1)

    def broken(descriptor: int) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint.checkpoint_block(2)
    monkeypatch.undo()
    assert position(checkpoint) == (2, None)
    assert json.loads((tmp_path / "c").read_bytes()) == {"blockNumber": 2, "transactionId": None}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_file_and_directory_are_synced_and_the_rename_comes_between(tmp_path: Path, monkeypatch):
    calls = []
    sync, rename = os.fsync, Path.rename

    def recorded_sync(descriptor: int) -> None:
        calls.append("fsync")
        sync(descriptor)

    def recorded_rename(self: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(Path, "rename", recorded_rename)
    FileCheckpointer(tmp_path / "c").checkpoint_block(1)
    assert calls == ["fsync", "rename", "fsync"]
