# SPDX-License-Identifier: Apache-2.0
"""`pedigree blobs`: keys are renewed without sealing anything again, and only what nothing depends on is deleted."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.sealing.blobs import Header
from gateway.sealing.streams import Blob, seal
from gateway.server import blobkeys
from gateway.server.folders import open_store
from gateway.server.sharing import sole_owner
from gateway.server.vaults import DATABASE, open_seals, open_vault
from gateway.services.blobstores import Opened, Publication
from gateway.services.ports import LedgerBlock, LedgerTransaction, LedgerWrite
from gateway.services.publications import KeysUnusable, Vault
from gateway.stores.database import Database
from gateway.stores.readmodel import ReadModelStore
from gateway.stores.recordseals import RecordSeals

NAMED, UNKNOWN = "aa" * 32, "bb" * 32


def put(vault: Vault, root: str, content: bytes, selection: str | None = None) -> str:
    key = os.urandom(32)
    header = Header.new(key, size=len(content))
    wrapped = vault.keys().wrap(key, header.blob_id)
    published = Publication(
        header.blob_id, root, "wdbc", 1, "text/csv", len(content), "00" * 32, wrapped, 1_000_000_000.0, selection
    )
    vault.blobs.put(published.name, seal(key, header, [content]))
    vault.publications.add(published)
    return published.name


def opened(data: Path, guard: ExitStack) -> tuple[Vault, RecordSeals]:
    sealed, kept = (open_store(guard, data, name, durable=True) for name in (DATABASE, "records"))
    return open_vault(data, sealed, kept, "blobs"), open_seals(data, sealed, kept)


@pytest.fixture
def names(tmp_path: Path) -> dict[str, str]:
    """What is in the store: the blobs of a version that is on the ledger, of none, and one that a crash left."""
    with ExitStack() as guard:
        vault, seals = opened(tmp_path, guard)
        seals.key_for("wdbc")
        found = {"old": put(vault, NAMED, b"first"), "new": put(vault, NAMED, b"second"),
                 "unknown": put(vault, UNKNOWN, b"third")}  # fmt: skip
        vault.blobs.put("cc" * 32, [b"left"])
        database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
        guard.callback(database.close)
        write = LedgerWrite("v", {"kind": "dataset-version", "dataset": "wdbc", "number": 1, "root": NAMED})
        transaction = LedgerTransaction("t", 0, 0, "LabMSP", "2026-01-01T00:00:00Z", {}, (write,))
        ReadModelStore(database).apply(LedgerBlock(0, "00", "", (transaction,)))
    return found


def run(data: Path, *words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["blobs", *words, "--data", str(data), "--json"], env=environment)


def answered(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def contents(data: Path) -> list[bytes]:
    with ExitStack() as guard:
        vault, seals = opened(data, guard)
        seals.of_key(1)
        return [
            b"".join(Blob(vault.key_of(each), Opened(vault.blobs, each.name)).read())
            for each in vault.publications.all()
        ]


def test_keys_are_renewed_and_no_blob_is_sealed_again(tmp_path: Path, names: dict[str, str]) -> None:
    file = tmp_path / blobkeys.FILE
    before = {path: path.read_bytes() for path in (tmp_path / "blobs").rglob("*") if path.is_file()}
    old = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    answer = answered(run(tmp_path, "rotate"))
    assert answer["rewrapped"] == 4
    assert old.strip() not in file.read_text()
    assert {path: path.read_bytes() for path in before} == before
    assert contents(tmp_path) == [b"first", b"second", b"third"]
    assert {row["key"] for row in answered(run(tmp_path, "list"))} == {answer["key"]}
    # What was taken from the disk before opens nothing any more.
    file.write_text(old)
    with pytest.raises(KeysUnusable, match="is wrapped under the key-encryption key"):
        contents(tmp_path)


def test_a_renewal_that_was_cut_off_is_finished_by_the_next(
    tmp_path: Path, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError("the power went")

    monkeypatch.setattr("gateway.services.publications.rewrap", fail)
    assert "nothing was lost" in run(tmp_path, "rotate").stderr
    monkeypatch.undo()
    assert contents(tmp_path) == [b"first", b"second", b"third"]
    assert answered(run(tmp_path, "rotate"))["rewrapped"] == 4
    assert len((tmp_path / blobkeys.FILE).read_text().split()) == 1


def test_keys_that_are_kept_elsewhere_are_read_and_not_written(tmp_path: Path, names: dict[str, str]) -> None:
    own = (tmp_path / blobkeys.FILE).read_text().strip()
    new = "5a" * 32
    assert answered(run(tmp_path, "rotate", PEDIGREE_KEY_ENCRYPTION_KEY=f"{new} {own}"))["rewrapped"] == 4
    assert (tmp_path / blobkeys.FILE).read_text().strip() == own
    refused = run(tmp_path, "rotate", PEDIGREE_KEY_ENCRYPTION_KEY="nonsense")
    assert refused.exit_code != 0
    assert "64 lower-case hexadecimal digits" in refused.stderr
    assert "nonsense" not in refused.stderr


def test_a_lost_key_is_never_replaced_by_another(tmp_path: Path, names: dict[str, str]) -> None:
    (tmp_path / blobkeys.FILE).unlink()
    refused = run(tmp_path, "rotate")
    assert refused.exit_code != 0
    assert "is gone, and nothing else opens what is sealed here under 4 data keys" in refused.stderr
    assert not (tmp_path / blobkeys.FILE).exists()


def test_only_what_nothing_depends_on_is_deleted(tmp_path: Path, names: dict[str, str]) -> None:
    unneeded = {
        names["old"]: "the version was published again later",
        names["unknown"]: "no version on the ledger has its root",
        "cc" * 32: "no publication names it, so nothing opens it",
    }
    assert answered(run(tmp_path, "gc")) == []
    listed = answered(run(tmp_path, "gc", "--older-than", "0"))
    assert {row["blob"]: row["why"] for row in listed} == unneeded
    assert len(contents(tmp_path)) == 3
    deleted = answered(run(tmp_path, "gc", "--older-than", "0", "--delete"))
    assert {row["blob"] for row in deleted} == set(unneeded)
    assert contents(tmp_path) == [b"second"]
    assert answered(run(tmp_path, "gc", "--older-than", "0")) == []


def test_it_needs_the_gateway_to_rest_and_to_know_the_ledger(tmp_path: Path, names: dict[str, str]) -> None:
    with sole_owner(tmp_path / "lock"):
        assert "stop it first" in run(tmp_path, "gc").stderr
    (tmp_path / "readmodel.db").unlink()
    assert "has no readmodel.db" in run(tmp_path, "gc").stderr
    assert "nothing was published there" in run(tmp_path / "nowhere", "list").stderr


def test_a_bucket_that_cannot_be_is_named(tmp_path: Path, names: dict[str, str]) -> None:
    refused = run(tmp_path, "list", "--blobs", "s3://A")
    assert refused.exit_code != 0
    assert "--blobs: 's3://A' is not s3://BUCKET or s3://BUCKET/PREFIX" in refused.stderr


def test_the_blob_of_a_selection_is_needed_while_the_ledger_has_that_selection(
    tmp_path: Path, names: dict[str, str]
) -> None:
    with ExitStack() as guard:
        vault, _ = opened(tmp_path, guard)
        kept, other, before = (put(vault, NAMED, b"part", name) for name in ("kept", "other", "kept"))
        vault.publications.forget(bytes.fromhex(before))
        database = Database.open(tmp_path / "readmodel.db", "readmodel", durable=False)
        guard.callback(database.close)
        record = {"kind": "selection", "dataset": "wdbc", "number": 1, "selection": "kept", "root": NAMED}
        transaction = LedgerTransaction("t2", 0, 0, "LabMSP", "2026-01-01T00:00:00Z", {}, (LedgerWrite("s", record),))
        ReadModelStore(database).apply(LedgerBlock(1, "01", "00", (transaction,)))
    listed = answered(run(tmp_path, "list"))
    assert [row["artifact"] for row in listed[-2:]] == ["selection:wdbc:1:kept", "selection:wdbc:1:other"]
    found = {row["blob"]: row["why"] for row in answered(run(tmp_path, "gc", "--older-than", "0"))}
    assert found[other] == "no selection on the ledger has its root"
    assert kept not in found
    assert names["new"] not in found
